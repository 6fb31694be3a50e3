//! One stage under training, whatever network it is on: forwards, backwards, steps, with exact
//! counting per epoch, a record of each, and its way back when numbers stop being finite.

mod durable;

pub use durable::Again;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use half::bf16;

use super::journal::Change;
use super::keep::Keeping;
use super::queue::Input;
use super::record::{Deed, Recorder, weights_hash};
use super::terms::Terms;
use super::worker::{PlaceError, Placed, Urgency, Worker, WorkerError};
use crate::compute::{BuildError, Device};
use crate::model::{
    MomentKind, OptimizerProgress, PlanError, Stage, StageError, StageGradient, StageInput,
    StepReport,
};
use crate::protocol::bf16::widen;
use crate::protocol::messages::Flag;
use crate::protocol::{ActivationId, ChunkNumber, Epoch, Hotkey};

/// A miner that joined late keeps its weights for so many epochs (spec 1.14).
const WARM_UP_EPOCHS: u64 = 2;

/// Numbers moved between a stage and anything else at a time (4 MiB of f32), so that the way from
/// one to the other takes no memory to speak of.
pub const PIECE: usize = 1 << 20;

/// `range` in pieces of at most [`PIECE`].
pub fn pieces(range: Range<usize>) -> impl Iterator<Item = Range<usize>> + Send {
    let end = range.end;
    range.step_by(PIECE).map(move |start| start..(start + PIECE).min(end))
}

/// A stage could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// It cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The device cannot take it.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The device failed on the way.
    #[error(transparent)]
    Local(#[from] LocalError),
}

/// A stage did not do what it was asked.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LocalError {
    /// The device's thread.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The stage.
    #[error(transparent)]
    Stage(#[from] StageError),
}

impl LocalError {
    /// Whether only this piece of work is lost: the stage itself is sound.
    pub fn is_about_the_work(&self) -> bool {
        match self {
            Self::Worker(_) | Self::Stage(StageError::Device(_)) => false,
            Self::Stage(_) => true,
        }
    }
}

/// What the output's gradient is.
#[derive(Clone, Debug, PartialEq)]
pub enum Gradient {
    /// From the next stage.
    Activation(Arc<Vec<bf16>>),
    /// At the last stage: the tokens to predict.
    Targets(Vec<u32>),
}

/// What a backward gave.
#[derive(Clone, Debug, PartialEq)]
pub struct BackwardDone {
    /// For the stage before (at stage 0: what is published, spec 8.8); empty for a whole model.
    pub input_gradient: Vec<bf16>,
    /// At the last stage.
    pub loss: Option<f64>,
}

/// How far the epoch is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EpochCount {
    /// Backwards added to the gradients.
    pub backwards: u64,
    /// Of those, since the last step.
    pub accumulated: u32,
    /// Optimizer steps.
    pub steps: u64,
}

/// Reads a stage's numbers beside the work on it. Cheap to clone; as long as one is there, the stage
/// keeps its memory.
#[derive(Clone, Debug)]
pub(super) struct StageAccess(Arc<Placed<Stage>>);

impl StageAccess {
    async fn run<T: Send + 'static>(
        &self,
        urgency: Urgency,
        job: impl FnOnce(&mut Stage) -> Result<T, StageError> + Send + 'static,
    ) -> Result<T, LocalError> {
        Ok(self.0.run(urgency, job).await??)
    }

    /// A copy of some of the current weights.
    pub(super) async fn read_weights(&self, range: Range<usize>) -> Result<Vec<f32>, LocalError> {
        self.run(Urgency::Ordinary, move |stage| {
            let mut out = vec![0.0; range.len()];
            stage.read_weights(range, &mut out)?;
            Ok(out)
        })
        .await
    }

    /// A copy of some of the optimizer's moments.
    pub(super) async fn read_moments(
        &self,
        moment: MomentKind,
        range: Range<usize>,
    ) -> Result<Vec<f32>, LocalError> {
        self.run(Urgency::Ordinary, move |stage| {
            let mut out = vec![0.0; range.len()];
            stage.read_moments(moment, range, &mut out)?;
            Ok(out)
        })
        .await
    }
}

