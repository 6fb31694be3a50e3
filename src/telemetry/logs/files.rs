//! Log files: a new one each day and whenever one is full, the oldest removed by age and by what all
//! of them take. Each line is written at once: the last words before a crash are the ones that count,
//! and lines are few.
//!
//! `state/logs/hearth-2026-11-22-001.log`: the day (UTC, like the times inside) and a number. Sorted by
//! name they are in the order of time, and the last one is written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

use crate::clock::Clock;
use crate::config::folders::FolderError;

/// A file is full.
const FULL: u64 = 8 << 20;
/// All files together take at most this much.
const ALL: u64 = 64 << 20;
/// How a file's name begins and ends.
const NAME: (&str, &str) = ("hearth-", ".log");

/// The log files in a folder, oldest first.
pub fn list(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| parse(path).is_some())
        .collect();
    found.sort();
    found
}

/// The day and number of a log file.
fn parse(path: &Path) -> Option<(String, u32)> {
    let name = path.file_name()?.to_str()?;
    let (day, number) = name.strip_prefix(NAME.0)?.strip_suffix(NAME.1)?.rsplit_once('-')?;
    let is_day = day.len() == 10 && day.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let number = number.parse().ok().filter(|_| number.len() >= 3)?;
    is_day.then(|| (day.to_owned(), number))
}

/// Where lines go once the files are open; nowhere before that. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Files(Arc<Mutex<Option<Open>>>);

impl Files {
    /// Opens the file of today in `folder`, and removes what is too old or too much.
    pub(super) fn open(
        &self,
        folder: &Path,
        keep: Duration,
        clock: &Clock,
    ) -> Result<(), FolderError> {
        let open = Open::new(folder, keep, clock)
            .map_err(|source| FolderError::NotWritable { path: folder.to_owned(), source })?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(open);
        Ok(())
    }

    /// How long files are kept from now on.
    pub(super) fn keep(&self, keep: Duration) {
        if let Some(open) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            open.keep = keep;
            open.prune();
        }
    }
}

impl<'a> MakeWriter<'a> for Files {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl io::Write for Files {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        if let Some(open) = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            open.write(record);
        }
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The files of one folder.
#[derive(Debug)]
struct Open {
    folder: PathBuf,
    clock: Clock,
    keep: Duration,
    full: u64,
    all: u64,
    file: File,
    day: String,
    number: u32,
    size: u64,
    /// Lines that the disk did not take.
    lost: u64,
}

impl Open {
    fn new(folder: &Path, keep: Duration, clock: &Clock) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let day = day_of(clock.unix());
        let files = list(folder);
        let of_today = files.iter().filter_map(|path| parse(path));
        let number = of_today.filter(|(of, _)| *of == day).map(|(_, n)| n).max().unwrap_or(1);
        let (file, size) = open(folder, &day, number)?;
        let (folder, clock) = (folder.to_owned(), clock.clone());
        let (full, all, lost) = (FULL, ALL, 0);
        let open = Self { folder, clock, keep, full, all, file, day, number, size, lost };
        open.prune();
        Ok(open)
    }

    fn write(&mut self, record: &[u8]) {
        let day = day_of(self.clock.unix());
        let next = match day == self.day {
            false => Some((day, 1)),
            true if self.size + record.len() as u64 > self.full => Some((day, self.number + 1)),
            true => None,
        };
        if let Some((day, number)) = next
            && let Ok((file, size)) = open(&self.folder, &day, number)
        {
            (self.file, self.size, self.day, self.number) = (file, size, day, number);
            self.prune();
        }
        if self.lost > 0 {
            let words = format!("{} log lines are missing here: the disk was full\n", self.lost);
            if self.file.write_all(words.as_bytes()).is_ok() {
                self.lost = 0;
            }
        }
        match self.file.write_all(record) {
            Ok(()) => self.size += record.len() as u64,
            // There is no place to complain of a log that cannot be written, but the log.
            Err(_) => self.lost += 1,
        }
    }

