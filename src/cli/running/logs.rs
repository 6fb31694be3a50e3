//! `hearth logs`: the last lines of the log files, and what is added to them. The files are read, not
//! the miner asked: they are there when it is not.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::cli::{Exit, Failure};
use crate::clock::Clock;
use crate::config::folders::Folders;
use crate::telemetry::logs;

/// Between two looks for more.
const LOOK: Duration = Duration::from_millis(250);
/// So much is read at a time.
const AT_ONCE: u64 = 1 << 20;

/// The log of the miner that runs here, or ran here last.
#[derive(Clone, Debug, Args)]
pub struct LogsArguments {
    /// How many lines
    #[arg(short = 'n', long, value_name = "N", default_value_t = 100)]
    pub lines: usize,
    /// Go on with what is added, until Ctrl-C
    #[arg(short, long)]
    pub follow: bool,
}

/// Runs the command.
pub fn run(arguments: &LogsArguments) -> Result<Exit, Failure> {
    let folders = Folders::find().map_err(|error| Failure::of_folder(&error))?;
    let folder = logs::folder(&folders);
    let clock = Clock::system();
    let mut tail = Tail::new(&folder);
    let last = tail.last(arguments.lines);
    if last.is_empty() && logs::list(&folder).is_empty() && !arguments.follow {
        let line = format!("there are no log files in {} yet", folder.display());
        return Err(Failure::new(Exit::Failed, line).coded("no-logs"));
    }
    let mut out = io::stdout().lock();
    let mut print = |lines: &[String]| {
        let mut all = lines.iter();
        all.try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush())
    };
    let mut printed = print(&last);
    while arguments.follow && printed.is_ok() {
        clock.block(LOOK);
        printed = print(&tail.more());
    }
    crate::cli::exit::written(printed)
}

/// The end of the log files, and how far it was read.
#[derive(Debug)]
pub(super) struct Tail {
    folder: PathBuf,
    file: Option<PathBuf>,
    at: u64,
    /// A line that was not ended yet.
    begun: Vec<u8>,
}

impl Tail {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), file: None, at: 0, begun: Vec::new() }
    }

    /// The last lines there are, oldest first; [`Tail::more`] goes on behind them.
    pub(super) fn last(&mut self, most: usize) -> Vec<String> {
        let files = logs::list(&self.folder);
        let mut last: VecDeque<String> = VecDeque::new();
        for path in files.iter().rev() {
            if last.len() >= most && self.file.is_some() {
                break;
            }
            let Ok((lines, end)) = ended_lines(path) else { continue };
            let wanted = most.saturating_sub(last.len());
            for line in lines.into_iter().rev().take(wanted) {
                last.push_front(line);
            }
            if self.file.is_none() {
                (self.file, self.at) = (Some(path.clone()), end);
            }
        }
        last.into()
    }

    /// What was added since.
    pub(super) fn more(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for path in logs::list(&self.folder) {
            if self.file.as_ref().is_some_and(|read| path < *read) {
                continue;
            }
            if self.file.as_ref() != Some(&path) {
                (self.file, self.at) = (Some(path), 0);
                self.begun.clear();
            }
            // One that cannot be read now can the next time.
            let _ = self.read(&mut lines);
        }
        lines
    }

    fn read(&mut self, lines: &mut Vec<String>) -> io::Result<()> {
        let Some(path) = &self.file else { return Ok(()) };
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(self.at))?;
        let mut new = Vec::new();
        self.at += file.take(AT_ONCE).read_to_end(&mut new)? as u64;
        self.begun.extend(new);
        while let Some(end) = self.begun.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.begun.drain(..=end).collect();
            lines.push(String::from_utf8_lossy(&line[..end]).into_owned());
        }
        Ok(())
    }
}

/// The lines of a file that have an end, and where the last one ends.
fn ended_lines(path: &Path) -> io::Result<(Vec<String>, u64)> {
    let mut reader = BufReader::new(File::open(path)?);
    let (mut lines, mut at, mut line) = (Vec::new(), 0, Vec::new());
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') {
            return Ok((lines, at));
        }
        at += read as u64;
        lines.push(String::from_utf8_lossy(&line).into_owned());
    }
}

/// A line without its time: what is there for somebody who looks on.
pub(super) fn without_time(line: &str) -> String {
    if let Ok(Value::Object(object)) = serde_json::from_str(line) {
        let text = |value: Option<&Value>| {
            value.and_then(Value::as_str).map(str::to_owned).unwrap_or_default()
        };
        let message = object.get("fields").and_then(|fields| fields.get("message"));
        return format!("{} {}", text(object.get("level")), text(message));
    }
    let (first, rest) = line.trim_start().split_once(' ').unwrap_or(("", line));
    let is_time = first.len() > 10 && first.as_bytes().get(10) == Some(&b'T');
    let rest = if is_time { rest.trim_start() } else { line };
    // Where in the program it was said is for who reads the file.
    match rest.split_once(": ") {
        Some((before, words)) if before.contains(" hearth") => {
            let level = before.split_whitespace().next().unwrap_or_default();
            format!("{level} {words}")
        }
        _ => rest.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_found_across_files_and_then_what_is_added() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(format!("hearth-2026-11-2{name}.log"));
        std::fs::write(path("1-001"), "a\nb\n").unwrap();
        std::fs::write(path("2-001"), "c\nhalf").unwrap();
        let mut tail = Tail::new(folder.path());
        assert_eq!(tail.last(2), ["b", "c"]);
        assert!(tail.more().is_empty());
        let mut file = File::options().append(true).open(path("2-001")).unwrap();
        file.write_all(b" of it\nd\n").unwrap();
        std::fs::write(path("2-002"), "e\n").unwrap();
        assert_eq!(tail.more(), ["half of it", "d", "e"]);
        assert!(tail.more().is_empty());
        assert_eq!(Tail::new(folder.path()).last(9), ["a", "b", "c", "half of it", "d", "e"]);
        assert!(Tail::new(folder.path()).last(0).is_empty());
        assert!(Tail::new(&folder.path().join("nowhere")).last(5).is_empty());
    }

    #[test]
    fn a_line_on_the_screen_has_no_time_and_no_place() {
        let readable = "2026-11-22T20:05:33.123456Z  INFO hearth::event: m0 is training: work";
        assert_eq!(without_time(readable), "INFO m0 is training: work");
        let json = r#"{"timestamp":"2026","level":"WARN","fields":{"message":"no disk"}}"#;
        assert_eq!(without_time(json), "WARN no disk");
        assert_eq!(without_time("some words: more"), "some words: more");
    }
}
