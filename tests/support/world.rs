//! A practice swarm at its smallest with its miners, in one process: shared by the tests that need
//! a whole run.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hearth::clock::{Clock, Entropy};
use hearth::compute::Device;
use hearth::compute::cpu::CpuDevice;
use hearth::config::Constants;
use hearth::miner::text_source::TokenizerSource;
use hearth::miner::{
    Command, DeviceWorker, Disclosure, FleetTelemetry, Joining, Miner, MinerHandle, MinerSettings,
    RuleSource, State,
};
use hearth::model::presets::Preset;
use hearth::model::tokenizer::Tokenizer;
use hearth::network::attestation::Provider;
use hearth::network::peers::{PeerIdentity, PeerReach};
use hearth::network::{Line, Route};
use hearth::swarm::feed::{Feed, Source};
use hearth::swarm::{Practice, PracticeConfig, Rules};
use hearth::telemetry::{Event, Events, Severity};
use hearth::training::record::Recorder;
use hearth::training::terms::LearningRateRule;
use hearth::wallet::HotkeyPair;

/// A swarm with its miners.
pub struct World {
    pub practice: Practice,
    pub miners: Vec<MinerHandle>,
    pub recorder: Recorder,
    /// What the swarm says.
    seen: tokio::sync::mpsc::UnboundedReceiver<Event>,
    /// What the miners say.
    told: tokio::sync::mpsc::UnboundedReceiver<Event>,
}

/// What a world is made of.
pub struct Plan {
    pub stages: usize,
    pub miners_per_stage: usize,
    pub epochs: u64,
    pub in_flight: usize,
    pub seed: u64,
}

impl Plan {
    /// The plan with the seed of `HEARTH_SEED`, if that is set, and what prints the one line that runs
    /// a failed test again. Keep it until the test ends.
    #[allow(dead_code)] // Not every test that includes this file is a seeded one.
    pub fn seeded(mut self) -> (Self, Again) {
        let told = std::env::var("HEARTH_SEED").ok();
        if let Some(seed) = told.and_then(|seed| seed.parse().ok()) {
            self.seed = seed;
        }
        let again = Again(self.seed);
        (self, again)
    }
}

/// The events that somebody should worry about. That no attestation is sent is said, and is none.
#[allow(dead_code)] // Likewise.
pub fn warnings(events: &[Event]) -> Vec<&Event> {
    let warning = |event: &&Event| match event {
        Event::Finding { severity, .. } => *severity != Severity::Info,
        Event::Evidence { .. } => true,
        _ => false,
    };
    events.iter().filter(warning).collect()
}

/// Prints how to run a failed test again.
pub struct Again(u64);

impl Drop for Again {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let thread = std::thread::current();
            let test = thread.name().unwrap_or_default();
            eprintln!(
                "to run it again: HEARTH_SEED={} cargo test --release --test {} {test} -- --exact",
                self.0,
                env!("CARGO_CRATE_NAME"),
            );
        }
    }
}

/// The other side alone, for miners of other processes.
#[allow(dead_code)] // Not every test that includes this file needs it.
pub async fn swarm(plan: &Plan, folder: &Path) -> (Practice, Events) {
    swarm_at(plan, folder, 0).await
}

/// The same, of this model.
#[allow(dead_code)] // Likewise.
pub async fn swarm_of(plan: &Plan, folder: &Path, preset: Preset) -> (Practice, Events) {
    let events = Events::new();
    let config = config(plan, folder, Rules::lenient(), preset);
    let practice = Practice::start(config, Clock::system(), events.clone()).await.unwrap();
    (practice, events)
}

/// The same, on this port.
#[allow(dead_code)] // Likewise.
pub async fn swarm_at(plan: &Plan, folder: &Path, port: u16) -> (Practice, Events) {
    let events = Events::new();
    let config = PracticeConfig { port, ..config(plan, folder, Rules::lenient(), nano()) };
    let practice = Practice::start(config, Clock::system(), events.clone()).await.unwrap();
    (practice, events)
}

/// The smallest model.
pub fn nano() -> Preset {
    *Preset::named("nano").unwrap()
}

fn config(plan: &Plan, folder: &Path, rules: Rules, preset: Preset) -> PracticeConfig {
    let tokenizer = Arc::new(Tokenizer::shipped().unwrap());
    let tokens = preset.seq * preset.batch;
    let source = Source::Stories { seed: plan.seed };
    let feed = Arc::new(Feed::new(source, Arc::clone(&tokenizer), tokens).unwrap());
    PracticeConfig {
        stages: plan.stages,
        miners_per_stage: plan.miners_per_stage,
        epochs: Some(plan.epochs),
        in_flight: plan.in_flight,
        seed: plan.seed,
        rules,
        ..PracticeConfig::new(preset, feed, folder.join("swarm"))
    }
}

