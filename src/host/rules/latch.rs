//! One rule's memory: it holds at once when something speaks for it, and lets go only when everything
//! has been fine for a while, so that a reading at its limit, or one that comes and goes, does not
//! start and stop the miner all the time.

use std::time::Duration;

use crate::clock::Moment;

/// Between the last word for a pause and going on. A minute is short for whoever waits and long for a
/// sensor that trembles.
pub const DWELL: Duration = Duration::from_secs(60);

/// What a reading says to a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// Pause.
    Against,
    /// Between the two limits: stay as it is.
    Between,
    /// Nothing stands against going on.
    Fine,
    /// Nobody can say.
    Unknown,
}

/// The memory.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Latch {
    /// Whether the rule holds the miner.
    pub(super) holds: bool,
    /// Since when everything was fine.
    fine: Option<Moment>,
    /// When a reading last said anything.
    heard: Moment,
    /// What the rule was about: a program's name.
    pub(super) about: String,
}

impl Latch {
    pub(super) fn new(now: Moment) -> Self {
        Self { holds: false, fine: None, heard: now, about: String::new() }
    }

    /// Takes a reading over. A rule whose sensor has gone silent holds on for `hold` at most.
    pub(super) fn note(&mut self, signal: Signal, now: Moment, hold: Duration) {
        if signal != Signal::Unknown {
            self.heard = now;
        }
        match signal {
            Signal::Against => (self.holds, self.fine) = (true, None),
            Signal::Between => self.fine = None,
            Signal::Fine => {
                let since = *self.fine.get_or_insert(now);
                if now.since(since) >= DWELL {
                    self.let_go();
                }
            }
            Signal::Unknown => {
                self.fine = None;
                if now.since(self.heard) >= hold {
                    self.let_go();
                }
            }
        }
    }

    fn let_go(&mut self) {
        (self.holds, self.fine) = (false, None);
    }

    /// Lets go without waiting, if there is nothing but the wait: the user said so.
    pub(super) fn hurry(&mut self) {
        if self.fine.is_some() {
            self.let_go();
        }
    }

    /// How long it holds on if everything stays fine; none while it is not.
    pub(super) fn left(&self, now: Moment) -> Option<Duration> {
        let since = self.fine.filter(|_| self.holds)?;
        Some(DWELL.saturating_sub(now.since(since)))
    }
}
