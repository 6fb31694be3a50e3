//! What is entered into the ledger, each in one transaction. The same told again changes nothing.

use sqlx::sqlite::{Sqlite, SqliteArguments};
use sqlx::{Connection as _, Row as _, SqliteConnection};

use super::read::{EPOCHS, epoch_of};
use super::rows::{
    Answer, At, EpochRow, PaidBy, Payment, Price, Reading, RowId, RunRow, StandingRow, Work,
};
use super::{LedgerError, Reader};
use crate::earnings::derive::{DeriveError, Derived, derive};
use crate::earnings::exact::Exact;
use crate::earnings::formula::{Allocation, Walk};

/// An open ledger that may be written.
#[derive(Debug)]
pub struct Ledger {
    reader: Reader,
}

/// What became of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its number.
    pub id: RowId,
    /// Whether it is new.
    pub news: News,
    /// Why nothing follows from it, where that is so. It is kept all the same.
    pub trouble: Option<DeriveError>,
}

/// Whether a row is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It was added.
    Added,
    /// It was there.
    Known,
}

impl News {
    fn of(rows: u64) -> Self {
        if rows == 0 { Self::Known } else { Self::Added }
    }
}

/// A query with what it is about.
type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

impl Ledger {
    pub(super) fn over(reader: Reader) -> Self {
        Self { reader }
    }

    /// What is in it.
    pub fn read(&mut self) -> &mut Reader {
        &mut self.reader
    }

    /// Enters what a server answered, and all that follows from it. The same answer twice in a row is
    /// entered once.
    ///
    /// # Errors
    /// The ledger cannot be written; then nothing of it was entered.
    pub async fn record_answer(&mut self, answer: &Answer) -> Result<Recorded, LedgerError> {
        let done = enter_answer(&mut self.reader.connection, answer).await;
        done.map_err(|error| self.reader.told(&error))
    }

    /// Enters a stretch of work.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn record_work(&mut self, work: &Work) -> Result<News, LedgerError> {
        let spent = serde_json::to_string(&work.spent);
        let energy = serde_json::to_string(&work.energy);
        let lost = serde_json::to_string(&work.lost);
        let (Ok(spent), Ok(energy), Ok(lost)) = (spent, energy, lost) else {
            return Err(LedgerError::unusable(&self.reader.file, "a row that JSON cannot hold"));
        };
        let query = sqlx::query(
            "INSERT OR IGNORE INTO work (network, hotkey, life, part, since, until, run, stage, epoch,
                forwards, backwards, partitions, uploads, uploads_missed, weights, merges,
                merges_missed, tokens, spent, millijoules, energy, validated, failed,
                payout_address, lost)
             VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        );
        let query = query
            .bind(work.network.clone())
            .bind(work.hotkey.clone())
            .bind(work.life.clone())
            .bind(signed(work.part))
            .bind(signed(work.since.0))
            .bind(signed(work.until.0))
            .bind(work.run.clone())
            .bind(work.stage.map(signed))
            .bind(work.epoch.map(signed))
            .bind(signed(work.forwards))
            .bind(signed(work.backwards))
            .bind(signed(work.partitions))
            .bind(signed(work.uploads))
            .bind(signed(work.uploads_missed))
            .bind(word(&work.weights))
            .bind(signed(work.merges))
            .bind(signed(work.merges_missed))
            .bind(signed(work.tokens))
            .bind(spent)
            .bind(work.energy.millijoules().map(|energy| signed(energy.0)))
            .bind(energy)
            .bind(work.validated.map(signed))
            .bind(work.failed.map(signed))
            .bind(work.payout_address.clone())
            .bind(lost);
        self.enter(query).await
    }

    /// Enters what was read of the chain, and gives its number. The same reading of the same moment is
    /// entered once.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn record_reading(&mut self, reading: &Reading) -> Result<RowId, LedgerError> {
        let digest = blake3::hash(reading.body.as_bytes()).to_hex().to_string();
        let query = sqlx::query(
            "INSERT OR IGNORE INTO readings (at, network, what, body, digest) VALUES (?, ?, ?, ?, ?)",
        );
        let query = query
            .bind(signed(reading.at.0))
            .bind(reading.network.clone())
            .bind(reading.what.clone())
            .bind(reading.body.clone())
            .bind(digest.clone());
        self.enter(query).await?;
        let query = sqlx::query(
            "SELECT id FROM readings WHERE network = ? AND what = ? AND at = ? AND digest = ?",
        );
        let query = query.bind(reading.network.clone()).bind(reading.what.clone());
        let query = query.bind(signed(reading.at.0)).bind(digest);
        let row = query.fetch_one(&mut self.reader.connection).await;
        row.map(|row| RowId(row.get(0))).map_err(|error| self.reader.told(&error))
    }

    /// Enters a payment that was seen on the chain. Those that a server tells of follow from its answer.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn record_payment(&mut self, payment: &Payment) -> Result<News, LedgerError> {
        self.enter(payout(payment)).await
    }

    /// Enters a price.
    ///
    /// # Errors
    /// The ledger cannot be written.
    pub async fn record_price(&mut self, price: &Price) -> Result<News, LedgerError> {
        let query = sqlx::query(
            "INSERT OR IGNORE INTO prices (at, of, currency, price, source) VALUES (?, ?, ?, ?, ?)",
        );
        let query = query
            .bind(signed(price.at.0))
            .bind(price.of.word())
            .bind(price.currency.clone())
            .bind(price.price.to_string())
            .bind(price.source.clone());
        self.enter(query).await
    }

    /// Enters something about the ledger itself.
    pub(super) async fn note(
        &mut self,
        at: At,
        what: &'static str,
        detail: &str,
    ) -> Result<News, LedgerError> {
        let query = sqlx::query("INSERT OR IGNORE INTO notes (at, what, detail) VALUES (?, ?, ?)");
        self.enter(query.bind(signed(at.0)).bind(what).bind(detail.to_owned())).await
    }

    /// One statement is one transaction.
    async fn enter(&mut self, query: Query<'_>) -> Result<News, LedgerError> {
        let done = query.execute(&mut self.reader.connection).await;
        done.map(|done| News::of(done.rows_affected())).map_err(|error| self.reader.told(&error))
    }
}

