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

use again::{Fault, Setting, replay};
use hearth::model::presets::Preset;
use hearth::protocol::splits::balanced_splits;
use hearth::training::record::Deed;
use whole::Sizes;
use world::{Plan, start};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_undivided_model_does_the_recorded_work_again() {
    let folder = tempfile::tempdir().unwrap();
    let plan = Plan { stages: 3, miners_per_stage: 2, epochs: 2, in_flight: 4, seed: 3 };
    let (plan, _again) = plan.seeded();
    let (recorder, _) = start(&plan, folder.path()).await.finish(plan.epochs).await;
    let preset = *Preset::named("nano").unwrap();
    let setting = setting(&preset, &plan);
    let (entries, weights) = (recorder.entries(), recorder.weights());
    let count = |wanted: fn(&Deed) -> bool| entries.iter().filter(|e| wanted(&e.deed)).count();
    let backwards = count(|deed| matches!(deed, Deed::Backward { .. }));
    assert!(backwards >= 6 * 2 * preset.backwards_per_epoch, "{backwards} backwards were recorded");

    let run = |fault| {
        let (setting, entries, weights) = (setting.clone(), entries.clone(), weights.clone());
        tokio::task::spawn_blocking(move || replay(&setting, &entries, &weights, fault))
    };
    let (faithful, dropped) = (run(Fault::None), run(Fault::DropGradient(backwards / 3)));
    let skipped = run(Fault::SkipPartition(5));

    let faithful = faithful.await.unwrap();
    println!("faithful: {faithful:?}");
    assert!(faithful.losses >= 2 * 2 * preset.backwards_per_epoch && faithful.loads >= 12);
    assert!(faithful.is_nothing(), "the network changed something: {faithful:?}");
    // Clipping forgets how long a gradient was that is clipped alone: one of the next few is not.
    let mut doubled = run(Fault::DoubleGradient(backwards / 3)).await.unwrap();
    for later in 1..12 {
        if !doubled.is_nothing() {
            break;
        }
        doubled = run(Fault::DoubleGradient(backwards / 3 + later)).await.unwrap();
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
