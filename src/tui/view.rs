//! Everything one frame shows, collected from the snapshots: drawing is a function of this.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::Clock;
use crate::control::{Control, Place, Progress};
use crate::miner::MinerSnapshot;
use crate::swarm::SwarmSnapshot;
use crate::telemetry::logs::Ring;

/// One frame's content.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The user's own miner.
    pub miner: MinerSnapshot,
    /// The practice swarm, if it is in this process.
    pub swarm: Option<SwarmSnapshot>,
    /// Short names by hotkey address.
    pub names: Arc<BTreeMap<String, String>>,
    /// How many epochs are trained, if that is fixed.
    pub epochs: Option<u64>,
    /// The whole.
    pub progress: Progress,
    /// Recent log lines, oldest first.
    pub log: Vec<String>,
    /// Whole seconds since 1970: times on screen change once a second.
    pub unix: u64,
    /// Whether the help is open.
    pub help: bool,
    /// Whether Ctrl-C was pressed once.
    pub quitting: bool,
    /// Whether a pause is asked for, and what it costs is shown.
    pub pausing: bool,
    /// The process that the miner is in; none where it is this one.
    pub attached: Option<u32>,
    /// Whether it is being asked if the miner shall stop.
    pub asking: bool,
    /// Where the playback is; none where the run is a living one.
    pub playback: Option<Place>,
}

impl View {
    /// The state of everything, now.
    pub fn collect(
        control: &Control,
        log: &Ring,
        clock: &Clock,
        help: bool,
        quitting: bool,
    ) -> Self {
        Self {
            miner: control.first().borrow().clone(),
            swarm: control.swarm.as_ref().map(|swarm| swarm.borrow().clone()),
            names: control.names.clone(),
            epochs: control.epochs,
            progress: control.progress.borrow().clone(),
            log: log.lines(),
            unix: clock.unix().as_secs(),
            help,
            quitting,
            pausing: false,
            attached: None,
            asking: false,
            playback: None,
        }
    }

    /// The same with a miner that is in another process.
    #[must_use]
    pub fn of_process(self, pid: u32, asking: bool) -> Self {
        Self { attached: Some(pid), asking, ..self }
    }

    /// The same as a playback shows it, at that time.
    #[must_use]
    pub fn played(self, place: Place) -> Self {
        Self { unix: place.unix, playback: Some(place), ..self }
    }

    /// The short name of a miner: `m3`, or the start of its address.
    pub fn name_of(&self, hotkey: &str) -> String {
        self.names.get(hotkey).cloned().unwrap_or_else(|| hotkey.chars().take(8).collect())
    }
}
