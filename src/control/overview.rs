//! Everything that a face shows of a process, at one moment: what the local API gives, and what a
//! screen of another process draws.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Control, Progress};
use crate::miner::MinerSnapshot;
use crate::swarm::{LossPoint, SwarmSnapshot};

/// Which process it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessView {
    /// Its number.
    pub pid: u32,
    /// Since when it runs, Unix seconds.
    pub since: u64,
    /// Version of Hearth.
    pub version: String,
}

/// Everything at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    /// The process.
    pub process: ProcessView,
    /// The user's own miners, in the order of their names; at least one.
    pub miners: Vec<MinerSnapshot>,
    /// The practice swarm, if it is in that process.
    pub swarm: Option<SwarmSnapshot>,
    /// Short names of the miners, by hotkey address.
    pub names: BTreeMap<String, String>,
    /// How many epochs are trained, if that is fixed.
    pub epochs: Option<u64>,
    /// Where the whole stands.
    pub progress: Progress,
}

impl Overview {
    /// As it is now.
    pub fn collect(control: &Control, process: &ProcessView) -> Self {
        Self {
            process: process.clone(),
            miners: control.miners.iter().map(|miner| miner.borrow().clone()).collect(),
            swarm: control.swarm.as_ref().map(|swarm| swarm.borrow().clone()),
            names: (*control.names).clone(),
            epochs: control.epochs,
            progress: control.progress.borrow().clone(),
        }
    }
}

/// What the stream of snapshots tells: everything once, then each change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "news", rename_all = "kebab-case")]
pub enum News {
    /// Everything: first of all.
    Overview(Box<Overview>),
    /// One of the own miners.
    Miner {
        /// Which, from 0, in the order of the overview.
        index: usize,
        /// As it is now.
        snapshot: Box<MinerSnapshot>,
    },
    /// The practice swarm.
    Swarm {
        /// As it is now, but without its losses.
        snapshot: Box<SwarmSnapshot>,
        /// How the losses changed.
        losses: LossNews,
    },
    /// Where the whole stands.
    Progress {
        /// As it is now.
        now: Progress,
    },
}

impl News {
    /// Its name.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Overview(_) => "overview",
            Self::Miner { .. } => "miner",
            Self::Swarm { .. } => "swarm",
            Self::Progress { .. } => "progress",
        }
    }
}

/// The new losses alone: all of them, several times a second, would be most of what is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossNews {
    /// Those that came.
    pub append: Vec<LossPoint>,
    /// How many there are with them; the oldest are gone where there would be more.
    pub keep: usize,
}

impl LossNews {
    /// What came after `told`, the last one that was told.
    pub fn since(told: Option<LossPoint>, all: &[LossPoint]) -> Self {
        let known = told.and_then(|told| all.iter().rposition(|loss| *loss == told));
        let new = known.map_or(0, |index| index + 1);
        Self { append: all[new..].to_vec(), keep: all.len() }
    }

    /// Brings `losses` up to date.
    pub fn apply(self, losses: &mut Vec<LossPoint>) {
        losses.extend(self.append);
        losses.drain(..losses.len().saturating_sub(self.keep));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn losses(range: std::ops::Range<u64>) -> Vec<LossPoint> {
        let loss = |n| LossPoint { at: n as f64, tokens: n, epoch: 1, loss: 2.0 };
        range.map(loss).collect()
    }

    #[test]
    fn a_reader_has_the_losses_of_the_swarm_whatever_became_of_the_old_ones() {
        let mut kept = Vec::new();
        let mut told = None;
        for all in [losses(0..3), losses(0..5), losses(0..5), losses(3..8), losses(20..22)] {
            let news = LossNews::since(told, &all);
            assert!(news.append.len() <= all.len());
            told = all.last().copied();
            news.apply(&mut kept);
            assert_eq!(kept, all);
        }
        assert_eq!(LossNews::since(told, &losses(20..23)).append.len(), 1);
    }
}
