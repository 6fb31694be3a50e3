//! What each duty does. Every duty ends with an [`Outcome`]; none of them decides what comes next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::MinerError;
use super::joining::Joining;
use super::life::{Life, until_stop};
use super::machine::{Duty, Outcome};
use super::register::{RegisterError, Registrar};
use super::snapshot::{Reason, State, Who};
use super::ticket::TicketFile;
use super::uploads::UploadView;
use super::view::{TrainingView, show_wish};
use crate::network::registry::{Registry, RegistrySetup};
use crate::network::{CallError, Peer};
use crate::protocol::messages::{ChipInfo, Flag, MinerStatus, RegisterMinerRequest, SystemData};
use crate::protocol::{Phase, StageIndex};
use crate::telemetry::Severity;
use crate::training::cache::{Capacity, lifetime};
use crate::training::desk::Desk;
use crate::training::floor::{TrainingEnd, Wish};
use crate::training::keep::{
    KeepError, TakeError, Taken, exchange_optimizer, save_stage, take_over,
};
use crate::training::load::{LoadError, Synced, load_merged};
use crate::training::local::{LocalError, LocalStage, PrepareError};
use crate::training::memory;
use crate::training::merge::{MergeDone, MergeFailure, merge_partitions};
use crate::training::phase::{Pipeline, train};
use crate::training::pseudo_gradient::{HandIn, HandInError, PseudoGradientError, hand_in};
use crate::training::snapshot::{Found, SnapshotStore};
use crate::training::terms::Terms;

/// How long a stopping miner may go on with a duty that others wait for.
const STOP_GRACE: Duration = Duration::from_secs(30);
/// Backwards that are watched to find the cache's size (flag `auto_max_cache`).
const MEASURED_BACKWARDS: u32 = 3;

/// A duty without what it builds on; only a fault in the table leads here.
fn out_of_order(what: &str) -> Outcome {
    Outcome::Reset(format!("A duty began without {what}; the miner starts over."))
}

