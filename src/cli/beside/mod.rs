//! What goes on beside the miners for as long as a run lasts, whatever face it has: each is a task of
//! its own that watches the run through [`Control`] and the events, and ends with it.

mod alerts;
mod api;
mod awake;
mod chain;
mod disk;
pub mod ledger;
mod logs;
pub mod net;
mod otel;
mod record;
mod reload;
pub mod sensing;
pub mod systemd;

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::ledger::Keeping;
use self::sensing::Sensing;
use super::Failure;
use crate::clock::Clock;
use crate::config::folders::Folders;
use crate::config::live::LiveSettings;
use crate::control::Control;
use crate::control::server::Api;
use crate::telemetry::Events;
use crate::telemetry::pulse::Pulse;

/// What a run is, for whoever goes beside it.
#[derive(Clone, Debug)]
pub struct Running {
    /// Snapshots and commands.
    pub control: Control,
    /// What happens, as the lines of the run tell it.
    pub events: Events,
    /// Where whoever goes beside the run says something of its own: that becomes a line too.
    pub say: Events,
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
    api: Option<Api>,
    /// Turns true when the run is over; who has something to finish does it now.
    ending: watch::Sender<bool>,
    /// Those who have.
    finishing: Vec<JoinHandle<()>>,
    clock: Clock,
}

/// So long the end of a run waits for who has something to finish.
const FAREWELL: Duration = Duration::from_secs(3);

impl Beside {
    /// Starts all of it, on the current tokio runtime.
    pub fn start(running: &Running) -> Result<Self, Failure> {
        let tasks = vec![
            tokio::spawn(awake::keep(running.clone())),
            tokio::spawn(reload::heed(running.clone())),
            tokio::spawn(systemd::tell(running.clone())),
            tokio::spawn(logs::write(running.clone())),
            tokio::spawn(disk::watch(running.clone())),
            tokio::spawn(chain::follow(running.clone())),
        ];
        let (ending, ends) = watch::channel(false);
        let finishing = vec![
            tokio::spawn(record::keep(running.clone(), ends.clone())),
            tokio::spawn(alerts::watch(running.clone(), ends.clone())),
            tokio::spawn(otel::report(running.clone(), ends)),
        ];
        let api = Some(api::start(running)?);
        Ok(Self { tasks, api, ending, finishing, clock: running.clock.clone() })
    }

    /// Lets those who look on see how it ended.
    pub async fn end(mut self) {
        if let Some(api) = self.api.take() {
            api.end().await;
        }
    }

    /// Keeps the ledger of these miners.
    pub fn keep(mut self, keeping: Keeping) -> Self {
        self.finishing.push(tokio::spawn(keeping.go_on(self.ending.subscribe())));
        self
    }

    /// Looks at the sensors for as long as these miners run.
    pub fn sense(mut self, sensing: Sensing, control: Control) -> Self {
        self.tasks.push(tokio::spawn(sensing.go_on(control)));
        self
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = self.ending.send(true);
        let until = self.clock.now() + FAREWELL;
        while self.finishing.iter().any(|task| !task.is_finished()) && self.clock.now() < until {
            self.clock.block(Duration::from_millis(2));
        }
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Whether a run of this process got so far that its alerts were told from beside it.
pub(super) fn has_watched() -> bool {
    alerts::has_watched()
}

/// Until the run is over.
async fn until_true(ending: &mut watch::Receiver<bool>) {
    // Who could say so has gone: it is the end as well.
    let _ = ending.wait_for(|ending| *ending).await;
}
