//! The words of the keys: a few for the footer, a sentence for the help and the docs.

use crate::config::keys::Action;
use crate::tui::seat::Kind;

/// Title of the help.
pub const HELP: &str = " Keys ";
/// One line for the eight.
pub const SCREENS: &str = "Show a screen: the names are on top.";
/// One line for those that move in the log.
pub const MOVE: &str = "Move in the log or a list: by lines, pages, to its ends.";
/// One line for both ways.
pub const MINERS: &str = "Show your next miner, or the one before.";
/// One line for what may be done to a practice swarm's miners.
pub const LAB: &str = "Practice: start, kill, slow a miner; let one cheat.";
/// One line for both ways.
pub const STEPS: &str = "A step back or ahead: a hundredth of the record.";
/// See [`STEPS`].
pub const LEAPS: &str = "A tenth of the record back or ahead; so does shift.";
/// See [`STEPS`].
pub const SPEEDS: &str = "Twice as fast, or half as fast.";
/// See [`STEPS`].
pub const ENDS: &str = "To the beginning of the record, or to its end.";
/// Below the help.
pub const HELP_FOOT: &str = "Other keys: docs/keys.md. What words mean: `hearth explain words`.";

/// For the footer, and for the help.
pub fn of(action: Action, kind: Kind) -> (&'static str, &'static str) {
    let past = matches!(kind, Kind::Past | Kind::Watched);
    let other = matches!(kind, Kind::Other(_));
    match action {
        Action::Now => ("", "What happens now: speed, device, phase, loss."),
        Action::Earnings => ("", "What it earned, and what it cost."),
        Action::Training => ("", "Your stage: where its time goes, loss, memory."),
        Action::Network => ("", "The run: its stages, their miners, who holds it back."),
        Action::Peers => ("", "The miners that yours talks to, and how."),
        Action::Machine => ("", "This machine: its devices, limits and rules."),
        Action::Log => ("", "What was logged, to search and filter."),
        Action::Swarm => ("", "The practice swarm from inside."),
        Action::NextScreen => ("screens", "Show the next screen."),
        Action::PreviousScreen => ("", "Show the screen before."),
        Action::Pause => ("pause", "Pause your miner. What that costs is shown first."),
        Action::Finish => ("finish", "Finish this epoch, hand it in, then end."),
        Action::Snooze => ("snooze", "Pause for a time that you choose."),
        Action::Resume => ("resume", "Let your miner work again."),
        Action::Stop => ("stop", "Stop your miner. You are asked first."),
        Action::NextMiner => ("next miner", "Show your next miner. The keys act on it."),
        Action::PreviousMiner => ("", "Show your miner before."),
        Action::Switch => ("off/on", "Switch this miner off, which frees its device, or on."),
        Action::Search => ("", "Search the log."),
        Action::Filter => ("", "Show all log lines, or only the warnings."),
        Action::Scale => ("", "Draw the loss linear or logarithmic."),
        Action::Axis => ("", "Draw the loss over tokens or over time."),
        Action::Write if past => ("", "Show what the swarm's model wrote."),
        Action::Write => ("", "Let the swarm's model write a sentence."),
        Action::Copy => ("", "Copy this screen's text to the clipboard."),
        Action::Up => ("", "A line up in the log or a list."),
        Action::Down => ("", "A line down in the log or a list."),
        Action::PageUp => ("", "A page up in the log or a list."),
        Action::PageDown => ("", "A page down in the log or a list."),
        Action::Oldest if kind == Kind::Past => ("", "To the beginning of the record."),
        Action::Newest if kind == Kind::Past => ("", "To the end of the record."),
        Action::Oldest => ("", "To the oldest line of the log, or a list's beginning."),
        Action::Newest => ("", "To the newest line of the log, and follow it; a list's end."),
        Action::Hold => ("hold", "Stand still, or go on."),
        Action::Rewind => ("back", "A step back: a hundredth of the record, at most a minute."),
        Action::Ahead => ("ahead", "A step ahead."),
        Action::FarBack => ("", "A tenth of the record back; so does shift and the arrow."),
        Action::FarAhead => ("", "A tenth of the record ahead."),
        Action::Faster => ("faster", "Twice as fast."),
        Action::Slower => ("slower", "Half as fast."),
        Action::StartMiner => ("", "Practice: let another miner begin, or a killed one again."),
        Action::KillMiner => ("", "Practice: end the chosen miner at once. You are asked."),
        Action::SlowMiner => ("", "Practice: slow the chosen miner down, or let it go again."),
        Action::CheatMiner => ("", "Practice: let it cheat; off while nobody would catch it."),
        Action::Help => ("help", "Show or hide this help."),
        Action::Close => ("", "Close what is open on top; say no to a question."),
        Action::Quit if past => ("quit", "Leave. Nothing runs here, so nothing is stopped."),
        Action::Quit if other => ("leave", "Leave. Your miner may go on; you are asked."),
        Action::Quit => ("quit", "Leave. What stopping costs is shown first."),
        Action::Suspend => ("", "Back to the shell; `fg` comes back here."),
        Action::Interrupt if past => ("", "Leave."),
        Action::Interrupt if other => ("", "Leave. Your miner goes on."),
        Action::Interrupt => ("", "Once: stop in order. Twice: stop at once."),
    }
}