/// Under rules that refuse little.
#[allow(dead_code)] // Not every test that includes this file starts this one.
pub async fn start(plan: &Plan, folder: &Path) -> World {
    start_with(plan, folder, Rules::lenient()).await
}

/// Under the rules given.
#[allow(dead_code)] // Likewise.
pub async fn start_with(plan: &Plan, folder: &Path, rules: Rules) -> World {
    start_ruled(plan, folder, rules, |_| RuleSource::Off).await
}

/// Likewise, each miner with rules of its own, by its name.
#[allow(dead_code)] // Likewise.
pub async fn start_ruled(
    plan: &Plan,
    folder: &Path,
    rules: Rules,
    source: impl Fn(&str) -> RuleSource,
) -> World {
    let device = Arc::new(CpuDevice::new(None));
    start_on(plan, folder, rules, source, nano(), device).await
}

/// Likewise, this model, and all of them on this device.
#[allow(dead_code)] // Likewise.
pub async fn start_on(
    plan: &Plan,
    folder: &Path,
    rules: Rules,
    source: impl Fn(&str) -> RuleSource,
    preset: Preset,
    device: Arc<dyn Device>,
) -> World {
    let clock = Clock::system();
    let (events, own) = (Events::new(), Events::new());
    let (seen, told) = (events.subscribe(), own.subscribe());
    let config = config(plan, folder, rules, preset);
    let tokenizer = Arc::clone(config.feed.tokenizer());
    let practice = Practice::start(config, clock.clone(), events).await.unwrap();
    let worker = DeviceWorker::start(device).unwrap();
    let recorder = Recorder::in_memory();
    let mut miners = Vec::new();
    for number in 0..plan.stages * plan.miners_per_stage {
        let name = format!("m{number}");
        let mut entropy = Entropy::seeded(plan.seed, &name);
        let settings = MinerSettings {
            orchestrator: practice.orchestrator_url().parse().unwrap(),
            bridge: practice.bridge_url().parse().unwrap(),
            route: Route::Loopback,
            reach: PeerReach::Loopback,
            peer_identity: PeerIdentity::ThrowAway,
            hotkey: Arc::new(HotkeyPair::generate(&mut entropy)),
            constants: Arc::new(Constants::practice()),
            learning_rate: LearningRateRule::FromRun,
            data: folder.join(&name),
            joining: Joining::Metagraph,
            disclosure: Disclosure::default(),
            attestation: Provider::Nobody,
            line: Line::new(clock.clone()),
            telemetry: FleetTelemetry::Off,
            state: folder.join("state"),
            tokenizer: TokenizerSource::Given(Arc::clone(&tokenizer)),
            in_flight: Some(plan.in_flight),
            recorder: recorder.clone(),
            weights_seed: 42,
            rules: source(&name),
            name,
        };
        let miner = Miner::start(settings, worker.clone(), clock.clone(), entropy, own.clone());
        // One after the other, so that the stages are assigned in the same order each time.
        registered(&miner).await;
        miners.push(miner);
    }
    World { practice, miners, recorder, seen, told }
}

async fn registered(miner: &MinerHandle) {
    let mut snapshot = miner.snapshot.clone();
    let there = snapshot.wait_for(|s| s.stage.is_some() || s.status.state == State::Fault);
    let there = tokio::time::timeout(Duration::from_secs(60), there).await;
    assert!(there.unwrap().unwrap().stage.is_some());
}

impl World {
    /// Until all epochs are merged and every miner has loaded the result.
    pub async fn finish(mut self, epochs: u64) -> (Recorder, Vec<Event>) {
        let limit = Duration::from_secs(240);
        let finished = self.practice.finished();
        if tokio::time::timeout(limit, finished).await.is_err() {
            for miner in &self.miners {
                eprintln!("{:#?}", miner.snapshot.borrow().status);
                eprintln!("{:?}", miner.snapshot.borrow().work);
            }
            panic!("not finished in {limit:?}; swarm: {:#?}", *self.practice.snapshot().borrow());
        }
        for miner in &self.miners {
            let mut snapshot = miner.snapshot.clone();
            let loaded =
                snapshot.wait_for(|s| s.epoch > epochs && s.status.state == State::Training);
            tokio::time::timeout(Duration::from_secs(30), loaded).await.unwrap().unwrap();
        }
        for miner in &self.miners {
            miner.commands.send(Command::Stop).unwrap();
        }
        for miner in std::mem::take(&mut self.miners) {
            let ended = tokio::time::timeout(Duration::from_secs(40), miner.ended()).await;
            ended.unwrap().unwrap();
        }
        self.practice.shutdown().await;
        let mut events = Vec::new();
        while let Ok(event) = self.seen.try_recv() {
            events.push(event);
        }
        while let Ok(event) = self.told.try_recv() {
            // The swarm repeats what is reported to it.
            if !matches!(event, Event::Loss { .. }) {
                events.push(event);
            }
        }
        (self.recorder, events)
    }
}
