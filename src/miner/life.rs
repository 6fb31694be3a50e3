//! A miner from start to end: opens the network, goes from duty to duty by the table in
//! [`super::machine`], and leaves in order. What each duty does is in `duties`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use url::Url;

use super::announce::Announcer;
use super::board::Board;
use super::company::Seat;
use super::device::DeviceWorker;
use super::error::MinerError;
use super::feeds;
use super::fleet;
use super::heart::{self, InUse};
use super::joining::{Disclosure, Joining};
use super::machine::{self, Bench, Duty, Outcome, Pause};
use super::purse::Purse;
use super::register::attestation_refused;
use super::snapshot::{Command, Eta, MinerSnapshot, Reason, State, Who};
use super::switch::{DeviceSource, Switched};
use super::text_source::TokenizerSource;
use super::warden::{RuleSource, Warden};
use super::workshop::Workshop;
use crate::clock::{Clock, Entropy};
use crate::config::Constants;
use crate::model::tokenizer::Tokenizer;
use crate::network::attestation::{Attestor, Provider};
use crate::network::directory::Directory;
use crate::network::http::{HttpClient, Route};
use crate::network::peers::{PeerIdentity, PeerInbox, PeerReach, PeerSetup, Peers};
use crate::network::publisher::{Published, Publisher, PublisherSetup, SentForwards};
use crate::network::registry::Bridge;
use crate::network::storage::Storage;
use crate::network::{Line, Orchestrator, Traffic};
use crate::protocol::{Epoch, Phase, backoff};
use crate::telemetry::Events;
use crate::telemetry::pulse::Pulse;
use crate::training::desk::Desk;
use crate::training::door::Door;
use crate::training::floor::Wish;
use crate::training::load::Synced;
use crate::training::local::LocalStage;
use crate::training::merge::MergeMemory;
use crate::training::pseudo_gradient::HandInMemory;
use crate::training::record::Recorder;
use crate::training::services::Services;
use crate::training::terms::{LearningRateRule, Terms};
use crate::wallet::HotkeyPair;

/// Activations served to pulls until the run says how many.
const SERVED_AT_FIRST: usize = 16;

/// How long the goodbye to registry and peers may take.
const GOODBYE: Duration = Duration::from_millis(1500);

/// What makes one miner different from another.
#[derive(Clone, Debug)]
pub struct MinerSettings {
    /// `m0`..
    pub name: String,
    /// Address of the orchestrator.
    pub orchestrator: Url,
    /// Address of the bridge.
    pub bridge: Url,
    /// How servers are reached.
    pub route: Route,
    /// How far the peer endpoint reaches.
    pub reach: PeerReach,
    /// Whether peers find the same node again after a restart.
    pub peer_identity: PeerIdentity,
    /// The key that signs.
    pub hotkey: Arc<HotkeyPair>,
    /// The network's numbers.
    pub constants: Arc<Constants>,
    /// Where the learning rate comes from.
    pub learning_rate: LearningRateRule,
    /// Folder for snapshots.
    pub data: PathBuf,
    /// How it joins, and who is paid.
    pub joining: Joining,
    /// What it tells of its machine.
    pub disclosure: Disclosure,
    /// The line of this process, which its miners share.
    pub line: Line,
    /// Who answers attestation challenges.
    pub attestation: Provider,
    /// Whether measurements go to the network's operator.
    pub telemetry: FleetTelemetry,
    /// Folder for what outlives a process but not the place in the queue or on the network.
    pub state: PathBuf,
    /// Where the run's tokenizer comes from.
    pub tokenizer: TokenizerSource,
    /// Most activations of a first stage under way; the run's cache size if not set.
    pub in_flight: Option<usize>,
    /// Where every deed is written down.
    pub recorder: Recorder,
    /// Seed of weights that nobody has merged yet (spec 8.7).
    pub weights_seed: u64,
    /// When and how hard it may work.
    pub rules: RuleSource,
}

/// Whether the network's operator gets measurements of this miner (spec 11.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FleetTelemetry {
    /// No.
    #[default]
    Off,
    /// The user switched it on.
    On,
}

