//! A stage at work: a plan on a device, fed with activations, gradients and tokens.

mod boundary;
mod error;
mod state;

use half::bf16;

use crate::compute::{BuildError, Data, DataMut, Device, Executor, SlotId};

use super::initial::first_values;
use super::optimizer::Optimizer;
use super::parameters::StageKind;
use super::plan::{Purpose, StagePlan};
use super::rope;
use super::targets::{Packing, next_tokens};

use boundary::{Out, fill_beyond, first, piece};

pub use error::{BackwardReport, StageError, StepReport};
pub use state::{MomentKind, OptimizerProgress};

/// What goes into a stage: B x S rows.
#[derive(Clone, Copy, Debug)]
pub enum StageInput<'a> {
    /// B x S token ids, for a head or a whole model.
    Tokens(&'a [u32]),
    /// B x S x D numbers from the stage before.
    Activation(&'a [bf16]),
    /// The same unrounded, for a plan with an exact boundary.
    Exact(&'a [f64]),
}

/// What a backward starts from.
#[derive(Clone, Copy, Debug)]
pub enum StageGradient<'a> {
    /// B x S x D numbers from the stage after.
    Activation(&'a [bf16]),
    /// The B x S tokens of the same sample, for a tail or a whole model: each position is to predict
    /// the next token.
    Targets(&'a [u32]),
    /// A gradient unrounded, for a plan with an exact boundary.
    Exact(&'a [f64]),
}

/// A plan in a device's memory. Gradients add up over backwards until a step or
/// [`Stage::zero_gradients`].
#[derive(Debug)]
pub struct Stage {
    plan: StagePlan,
    executor: Box<dyn Executor>,
    optimizer: Optimizer,
    local_steps: u64,
    /// Next tokens of one slice.
    targets: Vec<u32>,
}

impl Stage {
    /// Takes the plan's memory on the device and compiles its programs. All weights are zero until
    /// [`Stage::initialise`] or [`Stage::write_weights`].
    ///
    /// # Errors
    /// [`BuildError`] if the device cannot take the plan.
    pub fn build(device: &dyn Device, plan: StagePlan) -> Result<Self, BuildError> {
        let mut executor = device.build(&plan.layout, &plan.programs)?;
        let inv_freq = rope::inverse_frequencies(&plan.spec.config);
        let table = rope::table(&inv_freq, plan.spec.seq);
        executor.write(plan.host.rope, 0, Data::Real(&table))?;
        let spec = &plan.spec;
        let optimizer = Optimizer::started(spec.optimizer, spec.stage, spec.stages);
        let targets = vec![0; if plan.kind.has_output_head() { spec.rows() } else { 0 }];
        Ok(Self { plan, executor, optimizer, local_steps: 0, targets })
    }

    /// The plan it was built from.
    pub fn plan(&self) -> &StagePlan {
        &self.plan
    }

    /// Length of the stage's flat vector.
    pub fn param_count(&self) -> usize {
        self.plan.param_count()
    }

    /// Draws the first weights: N(0, 0.02) for matrices, 1 for norms, from a stream named by stage and
    /// parameter, so that they are the same on every device and in every build. Optimizer and
    /// gradients start afresh.
    ///
    /// # Errors
    /// [`StageError::Device`] if the device fails.
    pub fn initialise(&mut self, seed: u64) -> Result<(), StageError> {
        const PIECE: usize = 1 << 16;
        let mut piece = Vec::with_capacity(PIECE.min(self.param_count()));
        let mut start = 0;
        for parameter in self.plan.parameters().to_vec() {
            let mut values = first_values(seed, self.plan.spec.stage, &parameter);
            let end = start + parameter.count();
            while start < end {
                let count = PIECE.min(end - start);
                piece.clear();
                piece.extend(values.by_ref().take(count));
                self.write_weights(start..start + count, &piece)?;
                start += count;
            }
        }
        if self.plan.purpose == Purpose::Training {
            self.reset_optimizer()?;
            self.zero_gradients()?;
        }
        Ok(())
    }

    /// Computes the activation for the next stage: B x S x D numbers into `out`.
    ///
    /// # Errors
    /// [`StageError`] for a wrong size, a token outside the vocabulary, numbers that are not finite,
    /// or a device fault. A last stage sends nothing: [`StageError::NotHere`].
    pub fn forward(&mut self, input: StageInput<'_>, out: &mut [bf16]) -> Result<(), StageError> {
        self.run_forward(input, Out::Wire(out))
    }

    /// [`Stage::forward`] for a plan with an exact boundary.
    ///
    /// # Errors
    /// As [`Stage::forward`].
    pub fn forward_exact(
        &mut self,
        input: StageInput<'_>,
        out: &mut [f64],
    ) -> Result<(), StageError> {
        self.run_forward(input, Out::Exact(out))
    }

    fn run_forward(&mut self, input: StageInput<'_>, mut out: Out<'_>) -> Result<(), StageError> {
        let (Some(program), Some(outgoing)) = (self.plan.table.forward, self.plan.host.outgoing)
        else {
            return Err(StageError::NotHere { what: "an activation to send" });
        };
        self.check_input(input)?;
        check_len("outgoing activation", out.len(), self.boundary_len())?;
        for slice in 0..self.plan.spec.slices() {
            self.write_input(input, slice)?;
            self.executor.run(program)?;
            let room = out.piece(slice, self.boundary_len() / self.plan.spec.slices());
            self.executor.read(outgoing, 0, room)?;
        }
        if out.is_finite() { Ok(()) } else { Err(not_finite("the stage's own activation")) }
    }

    /// Runs the forward again from the same input with the current weights and goes back from the
    /// gradient (or from the loss), adding to the gradients of the weights. `input_gradient` becomes
    /// the B x S x D numbers for the stage before; for a head, what spec 8.8 has it publish; empty
    /// for a whole model.
    ///
    /// # Errors
    /// As [`Stage::forward`]. If the loss or `input_gradient` is not finite the summed gradients are
    /// dropped, since they are spoiled.
    pub fn backward(
        &mut self,
        input: StageInput<'_>,
        gradient: StageGradient<'_>,
        input_gradient: &mut Vec<bf16>,
    ) -> Result<BackwardReport, StageError> {
        input_gradient.resize(self.sent_back(), bf16::ZERO);
        self.run_backward(input, gradient, Out::Wire(input_gradient))
    }

    /// [`Stage::backward`] for a plan with an exact boundary.
    ///
    /// # Errors
    /// As [`Stage::backward`].
    pub fn backward_exact(
        &mut self,
        input: StageInput<'_>,
        gradient: StageGradient<'_>,
        input_gradient: &mut Vec<f64>,
    ) -> Result<BackwardReport, StageError> {
        input_gradient.resize(self.sent_back(), 0.0);
        self.run_backward(input, gradient, Out::Exact(input_gradient))
    }

    fn run_backward(
        &mut self,
        input: StageInput<'_>,
        gradient: StageGradient<'_>,
        mut out: Out<'_>,
    ) -> Result<BackwardReport, StageError> {
        let Some(program) = self.plan.table.backward else {
            return Err(StageError::NotHere { what: "a backward: it was built for inference" });
        };
        self.check_input(input)?;
        self.check_gradient(gradient)?;
        let slices = self.plan.spec.slices();
        let mut loss = 0.0;
        for slice in 0..slices {
            self.write_input(input, slice)?;
            self.write_gradient(gradient, slice)?;
            self.executor.run(program)?;
            if let Some(outgoing) = self.plan.host.outgoing {
                let mut room = out.piece(slice, self.boundary_len() / slices);
                let table = self.published();
                fill_beyond(&mut room, table);
                self.executor.read(outgoing, 0, first(room, table))?;
            }
            loss += self.read_loss()?.unwrap_or(0.0);
        }
        let spoiled = match (loss.is_finite(), out.is_finite()) {
            (false, _) => Some("the loss"),
            (_, false) => Some("the gradient for the stage before"),
            _ => None,
        };
        if let Some(what) = spoiled {
            self.zero_gradients()?;
            return Err(not_finite(what));
        }
        #[allow(clippy::cast_precision_loss)]
        let mean = loss / slices as f64;
        Ok(BackwardReport { loss: self.plan.kind.has_output_head().then_some(mean) })
    }

    /// The loss of the stage on this input and these tokens, changing nothing. For a stage built for
    /// inference that has the output head.
    ///
    /// # Errors
    /// As [`Stage::forward`].
    pub fn evaluate(&mut self, input: StageInput<'_>, tokens: &[u32]) -> Result<f64, StageError> {
        let Some(program) = self.plan.table.evaluate else {
            return Err(StageError::NotHere { what: "a loss to evaluate" });
        };
        self.check_input(input)?;
        self.check_gradient(StageGradient::Targets(tokens))?;
        let slices = self.plan.spec.slices();
        let mut loss = 0.0;
        for slice in 0..slices {
            self.write_input(input, slice)?;
            self.write_gradient(StageGradient::Targets(tokens), slice)?;
            self.executor.run(program)?;
            loss += self.read_loss()?.unwrap_or(0.0);
        }
        #[allow(clippy::cast_precision_loss)]
        let mean = loss / slices as f64;
        if mean.is_finite() { Ok(mean) } else { Err(not_finite("the loss")) }
    }

    /// Scores of every token to come after the given rows (sequence-major positions) of the input,
    /// vocabulary by vocabulary into `out`. For a stage built for inference that has the output head
    /// and computes its batch in one slice.
    ///
    /// # Errors
    /// As [`Stage::forward`].
    pub fn logits(
        &mut self,
        input: StageInput<'_>,
        rows: std::ops::Range<usize>,
        out: &mut Vec<f32>,
    ) -> Result<(), StageError> {
        let (table, spec) = (self.plan.table, &self.plan.spec);
        let (Some(features), Some(logits), Some(slots)) =
            (table.features, table.logits, self.plan.host.sampling)
        else {
            return Err(StageError::NotHere { what: "logits" });
        };
        check_len("slices of a batch for logits", spec.slices(), 1)?;
        if rows.end > spec.rows() {
            return Err(wrong_size("last row for logits", rows.end, spec.rows()));
        }
        let (emb, vocab) = (spec.config.emb_dim, spec.config.vocab_size);
        self.check_input(input)?;
        self.write_input(input, 0)?;
        self.executor.run(features)?;
        out.resize(rows.len() * vocab, 0.0);
        let mut row = vec![0.0_f64; emb];
        for (from, scores) in rows.zip(out.chunks_exact_mut(vocab)) {
            self.executor.read(slots.0, from * emb, DataMut::Wide(&mut row))?;
            self.executor.write(slots.1, 0, Data::Wide(&row))?;
            self.executor.run(logits)?;
            self.executor.read(slots.2, 0, DataMut::Real(scores))?;
        }
        if out.iter().all(|x| x.is_finite()) { Ok(()) } else { Err(not_finite("the logits")) }
    }

    /// Clips the summed gradients, takes one optimizer step and clears them.
    ///
    /// # Errors
    /// [`StageError::NotFinite`] if the gradients are not: then they are dropped, and weights and
    /// optimizer stay as they were. [`StageError::Device`] if the device fails.
    pub fn optimizer_step(&mut self, lr: f64) -> Result<StepReport, StageError> {
        let (table, host) = (self.plan.table, self.plan.host);
        let (Some(clip), Some(step), Some(factor), Some(scalars)) =
            (table.clip, table.step, host.clip, host.scalars)
        else {
            return Err(StageError::NotHere { what: "an optimizer: it was built for inference" });
        };
        let mut norm_and_factor = [0.0; 2];
        self.executor.run(clip)?;
        self.executor.read(factor, 0, DataMut::Wide(&mut norm_and_factor))?;
        let [grad_norm, clip] = norm_and_factor;
        if !grad_norm.is_finite() {
            self.zero_gradients()?;
            return Err(not_finite("the gradient's norm"));
        }
        self.executor.write(scalars, 0, Data::Wide(&self.optimizer.advance(lr)))?;
        self.executor.run(step)?;
        self.local_steps += 1;
        Ok(StepReport { grad_norm, clip, step: self.optimizer.step })
    }

    /// Drops the summed gradients.
    ///
    /// # Errors
    /// [`StageError::Device`] if the device fails.
    pub fn zero_gradients(&mut self) -> Result<(), StageError> {
        self.run_if_there(self.plan.table.zero)
    }

    /// Optimizer steps since the last [`Stage::reset_local_steps`] (spec 8.8: counted per epoch).
    pub fn local_steps(&self) -> u64 {
        self.local_steps
    }

    /// Starts counting local steps at zero, as a new epoch does.
    pub fn reset_local_steps(&mut self) {
        self.local_steps = 0;
    }

    fn run_if_there(&mut self, program: Option<usize>) -> Result<(), StageError> {
        program.map_or(Ok(()), |program| Ok(self.executor.run(program)?))
    }

    /// Numbers of an activation: B x S x D.
    fn boundary_len(&self) -> usize {
        let spec = &self.plan.spec;
        spec.batch * spec.seq * spec.config.boundary_dim()
    }

    /// Numbers that a backward sends to the stage before.
    fn sent_back(&self) -> usize {
        if self.plan.kind == StageKind::Whole { 0 } else { self.boundary_len() }
    }

    /// Of a slice's outgoing gradient, how many numbers there are: all, but for a head whose
    /// embedding table is smaller than that. The rest is zero.
    fn published(&self) -> usize {
        let config = &self.plan.spec.config;
        match self.plan.kind {
            StageKind::Head => config.vocab_size * config.emb_dim,
            _ => usize::MAX,
        }
    }

    fn check_input(&self, input: StageInput<'_>) -> Result<(), StageError> {
        let spec = &self.plan.spec;
        match (input, self.plan.kind.has_embedding()) {
            (StageInput::Tokens(tokens), true) => self.check_tokens("tokens", tokens),
            (StageInput::Activation(numbers), false) => {
                check_len("activation", numbers.len(), self.boundary_len())?;
                let finite = numbers.iter().all(|x| x.is_finite());
                if finite { Ok(()) } else { Err(not_finite("the activation received")) }
            }
            (StageInput::Exact(numbers), false) => {
                check_len("activation", numbers.len(), self.boundary_len())
            }
            _ => Err(StageError::WrongKind { kind: self.plan.kind, stage: spec.stage }),
        }
    }

    fn check_gradient(&self, gradient: StageGradient<'_>) -> Result<(), StageError> {
        let spec = &self.plan.spec;
        match (gradient, self.plan.kind.has_output_head()) {
            (StageGradient::Targets(tokens), true) => self.check_tokens("targets", tokens),
            (StageGradient::Activation(numbers), false) => {
                check_len("gradient", numbers.len(), self.boundary_len())?;
                let finite = numbers.iter().all(|x| x.is_finite());
                if finite { Ok(()) } else { Err(not_finite("the gradient received")) }
            }
            (StageGradient::Exact(numbers), false) => {
                check_len("gradient", numbers.len(), self.boundary_len())
            }
            _ => Err(StageError::WrongKind { kind: self.plan.kind, stage: spec.stage }),
        }
    }

    fn check_tokens(&self, what: &'static str, tokens: &[u32]) -> Result<(), StageError> {
        let spec = &self.plan.spec;
        check_len(what, tokens.len(), spec.batch * spec.seq)?;
        let vocab = spec.config.vocab_size;
        match tokens.iter().find(|token| **token as usize >= vocab) {
            Some(&token) => Err(StageError::Token { token, vocab }),
            None => Ok(()),
        }
    }

    fn write_input(&mut self, input: StageInput<'_>, slice: usize) -> Result<(), StageError> {
        let slot = self.plan.host.input;
        let slices = self.plan.spec.slices();
        let data = match input {
            StageInput::Tokens(all) => Data::Index(piece(all, slice, slices)),
            StageInput::Activation(all) => Data::Bf16(piece(all, slice, slices)),
            StageInput::Exact(all) => Data::Wide(piece(all, slice, slices)),
        };
        Ok(self.executor.write(slot, 0, data)?)
    }

    fn write_gradient(
        &mut self,
        gradient: StageGradient<'_>,
        slice: usize,
    ) -> Result<(), StageError> {
        let Some(slot) = self.plan.host.gradient else { return Ok(()) };
        let spec = &self.plan.spec;
        let data = match gradient {
            StageGradient::Targets(all) => {
                let tokens = piece(all, slice, spec.slices());
                next_tokens(tokens, spec.seq, Packing::Packed, &mut self.targets);
                Data::Index(&self.targets)
            }
            StageGradient::Activation(all) => Data::Bf16(piece(all, slice, spec.slices())),
            StageGradient::Exact(all) => Data::Wide(piece(all, slice, spec.slices())),
        };
        Ok(self.executor.write(slot, 0, data)?)
    }

    fn read_loss(&mut self) -> Result<Option<f64>, StageError> {
        let Some(slot) = self.plan.host.loss else { return Ok(None) };
        let mut loss = [0.0];
        self.read_slot(slot, DataMut::Wide(&mut loss))?;
        Ok(Some(loss[0]))
    }

    fn read_slot(&mut self, slot: SlotId, out: DataMut<'_>) -> Result<(), StageError> {
        Ok(self.executor.read(slot, 0, out)?)
    }
}

fn check_len(what: &'static str, have: usize, want: usize) -> Result<(), StageError> {
    if have == want { Ok(()) } else { Err(wrong_size(what, have, want)) }
}

fn wrong_size(what: &'static str, have: usize, want: usize) -> StageError {
    StageError::WrongSize { what, have, want }
}

fn not_finite(what: &'static str) -> StageError {
    StageError::NotFinite { what }
}
