//! Everything one frame shows, collected from the snapshots: drawing is a function of this.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::clock::Clock;
use crate::control::{Control, Place, Progress};
use crate::miner::{MinerSnapshot, State};
use crate::swarm::SwarmSnapshot;
use crate::telemetry::logs::Ring;

/// One of several own miners, in a few words.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnMiner {
    /// `m0`..
    pub name: String,
    /// `cpu`, `wgpu`.
    pub backend: String,
    /// What it does.
    pub state: State,
    /// Whether it is the one that is shown.
    pub shown: bool,
}

impl OwnMiner {
    fn of(miner: &MinerSnapshot, shown: &MinerSnapshot) -> Self {
        Self {
            name: miner.name.clone(),
            backend: miner.device.backend.clone(),
            state: miner.status.state,
            shown: miner.name == shown.name,
        }
    }
}

/// One frame's content.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// The user's own miner that is shown.
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
    /// All own miners in a few words each; empty where there is only the one that is shown.
    pub own: Vec<OwnMiner>,
    /// Where the playback is; none where the run is a living one.
    pub playback: Option<Place>,
}

impl View {
    /// The state of everything, now.
    pub fn collect(
        control: &Control,
        log: &Ring,
        clock: &Clock,
        shown: usize,
        help: bool,
        quitting: bool,
    ) -> Self {
        let miner = control.miners.iter().nth(shown).unwrap_or(control.first()).borrow().clone();
        let own = control.miners.iter().map(|other| OwnMiner::of(&other.borrow(), &miner));
        let own: Vec<OwnMiner> = own.collect();
        Self {
            miner,
            own: if own.len() > 1 { own } else { Vec::new() },
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
