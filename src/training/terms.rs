//! What a registration means for this miner: the run, the stage to build, and the hyper-parameters,
//! checked before anything is allocated from them (spec 1.7, 8.1, 8.8).

use super::memory::ladder::Rung;
use crate::model::{ConfigError, LlamaConfig, MomentPrecision, OptimizerKind, StageSpec};
use crate::protocol::messages::{
    Flag, MinerRegistrationResponse, ModelConfig, ModelMetadata, RunFlags,
};
use crate::protocol::splits::Split;
use crate::protocol::{Epoch, RunId, StageIndex};

/// Learning rate of the live network, compiled into every miner there (spec 8.8).
pub const LIVE_LEARNING_RATE: f64 = 2e-4;
/// Sequences computed at once, at most, where the run does not leave it to the miner (spec 11.5).
const LOCAL_BATCH: usize = 8;

/// Where the learning rate comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LearningRateRule {
    /// [`LIVE_LEARNING_RATE`], whatever the run's metadata say: the live network.
    Constant,
    /// The run's metadata: practice swarms.
    FromRun,
}

/// What may change while the miner runs (spec 1.8).
#[derive(Clone, Debug, PartialEq)]
pub struct HyperParameters {
    /// Sequences of an activation (B).
    pub batch: usize,
    /// Tokens of a sequence (S).
    pub sequence: usize,
    /// Backwards per optimizer step.
    pub accumulation: u32,
    /// Most forwards that wait for their gradient.
    pub cache: usize,
    /// Learning rate of the inner optimizer.
    pub learning_rate: f64,
    /// Clipping norm for the whole model.
    pub grad_clip_norm: f64,
}

impl Default for HyperParameters {
    /// What holds when the run does not say.
    fn default() -> Self {
        Self {
            batch: 4,
            sequence: 800,
            accumulation: 4,
            cache: 16,
            learning_rate: LIVE_LEARNING_RATE,
            grad_clip_norm: 1.0,
        }
    }
}

impl HyperParameters {
    /// These, with what the run's metadata say. Zeros count as not said.
    #[must_use]
    pub fn with(mut self, metadata: Option<&ModelMetadata>, rule: LearningRateRule) -> Self {
        let Some(metadata) = metadata else { return self };
        let set = |old: usize, new: Option<usize>| new.filter(|n| *n > 0).unwrap_or(old);
        if let Some(dataset) = &metadata.dataset {
            self.batch = set(self.batch, dataset.mini_batch_size);
            self.sequence = set(self.sequence, dataset.sequence_length);
        }
        let accumulation = metadata.mini_batch_accumulation_count.map(u32::try_from);
        if let Some(Ok(count @ 1..)) = accumulation {
            self.accumulation = count;
        }
        if let Some(activation) = &metadata.activation {
            self.cache = set(self.cache, activation.max_activation_cache_size);
        }
        let positive = |x: &f64| x.is_finite() && *x > 0.0;
        if let Some(norm) = metadata.grad_clip_norm.filter(positive) {
            self.grad_clip_norm = norm;
        }
        let told = metadata.opt.as_ref().and_then(|opt| opt.learning_rate).filter(positive);
        if let (LearningRateRule::FromRun, Some(rate)) = (rule, told) {
            self.learning_rate = rate;
        }
        self
    }
}

