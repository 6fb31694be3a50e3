//! The folder of the records: what lies there, what a new one is called, and what makes room.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// The end of a record's file name.
const ENDING: &str = ".record";

/// A folder of records.
#[derive(Clone, Debug)]
pub struct Shelf {
    folder: PathBuf,
}

/// A record that lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shelved {
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
}

impl Shelf {
    /// The records in the state folder of this user.
    pub fn of(state: &Path) -> Self {
        Self { folder: state.join("records") }
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All records, oldest first; nothing where there is no folder yet.
    pub fn list(&self) -> Vec<Shelved> {
        let found = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let mut records: Vec<Shelved> = found
            .filter(|entry| entry.file_name().to_string_lossy().ends_with(ENDING))
            .filter_map(|entry| {
                let bytes = entry.metadata().ok().filter(fs::Metadata::is_file)?.len();
                Some(Shelved { path: entry.path(), bytes })
            })
            .collect();
        records.sort_by_key(|record| order(&record.path));
        records
    }

    /// Removes the oldest records until all together take at most `most` bytes.
    pub fn shrink_to(&self, most: u64) {
        let records = self.list();
        let mut all: u64 = records.iter().map(|record| record.bytes).sum();
        for record in records {
            if all <= most {
                return;
            }
            // One that cannot be removed now is tried again when the next one is begun.
            if fs::remove_file(&record.path).is_ok() {
                all -= record.bytes;
            }
        }
    }

    /// Makes the folder, and finds a name that is free: the start of the run, and a number from the
    /// second file on.
    pub fn name(&self, run_started: f64) -> io::Result<PathBuf> {
        fs::create_dir_all(&self.folder)?;
        let start = stamp(run_started);
        let records = self.list().into_iter().map(|record| order(&record.path));
        // The first ones may be gone already; a name that is used again would seem older than it is.
        let last = records.filter(|(of, _)| *of == start).map(|(_, number)| number).max();
        Ok(self.folder.join(match last {
            None => format!("{start}{ENDING}"),
            Some(number) => format!("{start}-{}{ENDING}", number + 1),
        }))
    }
}

impl Shelved {
    /// Whether somebody is writing it now; never true where this cannot be known.
    pub fn is_being_written(&self) -> bool {
        let file = File::open(&self.path);
        cfg!(unix)
            && file.is_ok_and(|file| {
                matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock))
            })
    }
}

/// The start of the run and the number of the part, by the file's name.
fn order(path: &Path) -> (String, u32) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.trim_end_matches(ENDING);
    match name.rsplit_once('-').map(|(start, number)| (start, number.parse())) {
        Some((start, Ok(number))) => (start.to_owned(), number),
        _ => (name.to_owned(), 1),
    }
}

/// 20261122T200036Z.
fn stamp(unix: f64) -> String {
    #[allow(clippy::cast_possible_truncation)]
    let time = jiff::Timestamp::from_second(unix as i64).unwrap_or_default();
    time.strftime("%Y%m%dT%H%M%SZ").to_string()
}
