//! What a face attaches to: the snapshots and commands of the miners and the practice swarm of
//! this process, or of another one on this machine, in one place, so that every face reaches them in
//! the same way.

pub mod address;
pub mod client;
pub mod history;
mod measured;
pub mod measures;
pub mod overview;
mod playback;
pub mod server;
pub mod token;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::miner::{Command, MinerSnapshot};
use crate::swarm::{SwarmCommand, SwarmSnapshot};

pub use history::Histories;
pub use playback::{Place, Playback, Wish};

/// Where a demo or a run as a whole stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "progress", content = "text", rename_all = "kebab-case")]
pub enum Progress {
    /// Under way.
    Running,
    /// Ended by itself; the text says what was reached.
    Finished(String),
    /// Ended by an error; the text says what, why and what now.
    Failed(String),
}

/// Which of the own miners a command is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Addressee {
    /// All of them.
    #[default]
    All,
    /// The one of this name: `m0`..
    One(String),
}

/// A command and whom it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// For whom; for all where nothing is said.
    #[serde(default)]
    pub to: Addressee,
    /// What.
    #[serde(flatten)]
    pub command: Command,
}

/// The user's own miners, at least one, each on a device of its own.
#[derive(Clone, Debug)]
pub struct Miners {
    first: watch::Receiver<MinerSnapshot>,
    others: Vec<watch::Receiver<MinerSnapshot>>,
}

impl Miners {
    /// One miner.
    pub fn one(first: watch::Receiver<MinerSnapshot>) -> Self {
        Self::new(first, Vec::new())
    }

    /// Several.
    pub fn new(
        first: watch::Receiver<MinerSnapshot>,
        others: Vec<watch::Receiver<MinerSnapshot>>,
    ) -> Self {
        Self { first, others }
    }

    /// In the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &watch::Receiver<MinerSnapshot>> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

/// Where commands for the practice swarm go.
pub type ToSwarm = Arc<dyn Fn(SwarmCommand) + Send + Sync>;

/// A handle on everything that runs in a process. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    /// The user's own miners.
    pub miners: Miners,
    /// The practice swarm, if there is one.
    pub swarm: Option<watch::Receiver<SwarmSnapshot>>,
    /// Short names of the miners, by hotkey address.
    pub names: Arc<BTreeMap<String, String>>,
    /// How many epochs the demo trains; none if it runs by the clock or for ever.
    pub epochs: Option<u64>,
    /// The whole.
    pub progress: watch::Receiver<Progress>,
    /// What the own miners did over the last day.
    pub histories: Histories,
    /// Where commands go.
    pub send: Arc<dyn Fn(Order) + Send + Sync>,
    /// Where commands for the practice swarm go, if there is one that takes any.
    pub to_swarm: Option<ToSwarm>,
}

impl Control {
    /// The first of the own miners.
    pub fn first(&self) -> &watch::Receiver<MinerSnapshot> {
        &self.miners.first
    }

    /// A command for all of the own miners.
    pub fn send_to_all(&self, command: Command) {
        (self.send)(Order { to: Addressee::All, command });
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("progress", &*self.progress.borrow())
            .finish_non_exhaustive()
    }
}
