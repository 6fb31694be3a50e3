//! `hearth config`: the settings with where each came from, and changing them one line at a time.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use super::exit::written;
use super::{Exit, Failure, given};
use crate::config::Constants;
use crate::config::edit::{self, EditError};
use crate::config::folders::Folders;
use crate::config::settings::{FILE_NAME, Key, Origin, Settings};
use crate::config::shown::Shown;

/// The settings: what they are, where they come from, and changing them.
#[derive(Clone, Debug, Args)]
pub struct ConfigArguments {
    /// What to do with them.
    #[command(subcommand)]
    pub action: ConfigAction,
    /// Settings file instead of the one in the configuration folder
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// One JSON object a line, nothing else on standard output
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do with the settings.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigAction {
    /// Every setting with its value, where that came from, and what it may be
    Show {
        /// Only this one
        #[arg(value_name = "KEY")]
        key: Option<String>,
    },
    /// Where the settings file is
    Path,
    /// Write one setting into the file
    Set {
        /// The setting's name; hearth config show lists them
        #[arg(value_name = "KEY")]
        key: String,
        /// Its new value
        #[arg(value_name = "VALUE", allow_hyphen_values = true)]
        value: String,
    },
    /// Take one setting out of the file
    Unset {
        /// The setting's name; hearth config show lists them
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// Look for mistakes in the file and the environment
    Check,
}

/// Runs the command.
pub fn run(arguments: &ConfigArguments) -> Result<Exit, Failure> {
    let place = Place::find(arguments.config.as_deref())?;
    let mut out = Out { json: arguments.json, out: io::stdout().lock() };
    let printed = match &arguments.action {
        ConfigAction::Show { key } => {
            let key = key.as_deref().map(key_named).transpose()?;
            show(&place.read()?, key, &mut out)
        }
        ConfigAction::Path => out.line("path", &place.file.display().to_string(), "path"),
        ConfigAction::Set { key, value } => {
            let key = key_named(key)?;
            place.change(key, Some(value))?;
            let said = format!(
                "{} is {} now, in {}.",
                key.name(),
                key.shown(value.trim()),
                place.file.display()
            );
            warn_if_overruled(&place, key);
            out.line("changed", &said, "what")
        }
        ConfigAction::Unset { key } => {
            let key = key_named(key)?;
            place.change(key, None)?;
            let said = format!("{} is no longer set in {}.", key.name(), place.file.display());
            out.line("changed", &said, "what")
        }
        ConfigAction::Check => return check(&place, out),
    };
    written(printed)
}

/// The file in question.
struct Place {
    file: PathBuf,
    named: bool,
}

impl Place {
    fn find(named: Option<&Path>) -> Result<Self, Failure> {
        if let Some(named) = named {
            return Ok(Self { file: named.to_owned(), named: true });
        }
        let folders = Folders::find().map_err(|error| Failure::of_folder(&error))?;
        Ok(Self { file: folders.config.join(FILE_NAME), named: false })
    }

    fn read(&self) -> Result<Settings, Failure> {
        let environment = |name: &str| std::env::var(name).ok();
        let folder = self.file.parent().unwrap_or(Path::new(""));
        let named = self.named.then_some(self.file.as_path());
        Settings::read(named, folder, environment, Vec::new())
            .map_err(|error| Failure::of_settings(&error))
    }

    fn change(&self, key: Key, value: Option<&str>) -> Result<(), Failure> {
        edit::set(&self.file, &[(key, value.map(str::to_owned))]).map_err(|error| {
            let exit = match &error {
                EditError::Folder(_) => Exit::Disk,
                _ => Exit::Configuration,
            };
            Failure::new(exit, &error).coded(error.code())
        })
    }
}

fn key_named(name: &str) -> Result<Key, Failure> {
    given::key_named(name).map_err(|error| Failure::new(Exit::Usage, error))
}

/// The file is not the last word: say so where it is overruled.
fn warn_if_overruled(place: &Place, key: Key) {
    let origin = place.read().ok().and_then(|settings| settings.text(key).map(|text| text.origin));
    if origin == Some(Origin::Environment) {
        eprintln!("hearth: the environment variable {} beats the file.", key.variable());
    }
}

/// A setting, for scripts.
#[derive(Serialize)]
struct Line {
    event: &'static str,
    #[serde(flatten)]
    setting: Shown,
}

fn show(settings: &Settings, only: Option<Key>, out: &mut Out<impl Write>) -> io::Result<()> {
    for key in Key::ALL.into_iter().filter(|key| only.is_none_or(|only| only == *key)) {
        let setting = Shown::of(settings, key);
        if out.json {
            out.json(&Line { event: "setting", setting })?;
            continue;
        }
        let from = match (setting.origin.as_str(), setting.line) {
            (_, Some(line)) => format!("file, line {line}"),
            ("environment", None) => setting.variable,
            (origin, None) => origin.to_owned(),
        };
        writeln!(out.out, "{:20} {}", key.name(), setting.value.as_deref().unwrap_or("(not set)"))?;
        writeln!(out.out, "{:20}   from: {from}; may be: {}", "", key.allowed())?;
    }
    if only.is_some() || out.json {
        return Ok(());
    }
    match settings.file() {
        Some(path) => writeln!(out.out, "\nThe file is {}.", path.display()),
        None => writeln!(out.out, "\nThere is no settings file yet."),
    }
}

/// Looks at everything; all mistakes are told, not only the first.
fn check(place: &Place, mut out: Out<impl Write>) -> Result<Exit, Failure> {
    let settings = place.read()?;
    let constants = settings.constants(Constants::live()).err();
    let wrong: Vec<_> = settings.check().into_iter().chain(constants).collect();
    let Some((last, others)) = wrong.split_last() else {
        let said = match settings.file() {
            Some(path) => format!("{} is in order.", path.display()),
            None => "There is no settings file; the defaults are in order.".to_owned(),
        };
        return written(out.line("checked", &said, "what"));
    };
    for error in others {
        eprintln!("hearth: {}", Failure::of_settings(error));
    }
    Err(Failure::of_settings(last))
}

/// Where lines go.
struct Out<W> {
    json: bool,
    out: W,
}

impl<W: Write> Out<W> {
    fn json(&mut self, line: &impl Serialize) -> io::Result<()> {
        writeln!(self.out, "{}", serde_json::to_string(line).map_err(io::Error::other)?)
    }

    /// A line for a person, or an event with the same text.
    fn line(&mut self, event: &str, text: &str, field: &str) -> io::Result<()> {
        if self.json {
            return self.json(&serde_json::json!({ "event": event, field: text }));
        }
        writeln!(self.out, "{text}")
    }
}
