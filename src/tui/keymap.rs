//! Keys and what they do, in one table: the loop, the footer, the help and docs/keys.md all read it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::seat::{Kind, Run, Swarm};
use super::text::keys as words;
pub use crate::config::keys::{Action, Keys, Press};

/// One key of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// The key.
    pub press: Press,
    /// What it does.
    pub action: Action,
    /// A few words for the footer; a key without any is not in it.
    pub short: &'static str,
    /// A sentence for the help.
    pub long: &'static str,
}

/// What the keys are for: as the help and the docs have them in groups.
const SCREENS: [Action; 10] = [
    Action::Now,
    Action::Earnings,
    Action::Training,
    Action::Network,
    Action::Peers,
    Action::Machine,
    Action::Log,
    Action::Swarm,
    Action::NextScreen,
    Action::PreviousScreen,
];
const VERBS: [Action; 4] = [Action::Pause, Action::Finish, Action::Snooze, Action::Resume];
const SEVERAL: [Action; 3] = [Action::NextMiner, Action::PreviousMiner, Action::Switch];
/// What may be done to the miners of a practice swarm.
pub(super) const LAB: [Action; 4] =
    [Action::StartMiner, Action::KillMiner, Action::SlowMiner, Action::CheatMiner];
const PLAYBACK: [Action; 7] = [
    Action::Hold,
    Action::Rewind,
    Action::Ahead,
    Action::FarBack,
    Action::FarAhead,
    Action::Faster,
    Action::Slower,
];
/// For the log alone.
const LOG: [Action; 2] = [Action::Search, Action::Filter];
/// What only changes how something is shown: all that there is where a network is watched.
const READING: [Action; 9] = [
    Action::Up,
    Action::Down,
    Action::PageUp,
    Action::PageDown,
    Action::Oldest,
    Action::Newest,
    Action::Scale,
    Action::Axis,
    Action::Copy,
];
const OPENING: [Action; 2] = [Action::Help, Action::Close];
const LEAVING: [Action; 3] = [Action::Quit, Action::Suspend, Action::Interrupt];

/// The actions that there are in front of such a run.
fn actions(kind: Kind, run: Run) -> Vec<Action> {
    let mut actions = Vec::new();
    match kind {
        Kind::Own => actions.extend(VERBS),
        Kind::Other(_) => {
            actions.extend(VERBS);
            actions.push(Action::Stop);
        }
        Kind::Past => actions.extend(PLAYBACK),
        Kind::Watched => {
            return READING.into_iter().chain(LEAVING).filter(|a| is_here(*a)).collect();
        }
    }
    if let Swarm::Inside = run.swarm {
        actions.push(Action::Write);
        if kind != Kind::Past {
            actions.extend(LAB);
        }
    }
    if run.miners > 1 {
        let several = SEVERAL.into_iter();
        actions.extend(several.filter(|a| kind != Kind::Past || *a != Action::Switch));
    }
    actions.extend(OPENING);
    actions.extend(LEAVING);
    actions.extend(SCREENS);
    actions.extend(LOG);
    actions.extend(READING);
    actions.retain(|action| is_here(*action));
    actions
}

/// Not every system can put a program aside.
fn is_here(action: Action) -> bool {
    cfg!(unix) || action != Action::Suspend
}

/// The keys in front of such a run.
pub fn bindings(keys: &Keys, kind: Kind, run: Run) -> Vec<Binding> {
    let bind = |action| {
        let (short, long) = words::of(action, kind);
        Binding { press: keys.press(action), action, short, long }
    };
    actions(kind, run).into_iter().map(bind).collect()
}

/// The key as we name it.
pub fn press(key: KeyEvent) -> Option<Press> {
    Some(match key.code {
        KeyCode::Char(c) if key.modifiers.contains(KeyModifiers::CONTROL) => {
            Press::Ctrl(c.to_ascii_lowercase())
        }
        KeyCode::Char(' ') => Press::Space,
        KeyCode::Char(c) => Press::Char(c),
        KeyCode::BackTab => Press::BackTab,
        KeyCode::Tab if key.modifiers.contains(KeyModifiers::SHIFT) => Press::BackTab,
        KeyCode::Tab => Press::Tab,
        KeyCode::Esc => Press::Esc,
        KeyCode::Enter => Press::Enter,
        KeyCode::Left => Press::Left,
        KeyCode::Right => Press::Right,
        KeyCode::Up => Press::Up,
        KeyCode::Down => Press::Down,
        KeyCode::PageUp => Press::PageUp,
        KeyCode::PageDown => Press::PageDown,
        KeyCode::Home => Press::Home,
        KeyCode::End => Press::End,
        KeyCode::F(n) => Press::F(n),
        _ => return None,
    })
}

/// The presses that a key stands for, the nearest first: itself, the letter without shift, the sign
/// that needs none.
pub fn readings(key: KeyEvent) -> Vec<Press> {
    let Some(first) = press(key) else { return Vec::new() };
    let mut readings = vec![first];
    if let Press::Char(c) = first {
        if c.is_uppercase() {
            readings.extend(c.to_lowercase().map(Press::Char));
        }
        if c == '=' {
            readings.push(Press::Char('+'));
        }
    }
    readings
}

/// What this key press asks for.
pub fn action(key: KeyEvent, bindings: &[Binding]) -> Option<Action> {
    let found = |press| bindings.iter().find(|binding| binding.press == press);
    let action = readings(key).into_iter().find_map(found)?.action;
    // With shift an arrow goes further.
    let is_arrow = matches!(key.code, KeyCode::Left | KeyCode::Right);
    Some(match action {
        Action::Rewind if is_arrow && key.modifiers.contains(KeyModifiers::SHIFT) => {
            Action::FarBack
        }
        Action::Ahead if is_arrow && key.modifiers.contains(KeyModifiers::SHIFT) => {
            Action::FarAhead
        }
        other => other,
    })
}

