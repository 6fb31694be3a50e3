//! What goes into a report: versions, what the doctor finds, the settings, the last logs, records and
//! crash notes; each through the scrubber.

use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use super::Packed;
use crate::cli::Failure;
use crate::cli::doctor::{Asking, Scope, examine};
use crate::clock::Clock;
use crate::config::folders::Folders;
use crate::config::settings::{Key, Origin, Settings, SettingsError};
use crate::telemetry::logs;
use crate::telemetry::record::{Change, Line, Reader, Shelf, What, Writer};
use crate::telemetry::scrub::Scrubber;

/// So many log files, records and crash notes; the newest.
const NEWEST: usize = 3;
/// The end of each log file.
const LOG_BYTES: u64 = 2 << 20;
/// Records larger than this would be too much to send to anybody.
const RECORD_BYTES: u64 = 16 << 20;

const README: &str = "\
A bug report of Hearth, packed by `hearth bug-report` on the machine it is about.

versions.json    what runs where
doctor.jsonl     what `hearth doctor --offline` finds
settings.jsonl   the settings and where each came from
logs/            the ends of the newest log files
records/         the newest records of runs: `hearth replay FILE` plays them
crashes/         notes of crashes

Secrets, wallet addresses, addresses of the internet, names of people and machines, and paths were
replaced by placeholders such as [address-1]; the same thing has the same placeholder everywhere.
Nothing was sent to anybody. Look through it before you do.
";

/// All of it.
pub(super) fn all(
    folders: &Folders,
    settings: Result<Settings, SettingsError>,
    scrubber: &mut Scrubber,
    clock: &Clock,
) -> Result<Vec<Packed>, Failure> {
    let mut files = vec![
        Packed { name: "README.txt".into(), what: "what is inside", content: README.into() },
        packed("versions.json", "what runs where", scrubber.json(versions()).to_string()),
        packed(
            "settings.jsonl",
            "settings and their origins",
            in_lines(scrubber, saved(&settings)),
        ),
    ];
    drop(settings);
    files.push(packed("doctor.jsonl", "what the doctor finds", in_lines(scrubber, doctor(clock)?)));
    for path in newest(logs::list(&logs::folder(folders))) {
        if let Ok(text) = tail(&path) {
            files.push(packed(&format!("logs/{}", name_of(&path)), "log", scrubber.lines(&text)));
        }
    }
    for path in newest(notes(&folders.state.join("crashes"))) {
        if let Ok(text) = tail(&path) {
            let name = format!("crashes/{}", name_of(&path));
            files.push(packed(&name, "note of a crash", scrubber.text(&text)));
        }
    }
    let shelf = Shelf::of(&folders.state);
    let fits = shelf.list().into_iter().filter(|record| record.bytes <= RECORD_BYTES);
    for path in newest(fits.map(|record| record.path).collect()) {
        let name = format!("records/{}", name_of(&path));
        let scratch = shelf.folder().join(format!(".report-{}", clock.unix().as_nanos()));
        let clean = clean_record(&path, &scratch, scrubber);
        // Whatever came of it, the copy goes.
        let _ = fs::remove_file(&scratch);
        match clean {
            Ok(content) => files.push(Packed { name, what: "record of a run", content }),
            Err(why) => {
                let why = scrubber.text(&format!("{name} is left out: {why}\n"));
                files.push(packed(&format!("{name}.txt"), "record that cannot be read", why));
            }
        }
    }
    Ok(files)
}

fn packed(name: &str, what: &'static str, text: String) -> Packed {
    Packed { name: name.to_owned(), what, content: text.into_bytes() }
}

fn in_lines(scrubber: &mut Scrubber, values: Vec<Value>) -> String {
    values.into_iter().map(|value| format!("{}\n", scrubber.json(value))).collect()
}

