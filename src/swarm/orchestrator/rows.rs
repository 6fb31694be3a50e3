//! Rows of the books: how each kind of entry is written, and how rows are read back.

use std::time::Duration;

use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqliteConnection};

use crate::protocol::messages::Direction;
use crate::protocol::{Hotkey, Phase};
use crate::swarm::pay::KEPT;
use crate::swarm::queue::Ticket;
use crate::swarm::run::{
    ClosedMiner, Entry, MergedPartition, OptimizerState, RestoredMiner, RestoredWork, Submission,
};

/// Writes all of `entries` or none of them.
pub(super) async fn write_all(
    connection: &mut SqliteConnection,
    entries: &[Entry],
) -> Result<(), sqlx::Error> {
    let mut transaction = connection.begin().await?;
    for entry in entries {
        write_one(&mut transaction, entry).await?;
    }
    transaction.commit().await
}

async fn write_one(db: &mut SqliteConnection, entry: &Entry) -> Result<(), sqlx::Error> {
    let query = match entry {
        Entry::Stage { stage, phase, epoch } => {
            sqlx::query("INSERT OR REPLACE INTO stages (stage, phase, epoch) VALUES (?, ?, ?)")
                .bind(*stage as i64)
                .bind(phase.as_str())
                .bind(signed(*epoch))
        }
        Entry::Miner { hotkey, stage, order, node_id, live, score } => sqlx::query(
            "INSERT OR REPLACE INTO miners (hotkey, stage, place, node_id, live, score)
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(hotkey.as_str())
        .bind(*stage as i64)
        .bind(signed(*order))
        .bind(node_id)
        .bind(i64::from(*live))
        .bind(signed(*score)),
        Entry::Activation { id, epoch, sample, head, state } => sqlx::query(
            "INSERT OR REPLACE INTO activations (id, epoch, sample, head, state)
             VALUES (?, ?, ?, ?, ?)",
        )
        .bind(id.as_str())
        .bind(signed(*epoch))
        .bind(sample)
        .bind(head.as_str())
        .bind(*state),
        Entry::Pass { activation, stage, direction, hotkey, input, output } => sqlx::query(
            "INSERT OR REPLACE INTO passes
             (activation, stage, direction, hotkey, input_hash, output_hash)
             VALUES (?, ?, ?, ?, ?, ?)",
        )
        .bind(activation.as_str())
        .bind(*stage as i64)
        .bind(direction.as_str())
        .bind(hotkey.as_str())
        .bind(input)
        .bind(output),
        Entry::Loss { epoch, activation, hotkey, loss, tokens } => sqlx::query(
            "INSERT OR REPLACE INTO losses (activation, epoch, hotkey, loss, tokens)
             VALUES (?, ?, ?, ?, ?)",
        )
        .bind(activation.as_str())
        .bind(signed(*epoch))
        .bind(hotkey.as_str())
        .bind(*loss)
        .bind(signed(*tokens)),
        merging => return write_merging(db, merging).await,
    };
    query.execute(db).await.map(drop)
}

async fn write_merging(db: &mut SqliteConnection, entry: &Entry) -> Result<(), sqlx::Error> {
    let query = match entry {
        Entry::Upload { object, hotkey, kind, epoch } => sqlx::query(
            "INSERT OR REPLACE INTO uploads (object, hotkey, kind, epoch) VALUES (?, ?, ?, ?)",
        )
        .bind(object)
        .bind(hotkey.as_str())
        .bind(kind.as_str())
        .bind(signed(*epoch)),
        Entry::Submission { epoch, stage, hotkey, object, factor } => sqlx::query(
            "INSERT OR REPLACE INTO submissions (epoch, stage, hotkey, object, factor)
             VALUES (?, ?, ?, ?, ?)",
        )
        .bind(signed(*epoch))
        .bind(*stage as i64)
        .bind(hotkey.as_str())
        .bind(object)
        .bind(signed(*factor)),
        Entry::Copy { epoch, stage, chunk, hotkey, object } => sqlx::query(
            "INSERT OR REPLACE INTO copies (epoch, stage, chunk, hotkey, object)
             VALUES (?, ?, ?, ?, ?)",
        )
        .bind(signed(*epoch))
        .bind(*stage as i64)
        .bind(*chunk as i64)
        .bind(hotkey.as_str())
        .bind(object),
        Entry::Merged { stage, chunk, partition } => sqlx::query(
            "INSERT OR REPLACE INTO merged (stage, chunk, epoch, hotkey, object)
             VALUES (?, ?, ?, ?, ?)",
        )
        .bind(*stage as i64)
        .bind(*chunk as i64)
        .bind(signed(partition.epoch))
        .bind(partition.hotkey.as_ref().map(Hotkey::as_str))
        .bind(&partition.object),
        Entry::Score { hotkey, epoch, backwards, partitions } => sqlx::query(
            "INSERT OR REPLACE INTO scores (epoch, hotkey, backwards, partitions)
             VALUES (?, ?, ?, ?)",
        )
        .bind(signed(*epoch))
        .bind(hotkey.as_str())
        .bind(signed(*backwards))
        .bind(signed(*partitions)),
        Entry::Paid { epoch, record } => return write_paid(db, signed(*epoch), record).await,
        Entry::Over { epoch } => return forget(db, signed(*epoch)).await,
        Entry::Pruned { object } => {
            sqlx::query("INSERT OR REPLACE INTO pruned (object) VALUES (?)").bind(object)
        }
        joining => return write_joining(db, joining).await,
    };
    query.execute(db).await.map(drop)
}

/// Adds up what the epochs to this one come to, and lets their rows go. What names an object that is
/// still in the store stays: it is from there that a restart knows of it.
async fn forget(db: &mut SqliteConnection, epoch: i64) -> Result<(), sqlx::Error> {
    const STEPS: &[&str] = &[
        "INSERT OR IGNORE INTO totals (id, handed_out, tokens) VALUES (1, 0, 0)",
        "UPDATE totals SET
            handed_out = handed_out + (SELECT COUNT(*) FROM activations
                WHERE epoch <= ?1 AND sample IN (SELECT object FROM pruned)),
            tokens = tokens + (SELECT COALESCE(SUM(tokens), 0) FROM losses WHERE epoch <= ?1)",
        "DELETE FROM losses WHERE epoch <= ?1",
        "DELETE FROM passes WHERE activation IN (SELECT id FROM activations
            WHERE epoch <= ?1 AND sample IN (SELECT object FROM pruned))",
        "DELETE FROM activations WHERE epoch <= ?1 AND sample IN (SELECT object FROM pruned)",
        "DELETE FROM uploads WHERE epoch <= ?1 AND object IN (SELECT object FROM pruned)",
        "DELETE FROM pruned WHERE object NOT IN (SELECT object FROM uploads)
            AND object NOT IN (SELECT sample FROM activations)",
        "DELETE FROM submissions WHERE epoch <= ?1",
        "DELETE FROM copies WHERE epoch <= ?1",
        "DELETE FROM scores WHERE epoch <= ?1",
    ];
    for step in STEPS {
        let query = sqlx::query(*step);
        let query = if step.contains("?1") { query.bind(epoch) } else { query };
        query.execute(&mut *db).await?;
    }
    Ok(())
}

