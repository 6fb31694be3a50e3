//! The inner optimizer's scalars (spec 8.8), computed on the host in f64. The element-wise part is
//! [`Op::Adam`](crate::compute::Op::Adam).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::compute::Element;

/// Which optimizer the run asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OptimizerKind {
    /// NAdam with decoupled weight decay and a stage-dependent beta1. The default.
    NAdam,
    /// AdamW, when the run's flag `use_AdamW` is on.
    AdamW,
}

/// How a stage keeps the optimizer's moments. The choice of this machine alone: on the wire they are in
/// bf16 in any case.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum MomentPrecision {
    /// Four bytes each.
    #[default]
    F32,
    /// Two bytes each, rounded to nearest after every step.
    Bf16,
}

impl MomentPrecision {
    /// What a moment is kept as.
    pub fn element(self) -> Element {
        match self {
            Self::F32 => Element::Real,
            Self::Bf16 => Element::Bf16,
        }
    }

    /// Whether it is the one that is meant where nothing is said.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for MomentPrecision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        })
    }
}

/// Decay of weights per unit of learning rate.
pub const WEIGHT_DECAY: f64 = 0.1;
/// Decay of the second moment.
pub const BETA2: f64 = 0.95;
/// Added to the root of the second moment.
pub const EPSILON: f64 = 1e-8;
/// How fast NAdam's momentum warms up.
pub const MOMENTUM_DECAY: f64 = 1.0;

/// NAdam's beta1 of stage `stage` of `stages`: 0.9 for the last, up to 0.99 for the first of many.
#[allow(clippy::cast_precision_loss)]
pub fn nadam_beta1(stage: usize, stages: usize) -> f64 {
    let after = stages.saturating_sub(stage + 1) as f64;
    0.9 + after / stages.max(1) as f64 * 0.09
}

/// max_norm = grad_clip_norm * sqrt(parameters of the stage / parameters of the whole model).
#[allow(clippy::cast_precision_loss)]
pub fn clip_norm(grad_clip_norm: f64, stage_params: usize, total_global_params: u64) -> f64 {
    grad_clip_norm * (stage_params as f64 / total_global_params.max(1) as f64).sqrt()
}

/// Where an optimizer is in time: everything about it that is not a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Optimizer {
    /// Which.
    pub kind: OptimizerKind,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Steps done, the zero-gradient one included.
    pub step: u64,
    /// NAdam: the product of mu over all steps done.
    pub mu_product: f64,
}

impl Optimizer {
    /// Before any step.
    pub fn fresh(kind: OptimizerKind, beta1: f64) -> Self {
        Self { kind, beta1, step: 0, mu_product: 1.0 }
    }

    /// As a stage starts: the zero-gradient step of spec 8.8 counts, but moves no weight (in the
    /// reference it disappears in bf16 rounding), so that t is 1 and P contains mu_1.
    pub fn started(kind: OptimizerKind, stage: usize, stages: usize) -> Self {
        let beta1 = match kind {
            OptimizerKind::NAdam => nadam_beta1(stage, stages),
            OptimizerKind::AdamW => 0.9,
        };
        let mut optimizer = Self::fresh(kind, beta1);
        optimizer.advance(0.0);
        optimizer
    }

    /// Takes one step in time and returns what `Op::Adam` needs for it:
    /// \[decay, beta1, beta2, bias2, eps, step_g, step_m\].
    pub fn advance(&mut self, lr: f64) -> [f64; 7] {
        self.step += 1;
        #[allow(clippy::cast_precision_loss)]
        let t = self.step as f64;
        let (step_g, step_m) = match self.kind {
            OptimizerKind::NAdam => {
                let (mu, next) = (self.mu(t), self.mu(t + 1.0));
                self.mu_product *= mu;
                let product = self.mu_product;
                (lr * (1.0 - mu) / (1.0 - product), lr * next / (1.0 - product * next))
            }
            OptimizerKind::AdamW => (0.0, lr / (1.0 - self.beta1.powf(t))),
        };
        let decay = 1.0 - lr * WEIGHT_DECAY;
        [decay, self.beta1, BETA2, 1.0 - BETA2.powf(t), EPSILON, step_g, step_m]
    }

    /// mu_t = beta1 (1 - 0.5 * 0.96^(t * momentum_decay)).
    fn mu(&self, t: f64) -> f64 {
        self.beta1 * (1.0 - 0.5 * 0.96_f64.powf(t * MOMENTUM_DECAY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_started_optimizer_has_done_one_step_that_counts() {
        let started = Optimizer::started(OptimizerKind::NAdam, 0, 3);
        assert_eq!(started.step, 1);
        assert!((started.beta1 - 0.96).abs() < 1e-12);
        assert!((started.mu_product - 0.96 * (1.0 - 0.5 * 0.96)).abs() < 1e-12);
    }

    #[test]
    fn a_learning_rate_of_zero_moves_nothing() {
        for kind in [OptimizerKind::NAdam, OptimizerKind::AdamW] {
            let mut optimizer = Optimizer::started(kind, 1, 3);
            let [decay, .., step_g, step_m] = optimizer.advance(0.0);
            assert_eq!([decay, step_g, step_m], [1.0, 0.0, 0.0]);
        }
    }

    #[test]
    fn the_clip_limit_is_the_stage_share_of_the_model() {
        assert!((clip_norm(1.0, 1000, 4000) - 0.5).abs() < 1e-12);
    }
}