/// A running miner, from outside.
#[derive(Debug)]
pub struct MinerHandle {
    /// Where commands go.
    pub commands: mpsc::UnboundedSender<Command>,
    /// What it does.
    pub snapshot: watch::Receiver<MinerSnapshot>,
    /// Beats while it gets on.
    pub pulse: Pulse,
    /// What its time went into, and where its earnings are shown.
    pub purse: Purse,
    /// Its end.
    pub join: JoinHandle<Result<(), MinerError>>,
}

impl MinerHandle {
    /// Waits for the end.
    pub async fn ended(self) -> Result<(), MinerError> {
        self.join.await.unwrap_or_else(|error| Err(MinerError::Broken(error.to_string())))
    }
}

/// The engine's front door.
#[derive(Debug)]
pub struct Miner;

impl Miner {
    /// Starts a miner on the current tokio runtime; switched off, if it was when it last ended.
    pub fn start(
        settings: MinerSettings,
        device: impl Into<DeviceSource>,
        clock: Clock,
        entropy: Entropy,
        events: Events,
    ) -> MinerHandle {
        Self::start_on(settings, device.into(), Seat::alone(), clock, entropy, events)
    }

    /// The same for one of several miners of a process: after a fault it waits to be enabled again, as
    /// long as another one goes on.
    pub fn start_among(
        settings: MinerSettings,
        device: DeviceSource,
        seat: Seat,
        clock: Clock,
        entropy: Entropy,
        events: Events,
    ) -> MinerHandle {
        Self::start_on(settings, device, seat, clock, entropy, events)
    }

    /// Not generic, so that the whole miner is compiled once and not once more for every caller.
    fn start_on(
        settings: MinerSettings,
        device: DeviceSource,
        seat: Seat,
        clock: Clock,
        entropy: Entropy,
        events: Events,
    ) -> MinerHandle {
        let hotkey = settings.hotkey.address().to_string();
        let view = device.view();
        let board = Arc::new(Board::new(&settings.name, &hotkey, view, clock.clone(), events));
        let (snapshot, purse) = (board.subscribe(), Purse::of(&board));
        let (commands, orders) = mpsc::unbounded_channel();
        let (pulse, in_use) = (Pulse::default(), InUse::default());
        let heart = heart::beat(pulse.clone(), in_use.clone(), clock.clone());
        let switched = Switched { settings, device, clock, entropy, board, in_use };
        let join = tokio::spawn(async move {
            tokio::select! {
                ended = switched.run(seat, orders) => ended,
                () = heart => Ok(()),
            }
        });
        MinerHandle { commands, snapshot, pulse, purse, join }
    }
}

/// A life on the network, from opening it to leaving it. How it ended in order is the caller's to
/// say.
pub(super) async fn live(
    settings: MinerSettings,
    worker: DeviceWorker,
    clock: Clock,
    entropy: Entropy,
    board: Arc<Board>,
    orders: mpsc::UnboundedReceiver<Command>,
) -> Result<(), MinerError> {
    let (wishes, wish) = watch::channel(Wish::WORK);
    let opened =
        Life::open(settings, worker, clock.clone(), entropy, Arc::clone(&board), wish).await;
    let mut life = match opened {
        Ok(life) => life,
        Err(error) => {
            let reason = Reason::Failed { what: error.to_string() };
            board.status(State::Fault, reason, Who::You, "you must act on the message");
            return Err(error);
        }
    };
    let announcer = Arc::clone(&life.announcer);
    let mut warden = Warden::new(
        life.settings.rules.clone(),
        (&life.settings.state, life.settings.hotkey.address()),
        life.clock.clone(),
        (Arc::clone(&board), Arc::clone(&announcer)),
        wishes,
        orders,
    );
    // Before anything begins that a pause forbids.
    warden.look();
    let (peers, traffic) = (life.peers.clone(), life.traffic.clone());
    let every = life.services.constants.peer_status_broadcast;
    let (telemetry, services) = (life.settings.telemetry, life.services.clone());
    let ended = tokio::select! {
        ended = life.run() => ended,
        () = announcer.run(&peers, &traffic, &board, every) => Ok(()),
        () = fleet::report(telemetry, &services, &board) => Ok(()),
        () = feeds::keep(&board, &peers) => Ok(()),
        () = warden.run() => Ok(()),
    };
    if clock.timeout(GOODBYE, life.close()).await.is_err() {
        tracing::info!("the registry or a peer did not answer the goodbye");
    }
    ended
}

