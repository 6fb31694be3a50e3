//! Plays all answers again into an empty ledger, and compares what comes out with what is there.

use std::collections::BTreeSet;

use serde::Serialize;

use super::read::{Rows, Span};
use super::rows::{PaidBy, RowId};
use super::write::Ledger;
use super::{LedgerError, Reader};

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verified {
    /// Answers that were played.
    pub answers: usize,
    /// Of those, from which nothing follows because they cannot be read.
    pub unreadable: usize,
    /// Rows that follow from them.
    pub rows: usize,
    /// Where the ledger and the answers disagree.
    pub differences: Vec<Difference>,
}

/// One disagreement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// In which table.
    pub table: &'static str,
    /// The row that is only in one of the two, in a few words.
    pub row: String,
    /// Where it is.
    pub only: Only,
}

/// In which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Only {
    /// In the ledger.
    Ledger,
    /// In what the answers come to.
    Answers,
}

impl Reader {
    /// Plays all answers again, and compares.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn verify(&mut self) -> Result<Verified, LedgerError> {
        let mut again = Ledger::over(Self::in_memory().await?);
        let ids = self.answers().await?;
        let mut differences = Vec::new();
        let (mut answers, mut unreadable) = (0, 0);
        for id in ids {
            let Some(answer) = self.answer(id).await? else { continue };
            let recorded = again.record_answer(&answer).await?;
            answers += 1;
            unreadable += usize::from(recorded.trouble.is_some());
            if recorded.id != id {
                let row = format!("answer {} of {}", id.0, answer.kind);
                differences.push(Difference { table: "answers", row, only: Only::Ledger });
            }
        }
        let (here, there) = (self.rows(Span::ALL).await?, again.read().rows(Span::ALL).await?);
        let (here, there) = (derived(here), derived(there));
        for (table, row) in here.iter().filter(|row| !there.contains(row)) {
            differences.push(Difference { table, row: row.clone(), only: Only::Ledger });
        }
        for (table, row) in there.iter().filter(|row| !here.contains(row)) {
            differences.push(Difference { table, row: row.clone(), only: Only::Answers });
        }
        Ok(Verified { answers, unreadable, rows: there.len(), differences })
    }
}

/// The rows that follow from answers, each as text.
fn derived(rows: Rows) -> BTreeSet<(&'static str, String)> {
    let mut all = BTreeSet::new();
    all.extend(rows.answers.iter().map(|row| ("answers", text(row))));
    all.extend(rows.epochs.iter().map(|row| ("epochs", text(row))));
    all.extend(rows.standings.iter().map(|row| ("standings", text(row))));
    all.extend(rows.runs.iter().map(|row| ("runs", text(row))));
    let published = rows.payouts.iter().filter(|row| matches!(row.by, PaidBy::Answer(RowId(_))));
    all.extend(published.map(|row| ("payouts", text(row))));
    all
}

fn text(row: &impl Serialize) -> String {
    serde_json::to_string(row).unwrap_or_default()
}
