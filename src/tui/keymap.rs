//! Keys and what they do, in one table: the loop, the footer and the help all read it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::control::Wish;
use crate::miner::Command;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Leave; a demo ends, a miner stops in order.
    Quit,
    /// Ctrl-C: once in order, twice at once.
    Interrupt,
    /// Say what a pause costs, then pause.
    Pause,
    /// Ask whether the miner shall stop.
    AskStop,
    /// Yes, stop it.
    Stop,
    /// A command for the miner that is shown.
    Send(Command),
    /// Show the next of the own miners.
    Next,
    /// Show the own miner at this place, from 0.
    Pick(usize),
    /// Switch the miner that is shown off, or on again.
    Switch,
    /// A wish for a playback.
    Play(Wish),
    /// Show or hide the help.
    Help,
    /// Close what is open on top.
    Back,
}

/// One line of the help.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// The key as it is printed.
    pub key: &'static str,
    /// A few words for the footer; a key without any is not in it.
    pub short: &'static str,
    /// A sentence for the help.
    pub long: &'static str,
    /// What it does.
    pub action: Action,
}

/// All keys of a living run.
pub const BINDINGS: [Binding; 6] = [
    Binding {
        key: "q",
        short: "quit",
        long: "Leave. Your miner finishes what it has in hand first.",
        action: Action::Quit,
    },
    Binding {
        key: "p",
        short: "pause",
        long: "Pause your miner. What that costs is shown first.",
        action: Action::Pause,
    },
    Binding {
        key: "r",
        short: "resume",
        long: "Let your miner work again.",
        action: Action::Send(Command::Resume),
    },
    Binding { key: "?", short: "help", long: "Show or hide this help.", action: Action::Help },
    Binding {
        key: "Esc",
        short: "close",
        long: "Close what is open on top.",
        action: Action::Back,
    },
    Binding {
        key: "Ctrl-C",
        short: "stop",
        long: "Once: stop in order. Twice: stop at once.",
        action: Action::Interrupt,
    },
];

/// All keys of a miner of another process: leaving leaves it alone.
pub const ATTACHED: [Binding; 8] = [
    Binding {
        key: "q",
        short: "leave (your miner goes on)",
        long: "Leave. Your miner goes on; `hearth` shows it again.",
        action: Action::Quit,
    },
    Binding {
        key: "p",
        short: "pause",
        long: "Pause your miner. What that costs is shown first.",
        action: Action::Pause,
    },
    Binding {
        key: "r",
        short: "resume",
        long: "Let your miner work again.",
        action: Action::Send(Command::Resume),
    },
    Binding {
        key: "s",
        short: "stop",
        long: "Stop your miner. You are asked first.",
        action: Action::AskStop,
    },
    Binding { key: "y", short: "", long: "Yes, when you are asked.", action: Action::Stop },
    Binding { key: "?", short: "help", long: "Show or hide this help.", action: Action::Help },
    Binding {
        key: "Esc",
        short: "close",
        long: "Close this help, or say no when you are asked.",
        action: Action::Back,
    },
    Binding {
        key: "Ctrl-C",
        short: "leave",
        long: "Leave. Your miner goes on.",
        action: Action::Quit,
    },
];

/// The keys that there are beside those, first to last, where several miners are one's own.
pub const SEVERAL: [Binding; 2] = [
    Binding {
        key: "Tab",
        short: "next miner",
        long: "Show your next miner; 1 to 9 show one. The keys act on it.",
        action: Action::Next,
    },
    Binding {
        key: "d",
        short: "off/on",
        long: "Switch this miner off, which frees its device, or on again.",
        action: Action::Switch,
    },
];

/// The keys of a living run with so many own miners.
pub fn living(miners: usize) -> Vec<Binding> {
    with_several(&BINDINGS, miners)
}

/// The keys of a run of another process with so many own miners.
pub fn elsewhere(miners: usize) -> Vec<Binding> {
    with_several(&ATTACHED, miners)
}

fn with_several(bindings: &[Binding], miners: usize) -> Vec<Binding> {
    let several = SEVERAL.iter().filter(|_| miners > 1);
    bindings.iter().chain(several).copied().collect()
}

