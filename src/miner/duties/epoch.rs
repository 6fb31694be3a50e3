//! An epoch's work: loading the merged weights, training, handing in what was learned, merging.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::super::MinerError;
use super::super::board::Board;
use super::super::life::Life;
use super::super::machine::Outcome;
use super::super::snapshot::{Reason, State, Who};
use super::super::uploads::UploadView;
use super::super::view::TrainingView;
use super::{of_call, out_of_order};
use crate::network::CallError;
use crate::protocol::Phase;
use crate::protocol::messages::{Flag, MinerStatus};
use crate::telemetry::Severity;
use crate::training::exchange::exchange_optimizer;
use crate::training::floor::TrainingEnd;
use crate::training::keep::{KeepError, KeepNews};
use crate::training::load::{LoadError, Synced, load_merged};
use crate::training::local::LocalStage;
use crate::training::merge::{MergeDone, MergeFailure, merge_partitions};
use crate::training::phase::{Pipeline, train};
use crate::training::pseudo_gradient::{HandIn, HandInError, PseudoGradientError, hand_in};

/// So long training waits for the snapshot of an epoch's start. What is learned before that is on the
/// disk can be lost.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(1);

impl Life {
    pub(super) async fn load(&mut self) -> Outcome {
        let Some(stage) = &mut self.stage else { return out_of_order("a stage") };
        let (epoch, coverage) = match load_merged(&self.services, stage, self.synced).await {
            Ok(loaded) => loaded,
            Err(LoadError::Call(error)) => return of_call(&error),
            Err(LoadError::Local(error)) => return Outcome::StageLost(error.to_string()),
            Err(error) => return Outcome::Trouble(format!("{error}.")),
        };
        self.synced = Synced::Before;
        self.board.update(|snapshot| {
            snapshot.epoch = epoch.0;
            snapshot.work.backwards_this_epoch = 0;
        });
        self.board.time().begin_epoch();
        if !coverage.failed.is_empty() {
            let fix = "Nothing: the own weights are kept there until the next merge.";
            self.warn("weights-incomplete", coverage.summary(), fix);
        }
        if let Err(error) = self.fetch_optimizer().await {
            tracing::info!("no optimizer state was taken over: {error}");
        }
        self.save().await
    }

    /// A newcomer takes over somebody's optimizer state, where the run exchanges it (spec 5.6).
    async fn fetch_optimizer(&mut self) -> Result<(), String> {
        let Some(stage) = &self.stage else { return Ok(()) };
        if !std::mem::take(&mut self.new_here)
            || !stage.terms().flags.is_on(Flag::UploadOptimizerState)
        {
            return Ok(());
        }
        let offer = self.services.orchestrator.layer_optimizer_state().await;
        let offer = offer.map_err(|error| error.to_string())?;
        let (Some(url), true) = (offer.optimizer_state_url, offer.available) else {
            return Ok(());
        };
        let taken = exchange_optimizer(&self.services, stage, &url).await;
        taken.map_err(|error| error.to_string())
    }

    /// Writes the snapshot. The first one is waited for, and one that cannot be written ends the miner:
    /// everything it learns would be lost with the next power cut. Later ones only warn, and a large one
    /// is written beside the work that follows.
    pub(super) async fn save(&mut self) -> Outcome {
        let Some(place) = self.stage.as_ref().map(|stage| self.workshop.place(stage.terms()))
        else {
            return out_of_order("a stage");
        };
        let Some(stage) = &mut self.stage else { return out_of_order("a stage") };
        let mut kept = stage.keep(&place).await;
        if kept.is_ok() {
            kept = match self.workshop.saved {
                true => stage.kept_within(SNAPSHOT_PATIENCE).await,
                false => stage.kept().await,
            };
        }
        match kept {
            Ok(()) => self.workshop.saved = true,
            Err(KeepError::Save(error)) if self.workshop.saved => {
                self.not_durable(error.to_string())
            }
            Err(KeepError::Save(error)) => {
                let what = error.to_string();
                self.failure = Some(MinerError::Disk(error));
                return Outcome::Hopeless(what);
            }
            Err(KeepError::Local(error)) => return Outcome::StageLost(error.to_string()),
            Err(KeepError::NoWeights) => return out_of_order("weights"),
            Err(error @ KeepError::Ended(_)) => return Outcome::Trouble(format!("{error}.")),
        }
        self.tell_keeping();
        Outcome::Done
    }