/// A registration that cannot be worked with.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TermsError {
    /// Something that a miner cannot do without is missing.
    #[error("the network's registration answer has no {0}; it cannot be joined with this version")]
    Missing(&'static str),
    /// The model is impossible.
    #[error(transparent)]
    Model(#[from] ConfigError),
    /// The stage is not among the run's stages.
    #[error("the network assigned stage {stage}, but the run has {stages}")]
    NoSuchStage {
        /// The stage.
        stage: StageIndex,
        /// How many there are.
        stages: usize,
    },
}

/// Everything a registration says.
#[derive(Clone, Debug, PartialEq)]
pub struct Terms {
    /// The run.
    pub run: RunId,
    /// Our stage.
    pub stage: StageIndex,
    /// Stages of the run.
    pub stages: usize,
    /// Partitions of our stage's weights.
    pub partitions: usize,
    /// The epoch at registration.
    pub epoch: Epoch,
    /// The run's switches.
    pub flags: RunFlags,
    /// Hyper-parameters.
    pub hyper: HyperParameters,
    /// What the run calls its tokenizer.
    pub tokenizer: Option<String>,
    /// What to build.
    pub spec: StageSpec,
}

impl Terms {
    /// Reads a registration answer.
    pub fn read(
        answer: &MinerRegistrationResponse,
        rule: LearningRateRule,
    ) -> Result<Self, TermsError> {
        let stage = answer.layer.ok_or(TermsError::Missing("layer"))?;
        let partitions = answer.num_partitions.ok_or(TermsError::Missing("num_partitions"))?;
        let metadata = answer.model_metadata.as_ref();
        let model = answer.model_cfg.as_ref().ok_or(TermsError::Missing("model_cfg"))?;
        let hyper = HyperParameters::default().with(metadata, rule);
        let splits = metadata.and_then(|m| m.model_splits.clone());
        let splits = splits.ok_or(TermsError::Missing("model_splits"))?;
        let split =
            *splits.get(stage.0).ok_or(TermsError::NoSuchStage { stage, stages: splits.len() })?;
        let config = llama_config(model, hyper.sequence)?;
        let spec = StageSpec {
            config,
            split,
            stage: stage.0,
            stages: splits.len(),
            batch: hyper.batch,
            local_batch: local_batch(hyper.batch),
            seq: hyper.sequence,
            optimizer: optimizer_kind(&answer.run_flags),
            moments: MomentPrecision::F32,
            grad_clip_norm: hyper.grad_clip_norm,
            total_global_params: model
                .total_global_params
                .ok_or(TermsError::Missing("model_cfg.total_global_params"))?,
        };
        Ok(Self {
            run: answer.run_id.clone(),
            stage,
            stages: splits.len(),
            partitions: partitions.max(1),
            epoch: answer.current_epoch.unwrap_or(Epoch(1)),
            flags: answer.run_flags.clone(),
            hyper,
            tokenizer: metadata.and_then(|m| m.tokenizer_name.clone()),
            spec,
        })
    }

    /// Whether this is the first stage.
    pub fn is_first(&self) -> bool {
        Split::is_first(self.spec.split)
    }

    /// Whether this is the last stage.
    pub fn is_last(&self) -> bool {
        Split::is_last(self.spec.split)
    }

    /// Tokens of an activation.
    pub fn tokens(&self) -> usize {
        self.spec.batch * self.spec.seq
    }

    /// Numbers of an activation on the wire: B x S x D.
    pub fn activation_shape(&self) -> [usize; 3] {
        [self.spec.batch, self.spec.seq, self.spec.config.boundary_dim()]
    }

    /// Whether a stage that was built for `other` can be used for these terms. Its rung of the ladder
    /// is this machine's own choice.
    pub fn same_stage(&self, other: &Terms) -> bool {
        let spec = Rung::of(other).applied_to(self).spec;
        self.run == other.run && self.stage == other.stage && spec == other.spec
    }
}

/// The inner optimizer that a run's flags ask for.
pub fn optimizer_kind(flags: &RunFlags) -> OptimizerKind {
    if flags.is_on(Flag::UseAdamW) { OptimizerKind::AdamW } else { OptimizerKind::NAdam }
}

/// The largest number of sequences up to [`LOCAL_BATCH`] that divides `batch`.
fn local_batch(batch: usize) -> usize {
    (1..=batch.min(LOCAL_BATCH)).rev().find(|n| batch.is_multiple_of(*n)).unwrap_or(1)
}

/// The model as the wire describes it. Longer sequences than the context raise the context, and then
/// the rotary base is not rescaled (spec 1.7).
pub fn llama_config(wire: &ModelConfig, sequence: usize) -> Result<LlamaConfig, ConfigError> {
    let mut wire = wire.clone();
    if wire.context_length.is_some_and(|context| sequence > context) {
        wire.context_length = Some(sequence);
        wire.orig_context_length = Some(sequence);
    }
    // A bottleneck as wide as the stream is none (spec 8.5, step 1).
    if wire.bottleneck_dim == wire.emb_dim {
        wire.bottleneck_dim = None;
    }
    LlamaConfig::try_from(&wire)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) fn answer() -> MinerRegistrationResponse {
        serde_json::from_value(json!({
            "layer": 1, "current_epoch": 3, "run_id": "r", "run_flags": {}, "num_partitions": 2,
            "model_cfg": {
                "total_global_params": 100_000, "vocab_size": 64, "context_length": 8,
                "orig_context_length": 16, "emb_dim": 16, "bottleneck_dim": 4, "n_heads": 2,
                "n_layers": 6, "hidden_dim": 24, "n_kv_groups": 1, "rope_base": 10_000.0
            },
            "model_metadata": {
                "model_splits": [[-1, 2], [2, 4], [4, -1]], "n_splits": 3,
                "mini_batch_accumulation_count": 0, "opt": {"learning_rate": 0.002},
                "dataset": {"sequence_length": 8, "mini_batch_size": 6},
                "activation": {"max_activation_cache_size": 5}
            }
        }))
        .unwrap()
    }

    #[test]
    fn a_registration_becomes_a_stage() {
        let terms = Terms::read(&answer(), LearningRateRule::FromRun).unwrap();
        assert_eq!((terms.stage, terms.stages, terms.partitions), (StageIndex(1), 3, 2));
        assert_eq!((terms.hyper.batch, terms.hyper.accumulation, terms.hyper.cache), (6, 4, 5));
        assert_eq!(terms.hyper.learning_rate, 0.002);
        assert_eq!(terms.spec.local_batch, 6);
        assert_eq!(terms.activation_shape(), [6, 8, 4]);
        assert!(!terms.is_first() && !terms.is_last());
    }

    #[test]
    fn the_live_network_keeps_its_compiled_in_rate() {
        let terms = Terms::read(&answer(), LearningRateRule::Constant).unwrap();
        assert_eq!(terms.hyper.learning_rate, LIVE_LEARNING_RATE);
    }

    #[test]
    fn longer_sequences_raise_the_context_without_rescaling() {
        let mut longer = answer();
        let dataset = longer.model_metadata.as_mut().unwrap().dataset.as_mut().unwrap();
        dataset.sequence_length = Some(32);
        let config = Terms::read(&longer, LearningRateRule::Constant).unwrap().spec.config;
        assert_eq!((config.context_length, config.orig_context_length), (32, 32));
    }

    #[test]
    fn what_is_missing_is_named() {
        let without = |change: fn(&mut MinerRegistrationResponse)| {
            let mut answer = answer();
            change(&mut answer);
            Terms::read(&answer, LearningRateRule::Constant).unwrap_err().to_string()
        };
        assert!(without(|a| a.layer = None).contains("layer"));
        assert!(without(|a| a.num_partitions = None).contains("num_partitions"));
        assert!(without(|a| a.model_cfg = None).contains("model_cfg"));
        assert!(without(|a| a.layer = Some(StageIndex(7))).contains("stage 7"));
        assert!(without(|a| a.model_cfg.as_mut().unwrap().emb_dim = None).contains("emb_dim"));
    }

    #[test]
    fn local_batches_divide_the_batch() {
        assert_eq!([1, 4, 6, 7, 16, 12, 11].map(local_batch), [1, 4, 6, 7, 8, 6, 1]);
    }
}
