//! The list of records: when each was begun, how long it is, how it ended.

use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use crate::cli::exit::written;
use crate::cli::{Exit, Failure};
use crate::telemetry::record::{End, Reader, RecordError, Shelf, Shelved};

/// One record, for scripts.
#[derive(Serialize)]
struct Entry {
    event: &'static str,
    name: String,
    file: String,
    bytes: u64,
    started: Option<f64>,
    seconds: Option<f64>,
    part: Option<u32>,
    ended: String,
}

/// Prints it.
pub(super) fn print(shelf: &Shelf, json: bool) -> Result<Exit, Failure> {
    let entries: Vec<Entry> = shelf.list().iter().map(entry).collect();
    let mut out = io::stdout().lock();
    let printed = match json {
        true => entries.iter().try_for_each(|entry| {
            writeln!(out, "{}", serde_json::to_string(entry).map_err(io::Error::other)?)
        }),
        false => readable(shelf, &entries, &mut out),
    };
    written(printed)
}

fn readable(shelf: &Shelf, entries: &[Entry], out: &mut impl Write) -> io::Result<()> {
    if entries.is_empty() {
        return writeln!(
            out,
            "There are no records in {} yet: `hearth run` writes one of each run.",
            shelf.folder().display()
        );
    }
    writeln!(out, "{:24} {:17} {:>12} {:>9}  ended", "name", "begun", "length", "size")?;
    for entry in entries {
        let begun = entry.started.map_or_else(|| "-".to_owned(), local_time);
        let length = entry.seconds.map_or_else(|| "-".to_owned(), in_words);
        let size = bytesize::ByteSize(entry.bytes).display().si();
        writeln!(out, "{:24} {begun:17} {length:>12} {size:>9}  {}", entry.name, entry.ended)?;
    }
    writeln!(out, "\n`hearth replay NAME` plays one, `hearth replay last` the newest.")
}

fn entry(record: &Shelved) -> Entry {
    let opened = Reader::open(&record.path);
    let ended = match &opened {
        Ok(_) if record.is_being_written() => "not yet: it is being written".to_owned(),
        Ok(_) => String::new(),
        Err(RecordError::Newer { .. }) => "(of a newer Hearth)".to_owned(),
        Err(_) => "(damaged)".to_owned(),
    };
    let mut reader = opened.ok();
    let end = reader.as_mut().map(Reader::end);
    let ended = match (ended.is_empty(), end) {
        (true, Some(Ok(end))) => end_in_words(end.as_ref()),
        (true, _) => "(damaged)".to_owned(),
        (false, _) => ended,
    };
    Entry {
        event: "record",
        name: record.path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        file: record.path.display().to_string(),
        bytes: record.bytes,
        started: reader.as_ref().map(|reader| reader.header().started),
        seconds: reader.as_ref().map(|reader| reader.length().as_secs_f64()),
        part: reader.as_ref().map(|reader| reader.header().part),
        ended,
    }
}

fn end_in_words(end: Option<&End>) -> String {
    match end {
        Some(End::Stopped) => "stopped in order".to_owned(),
        Some(End::Finished) => "finished".to_owned(),
        Some(End::Failed(why)) => format!("failed: {why}"),
        Some(End::Continued) => "the next one goes on".to_owned(),
        None => "broke off".to_owned(),
    }
}

fn in_words(seconds: f64) -> String {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = seconds.clamp(0.0, 1e12) as u64;
    humantime::format_duration(Duration::from_secs(whole)).to_string()
}

/// 2026-11-22 20:00, in the time of this place.
pub(super) fn local_time(unix: f64) -> String {
    #[allow(clippy::cast_possible_truncation)]
    let time = jiff::Timestamp::from_second(unix as i64).unwrap_or_default();
    time.to_zoned(crate::clock::local_zone()).strftime("%Y-%m-%d %H:%M").to_string()
}
