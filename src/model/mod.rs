//! The Llama stage as a plan of kernels (spec section 8).
//!
//! A [`StageSpec`] is planned into slots and programs ([`StagePlan`]), and a [`Stage`] is a plan on a
//! device. The rest of the program sees activations, gradients and flat vectors in wire order.

pub mod config;
pub mod generate;
pub mod initial;
pub mod optimizer;
pub mod parameters;
pub mod plan;
pub mod presets;
pub mod rope;
pub mod stage;
pub mod targets;
pub mod tokenizer;

#[cfg(test)]
mod tests;

pub use config::{ConfigError, LlamaConfig, RopeScaling};
pub use optimizer::{MomentPrecision, OptimizerKind};
pub use parameters::{Parameter, ParameterKind, StageKind};
pub use plan::{Boundary, PlanError, Purpose, StagePlan, StageSpec};
pub use stage::{
    BackwardReport, MomentKind, OptimizerProgress, Stage, StageError, StageGradient, StageInput,
    StepReport,
};
