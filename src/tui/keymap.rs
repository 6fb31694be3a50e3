//! Keys and what they do, in one table: the loop, the footer and the help all read it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::miner::Command;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Leave; a demo ends, a miner stops in order.
    Quit,
    /// Ctrl-C: once in order, twice at once.
    Interrupt,
    /// A command for the miner.
    Send(Command),
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
    /// One or two words for the footer.
    pub short: &'static str,
    /// A sentence for the help.
    pub long: &'static str,
    /// What it does.
    pub action: Action,
}

/// All keys.
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
        long: "Pause your miner. It takes no new work; the others go on.",
        action: Action::Send(Command::Pause { until: None }),
    },
    Binding {
        key: "r",
        short: "resume",
        long: "Let your miner work again.",
        action: Action::Send(Command::Resume),
    },
    Binding { key: "?", short: "help", long: "Show or hide this help.", action: Action::Help },
    Binding { key: "Esc", short: "close", long: "Close this help.", action: Action::Back },
    Binding {
        key: "Ctrl-C",
        short: "stop",
        long: "Once: stop in order. Twice: stop at once.",
        action: Action::Interrupt,
    },
];

/// What this key press asks for.
pub fn action(key: KeyEvent) -> Option<Action> {
    let name = match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => "Ctrl-C".to_owned(),
        KeyCode::Char(c) => c.to_lowercase().to_string(),
        KeyCode::Esc => "Esc".to_owned(),
        _ => return None,
    };
    BINDINGS.iter().find(|binding| binding.key == name).map(|binding| binding.action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_do_what_the_table_says() {
        let press = |code, modifiers| action(KeyEvent::new(code, modifiers));
        assert_eq!(press(KeyCode::Char('q'), KeyModifiers::NONE), Some(Action::Quit));
        assert_eq!(press(KeyCode::Char('Q'), KeyModifiers::SHIFT), Some(Action::Quit));
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Action::Interrupt));
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(press(KeyCode::F(1), KeyModifiers::NONE), None);
    }

    #[test]
    fn no_key_is_listed_twice() {
        for (i, a) in BINDINGS.iter().enumerate() {
            assert!(BINDINGS[i + 1..].iter().all(|b| b.key != a.key));
        }
    }
}
