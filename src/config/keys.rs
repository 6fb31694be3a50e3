//! What the keys of the dashboard can ask for, how each is called in the file's `[keys]` table, and
//! which key it has while nobody says anything. The words for people are the screens' own.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Show the first screen.
    Now,
    /// Show the screen with what was earned.
    Earnings,
    /// Show the screen with the own stage's training.
    Training,
    /// Show the screen with the network.
    Network,
    /// Show the screen with the peers.
    Peers,
    /// Show the screen with this machine.
    Machine,
    /// Show the log.
    Log,
    /// Show the practice swarm.
    Swarm,
    /// Show the next screen.
    NextScreen,
    /// Show the one before.
    PreviousScreen,
    /// Ask whether to pause.
    Pause,
    /// Ask whether to end after this epoch.
    Finish,
    /// Ask for how long to pause.
    Snooze,
    /// Work again.
    Resume,
    /// Ask whether to stop a miner of another process.
    Stop,
    /// Show the next of the own miners.
    NextMiner,
    /// Show the one before.
    PreviousMiner,
    /// Switch the miner that is shown off, or on again.
    Switch,
    /// Search the log.
    Search,
    /// Show all log lines, or the warnings.
    Filter,
    /// The loss on a linear or a logarithmic scale.
    Scale,
    /// The loss over tokens or over time.
    Axis,
    /// Let the practice swarm's model write a sentence.
    Write,
    /// Copy what the screen shows.
    Copy,
    /// A line up.
    Up,
    /// A line down.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the oldest line.
    Oldest,
    /// To the newest line, and follow it.
    Newest,
    /// A playback stands still, or goes on.
    Hold,
    /// A step back.
    Rewind,
    /// A step ahead.
    Ahead,
    /// A tenth of the record back.
    FarBack,
    /// A tenth of the record ahead.
    FarAhead,
    /// Twice as fast.
    Faster,
    /// Half as fast.
    Slower,
    /// Let another miner of the practice swarm begin.
    StartMiner,
    /// Ask whether to kill the one that is chosen.
    KillMiner,
    /// Slow it down, or let it go again.
    SlowMiner,
    /// Let it cheat.
    CheatMiner,
    /// Show or hide the help.
    Help,
    /// Close what is open on top.
    Close,
    /// Leave.
    Quit,
    /// Ctrl-Z: leave the terminal to the shell for a while.
    Suspend,
    /// Ctrl-C: once in order, twice at once.
    Interrupt,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 46] = [
        Self::Now,
        Self::Earnings,
        Self::Training,
        Self::Network,
        Self::Peers,
        Self::Machine,
        Self::Log,
        Self::Swarm,
        Self::NextScreen,
        Self::PreviousScreen,
        Self::Pause,
        Self::Finish,
        Self::Snooze,
        Self::Resume,
        Self::Stop,
        Self::NextMiner,
        Self::PreviousMiner,
        Self::Switch,
        Self::Search,
        Self::Filter,
        Self::Scale,
        Self::Axis,
        Self::Write,
        Self::Copy,
        Self::Up,
        Self::Down,
        Self::PageUp,
        Self::PageDown,
        Self::Oldest,
        Self::Newest,
        Self::Hold,
        Self::Rewind,
        Self::Ahead,
        Self::FarBack,
        Self::FarAhead,
        Self::Faster,
        Self::Slower,
        Self::StartMiner,
        Self::KillMiner,
        Self::SlowMiner,
        Self::CheatMiner,
        Self::Help,
        Self::Close,
        Self::Quit,
        Self::Suspend,
        Self::Interrupt,
    ];

    /// How it is called in the file.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// The key that it has while nobody says anything.
    pub fn default_press(self) -> Press {
        self.row().1
    }

    /// Whether another key may be given to it. The two that a terminal's user relies on stay.
    pub fn is_free(self) -> bool {
        !matches!(self, Self::Suspend | Self::Interrupt)
    }

    fn row(self) -> (&'static str, Press) {
        use Press::{Char, Ctrl};
        match self {
            Self::Now => ("now", Char('1')),
            Self::Earnings => ("earnings", Char('2')),
            Self::Training => ("training", Char('3')),
            Self::Network => ("network", Char('4')),
            Self::Peers => ("peers", Char('5')),
            Self::Machine => ("machine", Char('6')),
            Self::Log => ("log", Char('7')),
            Self::Swarm => ("swarm", Char('8')),
            Self::NextScreen => ("next-screen", Press::Tab),
            Self::PreviousScreen => ("previous-screen", Press::BackTab),
            Self::Pause => ("pause", Char('p')),
            Self::Finish => ("finish", Char('f')),
            Self::Snooze => ("snooze", Char('s')),
            Self::Resume => ("resume", Char('r')),
            Self::Stop => ("stop", Char('x')),
            Self::NextMiner => ("next-miner", Char('m')),
            Self::PreviousMiner => ("previous-miner", Char('M')),
            Self::Switch => ("switch", Char('d')),
            Self::Search => ("search", Char('/')),
            Self::Filter => ("filter", Char('w')),
            Self::Scale => ("scale", Char('l')),
            Self::Axis => ("axis", Char('t')),
            Self::Write => ("write", Char('g')),
            Self::Copy => ("copy", Char('y')),
            Self::Up => ("up", Press::Up),
            Self::Down => ("down", Press::Down),
            Self::PageUp => ("page-up", Press::PageUp),
            Self::PageDown => ("page-down", Press::PageDown),
            Self::Oldest => ("oldest", Press::Home),
            Self::Newest => ("newest", Press::End),
            Self::Hold => ("hold", Press::Space),
            Self::Rewind => ("rewind", Press::Left),
            Self::Ahead => ("ahead", Press::Right),
            Self::FarBack => ("far-back", Char('[')),
            Self::FarAhead => ("far-ahead", Char(']')),
            Self::Faster => ("faster", Char('+')),
            Self::Slower => ("slower", Char('-')),
            Self::StartMiner => ("start-miner", Char('N')),
            Self::KillMiner => ("kill-miner", Char('K')),
            Self::SlowMiner => ("slow-miner", Char('L')),
            Self::CheatMiner => ("cheat-miner", Char('C')),
            Self::Help => ("help", Char('?')),
            Self::Close => ("close", Press::Esc),
            Self::Quit => ("quit", Char('q')),
            Self::Suspend => ("suspend", Ctrl('z')),
            Self::Interrupt => ("interrupt", Ctrl('c')),
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|action| action.is_free() && action.name() == name)
    }
}

