//! The orchestrator's books: everything that was registered, handed out, reported, submitted and
//! merged, in one SQLite file (or in memory, for tests). The rules keep their counters in memory; the
//! books are what they are counted from, and what a swarm resumes from.

use std::path::PathBuf;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};

use super::schema::{TABLES, VERSION};
use crate::protocol::Hotkey;
use crate::swarm::run::{Entry, MergedPartition, Restored, RestoredMiner, RunPlan};

/// Where the books are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shelf {
    /// A file; made if missing.
    File(PathBuf),
    /// Nowhere: they end with the process.
    Memory,
}

/// Why the books cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// The file cannot be opened, made or written.
    #[error(
        "the swarm's books {file} cannot be used: {reason}; check that the folder is writable and the disk not full, or choose another folder"
    )]
    File {
        /// The file.
        file: String,
        /// What the database said.
        reason: String,
    },
    /// The file is of a newer program.
    #[error(
        "the swarm's books {file} are of version {found}, this program knows {VERSION}; update Hearth, or choose another folder"
    )]
    Version {
        /// The file.
        file: String,
        /// Its version.
        found: i64,
    },
    /// The file is of a swarm with another model or shape.
    #[error(
        "the folder holds the books of another swarm ({found}, this one is {wanted}); choose another folder, or start with the settings of that swarm"
    )]
    OtherRun {
        /// What the file is of.
        found: String,
        /// What is to be started.
        wanted: String,
    },
}

/// Open books.
#[derive(Debug)]
pub struct Books {
    connection: SqliteConnection,
    file: String,
}

impl Books {
    /// Opens the books, or makes them.
    ///
    /// # Errors
    /// The file cannot be used, or is of a newer program.
    pub async fn open(shelf: &Shelf) -> Result<Self, BooksError> {
        let file = match shelf {
            Shelf::File(path) => path.display().to_string(),
            Shelf::Memory => "in memory".to_owned(),
        };
        let fail =
            |error: sqlx::Error| BooksError::File { file: file.clone(), reason: told(&error) };
        let connection = options(shelf).connect().await.map_err(fail)?;
        let mut books = Self { connection, file: file.clone() };
        for table in TABLES {
            sqlx::query(*table).execute(&mut books.connection).await.map_err(fail)?;
        }
        books.check_version().await?;
        Ok(books)
    }

    async fn check_version(&mut self) -> Result<(), BooksError> {
        let query = sqlx::query("SELECT version FROM schema_version");
        let row = query.fetch_optional(&mut self.connection).await;
        match row.map_err(|error| self.failed(&error))?.map(|row| row.get::<i64, _>(0)) {
            Some(VERSION) => Ok(()),
            Some(found) => Err(BooksError::Version { file: self.file.clone(), found }),
            None => {
                let insert = sqlx::query("INSERT INTO schema_version (version) VALUES (?)");
                let done = insert.bind(VERSION).execute(&mut self.connection).await;
                done.map(drop).map_err(|error| self.failed(&error))
            }
        }
    }

    /// Enters the run on its first start, and gives what it resumes from on every other.
    /// `model` says which model is trained, so that another one is not mistaken for it.
    ///
    /// # Errors
    /// The file cannot be read or written, or is of another swarm.
    pub async fn begin(
        &mut self,
        plan: &RunPlan,
        model: &str,
        now_unix: f64,
    ) -> Result<Restored, BooksError> {
        let query = sqlx::query("SELECT run_id, stages, num_partitions, model, seed FROM runs");
        let row = query.fetch_optional(&mut self.connection).await;
        let Some(row) = row.map_err(|error| self.failed(&error))? else {
            return self.enter_run(plan, model, now_unix).await.map(|()| Restored::default());
        };
        let found = shape(
            &row.get::<String, _>(0),
            row.get(1),
            row.get(2),
            &row.get::<String, _>(3),
            row.get(4),
        );
        let (stages, partitions) = (plan.stages as i64, plan.num_partitions as i64);
        let wanted = shape(plan.run_id.as_str(), stages, partitions, model, signed(plan.seed));
        if found != wanted {
            return Err(BooksError::OtherRun { found, wanted });
        }
        self.restore().await.map_err(|error| self.failed(&error))
    }

