//! `hearth replay`: plays the record of a run on the dashboard, prints its events, or lists the
//! records there are. `hearth screenshot`: one screen of it.

mod list;
mod player;
mod print;
mod screenshot;

use std::io::{self, IsTerminal as _};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::exit::written;
use super::{Exit, Failure, signals};
use crate::clock::Clock;
use crate::config::folders::Folders;
use crate::config::units;
use crate::control::{Control, Place};
use crate::telemetry::logs::Ring;
use crate::telemetry::record::{Reader, RecordError, Shelf};
use crate::tui::{self, Furniture, Left, Medium, Pace, TuiError};
use player::Player;
pub use screenshot::{ScreenshotArguments, screenshot};

/// Play the record of a run, or list the records.
#[derive(Clone, Debug, Default, Args)]
pub struct ReplayArguments {
    /// The record: a file, the name of one in the list, or last; without one, they are listed
    #[arg(value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// How much faster than life, such as 10x
    #[arg(long, value_name = "FACTOR")]
    pub speed: Option<Speed>,
    /// Begin so long after its beginning, such as 5m
    #[arg(long, value_name = "TIME", value_parser = units::span)]
    pub from: Option<Duration>,
    /// The events as they were, one JSON object a line; for the list, a line for each record
    #[arg(long)]
    pub json: bool,
    /// The dashboard in lines, each with its time of the record, for a screen reader
    #[arg(long, conflicts_with = "json")]
    pub plain: bool,
}

/// How much faster than life.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Speed(f64);

impl Speed {
    /// As fast as life.
    const LIFE: Self = Self(1.0);
    /// The slowest and the fastest.
    const RANGE: std::ops::RangeInclusive<f64> = 0.125..=1024.0;

    /// Twice as fast, as far as it goes.
    fn faster(self) -> Self {
        Self((self.0 * 2.0).min(*Self::RANGE.end()))
    }

    /// Half as fast, as far as it goes.
    fn slower(self) -> Self {
        Self((self.0 / 2.0).max(*Self::RANGE.start()))
    }
}

/// No speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is a factor from 0.125 to 1024, such as 10x")]
pub struct SpeedError;

impl FromStr for Speed {
    type Err = SpeedError;

    fn from_str(text: &str) -> Result<Self, SpeedError> {
        let number = text.trim().trim_end_matches('x').parse().map_err(|_| SpeedError)?;
        Self::RANGE.contains(&number).then_some(Self(number)).ok_or(SpeedError)
    }
}

/// A record that cannot be read ends the command.
fn failure(error: &RecordError) -> Failure {
    let exit = match error {
        RecordError::Missing(_) | RecordError::Foreign(_) => Exit::Usage,
        _ => Exit::Failed,
    };
    Failure::new(exit, error).coded(error.code())
}

/// Runs the command.
pub fn run(arguments: &ReplayArguments) -> Result<Exit, Failure> {
    let folders = Folders::find().map_err(|error| Failure::of_folder(&error))?;
    let shelf = Shelf::of(&folders.state);
    let Some(wanted) = &arguments.record else { return list::print(&shelf, arguments.json) };
    let from = arguments.from.unwrap_or_default();
    let mut reader = open(&find(wanted, &shelf)?, from)?;
    if arguments.plain {
        return tell(reader, from, arguments.speed);
    }
    if arguments.json || !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        return print::events(&mut reader, from, arguments.speed, arguments.json);
    }
    show(reader, from, arguments.speed.unwrap_or(Speed::LIFE))
}

/// What a face attaches to, as it stood so long after the beginning of a record, or at its end; the log
/// has the lines that came before.
///
/// # Errors
/// [`Failure`] where the record cannot be read, or ends before that.
pub fn standing(
    record: &Path,
    at: Option<Duration>,
    log: &Ring,
) -> Result<(Control, Place), Failure> {
    let reader = open(record, at.unwrap_or_default())?;
    let at = at.unwrap_or_else(|| reader.length());
    let (_, control, playback) = Player::open(reader, at, Speed::LIFE, log)?;
    let place = playback.place.borrow().clone();
    Ok((control, place))
}

