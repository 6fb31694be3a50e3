//! The whole system at its smallest: a practice swarm and six miners in one process train two epochs
//! over real HTTP, S3 and QUIC, and end with the same weights wherever they should.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hearth::clock::{Clock, Entropy};
use hearth::compute::Device;
use hearth::compute::cpu::CpuDevice;
use hearth::config::Constants;
use hearth::miner::{Command, DeviceWorker, Miner, MinerHandle, MinerSettings, State};
use hearth::model::presets::Preset;
use hearth::model::tokenizer::Tokenizer;
use hearth::network::Route;
use hearth::network::peers::PeerReach;
use hearth::protocol::{Epoch, StageIndex};
use hearth::swarm::feed::{Feed, Source};
use hearth::swarm::{Practice, PracticeConfig};
use hearth::telemetry::{Event, Events};
use hearth::training::record::{Deed, Recorder};
use hearth::training::terms::LearningRateRule;
use hearth::wallet::HotkeyPair;

/// A swarm with its miners.
struct World {
    practice: Practice,
    miners: Vec<MinerHandle>,
    recorder: Recorder,
    /// What the swarm says.
    seen: tokio::sync::mpsc::UnboundedReceiver<Event>,
    /// What the miners say.
    told: tokio::sync::mpsc::UnboundedReceiver<Event>,
}

/// What a world is made of.
struct Plan {
    stages: usize,
    miners_per_stage: usize,
    epochs: u64,
    in_flight: usize,
    seed: u64,
}

async fn start(plan: &Plan, folder: &Path) -> World {
    let clock = Clock::system();
    let (events, own) = (Events::new(), Events::new());
    let (seen, told) = (events.subscribe(), own.subscribe());
    let preset = *Preset::named("nano").unwrap();
    let tokenizer = Arc::new(Tokenizer::shipped().unwrap());
    let tokens = preset.seq * preset.batch;
    let source = Source::Stories { seed: plan.seed };
    let feed = Arc::new(Feed::new(source, Arc::clone(&tokenizer), tokens).unwrap());
    let config = PracticeConfig {
        stages: plan.stages,
        miners_per_stage: plan.miners_per_stage,
        epochs: Some(plan.epochs),
        in_flight: plan.in_flight,
        seed: plan.seed,
        ..PracticeConfig::new(preset, feed, folder.join("swarm"))
    };
    let practice = Practice::start(config, clock.clone(), events).await.unwrap();
    let device: Arc<dyn Device> = Arc::new(CpuDevice::new(None));
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
            hotkey: Arc::new(HotkeyPair::generate(&mut entropy)),
            constants: Arc::new(Constants::practice()),
            learning_rate: LearningRateRule::FromRun,
            data: folder.join(&name),
            tokenizer: Arc::clone(&tokenizer),
            in_flight: Some(plan.in_flight),
            recorder: recorder.clone(),
            weights_seed: 42,
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
    async fn finish(mut self, epochs: u64) -> (Recorder, Vec<Event>) {
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

/// Stage by stage and epoch by epoch, the weights that its miners started with.
fn starts(recorder: &Recorder) -> BTreeMap<(StageIndex, Epoch), Vec<Arc<Vec<f32>>>> {
    let mut starts: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for ((_, stage, epoch), weights) in recorder.weights() {
        starts.entry((stage, epoch)).or_default().push(weights);
    }
    starts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn six_miners_train_two_epochs_and_replicas_end_equal() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan { stages: 3, miners_per_stage: 2, epochs: 2, in_flight: 4, seed: 1 };
    let (recorder, events) = start(&plan, folder.path()).await.finish(plan.epochs).await;

    for ((stage, epoch), weights) in starts(&recorder) {
        assert_eq!(weights.len(), 2, "miners of stage {stage} that loaded epoch {epoch}");
        assert!(weights.windows(2).all(|pair| pair[0] == pair[1]), "stage {stage}, epoch {epoch}");
    }
    let all = starts(&recorder);
    for stage in (0..3).map(StageIndex) {
        let at = |epoch| &all[&(stage, Epoch(epoch))][0];
        assert_ne!(at(1), at(2), "stage {stage} learned nothing in epoch 1");
        assert_ne!(at(2), at(3), "stage {stage} learned nothing in epoch 2");
    }
    let merges: Vec<(usize, u64, usize)> = events
        .iter()
        .filter_map(|event| match event {
            Event::Merge { stage, epoch, partitions } => Some((*stage, *epoch, *partitions)),
            _ => None,
        })
        .collect();
    for stage in 0..3 {
        for epoch in 1..=2 {
            assert!(
                merges.contains(&(stage, epoch, 2)),
                "stage {stage}, epoch {epoch}: {merges:?}"
            );
        }
    }
    let goal = Preset::named("nano").unwrap().backwards_per_epoch * 2 * 2;
    let losses = events.iter().filter(|e| matches!(e, Event::Loss { .. })).count();
    assert!(losses >= goal, "{losses} losses");
    let warning = |event: &&Event| matches!(event, Event::Finding { .. } | Event::Evidence { .. });
    let warnings: Vec<_> = events.iter().filter(warning).collect();
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_one_activation_in_flight_two_runs_are_equal_to_the_bit() {
    let plan = Plan { stages: 3, miners_per_stage: 1, epochs: 2, in_flight: 1, seed: 7 };
    let mut runs = Vec::new();
    for _ in 0..2 {
        let folder = tempfile::tempdir().unwrap();
        let (recorder, _) = start(&plan, folder.path()).await.finish(plan.epochs).await;
        let deeds: Vec<_> = recorder
            .entries()
            .into_iter()
            .filter_map(|entry| match entry.deed {
                Deed::Backward { loss, .. } => Some((entry.stage, "backward", loss)),
                Deed::Step { lr } => Some((entry.stage, "step", Some(lr))),
                _ => None,
            })
            .collect();
        let mut by_stage: BTreeMap<StageIndex, Vec<_>> = BTreeMap::new();
        for (stage, what, number) in deeds {
            by_stage.entry(stage).or_default().push((what, number.map(f64::to_bits)));
        }
        let weights: Vec<_> = starts(&recorder)
            .into_iter()
            .map(|(key, weights)| (key, weights[0].iter().map(|x| x.to_bits()).collect::<Vec<_>>()))
            .collect();
        runs.push((by_stage, weights));
    }
    assert_eq!(runs[0].0, runs[1].0, "the order of work, or a loss, differs");
    assert!(runs[0].1 == runs[1].1, "weights differ");
}
