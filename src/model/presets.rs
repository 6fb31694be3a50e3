//! The practice swarm's models, in one table.

use super::config::{LlamaConfig, RopeScaling};
use super::optimizer::{MomentPrecision, OptimizerKind};
use super::parameters;
use super::plan::StageSpec;
use crate::protocol::splits::{Split, SplitError, balanced_splits};

/// A model of the practice swarm and how it is trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preset {
    /// Its word on the command line.
    pub name: &'static str,
    /// Tokens of the vocabulary.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub emb_dim: usize,
    /// Width of what crosses from stage to stage.
    pub bottleneck_dim: usize,
    /// Width of the feed-forward part.
    pub hidden_dim: usize,
    /// Blocks.
    pub n_layers: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads.
    pub n_kv_groups: usize,
    /// Tokens of a sequence.
    pub seq: usize,
    /// Sequences of an activation.
    pub batch: usize,
    /// Sequences computed at once.
    pub local_batch: usize,
    /// Learning rate of the inner optimizer.
    pub learning_rate: f64,
    /// Backwards of a miner before an optimizer step.
    pub accumulation: usize,
    /// Backwards of every miner that end an epoch.
    pub backwards_per_epoch: usize,
    /// Limit of the gradient's norm for the whole model.
    pub grad_clip_norm: f64,
}

/// All presets; the first is the default.
pub const PRESETS: [Preset; 2] = [
    Preset {
        name: "demo",
        vocab_size: 4096,
        emb_dim: 128,
        bottleneck_dim: 32,
        hidden_dim: 384,
        n_layers: 6,
        n_heads: 4,
        n_kv_groups: 2,
        seq: 128,
        batch: 1,
        local_batch: 1,
        learning_rate: 1e-3,
        accumulation: 1,
        backwards_per_epoch: 160,
        grad_clip_norm: 1.0,
    },
    Preset {
        name: "nano",
        vocab_size: 4096,
        emb_dim: 32,
        bottleneck_dim: 8,
        hidden_dim: 64,
        n_layers: 4,
        n_heads: 2,
        n_kv_groups: 1,
        seq: 32,
        batch: 2,
        local_batch: 2,
        learning_rate: 2e-3,
        accumulation: 1,
        backwards_per_epoch: 8,
        grad_clip_norm: 1.0,
    },
];

/// Parameters of the live network's 1B model, as its runs say (spec 8.1).
pub const LIVE_1B_PARAMS: u64 = 1_500_055_552;

/// The live network's 1B model (spec 8.1): what a machine is measured and planned against before any
/// run tells its own.
pub fn live_1b() -> LlamaConfig {
    LlamaConfig {
        vocab_size: 128_256,
        context_length: 8192,
        orig_context_length: 131_072,
        emb_dim: 2048,
        bottleneck_dim: Some(32),
        n_heads: 32,
        n_kv_groups: 8,
        n_layers: 16,
        hidden_dim: 8192,
        rope_base: 500_000.0,
        rope_scaling: Some(RopeScaling {
            factor: 32.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_context_length: 8192,
        }),
    }
}

impl Preset {
    /// The preset with this name.
    pub fn named(name: &str) -> Option<&'static Preset> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// Its model.
    pub fn config(&self) -> LlamaConfig {
        LlamaConfig {
            vocab_size: self.vocab_size,
            context_length: self.seq,
            orig_context_length: self.seq,
            emb_dim: self.emb_dim,
            bottleneck_dim: Some(self.bottleneck_dim),
            n_heads: self.n_heads,
            n_kv_groups: self.n_kv_groups,
            n_layers: self.n_layers,
            hidden_dim: self.hidden_dim,
            rope_base: 10_000.0,
            rope_scaling: None,
        }
    }

    /// Its model cut into so many stages, first to last.
    ///
    /// # Errors
    /// It has fewer blocks than that.
    pub fn stage_specs(&self, stages: usize) -> Result<Vec<StageSpec>, SplitError> {
        let total_global_params = self.total_params();
        let spec = |(stage, split): (usize, Split)| StageSpec {
            config: self.config(),
            split,
            stage,
            stages,
            batch: self.batch,
            local_batch: self.local_batch,
            seq: self.seq,
            optimizer: OptimizerKind::NAdam,
            moments: MomentPrecision::F32,
            grad_clip_norm: self.grad_clip_norm,
            total_global_params,
        };
        Ok(balanced_splits(self.n_layers, stages)?.into_iter().enumerate().map(spec).collect())
    }

    /// Parameters of the undivided model: the run's `total_global_params`.
    pub fn total_params(&self) -> u64 {
        parameters::count(&parameters::parameters(&self.config(), Split::WHOLE)) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_live_models_stages_have_the_parameters_that_the_network_counts() {
        let count = |start, end| {
            parameters::count(&parameters::parameters(&live_1b(), Split { start, end }))
        };
        let stages = [count(None, Some(4)), count(Some(4), Some(12)), count(Some(12), None)];
        assert_eq!(stages, [506_085_376, 486_768_640, 506_021_888]);
    }

    #[test]
    fn every_preset_can_be_planned_in_three_stages() {
        for preset in &PRESETS {
            for spec in preset.stage_specs(3).unwrap() {
                let plan = spec.plan().unwrap();
                assert!(plan.bytes() > 4 * 4 * plan.param_count());
                assert!(plan.to_string().contains("total"));
            }
        }
    }
}
