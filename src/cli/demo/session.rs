//! A practice swarm and its miners, put together in one process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::task::JoinHandle;
use url::Url;

use super::arguments::DemoPlan;
use super::faults::FaultTasks;
use crate::cli::{Exit, Failure};
use crate::clock::{Clock, Entropy};
use crate::compute::Device;
use crate::config::constants::Constants;
use crate::miner::text_source::TokenizerSource;
use crate::miner::{
    Command, DeviceWorker, Disclosure, FleetTelemetry, Joining, Miner, MinerError, MinerHandle,
    MinerSettings, MinerSnapshot, RuleSource,
};
use crate::network::Line;
use crate::network::attestation::Provider;
use crate::network::http::Route;
use crate::network::peers::{PeerIdentity, PeerReach};
use crate::swarm::feed::Feed;
use crate::swarm::practice::{Practice, PracticeConfig, PracticeError, Trouble};
use crate::telemetry::Events;
use crate::training::record::Recorder;
use crate::training::terms::LearningRateRule;
use crate::wallet::HotkeyPair;

/// How long the first stage may wait for the gradients of what it handed out.
const LAST_WORK: Duration = Duration::from_secs(3);
/// How long all the others may take after that to finish what they have in hand.
const FAREWELL: Duration = Duration::from_secs(4);

/// Activations under way in a miner when nobody says otherwise.
const IN_FLIGHT: usize = 2;

/// The miner of a session that is yours.
const OWN: &str = "m0";

/// The keys of the miners of a session, by their names: `m0` first.
pub type Keys = Vec<(String, HotkeyPair)>;

/// The names of the miners of a plan.
pub fn names(plan: &DemoPlan) -> impl Iterator<Item = String> {
    (0..plan.stages * plan.miners_per_stage).map(|i| format!("m{i}"))
}

/// What a session is made of.
pub struct Ingredients<'a> {
    /// The checked command line.
    pub plan: &'a DemoPlan,
    /// Fixes data, weights and choices.
    pub seed: u64,
    /// Port of the orchestrator.
    pub port: u16,
    /// Where it keeps its files.
    pub folder: &'a Path,
    /// The miners' keys, in the order of their names.
    pub keys: Keys,
    /// What computes.
    pub device: Arc<dyn Device>,
    /// The text.
    pub feed: Arc<Feed>,
    /// Every deed is written down here.
    pub recorder: Recorder,
    /// What your own miner goes by; none in a demo.
    pub rules: Option<RuleSource>,
    /// What the swarm tells.
    pub swarm_events: Events,
    /// What the miners tell.
    pub miner_events: Events,
}

/// A running swarm with its miners.
pub struct Session {
    /// The other side.
    pub practice: Practice,
    /// `m0` first.
    pub miners: Vec<MinerHandle>,
    /// Short names by address.
    pub names: Arc<BTreeMap<String, String>>,
    /// The stages as they were planned.
    pub config: PracticeConfig,
    /// What is still to go wrong.
    faults: FaultTasks,
}

/// The configuration of the practice swarm of a plan.
fn practice_config(from: &Ingredients<'_>, keys: &[(String, HotkeyPair)]) -> PracticeConfig {
    let plan = from.plan;
    let names = keys.iter().map(|(name, key)| (key.address().clone(), name.clone())).collect();
    PracticeConfig {
        stages: plan.stages,
        miners_per_stage: plan.miners_per_stage,
        epochs: plan.end.epochs(),
        in_flight: plan.in_flight.unwrap_or(IN_FLIGHT),
        seed: from.seed,
        port: from.port,
        rules: plan.rules.clone(),
        names,
        ..PracticeConfig::new(*plan.preset, Arc::clone(&from.feed), from.folder.join("swarm"))
    }
}

impl Session {
    /// Starts the swarm, then the miners one after the other, so that `m0` holds stage 0.
    pub async fn start(mut from: Ingredients<'_>, clock: &Clock) -> Result<Self, Failure> {
        let keys = std::mem::take(&mut from.keys);
        let names: BTreeMap<String, String> = keys
            .iter()
            .map(|(name, key)| (key.address().as_str().to_owned(), name.clone()))
            .collect();
        let config = practice_config(&from, &keys);
        let practice = Practice::start(config.clone(), clock.clone(), from.swarm_events.clone())
            .await
            .map_err(|error| swarm_failure(&error))?;
        let worker = DeviceWorker::start(Arc::clone(&from.device)).map_err(|error| {
            Failure::new(Exit::Failed, format!("no thread for the device: {error}"))
                .coded("no-threads")
        })?;
        let (names, miners) = (Arc::new(names), Vec::new());
        let mut session = Self { practice, miners, names, config, faults: FaultTasks::default() };
        for (index, (name, key)) in keys.into_iter().enumerate() {
            let line = Line::new(clock.clone());
            let settings = session.settings(&from, name, key, line)?;
            let entropy = Entropy::seeded(from.seed, &format!("choices of m{index}"));
            let faults = &from.plan.faults;
            let own = faults.worker_of(&settings.name, &worker, clock, &mut session.faults)?;
            let miner =
                Miner::start(settings, own, clock.clone(), entropy, from.miner_events.clone());
            let mut snapshot = miner.snapshot.clone();
            session.miners.push(miner);
            // Placed before the next one asks; its end is noticed by whoever drives the session.
            let _ = snapshot.wait_for(|s| s.stage.is_some() || has_ended(s)).await;
        }
        Ok(session)
    }

