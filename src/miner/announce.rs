//! Tells the neighbours how this miner is: every few seconds, and at once when that changes (spec
//! 6.4). Peers that were never told take us for a last resort.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::board::Board;
use super::snapshot::{NeighbourView, ReachView};
use crate::clock::{Clock, Moment};
use crate::network::Traffic;
use crate::network::peers::Peers;
use crate::network::peers::reachability::{Reachability, Verdict};
use crate::network::registry::{Pulls, Registry};
use crate::protocol::messages::{MinerStatus, PeerStatus};
use crate::protocol::{Hotkey, Phase, StageIndex};
use crate::telemetry::Severity;
use crate::training::desk::Desk;

/// Larger cache sizes are told as this one: it only weighs a choice.
const MOST_CAPACITY: usize = 1 << 20;

/// A pause that goes on is told so many times less often.
const PAUSED_TELLS: u32 = 12;

/// How often the others' entries are read by a miner that takes work, or none.
fn pulls(taking: Taking) -> Pulls {
    match taking {
        Taking::Work => Pulls::Often,
        Taking::Nothing => Pulls::Seldom,
    }
}

/// What is told.
#[derive(Debug)]
struct Voice {
    place: Option<Place>,
    phase: Phase,
    status: MinerStatus,
    /// Whether it takes work at all.
    taking: Taking,
    /// How reachable this machine was when it was last told.
    reach: Option<Verdict>,
}

/// Whether new work is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taking {
    /// It is.
    Work,
    /// It is not: the miner pauses.
    Nothing,
}

/// Where the miner works.
#[derive(Debug)]
struct Place {
    stage: StageIndex,
    stages: usize,
    desk: Arc<Desk>,
    registry: Registry,
}

/// The announcer. Shared by reference; [`Announcer::run`] does the talking.
#[derive(Debug)]
pub(super) struct Announcer {
    hotkey: Hotkey,
    clock: Clock,
    started: Moment,
    voice: Mutex<Voice>,
    bell: Notify,
}

impl Announcer {
    pub(super) fn new(hotkey: Hotkey, clock: Clock) -> Self {
        let voice = Voice {
            place: None,
            phase: Phase::Training,
            status: MinerStatus::Initializing,
            taking: Taking::Work,
            reach: None,
        };
        let started = clock.now();
        Self { hotkey, clock, started, voice: Mutex::new(voice), bell: Notify::new() }
    }

    fn lock(&self) -> MutexGuard<'_, Voice> {
        self.voice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The miner works here from now on.
    pub(super) fn settle(
        &self,
        (stage, stages): (StageIndex, usize),
        desk: Arc<Desk>,
        registry: Registry,
    ) {
        let mut voice = self.lock();
        if voice.taking == Taking::Nothing {
            registry.pull(pulls(voice.taking));
        }
        voice.place = Some(Place { stage, stages, desk, registry });
        drop(voice);
        self.bell.notify_one();
    }

    /// The miner works nowhere. The registry's membership ends.
    pub(super) fn leave(&self) -> Option<Registry> {
        self.lock().place.take().map(|place| place.registry)
    }

    /// Says something new.
    pub(super) fn say(&self, phase: Phase, status: MinerStatus) {
        let mut voice = self.lock();
        if voice.phase != phase || voice.status != status {
            voice.phase = phase;
            voice.status = status;
            self.bell.notify_one();
        }
    }

    /// Says whether new work is taken. The network has no word for a pause; peers send nothing to one
    /// that is initialising, which is all that a pause is to them (spec 6.5, 6.10).
    pub(super) fn take(&self, taking: Taking) {
        let mut voice = self.lock();
        if std::mem::replace(&mut voice.taking, taking) != taking {
            if let Some(place) = &voice.place {
                place.registry.pull(pulls(taking));
            }
            self.bell.notify_one();
        }
    }

    /// What is told now.
    pub(super) fn status(&self) -> PeerStatus {
        self.compose(&self.lock())
    }

