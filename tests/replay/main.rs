//! The network changes nothing: a swarm run with two miners per stage is recorded, and an undivided
//! model (its own code, in f64) does the recorded work again, rounding to bfloat16 where the wire
//! does. Losses agree to 1e-4, the weights after each merge to 1e-3; and a gradient dropped, one
//! added twice or a partition skipped is noticed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod again;
mod tape;
mod whole;
#[path = "../support/world.rs"]
mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use again::{Distance, Fault, Setting, replay};
use hearth::compute::cpu::CpuDevice;
use hearth::miner::RuleSource;
use hearth::model::presets::Preset;
use hearth::protocol::Hotkey;
use hearth::protocol::splits::balanced_splits;
use hearth::swarm::Rules;
use hearth::training::record::{Deed, Entry};
use whole::Sizes;
use world::{Plan, start_on};

fn setting(preset: &Preset, plan: &Plan) -> Setting {
    let splits = balanced_splits(preset.n_layers, plan.stages).unwrap();
    let cuts = splits
        .iter()
        .map(|split| (split.start.unwrap_or(0), split.end.unwrap_or(preset.n_layers)))
        .collect();
    #[allow(clippy::cast_precision_loss)]
    let total = preset.total_params() as f64;
    Setting {
        sizes: Sizes {
            vocab: preset.vocab_size,
            emb: preset.emb_dim,
            bottleneck: preset.bottleneck_dim,
            hidden: preset.hidden_dim,
            layers: preset.n_layers,
            heads: preset.n_heads,
            kv_heads: preset.n_kv_groups,
            seq: preset.seq,
            rope_base: 10_000.0,
        },
        cuts,
        partitions: (plan.stages * plan.miners_per_stage / plan.stages * 2).max(1),
        clip: preset.grad_clip_norm / total.sqrt(),
    }
}

/// Backwards, by their place in the record, whose gradients a step added to others: a gradient
/// that was discarded at an epoch's end changes nothing.
fn shared_by_a_step(entries: &[Entry]) -> Vec<usize> {
    let (mut waiting, mut shared) = (BTreeMap::<&Hotkey, Vec<usize>>::new(), Vec::new());
    let mut backwards = 0..;
    for entry in entries {
        let own = waiting.entry(&entry.miner).or_default();
        match entry.deed {
            Deed::Backward { .. } => own.extend(backwards.next()),
            Deed::Step { .. } if own.len() > 1 => shared.append(own),
            Deed::Step { .. } | Deed::Discard { .. } => own.clear(),
            _ => {}
        }
    }
    shared
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_undivided_model_does_the_recorded_work_again() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan { stages: 3, miners_per_stage: 2, epochs: 2, in_flight: 4, seed: 3 };
    let (plan, _again) = plan.seeded();
    // Two backwards to a step: clipping forgets how long a gradient was that is clipped alone.
    // Small steps: what f32 rounds away stays well below what any fault makes.
    let nano = *Preset::named("nano").unwrap();
    let preset = Preset { learning_rate: 1e-3, accumulation: 2, ..nano };
    let off = |_: &str| RuleSource::Off;
    let device = Arc::new(CpuDevice::new(None));
    let world = start_on(&plan, folder.path(), Rules::lenient(), off, preset, device).await;
    let (recorder, _) = world.finish(plan.epochs).await;
    let setting = setting(&preset, &plan);
    let (entries, weights) = (recorder.entries(), recorder.weights());
    let count = |wanted: fn(&Deed) -> bool| entries.iter().filter(|e| wanted(&e.deed)).count();
    let backwards = count(|deed| matches!(deed, Deed::Backward { .. }));
    assert!(backwards >= 6 * 2 * preset.backwards_per_epoch, "{backwards} backwards were recorded");

    let run = |fault| {
        let (setting, entries, weights) = (setting.clone(), entries.clone(), weights.clone());
        tokio::task::spawn_blocking(move || replay(&setting, &entries, &weights, fault))
    };
    let shared = shared_by_a_step(&entries);
    let one = shared[shared.len() / 3];
    let (faithful, dropped) = (run(Fault::None), run(Fault::DropGradient(one)));
    let skipped = run(Fault::SkipPartition(5));

    let faithful = faithful.await.unwrap();
    println!("faithful: {faithful:?}");
    assert!(faithful.losses >= 2 * 2 * preset.backwards_per_epoch && faithful.loads >= 12);
    assert!(faithful.is_nothing(), "the network changed something: {faithful:?}");
    // Where a step's two gradients point the same way, the second time adds little that clipping
    // leaves: another one does.
    let mut doubled = Distance::default();
    for &one in &shared[shared.len() / 3..shared.len() / 2] {
        doubled = run(Fault::DoubleGradient(one)).await.unwrap();
        if !doubled.is_nothing() {
            break;
        }
    }
    for (what, distance) in [
        ("dropping a gradient", dropped.await.unwrap()),
        ("adding a gradient twice", doubled),
        ("skipping a partition", skipped.await.unwrap()),
    ] {
        println!("{what}: {distance:?}");
        assert!(!distance.is_nothing(), "{what} was not noticed: {distance:?}");
    }
}
