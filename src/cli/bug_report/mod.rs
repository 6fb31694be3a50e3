//! `hearth bug-report`: packs what helps to find a fault into one file on this machine, without what
//! says whose machine it is. Nothing is sent.

mod gather;
mod private;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;

use super::exit::written;
use super::{Exit, Failure};
use crate::clock::Clock;
use crate::config::folders::{Folders, write_privately};
use crate::config::settings::Settings;

/// Pack what helps to find a fault into one file, without what says whose machine it is.
#[derive(Clone, Debug, Default, Args)]
pub struct BugReportArguments {
    /// The file to write; without it, one in this folder whose name has the time
    #[arg(long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Settings file instead of the one in the configuration folder
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One JSON object a line, nothing else on standard output
    #[arg(long)]
    pub json: bool,
}

/// A file of the report.
#[derive(Debug)]
struct Packed {
    name: String,
    what: &'static str,
    content: Vec<u8>,
}

/// Runs the command.
pub fn run(arguments: &BugReportArguments) -> Result<Exit, Failure> {
    let clock = Clock::system();
    let folders = Folders::find().map_err(|error| Failure::of_folder(&error))?;
    let output = arguments.output.clone().unwrap_or_else(|| default_name(&clock));
    if output.exists() {
        let line = format!(
            "{} is there already and is left as it is: name another file with --output",
            output.display()
        );
        return Err(Failure::new(Exit::Usage, line).coded("report-exists"));
    }
    let variables = crate::host::surroundings::variables();
    let read = |name: &str| variables.get(name).cloned();
    let settings = Settings::read(arguments.config.as_deref(), &folders.config, read, Vec::new());
    let mut scrubber = private::scrubber(&folders, settings.as_ref().ok(), &variables, &clock);
    let files = gather::all(&folders, settings, &mut scrubber, &clock)?;
    let bytes = pack(&files, &clock).map_err(|error| {
        Failure::new(Exit::Failed, format!("the report cannot be packed: {error}"))
            .coded("report-failed")
    })?;
    write_privately(&absolute(&output), &bytes).map_err(|error| Failure::of_folder(&error))?;
    let told = Told {
        event: "bug_report",
        file: output.display().to_string(),
        bytes: bytes.len(),
        inside: files.iter().map(|file| (file.name.as_str(), file.content.len())).collect(),
        replaced: scrubber.taken().collect(),
        sent: false,
    };
    written(say(&told, &files, arguments.json, &mut io::stdout().lock()))
}

/// A name alone means this folder.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn default_name(clock: &Clock) -> PathBuf {
    let stamp: String = clock.iso8601().chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    PathBuf::from(format!("hearth-bug-report-{stamp}.tar.gz"))
}

/// All files in one folder of one archive, readable by their owner.
fn pack(files: &[Packed], clock: &Clock) -> io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for file in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(file.content.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(clock.unix().as_secs());
        archive.append_data(
            &mut header,
            format!("hearth-bug-report/{}", file.name),
            &file.content[..],
        )?;
    }
    archive.into_inner()?.finish()
}

/// What was packed, for scripts.
#[derive(Serialize)]
struct Told<'a> {
    event: &'static str,
    file: String,
    bytes: usize,
    inside: Vec<(&'a str, usize)>,
    replaced: Vec<(&'static str, usize)>,
    sent: bool,
}

fn say(told: &Told<'_>, files: &[Packed], json: bool, out: &mut impl Write) -> io::Result<()> {
    if json {
        return writeln!(out, "{}", serde_json::to_string(told).map_err(io::Error::other)?);
    }
    let size = |bytes: usize| bytesize::ByteSize(bytes as u64).display().si().to_string();
    writeln!(out, "Packed into {} ({}):", told.file, size(told.bytes))?;
    for file in files {
        writeln!(out, "  {:>9}  {:34} {}", size(file.content.len()), file.name, file.what)?;
    }
    let replaced: Vec<String> =
        told.replaced.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    match replaced.is_empty() {
        true => writeln!(out, "\nThere was nothing private to replace.")?,
        false => writeln!(out, "\nReplaced by placeholders: {}.", replaced.join(", "))?,
    }
    writeln!(
        out,
        "Nothing was sent. Look through the file before you give it to anybody: no program knows \
         everything that is private to you."
    )
}
