//! The events of a record, as they were told: for scripts letter for letter, for a person with the
//! time before each.

use std::io::{self, Write};
use std::time::Duration;

use super::{Speed, failure};
use crate::cli::exit::written;
use crate::cli::print::{Printer, Style};
use crate::cli::{Exit, Failure};
use crate::clock::Clock;
use crate::telemetry::Event;
use crate::telemetry::record::{Reader, What};

/// Prints them from a time on; at the speed of life, or so much faster, if one was asked for.
pub(super) fn events(
    reader: &mut Reader,
    from: Duration,
    speed: Option<Speed>,
    json: bool,
) -> Result<Exit, Failure> {
    let clock = Clock::system();
    let mut out = io::stdout().lock();
    let mut last = from;
    for number in 0..reader.frames() {
        for line in reader.lines(number).map_err(|error| failure(&error))? {
            let at = Duration::from_millis(line.at);
            let What::Event(event) = line.what else { continue };
            if at < from {
                continue;
            }
            if let Some(Speed(factor)) = speed {
                clock.block(at.saturating_sub(last).div_f64(factor));
                last = at;
            }
            let text = match json {
                true => Some(event.get().to_owned()),
                false => readable(event.get()).map(|text| timed(at, &text)),
            };
            let Some(text) = text else { continue };
            if let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush()) {
                return written(Err(error));
            }
        }
    }
    if reader.is_torn() {
        eprintln!("hearth: the record breaks off here; its last seconds were not saved.");
    }
    Ok(Exit::Done)
}

/// An event for a person; none where there is nothing to say, or this version does not know it.
pub(super) fn readable(json: &str) -> Option<String> {
    let event: Event = serde_json::from_str(json).ok()?;
    let mut line = Vec::new();
    Printer::new(Style::Readable, &mut line, Clock::system()).with_states().event(&event).ok()?;
    Some(String::from_utf8_lossy(&line).trim_end().to_owned()).filter(|text| !text.is_empty())
}

/// The text with its time before it.
pub(super) fn timed(at: Duration, text: &str) -> String {
    format!("{:>8}  {}", crate::tui::text::clock(at), text.replace('\n', "\n          "))
}