    /// Removes the oldest files while they are too old, or all together too large. The one that is
    /// written stays, and so does the one before it: a clock that jumped ahead makes nothing old.
    fn prune(&self) {
        let files = list(&self.folder);
        let oldest = day_of(self.clock.unix().saturating_sub(self.keep));
        let size = |path: &PathBuf| fs::metadata(path).map_or(0, |meta| meta.len());
        let mut all: u64 = files.iter().map(size).sum();
        let removable = files.len().saturating_sub(2);
        for path in &files[..removable] {
            let is_old = parse(path).is_some_and(|(day, _)| day < oldest);
            if !is_old && all <= self.all {
                continue;
            }
            let freed = size(path);
            // One that cannot be removed now can the next time.
            if fs::remove_file(path).is_ok() {
                all = all.saturating_sub(freed);
            }
        }
    }
}

fn open(folder: &Path, day: &str, number: u32) -> io::Result<(File, u64)> {
    let path = folder.join(format!("{}{day}-{number:03}{}", NAME.0, NAME.1));
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    // What a miner does, and with whom, is its owner's business.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// The day of a time since 1970, in UTC.
fn day_of(unix: Duration) -> String {
    let seconds = i64::try_from(unix.as_secs()).unwrap_or(i64::MAX);
    let date = time::OffsetDateTime::from_unix_timestamp(seconds)
        .unwrap_or(time::OffsetDateTime::UNIX_EPOCH)
        .date();
    format!("{:04}-{:02}-{:02}", date.year(), u8::from(date.month()), date.day())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn touch(folder: &Path, name: &str, bytes: usize) {
        fs::write(folder.join(name), vec![b'x'; bytes]).unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
        list(folder).iter().map(name).collect()
    }

    #[test]
    fn a_full_file_makes_room_for_the_next_and_the_oldest_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let mut open = Open::new(folder.path(), 14 * DAY, &clock).unwrap();
        (open.full, open.all) = (100, 250);
        for i in 0..60 {
            open.write(format!("line {i:04}\n").as_bytes());
        }
        let left = names(folder.path());
        assert!((2..=3).contains(&left.len()), "{left:?}");
        let last = fs::read_to_string(list(folder.path()).last().unwrap()).unwrap();
        assert!(last.ends_with("line 0059\n"), "{last}");
        assert!(last.len() <= 100);
        let numbers: Vec<u32> = list(folder.path()).iter().map(|p| parse(p).unwrap().1).collect();
        assert_eq!(*numbers.last().unwrap(), 6, "{numbers:?}");
    }

    #[test]
    fn what_is_older_than_wanted_goes_and_what_is_not_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        let ago = |days: u32| format!("hearth-{}-001.log", day_of(clock.unix() - days * DAY));
        for days in [40, 20, 3, 2, 1] {
            touch(folder.path(), &ago(days), 10);
        }
        touch(folder.path(), "hearth-notes.log", 10);
        touch(folder.path(), "other.log", 10);
        let files = Files::default();
        files.open(folder.path(), 14 * DAY, &clock).unwrap();
        assert_eq!(names(folder.path()), [ago(3), ago(2), ago(1), ago(0)]);
        files.keep(DAY);
        assert_eq!(names(folder.path()), [ago(1), ago(0)]);
        assert!(folder.path().join("other.log").exists());
        assert!(folder.path().join("hearth-notes.log").exists());
    }

    #[test]
    fn the_last_two_stay_however_old_the_clock_says_they_are() {
        let folder = tempfile::tempdir().unwrap();
        touch(folder.path(), "hearth-1999-01-01-001.log", 5);
        touch(folder.path(), "hearth-1999-01-02-001.log", 5);
        let open = Open::new(folder.path(), DAY, &Clock::system()).unwrap();
        assert_eq!(names(folder.path()).len(), 2, "{:?}", names(folder.path()));
        assert!(names(folder.path())[0].starts_with("hearth-1999-01-02"));
        drop(open);
    }

    #[test]
    fn a_second_start_of_the_day_goes_on_in_the_same_file() {
        let folder = tempfile::tempdir().unwrap();
        for line in ["one\n", "two\n"] {
            Open::new(folder.path(), DAY, &Clock::system()).unwrap().write(line.as_bytes());
        }
        let files = list(folder.path());
        assert_eq!(files.len(), 1);
        assert_eq!(fs::read_to_string(&files[0]).unwrap(), "one\ntwo\n");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(&files[0]).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}
