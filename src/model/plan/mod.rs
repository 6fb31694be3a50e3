//! The plan of a stage: its slots and programs, known to the byte before anything is built.
//!
//! `forward` and `backward` work on one slice of `local_batch` sequences. `backward` runs the forward
//! again from the stage's input with the current weights (spec 8.8), so nothing but that input has to
//! be kept while an activation is away.

mod block;
mod graph;
mod programs;
mod weights;

use std::fmt;

use crate::compute::{Layout, Op, Program, Role, SlotId};
use crate::protocol::splits::Split;

use super::config::{ConfigError, LlamaConfig};
use super::optimizer::{MomentPrecision, OptimizerKind, clip_norm};
use super::parameters::{self, Parameter, StageKind};

pub(super) use weights::{Segment, Weights};

/// Logits of one chunk of rows take at most this many elements (64 MiB).
const LOGITS: usize = 1 << 24;

/// What a stage is, from which its plan follows.
#[derive(Clone, Debug, PartialEq)]
pub struct StageSpec {
    /// The whole model.
    pub config: LlamaConfig,
    /// The stage's blocks.
    pub split: Split,
    /// Which stage it is, from 0.
    pub stage: usize,
    /// Stages of the model.
    pub stages: usize,
    /// Sequences of an activation.
    pub batch: usize,
    /// Sequences computed at once; divides `batch`.
    pub local_batch: usize,
    /// Tokens of a sequence.
    pub seq: usize,
    /// The run's optimizer.
    pub optimizer: OptimizerKind,
    /// How this machine keeps the optimizer's moments.
    pub moments: MomentPrecision,
    /// The run's clipping limit for the whole model.
    pub grad_clip_norm: f64,
    /// The run's word on the size of the whole model; used only for clipping (spec 8.1).
    pub total_global_params: u64,
}

/// What a stage is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Forward, backward, optimizer step.
    Training,
    /// Forward, loss and logits; no memory for gradients and moments.
    Inference,
}

/// How numbers cross the stage's boundary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Boundary {
    /// Rounded to bfloat16, as on the wire.
    Wire,
    /// As they are: for checks against a reference.
    Exact,
}

/// Why a stage cannot be planned.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// The model is impossible.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A size of the stage is impossible.
    #[error("a stage with {what} = {value} cannot be planned: it must be {must}")]
    Size {
        /// Which size.
        what: &'static str,
        /// Its value.
        value: String,
        /// What would be right.
        must: String,
    },
    /// A program names a parameter that the stage does not have.
    #[error(
        "the plan needs the parameter {name}, which this stage has not (this is a bug in Hearth: please report it)"
    )]
    Missing {
        /// The parameter.
        name: String,
    },
}

/// Positions of a plan's programs. One that is absent does not apply to the stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ProgramTable {
    pub(super) forward: Option<usize>,
    pub(super) backward: Option<usize>,
    pub(super) zero: Option<usize>,
    pub(super) reset: Option<usize>,
    pub(super) clip: Option<usize>,
    pub(super) step: Option<usize>,
    pub(super) features: Option<usize>,
    pub(super) logits: Option<usize>,
    pub(super) evaluate: Option<usize>,
}

/// Slots that the host writes and reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct HostSlots {
    /// Tokens, or the activation from the stage before.
    pub(super) input: SlotId,
    /// The gradient from the stage after, or the targets.
    pub(super) gradient: Option<SlotId>,
    /// The activation for the stage after; in `backward` the gradient for the stage before.
    pub(super) outgoing: Option<SlotId>,
    /// seq x head_dim.
    pub(super) rope: SlotId,
    /// One element.
    pub(super) loss: Option<SlotId>,
    /// Norm and factor.
    pub(super) clip: Option<SlotId>,
    /// For `Op::Adam`.
    pub(super) scalars: Option<SlotId>,
    /// Final-norm output, one row of it, and its logits.
    pub(super) sampling: Option<(SlotId, SlotId, SlotId)>,
}

/// Slots, programs and parameters of a stage.
#[derive(Clone, Debug)]
pub struct StagePlan {
    pub(super) spec: StageSpec,
    pub(super) kind: StageKind,
    pub(super) purpose: Purpose,

    pub(super) layout: Layout,
    pub(super) programs: Vec<Program>,
    pub(super) table: ProgramTable,
    pub(super) host: HostSlots,
    pub(super) weights: Weights,
}

impl StageSpec {
    /// The plan for training over the wire.
    ///
    /// # Errors
    /// [`PlanError`] if a size is impossible.
    pub fn plan(&self) -> Result<StagePlan, PlanError> {
        self.plan_for(Purpose::Training, Boundary::Wire)
    }

    /// The plan for forwards, losses and logits only.
    ///
    /// # Errors
    /// [`PlanError`] if a size is impossible.
    pub fn plan_inference(&self) -> Result<StagePlan, PlanError> {
        self.plan_for(Purpose::Inference, Boundary::Wire)
    }

    /// The plan for a purpose and a kind of boundary.
    ///
    /// # Errors
    /// [`PlanError`] if a size is impossible.
    pub fn plan_for(&self, purpose: Purpose, boundary: Boundary) -> Result<StagePlan, PlanError> {
        self.check()?;
        programs::write(self, purpose, boundary)
    }

