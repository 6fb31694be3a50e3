//! What the server says about a run: heartbeats, configuration, model (spec 2.4), and what miners
//! tell each other about themselves (spec 6.4).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::flags::RunFlags;
use super::open_enum::open_enum;
use super::registration::null_as_default;
use crate::protocol::ids::{Epoch, RunId, StageIndex};
use crate::protocol::phase::Phase;
use crate::protocol::splits::Split;

open_enum! {
    /// What a miner is doing: assigned by the orchestrator, or broadcast to peers (spec 1.4).
    MinerStatus {
        /// Broadcast: takes activations.
        Training = "training",
        /// Assigned: working on a forward.
        Forward = "forward",
        /// Assigned: working on a backward.
        Backward = "backward",
        /// Assigned: nothing to do.
        Idle = "idle",
        /// Assigned: uploading its pseudo-gradient.
        UploadingWeights = "uploading_weights",
        /// Assigned: merging its partitions.
        MergingPartitions = "merging_partitions",
        /// Waits for the next epoch.
        Initializing = "initializing",
        /// Benched by the network.
        Frozen = "frozen",
    }
}

impl MinerStatus {
    /// Whether the server benches the miner: it must tell its peers `initializing`.
    pub fn is_benched(&self) -> bool {
        matches!(self, Self::Initializing | Self::Frozen)
    }
}

/// Answer to `GET /miner/heartbeat`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HeartbeatResponse {
    /// The run.
    pub run_id: RunId,
    /// Our stage.
    pub layer: StageIndex,
    /// The stage's epoch.
    pub epoch: Epoch,
    /// The stage's phase.
    pub phase: Phase,
    /// What the server thinks we do.
    #[serde(default)]
    pub status: Option<MinerStatus>,
}

/// Answer to `GET /miner/get_run_config`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunConfigResponse {
    /// The run.
    pub run_id: RunId,
    /// Its switches.
    #[serde(default, deserialize_with = "null_as_default")]
    pub run_flags: RunFlags,
    /// Splits and hyper-parameters.
    #[serde(default)]
    pub model_metadata: Option<ModelMetadata>,
}

/// Answer to `GET /common/get_run_epoch`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEpochResponse {
    /// The run.
    pub run_id: RunId,
    /// The largest epoch of any stage.
    pub epoch: Epoch,
}

open_enum! {
    /// A run's tier; only one is known.
    RunTier {
        /// The lowest.
        Iron = "IRON",
    }
}

/// One entry of `GET /common/get_run_info`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// The run.
    pub run_id: RunId,
    /// Whether new miners land here.
    pub is_default: bool,
    /// Miners in it.
    pub num_miners: u64,
    /// Whether we are on its list.
    pub whitelisted: bool,
    /// Whether it is for pool miners.
    pub is_miner_pool: bool,
    /// Share of its incentive that is burnt.
    pub burn_factor: f64,
    /// Its share of the subnet's incentive.
    pub incentive_perc: f64,
    /// Whether we may join.
    pub authorized: bool,
    /// Its switches.
    #[serde(default, deserialize_with = "null_as_default")]
    pub run_flags: RunFlags,
    /// Most miners it takes.
    pub max_miners: u64,
    /// Listed miners go here first.
    #[serde(default, deserialize_with = "null_as_default")]
    pub whitelist_force_allow: bool,
    /// Its tier.
    #[serde(default, deserialize_with = "null_as_default")]
    pub tier: RunTier,
}

// The macro that makes these enums marks no default.
#[allow(clippy::derivable_impls)]
impl Default for RunTier {
    fn default() -> Self {
        Self::Iron
    }
}

/// The model's shape. Sizes are counts of numbers; everything may be missing on the wire.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelConfig {
    /// Its name.
    pub model_name: Option<String>,
    /// Hand-set parameter count of the whole model; only clipping uses it.
    pub total_global_params: Option<u64>,
    /// Entries of the vocabulary.
    pub vocab_size: Option<usize>,
    /// Longest sequence, in tokens.
    pub context_length: Option<usize>,
    /// Sequence length the RoPE base was made for.
    pub orig_context_length: Option<usize>,
    /// Width of the residual stream.
    pub emb_dim: Option<usize>,
    /// Width between stages; null means `emb_dim`.
    pub bottleneck_dim: Option<usize>,
    /// Not used by the newest miner, nor is its type known.
    pub quantize_activations: Option<Value>,
    /// As above.
    pub quantize_activations_grads: Option<Value>,
    /// As above.
    pub quantize_weights: Option<Value>,
    /// Query heads.
    pub n_heads: Option<usize>,
    /// Blocks.
    pub n_layers: Option<usize>,
    /// Inner width of the feed-forward part.
    pub hidden_dim: Option<usize>,
    /// Key/value heads.
    pub n_kv_groups: Option<usize>,
    /// RoPE theta.
    pub rope_base: Option<f64>,
    /// Element type, e.g. "torch.bfloat16".
    pub dtype: Option<String>,
    /// RoPE frequency scaling, by name.
    pub rope_freq: Option<BTreeMap<String, f64>>,
    /// Seconds.
    pub s3_download_timeout: Option<f64>,
    /// Seconds.
    pub s3_upload_timeout: Option<f64>,
    /// Seconds.
    pub activation_timeout: Option<f64>,
}