    fn settings(
        &self,
        from: &Ingredients<'_>,
        name: String,
        key: HotkeyPair,
        line: Line,
    ) -> Result<MinerSettings, Failure> {
        let url = |text: String| {
            Url::parse(&text)
                .map_err(|error| Failure::new(Exit::Failed, format!("{text}: {error}")))
        };
        Ok(MinerSettings {
            orchestrator: url(self.practice.orchestrator_url())?,
            bridge: url(self.practice.bridge_url())?,
            route: Route::Loopback,
            reach: PeerReach::Loopback,
            peer_identity: PeerIdentity::ThrowAway,
            hotkey: Arc::new(key),
            constants: Arc::new(Constants::practice()),
            learning_rate: LearningRateRule::FromRun,
            data: from.folder.join("miners").join(&name),
            joining: Joining::Metagraph,
            disclosure: Disclosure::default(),
            // A practice swarm stays on this machine: no limit of the line is for it.
            line,
            attestation: Provider::Nobody,
            telemetry: FleetTelemetry::Off,
            state: from.folder.join("miners").join(&name),
            tokenizer: TokenizerSource::Given(Arc::clone(from.feed.tokenizer())),
            in_flight: from.plan.in_flight,
            recorder: from.recorder.clone(),
            weights_seed: from.seed,
            rules: from.rules.clone().filter(|_| name == OWN).unwrap_or(RuleSource::Off),
            name,
        })
    }

    /// The miners' last words, in their order.
    pub fn snapshots(&self) -> Vec<MinerSnapshot> {
        self.miners.iter().map(|miner| miner.snapshot.borrow().clone()).collect()
    }

    /// Takes the ends of all miners out of the session, to be waited for.
    pub fn take_ends(&mut self) -> Ends {
        self.miners
            .iter_mut()
            .enumerate()
            .map(|(index, miner)| {
                let join = std::mem::replace(&mut miner.join, tokio::spawn(async { Ok(()) }));
                end_of(format!("m{index}"), join)
            })
            .collect()
    }

    /// Asks every miner to finish, and waits a while. The first stage goes first: it hands out no more
    /// work, and the others are still there to send its last gradients back.
    pub async fn stop(&self, ends: &mut Ends, clock: &Clock) {
        let (first, others): (Vec<_>, Vec<_>) =
            self.miners.iter().partition(|miner| miner.snapshot.borrow().stage == Some(0));
        let ask = |miners: &[&MinerHandle]| {
            for miner in miners {
                let _ = miner.commands.send(Command::Stop);
            }
        };
        ask(&first);
        let gone = first.iter().map(|miner| {
            let mut snapshot = miner.snapshot.clone();
            async move {
                // A miner that is dropped tells nothing any more, and has ended.
                let _ = snapshot.wait_for(has_ended).await;
            }
        });
        let _ = clock.timeout(LAST_WORK, futures::future::join_all(gone)).await;
        ask(&others);
        let all = async { while ends.next().await.is_some() {} };
        if clock.timeout(FAREWELL, all).await.is_err() {
            tracing::warn!("some miners did not finish in time; what they had in hand is dropped");
        }
    }
}

/// The ends of miners, in the order they come.
pub type Ends = FuturesUnordered<
    std::pin::Pin<Box<dyn Future<Output = (String, Result<(), MinerError>)> + Send>>,
>;

fn end_of(
    name: String,
    join: JoinHandle<Result<(), MinerError>>,
) -> std::pin::Pin<Box<dyn Future<Output = (String, Result<(), MinerError>)> + Send>> {
    Box::pin(async move {
        let end = join.await.unwrap_or_else(|error| Err(MinerError::Broken(error.to_string())));
        (name, end)
    })
}

fn has_ended(snapshot: &MinerSnapshot) -> bool {
    use crate::miner::State;
    matches!(snapshot.status.state, State::Fault | State::Stopped | State::Disabled)
}

/// The line and exit code for a swarm that cannot start or go on.
pub fn swarm_failure(error: &PracticeError) -> Failure {
    let exit = match error.trouble() {
        Trouble::Configuration => Exit::Configuration,
        Trouble::Disk => Exit::Disk,
        _ => Exit::Failed,
    };
    Failure::new(exit, error).coded("practice-swarm")
}