    /// Which part of the model the stage is.
    pub fn kind(&self) -> StageKind {
        StageKind::of(self.split)
    }

    /// The stage's parameters in wire order.
    pub fn parameters(&self) -> Vec<Parameter> {
        parameters::parameters(&self.config, self.split)
    }

    /// The stage's own clipping limit (spec 8.8).
    pub fn clip_norm(&self) -> f64 {
        let count = parameters::count(&self.parameters());
        clip_norm(self.grad_clip_norm, count, self.total_global_params)
    }

    fn check(&self) -> Result<(), PlanError> {
        let refuse = |what, value: String, must: String| Err(PlanError::Size { what, value, must });
        self.config.clone().checked()?;
        let layers = self.config.n_layers;
        let blocks = (self.split.start.unwrap_or(0), self.split.end.unwrap_or(layers));
        if blocks.0 >= blocks.1 || blocks.1 > layers {
            let must = format!("a part of the model's {layers} blocks");
            return refuse("blocks", format!("{}..{}", blocks.0, blocks.1), must);
        }
        if self.stage >= self.stages {
            let must = format!("below {}", self.stages);
            return refuse("stage", self.stage.to_string(), must);
        }
        let (first, last) = (self.stage == 0, self.stage + 1 == self.stages);
        let kind = self.kind();
        if kind.has_embedding() != first || kind.has_output_head() != last {
            let must = format!("in line with stage {} of {}", self.stage, self.stages);
            return refuse("kind", format!("{kind:?}"), must);
        }
        if self.local_batch == 0 || !self.batch.is_multiple_of(self.local_batch) || self.batch == 0
        {
            let must = format!("a divisor of the batch ({})", self.batch);
            return refuse("local_batch", self.local_batch.to_string(), must);
        }
        let context = self.config.context_length;
        if self.seq < 2 || self.seq > context {
            let must = format!("between 2 and the context length ({context})");
            return refuse("seq", self.seq.to_string(), must);
        }
        if !(self.grad_clip_norm.is_finite() && self.grad_clip_norm > 0.0) {
            return refuse("grad_clip_norm", self.grad_clip_norm.to_string(), "positive".into());
        }
        if self.total_global_params == 0 {
            return refuse("total_global_params", "0".into(), "at least 1".into());
        }
        Ok(())
    }

    /// Rows of a slice: sequences computed at once times positions.
    pub(super) fn rows(&self) -> usize {
        self.local_batch * self.seq
    }

    /// Slices of an activation.
    pub(super) fn slices(&self) -> usize {
        self.batch / self.local_batch
    }
}

impl StagePlan {
    /// What was planned.
    pub fn spec(&self) -> &StageSpec {
        &self.spec
    }

    /// Which part of the model the stage is.
    pub fn kind(&self) -> StageKind {
        self.kind
    }

    /// The slots.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The programs.
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// The stage's parameters in wire order.
    pub fn parameters(&self) -> &[Parameter] {
        self.weights.parameters()
    }

    /// Length of the stage's flat vector.
    pub fn param_count(&self) -> usize {
        parameters::count(self.parameters())
    }

    /// Exact bytes on a device.
    pub fn bytes(&self) -> usize {
        self.layout.bytes()
    }

    /// Exact bytes on a device of one role.
    pub fn bytes_of(&self, role: Role) -> usize {
        self.layout.bytes_of(role)
    }

    /// Multiplications and additions of the matrix products of one activation's pass through the
    /// program with this name (all slices); 0 if there is none.
    pub fn product_flops(&self, program: &str) -> u64 {
        let found = self.programs.iter().find(|p| p.name == program);
        let per_slice: u64 = found.map_or(0, |p| p.ops.iter().map(flops).sum());
        per_slice * self.spec.slices() as u64
    }
}

fn flops(op: &Op) -> u64 {
    match op {
        Op::Gemm { form, a, c, .. } => {
            let depth = match form {
                crate::compute::Form::TN => a.rows,
                _ => a.cols,
            };
            2 * (c.rows * c.cols) as u64 * depth as u64
        }
        _ => 0,
    }
}

impl fmt::Display for StagePlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = &self.spec;
        let (stage, last) = (spec.stage, spec.stages.saturating_sub(1));
        writeln!(
            f,
            "stage {stage} of 0..{last} ({:?}), {} parameters",
            self.kind,
            self.param_count()
        )?;
        writeln!(f, "{:<12} {:>6} {:>16}", "memory", "slots", "bytes")?;
        for role in [
            Role::Parameter,
            Role::Gradient,
            Role::Moment,
            Role::Activation,
            Role::Scratch,
            Role::Wire,
            Role::Constant,
        ] {
            let slots = self.layout.slots().iter().filter(|s| s.role == role).count();
            let name = format!("{role:?}").to_lowercase();
            writeln!(f, "{name:<12} {slots:>6} {:>16}", self.bytes_of(role))?;
        }
        let slots = self.layout.slots().len();
        writeln!(f, "{:<12} {slots:>6} {:>16}", "total", self.bytes())?;
        writeln!(f, "{:<12} {:>6} {:>16}", "program", "ops", "product flops")?;
        for program in &self.programs {
            let work: u64 = program.ops.iter().map(flops).sum();
            writeln!(f, "{:<12} {:>6} {work:>16}", program.name, program.ops.len())?;
        }
        Ok(())
    }
}
