//! What a face attaches to: the snapshots and commands of the miners and the practice swarm of
//! this process, in one place, so that the screen reaches both in the same way.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use crate::miner::{Command, MinerSnapshot};
use crate::swarm::SwarmSnapshot;

/// Where a demo or a run as a whole stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Under way.
    Running,
    /// Ended by itself; the text says what was reached.
    Finished(String),
    /// Ended by an error; the text says what, why and what now.
    Failed(String),
}

/// A handle on everything that runs in this process. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    /// The user's own miner.
    pub miner: watch::Receiver<MinerSnapshot>,
    /// The practice swarm, if it is in this process.
    pub swarm: Option<watch::Receiver<SwarmSnapshot>>,
    /// Short names of the miners of this process, by hotkey address.
    pub names: Arc<BTreeMap<String, String>>,
    /// How many epochs the demo trains; none if it runs by the clock or for ever.
    pub epochs: Option<u64>,
    /// The whole.
    pub progress: watch::Receiver<Progress>,
    /// Where commands go.
    pub send: Arc<dyn Fn(Command) + Send + Sync>,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control")
            .field("progress", &*self.progress.borrow())
            .finish_non_exhaustive()
    }
}
