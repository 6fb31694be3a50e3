//! What the person at the keys has chosen to see: which screen, of which miner, what is asked, where
//! the log stands. It changes by keys alone; the rest of a frame comes from the snapshots.

use std::str::FromStr;

use super::question::Question;
use crate::config::keys::Action;

/// The eight screens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ScreenName {
    /// What happens now.
    #[default]
    Now,
    /// What it earned.
    Earnings,
    /// The own stage.
    Training,
    /// The run and its stages.
    Network,
    /// The miners that this one talks to.
    Peers,
    /// This machine and its rules.
    Machine,
    /// What was logged.
    Log,
    /// The practice swarm.
    Swarm,
}

impl ScreenName {
    /// In their order.
    pub const ALL: [Self; 8] = [
        Self::Now,
        Self::Earnings,
        Self::Training,
        Self::Network,
        Self::Peers,
        Self::Machine,
        Self::Log,
        Self::Swarm,
    ];

    /// The word for it on a command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Now => "now",
            Self::Earnings => "earnings",
            Self::Training => "training",
            Self::Network => "network",
            Self::Peers => "peers",
            Self::Machine => "machine",
            Self::Log => "log",
            Self::Swarm => "swarm",
        }
    }

    /// The action that shows it.
    pub fn action(self) -> Action {
        match self {
            Self::Now => Action::Now,
            Self::Earnings => Action::Earnings,
            Self::Training => Action::Training,
            Self::Network => Action::Network,
            Self::Peers => Action::Peers,
            Self::Machine => Action::Machine,
            Self::Log => Action::Log,
            Self::Swarm => Action::Swarm,
        }
    }

    /// The screen that an action shows.
    pub fn of_action(action: Action) -> Option<Self> {
        Self::ALL.into_iter().find(|screen| screen.action() == action)
    }

    fn at(self, steps: usize) -> Self {
        let place = Self::ALL.iter().position(|screen| *screen == self).unwrap_or(0);
        Self::ALL[(place + steps) % Self::ALL.len()]
    }

    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        self.at(1)
    }

    /// The one before it.
    #[must_use]
    pub fn previous(self) -> Self {
        self.at(Self::ALL.len() - 1)
    }
}

impl FromStr for ScreenName {
    type Err = ScreenError;

    fn from_str(text: &str) -> Result<Self, ScreenError> {
        Self::ALL.into_iter().find(|screen| screen.word() == text).ok_or(ScreenError)
    }
}

/// No screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the screens are now, earnings, training, network, peers, machine, log and swarm")]
pub struct ScreenError;

/// How losses are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// As they are.
    #[default]
    Linear,
    /// By their logarithm.
    Logarithmic,
}

impl Scale {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Linear => Self::Logarithmic,
            Self::Logarithmic => Self::Linear,
        }
    }
}

/// Over what losses are drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Over {
    /// Tokens that were trained on.
    #[default]
    Tokens,
    /// Time.
    Time,
}

impl Over {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Tokens => Self::Time,
            Self::Time => Self::Tokens,
        }
    }
}

/// Which log lines are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lines {
    /// All.
    #[default]
    All,
    /// Warnings and errors.
    Warnings,
}

/// The word that is looked for in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Search {
    /// None.
    #[default]
    Off,
    /// It is being typed.
    Typing(String),
    /// It is this one.
    For(String),
}

impl Search {
    /// What is looked for; empty where nothing is.
    pub fn word(&self) -> &str {
        match self {
            Self::Off => "",
            Self::Typing(word) | Self::For(word) => word,
        }
    }
}

/// What is chosen.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// The screen.
    pub screen: ScreenName,
    /// Which of the own miners, from 0.
    pub miner: usize,
    /// Whether the help is open.
    pub help: bool,
    /// Whether what the swarm's model wrote is open.
    pub writing: bool,
    /// What is asked.
    pub question: Option<Question>,
    /// Whether Ctrl-C was pressed once.
    pub quitting: bool,
    /// The loss.
    pub scale: Scale,
    /// The loss.
    pub over: Over,
    /// The log.
    pub lines: Lines,
    /// The log.
    pub search: Search,
    /// How many lines the log stands above its end; at 0 it follows.
    pub above: usize,
    /// How many lines the lists of a screen stand below their beginning, as far as there are so many.
    pub scrolled: usize,
    /// Address of the practice swarm's miner that is chosen.
    pub chosen: Option<String>,
    /// A word on what a key just did.
    pub notice: Option<&'static str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn screens_go_round_both_ways() {
        let mut screen = ScreenName::Now;
        for expected in ScreenName::ALL.into_iter().skip(1).chain([ScreenName::Now]) {
            assert_eq!(screen.next().previous(), screen);
            screen = screen.next();
            assert_eq!(screen, expected);
            assert_eq!(ScreenName::of_action(screen.action()), Some(screen));
            assert_eq!(screen.word().parse(), Ok(screen));
        }
        assert_eq!("home".parse::<ScreenName>(), Err(ScreenError));
    }
}