    /// Says what became of writing beside the work.
    pub(super) fn tell_keeping(&mut self) {
        let news = self.stage.as_mut().map(LocalStage::keep_news).unwrap_or_default();
        for news in news {
            match news {
                KeepNews::NotDurable(what) => self.not_durable(what),
                KeepNews::DurableAgain => durable_again(&self.board),
            }
        }
    }

    fn not_durable(&self, what: String) {
        not_durable(&self.board, what);
    }

    pub(super) async fn train(&mut self) -> Outcome {
        self.board.enter(Phase::Training);
        // A benched newcomer says so until a heartbeat tells otherwise (spec 1.7, 1.8).
        let benched = std::mem::take(&mut self.benched);
        let status = if benched { MinerStatus::Initializing } else { MinerStatus::Training };
        self.announcer.say(Phase::Training, status);
        let (Some(stage), Some(desk)) = (&self.stage, &self.desk) else {
            return out_of_order("a stage");
        };
        let view = TrainingView {
            board: &self.board,
            announcer: &self.announcer,
            wish: self.wish.clone(),
            name: &self.settings.name,
            stage: stage.terms().stage,
            epoch: stage.epoch(),
            learning_rate: stage.terms().hyper.learning_rate,
            tokens_per_activation: stage.terms().tokens() as u64,
            directory: self.peers.directory(),
            benched: AtomicBool::new(benched),
        };
        let pipeline = Pipeline {
            services: &self.services,
            desk,
            publisher: &self.publisher,
            published: &mut self.published,
            peers: &self.peers,
            inbox: &mut self.inbox,
            tokenizer: self.tokenizer.as_deref(),
            observer: &view,
            wish: self.wish.clone(),
            in_flight: self.settings.in_flight,
            heard: self.heard,
            rule: self.settings.learning_rate,
            mender: &mut self.workshop,
        };
        let end = train(pipeline, &mut self.stage).await;
        self.sent.clear();
        self.tell_keeping();
        match end {
            TrainingEnd::Phase(phase) => self.leave_training(Outcome::PhaseIs(phase)),
            TrainingEnd::NewEpoch(epoch) => {
                self.heard = epoch;
                let what = "The stage went on to another epoch while this miner was busy; it loads \
                            the new weights.";
                self.board.finding(Severity::Info, "epoch-missed", what.to_owned(), "Nothing.");
                Outcome::NewEpoch
            }
            TrainingEnd::Server(error) => self.leave_training(Outcome::of(&error)),
            TrainingEnd::Stopped => Outcome::StopAsked,
            TrainingEnd::Lost(what) => match self.workshop.failure.take() {
                Some(error) => {
                    self.failure = Some(error);
                    Outcome::Hopeless(what)
                }
                None => Outcome::StageLost(what),
            },
        }
    }

    fn leave_training(&self, outcome: Outcome) -> Outcome {
        if let Outcome::PhaseIs(phase) = &outcome {
            self.board.enter(*phase);
            self.announcer.say(*phase, MinerStatus::Training);
        }
        outcome
    }