async fn enter_answer(db: &mut SqliteConnection, answer: &Answer) -> Result<Recorded, sqlx::Error> {
    let (digest, whose) = (answer.digest(), listed(answer));
    // Whoever writes beside us waits here, so that both see what is the last one.
    let mut transaction = db.begin_with("BEGIN IMMEDIATE").await?;
    let last = sqlx::query(
        "SELECT id, digest, whose FROM answers WHERE network = ? AND kind = ?
         ORDER BY id DESC LIMIT 1",
    );
    let last = last.bind(answer.network.clone()).bind(answer.kind.question());
    if let Some(row) = last.fetch_optional(&mut *transaction).await? {
        let id = RowId(row.get(0));
        if row.get::<String, _>(1) == digest && row.get::<String, _>(2) == whose {
            let trouble = derive(id, answer).err();
            return Ok(Recorded { id, news: News::Known, trouble });
        }
    }
    let insert = sqlx::query(
        "INSERT INTO answers (at, network, kind, whose, body, digest) VALUES (?, ?, ?, ?, ?, ?)",
    );
    let insert = insert
        .bind(signed(answer.at.0))
        .bind(answer.network.clone())
        .bind(answer.kind.question())
        .bind(whose)
        .bind(answer.body.clone())
        .bind(digest);
    let id = RowId(insert.execute(&mut *transaction).await?.last_insert_rowid());
    let derived = derive(id, answer);
    if let Ok(derived) = &derived {
        enter_derived(&mut transaction, derived).await?;
    }
    transaction.commit().await?;
    Ok(Recorded { id, news: News::Added, trouble: derived.err() })
}

/// The own miners of an answer, as they are stored.
fn listed(answer: &Answer) -> String {
    answer.whose.iter().map(String::as_str).collect::<Vec<_>>().join(" ")
}

async fn enter_derived(db: &mut SqliteConnection, derived: &Derived) -> Result<(), sqlx::Error> {
    for row in &derived.epochs {
        enter_epoch(db, row).await?;
    }
    for row in &derived.standings {
        standing(row).execute(&mut *db).await?;
    }
    for row in &derived.runs {
        run(row).execute(&mut *db).await?;
    }
    for payment in &derived.payouts {
        payout(payment).execute(&mut *db).await?;
    }
    Ok(())
}

