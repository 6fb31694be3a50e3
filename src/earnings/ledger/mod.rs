//! The ledger: what servers and the chain said of the own miners' pay, exactly as it came, what follows
//! from it, and the work and the energy behind it. One SQLite file in the data folder. Rows are only ever
//! added. Whoever mines writes; anybody may read beside it. Each write is one transaction that may be
//! made again without counting anything twice, so that an end at any moment leaves whole rows.

mod header;
mod read;
mod rows;
mod schema;
mod verify;
mod write;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection as _, Row as _, SqliteConnection};

pub use read::{Reader, Rows, Span};
pub use rows::{
    Answer, AnswerKind, AnswerRow, At, Claims, Energy, EpochRow, Lost, Millijoules, PaidBy,
    Payment, Price, Reading, RowId, RunRow, Standing, StandingRow, Submitted, Work,
};
pub use verify::{Difference, Verified};
pub use write::{Ledger, News, Recorded};

use header::Header;
use schema::{APPLICATION, TABLES, VERSION};

/// Its name in the data folder.
pub const FILE_NAME: &str = "ledger.sqlite";
/// So long a writer waits for another one to finish.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// There is none.
    #[error(
        "there is no ledger {0} yet: `hearth run` begins one, and nothing was earned here before"
    )]
    Missing(PathBuf),
    /// It cannot be opened, read or written.
    #[error(
        "the ledger {file} cannot be used: {reason}; check that the folder is writable and the disk not full"
    )]
    Unusable {
        /// The file.
        file: PathBuf,
        /// What the system or the database said.
        reason: String,
    },
    /// It is of a newer program.
    #[error(
        "the ledger {file} is of version {found}, this program knows {VERSION}: update Hearth; the file was left as it is"
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: u32,
    },
    /// It is another program's file.
    #[error(
        "{0} is another program's database and no ledger of Hearth: move it away, or name another file; it was left as it is"
    )]
    Foreign(PathBuf),
    /// What lies in it is not what was written.
    #[error(
        "the ledger {file} is damaged ({reason}): the next `hearth run` puts it aside and begins a new one; a copy from a backup can be read with --ledger"
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl LedgerError {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "ledger-missing",
            Self::Unusable { .. } => "ledger-unusable",
            Self::Newer { .. } => "ledger-newer",
            Self::Foreign(_) => "ledger-foreign",
            Self::Damaged { .. } => "ledger-damaged",
        }
    }

    fn unusable(file: &Path, reason: impl std::fmt::Display) -> Self {
        Self::Unusable { file: file.to_owned(), reason: reason.to_string() }
    }
}

/// What became of an older file when a ledger was opened for writing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// It is the same one as before.
    Again,
    /// There was none.
    Begun,
    /// It was damaged, and is kept under this name; a new one was begun.
    PutAside(PathBuf),
}

impl Ledger {
    /// Opens the ledger for writing, or begins one. A damaged file is put aside, never removed; `now` is
    /// for its name.
    ///
    /// # Errors
    /// It cannot be used, is of a newer program, or is another program's file.
    pub async fn open(path: &Path, now: At) -> Result<(Self, Opened), LedgerError> {
        let mut opened = match look(path)? {
            Header::Absent => {
                begin(path).await?;
                Opened::Begun
            }
            Header::Damaged => replace(path, now).await?,
            _ => Opened::Again,
        };
        let (connection, opened) = match writable(path).await {
            Err(LedgerError::Damaged { .. }) if opened == Opened::Again => {
                opened = replace(path, now).await?;
                (writable(path).await?, opened)
            }
            tried => (tried?, opened),
        };
        let mut ledger = Self::over(Reader::over(connection, path));
        if let Opened::PutAside(kept) = &opened {
            ledger.note(now, "put-aside", &kept.display().to_string()).await?;
        }
        Ok((ledger, opened))
    }
}

impl Reader {
    /// Opens a ledger for reading only. It may be written meanwhile, and may lie where nothing can be
    /// written.
    ///
    /// # Errors
    /// There is none, it cannot be read, is damaged, of a newer program, or another program's file.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        match look(path)? {
            Header::Absent => return Err(LedgerError::Missing(path.to_owned())),
            Header::Damaged => {
                let reason = "it is no SQLite file".to_owned();
                return Err(LedgerError::Damaged { file: path.to_owned(), reason });
            }
            _ => {}
        }
        let options = SqliteConnectOptions::new().filename(path).busy_timeout(PATIENCE);
        let live = options.clone().read_only(true).connect().await;
        let mut connection = match live {
            Ok(mut connection) => match probe(&mut connection).await {
                Ok(()) => connection,
                Err(error) => as_it_lies(options, path, &error).await?,
            },
            Err(error) => as_it_lies(options, path, &error).await?,
        };
        let probed = probe(&mut connection).await;
        probed.map_err(|error| told(path, &error))?;
        Ok(Self::over(connection, path))
    }
}

/// A copy where no index for the log can be made, and that nobody writes: it is read as it lies there.
async fn as_it_lies(
    options: SqliteConnectOptions,
    path: &Path,
    error: &sqlx::Error,
) -> Result<SqliteConnection, LedgerError> {
    if beside(path, "-wal").metadata().is_ok_and(|log| log.len() > 0) {
        return Err(told(path, error));
    }
    let opened = options.read_only(true).immutable(true).connect().await;
    opened.map_err(|error| told(path, &error))
}