    async fn enter_run(
        &mut self,
        plan: &RunPlan,
        model: &str,
        now_unix: f64,
    ) -> Result<(), BooksError> {
        let insert = sqlx::query(
            "INSERT INTO runs (run_id, seed, stages, num_partitions, model, started_unix)
             VALUES (?, ?, ?, ?, ?, ?)",
        );
        let insert = insert
            .bind(plan.run_id.as_str())
            .bind(signed(plan.seed))
            .bind(plan.stages as i64)
            .bind(plan.num_partitions as i64)
            .bind(model)
            .bind(now_unix);
        let done = insert.execute(&mut self.connection).await;
        done.map(drop).map_err(|error| self.failed(&error))
    }

    async fn restore(&mut self) -> Result<Restored, sqlx::Error> {
        let db = &mut self.connection;
        let epoch = sqlx::query("SELECT COALESCE(MAX(epoch), 0) FROM stages").fetch_one(&mut *db);
        let epoch = unsigned(epoch.await?.get(0));
        let tokens = sqlx::query("SELECT COALESCE(SUM(tokens), 0) FROM losses").fetch_one(&mut *db);
        let tokens = unsigned(tokens.await?.get(0));
        let merged = sqlx::query("SELECT stage, chunk, hotkey, object, epoch FROM merged")
            .fetch_all(&mut *db)
            .await?;
        let miners = sqlx::query("SELECT hotkey, stage, place, node_id, score FROM miners")
            .fetch_all(&mut *db)
            .await?;
        let leftovers = sqlx::query(
            "SELECT object FROM (SELECT object FROM uploads UNION SELECT sample FROM activations)
             WHERE object NOT IN (SELECT object FROM merged)
               AND object NOT IN (SELECT object FROM pruned)",
        );
        let leftovers = leftovers.fetch_all(&mut *db).await?;
        Ok(Restored {
            epoch,
            tokens,
            merged: merged.iter().map(merged_of).collect(),
            miners: miners.iter().filter_map(miner_of).collect(),
            leftovers: leftovers.iter().map(|row| row.get(0)).collect(),
        })
    }

    /// Writes all of `entries` or none of them.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn write(&mut self, entries: &[Entry]) -> Result<(), BooksError> {
        if entries.is_empty() {
            return Ok(());
        }
        let done = write_all(&mut self.connection, entries).await;
        done.map_err(|error| self.failed(&error))
    }

    /// One number from the books; for tests and reports.
    ///
    /// # Errors
    /// The query is wrong, or the file cannot be read.
    pub async fn count(&mut self, query: &'static str) -> Result<i64, BooksError> {
        let row = sqlx::query(query).fetch_one(&mut self.connection).await;
        row.map(|row| row.get(0)).map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &sqlx::Error) -> BooksError {
        BooksError::File { file: self.file.clone(), reason: told(error) }
    }
}

fn options(shelf: &Shelf) -> SqliteConnectOptions {
    match shelf {
        Shelf::File(path) => SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal),
        Shelf::Memory => SqliteConnectOptions::new().in_memory(true),
    }
}

async fn write_all(
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
        Entry::Pruned { object } => {
            sqlx::query("INSERT OR REPLACE INTO pruned (object) VALUES (?)").bind(object)
        }
        // The others are written by the caller.
        _ => return Ok(()),
    };
    query.execute(db).await.map(drop)
}

fn merged_of(row: &SqliteRow) -> (usize, usize, MergedPartition) {
    let hotkey: Option<String> = row.get(2);
    let partition = MergedPartition {
        hotkey: hotkey.and_then(|text| text.parse().ok()),
        object: row.get(3),
        epoch: unsigned(row.get(4)),
    };
    (index(row.get(0)), index(row.get(1)), partition)
}

fn miner_of(row: &SqliteRow) -> Option<RestoredMiner> {
    Some(RestoredMiner {
        hotkey: row.get::<String, _>(0).parse().ok()?,
        stage: index(row.get(1)),
        order: unsigned(row.get(2)),
        node_id: row.get(3),
        score: unsigned(row.get(4)),
    })
}

fn shape(run: &str, stages: i64, partitions: i64, model: &str, seed: i64) -> String {
    format!("run {run}, model {model}, {stages} stages, {partitions} partitions, seed {seed}")
}

/// SQL has no unsigned numbers; the bits stay the same.
fn signed(number: u64) -> i64 {
    i64::from_ne_bytes(number.to_ne_bytes())
}

fn unsigned(number: i64) -> u64 {
    u64::from_ne_bytes(number.to_ne_bytes())
}

fn index(number: i64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The database's own words, without the wrapping of the library where there is none needed.
fn told(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(inner) => inner.message().to_owned(),
        other => other.to_string(),
    }
}
