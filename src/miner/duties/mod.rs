//! What each duty does. Every duty ends with an [`Outcome`]; none of them decides what comes next.
//! Here: carrying one out within what the user wants, showing it, and waiting for phases. Getting a
//! stage is in `join`, an epoch's work in `epoch`.

mod epoch;
mod join;
mod resume;

pub(super) use epoch::{durable_again, not_durable};

use std::collections::BTreeMap;
use std::time::Duration;

use super::board::Board;
use super::hold::until_held;
use super::life::{Life, until_stop};
use super::machine::{Duty, Outcome};
use super::snapshot::{Reason, State, Who};
use super::view::show_stop;
use crate::network::{CallError, Peer, Reach};
use crate::protocol::messages::MinerStatus;
use crate::protocol::{Phase, StageIndex};
use crate::telemetry::Severity;
use crate::training::floor::Wish;

/// How long a stopping miner may go on with a duty that others wait for. All of a stop fits into the
/// ten seconds that whoever stops programs gives them; what an upload has sent by then it need not send
/// again.
const STOP_GRACE: Duration = Duration::from_secs(7);
/// Letters of a hotkey that tell miners apart.
const SHORT_NAME: usize = 8;

/// A duty without what it builds on; only a fault in the table leads here.
fn out_of_order(what: &str) -> Outcome {
    Outcome::Reset(format!("A duty began without {what}; the miner starts over."))
}

impl Life {
    /// Carries a duty out, but not longer than the user lets it. Beside it goes the heartbeat, so
    /// that a long duty is not taken for a dead miner.
    pub(super) async fn perform(&mut self, duty: Duty) -> Outcome {
        // A duty that is tried again after trouble is still in trouble, until the network answers.
        let again = std::mem::take(&mut self.in_trouble);
        if !again {
            introduce(&self.board, *self.wish.borrow(), duty);
        }
        let (board, wanted) = (std::sync::Arc::clone(&self.board), self.wish.clone());
        let mut reach = self.services.orchestrator.reach();
        let answered = async move {
            if again && reach.wait_for(|reach| *reach == Reach::Answering).await.is_ok() {
                introduce(&board, *wanted.borrow(), duty);
            }
            std::future::pending::<()>().await;
        };
        let (wish, clock, services) =
            (self.wish.clone(), self.clock.clone(), self.services.clone());
        let grace = match duty {
            Duty::Train | Duty::Upload | Duty::Merge => STOP_GRACE,
            _ => Duration::ZERO,
        };
        let stop = async {
            until_stop(wish).await;
            clock.sleep(grace).await;
        };
        let beats = matches!(duty, Duty::Build | Duty::Load | Duty::Upload | Duty::Merge);
        let beat = async {
            loop {
                clock.sleep(services.constants.heartbeat).await;
                if beats && let Err(error) = services.orchestrator.heartbeat(None).await {
                    // The duty's own calls tell what matters of this.
                    tracing::debug!("heartbeat: {error}");
                }
            }
        };
        let held = until_held(self.wish.clone(), duty, self.held);
        tokio::select! {
            outcome = self.carry_out(duty) => outcome,
            () = held => Outcome::Held,
            () = stop => Outcome::StopAsked,
            () = beat => Outcome::StopAsked,
            () = answered => Outcome::StopAsked,
        }
    }

    async fn carry_out(&mut self, duty: Duty) -> Outcome {
        match duty {
            Duty::Register => self.register().await,
            Duty::Build => self.build().await,
            Duty::AwaitTraining => self.await_phase(Phase::Training).await,
            Duty::Load => self.load().await,
            Duty::Train => self.train().await,
            Duty::Upload => self.upload().await,
            Duty::AwaitMerging => self.await_phase(Phase::MergingPartitions).await,
            Duty::Merge => self.merge().await,
            Duty::Stopped | Duty::Fault => Outcome::StopAsked,
        }
    }

    fn warn(&self, code: &'static str, what: String, fix: &str) {
        self.board.finding(Severity::Warning, code, what, fix);
    }

    /// Until the stage is in phase `wanted`.
    async fn await_phase(&mut self, wanted: Phase) -> Outcome {
        loop {
            match self.services.orchestrator.heartbeat(None).await {
                Ok(answer) => {
                    self.board.enter(answer.phase);
                    self.heard = answer.epoch;
                    self.board.update(|snapshot| snapshot.epoch = answer.epoch.0);
                    if wanted == Phase::Training
                        && let Some(outcome) = self.where_it_stopped(answer.phase).await
                    {
                        return outcome;
                    }
                    if answer.phase == wanted {
                        return Outcome::Done;
                    }
                    if wanted == Phase::MergingPartitions && answer.phase == Phase::Training {
                        return Outcome::PhaseIs(answer.phase);
                    }
                    self.tell_who_is_awaited(wanted, answer.phase);
                }
                Err(error) => return of_call(&error),
            }
            self.clock.sleep(self.services.constants.wait_for_phase_poll).await;
        }
    }

    /// Names the stage that holds this one up, as the other miners tell it themselves; says so aloud
    /// when that has gone on for long.
    fn tell_who_is_awaited(&self, wanted: Phase, phase: Phase) {
        if !self.wish.borrow().works() {
            return;
        }
        let (own, since) =
            self.board.read(|snapshot| (snapshot.stage.unwrap_or_default(), snapshot.status.since));
        let peers = self.peers.directory().peers();
        let (stage, phase) = holding_stage(&peers, wanted).unwrap_or((StageIndex(own), phase));
        let waited = (self.clock.unix_seconds() - since).max(0.0);
        let doing = match phase {
            Phase::Training => "training",
            Phase::WeightsUploading => "uploading",
            Phase::MergingPartitions => "merging",
        };
        let minutes = waited / 60.0;
        let who = match held_back(&peers, StageIndex(own)) {
            Some((rests, who)) if rests == stage => format!("; {who}"),
            _ => String::new(),
        };
        let next = format!("stage {stage} must finish {doing} ({minutes:.0} min so far){who}");
        self.board.awaits(&next);
        if waited >= self.services.constants.stuck_after.as_secs_f64() {
            self.board.finding_once(
                Severity::Warning,
                "stage-stuck",
                format!("Stage {stage} has held the run up for {minutes:.0} min ({doing})."),
                "Nothing: the stage's miners and the network must end it; this miner keeps its place.",
            );
        }
    }
}