/// All keys of a playback.
pub const PLAYBACK: [Binding; 9] = [
    Binding {
        key: "Space",
        short: "hold",
        long: "Stand still, or go on.",
        action: Action::Play(Wish::Hold),
    },
    Binding {
        key: "Left",
        short: "back",
        long: "A minute back.",
        action: Action::Play(Wish::Skip(-60)),
    },
    Binding {
        key: "Right",
        short: "ahead",
        long: "A minute ahead.",
        action: Action::Play(Wish::Skip(60)),
    },
    Binding {
        key: "+",
        short: "faster",
        long: "Twice as fast.",
        action: Action::Play(Wish::Faster),
    },
    Binding {
        key: "-",
        short: "slower",
        long: "Half as fast.",
        action: Action::Play(Wish::Slower),
    },
    Binding {
        key: "q",
        short: "quit",
        long: "Leave. Nothing runs here, so nothing is stopped.",
        action: Action::Quit,
    },
    Binding { key: "?", short: "help", long: "Show or hide this help.", action: Action::Help },
    Binding { key: "Esc", short: "close", long: "Close this help.", action: Action::Back },
    Binding { key: "Ctrl-C", short: "quit", long: "Leave.", action: Action::Quit },
];

/// What this key press asks for, by one of the tables.
pub fn action(key: KeyEvent, bindings: &[Binding]) -> Option<Action> {
    let name = match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => "Ctrl-C".to_owned(),
        KeyCode::Char(' ') => "Space".to_owned(),
        // The key beside it, without shift.
        KeyCode::Char('=') => "+".to_owned(),
        KeyCode::Tab => "Tab".to_owned(),
        KeyCode::Char(c @ '1'..='9') if bindings.iter().any(|b| b.action == Action::Next) => {
            return c.to_digit(10).map(|digit| Action::Pick(digit as usize - 1));
        }
        KeyCode::Char(c) => c.to_lowercase().to_string(),
        KeyCode::Esc => "Esc".to_owned(),
        KeyCode::Left => "Left".to_owned(),
        KeyCode::Right => "Right".to_owned(),
        _ => return None,
    };
    bindings.iter().find(|binding| binding.key == name).map(|binding| binding.action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_do_what_the_table_says() {
        let press = |code, modifiers| action(KeyEvent::new(code, modifiers), &BINDINGS);
        assert_eq!(press(KeyCode::Char('q'), KeyModifiers::NONE), Some(Action::Quit));
        assert_eq!(press(KeyCode::Char('Q'), KeyModifiers::SHIFT), Some(Action::Quit));
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Action::Interrupt));
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(press(KeyCode::F(1), KeyModifiers::NONE), None);
        assert_eq!(press(KeyCode::Char('s'), KeyModifiers::NONE), None);
        // No single key stops a miner that others may rely on.
        let attached = |code| action(KeyEvent::new(code, KeyModifiers::CONTROL), &ATTACHED);
        assert_eq!(attached(KeyCode::Char('c')), Some(Action::Quit));
        assert_eq!(attached(KeyCode::Char('s')), Some(Action::AskStop));
        let play = |code| action(KeyEvent::new(code, KeyModifiers::NONE), &PLAYBACK);
        assert_eq!(play(KeyCode::Char(' ')), Some(Action::Play(Wish::Hold)));
        assert_eq!(play(KeyCode::Left), Some(Action::Play(Wish::Skip(-60))));
        assert_eq!(play(KeyCode::Char('=')), Some(Action::Play(Wish::Faster)));
        assert_eq!(play(KeyCode::Char('p')), None);
        let several = living(2);
        let own = |code| action(KeyEvent::new(code, KeyModifiers::NONE), &several);
        assert_eq!(own(KeyCode::Tab), Some(Action::Next));
        assert_eq!(own(KeyCode::Char('2')), Some(Action::Pick(1)));
        assert_eq!(own(KeyCode::Char('d')), Some(Action::Switch));
        assert_eq!(own(KeyCode::Char('0')), None);
        assert_eq!(press(KeyCode::Tab, KeyModifiers::NONE), None);
        assert_eq!(press(KeyCode::Char('2'), KeyModifiers::NONE), None);
    }

    #[test]
    fn no_key_is_listed_twice() {
        for table in [&living(2)[..], &elsewhere(2)[..], &PLAYBACK[..]] {
            for (i, a) in table.iter().enumerate() {
                assert!(table[i + 1..].iter().all(|b| b.key != a.key));
            }
        }
    }
}