/// A new epoch, or a new revision of one of which something else was published before.
async fn enter_epoch(db: &mut SqliteConnection, row: &EpochRow) -> Result<(), sqlx::Error> {
    let known = sqlx::query(sqlx::AssertSqlSafe(format!(
        "SELECT {EPOCHS}, revision FROM epochs
         WHERE network = ? AND hotkey = ? AND run = ? AND began = ? AND epoch = ?
         ORDER BY revision DESC LIMIT 1"
    )));
    let known = known
        .bind(row.network.clone())
        .bind(row.hotkey.clone())
        .bind(row.run.clone())
        .bind(signed(row.began.0))
        .bind(signed(row.epoch));
    let revision = match known.fetch_optional(&mut *db).await? {
        None => 0,
        Some(found) => {
            let before = epoch_of(&found).map(|before| EpochRow { answer: row.answer, ..before });
            if before.as_ref() == Some(row) {
                return Ok(());
            }
            found.get::<i64, _>("revision") + 1
        }
    };
    let query = sqlx::query(sqlx::AssertSqlSafe(format!(
        "INSERT INTO epochs ({EPOCHS}, revision) VALUES
         (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    )));
    let query = query
        .bind(signed(row.at.0))
        .bind(row.network.clone())
        .bind(row.hotkey.clone())
        .bind(row.run.clone())
        .bind(signed(row.began.0))
        .bind(signed(row.epoch));
    walk(query, &row.walk)
        .bind(word(&row.claims))
        .bind(word(&row.period))
        .bind(row.loss.map(|loss| loss.to_string()))
        .bind(row.lowest_before.map(|loss| loss.to_string()))
        .bind(signed(row.emission.0))
        .bind(signed(row.terms.minimum.0))
        .bind(signed(row.terms.fee.0))
        .bind(signed(row.entitlement.0))
        .bind(signed(row.account.pending.0))
        .bind(signed(row.account.frozen.0))
        .bind(row.unit.word())
        .bind(row.stage.map(signed))
        .bind(signed(row.backwards))
        .bind(signed(row.partitions))
        .bind(word(&row.submitted))
        .bind(word(&row.standing))
        .bind(serde_json::to_string(&row.missing).unwrap_or_default())
        .bind(row.paid_to.clone())
        .bind(row.answer.0)
        .bind(revision)
        .execute(db)
        .await
        .map(drop)
}

/// The nine columns of a walk: raw, multiplier, total, run_total, share, incentive, active, burn, weight.
fn walk<'q>(query: Query<'q>, walk: &Walk) -> Query<'q> {
    let of =
        |pick: fn(&Allocation) -> &Exact| walk.allocation.as_ref().map(|a| pick(a).to_string());
    query
        .bind(walk.raw.to_string())
        .bind(walk.multiplier.as_ref().map(Exact::to_string))
        .bind(walk.total.to_string())
        .bind(walk.run_total.to_string())
        .bind(walk.share.to_string())
        .bind(of(|allocation| &allocation.incentive))
        .bind(of(|allocation| &allocation.active))
        .bind(of(|allocation| &allocation.burn))
        .bind(walk.weight.to_string())
}

fn standing(row: &StandingRow) -> Query<'static> {
    let query = sqlx::query(
        "INSERT INTO standings (at, network, hotkey, run, raw, multiplier, total, run_total, share,
            incentive, active, burn, weight, claims, answer)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    let query = query
        .bind(signed(row.at.0))
        .bind(row.network.clone())
        .bind(row.hotkey.clone())
        .bind(row.run.clone());
    walk(query, &row.walk).bind(word(&row.claims)).bind(row.answer.0)
}

fn run(row: &RunRow) -> Query<'static> {
    let query = sqlx::query(
        "INSERT INTO runs (at, network, run, burn, incentive, miners, answer)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    );
    query
        .bind(signed(row.at.0))
        .bind(row.network.clone())
        .bind(row.run.clone())
        .bind(row.burn.to_string())
        .bind(row.incentive.to_string())
        .bind(signed(row.miners))
        .bind(row.answer.0)
}

fn payout(payment: &Payment) -> Query<'static> {
    let (answer, reading) = match payment.by {
        PaidBy::Answer(id) => (Some(id.0), None),
        PaidBy::Stake(id) | PaidBy::Balance(id) => (None, Some(id.0)),
    };
    let query = sqlx::query(
        "INSERT OR IGNORE INTO payouts (at, network, name, hotkey, address, gross, fee, net, unit,
            source, answer, reading)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    query
        .bind(signed(payment.at.0))
        .bind(payment.network.clone())
        .bind(payment.name.clone())
        .bind(payment.hotkey.clone())
        .bind(payment.address.clone())
        .bind(signed(payment.gross.0))
        .bind(payment.fee.map(|fee| signed(fee.0)))
        .bind(signed(payment.net.0))
        .bind(payment.unit.word())
        .bind(payment.by.word())
        .bind(answer)
        .bind(reading)
}

/// The stored word of an enum without content.
fn word(value: &impl serde::Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

/// The same 64 bits as SQLite's signed number.
fn signed(value: u64) -> i64 {
    value.cast_signed()
}
