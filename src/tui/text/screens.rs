//! The words of the eight screens.

use crate::config::keys::Action;
use crate::tui::look::ScreenName;
use crate::tui::view::Fate;

/// What the network does not tell.
pub const NOT_PUBLISHED: &str = "not published";
/// What nobody here knows.
pub const UNKNOWN: &str = "unknown";

/// The name of a screen.
pub fn name(screen: ScreenName) -> &'static str {
    match screen {
        ScreenName::Now => "Now",
        ScreenName::Earnings => "Earnings",
        ScreenName::Training => "Training",
        ScreenName::Network => "Network",
        ScreenName::Peers => "Peers",
        ScreenName::Machine => "Machine",
        ScreenName::Log => "Log",
        ScreenName::Swarm => "Swarm",
    }
}

/// Keys that matter on one screen.
pub fn footer(screen: ScreenName) -> &'static [(Action, &'static str)] {
    match screen {
        ScreenName::Training => &[(Action::Scale, "log/linear"), (Action::Axis, "tokens/time")],
        ScreenName::Swarm => &[
            (Action::StartMiner, "start"),
            (Action::KillMiner, "kill"),
            (Action::SlowMiner, "slow"),
            (Action::Write, "let it write"),
        ],
        ScreenName::Log => &[(Action::Search, "search"), (Action::Filter, "warnings")],
        _ => &[],
    }
}

/// While a word is typed.
pub const SEARCH: &str = " search: ";
/// See [`SEARCH`].
pub const SEARCH_KEYS: &str = "   Enter keep   Esc show all";
/// A search that finds nothing.
pub const NOTHING_FOUND: &str = "No line has that. Esc shows all lines again.";

/// Titles.
pub const TODAY: &str = " Today ";
/// See [`TODAY`].
pub const QUEUE: &str = " Registration queue ";
/// See [`TODAY`].
pub const STAGE: &str = " Your stage ";
/// See [`TODAY`].
pub const RUN: &str = " The run ";
/// See [`TODAY`].
pub const PEERS: &str = " Miners that yours talks to ";
/// See [`TODAY`].
pub const REACH: &str = " How others reach you ";
/// See [`TODAY`].
pub const DEVICE: &str = " Device ";
/// See [`TODAY`].
pub const RULES: &str = " Rules ";
/// See [`TODAY`].
pub const BOOKS: &str = " The practice swarm's books ";
/// See [`TODAY`].
pub const LAB: &str = " Try something ";

/// What is not there yet, on the screen where it will be.
pub const LEDGER_EMPTY: &str = "This version keeps no ledger of payouts. What your miner did is \
                                below; what the network makes of it is not known here.";
/// Why it is the score.
pub const SCORE: &str = "backwards that were accepted, and partitions merged";

/// No peers yet.
pub const NO_PEERS: &str = "No other miner is known yet: they are found once yours has a stage.";
/// Only the first and last stage have one side.
pub const NO_REACH: &str = "Not known yet: it is found out when the first peer is dialled.";

/// No swarm.
pub const NO_SWARM: &str = "There is no practice swarm here. `hearth demo` starts one: an \
                            orchestrator, a store and six miners on this machine, with no account.";
/// Instead of buttons, in a replay.
pub const LAB_PAST: &str = "A recorded swarm cannot be changed.";
/// Why nothing cheats.
pub const NO_CHEAT: &str = "Cheating is off: this swarm has no validator that would catch it.";

/// The button for that, and why it is off.
pub fn cheat(key: &str) -> String {
    format!("{key} cheat: off, for this swarm has no validator that would catch it")
}

/// A key for a miner that nothing may be done to.
pub const NOT_YOURS: &str = "That is your own miner, or one that was killed. Choose another one.";
/// An order went to the practice swarm.
pub const TOLD: &str = "The swarm is told. The log says what became of it.";

/// The miner that is chosen, and what was done to it.
pub fn chosen(name: &str, stage: usize, fate: Fate) -> String {
    let fate = match fate {
        Fate::Free => "nothing was done to it",
        Fate::Slowed => "slowed down to a tenth of the time",
        Fate::Killed => "killed",
    };
    format!("{name} in stage {stage}, {fate}")
}

/// What can be done.
pub fn lab_keys([start, kill, slow]: [&str; 3], spare: usize) -> String {
    let spare = if spare == 0 { "none left".to_owned() } else { format!("{spare} left") };
    format!("{start} start another ({spare})   {kill} kill   {slow} slow down, or let go")
}

/// Words of the books' column for what was done on purpose.
pub const KILLED: &str = "killed";
/// See [`KILLED`].
pub const SLOWED: &str = "slowed";

/// Nobody holds it back.
pub const NOBODY: &str = "nobody: the stages are side by side";

/// Which stage is behind.
pub fn behind(stage: usize, phase: &str, percent: usize, miners: &[String]) -> String {
    let who = match miners {
        [] => String::new(),
        some => format!(", by {}", some.join(", ")),
    };
    format!("stage {stage} ({phase}, {percent} %){who}")
}

/// Own rank.
pub fn rank(rank: usize, of: usize, margin: Option<f64>) -> String {
    match margin {
        Some(margin) if margin < 0.5 => format!("{rank} of {of}, level with the next"),
        Some(margin) => format!("{rank} of {of}, {margin:.0} ahead of the next"),
        None => format!("{rank} of {of}"),
    }
}

/// How long ago.
pub fn ago(seconds: f64) -> String {
    format!("{} ago", super::duration(seconds))
}

/// Below a text that is longer than the room.
pub fn more_lines(hidden: usize) -> String {
    match hidden {
        1 => " 1 more line in a larger window ".to_owned(),
        some => format!(" {some} more lines in a larger window "),
    }
}

/// Below a list that can be scrolled: what of it is beyond the room.
pub fn beyond(above: usize, below: usize) -> String {
    match (above, below) {
        (0, below) => format!(" {below} more below "),
        (above, 0) => format!(" {above} more above "),
        (above, below) => format!(" {above} more above, {below} below "),
    }
}

/// A miner of the map that was chosen.
pub fn shown(name: &str, stage: usize, status: &str, passes: &str) -> String {
    format!(" {name} in stage {stage}: {status}, {passes} ")
}

/// A rule that has no end of its own.
pub const NO_END: &str = "something changes";

/// Over the log.
pub const ALL_LINES: &str = "all lines";
/// See [`ALL_LINES`].
pub const WARNINGS: &str = "warnings and errors";
/// See [`ALL_LINES`].
pub const FOLLOWS: &str = "at the newest, following";
/// See [`ALL_LINES`].
pub const WITH: &str = "with";

/// How far above the newest.
pub fn above(lines: usize) -> String {
    format!("{lines} above the newest, held (End follows)")
}

/// How many of how many.
pub fn of(shown: usize, all: usize) -> String {
    format!("{shown} of {all}")
}

/// The columns of the practice swarm's books.
pub const BOOK_COLUMNS: [&str; 8] =
    ["stage", "phase", "miner", "status", " forwards", " backwards", "  merged", "  score"];

/// A peer that is left alone for a while after failures.
pub const RESTS: &str = "rests";

/// What of the disk is kept free.
pub fn kept(bytes: &str) -> String {
    format!(" ({bytes} kept)")
}