/// What an epoch was paid; the oldest goes.
async fn write_paid(
    db: &mut SqliteConnection,
    epoch: i64,
    record: &str,
) -> Result<(), sqlx::Error> {
    let insert = sqlx::query("INSERT OR REPLACE INTO paid (epoch, record) VALUES (?, ?)");
    insert.bind(epoch).bind(record).execute(&mut *db).await?;
    let forget = sqlx::query("DELETE FROM paid WHERE epoch <= ?");
    forget.bind(epoch - KEPT as i64).execute(db).await.map(drop)
}

async fn write_joining(db: &mut SqliteConnection, entry: &Entry) -> Result<(), sqlx::Error> {
    let query = match entry {
        Entry::Ticket(ticket) => return write_ticket(db, ticket).await,
        Entry::TicketGone { id } => sqlx::query("DELETE FROM tickets WHERE id = ?").bind(id),
        Entry::Payout { hotkey, coldkey } => {
            sqlx::query("INSERT OR REPLACE INTO payouts (hotkey, coldkey) VALUES (?, ?)")
                .bind(hotkey.as_str())
                .bind(coldkey)
        }
        Entry::Telemetry { hotkey, unix, metrics, samples, newest } => sqlx::query(
            "INSERT INTO telemetry (hotkey, at_unix, batches, metrics, samples, newest)
             VALUES (?, ?, 1, ?, ?, ?)
             ON CONFLICT (hotkey) DO UPDATE SET at_unix = excluded.at_unix,
                batches = telemetry.batches + 1, metrics = telemetry.metrics + excluded.metrics,
                samples = telemetry.samples + excluded.samples, newest = excluded.newest",
        )
        .bind(hotkey.as_str())
        .bind(*unix)
        .bind(signed(*metrics))
        .bind(signed(*samples))
        .bind(newest),
        Entry::OptimizerState { stage, epoch, hotkey, object } => sqlx::query(
            "INSERT OR REPLACE INTO optimizer_states (stage, epoch, hotkey, object)
             VALUES (?, ?, ?, ?)",
        )
        .bind(*stage as i64)
        .bind(signed(*epoch))
        .bind(hotkey.as_str())
        .bind(object),
        // The others are written by the callers.
        _ => return Ok(()),
    };
    query.execute(db).await.map(drop)
}

