//! What the wizard knows: plain data, so that its screens can be drawn and tested without a device,
//! a key or a network.

use std::collections::BTreeMap;

use crate::tui::view::View;

/// How good a fact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Fine,
    /// Works, but something is lost.
    Warning,
    /// Does not work.
    Error,
}

/// One fact about this machine, for the user's eye.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How good it is.
    pub level: Level,
    /// The fact, a sentence.
    pub what: String,
    /// What to do about it: a command or a sentence.
    pub fix: Option<String>,
}

impl Finding {
    /// A fact that is as it should be.
    pub fn fine(what: impl Into<String>) -> Self {
        Self { level: Level::Fine, what: what.into(), fix: None }
    }

    /// A fact that costs something, and what to do about it.
    pub fn warning(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Warning, what: what.into(), fix: Some(fix.into()) }
    }

    /// A fact in the way of mining, and what to do about it.
    pub fn error(what: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { level: Level::Error, what: what.into(), fix: Some(fix.into()) }
    }
}

/// What the first screen asks about, in the order in which it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Topic {
    /// Whether the device's kernels compute right.
    Kernels,
    /// How fast it is.
    Speed,
    /// Which stages it can hold.
    Fit,
    /// Main memory.
    Memory,
    /// Room for snapshots.
    Disk,
    /// Whether the time of day is right.
    Clock,
    /// Power, sleep, driver files: whatever else may be in the way.
    Others,
    /// Whether the network's servers and other miners can be reached.
    Link,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Kernels,
        Self::Speed,
        Self::Fit,
        Self::Memory,
        Self::Disk,
        Self::Clock,
        Self::Others,
        Self::Link,
    ];
}

/// What is known about a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// It is being looked at; how far that is.
    Working(String),
    /// The answer.
    Known(Finding),
}

/// Whether a device is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is the one, and why.
    Chosen(String),
    /// It could be.
    Possible(String),
    /// It is not used, and why.
    Refused(String),
}

/// A device of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapter {
    /// Its own name.
    pub name: String,
    /// Memory, interface and driver, in a few words.
    pub detail: String,
    /// Whether it is used.
    pub verdict: Verdict,
}

/// All that the first screen shows; lines appear as answers come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineFacts {
    /// The devices; `None` until they were listed.
    pub adapters: Option<Vec<Adapter>>,
    /// What is known by topic; nothing where nobody has asked yet.
    pub lines: BTreeMap<Topic, Line>,
}

/// Where the practice swarm stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Practice {
    /// Nobody has asked for it.
    #[default]
    Off,
    /// It is being put together; what is done now.
    Starting(String),
    /// It trains.
    Running(Box<View>),
    /// It was stopped; its last picture, if there was one.
    Stopped(Option<Box<View>>),
    /// It could not start or go on: what, why, what now.
    Failed(String),
}

/// How many losses the first and the last mean are over.
const LOSS_WINDOW: usize = 8;
/// So much (in nats per token) the loss must have fallen before the screen says so: more than the
/// difference between two pieces of text.
const LOSS_FALL: f64 = 0.3;

/// The first and the last loss, each a mean over a few activations.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fall {
    /// At the start.
    pub first: f64,
    /// Now.
    pub last: f64,
}

impl Fall {
    /// Whether the loss has fallen for certain.
    pub fn is_certain(self) -> bool {
        self.first - self.last >= LOSS_FALL
    }
}

impl Practice {
    /// How far the loss has come; `None` before there are enough losses for two means.
    pub fn fall(&self) -> Option<Fall> {
        let (Self::Running(view) | Self::Stopped(Some(view))) = self else { return None };
        let losses = &view.swarm.as_ref()?.losses;
        if losses.len() < 2 * LOSS_WINDOW {
            return None;
        }
        #[allow(clippy::cast_precision_loss)]
        let mean = |points: &[crate::swarm::LossPoint]| {
            points.iter().map(|point| point.loss).sum::<f64>() / points.len() as f64
        };
        let first = mean(&losses[..LOSS_WINDOW]);
        let last = mean(&losses[losses.len() - LOSS_WINDOW..]);
        Some(Fall { first, last })
    }
}

/// A hotkey that Hearth keeps. Nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// Its name among the keys of this machine; `None` for a file that the user named.
    pub name: Option<String>,
    /// Its address.
    pub address: String,
    /// Where it is kept, in words.
    pub place: String,
}

/// Whether the store asks for a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassphraseNeed {
    /// The system unlocks it.
    No,
    /// The user thinks one up, and types it twice.
    New,
}

/// The store that a new key goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreFacts {
    /// Which, in a sentence; where it is not the best one, why.
    pub words: String,
    /// Whether it asks for a passphrase.
    pub passphrase: PassphraseNeed,
}

/// A hotkey found in a wallet folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WalletKey {
    /// The wallet's name.
    pub wallet: String,
    /// The hotkey's name.
    pub hotkey: String,
    /// Its file.
    pub file: String,
    /// Its address, or why it cannot be taken.
    pub address: Result<String, String>,
}

/// What is said of a payout address while it is typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressVerdict {
    /// Not all of it is there yet; how it goes on.
    Incomplete(String),
    /// It can be paid; the sentence says so.
    Good(String),
    /// It cannot: why, and what a right one looks like.
    Bad(String),
    /// It is a secret, which must never be given to anybody.
    Secret(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::wizard::samples;

    #[test]
    fn a_fall_needs_two_means_and_more_than_noise() {
        let fall = |losses: u64| Practice::Running(Box::new(samples::view(losses))).fall();
        assert_eq!(fall(10), None);
        assert!(
            !fall(16).unwrap().is_certain() || fall(16).unwrap().last < fall(16).unwrap().first
        );
        assert!(fall(90).unwrap().is_certain());
        assert_eq!(Practice::Off.fall(), None);
    }
}
