//! `hearth screenshot`: what a screen showed of a recorded run at one moment, as a picture or as text.
//! The README's pictures are made by it, from a record that is kept with the tests.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;

use super::{find, standing};
use crate::cli::{Exit, Failure};
use crate::clock::Clock;
use crate::config::folders::Folders;
use crate::config::units;
use crate::telemetry::logs::Ring;
use crate::telemetry::record::Shelf;
use crate::tui::look::ScreenName;
use crate::tui::still::{self, Window};
use crate::tui::svg;
use crate::tui::theme::{Depth, Theme};

/// A screen of a recorded run as a picture.
#[derive(Clone, Debug, Args)]
pub struct ScreenshotArguments {
    /// now, earnings, training, network, peers, machine, log or swarm
    #[arg(value_name = "SCREEN")]
    pub screen: ScreenName,
    /// The record: a file, the name of one that `hearth replay` lists, or last
    #[arg(long, value_name = "FILE", default_value = "last")]
    pub record: PathBuf,
    /// So long after its beginning, such as 5m [default: its end]
    #[arg(long, value_name = "TIME", value_parser = units::span)]
    pub at: Option<Duration>,
    /// Columns and rows of the window
    #[arg(long, value_name = "CxR", default_value = "120x40")]
    pub size: Size,
    /// Without colours
    #[arg(long)]
    pub no_colour: bool,
    /// The text of the screen, not a picture
    #[arg(long)]
    pub text: bool,
    /// The same facts in lines, as --plain tells them
    #[arg(long, conflicts_with_all = ["text", "no_colour", "size"])]
    pub plain: bool,
    /// Where it is written [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// A window's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(Window);

/// No size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is columns and rows from 80x24 to 400x200, such as 120x40")]
pub struct SizeError;

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        let (columns, rows) = text.split_once('x').ok_or(SizeError)?;
        let number = |text: &str, range: std::ops::RangeInclusive<u16>| {
            text.trim().parse().ok().filter(|number| range.contains(number)).ok_or(SizeError)
        };
        let (columns, rows) = (number(columns, 80..=400)?, number(rows, 24..=200)?);
        Ok(Self(Window { columns, rows }))
    }
}

/// Runs the command.
pub fn screenshot(arguments: &ScreenshotArguments) -> Result<Exit, Failure> {
    let folders = Folders::find().map_err(|error| Failure::of_folder(&error))?;
    let path = find(&arguments.record, &Shelf::of(&folders.state))?;
    let log = Ring::default();
    let (control, place) = standing(&path, arguments.at, &log)?;
    let theme = match arguments.no_colour {
        true => Theme::plain(),
        false => Theme::colourful().with_depth(Depth::True),
    };
    let Size(window) = arguments.size;
    let ground = (&control, &log, &Clock::system());
    let cells = || still::still(ground, place.unix, arguments.screen, window, theme);
    let picture = match (arguments.plain, arguments.text) {
        (true, _) => still::told(ground, place.unix, arguments.screen),
        (false, true) => still::to_text(&cells()),
        (false, false) => svg::to_svg(&cells()),
    };
    let Some(path) = &arguments.output else {
        // Whoever reads it may have seen enough.
        let _ = io::stdout().write_all(picture.as_bytes());
        return Ok(Exit::Done);
    };
    fs::write(path, picture).map_err(|error| {
        let line = format!("{} cannot be written ({error}): choose another place", path.display());
        Failure::new(Exit::Failed, line)
    })?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_two_numbers() {
        assert_eq!("120x40".parse(), Ok(Size(Window { columns: 120, rows: 40 })));
        for text in ["", "x", "79x24", "80x23", "401x24", "80", "80x24x2", "ax24"] {
            assert_eq!(text.parse::<Size>(), Err(SizeError), "{text}");
        }
    }
}
