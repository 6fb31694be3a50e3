//! A stage that is lost in the middle of its epoch goes on in that epoch: nothing that was under way is
//! lost, nothing counts twice, and what comes of it is what would have come without the loss.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hearth::compute::cpu::CpuDevice;
use hearth::compute::injected::{FaultPlan, FaultyDevice};
use hearth::miner::RuleSource;
use hearth::model::presets::Preset;
use hearth::protocol::StageIndex;
use hearth::swarm::Rules;
use hearth::telemetry::Event;
use hearth::training::record::{Deed, Recorder};

use crate::recovered;
use crate::world::{Plan, nano, start_on};

const PLAN: Plan = Plan { stages: 3, miners_per_stage: 1, epochs: 2, in_flight: 1, seed: 7 };

/// What a run came to: the order of the work of each stage with its losses, and the weights of each
/// epoch's start; all numbers as bits.
#[derive(PartialEq)]
struct Course {
    order: BTreeMap<StageIndex, Vec<(&'static str, Option<u64>)>>,
    weights: Vec<(StageIndex, u64, Vec<u32>)>,
}

fn course(recorder: &Recorder) -> Course {
    let mut order: BTreeMap<StageIndex, Vec<_>> = BTreeMap::new();
    for entry in recorder.entries() {
        let what = match entry.deed {
            Deed::Backward { loss, .. } => ("backward", loss.map(f64::to_bits)),
            Deed::Step { lr } => ("step", Some(lr.to_bits())),
            Deed::Discard { backwards } => ("discard", Some(u64::from(backwards))),
            _ => continue,
        };
        order.entry(entry.stage).or_default().push(what);
    }
    let weights = recorder.weights().into_iter();
    let bits = weights.map(|((_, stage, epoch), weights)| {
        (stage, epoch.0, weights.iter().map(|x| x.to_bits()).collect())
    });
    let mut weights: Vec<_> = bits.collect();
    weights.sort();
    Course { order, weights }
}

fn backwards(recorder: &Recorder) -> usize {
    let done = |deed: &Deed| matches!(deed, Deed::Backward { .. });
    recorder.entries().iter().filter(|entry| done(&entry.deed)).count()
}

/// Until so many backwards are done, by all miners.
async fn until(recorder: &Recorder, count: usize) {
    while backwards(recorder) < count {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Loses the device once so many backwards are done, each time in the middle of a pass. Gives how long
/// it took at most until there were more.
async fn lose_at(losses: [usize; 3], recorder: Recorder, plan: FaultPlan) -> Duration {
    let mut longest = Duration::ZERO;
    for at in losses {
        until(&recorder, at).await;
        let (done, lost) = (backwards(&recorder), Instant::now());
        plan.lose_in_a_pass();
        // One may have been done in between.
        until(&recorder, done + 2).await;
        longest = longest.max(lost.elapsed());
    }
    longest
}

async fn run(losses: Option<[usize; 3]>) -> (Course, Vec<Event>) {
    let folder = tempfile::tempdir().unwrap();
    let plan = FaultPlan::new();
    let device = FaultyDevice::new(Arc::new(CpuDevice::new(None)), plan.clone());
    // Gradients of three backwards are summed up, so that a loss comes in the middle of a sum.
    let preset = Preset { accumulation: 3, backwards_per_epoch: 9, ..nano() };
    let (rules, off) = (Rules::lenient(), |_: &str| RuleSource::Off);
    let world = start_on(&PLAN, folder.path(), rules, off, preset, Arc::new(device)).await;
    let recorder = world.recorder.clone();
    let faults = losses.map(|at| tokio::spawn(lose_at(at, recorder, plan)));
    let (recorder, events) = world.finish(PLAN.epochs).await;
    if let Some(faults) = faults {
        assert!(faults.is_finished(), "the run was over before all faults had come");
        let longest = faults.await.unwrap();
        recovered("device lost in a pass, three stages", longest, Duration::from_secs(8));
    }
    (course(&recorder), events)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_run_that_loses_its_device_again_and_again_ends_with_the_same_bits() {
    let (quiet, _) = run(None).await;
    let (lossy, events) = run(Some([4, 17, 40])).await;
    let found = |code: &str| {
        let is = |event: &&Event| matches!(event, Event::Finding { code: it, .. } if it == code);
        events.iter().filter(is).count()
    };
    // Opened again by one of the three miners each time.
    assert_eq!(found("device-lost"), 3, "{events:#?}");
    assert_eq!((found("work-lost"), found("epoch-resumed")), (0, 0), "{events:#?}");
    assert!(quiet.order == lossy.order, "the order of work, a loss or a step differs");
    assert!(quiet.weights == lossy.weights, "weights differ");
}