/// Work of an epoch that a miner had before it registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// None.
    Nothing,
    /// The stage's, if the network is still in its epoch.
    Epoch,
}

/// Everything a miner has.
pub(super) struct Life {
    pub(super) settings: Arc<MinerSettings>,
    pub(super) workshop: Workshop,
    pub(super) clock: Clock,
    pub(super) entropy: Entropy,
    pub(super) board: Arc<Board>,
    pub(super) announcer: Arc<Announcer>,
    pub(super) services: Services,
    pub(super) http: HttpClient,
    pub(super) bridge: Bridge,
    pub(super) traffic: Traffic,
    pub(super) peers: Peers,
    pub(super) inbox: PeerInbox,
    pub(super) publisher: Publisher,
    pub(super) published: mpsc::UnboundedReceiver<Published>,
    pub(super) sent: SentForwards,
    pub(super) door: Arc<Door>,
    pub(super) wish: watch::Receiver<Wish>,
    /// What the last registration said.
    pub(super) terms: Option<Terms>,
    pub(super) stage: Option<LocalStage>,
    /// Of the run, where the stage reads text.
    pub(super) tokenizer: Option<Arc<Tokenizer>>,
    pub(super) desk: Option<Arc<Desk>>,
    /// What of this epoch's work is uploaded already.
    pub(super) handed_in: HandInMemory,
    /// What of this epoch's partitions is merged already.
    pub(super) merged: MergeMemory,
    /// Whether this session has loaded merged weights.
    pub(super) synced: Synced,
    /// Whether the optimizer state of others is still to be asked for.
    pub(super) new_here: bool,
    /// The stage's epoch by the last heartbeat.
    pub(super) heard: Epoch,
    /// Whether the registration put this miner on the bench.
    pub(super) benched: bool,
    /// Whether the stage holds the work of an epoch that may still last.
    pub(super) held: Held,
    /// Resets since the last training phase that ended as it should.
    resets: u32,
    /// Whether the duty is tried again after trouble.
    pub(super) in_trouble: bool,
    /// Why it cannot go on.
    pub(super) failure: Option<MinerError>,
}