async fn probe(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::query("SELECT COUNT(*) FROM answers").fetch_one(connection).await.map(drop)
}

/// Whose file it is; an error for those that are not for us.
fn look(path: &Path) -> Result<Header, LedgerError> {
    match header::look(path).map_err(|error| LedgerError::unusable(path, error))? {
        Header::Newer(found) => Err(LedgerError::Newer { file: path.to_owned(), found }),
        Header::Foreign => Err(LedgerError::Foreign(path.to_owned())),
        header => Ok(header),
    }
}

/// Makes an empty ledger under another name, and gives it its own when it is whole.
async fn begin(path: &Path) -> Result<(), LedgerError> {
    let fail = |error: sqlx::Error| told(path, &error);
    let io = |error: std::io::Error| LedgerError::unusable(path, error);
    if let Some(folder) = path.parent() {
        crate::config::folders::prepare(folder)
            .map_err(|error| LedgerError::unusable(path, error))?;
    }
    let draft = beside(path, &format!(".new-{}", std::process::id()));
    for end in ["", "-journal"] {
        let _ = fs::remove_file(beside(&draft, end));
    }
    let options = SqliteConnectOptions::new().filename(&draft).create_if_missing(true);
    let options = options.synchronous(SqliteSynchronous::Full);
    let mut connection = options.connect().await.map_err(fail)?;
    let marks = format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}");
    let mut making = connection.begin().await.map_err(fail)?;
    for text in TABLES.iter().map(|text| (*text).to_owned()).chain(schema::guards()).chain([marks])
    {
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut *making).await.map_err(fail)?;
    }
    making.commit().await.map_err(fail)?;
    connection.close().await.map_err(fail)?;
    private(&draft).map_err(io)?;
    // A link refuses to take the place of a ledger that another process began meanwhile.
    let named = match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        // Not every disk has links.
        Err(_) if !path.exists() => fs::rename(&draft, path),
        Err(error) => Err(error),
        Ok(()) => Ok(()),
    };
    let _ = fs::remove_file(&draft);
    named.map_err(io)
}

/// Only its owner reads what somebody earns.
#[cfg(unix)]
fn private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

/// The data folder is the user's own.
#[cfg(not(unix))]
fn private(_path: &Path) -> std::io::Result<()> {
    Ok(())
}

/// Opens for writing, and looks whether the file is whole.
async fn writable(path: &Path) -> Result<SqliteConnection, LedgerError> {
    let fail = |error: sqlx::Error| told(path, &error);
    let options = SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(PATIENCE)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    let mut connection = options.connect().await.map_err(fail)?;
    match checked(&mut connection, path).await {
        Ok(()) => Ok(connection),
        Err(error) => {
            // In order: whoever puts the file aside must not meet one that is still being closed.
            let _ = connection.close().await;
            Err(error)
        }
    }
}

async fn checked(connection: &mut SqliteConnection, path: &Path) -> Result<(), LedgerError> {
    let fail = |error: sqlx::Error| told(path, &error);
    let check = sqlx::query("PRAGMA quick_check(1)").fetch_one(&mut *connection).await;
    let verdict: String = check.map_err(fail)?.get(0);
    if verdict != "ok" {
        return Err(LedgerError::Damaged { file: path.to_owned(), reason: verdict });
    }
    probe(connection).await.map_err(fail)
}

/// Puts a damaged file aside, with what belongs to it, and begins a new one.
async fn replace(path: &Path, now: At) -> Result<Opened, LedgerError> {
    let io = |error: std::io::Error| LedgerError::unusable(path, error);
    let free = |n: u64| {
        let end = if n == 0 { String::new() } else { format!("-{n}") };
        beside(path, &format!(".damaged-{}{end}", now.0 / 1000))
    };
    let kept = (0..).map(free).find(|name| !name.exists()).unwrap_or_else(|| free(0));
    for end in ["-wal", "-shm"] {
        match fs::rename(beside(path, end), beside(&kept, end)) {
            // There need not be any.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            moved => moved.map_err(io)?,
        }
    }
    fs::rename(path, &kept).map_err(io)?;
    begin(path).await?;
    Ok(Opened::PutAside(kept))
}

/// The file of that name with an ending.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// SQLite's codes for a file whose content is not what was written: CORRUPT and NOTADB.
const DAMAGED: [u32; 2] = [11, 26];

/// The database's own words; a damaged file is told apart.
fn told(file: &Path, error: &sqlx::Error) -> LedgerError {
    if let sqlx::Error::Database(inner) = error {
        let primary = inner.code().and_then(|code| code.parse::<u32>().ok()).map(|code| code & 255);
        let damaged = primary.is_some_and(|code| DAMAGED.contains(&code))
            || inner.message().starts_with("no such table");
        let reason = inner.message().to_owned();
        return match damaged {
            true => LedgerError::Damaged { file: file.to_owned(), reason },
            false => LedgerError::Unusable { file: file.to_owned(), reason },
        };
    }
    LedgerError::unusable(file, error)
}

#[cfg(test)]
pub(crate) mod tests;