/// Opens a record that is at least as long as that.
fn open(path: &Path, from: Duration) -> Result<Reader, Failure> {
    let reader = Reader::open(path).map_err(|error| failure(&error))?;
    if from > reader.length() {
        let length = humantime::format_duration(Duration::from_secs(reader.length().as_secs()));
        let line = format!("{} is only {length} long: begin earlier than that", path.display());
        return Err(Failure::new(Exit::Usage, line));
    }
    Ok(reader)
}

/// A file; else one in the list by its name, with or without the ending; else the last.
fn find(wanted: &Path, shelf: &Shelf) -> Result<PathBuf, Failure> {
    if wanted.is_file() {
        return Ok(wanted.to_owned());
    }
    let records = shelf.list();
    let found = match wanted.to_str() {
        Some("last") => records.last(),
        _ => records.iter().find(|record| {
            record.path.file_name() == Some(wanted.as_os_str())
                || record.path.file_stem() == Some(wanted.as_os_str())
        }),
    };
    found
        .map(|record| record.path.clone())
        .ok_or_else(|| failure(&RecordError::Missing(wanted.to_owned())))
}

/// Plays it on the dashboard.
fn show(reader: Reader, from: Duration, speed: Speed) -> Result<Exit, Failure> {
    let clock = Clock::system();
    let log = Ring::default();
    let runtime = super::runtime()?;
    let stop = runtime.block_on(async { signals::watch() });
    let (player, control, playback) = Player::open(reader, from, speed, &log)?;
    let own = clock.clone();
    let thread = std::thread::Builder::new().name("player".into()).spawn(move || player.run(&own));
    let thread = thread.map_err(|error| {
        Failure::new(Exit::Failed, format!("no thread to play it: {error}")).coded("no-threads")
    })?;
    let (keys, mouse) = super::demo::face::hands(Folders::find().ok().as_ref());
    let furniture = Furniture { log, clock, keys, mouse, medium: Medium::Screen, stop };
    let left = tui::play(&control, &playback, &furniture);
    // The player ends when nobody can wish anything any more.
    drop((control, playback));
    let played = thread.join().unwrap_or(Ok(()));
    runtime.shutdown_background();
    played?;
    match left {
        Ok(Left::Interrupted) => Ok(Exit::Interrupted),
        Ok(_) => Ok(Exit::Done),
        Err(error) => Err(Failure::of_screen(&error)),
    }
}

/// Tells it in lines, as `--plain` told it then. Without a keyboard nobody waits for the time to pass,
/// unless a speed was asked for.
fn tell(reader: Reader, from: Duration, speed: Option<Speed>) -> Result<Exit, Failure> {
    let pace = match (speed, io::stdin().is_terminal()) {
        (None, false) => Pace::AtOnce,
        _ => Pace::Record,
    };
    let (clock, log) = (Clock::system(), Ring::default());
    let runtime = super::runtime()?;
    let stop = runtime.block_on(async { signals::watch() });
    let (mut player, control, playback) =
        Player::open(reader, from, speed.unwrap_or(Speed::LIFE), &log)?;
    let (keys, mouse) = super::demo::face::hands(Folders::find().ok().as_ref());
    let furniture = Furniture { log, clock, keys, mouse, medium: Medium::Lines, stop };
    let mut broken = None;
    let mut advance = |by| match player.advance(by) {
        Ok(()) => ControlFlow::Continue(()),
        Err(failure) => {
            broken = Some(failure);
            ControlFlow::Break(())
        }
    };
    let left = tui::tell(&control, &playback, (pace, &mut advance), &furniture);
    runtime.shutdown_background();
    match (broken, left) {
        (Some(failure), _) => Err(failure),
        (None, Ok(Left::Interrupted)) => Ok(Exit::Interrupted),
        (None, Ok(_)) => Ok(Exit::Done),
        (None, Err(TuiError::Terminal(error))) => written(Err(error)),
        (None, Err(error)) => Err(Failure::of_screen(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_factors() {
        assert_eq!("10x".parse(), Ok(Speed(10.0)));
        assert_eq!("0.5".parse(), Ok(Speed(0.5)));
        for text in ["", "x", "0", "-1x", "NaN", "1e9x"] {
            assert_eq!(text.parse::<Speed>(), Err(SpeedError), "{text}");
        }
        assert_eq!(Speed(1024.0).faster(), Speed(1024.0));
        assert_eq!(Speed(0.125).slower(), Speed(0.125));
    }
}
