//! What goes on beside the miners for as long as a run lasts, whatever face it has: each is a task of
//! its own that watches the run through [`Control`] and the events, and ends with it.

mod logs;
mod reload;
pub mod systemd;

use tokio::task::JoinHandle;

use super::Failure;
use crate::clock::Clock;
use crate::config::folders::Folders;
use crate::config::live::LiveSettings;
use crate::control::Control;
use crate::telemetry::Events;
use crate::telemetry::pulse::Pulse;

/// What a run is, for whoever goes beside it.
#[derive(Clone, Debug)]
pub struct Running {
    /// Snapshots and commands.
    pub control: Control,
    /// What the own miners tell.
    pub events: Events,
    /// The settings, which may be read again.
    pub settings: LiveSettings,
    /// Where files go.
    pub folders: Folders,
    /// One of each own miner, which beats while that gets on.
    pub pulses: Vec<Pulse>,
    /// The time.
    pub clock: Clock,
}

/// Everything that goes beside a run. Dropped, it ends.
#[derive(Debug)]
pub struct Beside {
    tasks: Vec<JoinHandle<()>>,
}

impl Beside {
    /// Starts all of it, on the current tokio runtime.
    pub fn start(running: &Running) -> Result<Self, Failure> {
        let tasks = vec![
            tokio::spawn(reload::heed(running.clone())),
            tokio::spawn(systemd::tell(running.clone())),
            tokio::spawn(logs::write(running.clone())),
        ];
        Ok(Self { tasks })
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}