    pub(super) async fn upload(&mut self) -> Outcome {
        self.board.enter(Phase::WeightsUploading);
        let Some(stage) = &mut self.stage else { return out_of_order("a stage") };
        let began = self.handed_in.open(stage, self.clock.now());
        let limit = self.services.constants.training.hand_in_limit;
        let view = UploadView::new(&self.board, &self.settings.name, began, limit);
        match hand_in(&self.services, stage, &mut self.handed_in, view.escort()).await {
            Ok(HandIn::Submitted | HandIn::NothingToGive) => Outcome::Done,
            Err(error) if error.call().is_some() => error.call().map_or(Outcome::NotYet, of_call),
            Err(HandInError::Numbers(error @ PseudoGradientError::NotFinite { .. })) => {
                let fix = "Nothing: the miner goes on with the next epoch's weights.";
                let restored = stage.roll_back().await;
                self.warn("weights-not-finite", error.to_string(), fix);
                match restored {
                    Ok(()) => Outcome::Done,
                    Err(error) => Outcome::StageLost(error.to_string()),
                }
            }
            Err(HandInError::Local(error)) => Outcome::StageLost(error.to_string()),
            Err(HandInError::Over(phase)) => {
                let what = "The upload was not complete when the stage went on.".to_owned();
                let fix = "Nothing now: this epoch's work is lost, the next one counts again.";
                self.warn("upload-too-late", what, fix);
                Outcome::PhaseIs(phase)
            }
            Err(error) => self.trouble_in(Phase::WeightsUploading, format!("{error}.")).await,
        }
    }

    /// Trouble with the store: to be tried again, but only as long as the phase lasts.
    async fn trouble_in(&self, phase: Phase, what: String) -> Outcome {
        match self.left(phase).await {
            Ok(Some(next)) => Outcome::PhaseIs(next),
            _ => Outcome::Trouble(what),
        }
    }

    /// The phase that the stage has left `phase` for, if it has.
    async fn left(&self, phase: Phase) -> Result<Option<Phase>, CallError> {
        let answer = self.services.orchestrator.heartbeat(None).await?;
        Ok(Some(answer.phase).filter(|now| *now != phase))
    }

    pub(super) async fn merge(&mut self) -> Outcome {
        self.board.enter(Phase::MergingPartitions);
        let Some(stage) = &self.stage else { return out_of_order("a stage") };
        let board = &self.board;
        let epoch = stage.epoch().0;
        let progress = |done: usize, of: usize| {
            board.merging(epoch, done, of);
            let next = format!("{} of {of} partitions must still be merged", of - done);
            board.status(State::Merging, Reason::MergingPartitions, Who::Machine, &next);
        };
        let began = self.merged.open(stage, self.clock.now());
        let limit = self.services.constants.training.hand_in_limit;
        let view = UploadView::new(board, &self.settings.name, began, limit);
        let merged =
            merge_partitions(&self.services, stage, &mut self.merged, &progress, view.escort());
        match merged.await {
            Ok(MergeDone::Merged(count)) => {
                board.update(|snapshot| snapshot.work.partitions_merged += count as u64);
                Outcome::Done
            }
            Ok(MergeDone::NotYet) => self.still_merging().await,
            Err(error) if error.call().is_some() => error.call().map_or(Outcome::NotYet, of_call),
            // It joined too late to merge: the others do it.
            Err(MergeFailure::NoWeights) => Outcome::Done,
            Err(error) => self.trouble_in(Phase::MergingPartitions, format!("{error}.")).await,
        }
    }

    /// There are no partitions for this miner: because they are not dealt out yet, or because the
    /// others have merged without it.
    async fn still_merging(&self) -> Outcome {
        match self.left(Phase::MergingPartitions).await {
            Ok(Some(next)) => Outcome::PhaseIs(next),
            Ok(None) => {
                self.tell_who_is_awaited(Phase::Training, Phase::MergingPartitions);
                Outcome::NotYet
            }
            Err(error) => of_call(&error),
        }
    }
}

/// What is learned from here on would be lost with the process.
pub(in crate::miner) fn not_durable(board: &Board, what: String) {
    let fix =
        "Make room or make the data folder writable; training goes on, and it is tried again.";
    board.finding(Severity::Warning, "snapshot-not-written", what, fix);
}

/// It is safe again.
pub(in crate::miner) fn durable_again(board: &Board) {
    let what = "Snapshots are written again: what was learned meanwhile is safe.".to_owned();
    board.finding(Severity::Info, "snapshot-written-again", what, "Nothing.");
}
