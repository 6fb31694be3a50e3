//! A miner of this process against a scripted orchestrator: every pause of the live network
//! shortened, its events kept.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hearth::clock::{Clock, Entropy};
use hearth::compute::cpu::CpuDevice;
use hearth::config::Constants;
use hearth::miner::text_source::TokenizerSource;
use hearth::miner::{
    Command, DeviceWorker, Disclosure, FleetTelemetry, Joining, Miner, MinerError, MinerHandle,
    MinerSettings, RuleSource,
};
use hearth::model::tokenizer::Tokenizer;
use hearth::network::attestation::Provider;
use hearth::network::hub::Hub;
use hearth::network::peers::{PeerIdentity, PeerReach};
use hearth::network::{Line, Route};
use hearth::telemetry::{Event, Events};
use hearth::training::record::Recorder;
use hearth::training::terms::LearningRateRule;
use hearth::wallet::HotkeyPair;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::server::Script;

/// The live network's numbers, an order of magnitude or two faster.
pub fn quick() -> Constants {
    let mut constants = Constants::live();
    let short = Duration::from_millis(50);
    constants.heartbeat = short;
    constants.all_layers_cache = short;
    constants.wait_for_phase_poll = short;
    constants.no_partitions_poll = short;
    constants.layer_zero_poll = short;
    constants.run_config_refresh = Duration::from_millis(200);
    constants.benched_pause = Duration::from_millis(300);
    constants.run_full_pause = Duration::from_millis(600);
    constants.registration_pause = Duration::from_millis(100);
    constants.stuck_after = Duration::from_millis(500);
    constants.http.timeout = Duration::from_secs(2);
    constants.http.confirm_timeout = Duration::from_millis(500);
    constants.http.failure_pause = Duration::from_millis(20);
    constants.registry.pull = Duration::from_millis(100);
    constants.registry.keep_alive = Duration::from_millis(100);
    constants.storage.first_retry_pause = Duration::from_millis(10);
    constants
}

/// What a test changes of a miner.
pub struct Choices {
    pub constants: Constants,
    pub joining: Joining,
    pub disclosure: Disclosure,
    pub attestation: Provider,
    pub telemetry: FleetTelemetry,
    /// Where the tokenizer is looked for; known already if not set.
    pub hub: Option<Hub>,
    /// Which key.
    pub key: u64,
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            constants: quick(),
            joining: Joining::Metagraph,
            disclosure: Disclosure::default(),
            attestation: Provider::Nobody,
            telemetry: FleetTelemetry::Off,
            hub: None,
            key: 5,
        }
    }
}

/// A running miner.
pub struct Running {
    pub handle: MinerHandle,
    events: UnboundedReceiver<Event>,
    pub told: Vec<Event>,
}

/// Starts one whose files are in `folder`.
pub fn start(script: &Script, folder: &Path, choices: Choices) -> Running {
    start_at(&script.base, folder, choices)
}

/// The same, at any server.
pub fn start_at(base: &str, folder: &Path, choices: Choices) -> Running {
    start_with(base, folder, choices, Clock::system())
}

/// The same, by this clock.
pub fn start_with(base: &str, folder: &Path, choices: Choices, clock: Clock) -> Running {
    let events = Events::new();
    let receiver = events.subscribe();
    let base: url::Url = base.parse().unwrap();
    let settings = MinerSettings {
        name: "m0".to_owned(),
        bridge: base.join("/bridge").unwrap(),
        orchestrator: base,
        route: Route::Loopback,
        reach: PeerReach::Loopback,
        peer_identity: PeerIdentity::ThrowAway,
        hotkey: Arc::new(HotkeyPair::generate(&mut Entropy::seeded(choices.key, "key"))),
        constants: Arc::new(choices.constants),
        learning_rate: LearningRateRule::Constant,
        data: folder.join("data"),
        joining: choices.joining,
        disclosure: choices.disclosure,
        attestation: choices.attestation,
        line: Line::new(Clock::system()),
        telemetry: choices.telemetry,
        state: folder.join("state"),
        tokenizer: match choices.hub {
            Some(hub) => TokenizerSource::Named(hub),
            None => TokenizerSource::Given(Arc::new(Tokenizer::shipped().unwrap())),
        },
        in_flight: None,
        recorder: Recorder::off(),
        weights_seed: 42,
        rules: RuleSource::Off,
    };
    let worker = DeviceWorker::start(Arc::new(CpuDevice::new(None))).unwrap();
    let handle =
        Miner::start(settings, worker, clock, Entropy::seeded(choices.key, "miner"), events);
    Running { handle, events: receiver, told: Vec::new() }
}

impl Running {
    /// Waits for an event of which `wanted` is true.
    pub async fn until(&mut self, what: &str, wanted: impl Fn(&Event) -> bool) -> Event {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = tokio::time::timeout(left, self.events.recv()).await;
            let Ok(Some(event)) = event else { panic!("no {what} in {:#?}", self.told) };
            self.told.push(event.clone());
            if wanted(&event) {
                return event;
            }
        }
    }

    /// An event that is there already.
    #[allow(dead_code)] // Not every test that includes this file looks.
    pub fn try_event(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Waits until it is in this state for this reason.
    pub async fn state(&mut self, state: &str, reason: &str) {
        let wanted = |event: &Event| matches!(event, Event::State { state: s, reason: r, .. } if s == state && r == reason);
        self.until(&format!("{state}/{reason}"), wanted).await;
    }

    /// Waits for a finding with this code; gives its text.
    pub async fn finding(&mut self, code: &str) -> String {
        let wanted = |event: &Event| matches!(event, Event::Finding { code: c, .. } if c == code);
        match self.until(code, wanted).await {
            Event::Finding { what, fix, .. } => format!("{what} {fix}"),
            _ => unreachable!(),
        }
    }

    /// Asks it to stop and waits for its end.
    pub async fn stop(self) -> Result<(), MinerError> {
        self.handle.commands.send(Command::Stop).unwrap();
        self.ended().await
    }

    /// Waits for its end.
    pub async fn ended(self) -> Result<(), MinerError> {
        tokio::time::timeout(Duration::from_secs(60), self.handle.ended()).await.unwrap()
    }
}