async fn write_ticket(db: &mut SqliteConnection, ticket: &Ticket) -> Result<(), sqlx::Error> {
    let request = serde_json::to_string(&ticket.request)
        .map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    let query = sqlx::query(
        "INSERT OR REPLACE INTO tickets (id, hotkey, place, status, since_unix,
            reserved_until_unix, request, mismatch, detail, error)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    );
    let query = query
        .bind(&ticket.id)
        .bind(ticket.hotkey.as_str())
        .bind(signed(ticket.place))
        .bind(ticket.status.as_str())
        .bind(ticket.since.as_secs_f64())
        .bind(ticket.reserved_until.map(|until| until.as_secs_f64()))
        .bind(request)
        .bind(i64::from(ticket.mismatch))
        .bind(ticket.detail.as_deref())
        .bind(ticket.error.as_ref().map(ToString::to_string));
    query.execute(db).await.map(drop)
}

/// A ticket; `None` when the row makes no sense.
pub(super) fn ticket_of(row: &SqliteRow) -> Option<Ticket> {
    let unix = |seconds: f64| Duration::try_from_secs_f64(seconds).ok();
    Some(Ticket {
        id: row.get(0),
        hotkey: row.get::<String, _>(1).parse().ok()?,
        place: unsigned(row.get(2)),
        status: row.get::<String, _>(3).into(),
        since: unix(row.get(4))?,
        reserved_until: row.get::<Option<f64>, _>(5).and_then(unix),
        request: serde_json::from_str(&row.get::<String, _>(6)).ok()?,
        mismatch: row.get::<i64, _>(7) != 0,
        detail: row.get(8),
        error: row.get::<Option<String>, _>(9).and_then(|text| serde_json::from_str(&text).ok()),
    })
}

/// The newest inner optimizer state of a stage.
pub(super) fn optimizer_state_of(row: &SqliteRow) -> Option<(usize, OptimizerState)> {
    let hotkey = row.get::<String, _>(2).parse().ok()?;
    let state = OptimizerState { hotkey, object: row.get(3), epoch: unsigned(row.get(1)) };
    Some((index(row.get(0)), state))
}

/// Stage, phase, epoch; `None` when the row makes no sense.
pub(super) fn stage_of(row: &SqliteRow) -> Option<(usize, Phase, u64)> {
    let phase = row.get::<String, _>(1).parse().ok()?;
    Some((index(row.get(0)), phase, unsigned(row.get(2))))
}

/// What a miner reported; `None` when the row makes no sense.
pub(super) fn work_of(row: &SqliteRow) -> Option<RestoredWork> {
    let direction: String = row.get(2);
    let direction = [Direction::Forward, Direction::Backward]
        .into_iter()
        .find(|known| known.as_str() == direction)?;
    Some(RestoredWork {
        stage: index(row.get(0)),
        hotkey: row.get::<String, _>(1).parse().ok()?,
        direction,
        count: unsigned(row.get(3)),
    })
}

/// Stage, pseudo-gradient; `None` when the row makes no sense.
pub(super) fn submission_of(row: &SqliteRow) -> Option<(usize, Submission)> {
    let hotkey = row.get::<String, _>(1).parse().ok()?;
    let submission = Submission { hotkey, object: row.get(2), factor: unsigned(row.get(3)) };
    Some((index(row.get(0)), submission))
}

/// What a miner did in an epoch that is not paid yet; `None` when the row makes no sense.
pub(super) fn settled_of(row: &SqliteRow) -> Option<ClosedMiner> {
    Some(ClosedMiner {
        hotkey: row.get::<String, _>(0).parse().ok()?,
        stage: index(row.get(1)),
        backwards: unsigned(row.get(2)),
        partitions: unsigned(row.get(3)),
        submitted: row.get::<i64, _>(4) != 0,
        // Whoever was benched in an epoch that a restart cut is not known any more.
        benched: false,
    })
}

/// Stage, chunk, merged partition.
pub(super) fn merged_of(row: &SqliteRow) -> (usize, usize, MergedPartition) {
    let hotkey: Option<String> = row.get(2);
    let partition = MergedPartition {
        hotkey: hotkey.and_then(|text| text.parse().ok()),
        object: row.get(3),
        epoch: unsigned(row.get(4)),
    };
    (index(row.get(0)), index(row.get(1)), partition)
}

/// A miner; `None` when the row makes no sense.
pub(super) fn miner_of(row: &SqliteRow) -> Option<RestoredMiner> {
    Some(RestoredMiner {
        hotkey: row.get::<String, _>(0).parse().ok()?,
        stage: index(row.get(1)),
        order: unsigned(row.get(2)),
        node_id: row.get(3),
        score: unsigned(row.get(4)),
    })
}

/// SQL has no unsigned numbers; the bits stay the same.
pub(super) fn signed(number: u64) -> i64 {
    i64::from_ne_bytes(number.to_ne_bytes())
}

/// The reverse of [`signed`].
pub(super) fn unsigned(number: i64) -> u64 {
    u64::from_ne_bytes(number.to_ne_bytes())
}

/// A count or place; a negative one is nowhere.
fn index(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