/// A stage on its device. One owner calls it, one call at a time.
#[derive(Debug)]
pub struct LocalStage {
    /// Before the stage itself, so that its writer is gone first.
    keeping: Option<Keeping>,
    access: StageAccess,
    terms: Terms,
    miner: Hotkey,
    recorder: Recorder,
    epoch: Epoch,
    count: EpochCount,
    /// The weights with which the epoch started.
    previous: Option<Arc<Vec<f32>>>,
    /// Which merged partitions the epoch started from.
    merged: Option<String>,
    /// The newest backwards of the epoch.
    done: VecDeque<ActivationId>,
}

impl LocalStage {
    /// Plans and builds the stage, with the first weights of `seed` in it.
    pub async fn build(
        worker: &Worker<Stage>,
        device: Arc<dyn Device>,
        terms: Terms,
        seed: u64,
        miner: Hotkey,
        recorder: Recorder,
    ) -> Result<Self, PrepareError> {
        let spec = terms.spec.clone();
        let build = move || -> Result<Stage, PrepareError> {
            let mut stage = Stage::build(&*device, spec.plan()?)?;
            stage.initialise(seed).map_err(LocalError::from)?;
            Ok(stage)
        };
        let placed = worker.place(build).await.map_err(|error| match error {
            PlaceError::Build(error) => error,
            PlaceError::Worker(error) => PrepareError::Local(error.into()),
        })?;
        let epoch = terms.epoch;
        let count = EpochCount::default();
        Ok(Self {
            keeping: None,
            access: StageAccess(Arc::new(placed)),
            terms,
            miner,
            recorder,
            epoch,
            count,
            previous: None,
            merged: None,
            done: VecDeque::new(),
        })
    }

    /// What it was built for.
    pub fn terms(&self) -> &Terms {
        &self.terms
    }

    /// Takes over flags and hyper-parameters that may change while it runs.
    pub fn terms_mut(&mut self) -> &mut Terms {
        &mut self.terms
    }

    /// The epoch it trains.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// How far the epoch is.
    pub fn count(&self) -> EpochCount {
        self.count
    }

    /// The weights with which the epoch started; none before the first.
    pub fn previous(&self) -> Option<&Arc<Vec<f32>>> {
        self.previous.as_ref()
    }

    /// Number of weights.
    pub async fn param_count(&self) -> Result<usize, LocalError> {
        Ok(self.access.0.run(Urgency::Ordinary, |stage| stage.param_count()).await?)
    }

    /// Bytes that the stage takes on the device.
    pub async fn memory_bytes(&self) -> Result<u64, LocalError> {
        Ok(self.access.0.run(Urgency::Ordinary, |stage| stage.plan().bytes() as u64).await?)
    }