/// A few words on each remappable action, for the docs: name, key, what it does.
pub fn table() -> Vec<(&'static str, Press, &'static str)> {
    let all = Action::ALL.into_iter();
    all.map(|a| (a.name(), a.default_press(), words::of(a, kind_of(a)).1)).collect()
}

/// In front of what an action is, where it is not in front of everything.
fn kind_of(action: Action) -> Kind {
    match action {
        Action::Stop => Kind::Other(0),
        action if PLAYBACK.contains(&action) => Kind::Past,
        _ => Kind::Own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pressed(
        code: KeyCode,
        modifiers: KeyModifiers,
        kind: Kind,
        miners: usize,
    ) -> Option<Action> {
        let run = Run { miners, swarm: Swarm::None };
        action(KeyEvent::new(code, modifiers), &bindings(&Keys::default(), kind, run))
    }

    #[test]
    fn keys_do_what_the_table_says() {
        let own = |code| pressed(code, KeyModifiers::NONE, Kind::Own, 1);
        assert_eq!(own(KeyCode::Char('q')), Some(Action::Quit));
        assert_eq!(own(KeyCode::Char('c')), None);
        assert_eq!(own(KeyCode::F(1)), None);
        assert_eq!(own(KeyCode::Char('5')), Some(Action::Peers));
        assert_eq!(own(KeyCode::Tab), Some(Action::NextScreen));
        assert_eq!(own(KeyCode::BackTab), Some(Action::PreviousScreen));
        // Nothing that is not there.
        for letter in ['x', 'm', 'd', 'g', ' ', '+', '9', '0'] {
            assert_eq!(own(KeyCode::Char(letter)), None, "{letter}");
        }
        let held = |letter, modifiers| pressed(KeyCode::Char(letter), modifiers, Kind::Own, 2);
        assert_eq!(held('Q', KeyModifiers::SHIFT), Some(Action::Quit));
        assert_eq!(held('c', KeyModifiers::CONTROL), Some(Action::Interrupt));
        assert_eq!(held('m', KeyModifiers::NONE), Some(Action::NextMiner));
        assert_eq!(held('M', KeyModifiers::SHIFT), Some(Action::PreviousMiner));
        assert_eq!(held('d', KeyModifiers::NONE), Some(Action::Switch));
        let other = |code| pressed(code, KeyModifiers::NONE, Kind::Other(7), 1);
        assert_eq!(other(KeyCode::Char('x')), Some(Action::Stop));
        let past = |code| pressed(code, KeyModifiers::NONE, Kind::Past, 2);
        assert_eq!(past(KeyCode::Char(' ')), Some(Action::Hold));
        assert_eq!(past(KeyCode::Left), Some(Action::Rewind));
        assert_eq!(past(KeyCode::Char(']')), Some(Action::FarAhead));
        let shifted = |code| pressed(code, KeyModifiers::SHIFT, Kind::Past, 2);
        assert_eq!(shifted(KeyCode::Left), Some(Action::FarBack));
        assert_eq!(shifted(KeyCode::Right), Some(Action::FarAhead));
        assert_eq!(past(KeyCode::Char('=')), Some(Action::Faster));
        // A swarm's model can be asked where there is a swarm.
        let run = Run { miners: 1, swarm: Swarm::Inside };
        let practice = bindings(&Keys::default(), Kind::Own, run);
        let key = KeyEvent::new(KeyCode::Char('g'), KeyModifiers::NONE);
        assert_eq!(action(key, &practice), Some(Action::Write));
        // The past takes no orders.
        for letter in ['p', 'f', 's', 'r', 'd'] {
            assert_eq!(past(KeyCode::Char(letter)), None, "{letter}");
        }
    }

    #[test]
    fn another_key_does_the_same_and_the_old_one_nothing() {
        let keys = Keys::read(&"pause = 'z'".parse().unwrap()).unwrap();
        let own = bindings(&keys, Kind::Own, Run { miners: 1, swarm: Swarm::None });
        let press = |c| action(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE), &own);
        assert_eq!((press('z'), press('p')), (Some(Action::Pause), None));
    }

    #[test]
    fn every_action_is_somewhere_and_has_a_sentence() {
        let kinds = [Kind::Own, Kind::Other(1), Kind::Past];
        for action in Action::ALL {
            let there = kinds.into_iter().any(|kind| {
                actions(kind, Run { miners: 2, swarm: Swarm::Inside }).contains(&action)
            });
            assert!(there || !cfg!(unix), "{action:?} can never be asked for");
            let (_, long) = words::of(action, kind_of(action));
            assert!(long.ends_with('.') && long.chars().count() <= 60, "{action:?}: {long}");
        }
    }

    /// docs/keys.md has the same table.
    #[test]
    fn the_docs_say_the_same() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/keys.md");
        let docs = std::fs::read_to_string(path).unwrap();
        let rows = table().into_iter().map(|(name, press, long)| {
            let name = match name {
                "suspend" | "interrupt" => "(stays)".to_owned(),
                name => format!("`{name}`"),
            };
            format!("| `{press}` | {name} | {long} |\n")
        });
        let wanted: String = rows.collect();
        assert!(docs.contains(&wanted), "docs/keys.md must have this table:\n{wanted}");
    }
}