impl Life {
    /// Opens the network side.
    async fn open(
        settings: MinerSettings,
        device: DeviceWorker,
        clock: Clock,
        mut entropy: Entropy,
        board: Arc<Board>,
        wish: watch::Receiver<Wish>,
    ) -> Result<Self, MinerError> {
        let constants = Arc::clone(&settings.constants);
        let traffic = Traffic::default();
        let connect = constants.http.connect_timeout;
        let http = HttpClient::new(settings.route, connect, clock.clone(), traffic.clone())?;
        let orchestrator = Orchestrator::new(
            http.clone(),
            settings.orchestrator.clone(),
            Arc::clone(&settings.hotkey),
            &constants,
            clock.clone(),
            entropy.split("requests"),
        );
        let line = settings.line.clone();
        let storage =
            Storage::over(line.clone(), http.clone(), constants.storage.clone(), clock.clone());
        let bridge = Bridge::new(
            http.clone(),
            settings.bridge.clone(),
            constants.registry.clone(),
            clock.clone(),
        );
        let sent = SentForwards::new();
        let door = Arc::new(Door::new(sent.clone()));
        let identity = settings.peer_identity.load(&mut entropy)?;
        if let Some(aside) = &identity.damaged {
            tracing::warn!(path = %aside.display(), "the peer key was damaged; a new one is used");
        }
        let setup = PeerSetup {
            line,
            reach: settings.reach.clone(),
            secret: identity.secret,
            rules: constants.peers.clone(),
            served_activations: SERVED_AT_FIRST,
            hotkey: Arc::clone(&settings.hotkey),
            directory: Directory::new(),
            clock: clock.clone(),
            entropy: entropy.split("peers"),
            traffic: traffic.clone(),
            time: board.time().clone(),
        };
        let (peers, inbox) = Peers::bind(setup, Arc::clone(&door) as Arc<_>).await?;
        let address = settings.hotkey.address().clone();
        let (publisher, published) = Publisher::start(PublisherSetup {
            peers: peers.clone(),
            hotkey: address.clone(),
            sent: sent.clone(),
            rules: constants.publisher.clone(),
            clock: clock.clone(),
            entropy: entropy.split("publisher"),
        });
        let announcer = Arc::new(Announcer::new(address, clock.clone()));
        let limit = constants.attestation_timeout;
        let attestor = Attestor::new(settings.attestation.clone(), limit, clock.clone());
        let services = Services {
            orchestrator,
            storage,
            attestor,
            clock: clock.clone(),
            constants,
            time: board.time().clone(),
        };
        let settings = Arc::new(settings);
        let workshop = Workshop::new(
            Arc::clone(&settings),
            device,
            clock.clone(),
            Arc::clone(&board),
            wish.clone(),
        );
        Ok(Self {
            settings,
            workshop,
            clock,
            entropy,
            board,
            announcer,
            services,
            http,
            bridge,
            traffic,
            peers,
            inbox,
            publisher,
            published,
            sent,
            door,
            wish,
            terms: None,
            stage: None,
            tokenizer: None,
            desk: None,
            handed_in: HandInMemory::default(),
            merged: MergeMemory::default(),
            synced: Synced::Never,
            new_here: true,
            heard: Epoch(0),
            benched: false,
            held: Held::Nothing,
            resets: 0,
            in_trouble: false,
            failure: None,
        })
    }

    /// From duty to duty.
    async fn run(&mut self) -> Result<(), MinerError> {
        let mut duty = Duty::Register;
        let mut troubles = 0;
        while !duty.is_end() {
            duty = self.cleared(duty).await;
            if duty.is_end() {
                break;
            }
            self.greet(duty).await;
            let outcome = self.perform(duty).await;
            tracing::debug!(miner = self.settings.name, ?duty, ?outcome, "duty ended");
            troubles = if matches!(outcome, Outcome::Trouble(_)) { troubles + 1 } else { 0 };
            let next = machine::next(duty, &outcome, troubles);
            if duty == Duty::Train && matches!(outcome, Outcome::PhaseIs(_)) {
                self.resets = 0;
                self.workshop.all_is_well();
            }
            if let Outcome::Benched(bench) = outcome {
                self.announcer.say(Phase::Training, bench.status());
            }
            self.explain(duty, &outcome, next.pause);
            let pause = self.length_of(next.pause);
            if matches!(next.pause, Pause::Reset | Pause::Rebuild) {
                self.start_over(&outcome).await;
            }
            if next.duty != duty {
                troubles = 0;
            }
            self.in_trouble = troubles > 0;
            duty = if self.rest(pause).await { Duty::Stopped } else { next.duty };
            if let (Duty::Fault, None) = (duty, &self.failure) {
                self.failure = Some(self.failure_of(&outcome));
            }
        }
        match self.failure.take() {
            None => Ok(()),
            Some(error) => {
                let reason = Reason::Failed { what: error.to_string() };
                self.board.status(State::Fault, reason, Who::You, "you must act on the message");
                Err(error)
            }
        }
    }

    /// Tells the orchestrator that this miner is about to do something (spec 1.10). The duty's own
    /// calls tell what matters of a failure.
    async fn greet(&self, duty: Duty) {
        if duty != Duty::Register
            && let Err(error) = self.services.orchestrator.healthcheck().await
        {
            tracing::debug!("healthcheck: {error}");
        }
    }

    /// How long to wait; counts resets and rebuilds.
    fn length_of(&mut self, pause: Pause) -> Duration {
        if pause == Pause::Rebuild {
            return self.workshop.pause();
        }
        if pause != Pause::Reset {
            return pause.length(&self.services.constants);
        }
        let range = backoff::reset_wait_range(self.resets);
        self.resets += 1;
        Duration::from_secs_f64(backoff::pick(&range, self.entropy.unit()).max(0.0))
    }