    fn compose(&self, voice: &Voice) -> PeerStatus {
        let load = voice.place.as_ref().map(|place| place.desk.load()).unwrap_or_default();
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        PeerStatus {
            source_hotkey: self.hotkey.to_string(),
            forward_queue_size: count(load.forwards),
            backward_queue_size: count(load.backwards),
            cache_size: count(load.cached),
            cache_capacity: count(load.capacity.min(MOST_CAPACITY)),
            uptime_seconds: self.clock.now().since(self.started).as_secs_f64(),
            layer_phase: voice.phase.as_str().to_owned(),
            miner_status: match voice.taking {
                Taking::Work => voice.status.clone(),
                Taking::Nothing => MinerStatus::Initializing,
            },
            last_status_received: 0.0,
        }
    }

    /// Talks until dropped; keeps the board's view of the neighbours and the load fresh as well.
    pub(super) async fn run(
        &self,
        peers: &Peers,
        traffic: &Traffic,
        board: &Board,
        every: Duration,
    ) {
        loop {
            let (status, stages) = {
                let voice = self.lock();
                let status = self.compose(&voice);
                let stages = voice.place.as_ref().map(neighbours).unwrap_or_default();
                if let Some(place) = &voice.place {
                    place.registry.set_status(status.clone());
                }
                (status, stages)
            };
            peers.broadcast_status(&status, &stages).await;
            if !stages.is_empty() {
                self.tell_reach(&peers.reachability(), board);
                self.tell_rival(board);
            }
            show(peers, board, &status, &stages);
            board.update(|snapshot| {
                snapshot.work.bytes_sent = traffic.sent();
                snapshot.work.bytes_received = traffic.received();
            });
            let every = match self.lock().taking {
                Taking::Work => every,
                Taking::Nothing => every * PAUSED_TELLS,
            };
            // Whether by the bell or by time: it is told again.
            tokio::select! {
                () = self.bell.notified() => {}
                () = self.clock.sleep(every) => {}
            }
        }
    }
}

impl Announcer {
    /// Shows how other miners reach this machine, and says so aloud when that changes.
    fn tell_reach(&self, now: &Reachability, board: &Board) {
        let before = self.lock().reach.replace(now.verdict);
        let view = ReachView { sentence: now.sentence.clone(), advice: now.advice.clone() };
        board.update(|snapshot| snapshot.reach = Some(view));
        if before == Some(now.verdict) || matches!(now.verdict, Verdict::ThisMachine) {
            return;
        }
        let severity = match now.verdict {
            Verdict::Unreachable => Severity::Warning,
            _ => Severity::Info,
        };
        let advice = now.advice.as_deref().unwrap_or("Nothing.");
        board.finding(severity, "reachability", now.sentence.clone(), advice);
    }
}

impl Announcer {
    /// Says once that the same hotkey works on another machine too.
    fn tell_rival(&self, board: &Board) {
        let rival = |place: &Place| place.registry.health().borrow().rival.clone();
        let Some(rival) = self.lock().place.as_ref().and_then(rival) else { return };
        let what = format!(
            "Another machine works with this hotkey ({}, peer {rival}). Both take each other's place, \
             and both lose what they earn.",
            self.hotkey
        );
        let fix = "Stop one of them. Give each machine its own hotkey: hearth keys new --from NAME \
                   --device 2 makes one from the same words.";
        board.finding_once(Severity::Error, "hotkey-twice", what, fix);
    }
}

fn neighbours(place: &Place) -> Vec<StageIndex> {
    let before = place.stage.0.checked_sub(1);
    let after = Some(place.stage.0 + 1).filter(|stage| *stage < place.stages);
    before.into_iter().chain(after).map(StageIndex).collect()
}

fn show(peers: &Peers, board: &Board, status: &PeerStatus, stages: &[StageIndex]) {
    let size = |n: i64| usize::try_from(n).unwrap_or(0);
    let neighbours = stages.iter().flat_map(|stage| {
        peers.directory().peers_of(*stage).into_iter().map(|peer| NeighbourView {
            hotkey: peer.hotkey.to_string(),
            stage: stage.0,
            status: peer.status.miner_status.to_string(),
            heard: Some(peer.status.last_status_received).filter(|at| *at > 0.0),
        })
    });
    let neighbours: Vec<NeighbourView> = neighbours.collect();
    board.refresh_rates();
    board.update(|snapshot| {
        snapshot.forward_queue = size(status.forward_queue_size);
        snapshot.backward_queue = size(status.backward_queue_size);
        snapshot.cache = size(status.cache_size);
        snapshot.cache_capacity = size(status.cache_capacity);
        snapshot.neighbours = neighbours;
    });
}