/// Shows what begins.
fn introduce(board: &Board, wish: Wish, duty: Duty) {
    if wish.stops() {
        return show_stop(board);
    }
    let phase = board.read(|snapshot| snapshot.phase.clone());
    let (state, reason, who, next) = match duty {
        Duty::Register => (
            State::Registering,
            Reason::AskingForStage,
            Who::Network,
            "the orchestrator must assign a stage",
        ),
        Duty::Build => (
            State::Loading,
            Reason::BuildingStage,
            Who::Machine,
            "the stage must be built on the device",
        ),
        Duty::AwaitTraining => {
            let reason = match phase.as_deref() {
                Some("weights_uploading") => Reason::OthersUploading,
                Some("merging_partitions") => Reason::OthersMerging,
                _ => Reason::OtherStageNotTraining,
            };
            (State::Waiting, reason, Who::Peer, "the stage must begin to train")
        }
        Duty::Load => (
            State::Loading,
            Reason::LoadingWeights,
            Who::Network,
            "the merged weights must be downloaded",
        ),
        Duty::Train => {
            (State::Training, Reason::NoActivation, Who::Peer, "an activation must come")
        }
        Duty::Upload => (
            State::Uploading,
            Reason::UploadingWeights,
            Who::Machine,
            "the pseudo-gradient must be uploaded",
        ),
        Duty::AwaitMerging => {
            (State::Waiting, Reason::OthersUploading, Who::Peer, "the other miners must upload")
        }
        Duty::Merge => (
            State::Merging,
            Reason::MergingPartitions,
            Who::Machine,
            "this miner's partitions must be merged",
        ),
        Duty::Stopped | Duty::Fault => return,
    };
    board.status(state, reason, who, next);
}

/// The stage that is furthest from `wanted`, by what most of its miners say.
pub(super) fn holding_stage(peers: &[Peer], wanted: Phase) -> Option<(StageIndex, Phase)> {
    let mut votes: BTreeMap<StageIndex, BTreeMap<Phase, usize>> = BTreeMap::new();
    for peer in peers {
        if let (Some(stage), Ok(phase)) = (peer.stage, peer.status.layer_phase.parse()) {
            *votes.entry(stage).or_default().entry(phase).or_default() += 1;
        }
    }
    let stages = votes.into_iter().filter_map(|(stage, votes)| {
        votes.into_iter().max_by_key(|(_, count)| *count).map(|(phase, _)| (stage, phase))
    });
    stages.filter(|(_, phase)| *phase != wanted).min_by_key(|(_, phase)| *phase)
}

/// The first other stage that nobody works on, by what its miners say themselves, with who they are.
pub(super) fn held_back(peers: &[Peer], own: StageIndex) -> Option<(StageIndex, String)> {
    let mut stages: BTreeMap<StageIndex, Vec<&Peer>> = BTreeMap::new();
    for peer in peers {
        if let Some(stage) = peer.stage.filter(|stage| *stage != own) {
            stages.entry(stage).or_default().push(peer);
        }
    }
    let rests = |peer: &&Peer| peer.status.miner_status == MinerStatus::Initializing;
    let (stage, peers) = stages.into_iter().find(|(_, peers)| peers.iter().all(rests))?;
    let who = match peers.as_slice() {
        [only] => {
            let name: String = only.hotkey.as_str().chars().take(SHORT_NAME).collect();
            format!("its only miner ({name}..) pauses or has not begun")
        }
        all => format!("all its {} miners pause or have not begun", all.len()),
    };
    Some((stage, who))
}

/// What a failed call means for the duty.
fn of_call(error: &CallError) -> Outcome {
    match error.server() {
        Some(server) => Outcome::of(server),
        None => Outcome::Trouble(format!("{error}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Hotkey;
    use crate::protocol::messages::PeerStatus;

    fn peer(key: u8, stage: usize, miner_status: MinerStatus) -> Peer {
        Peer {
            hotkey: Hotkey::from_public_key(&[key; 32]),
            stage: Some(StageIndex(stage)),
            nodes: Vec::new(),
            status: PeerStatus { miner_status, ..PeerStatus::default() },
            last_keepalive: 0.0,
        }
    }

    #[test]
    fn a_stage_is_held_back_when_nobody_works_on_it() {
        use MinerStatus::{Initializing, Training};
        let own = StageIndex(0);
        let mut peers = vec![peer(1, 0, Initializing), peer(2, 1, Training), peer(3, 2, Training)];
        assert_eq!(held_back(&peers, own), None);
        peers[2].status.miner_status = Initializing;
        let (stage, who) = held_back(&peers, own).unwrap();
        let name = &peers[2].hotkey.as_str()[..SHORT_NAME];
        assert_eq!(
            (stage.0, who),
            (2, format!("its only miner ({name}..) pauses or has not begun"))
        );
        peers.push(peer(4, 2, Initializing));
        let (_, who) = held_back(&peers, own).unwrap();
        assert_eq!(who, "all its 2 miners pause or have not begun");
        peers.push(peer(5, 2, Training));
        assert_eq!(held_back(&peers, own), None);
    }
}