/// A key of the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Press {
    /// A letter, digit or sign.
    Char(char),
    /// The same with the control key.
    Ctrl(char),
    /// The space bar.
    Space,
    /// Tab.
    Tab,
    /// Tab with shift.
    BackTab,
    /// Escape.
    Esc,
    /// Enter.
    Enter,
    /// An arrow.
    Left,
    /// An arrow.
    Right,
    /// An arrow.
    Up,
    /// An arrow.
    Down,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// A function key.
    F(u8),
}

impl Press {
    /// The keys with a name.
    const NAMED: [(Self, &'static str); 13] = [
        (Self::Space, "Space"),
        (Self::Tab, "Tab"),
        (Self::BackTab, "Shift-Tab"),
        (Self::Esc, "Esc"),
        (Self::Enter, "Enter"),
        (Self::Left, "Left"),
        (Self::Right, "Right"),
        (Self::Up, "Up"),
        (Self::Down, "Down"),
        (Self::PageUp, "PageUp"),
        (Self::PageDown, "PageDown"),
        (Self::Home, "Home"),
        (Self::End, "End"),
    ];
}

impl fmt::Display for Press {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Char(c) => write!(f, "{c}"),
            Self::Ctrl(c) => write!(f, "Ctrl-{}", c.to_ascii_uppercase()),
            Self::F(n) => write!(f, "F{n}"),
            named => {
                let row = Self::NAMED.iter().find(|(press, _)| press == named);
                f.write_str(row.map_or("", |(_, name)| name))
            }
        }
    }
}

/// No key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no key: write a letter, digit or sign, F1 to F12, Ctrl- and a letter, Space, Tab, \
     Shift-Tab, Enter, Esc, Up, Down, Left, Right, PageUp, PageDown, Home or End"
)]
pub struct PressError(String);

impl FromStr for Press {
    type Err = PressError;

    fn from_str(text: &str) -> Result<Self, PressError> {
        let wrong = || PressError(text.to_owned());
        let mut letters = text.chars();
        if let (Some(c), None) = (letters.next(), letters.next()) {
            let shows = !c.is_control() && !c.is_whitespace();
            return if shows { Ok(Self::Char(c)) } else { Err(wrong()) };
        }
        let named = Self::NAMED.iter().find(|(_, name)| name.eq_ignore_ascii_case(text));
        if let Some((press, _)) = named {
            return Ok(*press);
        }
        if let Some(number) = text.strip_prefix(['F', 'f']) {
            let number = number.parse().ok().filter(|n| (1..=12).contains(n));
            return number.map(Self::F).ok_or_else(wrong);
        }
        let lower = text.to_ascii_lowercase();
        let mut rest = lower.strip_prefix("ctrl-").unwrap_or_default().chars();
        match (rest.next(), rest.next()) {
            // A terminal sends the other two of those as Tab and Enter.
            (Some(c @ 'a'..='z'), None) if !matches!(c, 'i' | 'm' | 'j') => Ok(Self::Ctrl(c)),
            _ => Err(wrong()),
        }
    }
}