    async fn run<T: Send + 'static>(
        &self,
        urgency: Urgency,
        job: impl FnOnce(&mut Stage) -> Result<T, StageError> + Send + 'static,
    ) -> Result<T, LocalError> {
        self.access.run(urgency, job).await
    }

    /// Computes the activation for the next stage.
    pub async fn forward(
        &mut self,
        id: &ActivationId,
        input: Arc<Input>,
        source: Option<&Hotkey>,
    ) -> Result<Vec<bf16>, LocalError> {
        let tokens = match &*input {
            Input::Tokens(tokens) => tokens.clone(),
            Input::Activation(_) => Vec::new(),
        };
        let len = self.terms.activation_shape().iter().product();
        let done = self
            .run(Urgency::Ordinary, move |stage| {
                let mut out = vec![bf16::ZERO; len];
                stage.forward(borrow(&input), &mut out)?;
                Ok(out)
            })
            .await?;
        self.note_forward(id, source, tokens);
        Ok(done)
    }

    /// Goes back from the output's gradient with the current weights, and adds to the gradients.
    /// At the last stage this is the forward as well.
    pub async fn backward(
        &mut self,
        id: &ActivationId,
        input: Arc<Input>,
        gradient: Gradient,
        source: Option<&Hotkey>,
    ) -> Result<BackwardDone, LocalError> {
        if let Gradient::Targets(tokens) = &gradient {
            self.note_forward(id, source, tokens.clone());
        }
        let done = match self.compute(id, input, gradient, source).await {
            Ok(done) => done,
            Err(error) => return Err(self.after_failure(error).await?),
        };
        self.note(Deed::Backward {
            activation: id.clone(),
            target: source.cloned(),
            loss: done.loss,
        });
        Ok(done)
    }

    /// Takes the optimizer step if enough backwards were added up.
    pub async fn step_if_due(&mut self) -> Result<Option<StepReport>, LocalError> {
        if self.count.accumulated < self.terms.hyper.accumulation {
            return Ok(None);
        }
        let (lr, back) = (self.terms.hyper.learning_rate, self.is_warming_up());
        let report = match self.step(lr).await {
            Ok(report) => report,
            Err(error) => return Err(self.after_failure(error).await?),
        };
        self.note(Deed::Step { lr });
        if back {
            self.restore_previous().await?;
        }
        self.keep_step(lr, back).await?;
        Ok(Some(report))
    }

    /// Numbers that are not finite may have reached the summed gradients: they are dropped, so that
    /// the count and the sum stay the same thing.
    async fn after_failure(&mut self, error: LocalError) -> Result<LocalError, LocalError> {
        if matches!(error, LocalError::Stage(StageError::NotFinite { .. })) {
            let lost = std::mem::take(&mut self.count.accumulated);
            self.run(Urgency::Urgent, Stage::zero_gradients).await?;
            if lost > 0 {
                self.note(Deed::Discard { backwards: lost });
                self.keep_change(Change::Discard).await;
            }
        }
        Ok(error)
    }

    /// Whether this miner joined too lately to change weights: its optimizer warms up first.
    fn is_warming_up(&self) -> bool {
        let joined = self.terms.epoch.0;
        !self.terms.flags.is_on(Flag::UploadOptimizerState)
            && joined > 1
            && self.epoch.0.saturating_sub(joined) <= WARM_UP_EPOCHS
    }

    /// Puts the weights of the epoch's start back, if there are any.
    pub async fn restore_previous(&mut self) -> Result<(), LocalError> {
        let Some(previous) = self.previous.clone() else { return Ok(()) };
        self.write_weights(Arc::clone(&previous)).await?;
        self.note_load(&previous, Vec::new());
        Ok(())
    }

    /// A copy of the current weights.
    pub async fn weights(&self) -> Result<Vec<f32>, LocalError> {
        self.run(Urgency::Ordinary, Stage::weights).await
    }

    /// A copy of some of the current weights.
    pub async fn read_weights(&self, range: Range<usize>) -> Result<Vec<f32>, LocalError> {
        self.access.read_weights(range).await
    }

    /// Replaces some of the weights with numbers from the wire.
    pub async fn write_wire_weights(
        &self,
        start: usize,
        values: Vec<bf16>,
    ) -> Result<(), LocalError> {
        self.run(Urgency::Ordinary, move |stage| {
            let mut at = start;
            for piece in values.chunks(PIECE) {
                stage.write_weights(at..at + piece.len(), &widen(piece))?;
                at += piece.len();
            }
            Ok(())
        })
        .await
    }

    /// Replaces some of the weights.
    pub async fn write_weights_at(&self, start: usize, values: Vec<f32>) -> Result<(), LocalError> {
        self.run(Urgency::Ordinary, move |stage| {
            stage.write_weights(start..start + values.len(), &values)
        })
        .await
    }

    /// Replaces all weights.
    pub async fn write_weights(&self, weights: Arc<Vec<f32>>) -> Result<(), LocalError> {
        self.run(Urgency::Ordinary, move |stage| stage.write_weights(0..weights.len(), &weights))
            .await
    }

    /// Starts an epoch with the weights that are in the stage now (`chunks` of them fresh from the
    /// network): counters at zero, gradients gone.
    pub async fn begin_epoch(
        &mut self,
        epoch: Epoch,
        chunks: Vec<ChunkNumber>,
    ) -> Result<Arc<Vec<f32>>, LocalError> {
        self.end_epoch().await?;
        self.close_journal();
        // The last epoch's go first: two of them would not be in the memory plan.
        self.previous = None;
        self.merged = None;
        let weights = Arc::new(self.weights().await?);
        self.epoch = epoch;
        self.previous = Some(Arc::clone(&weights));
        self.note_load(&weights, chunks);
        self.recorder.keep_weights(&self.miner, self.terms.stage, epoch, &weights);
        Ok(weights)
    }

    /// Drops the gradients that no step has used and sets the counters to zero.
    pub async fn end_epoch(&mut self) -> Result<(), LocalError> {
        let (worked, lost) = (self.count.backwards > 0, self.count.accumulated);
        self.clear_counts().await?;
        if worked {
            self.keep_change(Change::End).await;
        }
        if lost > 0 {
            self.note(Deed::Discard { backwards: lost });
        }
        Ok(())
    }

    async fn clear_counts(&mut self) -> Result<(), LocalError> {
        self.count = EpochCount::default();
        self.done.clear();
        self.run(Urgency::Ordinary, |stage| {
            stage.reset_local_steps();
            stage.zero_gradients()
        })
        .await
    }

    /// Weights that are no longer finite: back to the epoch's start, with a fresh optimizer.
    pub async fn roll_back(&mut self) -> Result<(), LocalError> {
        self.settle().await?;
        let lost = self.count.accumulated;
        self.clear_counts().await?;
        self.restore_previous().await?;
        self.reset_optimizer().await?;
        self.keep_change(Change::RollBack).await;
        if lost > 0 {
            self.note(Deed::Discard { backwards: lost });
        }
        Ok(())
    }

    /// How far the optimizer is.
    pub async fn optimizer_progress(&self) -> Result<OptimizerProgress, LocalError> {
        Ok(self.access.0.run(Urgency::Ordinary, |stage| stage.optimizer_progress()).await?)
    }

    /// Takes over how far an optimizer was.
    pub async fn set_optimizer_progress(&self, to: OptimizerProgress) -> Result<(), LocalError> {
        self.run(Urgency::Ordinary, move |stage| stage.set_optimizer_progress(to)).await
    }

    /// A copy of some of the optimizer's moments.
    pub async fn read_moments(
        &self,
        moment: MomentKind,
        range: Range<usize>,
    ) -> Result<Vec<f32>, LocalError> {
        self.access.read_moments(moment, range).await
    }

    /// Replaces some of the optimizer's moments.
    pub async fn write_moments(
        &self,
        moment: MomentKind,
        start: usize,
        values: Vec<f32>,
    ) -> Result<(), LocalError> {
        self.run(Urgency::Ordinary, move |stage| {
            stage.write_moments(moment, start..start + values.len(), &values)
        })
        .await
    }

    /// Starts the optimizer afresh.
    pub async fn reset_optimizer(&self) -> Result<(), LocalError> {
        self.run(Urgency::Ordinary, Stage::reset_optimizer).await
    }

    /// Length of the optimizer's state as it crosses the wire (spec 8.8).
    pub async fn flat_optimizer_len(&self) -> Result<usize, LocalError> {
        Ok(self.access.0.run(Urgency::Ordinary, |stage| stage.optimizer_len()).await?)
    }

    /// Some of the optimizer's state as it crosses the wire, before rounding (spec 8.8).
    pub async fn read_flat_optimizer(&self, range: Range<usize>) -> Result<Vec<f32>, LocalError> {
        self.run(Urgency::Ordinary, move |stage| {
            let mut out = vec![0.0; range.len()];
            stage.read_optimizer_range(range, &mut out)?;
            Ok(out)
        })
        .await
    }

    /// Takes over some of an optimizer state from the wire.
    pub async fn write_flat_optimizer(
        &self,
        start: usize,
        values: Vec<f32>,
    ) -> Result<(), LocalError> {
        self.run(Urgency::Ordinary, move |stage| {
            stage.write_optimizer_range(start..start + values.len(), &values)
        })
        .await
    }

    /// Adds to the record.
    pub fn note(&self, deed: Deed) {
        self.recorder.note(&self.miner, self.terms.stage, self.epoch, deed);
    }

    fn note_load(&self, weights: &[f32], chunks: Vec<ChunkNumber>) {
        // Hashing a large stage takes seconds that nobody who keeps no record should wait for.
        if self.recorder.is_on() {
            self.note(Deed::Load { weights: weights_hash(weights), chunks });
        }
    }

    fn note_forward(&self, id: &ActivationId, source: Option<&Hotkey>, tokens: Vec<u32>) {
        self.note(Deed::Forward { activation: id.clone(), source: source.cloned(), tokens });
    }
}

fn borrow(input: &Input) -> StageInput<'_> {
    match input {
        Input::Tokens(tokens) => StageInput::Tokens(tokens),
        Input::Activation(numbers) => StageInput::Activation(numbers),
    }
}