impl Life {
    /// Carries a duty out, but not longer than the user lets it. Beside it goes the heartbeat, so
    /// that a long duty is not taken for a dead miner.
    pub(super) async fn perform(&mut self, duty: Duty) -> Outcome {
        self.introduce(duty);
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
        tokio::select! {
            outcome = self.carry_out(duty) => outcome,
            () = stop => Outcome::StopAsked,
            () = beat => Outcome::StopAsked,
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

    /// Shows what begins.
    fn introduce(&self, duty: Duty) {
        let wish = *self.wish.borrow();
        if wish != Wish::Run {
            return show_wish(&self.board, wish);
        }
        let phase = self.board.read(|snapshot| snapshot.phase.clone());
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
        self.board.status(state, reason, who, next);
    }

    async fn register(&mut self) -> Outcome {
        let registrar = Registrar {
            orchestrator: self.services.orchestrator.clone(),
            attestor: self.services.attestor.clone(),
            request: self.registration_request(),
            file: TicketFile::new(&self.settings.state, self.settings.hotkey.address()),
            board: Arc::clone(&self.board),
            clock: self.clock.clone(),
            entropy: self.entropy.split("registration"),
        };
        let answer = match registrar.start().ended().await {
            Ok(answer) => answer,
            Err(RegisterError::Call(error)) => return of_call(&error),
            Err(RegisterError::Attestation(sentence)) => {
                self.failure = Some(MinerError::Refused(sentence.clone()));
                return Outcome::Hopeless(sentence);
            }
            Err(error) => return Outcome::Trouble(format!("{error}.")),
        };
        let terms = match Terms::read(&answer, self.settings.learning_rate) {
            Ok(terms) => terms,
            Err(error) => return Outcome::Hopeless(error.to_string()),
        };
        self.board.update(|snapshot| {
            snapshot.run = Some(terms.run.to_string());
            snapshot.stage = Some(terms.stage.0);
            snapshot.stages = terms.stages;
            snapshot.epoch = terms.epoch.0;
        });
        self.benched = answer.status.as_ref().is_some_and(MinerStatus::is_benched);
        self.announcer.say(Phase::Training, MinerStatus::Initializing);
        self.terms = Some(terms);
        Outcome::Done
    }

    /// What the network is asked, and told.
    fn registration_request(&self) -> RegisterMinerRequest {
        let mut request = RegisterMinerRequest::new(self.peers.node_id().clone());
        request.system_data = self.system_data();
        request.location.clone_from(&self.settings.disclosure.location);
        if let Joining::Pool(payout) = &self.settings.joining {
            request.register_as_metagraph_miner = false;
            request.coldkey = payout.as_ref().map(ToString::to_string);
        }
        request
    }

    /// What is told of the machine: device and architecture, nothing that names it.
    fn system_data(&self) -> Option<String> {
        let info = self.device.device().info();
        let cores = std::thread::available_parallelism().ok().map(|n| n.get() as u64);
        let gpus = if info.backend == "cpu" { Vec::new() } else { vec![info.name.clone()] };
        let machine = std::env::consts::ARCH.to_owned();
        let chip_info = ChipInfo { machine, cpu: None, cores, memory_gb: None };
        let bandwidth = self.settings.disclosure.bandwidth;
        serde_json::to_string(&SystemData { gpus, chip_info, bandwidth }).ok()
    }

    async fn build(&mut self) -> Outcome {
        let Some(mut terms) = self.terms.clone() else { return out_of_order("a registration") };
        if let Err(outcome) = self.find_tokenizer(&terms).await {
            return outcome;
        }
        match &mut self.stage {
            // Weights and optimizer in memory are the best there is (spec 9.7).
            Some(stage) if terms.same_stage(stage.terms()) => {
                terms.spec.local_batch = stage.terms().spec.local_batch;
                *stage.terms_mut() = terms.clone();
            }
            _ => {
                self.stage = None;
                self.new_here = true;
                if let Err(outcome) = self.build_stage(&mut terms).await {
                    return outcome;
                }
            }
        }
        self.settle(&terms).await
    }

    /// Says what the stage will take of this machine, if it has that.
    fn plan_memory(&mut self, terms: &mut Terms) -> Result<(), Outcome> {
        let (device, rules) = (self.device.device().info(), &self.services.constants.storage);
        match memory::fit(terms, device, rules, self.device.room()) {
            Ok(plan) => {
                tracing::info!(miner = self.settings.name, "{plan}");
                self.board.update(|snapshot| {
                    snapshot.device.planned_bytes = plan.total();
                    snapshot.device.memory = plan.to_string();
                });
                Ok(())
            }
            Err(error) => {
                self.failure = Some(MinerError::Device(error.to_string()));
                Err(Outcome::Hopeless(error.to_string()))
            }
        }
    }

    /// The run's tokenizer, before memory is taken for a stage that could not work without.
    async fn find_tokenizer(&mut self, terms: &Terms) -> Result<(), Outcome> {
        self.tokenizer = None;
        if !terms.is_first() && !terms.is_last() {
            return Ok(());
        }
        let (name, vocabulary) = (terms.tokenizer.as_deref(), terms.spec.config.vocab_size);
        match self.settings.tokenizer.find(&self.http, name, vocabulary).await {
            Ok(tokenizer) => {
                self.tokenizer = Some(tokenizer);
                Ok(())
            }
            Err(error) if error.may_pass() => Err(Outcome::Trouble(format!("{error}."))),
            Err(error) => {
                self.failure = Some(MinerError::Settings(error.to_string()));
                Err(Outcome::Hopeless(error.to_string()))
            }
        }
    }

    async fn build_stage(&mut self, terms: &mut Terms) -> Result<(), Outcome> {
        self.plan_memory(terms)?;
        let stage = LocalStage::build(
            &self.device.worker,
            Arc::clone(self.device.device()),
            terms.clone(),
            self.settings.weights_seed,
            self.settings.hotkey.address().clone(),
            self.settings.recorder.clone(),
        )
        .await;
        let stage = match stage {
            Ok(stage) => stage,
            Err(error @ (PrepareError::Plan(_) | PrepareError::Build(_))) => {
                self.failure = Some(MinerError::Device(error.to_string()));
                return Err(Outcome::Hopeless(error.to_string()));
            }
            Err(PrepareError::Local(error)) => return Err(Outcome::StageLost(error.to_string())),
        };
        let bytes = stage.memory_bytes().await.map_err(|e| Outcome::StageLost(e.to_string()))?;
        self.board.update(|snapshot| snapshot.device.stage_bytes = bytes);
        if let Err(error) = self.recover(&stage, terms).await {
            return Err(Outcome::StageLost(error.to_string()));
        }
        self.stage = Some(stage);
        Ok(())
    }

    /// Takes weights and optimizer of the newest good snapshot over, if there is one.
    async fn recover(&self, stage: &LocalStage, terms: &Terms) -> Result<(), TakeError> {
        let store = self.store(terms);
        let (hotkey, run, number) =
            (self.settings.hotkey.address().clone(), terms.run.clone(), terms.stage);
        let found = tokio::task::spawn_blocking(move || store.find(&hotkey, &run, number)).await;
        let snapshot = match found {
            Ok(Found::Newest(snapshot)) => snapshot,
            Ok(Found::Previous { snapshot, newest }) => {
                let fix = format!(
                    "Nothing: the snapshot of epoch {} before it is used.",
                    snapshot.meta.epoch
                );
                self.warn("snapshot-damaged", newest.to_string(), &fix);
                snapshot
            }
            Ok(Found::Lost { newest, previous }) => {
                let fix = "Nothing: the weights are downloaded from the network.";
                self.warn("snapshot-damaged", format!("{newest}; {previous}"), fix);
                return Ok(());
            }
            Ok(Found::Nothing) | Err(_) => return Ok(()),
        };
        let epoch = snapshot.meta.epoch;
        let taken = take_over(stage, snapshot).await?;
        tracing::info!(miner = self.settings.name, %epoch, ?taken, "snapshot taken over");
        if taken != Taken::Nothing {
            self.board.update(|snapshot| snapshot.recovered = Some(epoch.0));
        }
        Ok(())
    }

    fn store(&self, terms: &Terms) -> SnapshotStore {
        let hotkey = self.settings.hotkey.address();
        SnapshotStore::new(&self.settings.data, hotkey, &terms.run, terms.stage)
    }

    fn warn(&self, code: &'static str, what: String, fix: &str) {
        self.board.finding(Severity::Warning, code, what, fix);
    }

    /// Sets up queue and cache, opens the door, joins the registry.
    async fn settle(&mut self, terms: &Terms) -> Outcome {
        if let Some(registry) = self.announcer.leave() {
            registry.stop().await;
        }
        let most = match self.settings.in_flight {
            Some(most) if terms.is_first() => most.max(1),
            _ => terms.hyper.cache,
        };
        let capacity = if terms.flags.is_on(Flag::AutoMaxCache) {
            Capacity::Measuring { backwards_left: MEASURED_BACKWARDS }
        } else {
            Capacity::Fixed(most)
        };
        let per_stage = self.services.constants.training.activation_cache_timeout;
        let patience = lifetime(per_stage, terms.stages, terms.stage.0);
        let desk = Arc::new(Desk::new(capacity, patience));
        self.peers.set_served_activations(terms.hyper.cache);
        let joined = Registry::join(RegistrySetup {
            bridge: self.bridge.clone(),
            run: terms.run.clone(),
            hotkey: self.settings.hotkey.address().clone(),
            address: self.peers.address_watch(),
            stage: terms.stage,
            status: self.announcer.status(),
            directory: self.peers.directory().clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.split("registry"),
        })
        .await;
        match joined {
            Ok(registry) => {
                let place = (terms.stage, terms.stages);
                self.announcer.settle(place, Arc::clone(&desk), registry);
                self.door.open(terms, Arc::clone(&desk));
                self.desk = Some(desk);
                Outcome::Done
            }
            Err(error) => {
                Outcome::Trouble(format!("The registry of miners cannot be joined: {error}."))
            }
        }
    }

    /// Until the stage is in phase `wanted`.
    async fn await_phase(&mut self, wanted: Phase) -> Outcome {
        loop {
            match self.services.orchestrator.heartbeat(None).await {
                Ok(answer) => {
                    self.note_phase(answer.phase);
                    self.board.update(|snapshot| snapshot.epoch = answer.epoch.0);
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
        if *self.wish.borrow() != Wish::Run {
            return;
        }
        let (own, since) =
            self.board.read(|snapshot| (snapshot.stage.unwrap_or_default(), snapshot.status.since));
        let (stage, phase) = holding_stage(&self.peers.directory().peers(), wanted)
            .unwrap_or((StageIndex(own), phase));
        let waited = (self.clock.unix_seconds() - since).max(0.0);
        let doing = match phase {
            Phase::Training => "training",
            Phase::WeightsUploading => "uploading",
            Phase::MergingPartitions => "merging",
        };
        let minutes = waited / 60.0;
        self.board.awaits(&format!("stage {stage} must finish {doing} ({minutes:.0} min so far)"));
        if waited >= self.services.constants.stuck_after.as_secs_f64() {
            self.board.finding_once(
                Severity::Warning,
                "stage-stuck",
                format!("Stage {stage} has held the run up for {minutes:.0} min ({doing})."),
                "Nothing: the stage's miners and the network must end it; this miner keeps its place.",
            );
        }
    }

    fn note_phase(&self, phase: Phase) {
        self.board.update(|snapshot| snapshot.phase = Some(phase.as_str().to_owned()));
    }

    async fn load(&mut self) -> Outcome {
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

    /// Writes the snapshot. A first one that cannot be written ends the miner: everything it learns
    /// would be lost with the next power cut. Later ones only warn.
    async fn save(&mut self) -> Outcome {
        let Some(stage) = &self.stage else { return out_of_order("a stage") };
        let store = self.store(stage.terms());
        match save_stage(stage, store, self.settings.hotkey.address()).await {
            Ok(()) => self.saved = true,
            Err(KeepError::Save(error)) if self.saved => {
                let fix = "Make room or make the data folder writable; training goes on.";
                self.warn("snapshot-not-written", error.to_string(), fix);
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
        Outcome::Done
    }

    async fn train(&mut self) -> Outcome {
        self.note_phase(Phase::Training);
        // A benched newcomer says so until a heartbeat tells otherwise (spec 1.7, 1.8).
        let benched = std::mem::take(&mut self.benched);
        let status = if benched { MinerStatus::Initializing } else { MinerStatus::Training };
        self.announcer.say(Phase::Training, status);
        let (Some(stage), Some(desk)) = (&mut self.stage, &self.desk) else {
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
            rule: self.settings.learning_rate,
        };
        let end = train(pipeline, stage).await;
        self.sent.clear();
        match end {
            TrainingEnd::Phase(phase) => self.leave_training(Outcome::PhaseIs(phase)),
            TrainingEnd::Server(error) => self.leave_training(Outcome::of(&error)),
            TrainingEnd::Stopped => Outcome::StopAsked,
            TrainingEnd::Lost(error) => Outcome::StageLost(error.to_string()),
        }
    }

    fn leave_training(&self, outcome: Outcome) -> Outcome {
        if let Outcome::PhaseIs(phase) = &outcome {
            self.note_phase(*phase);
            self.announcer.say(*phase, MinerStatus::Training);
        }
        outcome
    }

    async fn upload(&mut self) -> Outcome {
        self.note_phase(Phase::WeightsUploading);
        let Some(stage) = &mut self.stage else { return out_of_order("a stage") };
        let began = self.handed_in.open(stage, self.clock.now());
        let limit = self.services.constants.training.hand_in_limit;
        let view = UploadView::new(&self.board, &self.settings.name, began, limit);
        match hand_in(&self.services, stage, &mut self.handed_in, view.escort()).await {
            Ok(HandIn::Submitted | HandIn::NothingToGive) => Outcome::Done,
            Err(error) if error.call().is_some() => error.call().map_or(Outcome::NotYet, of_call),
            Err(HandInError::Numbers(error @ PseudoGradientError::NotFinite { .. })) => {
                let fix = "Nothing: the miner goes on with the next epoch's weights.";
                let restored = roll_back(stage).await;
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
        match self.services.orchestrator.heartbeat(None).await {
            Ok(answer) if answer.phase != phase => Outcome::PhaseIs(answer.phase),
            _ => Outcome::Trouble(what),
        }
    }

    async fn merge(&mut self) -> Outcome {
        self.note_phase(Phase::MergingPartitions);
        let Some(stage) = &self.stage else { return out_of_order("a stage") };
        let board = &self.board;
        let progress = |done: usize, of: usize| {
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
        match self.services.orchestrator.heartbeat(None).await {
            Ok(answer) if answer.phase != Phase::MergingPartitions => {
                Outcome::PhaseIs(answer.phase)
            }
            Ok(_) => {
                self.tell_who_is_awaited(Phase::Training, Phase::MergingPartitions);
                Outcome::NotYet
            }
            Err(error) => of_call(&error),
        }
    }
}

/// Weights that are no longer finite: back to the epoch's start, with a fresh optimizer.
async fn roll_back(stage: &mut LocalStage) -> Result<(), LocalError> {
    stage.end_epoch().await?;
    stage.restore_previous().await?;
    stage.reset_optimizer().await
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

/// What a failed call means for the duty.
fn of_call(error: &CallError) -> Outcome {
    match error.server() {
        Some(server) => Outcome::of(server),
        None => Outcome::Trouble(format!("{error}.")),
    }
}
