//! The stage as a whole, on the oracle and on the processor's f32 backend.

mod gradients;
mod moments;
mod plan;
mod state;
mod writing;

use crate::clock::Entropy;
use crate::compute::Device;
use crate::compute::cpu::CpuDevice;
use crate::protocol::splits::Split;

use super::config::tests::tiny;
use super::{LlamaConfig, MomentPrecision, OptimizerKind, Stage, StageSpec};

/// A stage of the tiny model: two sequences of five tokens, one after the other.
fn spec(config: LlamaConfig, (stage, stages): (usize, usize), split: Split) -> StageSpec {
    StageSpec {
        config,
        split,
        stage,
        stages,
        batch: 2,
        local_batch: 1,
        seq: 5,
        optimizer: OptimizerKind::NAdam,
        moments: MomentPrecision::F32,
        grad_clip_norm: 1.0,
        total_global_params: 3432,
    }
}

fn split(start: Option<usize>, end: Option<usize>) -> Split {
    Split { start, end }
}

/// Every kind of stage, with names.
fn all_kinds() -> Vec<(&'static str, StageSpec)> {
    let wide = LlamaConfig { bottleneck_dim: None, ..tiny() };
    let grouped = LlamaConfig { emb_dim: 12, n_heads: 6, n_kv_groups: 3, ..tiny() };
    vec![
        ("head", spec(tiny(), (0, 3), split(None, Some(2)))),
        ("head of one block", spec(tiny(), (0, 3), split(None, Some(1)))),
        ("body", spec(tiny(), (1, 3), split(Some(2), Some(4)))),
        ("body of one block", spec(tiny(), (1, 3), split(Some(2), Some(3)))),
        ("body of three blocks", spec(grouped.clone(), (1, 3), split(Some(2), Some(5)))),
        ("tail", spec(tiny(), (2, 3), split(Some(4), None))),
        ("tail of one block", spec(grouped, (2, 3), split(Some(5), None))),
        ("whole", spec(LlamaConfig { n_layers: 2, ..tiny() }, (0, 1), Split::WHOLE)),
        ("head without bottleneck", spec(wide.clone(), (0, 3), split(None, Some(2)))),
        ("body without bottleneck", spec(wide.clone(), (1, 3), split(Some(2), Some(4)))),
        ("tail without bottleneck", spec(wide, (2, 3), split(Some(4), None))),
    ]
}

fn devices() -> Vec<Box<dyn Device>> {
    vec![Box::new(CpuDevice::oracle()), Box::new(CpuDevice::new(Some(2)))]
}

/// Numbers large enough that every part of a block matters.
fn numbers(count: usize, size: f64, name: &str) -> Vec<f64> {
    let mut entropy = Entropy::seeded(11, name);
    (0..count).map(|_| size * entropy.normal()).collect()
}

fn tokens(spec: &StageSpec, name: &str) -> Vec<u32> {
    let mut entropy = Entropy::seeded(12, name);
    let vocab = spec.config.vocab_size;
    (0..spec.batch * spec.seq).map(|_| u32::try_from(entropy.below(vocab)).unwrap()).collect()
}

/// Random weights, norms around one.
fn weights(stage: &Stage) -> Vec<f64> {
    let mut all = numbers(stage.param_count(), 0.4, "weights");
    let mut start = 0;
    for parameter in stage.plan().parameters() {
        if parameter.name.contains("norm") {
            all[start..start + parameter.count()].iter_mut().for_each(|x| *x += 1.0);
        }
        start += parameter.count();
    }
    all
}

fn assert_near(have: &[f64], want: &[f64], tolerance: f64, what: &str) {
    assert_eq!(have.len(), want.len(), "{what}");
    let gap: f64 = have.iter().zip(want).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt();
    let size: f64 = want.iter().map(|x| x * x).sum::<f64>().sqrt();
    assert!(gap <= tolerance * size.max(1e-12), "{what}: off by {gap} of {size}");
}
