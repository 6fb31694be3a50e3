//! What is in the ledger: all rows of a span of time, and single answers as they came.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use futures::TryStreamExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _, SqliteConnection};

use super::rows::{
    Answer, AnswerKind, AnswerRow, At, EpochRow, PaidBy, Payment, Price, Reading, RowId, RunRow,
    StandingRow, Work,
};
use super::{LedgerError, schema, told};
use crate::earnings::exact::Exact;
use crate::earnings::formula::{Account, Allocation, PayoutTerms, Walk};
use crate::earnings::money::{Rao, Unit};

/// The columns of an epoch, in the order in which they are written.
pub(super) const EPOCHS: &str = "at, network, hotkey, run, began, epoch, raw, multiplier, total, run_total, \
     share, incentive, active, burn, weight, claims, period, loss, lowest_before, emission, minimum, \
     fee, entitlement, pending, frozen, unit, stage, backwards, partitions, submitted, standing, \
     missing, paid_to, answer";

/// An open ledger that is only read.
#[derive(Debug)]
pub struct Reader {
    pub(super) connection: SqliteConnection,
    pub(super) file: PathBuf,
}

/// A span of time: from the first moment up to, without, the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Span {
    /// Its beginning.
    pub since: At,
    /// Its end.
    pub until: At,
}

impl Span {
    /// All of time.
    pub const ALL: Self = Self { since: At(0), until: At(i64::MAX.cast_unsigned()) };

    /// Whether a moment lies in it.
    pub fn holds(&self, at: At) -> bool {
        (self.since..self.until).contains(&at)
    }

    /// Whether a stretch and it have any time in common.
    pub fn touches(&self, work: &Work) -> bool {
        // One that has no length, or whose clock was set back meanwhile, counts where it began.
        self.holds(work.since) || (work.since < self.until && work.until > self.since)
    }
}

/// All rows of a span, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rows {
    /// Answers, without their bodies.
    pub answers: Vec<AnswerRow>,
    /// Epochs that were closed.
    pub epochs: Vec<EpochRow>,
    /// Where the own miners stood.
    pub standings: Vec<StandingRow>,
    /// What the runs got.
    pub runs: Vec<RunRow>,
    /// What was paid.
    pub payouts: Vec<Payment>,
    /// What was done.
    pub work: Vec<Work>,
    /// What things were worth.
    pub prices: Vec<Price>,
    /// What was read of the chain.
    pub readings: Vec<Reading>,
}

impl Reader {
    pub(super) fn over(connection: SqliteConnection, file: &Path) -> Self {
        Self { connection, file: file.to_owned() }
    }

    /// A ledger that ends with the process: what answers are played into again.
    pub(super) async fn in_memory() -> Result<Self, LedgerError> {
        let file = Path::new("in memory");
        let fail = |error: sqlx::Error| told(file, &error);
        let options = SqliteConnectOptions::new().in_memory(true);
        let mut connection = options.connect().await.map_err(fail)?;
        for text in schema::TABLES.iter().map(|text| (*text).to_owned()).chain(schema::guards()) {
            let made = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await;
            made.map_err(fail)?;
        }
        Ok(Self::over(connection, file))
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn told(&self, error: &sqlx::Error) -> LedgerError {
        told(&self.file, error)
    }

    /// All rows of a span. They belong together: nothing is entered between the first and the last.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn rows(&mut self, span: Span) -> Result<Rows, LedgerError> {
        self.run("BEGIN").await?;
        let rows = self.rows_of(span).await;
        self.run("COMMIT").await?;
        rows
    }

    async fn run(&mut self, statement: &'static str) -> Result<(), LedgerError> {
        let done = sqlx::query(statement).execute(&mut self.connection).await;
        done.map(drop).map_err(|error| self.told(&error))
    }

    async fn rows_of(&mut self, span: Span) -> Result<Rows, LedgerError> {
        let epochs = format!(
            "SELECT {EPOCHS} FROM epochs AS this WHERE at >= ? AND at < ? AND revision =
                (SELECT MAX(revision) FROM epochs AS that WHERE that.network = this.network
                 AND that.hotkey = this.hotkey AND that.run = this.run
                 AND that.began = this.began AND that.epoch = this.epoch)
             ORDER BY at, id"
        );
        Ok(Rows {
            answers: self
                .all(
                    "SELECT id, at, network, kind, digest FROM answers
                     WHERE at >= ? AND at < ? ORDER BY id"
                        .into(),
                    span,
                    answer_row_of,
                )
                .await?,
            epochs: self.all(epochs, span, epoch_of).await?,
            standings: self
                .all(
                    "SELECT * FROM standings WHERE at >= ? AND at < ? ORDER BY id".into(),
                    span,
                    standing_of,
                )
                .await?,
            runs: self
                .all("SELECT * FROM runs WHERE at >= ? AND at < ? ORDER BY id".into(), span, run_of)
                .await?,
            payouts: self
                .all(
                    "SELECT * FROM payouts WHERE at >= ? AND at < ? ORDER BY at, id".into(),
                    span,
                    payment_of,
                )
                .await?,
            work: self
                .all(
                    "SELECT * FROM work WHERE (until > ?1 OR since >= ?1) AND since < ?2
                     ORDER BY since, id"
                        .into(),
                    span,
                    work_of,
                )
                .await?,
            prices: self
                .all(
                    "SELECT * FROM prices WHERE at >= ? AND at < ? ORDER BY at, id".into(),
                    span,
                    price_of,
                )
                .await?,
            readings: self
                .all(
                    "SELECT * FROM readings WHERE at >= ? AND at < ? ORDER BY at, id".into(),
                    span,
                    reading_of,
                )
                .await?,
        })
    }

