//! What an epoch came to, once every stage is over with it: what it is paid by.

use super::{Run, Stage};
use crate::protocol::Hotkey;

/// An epoch that every stage is over with.
#[derive(Clone, Debug, PartialEq)]
pub struct Closed {
    /// Which one, from 1.
    pub epoch: u64,
    /// Mean of its losses; none if there was none.
    pub loss: Option<f64>,
    /// Whoever has a place in the run, each once, in the order of their addresses.
    pub miners: Vec<ClosedMiner>,
}

/// What a miner did in an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedMiner {
    /// Its address.
    pub hotkey: Hotkey,
    /// Its stage.
    pub stage: usize,
    /// Backwards that were accepted.
    pub backwards: u64,
    /// Partitions that were accepted.
    pub partitions: u64,
    /// Whether its weights came in time.
    pub submitted: bool,
    /// Whether it had to wait for the next epoch.
    pub benched: bool,
}

impl ClosedMiner {
    /// Its score, until there is validation: accepted backwards plus merged partitions.
    pub fn score(&self) -> u64 {
        self.backwards + self.partitions
    }
}

/// What is known of the epoch that is not over yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    /// Sum and number of its losses.
    pub(super) losses: (f64, u64),
    /// What stages that are over with it settled.
    pub(super) settled: Vec<ClosedMiner>,
}

impl Tally {
    pub(super) fn note_loss(&mut self, loss: f64) {
        self.losses.0 += loss;
        self.losses.1 += 1;
    }

    /// Adds what a miner did in a stage. One that changed its stage has one entry all the same.
    pub(super) fn settle(&mut self, stage: &Stage, miner: ClosedMiner) {
        let submitted = stage.submissions.iter().any(|by| by.hotkey == miner.hotkey);
        match self.settled.iter_mut().find(|known| known.hotkey == miner.hotkey) {
            Some(known) => {
                known.backwards += miner.backwards;
                known.partitions += miner.partitions;
                known.submitted |= submitted;
            }
            None => self.settled.push(ClosedMiner { submitted, ..miner }),
        }
    }
}

impl Run {
    /// Closes `epoch` once every stage is over with it.
    pub(super) fn close_epoch(&mut self, epoch: u64) {
        if self.epochs_done() < epoch {
            return;
        }
        let Tally { losses: (sum, count), settled: mut miners } = std::mem::take(&mut self.tally);
        miners.sort_by(|a, b| a.hotkey.cmp(&b.hotkey));
        let loss = (count > 0).then(|| sum / count as f64);
        self.outcome.closed.push(Closed { epoch, loss, miners });
    }
}
