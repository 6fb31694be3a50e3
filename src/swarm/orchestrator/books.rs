//! The orchestrator's books: everything that was registered, handed out, reported, submitted and
//! merged, in one SQLite file (or in memory, for tests). The rules keep their counters in memory; the
//! books are what they are counted from, and what a swarm resumes from.

use std::path::PathBuf;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{ConnectOptions, Row, SqliteConnection};

use super::rows::{
    merged_of, miner_of, optimizer_state_of, settled_of, signed, stage_of, submission_of,
    ticket_of, unsigned, work_of, write_all,
};
use super::schema::{TABLES, VERSION};
use crate::swarm::pay::RestoredPay;
use crate::swarm::run::{ClosedMiner, Entry, Restored, RunPlan};

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
            // Older tables are like these; those that were missing were just made.
            Some(1..VERSION) => {
                let update = sqlx::query("UPDATE schema_version SET version = ?");
                let done = update.bind(VERSION).execute(&mut self.connection).await;
                done.map(drop).map_err(|error| self.failed(&error))
            }
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
            self.enter_run(plan, model, now_unix).await?;
            let since = Duration::try_from_secs_f64(now_unix).unwrap_or_default();
            let pay = RestoredPay { since, ..RestoredPay::default() };
            return Ok(Restored { pay, ..Restored::default() });
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
        let sums = sqlx::query(
            "SELECT (SELECT COALESCE(SUM(tokens), 0) FROM losses)
                    + COALESCE((SELECT tokens FROM totals), 0),
                (SELECT COUNT(*) FROM activations)
                    + COALESCE((SELECT handed_out FROM totals), 0)",
        );
        let sums = sums.fetch_one(&mut *db).await?;
        let (tokens, handed_out) = (unsigned(sums.get(0)), unsigned(sums.get(1)));
        let merged = sqlx::query("SELECT stage, chunk, hotkey, object, epoch FROM merged")
            .fetch_all(&mut *db)
            .await?;
        let miners = sqlx::query("SELECT hotkey, stage, place, node_id, score FROM miners")
            .fetch_all(&mut *db)
            .await?;
        let leftovers = sqlx::query(
            "SELECT object FROM (SELECT object FROM uploads UNION SELECT sample FROM activations)
             WHERE object NOT IN (SELECT object FROM merged)
               AND object NOT IN (SELECT object FROM optimizer_states)
               AND object NOT IN (SELECT object FROM pruned)",
        );
        let states = sqlx::query("SELECT stage, epoch, hotkey, object FROM optimizer_states")
            .fetch_all(&mut *db)
            .await?;
        let tickets = sqlx::query(
            "SELECT id, hotkey, place, status, since_unix, reserved_until_unix, request, mismatch,
                detail, error
             FROM tickets ORDER BY place",
        );
        let tickets = tickets.fetch_all(&mut *db).await?;
        let stages =
            sqlx::query("SELECT stage, phase, epoch FROM stages").fetch_all(&mut *db).await?;
        let work = sqlx::query(
            "SELECT passes.stage, passes.hotkey, passes.direction, COUNT(*) FROM passes
             JOIN activations ON activations.id = passes.activation
             JOIN stages ON stages.stage = passes.stage AND stages.epoch = activations.epoch
             GROUP BY passes.stage, passes.hotkey, passes.direction",
        );
        let work = work.fetch_all(&mut *db).await?;
        let submissions = sqlx::query(
            "SELECT submissions.stage, submissions.hotkey, submissions.object, submissions.factor
             FROM submissions
             JOIN stages ON stages.stage = submissions.stage AND stages.epoch = submissions.epoch",
        );
        let submissions = submissions.fetch_all(&mut *db).await?;
        let leftovers = leftovers.fetch_all(&mut *db).await?;
        Ok(Restored {
            epoch,
            stages: stages.iter().filter_map(stage_of).collect(),
            work: work.iter().filter_map(work_of).collect(),
            submissions: submissions.iter().filter_map(submission_of).collect(),
            handed_out,
            tokens,
            merged: merged.iter().map(merged_of).collect(),
            miners: miners.iter().filter_map(miner_of).collect(),
            leftovers: leftovers.iter().map(|row| row.get(0)).collect(),
            optimizer_states: states.iter().filter_map(optimizer_state_of).collect(),
            tickets: tickets.iter().filter_map(ticket_of).collect(),
            losses: self.losses().await?,
            settled: self.settled().await?,
            pay: self.pay().await?,
        })
    }

    /// Sum and number of the losses of the epoch that not every stage is over with.
    async fn losses(&mut self) -> Result<(f64, u64), sqlx::Error> {
        let query = sqlx::query(
            "SELECT COALESCE(SUM(loss), 0.0), COUNT(*) FROM losses
             WHERE epoch = (SELECT MIN(epoch) FROM stages)",
        );
        let row = query.fetch_one(&mut self.connection).await?;
        Ok((row.get(0), unsigned(row.get(1))))
    }

    /// What stages that are over with that epoch settled.
    async fn settled(&mut self) -> Result<Vec<ClosedMiner>, sqlx::Error> {
        let query = sqlx::query(
            "SELECT scores.hotkey, miners.stage, scores.backwards, scores.partitions,
                EXISTS (SELECT 1 FROM submissions WHERE submissions.hotkey = scores.hotkey
                    AND submissions.epoch = scores.epoch)
             FROM scores JOIN miners ON miners.hotkey = scores.hotkey
             WHERE scores.epoch = (SELECT MIN(epoch) FROM stages)",
        );
        let rows = query.fetch_all(&mut self.connection).await?;
        Ok(rows.iter().filter_map(settled_of).collect())
    }

    async fn pay(&mut self) -> Result<RestoredPay, sqlx::Error> {
        let epochs = sqlx::query("SELECT record FROM paid ORDER BY epoch");
        let epochs = epochs.fetch_all(&mut self.connection).await?;
        let payees = sqlx::query("SELECT hotkey, coldkey FROM payouts");
        let payees = payees.fetch_all(&mut self.connection).await?;
        let began = sqlx::query("SELECT started_unix FROM runs");
        let began = began.fetch_one(&mut self.connection).await?;
        Ok(RestoredPay {
            since: Duration::try_from_secs_f64(began.get(0)).unwrap_or_default(),
            epochs: epochs.iter().map(|row| row.get(0)).collect(),
            payees: payees.iter().map(|row| (row.get(0), row.get(1))).collect(),
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

    /// Puts what was written on the disk: a power cut takes what is not there yet.
    ///
    /// # Errors
    /// The file cannot be written.
    pub async fn flush(&mut self) -> Result<(), BooksError> {
        // It flushes the log before it takes anything over into the file, and then that.
        let query = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)");
        let done = query.fetch_all(&mut self.connection).await;
        done.map(drop).map_err(|error| self.failed(&error))
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

fn shape(run: &str, stages: i64, partitions: i64, model: &str, seed: i64) -> String {
    format!("run {run}, model {model}, {stages} stages, {partitions} partitions, seed {seed}")
}

/// The database's own words, without the wrapping of the library where there is none needed.
fn told(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(inner) => inner.message().to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Hotkey;
    use crate::protocol::messages::{Direction, FileType};
    use crate::swarm::rules::Rules;
    use crate::swarm::run::Submission;

    /// What one epoch of a small swarm writes; its objects of two epochs ago go.
    fn entries(epoch: u64) -> Vec<Entry> {
        let hotkey = Hotkey::from_public_key(&[1; 32]);
        let mut all = Vec::new();
        for n in 0..20 {
            let id: crate::protocol::ActivationId = format!("a{epoch}-{n}").into();
            let sample = format!("sample{epoch}-{n}");
            let (head, state) = (hotkey.clone(), "done");
            all.push(Entry::Activation { id: id.clone(), epoch, sample, head, state });
            for direction in [Direction::Forward, Direction::Backward] {
                let (activation, hotkey) = (id.clone(), hotkey.clone());
                let (input, output) = (Some("i".repeat(64)), Some("o".repeat(64)));
                all.push(Entry::Pass { activation, stage: 0, direction, hotkey, input, output });
            }
            let (activation, hotkey) = (id, hotkey.clone());
            all.push(Entry::Loss { epoch, activation, hotkey, loss: 2.0, tokens: 100 });
            if let Some(old) = epoch.checked_sub(2) {
                all.push(Entry::Pruned { object: format!("sample{old}-{n}") });
            }
        }
        let (object, kind) = (format!("weights{epoch}"), FileType::Weights);
        all.push(Entry::Upload { object: object.clone(), hotkey: hotkey.clone(), kind, epoch });
        let Submission { hotkey, object, factor } = Submission { hotkey, object, factor: 3 };
        all.push(Entry::Submission { epoch, stage: 0, hotkey, object, factor });
        if let Some(old) = epoch.checked_sub(2).filter(|old| *old != 7) {
            all.push(Entry::Pruned { object: format!("weights{old}") });
        }
        all
    }

    fn plan() -> RunPlan {
        RunPlan {
            run_id: "test".into(),
            stages: 1,
            miners_per_stage: 1,
            backwards_per_miner: 20,
            epochs: None,
            seed: 1,
            num_partitions: 1,
            tokens_per_activation: 100,
            rules: Rules::lenient(),
            names: Default::default(),
        }
    }

    #[tokio::test]
    async fn books_of_a_long_run_stay_as_small_and_a_restart_knows_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::File(folder.path().join("books.sqlite"));
        let mut books = Books::open(&shelf).await.unwrap();
        books.begin(&plan(), "m", 1.0).await.unwrap();
        let mut sizes = Vec::new();
        for epoch in 1..=120 {
            let mut entries = entries(epoch);
            if let Some(epoch) = epoch.checked_sub(10).filter(|over| *over > 0) {
                entries.push(Entry::Over { epoch });
            }
            books.write(&entries).await.unwrap();
            sizes.push(books.count("SELECT page_count FROM pragma_page_count").await.unwrap());
        }
        assert!(sizes[119] <= sizes[30] + 4, "{sizes:?}");
        assert!(sizes[0] + 20 < sizes[30], "nothing was written: {sizes:?}");
        drop(books);
        let mut books = Books::open(&shelf).await.unwrap();
        let restored = books.begin(&plan(), "m", 2.0).await.unwrap();
        assert_eq!((restored.handed_out, restored.tokens), (120 * 20, 120 * 20 * 100));
        let mut left = restored.leftovers;
        left.retain(|object| object.starts_with("weights"));
        left.sort();
        // The one that was never removed from the store is known for as long as it is there.
        assert_eq!(left, ["weights119", "weights120", "weights7"]);
        assert_eq!(books.count("SELECT MIN(epoch) FROM losses").await.unwrap(), 111);
    }

    #[tokio::test]
    async fn an_epoch_that_a_restart_cut_is_paid_for_all_that_was_done_in_it() {
        let mut books = Books::open(&Shelf::Memory).await.unwrap();
        books.begin(&plan(), "m", 1.0).await.unwrap();
        let hotkey = Hotkey::from_public_key(&[1; 32]);
        let stage =
            |stage, epoch| Entry::Stage { stage, phase: crate::protocol::Phase::Training, epoch };
        let score = |epoch| {
            let (hotkey, backwards, partitions) = (hotkey.clone(), 7, 2);
            Entry::Score { hotkey, epoch, backwards, partitions }
        };
        let miner = Entry::Miner {
            hotkey: hotkey.clone(),
            stage: 0,
            order: 0,
            node_id: "n".into(),
            live: true,
            score: 9,
        };
        let mut all = vec![stage(0, 3), stage(1, 2), miner, score(1), score(2)];
        all.extend(entries(2));
        books.write(&all).await.unwrap();
        let cut = books.begin(&plan(), "m", 2.0).await.unwrap();
        assert_eq!(cut.losses, (40.0, 20), "those of epoch 2");
        let settled = &cut.settled[..];
        assert_eq!((settled.len(), settled[0].score(), settled[0].submitted), (1, 9, true));
        // Once every stage is over with it, it counts no more.
        books.write(&[stage(1, 3)]).await.unwrap();
        let whole = books.begin(&plan(), "m", 2.0).await.unwrap();
        assert_eq!((whole.losses, whole.settled), ((0.0, 0), vec![]));
    }
}
