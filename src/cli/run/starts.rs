//! How the last starts ended, so that a crash loop is noticed: three that ended without a word within
//! ten minutes, and the next one does not mine. What is written down is when a run began and whether
//! it came to an end of its own; a crash writes nothing, and is noticed by the next start.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::cli::{Exit, Failure};
use crate::clock::Clock;
use crate::config::folders::{Folders, write_atomically};
use crate::telemetry::{crash, logs};

/// So many crashes ...
const CRASHES: usize = 3;
/// ... within so long are a loop.
const WINDOW: Duration = Duration::from_secs(600);
/// Starts that are remembered.
const KEPT: usize = 16;
/// Last log lines that are remembered of a crash.
const LINES: usize = 3;
/// No line is longer, in characters.
const LONGEST: usize = 300;
/// Begins the log of each run.
const BEGINS: &str = "begins, process";
/// Version of [`Book`].
const VERSION: u32 = 1;

/// Whether a crash loop is heeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caution {
    /// It is.
    Usual,
    /// The user wants to start all the same.
    Again,
}

/// What is written down.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Book {
    version: u32,
    starts: Vec<Entry>,
}

/// One start.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Entry {
    process: u32,
    /// Unix seconds.
    began: u64,
    end: Option<End>,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", rename_all = "kebab-case")]
enum End {
    /// In order, or for a reason that was said.
    Orderly { at: u64, exit: u8 },
    /// Somebody asked for it; what came after that is no crash.
    Asked { at: u64 },
    /// A part of it broke.
    Broke { at: u64, report: Option<PathBuf> },
    /// Without a word, noticed by the next start.
    Vanished { noticed: u64, last_lines: Vec<String> },
}

impl End {
    /// When it crashed, if it did.
    fn crashed(&self) -> Option<u64> {
        match self {
            Self::Broke { at, .. } => Some(*at),
            Self::Vanished { noticed, .. } => Some(*noticed),
            Self::Orderly { .. } | Self::Asked { .. } => None,
        }
    }
}

/// This start, written down.
#[derive(Clone, Debug)]
pub(super) struct Start {
    path: PathBuf,
    clock: Clock,
    book: Arc<Mutex<Book>>,
}

impl Start {
    /// Writes down that a run begins. To be called when no other one of this folder runs, and after
    /// the log was opened.
    ///
    /// # Errors
    /// The last ones crashed in a loop, or the folder cannot be written.
    pub(super) fn begin(
        folders: &Folders,
        clock: &Clock,
        caution: Caution,
    ) -> Result<Self, Failure> {
        let path = folders.state.join("starts.json");
        let now = clock.unix().as_secs();
        let mut book = read(&path);
        for entry in book.starts.iter_mut().filter(|entry| entry.end.is_none()) {
            let last_lines = last_lines(&logs::folder(folders));
            tracing::warn!("the run of process {} ended without a word", entry.process);
            entry.end = Some(End::Vanished { noticed: now, last_lines });
        }
        let verdict = book.judge(now);
        if caution == Caution::Again {
            // Whoever starts it by hand looks at it; the count begins anew.
            book.starts.clear();
        } else if let Some(line) = verdict {
            save(&path, &book)?;
            tracing::error!("{line}");
            return Err(Failure::new(Exit::Failed, line).coded("crash-loop"));
        }
        book.starts.push(Entry { process: std::process::id(), began: now, end: None });
        let surplus = book.starts.len().saturating_sub(KEPT);
        book.starts.drain(..surplus);
        save(&path, &book)?;
        Ok(Self { path, clock: clock.clone(), book: Arc::new(Mutex::new(book)) })
    }

    /// Writes down that somebody asked for the end.
    pub(super) fn asked(&self) {
        self.write(End::Asked { at: self.clock.unix().as_secs() });
    }

    /// Writes down how it ended.
    pub(super) fn ended(&self, ended: &Result<Exit, Failure>) {
        let at = self.clock.unix().as_secs();
        self.write(match ended {
            Err(failure) if failure.code == "fault-in-hearth" => {
                End::Broke { at, report: crash::last() }
            }
            Err(failure) => End::Orderly { at, exit: failure.exit as u8 },
            Ok(exit) => End::Orderly { at, exit: *exit as u8 },
        });
    }

    fn write(&self, end: End) {
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = book.starts.last_mut() {
            own.end = Some(end);
        }
        if let Err(failure) = save(&self.path, &book) {
            tracing::warn!("the end of this run is not written down: {failure}");
        }
    }
}

impl Book {
    /// Why the next start should not mine, if it should not.
    ///
    /// Only what lies behind counts: where the clock was put back, crashes of the time to come say
    /// nothing, and ten minutes later none counts any more whatever the clock did before.
    fn judge(&self, now: u64) -> Option<String> {
        let crashes: Vec<(u64, &End)> = self
            .starts
            .iter()
            .rev()
            .map_while(|entry| {
                let end = entry.end.as_ref()?;
                Some((end.crashed()?, end))
            })
            .filter(|(at, _)| *at <= now && now - at < WINDOW.as_secs())
            .take(CRASHES)
            .collect();
        let (oldest, newest) = (crashes.get(CRASHES - 1)?, crashes.first()?);
        let ago = |at: u64| match (now - at) / 60 {
            0 => "just now".to_owned(),
            minutes => format!("{minutes} min ago"),
        };
        let when: Vec<String> = crashes.iter().rev().map(|(at, _)| ago(*at)).collect();
        let what = match newest.1 {
            End::Broke { report: Some(report), .. } => {
                format!("The last report lies in {}. ", report.display())
            }
            End::Vanished { last_lines, .. } if !last_lines.is_empty() => {
                format!("Its last words: {}. ", last_lines.join(" | ").trim_end_matches('.'))
            }
            _ => String::new(),
        };
        let left = (WINDOW.as_secs() - (now - oldest.0)).div_ceil(60);
        Some(format!(
            "Hearth ended {CRASHES} times without a word in the last ten minutes ({}), so it does not \
             start again by itself. {what}Look for the cause with `hearth doctor`; start it all the \
             same with `hearth run --again`, or wait {left} min",
            when.join(", ")
        ))
    }
}