fn versions() -> Value {
    json!({
        "hearth": env!("CARGO_PKG_VERSION"),
        "system": std::env::consts::OS,
        "processor": std::env::consts::ARCH,
        "distribution": sysinfo::System::long_os_version().ok(),
        "kernel": sysinfo::System::kernel_version().ok(),
        "threads": std::thread::available_parallelism().ok(),
    })
}

fn saved(settings: &Result<Settings, SettingsError>) -> Vec<Value> {
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => return vec![json!({ "code": error.code(), "what": error.to_string() })],
    };
    let setting = |key: Key| {
        let written = settings.text(key)?;
        let line = settings.line(key).filter(|_| written.origin == Origin::File);
        let (value, origin) = (key.shown(&written.value), written.origin.to_string());
        Some(json!({ "key": key.name(), "value": value, "origin": origin, "line": line }))
    };
    let wrong = settings.check();
    let wrong =
        wrong.iter().map(|error| json!({ "code": error.code(), "what": error.to_string() }));
    Key::ALL.into_iter().filter_map(setting).chain(wrong).collect()
}

fn doctor(clock: &Clock) -> Result<Vec<Value>, Failure> {
    let scope = Arc::new(Scope::of_user(None, Vec::new(), Asking::Nobody, clock));
    let runtime = crate::cli::runtime()?;
    let mut findings = Vec::new();
    runtime.block_on(examine(&scope, |finding| {
        findings.push(serde_json::to_value(finding.event()).unwrap_or_default());
    }));
    runtime.shutdown_background();
    Ok(findings)
}

fn newest(mut paths: Vec<PathBuf>) -> Vec<PathBuf> {
    let from = paths.len().saturating_sub(NEWEST);
    paths.split_off(from)
}

fn notes(folder: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> =
        found.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    paths.sort();
    paths
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The end of a text file, from the beginning of a line.
fn tail(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(LOG_BYTES);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(LOG_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(match from {
        0 => text.into_owned(),
        _ => text.split_once('\n').map_or_else(String::new, |(_, rest)| rest.to_owned()),
    })
}

/// The record, written again without what is private. It still plays.
fn clean_record(path: &Path, scratch: &Path, scrubber: &mut Scrubber) -> Result<Vec<u8>, String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    let mut reader = Reader::open(path).map_err(|error| said(&error))?;
    let mut writer = Writer::create(scratch, reader.header()).map_err(|error| said(&error))?;
    for number in 0..reader.frames() {
        for line in reader.lines(number).map_err(|error| said(&error))? {
            let line = clean_line(line, scrubber).map_err(|error| said(&error))?;
            writer.add(&line).map_err(|error| said(&error))?;
        }
    }
    writer.finish().map_err(|error| said(&error))?;
    fs::read(scratch).map_err(|error| said(&error))
}

fn clean_line(line: Line, scrubber: &mut Scrubber) -> Result<Line, serde_json::Error> {
    let what = match line.what {
        What::State(state) => What::State(scrubber.json(state)),
        What::Changes(changes) => What::Changes(
            changes.into_iter().map(|change| clean_change(change, scrubber)).collect(),
        ),
        What::Event(event) => {
            let event = scrubber.json(serde_json::from_str(event.get())?);
            What::Event(serde_json::value::to_raw_value(&event)?)
        }
        other => other,
    };
    Ok(Line { at: line.at, what })
}

fn clean_change(change: Change, scrubber: &mut Scrubber) -> Change {
    // Places are made of names of fields; those that are somebody's are keys of a map.
    let mut place = |place: String| {
        let parts: Vec<String> = place.split('/').map(|part| scrubber.text(part)).collect();
        parts.join("/")
    };
    match change {
        Change::Set(at, value) => Change::Set(place(at), scrubber.json(value)),
        Change::Gone((at,)) => Change::Gone((place(at),)),
        Change::Shift(at, lost, more) => {
            let at = place(at);
            Change::Shift(at, lost, more.into_iter().map(|item| scrubber.json(item)).collect())
        }
    }
}