    /// Waits, unless the user stops the miner: then true.
    async fn rest(&mut self, pause: Duration) -> bool {
        if pause.is_zero() {
            return self.wish.borrow().stops();
        }
        let stop = until_stop(self.wish.clone());
        tokio::select! {
            () = self.clock.sleep(pause) => self.wish.borrow().stops(),
            () = stop => true,
        }
    }

    /// Shows why there is a pause.
    fn explain(&self, duty: Duty, outcome: &Outcome, pause: Pause) {
        if pause == Pause::None || self.wish.borrow().stops() {
            return;
        }
        let board = &self.board;
        match outcome {
            Outcome::Trouble(what) | Outcome::Reset(what) => {
                let (reason, next) =
                    (Reason::NetworkTrouble { what: what.clone() }, "it must work at the next try");
                let state = board.read(|snapshot| snapshot.status.state);
                board.status(state, reason, Who::Network, next);
            }
            Outcome::StageLost(what) => {
                let (reason, next) =
                    (Reason::StageLost { what: what.clone() }, "the stage must be built again");
                board.status(State::Loading, reason, Who::Machine, next);
            }
            Outcome::NotRegistered => {
                let (who, next) = match (duty, &self.settings.joining) {
                    (Duty::Register, Joining::Metagraph) => (
                        Who::You,
                        "the hotkey must be registered on the subnet, or join as one of the pool",
                    ),
                    _ => (Who::Network, "the orchestrator must take the miner in again"),
                };
                board.status(State::Registering, Reason::NotRegistered, who, next);
            }
            Outcome::RunFull => {
                let next = "the network must have room for this miner";
                board.status(State::Waiting, Reason::RunFull, Who::Network, next);
            }
            Outcome::Benched(bench) => {
                let (reason, next) = match bench {
                    Bench::Frozen => (Reason::Frozen, "the network must let it work again"),
                    Bench::Initializing => (Reason::NextEpoch, "the next epoch must begin"),
                };
                board.status(State::Waiting, reason, Who::Network, next);
            }
            _ => {}
        }
        if !matches!(pause, Pause::Reset | Pause::Rebuild) {
            let length = pause.length(&self.services.constants);
            board.expect(Eta::Seconds(length.as_secs_f64()));
        }
    }

    fn failure_of(&self, outcome: &Outcome) -> MinerError {
        match outcome {
            Outcome::WrongVersion(what) => MinerError::Version(what.clone()),
            Outcome::AttestationRefused(words) => {
                let given = !self.services.attestor.sends_null();
                MinerError::Refused(attestation_refused(given, words))
            }
            Outcome::Hopeless(what) => MinerError::Failed(what.clone()),
            other => MinerError::Failed(format!("{other:?}")),
        }
    }

    /// Leaves the stage's peers; the stage itself goes only if it cannot be trusted.
    async fn start_over(&mut self, outcome: &Outcome) {
        self.retire().await;
        self.synced = Synced::Never;
        if matches!(outcome, Outcome::StageLost(_)) {
            self.stage = None;
        }
        if let (Some(stage), Outcome::Reset(_)) = (&mut self.stage, outcome) {
            // What cannot be trusted is not gone on with.
            stage.forget_epoch();
        }
    }

    /// Takes no more pushes and leaves the registry.
    async fn retire(&mut self) {
        self.door.shut();
        if let Some(desk) = self.desk.take() {
            desk.clear();
        }
        self.publisher.clear();
        if let Some(registry) = self.announcer.leave() {
            registry.stop().await;
        }
    }

    /// Goodbye.
    async fn close(&mut self) {
        self.retire().await;
        self.peers.close().await;
        if let Some(stage) = &mut self.stage {
            stage.put_down().await;
        }
        self.stage = None;
    }
}

/// Until the user asks to stop.
pub(super) async fn until_stop(mut wish: watch::Receiver<Wish>) {
    // An error means that nobody can ask any more.
    if wish.wait_for(|wish| wish.stops()).await.is_err() {
        std::future::pending::<()>().await;
    }
}