/// What was written down. A book that cannot be read is no reason not to mine.
fn read(path: &Path) -> Book {
    let empty = Book { version: VERSION, starts: Vec::new() };
    let Ok(bytes) = fs::read(path) else { return empty };
    match serde_json::from_slice::<Book>(&bytes) {
        Ok(book) if book.version == VERSION => book,
        _ => {
            tracing::warn!("{} cannot be read; a new one is begun", path.display());
            empty
        }
    }
}

fn save(path: &Path, book: &Book) -> Result<(), Failure> {
    let text =
        serde_json::to_vec_pretty(book).map_err(|error| Failure::new(Exit::Failed, error))?;
    if let Some(folder) = path.parent() {
        crate::config::folders::prepare(folder).map_err(|error| Failure::of_folder(&error))?;
    }
    write_atomically(path, &text).map_err(|error| Failure::of_folder(&error))
}

/// The last lines that the run before this one logged.
fn last_lines(folder: &Path) -> Vec<String> {
    let files = logs::list(folder);
    let newest = &files[files.len().saturating_sub(2)..];
    let texts: Vec<String> =
        newest.iter().filter_map(|path| fs::read_to_string(path).ok()).collect();
    let lines: Vec<&str> = texts.iter().flat_map(|text| text.lines()).collect();
    // After the last such line the words are our own.
    let end = lines.iter().rposition(|line| line.contains(BEGINS)).unwrap_or(lines.len());
    let shown = |line: &&str| line.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    lines[..end].iter().rev().take(LINES).rev().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vanished(noticed: u64) -> Entry {
        let end = End::Vanished { noticed, last_lines: vec!["ERROR it burns".into()] };
        Entry { process: 1, began: noticed.saturating_sub(5), end: Some(end) }
    }

    fn book(starts: Vec<Entry>) -> Book {
        Book { version: VERSION, starts }
    }

    #[test]
    fn three_crashes_within_ten_minutes_are_a_loop_and_say_so() {
        let now = 100_000;
        let two = vec![vanished(now - 200), vanished(now - 90)];
        assert_eq!(book(two.clone()).judge(now), None);
        let mut three = two;
        three.push(vanished(now));
        let line = book(three).judge(now).unwrap();
        for words in ["3 min ago, 1 min ago, just now", "it burns", "doctor", "--again", "7 min"] {
            assert!(line.contains(words), "{words:?} is missing: {line}");
        }
    }

    #[test]
    fn an_orderly_end_between_them_or_time_makes_it_none() {
        let now = 100_000;
        let orderly =
            Entry { process: 1, began: now, end: Some(End::Orderly { at: now, exit: 0 }) };
        let crash = |ago| vanished(now - ago);
        let mixed = vec![crash(60), crash(50), orderly, crash(10)];
        assert_eq!(book(mixed).judge(now), None);
        let slow = vec![crash(700), crash(300), crash(0)];
        assert_eq!(book(slow.clone()).judge(now), None);
        let all = book(vec![crash(500), crash(300), crash(0)]);
        assert!(all.judge(now).is_some());
        assert_eq!(all.judge(now + 101), None);
    }

    #[test]
    fn a_clock_that_jumps_locks_nobody_out() {
        let all = book(vec![vanished(9_000), vanished(9_100), vanished(9_200)]);
        assert!(all.judge(9_200).is_some());
        // Put back by a day, or by five minutes, or forward by a year.
        for now in [0, 8_900, 9_200 + 31_000_000] {
            assert_eq!(all.judge(now), None, "{now}");
        }
        // Whatever it was before: ten minutes on, nothing holds it.
        for began in [0_u64, 8_999, 9_050, 9_200, 10_000] {
            assert_eq!(all.judge(began + 9_200 + 600), None);
        }
    }

    #[test]
    fn what_somebody_asked_for_is_no_crash_and_what_vanished_is_noticed() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::under(home.path());
        let clock = Clock::system();
        let begin = || Start::begin(&folders, &clock, Caution::Usual);
        for _ in 0..5 {
            begin().unwrap().ended(&Ok(Exit::Done));
        }
        for _ in 0..CRASHES {
            // Never told how it ended.
            begin().unwrap();
        }
        let failure = begin().unwrap_err();
        assert_eq!((failure.exit, failure.code), (Exit::Failed, "crash-loop"));
        let again = Start::begin(&folders, &clock, Caution::Again).unwrap();
        again.ended(&Ok(Exit::Done));
        begin().unwrap();
    }

    #[test]
    fn a_book_that_cannot_be_read_is_no_reason_not_to_mine() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::under(home.path());
        fs::create_dir_all(&folders.state).unwrap();
        fs::write(folders.state.join("starts.json"), b"{\"version\": 9").unwrap();
        Start::begin(&folders, &Clock::system(), Caution::Usual).unwrap();
    }
}