    async fn all<T>(
        &mut self,
        query: String,
        span: Span,
        of: fn(&SqliteRow) -> Option<T>,
    ) -> Result<Vec<T>, LedgerError> {
        let query = sqlx::query(AssertSqlSafe(query));
        let query = query.bind(span.since.0.cast_signed()).bind(span.until.0.cast_signed());
        // One after the other: the database's own rows take far more memory than ours.
        let mut found = query.fetch(&mut self.connection);
        let mut all = Vec::new();
        while let Some(row) = found.try_next().await.map_err(|error| told(&self.file, &error))? {
            all.push(of(&row).ok_or_else(|| unreadable(&self.file))?);
        }
        Ok(all)
    }

    fn unreadable(&self) -> LedgerError {
        unreadable(&self.file)
    }

    /// An answer as it came; none of that number.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn answer(&mut self, id: RowId) -> Result<Option<Answer>, LedgerError> {
        let query = sqlx::query("SELECT at, network, kind, whose, body FROM answers WHERE id = ?");
        let row = query.bind(id.0).fetch_optional(&mut self.connection).await;
        let Some(row) = row.map_err(|error| self.told(&error))? else { return Ok(None) };
        answer_of(&row).map(Some).ok_or_else(|| self.unreadable())
    }

    /// The numbers of all answers, the oldest first.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn answers(&mut self) -> Result<Vec<RowId>, LedgerError> {
        let rows = sqlx::query("SELECT id FROM answers ORDER BY id");
        let rows = rows.fetch_all(&mut self.connection).await;
        let rows = rows.map_err(|error| self.told(&error))?;
        Ok(rows.iter().map(|row| RowId(row.get(0))).collect())
    }

    /// The newest answer of each network to each question, and its number.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn newest_answers(&mut self) -> Result<Vec<(RowId, Answer)>, LedgerError> {
        let rows = sqlx::query(
            "SELECT id, at, network, kind, whose, body FROM answers
             WHERE id IN (SELECT MAX(id) FROM answers GROUP BY network, kind) ORDER BY id",
        );
        let rows = rows.fetch_all(&mut self.connection).await;
        let rows = rows.map_err(|error| self.told(&error))?;
        rows.iter()
            .map(|row| {
                let answer = answer_of(row).ok_or_else(|| self.unreadable())?;
                Ok((RowId(row.get("id")), answer))
            })
            .collect()
    }
}

fn unreadable(file: &Path) -> LedgerError {
    let reason = "a row holds what nobody wrote there".to_owned();
    LedgerError::Damaged { file: file.to_owned(), reason }
}

fn at(row: &SqliteRow, column: &str) -> At {
    At(unsigned(row.get(column)))
}

fn unsigned(value: i64) -> u64 {
    value.cast_unsigned()
}

fn number(row: &SqliteRow, column: &str) -> u64 {
    unsigned(row.get(column))
}

fn maybe(row: &SqliteRow, column: &str) -> Option<u64> {
    row.get::<Option<i64>, _>(column).map(unsigned)
}

fn rao(row: &SqliteRow, column: &str) -> Rao {
    Rao(number(row, column))
}

fn exact(row: &SqliteRow, column: &str) -> Option<Exact> {
    row.get::<String, _>(column).parse().ok()
}

/// Nothing there is none; what cannot be read is an error.
fn maybe_read<T: std::str::FromStr>(row: &SqliteRow, column: &str) -> Option<Option<T>> {
    match row.get::<Option<String>, _>(column) {
        None => Some(None),
        Some(text) => text.parse().ok().map(Some),
    }
}

fn word<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::String(row.get(column))).ok()
}

fn json<T: DeserializeOwned>(row: &SqliteRow, column: &str) -> Option<T> {
    serde_json::from_str(&row.get::<String, _>(column)).ok()
}

fn unit(row: &SqliteRow, column: &str) -> Option<Unit> {
    Unit::of(&row.get::<String, _>(column))
}

fn answer_row_of(row: &SqliteRow) -> Option<AnswerRow> {
    Some(AnswerRow {
        id: RowId(row.get("id")),
        at: at(row, "at"),
        network: row.get("network"),
        kind: AnswerKind::of(&row.get::<String, _>("kind"))?,
        digest: row.get("digest"),
    })
}

fn answer_of(row: &SqliteRow) -> Option<Answer> {
    let whose: String = row.get("whose");
    Some(Answer {
        at: at(row, "at"),
        network: row.get("network"),
        kind: AnswerKind::of(&row.get::<String, _>("kind"))?,
        whose: whose.split_whitespace().map(str::to_owned).collect::<BTreeSet<_>>(),
        body: row.get("body"),
    })
}

