//! Panics become a report in a file and one clear line in the log, instead of words on a terminal that
//! somebody else draws on. The reports stay on this machine.

use std::backtrace::Backtrace;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, Once, OnceLock, PoisonError};

use crate::clock::Clock;
use crate::config::folders::{Folders, write_privately};

/// So many reports are kept.
const KEPT: usize = 10;

static LAST: Mutex<Option<PathBuf>> = Mutex::new(None);

/// Names the part that breaks on purpose, so that a test can see what the user is left with.
const BREAKS: &str = "HEARTH_BREAK";

/// A part that can be broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The screen, once something stands on it.
    Screen,
    /// The own miner's life, once it has a stage.
    Miner,
}

impl Part {
    fn word(self) -> &'static str {
        match self {
            Self::Screen => "screen",
            Self::Miner => "miner",
        }
    }
}

/// Breaks, if this part was named. Nobody meets that by accident: the variable is in no help.
#[allow(clippy::panic)] // It is what this is for.
pub fn break_if_asked(part: Part) {
    static ASKED: OnceLock<Option<String>> = OnceLock::new();
    let asked = ASKED.get_or_init(|| std::env::var(BREAKS).ok());
    if asked.as_deref() == Some(part.word()) {
        panic!("broken on purpose: {BREAKS} names the {}", part.word());
    }
}

/// What the last panic left behind, as the end of a sentence for the user.
pub fn last_words() -> String {
    match last() {
        Some(report) => {
            format!("a report of it lies in {}; nothing was sent", report.display())
        }
        None => "its report could not be written".to_owned(),
    }
}

/// The folder of the reports.
pub fn folder(folders: &Folders) -> PathBuf {
    folders.state.join("crashes")
}

/// The report of the last panic of this process.
pub fn last() -> Option<PathBuf> {
    LAST.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// The reports in a folder, oldest first.
pub fn list(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let ours = |path: &PathBuf| {
        // One that is being written has another ending.
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        name.is_some_and(|name| name.starts_with("crash-") && name.ends_with(".txt"))
    };
    let mut found: Vec<PathBuf> =
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(ours).collect();
    found.sort();
    found
}

/// From here on each panic is written down in `folder`.
pub fn report_to(folder: &Path, clock: &Clock) {
    static HOOK: Once = Once::new();
    let (folder, clock) = (folder.to_owned(), clock.clone());
    HOOK.call_once(|| {
        std::panic::set_hook(Box::new(move |info| {
            let thread = std::thread::current();
            let name = thread.name().unwrap_or("without a name");
            let place = info.location().map(ToString::to_string).unwrap_or_default();
            let words = words(info.payload());
            let trace = Backtrace::force_capture();
            match write(&folder, &clock, &report(&clock, name, &place, words, &trace)) {
                Some(path) => tracing::error!(
                    "a part of Hearth broke ({words}, at {place}, thread {name}). A report lies in \
                     {}; nothing was sent anywhere",
                    path.display()
                ),
                None => tracing::error!(
                    "a part of Hearth broke ({words}, at {place}, thread {name}); its report could \
                     not be written"
                ),
            }
        }));
    });
}

fn words(payload: &dyn std::any::Any) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words")
}

fn report(clock: &Clock, thread: &str, place: &str, words: &str, trace: &Backtrace) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "Hearth {} broke at {}", env!("CARGO_PKG_VERSION"), clock.iso8601());
    let _ = writeln!(text, "system: {} {}", std::env::consts::OS, std::env::consts::ARCH);
    let _ = writeln!(text, "thread: {thread}\nplace: {place}\nwords: {words}\n\n{trace}");
    text
}

fn write(folder: &Path, clock: &Clock, text: &str) -> Option<PathBuf> {
    // What breaks several threads breaks them at once: each report has a name of its own.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let stamp = clock.iso8601().replace(':', "");
    let number = |path: PathBuf| {
        let name = path.file_stem()?.to_str()?.to_owned();
        name.strip_prefix(&format!("crash-{stamp}-"))?.parse::<u32>().ok()
    };
    // Of two in one second the later one sorts behind.
    let number = list(folder).into_iter().filter_map(number).max().unwrap_or(0) + 1;
    let path = folder.join(format!("crash-{stamp}-{number:03}.txt"));
    write_privately(&path, text.as_bytes()).ok()?;
    *LAST.lock().unwrap_or_else(PoisonError::into_inner) = Some(path.clone());
    let reports = list(folder);
    for old in &reports[..reports.len().saturating_sub(KEPT)] {
        // One that stays is one too many, no more.
        let _ = fs::remove_file(old);
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_that_break_at_once_leave_a_report_each() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        std::thread::scope(|scope| {
            for n in 0..KEPT {
                let (clock, folder) = (&clock, folder.path());
                scope.spawn(move || write(folder, clock, &format!("number {n}")).unwrap());
            }
        });
        let reports = list(folder.path());
        let mut texts: Vec<_> =
            reports.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
        texts.sort();
        texts.dedup();
        assert_eq!((reports.len(), texts.len()), (KEPT, KEPT));
    }

    #[test]
    fn reports_are_kept_but_not_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::system();
        for n in 0..KEPT + 3 {
            let text = report(&clock, "t", "a.rs:1", &format!("words {n}"), &Backtrace::disabled());
            write(folder.path(), &clock, &text).unwrap();
        }
        let left = list(folder.path());
        assert_eq!(left.len(), KEPT);
        let newest = fs::read_to_string(last().unwrap()).unwrap();
        assert!(newest.contains(&format!("words {}", KEPT + 2)), "{newest}");
    }
}
