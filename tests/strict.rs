//! Practice at its strictest: the same swarm and the same miners as in `epoch.rs`, but the
//! orchestrator has a queue, asks for challenges, counts calls, checks spots and benches newcomers.
//! Whoever passes here has reason to hope for a live network.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/world.rs"]
mod world;

use std::collections::BTreeMap;

use hearth::swarm::Rules;
use hearth::telemetry::Event;

use world::{Plan, start_with, warnings};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn six_miners_train_two_epochs_under_the_strictest_rules() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan { stages: 3, miners_per_stage: 2, epochs: 2, in_flight: 4, seed: 1 };
    let (plan, _again) = plan.seeded();
    let world = start_with(&plan, folder.path(), Rules::strict()).await;
    let (recorder, events) = world.finish(plan.epochs).await;

    let mut starts: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for ((_, stage, epoch), weights) in recorder.weights() {
        starts.entry((stage, epoch)).or_default().push(weights);
    }
    assert_eq!(starts.len(), 9, "3 stages began epochs 1, 2 and 3");
    for ((stage, epoch), weights) in starts {
        assert_eq!(weights.len(), 2, "miners of stage {stage} that loaded epoch {epoch}");
        assert!(weights[0] == weights[1], "stage {stage}, epoch {epoch}");
    }
    let merged: usize = events
        .iter()
        .map(|event| if let Event::Merge { partitions, .. } = event { *partitions } else { 0 })
        .sum();
    assert_eq!(merged, 3 * 2 * 4);
    let warnings = warnings(&events);
    assert!(warnings.is_empty(), "{warnings:?}");
}
