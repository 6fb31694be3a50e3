//! The words of the dashboard in lines (`--plain`).

use super::{advice, clock, duration, eta, factor, phase as phase_word, rules, who};
use crate::control::Place;
use crate::miner::MinerSnapshot;
use crate::tui::view::View;

/// What has the status line said again.
pub const STATUS_WORD: &str = "status";
/// What says no to a question.
pub const NO_WORD: &str = "no";
/// For the help.
pub const STATUS_HELP: &str = "Say the status line again.";
/// Before the words that can be typed.
pub const HELP: &str = "Type a word and press Enter:";
/// For keys that only change a picture.
pub const FOR_THE_SCREEN: &str =
    "That is for the dashboard with pictures: start Hearth without --plain.";
/// An action on a miner of the practice swarm, without one.
pub const WHICH: &str = "Say which one, such as: kill-miner m3. The screen swarm has their names.";
/// A question that makes no sense now.
pub const NOTHING_TO_ASK: &str = "That would change nothing now.";
/// It ends after this epoch.
pub const FINISHING: &str = "It finishes this epoch, hands in what it learned, and then ends.";

/// The first lines.
pub fn opening(has_keyboard: bool) -> Vec<String> {
    let mut lines = vec!["Hearth in lines.".to_owned()];
    if has_keyboard {
        lines.push(
            "Type help and press Enter for what you can ask. Ctrl-C stops in order.".to_owned(),
        );
    }
    lines
}

/// The first lines of a record that is told.
pub fn opening_of_record(recorded: &str, has_keyboard: bool) -> Vec<String> {
    let mut lines =
        vec![format!("The record of {recorded}, in lines. Before each is its time of the record.")];
    if has_keyboard {
        lines.push("Type help and press Enter for what you can ask.".to_owned());
    }
    lines
}

/// Its last line.
pub fn end_of_record(has_keyboard: bool) -> &'static str {
    match has_keyboard {
        true => "The record ends here. Type rewind, the name of a screen, or quit.",
        false => "The record ends here.",
    }
}

/// A line with its time of the record.
pub fn timed(at: std::time::Duration, line: &str) -> String {
    format!("{}  {line}", clock(at))
}

/// Where a record that is told has come to.
pub fn place(place: &Place) -> String {
    let (at, length) = (clock(place.at), clock(place.length));
    match (place.holds, place.speed) {
        (true, _) => format!("Held at {at} of {length}."),
        (false, 1.0) => format!("At {at} of {length}."),
        (false, speed) => format!("At {at} of {length}, {} times as fast as life.", factor(speed)),
    }
}

/// The status line: state, reason, since when; what is next, who does it, and when; what to do.
pub fn status(view: &View) -> Vec<String> {
    let status = &view.miner.status;
    #[allow(clippy::cast_precision_loss)]
    let age = duration(view.unix as f64 - status.since);
    let state = super::capitalised(status.state.word());
    let rules = rules(&view.miner.ruling);
    let rules = if rules.is_empty() { rules } else { format!(" {}", rules.trim()) };
    vec![
        format!("{state} for {age}. {}", status.reason.sentence()),
        format!(
            "Next: {}. Done by: {}. Expected in: {}.{rules}",
            status.next.trim_end_matches('.'),
            who(status.who),
            eta(status.eta)
        ),
        format!("Advice: {}", advice::of(&status.reason)),
    ]
}

/// Where the miner sits.
pub fn seat(miner: &MinerSnapshot) -> String {
    let stage = miner.stage.map_or("no stage yet".to_owned(), |stage| format!("stage {stage}"));
    let run = miner.run.as_ref().map_or(String::new(), |run| format!(" of run {run}"));
    format!("Your miner {}: {stage}{run}.", miner.name)
}

/// Its stage's epoch and phase; nothing before there is one.
pub fn phase(miner: &MinerSnapshot) -> Option<String> {
    let phase = miner.phase.as_deref().map(phase_word)?;
    let stage = miner.stage?;
    Some(format!("Epoch {}, stage {stage}: {phase}.", miner.epoch))
}

/// Another own miner.
pub fn other(name: &str, state: &str) -> String {
    format!("Your miner {name} is {state}.")
}

/// The loss.
pub fn loss(first: f64, last: f64) -> String {
    format!("Loss {last:.3}; at first it was {first:.3}. Lower is better.")
}

/// The same where a title says what it is.
pub fn from_to(first: f64, last: f64) -> String {
    format!("{last:.3}, at first {first:.3}")
}

/// A log line that warns.
pub fn warning(line: &str) -> String {
    let line = line.trim();
    match line.split_once(' ') {
        Some(("ERROR", rest)) => format!("Error: {}", rest.trim()),
        Some(("WARN", rest)) => format!("Warning: {}", rest.trim()),
        _ => line.to_owned(),
    }
}

/// What the practice swarm's model wrote.
pub fn wrote(begun: &str, text: &str) -> String {
    format!("The swarm's model writes: {begun} {text}")
}

/// Warnings that were not read out.
pub fn unsaid(warnings: usize) -> String {
    match warnings {
        1 => "One more warning: type log.".to_owned(),
        some => format!("{some} more warnings: type log."),
    }
}

/// A word that means nothing here.
pub fn unknown(word: &str) -> String {
    format!("{word:?} is no word that does something here. Type help for those that do.")
}

/// No miner of the practice swarm has that name.
pub fn no_such_miner(name: &str) -> String {
    format!("There is no miner {name:?} in the practice swarm.")
}

/// An order was given.
pub fn done(miner: &str) -> String {
    format!("Done: {miner} is told.")
}

/// One way to answer.
pub fn choice(word: &str, meaning: &str) -> String {
    format!("  {word}: {meaning}")
}