/// A `[keys]` table that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysError {
    /// Nothing is called so.
    #[error("in [keys], {0:?} is nothing that a key can do; docs/keys.md lists what there is")]
    Unknown(String),
    /// Not a text.
    #[error("in [keys], {0} must be a key in quotes, such as \"p\"")]
    NotText(String),
    /// Not a key.
    #[error("in [keys], {0}: {1}")]
    NoKey(&'static str, PressError),
    /// The key is wanted for what must stay where it is.
    #[error("in [keys], {0} wants {1}, which always does what a terminal does with it")]
    Taken(&'static str, Press),
    /// Two want the same.
    #[error("in [keys], {0} and {1} both have {2}: give one of them another key")]
    Twice(&'static str, &'static str, Press),
}

/// Which key does what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    presses: BTreeMap<Action, Press>,
}

impl Default for Keys {
    fn default() -> Self {
        let presses = Action::ALL.into_iter().map(|action| (action, action.default_press()));
        Self { presses: presses.collect() }
    }
}

impl Keys {
    /// The defaults, with what the file's table says otherwise.
    ///
    /// # Errors
    /// The first thing in it that makes no sense.
    pub fn read(table: &toml::Table) -> Result<Self, KeysError> {
        let mut keys = Self::default();
        for (name, value) in table {
            let action = Action::of_name(name).ok_or_else(|| KeysError::Unknown(name.clone()))?;
            let text = value.as_str().ok_or_else(|| KeysError::NotText(name.clone()))?;
            let press: Press = text.parse().map_err(|e| KeysError::NoKey(action.name(), e))?;
            keys.presses.insert(action, press);
        }
        keys.check().map(|()| keys)
    }

    fn check(&self) -> Result<(), KeysError> {
        let mut taken: BTreeMap<Press, Action> = BTreeMap::new();
        // Those that stay come first, so that the other one is named.
        let stay = self.presses.iter().filter(|(action, _)| !action.is_free());
        let free = self.presses.iter().filter(|(action, _)| action.is_free());
        for (action, press) in stay.chain(free) {
            match taken.insert(*press, *action) {
                None => {}
                Some(other) if !other.is_free() => {
                    return Err(KeysError::Taken(action.name(), *press));
                }
                Some(other) => {
                    return Err(KeysError::Twice(other.name(), action.name(), *press));
                }
            }
        }
        Ok(())
    }

    /// The key of an action.
    pub fn press(&self, action: Action) -> Press {
        self.presses.get(&action).copied().unwrap_or_else(|| action.default_press())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Keys, KeysError> {
        Keys::read(&text.parse().unwrap())
    }

    #[test]
    fn defaults_do_not_collide_and_names_are_their_own() {
        assert_eq!(Keys::default().check(), Ok(()));
        for (i, a) in Action::ALL.iter().enumerate() {
            assert!(Action::ALL[i + 1..].iter().all(|b| a.name() != b.name()), "{a:?}");
            let press = a.default_press();
            assert_eq!(press.to_string().parse(), Ok(press), "{a:?}");
        }
    }

    #[test]
    fn another_key_can_be_given() {
        let keys = read("pause = \"P\"\nfinish = 'F5'\nquit = 'ctrl-q'\nhold = 'enter'").unwrap();
        assert_eq!(keys.press(Action::Pause), Press::Char('P'));
        assert_eq!(keys.press(Action::Finish), Press::F(5));
        assert_eq!(keys.press(Action::Quit), Press::Ctrl('q'));
        assert_eq!(keys.press(Action::Hold), Press::Enter);
        assert_eq!(keys.press(Action::Help), Press::Char('?'));
        // Two may change places.
        let keys = read("pause = 'f'\nfinish = 'p'").unwrap();
        assert_eq!(keys.press(Action::Finish), Press::Char('p'));
    }

    #[test]
    fn nonsense_is_refused_with_a_word_on_what_is_wrong() {
        for (text, word) in [
            ("pauze = 'p'", "nothing that a key can do"),
            ("interrupt = 'i'", "nothing that a key can do"),
            ("pause = 5", "must be a key in quotes"),
            ("pause = ''", "is no key"),
            ("pause = ' '", "is no key"),
            ("pause = \"\\u0007\"", "is no key"),
            ("pause = 'F13'", "is no key"),
            ("pause = 'ctrl-'", "is no key"),
            ("pause = 'ctrl-i'", "is no key"),
            ("pause = 'Ctrl-C'", "always does"),
            ("pause = 'q'", "pause and quit both have q"),
            ("finish = 'z'\nsnooze = 'z'", "finish and snooze both have z"),
        ] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