/// Splits and hyper-parameters of a run. Everything may be missing on the wire.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ModelMetadata {
    /// Blocks of each stage.
    pub model_splits: Option<Vec<Split>>,
    /// A name for the size.
    pub model_size: Option<String>,
    /// Stages.
    pub n_splits: Option<usize>,
    /// The tokenizer.
    pub tokenizer_name: Option<String>,
    /// Sequences per global step.
    pub effective_batch_size: Option<usize>,
    /// Backwards per local optimizer step.
    pub mini_batch_accumulation_count: Option<usize>,
    /// Clipping norm for the whole model.
    pub grad_clip_norm: Option<f64>,
    /// Planned steps.
    pub total_train_steps: Option<u64>,
    /// Learning-rate schedule; honoured on practice networks only.
    pub lr: Option<LearningRateSettings>,
    /// Optimizer; honoured on practice networks only.
    pub opt: Option<OptimizerSettings>,
    /// Batches.
    pub dataset: Option<DatasetSettings>,
    /// Miners of each stage.
    pub miners_per_layer: Option<Vec<usize>>,
    /// Activation cache.
    pub activation: Option<ActivationSettings>,
}

/// Shape of the learning-rate schedule (spec 8.9).
#[derive(Clone, Copy, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LearningRateSettings {
    /// Fraction of the peak at step 0.
    pub warmup_start_factor: Option<f64>,
    /// Steps of warm-up.
    pub warmup_steps: Option<u64>,
    /// Steps at the peak.
    pub const_steps: Option<u64>,
    /// Fraction of all steps that is the tail.
    pub tail_steps_frac: Option<f64>,
    /// Fraction of the peak at the end.
    pub final_factor: Option<f64>,
    /// Steps per saw tooth.
    pub saw_cycle_length: Option<u64>,
}

/// The inner optimizer.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct OptimizerSettings {
    /// Peak learning rate.
    pub learning_rate: Option<f64>,
    /// Decoupled weight decay.
    pub weight_decay: Option<f64>,
    /// Moment decays.
    pub betas: Option<Vec<f64>>,
    /// Added to the root of the second moment.
    pub eps: Option<f64>,
}

/// How samples are cut.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct DatasetSettings {
    /// The text's name.
    pub dataset_name: Option<String>,
    /// Whether samples are shuffled.
    pub shuffle_dataset: Option<bool>,
    /// Tokens per sequence.
    pub sequence_length: Option<usize>,
    /// Sequences per activation.
    pub mini_batch_size: Option<usize>,
}

/// The activation cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ActivationSettings {
    /// Most activations in the cache.
    pub max_activation_cache_size: Option<usize>,
}

/// What a miner broadcasts about itself every few seconds, and publishes as `runtime_metrics`.
/// All fields may be missing when it comes from a peer; nothing in it is signed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PeerStatus {
    /// Whose status; receivers ignore an empty one.
    pub source_hotkey: String,
    /// Forwards waiting.
    pub forward_queue_size: i64,
    /// Backwards waiting.
    pub backward_queue_size: i64,
    /// Activations in the cache.
    pub cache_size: i64,
    /// Most activations in the cache.
    pub cache_capacity: i64,
    /// Since the miner started.
    pub uptime_seconds: f64,
    /// The phase its stage is in (a phase name; kept as text because peers are not trusted).
    pub layer_phase: String,
    /// `training` when it takes work.
    pub miner_status: MinerStatus,
    /// 0 on the wire; the receiver fills in the arrival time, Unix seconds.
    pub last_status_received: f64,
}

impl Default for PeerStatus {
    fn default() -> Self {
        Self {
            source_hotkey: String::new(),
            forward_queue_size: 0,
            backward_queue_size: 0,
            cache_size: 0,
            cache_capacity: 0,
            uptime_seconds: 0.0,
            layer_phase: Phase::Training.as_str().to_owned(),
            miner_status: MinerStatus::Training,
            last_status_received: 0.0,
        }
    }
}
