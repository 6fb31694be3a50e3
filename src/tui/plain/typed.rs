//! What a typed line means: an action by its name or its key, a screen, or the status line again.

use crate::config::keys::{Action, Press};
use crate::tui::keymap::{self, Binding};
use crate::tui::look::ScreenName;
use crate::tui::question::{Answer, Choice, Question};
use crate::tui::text::plain as say;

/// A line, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// Empty.
    Nothing,
    /// The status line, please.
    Status,
    /// What there is to type.
    Help,
    /// What a screen shows.
    Screen(ScreenName),
    /// Something that the shell of the dashboard does.
    Do(Action),
    /// The same, with the miner of the practice swarm that is meant.
    DoTo(Action, String),
    /// An action that changes only how a picture looks.
    ForTheScreen,
    /// No word of ours.
    Unknown(String),
}

/// Reads a line.
pub(super) fn read(line: &str, bindings: &[Binding]) -> Typed {
    let words = line.trim();
    let lower = words.to_lowercase();
    let name = lower.strip_prefix("screen ").map_or(lower.as_str(), str::trim);
    match name {
        "" => return Typed::Nothing,
        say::STATUS_WORD => return Typed::Status,
        _ => {}
    }
    if let Ok(screen) = name.parse() {
        return Typed::Screen(screen);
    }
    if let Some((verb, miner)) = words.split_once(' ')
        && let Some(action) = of_the_lab(verb, bindings)
    {
        return Typed::DoTo(action, miner.trim().to_owned());
    }
    let meant = |b: &&Binding| b.action.name() == lower || b.press.to_string() == words;
    match bindings.iter().find(meant).map(|binding| binding.action) {
        None => Typed::Unknown(words.chars().take(60).collect()),
        Some(Action::Help) => Typed::Help,
        Some(action) => match ScreenName::of_action(action) {
            Some(screen) => Typed::Screen(screen),
            None if is_heard(action) => Typed::Do(action),
            None => Typed::ForTheScreen,
        },
    }
}

/// An action of the practice swarm's lab.
fn of_the_lab(word: &str, bindings: &[Binding]) -> Option<Action> {
    let meant =
        |b: &&Binding| b.action.name().eq_ignore_ascii_case(word) || b.press.to_string() == word;
    let action = bindings.iter().find(meant)?.action;
    keymap::LAB.contains(&action).then_some(action)
}

/// Whether an action does something where there is no picture.
fn is_heard(action: Action) -> bool {
    Question::of_action(action).is_some()
        || keymap::LAB.contains(&action)
        || matches!(
            action,
            Action::Resume
                | Action::Write
                | Action::NextMiner
                | Action::PreviousMiner
                | Action::Switch
                | Action::Hold
                | Action::Rewind
                | Action::Ahead
                | Action::FarBack
                | Action::FarAhead
                | Action::Faster
                | Action::Slower
        )
}

/// All that can be typed here, a line each.
pub(super) fn help(bindings: &[Binding]) -> Vec<String> {
    let line = |name: &str, press: Option<Press>, long: &str| match press {
        Some(press) => format!("{name}, or {press}: {long}"),
        None => format!("{name}: {long}"),
    };
    let heard = |b: &&Binding| {
        is_heard(b.action) || b.action == Action::Help || ScreenName::of_action(b.action).is_some()
    };
    let mut lines = vec![say::HELP.to_owned(), line(say::STATUS_WORD, None, say::STATUS_HELP)];
    lines.extend(
        bindings.iter().filter(heard).map(|b| line(b.action.name(), Some(b.press), b.long)),
    );
    lines
}

/// The answer that a line is; none where it says no, or nothing that was asked.
pub(super) fn answer(line: &str, choices: &[Choice]) -> Option<Answer> {
    let word = line.trim();
    let word = if word.eq_ignore_ascii_case("yes") { "y" } else { word };
    let meant =
        |choice: &&Choice| choice.keys.iter().any(|key| key.to_string().eq_ignore_ascii_case(word));
    choices.iter().find(meant).map(|choice| choice.answer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::keymap::{Keys, bindings};
    use crate::tui::seat::{Kind, Run, Swarm};

    #[test]
    fn words_and_keys_mean_the_same_and_nonsense_is_told() {
        let own = bindings(&Keys::default(), Kind::Own, Run { miners: 1, swarm: Swarm::None });
        let means = |line: &str| read(line, &own);
        for (line, action) in [
            ("pause", Action::Pause),
            (" Pause ", Action::Pause),
            ("p", Action::Pause),
            ("finish", Action::Finish),
            ("resume", Action::Resume),
            ("q", Action::Quit),
            ("quit", Action::Quit),
        ] {
            assert_eq!(means(line), Typed::Do(action), "{line:?}");
        }
        for line in ["training", "screen training", "Screen  Training", "3"] {
            assert_eq!(means(line), Typed::Screen(ScreenName::Training), "{line:?}");
        }
        assert_eq!(means("status"), Typed::Status);
        assert_eq!(
            (means("help"), means("?"), means("  ")),
            (Typed::Help, Typed::Help, Typed::Nothing)
        );
        assert_eq!(means("page-up"), Typed::ForTheScreen);
        let practice =
            bindings(&Keys::default(), Kind::Own, Run { miners: 1, swarm: Swarm::Inside });
        let kill = |line| read(line, &practice);
        assert_eq!(kill("kill-miner m3"), Typed::DoTo(Action::KillMiner, "m3".into()));
        assert_eq!(kill("K m3"), Typed::DoTo(Action::KillMiner, "m3".into()));
        assert_eq!(kill("start-miner"), Typed::Do(Action::StartMiner));
        // Not here: there is one miner, of this process.
        for line in ["next-miner", "stop", "hold", "screen", "\u{1b}[A", "pause now"] {
            assert!(matches!(means(line), Typed::Unknown(_)), "{line:?}");
        }
    }

    #[test]
    fn every_word_of_the_help_can_be_typed() {
        for kind in [Kind::Own, Kind::Other(7), Kind::Past] {
            let bindings =
                bindings(&Keys::default(), kind, Run { miners: 2, swarm: Swarm::Inside });
            for line in help(&bindings).iter().skip(1) {
                let word = line.split([',', ':']).next().unwrap();
                assert!(
                    !matches!(read(word, &bindings), Typed::Unknown(_) | Typed::ForTheScreen),
                    "{line}"
                );
            }
        }
    }
}
