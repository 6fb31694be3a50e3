//! A practice swarm and its miners, put together in one process.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::task::JoinHandle;

use super::arguments::DemoPlan;
use super::crew::{Maker, Mate};
use super::faults::FaultTasks;
use crate::cli::{Exit, Failure};
use crate::clock::{Clock, Entropy};
use crate::compute::Device;
use crate::miner::{Command, DeviceWorker, MinerError, MinerHandle, MinerSnapshot, RuleSource};
use crate::swarm::feed::Feed;
use crate::swarm::practice::{Practice, PracticeConfig, PracticeError, Trouble};
use crate::swarm::{Lab, SwarmCommand};
use crate::telemetry::Events;
use crate::training::record::Recorder;
use crate::wallet::HotkeyPair;

/// How long the first stage may wait for the gradients of what it handed out.
const LAST_WORK: Duration = Duration::from_secs(3);
/// How long all the others may take after that to finish what they have in hand.
const FAREWELL: Duration = Duration::from_secs(4);

/// Activations under way in a miner when nobody says otherwise.
const IN_FLIGHT: usize = 2;

/// The miner of a session that is yours.
pub(super) const OWN: &str = "m0";

/// Miners that may be started besides those of the plan.
const SPARES: usize = 4;

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
    /// The same, as the lab reaches them.
    mates: Vec<Mate>,
    /// Names and keys of those that may still be started.
    spares: VecDeque<(String, Arc<HotkeyPair>)>,
    /// What each miner is made with.
    maker: Maker,
    /// Short names by address.
    pub names: Arc<BTreeMap<String, String>>,
    /// The stages as they were planned.
    pub config: PracticeConfig,
    /// What is still to go wrong.
    faults: FaultTasks,
}

/// The configuration of the practice swarm of a plan.
fn practice_config<'k>(
    from: &Ingredients<'_>,
    keys: impl Iterator<Item = &'k (String, Arc<HotkeyPair>)>,
) -> PracticeConfig {
    let plan = from.plan;
    let names = keys.map(|(name, key)| (key.address().clone(), name.clone())).collect();
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
        let keys: Vec<_> = std::mem::take(&mut from.keys)
            .into_iter()
            .map(|(name, key)| (name, Arc::new(key)))
            .collect();
        let spares: VecDeque<_> = (keys.len()..keys.len() + SPARES)
            .map(|n| (format!("m{n}"), Arc::new(HotkeyPair::generate(&mut Entropy::system()))))
            .collect();
        let named = || keys.iter().chain(&spares);
        let names: BTreeMap<String, String> =
            named().map(|(name, key)| (key.address().as_str().to_owned(), name.clone())).collect();
        let config = practice_config(&from, named());
        let practice = Practice::start(config.clone(), clock.clone(), from.swarm_events.clone())
            .await
            .map_err(|error| swarm_failure(&error))?;
        let worker = DeviceWorker::start(Arc::clone(&from.device)).map_err(|error| {
            Failure::new(Exit::Failed, format!("no thread for the device: {error}"))
                .coded("no-threads")
        })?;
        let maker = Maker::new(&from, &practice, worker.clone(), clock)?;
        let mut session = Self {
            practice,
            miners: Vec::new(),
            mates: Vec::new(),
            spares,
            maker,
            names: Arc::new(names),
            config,
            faults: FaultTasks::default(),
        };
        for (name, key) in keys {
            let faults = &from.plan.faults;
            let own = faults.worker_of(&name, &worker, clock, &mut session.faults)?;
            let (miner, mate) = session.maker.start(name, key, own)?;
            let mut snapshot = miner.snapshot.clone();
            session.miners.push(miner);
            session.mates.push(mate);
            // Placed before the next one asks; its end is noticed by whoever drives the session.
            let _ = snapshot.wait_for(|s| s.stage.is_some() || has_ended(s)).await;
        }
        session.tell_lab().await;
        Ok(session)
    }

    /// Does to the miners what somebody at the dashboard wants done. Says what was done, or why not.
    pub async fn obey(&mut self, command: SwarmCommand, ends: &mut Ends) -> Result<String, String> {
        let done = match command {
            SwarmCommand::Start => self.start_another(ends),
            SwarmCommand::Kill { miner } => self.mate(&miner)?.kill(),
            SwarmCommand::Slow { miner } => self.mate(&miner)?.slow(),
            SwarmCommand::Write => Err("the model's author writes, not its miners".to_owned()),
        };
        self.tell_lab().await;
        done
    }

    /// A miner that something may be done to: any but your own.
    fn mate(&mut self, name: &str) -> Result<&mut Mate, String> {
        if name == OWN {
            return Err(format!("{OWN} is your own miner: pause it, or leave the practice swarm"));
        }
        let mut mates = self.mates.iter_mut();
        mates.find(|mate| mate.name == name).ok_or_else(|| format!("there is no miner {name} here"))
    }

    /// One that was killed comes back; else a new one comes.
    fn start_another(&mut self, ends: &mut Ends) -> Result<String, String> {
        let killed = self.mates.iter().position(Mate::is_killed);
        let (name, key) = match killed {
            Some(place) => {
                let mate = self.mates.remove(place);
                (mate.name.clone(), mate.key)
            }
            None => self.spares.pop_front().ok_or_else(|| {
                format!("all {SPARES} miners that can be added were started already")
            })?,
        };
        let worker = self.maker.worker.clone();
        let (mut miner, mate) =
            self.maker.start(name.clone(), key, worker).map_err(|failure| failure.line)?;
        ends.push(end_of(name.clone(), taken(&mut miner.join)));
        self.mates.push(mate);
        self.miners.push(miner);
        Ok(format!("{name} begins"))
    }

    async fn tell_lab(&self) {
        let of = |wanted: fn(&Mate) -> bool| {
            let mates = self.mates.iter().filter(|mate| wanted(mate));
            mates.map(|mate| mate.key.address().as_str().to_owned()).collect()
        };
        let (killed, slowed) = (of(Mate::is_killed), of(Mate::is_slow));
        self.practice.tell_lab(Lab { killed, slowed, spare: self.spares.len() }).await;
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
            .map(|(index, miner)| end_of(format!("m{index}"), taken(&mut miner.join)))
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

/// A miner's end, to be waited for by somebody else.
fn taken(join: &mut JoinHandle<Result<(), MinerError>>) -> JoinHandle<Result<(), MinerError>> {
    std::mem::replace(join, tokio::spawn(async { Ok(()) }))
}

/// The ends of miners, in the order they come.
pub type Ends = FuturesUnordered<
    std::pin::Pin<Box<dyn Future<Output = (String, Result<(), MinerError>)> + Send>>,
>;

pub(super) fn end_of(
    name: String,
    join: JoinHandle<Result<(), MinerError>>,
) -> std::pin::Pin<Box<dyn Future<Output = (String, Result<(), MinerError>)> + Send>> {
    Box::pin(async move {
        let end = join.await.unwrap_or_else(|error| match error.is_cancelled() {
            // It was killed on purpose.
            true => Ok(()),
            false => Err(MinerError::Broken(error.to_string())),
        });
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
