//! The whole system at its smallest: a practice swarm and six miners in one process train two epochs
//! over real HTTP, S3 and QUIC, and end with the same weights wherever they should.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use hearth::model::presets::Preset;
use hearth::protocol::{Epoch, StageIndex};
use hearth::telemetry::Event;
use hearth::training::record::{Deed, Recorder};

use world::{Plan, start, warnings};

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
    let (plan, _again) = plan.seeded();
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
                merges.contains(&(stage, epoch, 4)),
                "stage {stage}, epoch {epoch}: {merges:?}"
            );
        }
    }
    let goal = Preset::named("nano").unwrap().backwards_per_epoch * 2 * 2;
    let losses = events.iter().filter(|e| matches!(e, Event::Loss { .. })).count();
    assert!(losses >= goal, "{losses} losses");
    let warnings = warnings(&events);
    assert!(warnings.is_empty(), "{warnings:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn with_one_activation_in_flight_two_runs_are_equal_to_the_bit() {
    let plan = Plan { stages: 3, miners_per_stage: 1, epochs: 2, in_flight: 1, seed: 7 };
    let (plan, _again) = plan.seeded();
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
