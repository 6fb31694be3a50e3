//! `hearth service`: Hearth as a service of the system, of the whole machine or of one user: systemd,
//! launchd, Windows. The texts of the services are those in `installer/services`; here they are filled
//! in, shown, and handed to whoever starts services on this system.

mod manager;
mod text;

use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;

use super::exit::written;
use super::given::Given;
use super::{Exit, Failure};
use manager::{Level, Standing, System};
use text::Wanted;

/// Run Hearth as a service: start with the machine, stop in order, start again after a crash.
#[derive(Clone, Debug, Args)]
pub struct ServiceArguments {
    /// What to do.
    #[command(subcommand)]
    pub action: ServiceAction,
    /// One JSON object a line, nothing else on standard output
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do with the service.
#[derive(Clone, Debug, Subcommand)]
pub enum ServiceAction {
    /// Make the service, have it start with the machine, and start it
    Install(InstallArguments),
    /// Stop the service and take it away; settings, keys and work stay
    Uninstall(LevelArguments),
    /// Whether it is installed, and how it is
    Status(LevelArguments),
}

/// Whose service it is.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct LevelArguments {
    /// Of this user: your settings, your keys [default, unless you are root]
    #[arg(long, conflicts_with = "system")]
    pub user: bool,
    /// Of the whole machine: a user of its own, its own settings and keys
    #[arg(long)]
    pub system: bool,
}

/// How the service is made.
#[derive(Clone, Debug, Default, Args)]
pub struct InstallArguments {
    /// Whose service it is.
    #[command(flatten)]
    pub level: LevelArguments,
    /// Show what would be installed, and where; change nothing
    #[arg(long)]
    pub print: bool,
    /// Do not start it now
    #[arg(long)]
    pub no_start: bool,
    /// The program that is started [default: this one]
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
    /// Any setting, such as --set network=testnet; may be repeated
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<Given>,
    /// Settings file instead of the service's own
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A file with the hotkey; systemd hands it over as a credential
    #[arg(long, value_name = "FILE")]
    pub hotkey_file: Option<PathBuf>,
    /// A file with the passphrase of the kept hotkey; systemd hands it over as a credential
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// Those files were encrypted with systemd-creds
    #[arg(long)]
    pub encrypted: bool,
}

/// A line for scripts.
#[derive(Serialize)]
struct Line<'a> {
    event: &'static str,
    action: &'static str,
    system: &'static str,
    level: &'static str,
    place: String,
    what: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'static str>,
}

/// Runs the command.
pub fn run(arguments: &ServiceArguments) -> Result<Exit, Failure> {
    let system = System::here()?;
    match &arguments.action {
        ServiceAction::Install(install) => {
            let level = level(install.level, system)?;
            let wanted = Wanted::new(install, level, system)?;
            let text = wanted.text();
            let place = system.place(level)?;
            if install.print {
                eprintln!("hearth: this would be written to {}", place.display());
                return written(io::stdout().lock().write_all(text.as_bytes()));
            }
            system.install(level, &wanted, text, install.no_start)?;
            let started = if install.no_start { "" } else { " and started" };
            let mut what = format!("The service is installed{started}: {}.", place.display());
            what.push_str(system.hint(level));
            say(arguments, system, level, "install", &what, None)
        }
        ServiceAction::Uninstall(of) => {
            let level = level(*of, system)?;
            let what = match system.uninstall(level)? {
                Standing::NotInstalled => "There is no such service; nothing was done.",
                _ => {
                    "The service is stopped and gone. Settings, keys and work are where they were."
                }
            };
            say(arguments, system, level, "uninstall", what, None)
        }
        ServiceAction::Status(of) => {
            let level = level(*of, system)?;
            let standing = system.standing(level)?;
            let more = system.details(level);
            let what = match (&standing, more) {
                (Standing::NotInstalled, _) => {
                    "The service is not installed: `hearth service install` makes it.".to_owned()
                }
                (Standing::Running, Some(more)) => format!("The service runs. {more}"),
                (Standing::Running, None) => "The service runs.".to_owned(),
                (Standing::Stopped, Some(more)) => format!("The service does not run. {more}"),
                (Standing::Stopped, None) => "The service does not run.".to_owned(),
            };
            say(arguments, system, level, "status", &what, Some(standing.word()))?;
            Ok(if standing == Standing::Running { Exit::Done } else { Exit::Failed })
        }
    }
}

/// Whose service is meant: the user's, unless that is root.
fn level(of: LevelArguments, system: System) -> Result<Level, Failure> {
    let level = match (of.user, of.system) {
        (true, _) => Level::User,
        (_, true) => Level::System,
        _ if system == System::Windows || is_root() => Level::System,
        _ => Level::User,
    };
    if level == Level::User && system == System::Windows {
        let line = "Windows has no services of one user: leave --user out";
        return Err(Failure::new(Exit::Usage, line));
    }
    Ok(level)
}

/// Where the system does not tell, the user's name does.
fn is_root() -> bool {
    #[cfg(target_os = "linux")]
    if let Ok(own) = std::fs::metadata("/proc/self") {
        return std::os::unix::fs::MetadataExt::uid(&own) == 0;
    }
    std::env::var("USER").is_ok_and(|user| user == "root")
}

fn say(
    arguments: &ServiceArguments,
    system: System,
    level: Level,
    action: &'static str,
    what: &str,
    state: Option<&'static str>,
) -> Result<Exit, Failure> {
    let mut out = io::stdout().lock();
    if !arguments.json {
        return written(writeln!(out, "{what}"));
    }
    let (name, place) = (system.word(), system.place(level)?.display().to_string());
    let level = level.word();
    let line = Line { event: "service", action, system: name, level, place, what, state };
    let text = serde_json::to_string(&line).map_err(|error| Failure::new(Exit::Failed, error))?;
    written(writeln!(out, "{text}"))
}
