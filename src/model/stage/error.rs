//! What a stage answers, and why it may not.

use crate::compute::DeviceFault;

use super::super::parameters::StageKind;

/// What a backward found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackwardReport {
    /// Mean cross-entropy over the batch's next tokens (nats), from the last stage only.
    pub loss: Option<f64>,
}

/// What an optimizer step did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepReport {
    /// L2 norm of the summed gradients before clipping.
    pub grad_norm: f64,
    /// Factor that clipping put on them.
    pub clip: f64,
    /// The optimizer's step count, the zero-gradient one included.
    pub step: u64,
}

/// Why a stage did not do what it was asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StageError {
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceFault),
    /// A number of elements does not fit the stage.
    #[error(
        "{what}: {have} where the stage takes {want}; the sender has another model or batch size"
    )]
    WrongSize {
        /// What was given.
        what: &'static str,
        /// Its size.
        have: usize,
        /// The right size.
        want: usize,
    },
    /// Tokens for a stage that takes activations, or the other way round.
    #[error("stage {stage} ({kind:?}) was given another stage's kind of input or gradient")]
    WrongKind {
        /// What the stage is.
        kind: StageKind,
        /// Which it is.
        stage: usize,
    },
    /// A token that the model has no row for.
    #[error(
        "token {token} is outside the vocabulary of {vocab}; the sample was made with another tokenizer"
    )]
    Token {
        /// The token.
        token: u32,
        /// Tokens of the vocabulary.
        vocab: usize,
    },
    /// A number is infinite or not a number.
    #[error("{what} is not finite; the work it belongs to has to be dropped")]
    NotFinite {
        /// Which.
        what: &'static str,
    },
    /// The stage was not planned for this.
    #[error("this stage has not {what}")]
    NotHere {
        /// What it lacks.
        what: &'static str,
    },
    /// An optimizer state that cannot be this stage's.
    #[error("the optimizer state cannot be used: {why}; the stage goes on with its own")]
    OptimizerState {
        /// What is wrong.
        why: String,
    },
}
