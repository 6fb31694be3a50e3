//! Everything one frame shows, collected from the snapshots: drawing is a function of this.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::keymap::{self, Binding, Keys};
use super::look::{Lines, Look, ScreenName};
use super::seat::{Kind, Run, Swarm};
use crate::clock::Clock;
use crate::control::{Control, Place, Progress};
use crate::miner::{MinerSnapshot, State};
use crate::swarm::{MinerView, SwarmSnapshot};
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

/// What was done to a miner of the practice swarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Nothing.
    Free,
    /// It was slowed down.
    Slowed,
    /// It was killed.
    Killed,
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
    pub log: Arc<Vec<String>>,
    /// Whole seconds since 1970: times on screen change once a second.
    pub unix: u64,
    /// Whether all own miners are on their way out already, whoever asked for it.
    pub is_leaving: bool,
    /// What the screen is in front of.
    pub kind: Kind,
    /// Which key does what.
    pub keys: Arc<Keys>,
    /// What is chosen.
    pub look: Look,
    /// All own miners in a few words each; empty where there is only the one that is shown.
    pub own: Vec<OwnMiner>,
    /// Where the playback is; none where the run is a living one.
    pub playback: Option<Place>,
    /// Which half hour of the week it is here, on the screen that shows it.
    pub half_hour: HalfHour,
}

/// A half hour of the week, in local time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HalfHour {
    /// From 0 for Monday.
    pub day: usize,
    /// From 0 for midnight.
    pub half_hour: usize,
}

impl HalfHour {
    /// The one that a time lies in, where it is shown: local time is not found out for nothing.
    fn shown(look: &Look, unix: u64) -> Self {
        if look.screen != ScreenName::Machine {
            return Self::default();
        }
        let (day, minute) = crate::clock::minute_of_week(unix);
        Self { day, half_hour: minute / 30 }
    }
}

/// The keys of who has chosen no others.
static USUAL: LazyLock<Arc<Keys>> = LazyLock::new(Arc::default);

impl View {
    /// The state of everything, now.
    pub fn collect(control: &Control, log: &Ring, clock: &Clock, look: &Look) -> Self {
        let shown = control.miners.iter().nth(look.miner).unwrap_or(control.first());
        let miner = shown.borrow().clone();
        let own = control.miners.iter().map(|other| OwnMiner::of(&other.borrow(), &miner));
        let own: Vec<OwnMiner> = own.collect();
        let progress = control.progress.borrow().clone();
        let leaves = |own: &OwnMiner| matches!(own.state, State::Stopping | State::Stopped);
        Self {
            is_leaving: progress == Progress::Running && own.iter().all(leaves),
            miner,
            own: if own.len() > 1 { own } else { Vec::new() },
            swarm: control.swarm.as_ref().map(|swarm| swarm.borrow().clone()),
            names: control.names.clone(),
            epochs: control.epochs,
            progress,
            log: log.lines(),
            unix: clock.unix().as_secs(),
            kind: Kind::Own,
            keys: Arc::clone(&USUAL),
            look: look.clone(),
            playback: None,
            half_hour: HalfHour::shown(look, clock.unix().as_secs()),
        }
    }

    /// The same in front of such a run, with these keys.
    #[must_use]
    pub fn seated(self, kind: Kind, keys: Arc<Keys>) -> Self {
        Self { kind, keys, ..self }
    }

    /// The same as a playback shows it, at that time.
    #[must_use]
    pub fn played(self, place: Place) -> Self {
        Self { playback: Some(place.clone()), kind: Kind::Past, ..self.at(place.unix) }
    }

    /// The same as it was at that time.
    #[must_use]
    pub fn at(self, unix: u64) -> Self {
        Self { unix, half_hour: HalfHour::shown(&self.look, unix), ..self }
    }

    /// The keys that do something here.
    pub fn bindings(&self) -> Vec<Binding> {
        let swarm = if self.swarm.is_some() { Swarm::Inside } else { Swarm::None };
        let run = Run { miners: self.own.len().max(1), swarm };
        keymap::bindings(&self.keys, self.kind, run)
    }

    /// Whether the user has paused it already.
    pub fn is_paused_by_user(&self) -> bool {
        let ruling = &self.miner.ruling;
        ruling.pauses() && ruling.rule.code() == "user-paused"
    }

    /// The short name of a miner: `m3`, or the start of its address.
    pub fn name_of(&self, hotkey: &str) -> String {
        super::text::name_of(&self.names, hotkey)
    }

    /// The practice swarm's miner that something may be done to: the chosen one, else the first that is
    /// not your own.
    pub fn chosen(&self) -> Option<&MinerView> {
        let all = || self.swarm.iter().flat_map(|swarm| &swarm.stages).flat_map(|s| &s.miners);
        let named = self.look.chosen.as_ref();
        named
            .and_then(|key| all().find(|miner| miner.hotkey == *key))
            .or_else(|| all().find(|miner| miner.hotkey != self.miner.hotkey))
    }

    /// Whether anything may be done to a miner of the practice swarm: not to your own.
    pub fn may_be_hurt(&self, hotkey: &str) -> bool {
        hotkey != self.miner.hotkey && self.fate(hotkey) != Fate::Killed
    }

    /// What was done to it on purpose.
    pub fn fate(&self, hotkey: &str) -> Fate {
        let lab = self.swarm.as_ref().map(|swarm| &swarm.lab);
        let has = |keys: &[String]| keys.iter().any(|key| key == hotkey);
        match lab {
            Some(lab) if has(&lab.killed) => Fate::Killed,
            Some(lab) if has(&lab.slowed) => Fate::Slowed,
            _ => Fate::Free,
        }
    }

    /// The log lines that the search and the filter leave.
    pub fn log_lines(&self) -> impl DoubleEndedIterator<Item = &String> {
        let word = self.look.search.word().to_lowercase();
        let only = self.look.lines;
        self.log.iter().filter(move |line| {
            let wanted = only == Lines::All || is_warning(line);
            wanted && (word.is_empty() || line.to_lowercase().contains(&word))
        })
    }

    /// How many of the log lines are warnings or errors.
    pub fn warnings(&self) -> usize {
        self.log.iter().filter(|line| is_warning(line)).count()
    }
}

/// Whether a log line warns: its level is its first word.
pub fn is_warning(line: &str) -> bool {
    matches!(line.split_whitespace().next(), Some("WARN" | "ERROR"))
}
