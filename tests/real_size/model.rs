//! The models: the live network's 1B (spec 8.1), and one with the same parts that takes a second.

use serde_json::{Value, json};

/// What the orchestrator registers miners for.
#[derive(Clone, Debug)]
pub struct Model {
    pub name: &'static str,
    pub vocabulary: usize,
    pub width: usize,
    pub batch: usize,
    pub sequence: usize,
    config: Value,
    splits: Value,
}

impl Model {
    pub fn billion() -> Self {
        Self {
            name: "1B",
            vocabulary: 128_256,
            width: 32,
            batch: 4,
            sequence: 800,
            config: json!({
                "model_name": "1B", "total_global_params": 1_500_055_552_u64,
                "vocab_size": 128_256, "context_length": 8192, "orig_context_length": 131_072,
                "emb_dim": 2048, "bottleneck_dim": 32, "n_heads": 32, "n_layers": 16,
                "hidden_dim": 8192, "n_kv_groups": 8, "rope_base": 500_000.0,
                "dtype": "torch.bfloat16",
                "rope_freq": {"factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                              "original_context_length": 8192.0}
            }),
            splits: json!([[-1, 4], [4, 12], [12, -1]]),
        }
    }

    pub fn tiny() -> Self {
        Self {
            name: "tiny",
            vocabulary: 4096,
            width: 16,
            batch: 4,
            sequence: 32,
            config: json!({
                "model_name": "tiny", "total_global_params": 1_000_000,
                "vocab_size": 4096, "context_length": 64, "orig_context_length": 64,
                "emb_dim": 64, "bottleneck_dim": 16, "n_heads": 4, "n_layers": 6,
                "hidden_dim": 128, "n_kv_groups": 2, "rope_base": 10_000.0
            }),
            splits: json!([[-1, 2], [2, 4], [4, -1]]),
        }
    }

    /// Parameters of a stage, as spec 8.1 counts them; none where it does not.
    pub fn known_parameters(&self, stage: usize) -> Option<u64> {
        (self.name == "1B").then(|| [506_085_376, 486_768_640, 506_021_888][stage])
    }

    /// Numbers of an activation.
    pub fn activation(&self) -> [usize; 3] {
        [self.batch, self.sequence, self.width]
    }

    pub fn tokens(&self) -> usize {
        self.batch * self.sequence
    }

    /// The answer to a registration as a miner of `stage`.
    pub fn registration(&self, stage: usize, epoch: u64) -> Value {
        json!({
            "layer": stage, "current_epoch": epoch, "run_id": "real-size", "run_flags": {},
            "num_partitions": 2, "status": null, "model_cfg": self.config,
            "model_metadata": {
                "model_splits": self.splits, "n_splits": 3, "tokenizer_name": "hearth",
                "mini_batch_accumulation_count": 1, "grad_clip_norm": 1.0,
                "dataset": {"sequence_length": self.sequence, "mini_batch_size": self.batch},
                "activation": {"max_activation_cache_size": 16}
            }
        })
    }
}
