//! `hearth alerts`: what alerts there are and where they go; `hearth alerts test` tries every channel.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::exit::written;
use super::run::RunArguments;
use super::{Exit, Failure, beside};
use crate::alerts::{Alert, Channels, ChannelsError, Kind, Post};
use crate::clock::Clock;
use crate::config::folders::Folders;
use crate::config::settings::Settings;

/// What alerts there are, where they go, and whether they arrive.
#[derive(Clone, Debug, Args)]
pub struct AlertsArguments {
    /// What to do; alone, the words and channels are listed.
    #[command(subcommand)]
    pub action: Option<AlertsAction>,
    /// Settings file instead of the one in the configuration folder
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// One JSON object a line, nothing else on standard output
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do with alerts.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum AlertsAction {
    /// Send a test through every channel that is set up, and say what came of each
    Test,
}

/// Runs the command.
pub fn run(arguments: &AlertsArguments) -> Result<Exit, Failure> {
    let folders = Folders::find().map_err(|error| Failure::of_folder(&error))?;
    let read = |name: &str| std::env::var(name).ok();
    let settings = Settings::read(arguments.config.as_deref(), &folders.config, read, Vec::new())
        .map_err(|error| Failure::of_settings(&error))?;
    let channels = Channels::of(&settings)
        .map_err(|ChannelsError::Settings(error)| Failure::of_settings(&error))?;
    match arguments.action {
        Some(AlertsAction::Test) => test(&channels, arguments.json),
        None => written(list(&channels, arguments.json, &mut io::stdout().lock())),
    }
}

fn list(channels: &Channels, json: bool, out: &mut impl Write) -> io::Result<()> {
    for kind in Kind::ALL {
        let on = channels.on.contains(&kind);
        match json {
            true => writeln!(out, "{}", json!({ "event": "alert_kind", "kind": kind, "on": on }))?,
            false => {
                let mark = if on { "on " } else { "off" };
                writeln!(out, "  {mark} {:15} your miner {}", kind.word(), kind.title())?;
            }
        }
    }
    for channel in &channels.all {
        match json {
            true => {
                writeln!(out, "{}", json!({ "event": "alert_channel", "channel": channel.name() }))?
            }
            false => writeln!(out, "  they go to: {}", channel.name())?,
        }
    }
    if channels.all.is_empty() && !json {
        writeln!(
            out,
            "\nThey go nowhere: no channel is set up. `hearth explain alerts` says how."
        )?;
    }
    Ok(())
}

fn test(channels: &Channels, json: bool) -> Result<Exit, Failure> {
    if channels.all.is_empty() {
        let line = "no channel is set up, so nobody would hear of anything: set one of \
                    alert_desktop, alert_webhook, alert_ntfy, alert_kuma, alert_command";
        return Err(Failure::new(Exit::Configuration, line).coded("alerts"));
    }
    let clock = Clock::system();
    let alert = Alert::trial(clock.unix().as_secs());
    let runtime = super::runtime()?;
    let results = runtime.block_on(Post::once(&channels.all, &alert, &clock));
    runtime.shutdown_background();
    let mut out = io::stdout().lock();
    let mut failed = 0;
    for (channel, result) in results {
        let why = result.err().map(|failing| failing.why);
        failed += usize::from(why.is_some());
        let line = match (json, why) {
            (true, why) => json!({ "event": "alert_test", "channel": channel, "sent": why.is_none(), "why": why }).to_string(),
            (false, None) => format!("{channel}: sent"),
            (false, Some(why)) => format!("{channel}: FAILED: {why}"),
        };
        if let Err(error) = writeln!(out, "{line}") {
            return written(Err(error));
        }
    }
    match failed {
        0 => Ok(Exit::Done),
        _ => Err(Failure::new(
            Exit::Failed,
            format!("{failed} of the channels did not take the test: see above"),
        )
        .coded("alert-failed")),
    }
}

/// Tells of a run that could not begin, or was not begun again: there is nobody beside it who could.
/// What ends a run on its way is told from there.
pub(super) fn tell_of(failure: &Failure, arguments: &RunArguments) {
    let kind = match failure.code {
        "crash-loop" => Kind::CrashLoop,
        _ if failure.exit == Exit::Disk => Kind::Disk,
        // The person who types it is there.
        _ if matches!(failure.exit, Exit::Usage | Exit::AlreadyRunning) => return,
        _ => Kind::Fault,
    };
    if beside::has_watched() && kind != Kind::CrashLoop {
        return;
    }
    let Ok(folders) = Folders::find() else { return };
    let read = |name: &str| std::env::var(name).ok();
    let settings =
        Settings::read(arguments.config.as_deref(), &folders.config, read, arguments.flags());
    let Ok(channels) = settings.map_err(drop).and_then(|read| Channels::of(&read).map_err(drop))
    else {
        return;
    };
    if channels.all.is_empty() || !channels.on.contains(&kind) {
        return;
    }
    let clock = Clock::system();
    let alert = Alert::of_all(kind, failure.line.as_str(), failure.code, clock.unix().as_secs());
    let Ok(runtime) = super::runtime() else { return };
    for (channel, sent) in runtime.block_on(Post::once(&channels.all, &alert, &clock)) {
        if let Err(failing) = sent {
            tracing::warn!("the alert did not go through {channel}: {}", failing.why);
        }
    }
    runtime.shutdown_background();
}