fn walk_of(row: &SqliteRow) -> Option<Walk> {
    let parts = [
        maybe_read::<Exact>(row, "incentive")?,
        maybe_read(row, "active")?,
        maybe_read(row, "burn")?,
    ];
    let allocation = match parts {
        [Some(incentive), Some(active), Some(burn)] => Some(Allocation { incentive, active, burn }),
        [None, None, None] => None,
        _ => return None,
    };
    Some(Walk {
        raw: exact(row, "raw")?,
        multiplier: maybe_read(row, "multiplier")?,
        total: exact(row, "total")?,
        run_total: exact(row, "run_total")?,
        share: exact(row, "share")?,
        allocation,
        weight: exact(row, "weight")?,
    })
}

pub(super) fn epoch_of(row: &SqliteRow) -> Option<EpochRow> {
    Some(EpochRow {
        at: at(row, "at"),
        network: row.get("network"),
        hotkey: row.get("hotkey"),
        run: row.get("run"),
        began: at(row, "began"),
        epoch: number(row, "epoch"),
        walk: walk_of(row)?,
        claims: word(row, "claims")?,
        period: word(row, "period")?,
        loss: maybe_read(row, "loss")?,
        lowest_before: maybe_read(row, "lowest_before")?,
        emission: rao(row, "emission"),
        terms: PayoutTerms { minimum: rao(row, "minimum"), fee: rao(row, "fee") },
        entitlement: rao(row, "entitlement"),
        account: Account { pending: rao(row, "pending"), frozen: rao(row, "frozen") },
        unit: unit(row, "unit")?,
        stage: maybe(row, "stage"),
        backwards: number(row, "backwards"),
        partitions: number(row, "partitions"),
        submitted: word(row, "submitted")?,
        standing: word(row, "standing")?,
        missing: json(row, "missing")?,
        paid_to: row.get("paid_to"),
        answer: RowId(row.get("answer")),
    })
}

fn standing_of(row: &SqliteRow) -> Option<StandingRow> {
    Some(StandingRow {
        at: at(row, "at"),
        network: row.get("network"),
        hotkey: row.get("hotkey"),
        run: row.get("run"),
        walk: walk_of(row)?,
        claims: word(row, "claims")?,
        answer: RowId(row.get("answer")),
    })
}

fn run_of(row: &SqliteRow) -> Option<RunRow> {
    Some(RunRow {
        at: at(row, "at"),
        network: row.get("network"),
        run: row.get("run"),
        burn: exact(row, "burn")?,
        incentive: exact(row, "incentive")?,
        miners: number(row, "miners"),
        answer: RowId(row.get("answer")),
    })
}

fn payment_of(row: &SqliteRow) -> Option<Payment> {
    let pointer = |column: &str| row.get::<Option<i64>, _>(column).map(RowId);
    let by = match row.get::<String, _>("source").as_str() {
        "answer" => PaidBy::Answer(pointer("answer")?),
        "stake" => PaidBy::Stake(pointer("reading")?),
        "balance" => PaidBy::Balance(pointer("reading")?),
        _ => return None,
    };
    Some(Payment {
        at: at(row, "at"),
        network: row.get("network"),
        name: row.get("name"),
        hotkey: row.get("hotkey"),
        address: row.get("address"),
        gross: rao(row, "gross"),
        fee: maybe(row, "fee").map(Rao),
        net: rao(row, "net"),
        unit: unit(row, "unit")?,
        by,
    })
}

fn work_of(row: &SqliteRow) -> Option<Work> {
    Some(Work {
        network: row.get("network"),
        hotkey: row.get("hotkey"),
        life: row.get("life"),
        part: number(row, "part"),
        since: at(row, "since"),
        until: at(row, "until"),
        run: row.get("run"),
        stage: maybe(row, "stage"),
        epoch: maybe(row, "epoch"),
        forwards: number(row, "forwards"),
        backwards: number(row, "backwards"),
        partitions: number(row, "partitions"),
        uploads: number(row, "uploads"),
        uploads_missed: number(row, "uploads_missed"),
        weights: word(row, "weights")?,
        merges: number(row, "merges"),
        merges_missed: number(row, "merges_missed"),
        tokens: number(row, "tokens"),
        spent: json(row, "spent")?,
        energy: json(row, "energy")?,
        validated: maybe(row, "validated"),
        failed: maybe(row, "failed"),
        payout_address: row.get("payout_address"),
        lost: json(row, "lost")?,
    })
}

fn price_of(row: &SqliteRow) -> Option<Price> {
    Some(Price {
        at: at(row, "at"),
        of: unit(row, "of")?,
        currency: row.get("currency"),
        price: exact(row, "price")?,
        source: row.get("source"),
    })
}

fn reading_of(row: &SqliteRow) -> Option<Reading> {
    Some(Reading {
        at: at(row, "at"),
        network: row.get("network"),
        what: row.get("what"),
        body: row.get("body"),
    })
}
