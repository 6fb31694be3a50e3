//! Weights, gradients and optimizer state as flat vectors in wire order (spec 8.6, 8.8).

use std::ops::Range;

use half::bf16;
use half::slice::HalfFloatSliceExt;

use crate::compute::{Data, DataMut, Element, SlotId};

use super::super::optimizer::{Optimizer, OptimizerKind};
use super::super::parameters::Training;
use super::super::plan::Segment;
use super::{Stage, StageError, check_len, wrong_size};

/// Numbers that are rounded or widened at a time on their way to and from the device.
const PIECE: usize = 1 << 15;

/// How far an optimizer is: everything that a snapshot on disk keeps of it beside its moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OptimizerProgress {
    /// Steps done, the zero-gradient one included.
    pub step: u64,
    /// NAdam: the product of mu over all steps done. Without meaning for AdamW.
    pub mu_product: f64,
}

/// Which of the optimizer's two vectors. Each is as long as the weights; the moments of parameters
/// that are never trained are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MomentKind {
    /// The mean of the gradients.
    First,
    /// The mean of their squares.
    Second,
}

impl MomentKind {
    fn tensor(self) -> Tensor {
        match self {
            Self::First => Tensor::FirstMoment,
            Self::Second => Tensor::SecondMoment,
        }
    }

    /// Whether an optimizer can have come to these numbers.
    fn check(self, values: &[f32]) -> Result<(), StageError> {
        let possible = |x: &f32| x.is_finite() && (self == Self::First || *x >= 0.0);
        match (values.iter().all(possible), self) {
            (true, _) => Ok(()),
            (false, Self::First) => Err(unusable("a first moment is not finite")),
            (false, Self::Second) => Err(unusable("a second moment is negative or not finite")),
        }
    }
}

/// Which of a segment's slots is meant.
#[derive(Clone, Copy)]
enum Tensor {
    Weight,
    Gradient,
    FirstMoment,
    SecondMoment,
}

impl Tensor {
    fn slot(self, segment: &Segment) -> Option<SlotId> {
        match self {
            Tensor::Weight => Some(segment.param),
            Tensor::Gradient => segment.training.map(|t| t.grad),
            Tensor::FirstMoment => segment.training.map(|t| t.m),
            Tensor::SecondMoment => segment.training.map(|t| t.v),
        }
    }
}

/// A piece of the flat optimizer state.
#[derive(Clone, Copy)]
enum State {
    /// NAdam's product of mu, one number, and whether it moves with the steps.
    Product(f32, Training),
    /// A parameter's moments.
    Moment(MomentKind),
}

/// The part of one segment that a range of the flat vector touches.
struct Overlap {
    slot: Option<SlotId>,
    /// First element in the slot.
    offset: usize,
    /// Elements of the caller's slice.
    range: Range<usize>,
}

impl Stage {
    /// Copies a range of the flat weights into `out`, which is as long as the range.
    ///
    /// # Errors
    /// [`StageError::WrongSize`] for a range outside the vector or of another length than `out`;
    /// [`StageError::Device`] if the device fails.
    pub fn read_weights(&mut self, range: Range<usize>, out: &mut [f32]) -> Result<(), StageError> {
        self.read_flat(Tensor::Weight, range, out)
    }

    /// All weights.
    ///
    /// # Errors
    /// [`StageError::Device`] if the device fails.
    pub fn weights(&mut self) -> Result<Vec<f32>, StageError> {
        self.whole(Tensor::Weight)
    }

    /// Replaces a range of the flat weights.
    ///
    /// # Errors
    /// As [`Stage::read_weights`].
    pub fn write_weights(&mut self, range: Range<usize>, values: &[f32]) -> Result<(), StageError> {
        self.write_flat(Tensor::Weight, range, values)
    }

    /// Copies a range of the flat summed gradients into `out`; zero for what is never trained.
    ///
    /// # Errors
    /// As [`Stage::read_weights`].
    pub fn read_gradients(
        &mut self,
        range: Range<usize>,
        out: &mut [f64],
    ) -> Result<(), StageError> {
        for part in self.overlaps(Tensor::Gradient, range, out.len())? {
            let out = &mut out[part.range];
            match part.slot {
                Some(slot) => self.executor.read(slot, part.offset, DataMut::Wide(out))?,
                None => out.fill(0.0),
            }
        }
        Ok(())
    }

    /// Replaces a range of the flat weights in the device's full precision, for checks on the oracle.
    ///
    /// # Errors
    /// As [`Stage::read_weights`].
    pub fn write_weights_exact(
        &mut self,
        range: Range<usize>,
        values: &[f64],
    ) -> Result<(), StageError> {
        for part in self.overlaps(Tensor::Weight, range, values.len())? {
            if let Some(slot) = part.slot {
                self.executor.write(slot, part.offset, Data::Wide(&values[part.range]))?;
            }
        }
        Ok(())
    }

    /// Takes the optimizer back to where a new stage starts: t = 1, moments zero.
    ///
    /// # Errors
    /// [`StageError::Device`] if the device fails.
    pub fn reset_optimizer(&mut self) -> Result<(), StageError> {
        let spec = &self.plan.spec;
        self.optimizer = Optimizer::started(spec.optimizer, spec.stage, spec.stages);
        if self.plan.table.reset.is_some() {
            return self.run_if_there(self.plan.table.reset);
        }
        let zeros = [bf16::ZERO; PIECE];
        for segment in &self.plan.weights.segments {
            for slot in segment.training.iter().flat_map(|slots| [slots.m, slots.v]) {
                for at in (0..segment.len).step_by(PIECE) {
                    let count = PIECE.min(segment.len - at);
                    self.executor.write(slot, at, Data::Bf16(&zeros[..count]))?;
                }
            }
        }
        Ok(())
    }

    /// Optimizer steps done, the zero-gradient one included.
    pub fn optimizer_steps(&self) -> u64 {
        self.optimizer.step
    }

    /// Length of the flat optimizer state of [`Stage::read_optimizer`].
    pub fn optimizer_len(&self) -> usize {
        let products = match self.optimizer.kind {
            OptimizerKind::NAdam => self.plan.parameters().len(),
            OptimizerKind::AdamW => 0,
        };
        2 * self.param_count() + products
    }

    /// The flat optimizer state of spec 8.8: per parameter the product of mu (NAdam), first and second
    /// moments. The wire carries it in bf16. The step is not part of it.
    ///
    /// # Errors
    /// [`StageError::Device`] if the device fails.
    pub fn read_optimizer(&mut self) -> Result<Vec<f32>, StageError> {
        let mut flat = vec![0.0; self.optimizer_len()];
        self.read_optimizer_range(0..flat.len(), &mut flat)?;
        Ok(flat)
    }

    /// Copies a range of the flat optimizer state into `out`, which is as long as the range.
    ///
    /// # Errors
    /// As [`Stage::read_weights`].
    pub fn read_optimizer_range(
        &mut self,
        range: Range<usize>,
        out: &mut [f32],
    ) -> Result<(), StageError> {
        self.check_optimizer_range(&range, out.len())?;
        for (what, weights, at) in self.optimizer_layout() {
            let from = range.start.max(at);
            let to = range.end.min(at + weights.len());
            if from >= to {
                continue;
            }
            let out = &mut out[from - range.start..to - range.start];
            match what {
                State::Product(product, _) => out.fill(product),
                State::Moment(moment) => {
                    let first = weights.start + (from - at);
                    self.read_flat(moment.tensor(), first..first + out.len(), out)?;
                }
            }
        }
        Ok(())
    }

    /// The flat optimizer state, piece by piece: what it is, of which weights (one number for a
    /// product), and where it begins in the flat state.
    fn optimizer_layout(&self) -> Vec<(State, Range<usize>, usize)> {
        let spec = &self.plan.spec;
        let untouched = Optimizer::started(spec.optimizer, spec.stage, spec.stages);
        let mut layout = Vec::new();
        let (mut start, mut at) = (0, 0);
        for parameter in self.plan.parameters() {
            let weights = start..start + parameter.count();
            if self.optimizer.kind == OptimizerKind::NAdam {
                let product = match parameter.training {
                    Training::Trained => self.optimizer.mu_product,
                    Training::Untouched => untouched.mu_product,
                };
                #[allow(clippy::cast_possible_truncation)]
                layout.push((State::Product(product as f32, parameter.training), 0..1, at));
                at += 1;
            }
            for moment in [MomentKind::First, MomentKind::Second] {
                layout.push((State::Moment(moment), weights.clone(), at));
                at += weights.len();
            }
            start = weights.end;
        }
        layout
    }

    /// Takes over a range of a flat optimizer state; the step stays as it is (spec 5.6). What it says
    /// about parameters that are never trained has no effect.
    ///
    /// # Errors
    /// [`StageError::WrongSize`] for another length; [`StageError::OptimizerState`] for numbers that
    /// no optimizer of this kind can have. Then nothing of this range was changed; a caller that has
    /// written other ranges before resets the optimizer.
    pub fn write_optimizer_range(
        &mut self,
        range: Range<usize>,
        values: &[f32],
    ) -> Result<(), StageError> {
        self.check_optimizer_range(&range, values.len())?;
        let layout = self.optimizer_layout();
        let is_product = |what: &State| matches!(what, State::Product(_, Training::Trained));
        let leading = layout.iter().find(|(what, ..)| is_product(what)).map(|(.., at)| *at);
        // All parameters see the same steps: the first one's product holds for those after it.
        #[allow(clippy::cast_possible_truncation)]
        let product = match leading {
            Some(at) if range.contains(&at) => values[at - range.start],
            _ => self.optimizer.mu_product as f32,
        };
        let touched: Vec<_> = layout
            .into_iter()
            .filter_map(|(what, weights, at)| {
                let (from, to) = (range.start.max(at), range.end.min(at + weights.len()));
                (from < to).then(|| {
                    let first = weights.start + (from - at);
                    (what, first..first + (to - from), from - range.start..to - range.start)
                })
            })
            .collect();
        for (what, _, part) in &touched {
            match what {
                State::Product(_, Training::Trained) => {
                    check_product(f64::from(values[part.start]))?;
                    if values[part.start].to_bits() != product.to_bits() {
                        return Err(unusable("its parameters have seen different steps"));
                    }
                }
                State::Product(_, Training::Untouched) => {}
                State::Moment(moment) => moment.check(&values[part.clone()])?,
            }
        }
        for (what, weights, part) in touched {
            if let State::Moment(moment) = what {
                self.write_flat(moment.tensor(), weights, &values[part])?;
            }
        }
        if leading.is_some_and(|at| range.contains(&at)) {
            self.optimizer.mu_product = f64::from(product);
        }
        Ok(())
    }

    /// How far the optimizer is, in full precision, for snapshots on disk.
    pub fn optimizer_progress(&self) -> OptimizerProgress {
        OptimizerProgress { step: self.optimizer.step, mu_product: self.optimizer.mu_product }
    }

    /// Takes a snapshot's progress over.
    ///
    /// # Errors
    /// [`StageError::OptimizerState`] for what no optimizer of this kind can have; nothing changes.
    pub fn set_optimizer_progress(&mut self, to: OptimizerProgress) -> Result<(), StageError> {
        if self.optimizer.kind == OptimizerKind::NAdam {
            check_product(to.mu_product)?;
        }
        if to.step == 0 {
            return Err(unusable("it has done no step"));
        }
        self.optimizer.step = to.step;
        self.optimizer.mu_product = to.mu_product;
        Ok(())
    }

    /// Copies a range of one of the optimizer's moments into `out`, which is as long as the range.
    ///
    /// # Errors
    /// As [`Stage::read_weights`].
    pub fn read_moments(
        &mut self,
        moment: MomentKind,
        range: Range<usize>,
        out: &mut [f32],
    ) -> Result<(), StageError> {
        self.read_flat(moment.tensor(), range, out)
    }

    /// Replaces a range of one of the optimizer's moments.
    ///
    /// # Errors
    /// As [`Stage::read_weights`], and [`StageError::OptimizerState`] for numbers that no optimizer
    /// can have. Then nothing was changed.
    pub fn write_moments(
        &mut self,
        moment: MomentKind,
        range: Range<usize>,
        values: &[f32],
    ) -> Result<(), StageError> {
        moment.check(values)?;
        self.write_flat(moment.tensor(), range, values)
    }

    fn check_optimizer_range(&self, range: &Range<usize>, len: usize) -> Result<(), StageError> {
        let whole = self.optimizer_len();
        if range.start > range.end || range.end > whole {
            return Err(wrong_size("end of the range of optimizer state", range.end, whole));
        }
        check_len("numbers for the range of optimizer state", len, range.len())
    }

    fn whole(&mut self, tensor: Tensor) -> Result<Vec<f32>, StageError> {
        let mut all = vec![0.0; self.param_count()];
        self.read_flat(tensor, 0..all.len(), &mut all)?;
        Ok(all)
    }

    fn read_flat(
        &mut self,
        tensor: Tensor,
        range: Range<usize>,
        out: &mut [f32],
    ) -> Result<(), StageError> {
        for part in self.overlaps(tensor, range, out.len())? {
            let out = &mut out[part.range];
            match part.slot {
                Some(slot) if self.is_rounded(slot) => self.read_rounded(slot, part.offset, out)?,
                Some(slot) => self.executor.read(slot, part.offset, DataMut::Real(out))?,
                None => out.fill(0.0),
            }
        }
        Ok(())
    }

    /// Whether a slot holds numbers in bf16.
    fn is_rounded(&self, slot: SlotId) -> bool {
        self.plan.layout.get(slot).is_some_and(|slot| slot.element == Element::Bf16)
    }

    fn read_rounded(
        &mut self,
        slot: SlotId,
        offset: usize,
        out: &mut [f32],
    ) -> Result<(), StageError> {
        let mut halves = [bf16::ZERO; PIECE];
        for (at, out) in (offset..).step_by(PIECE).zip(out.chunks_mut(PIECE)) {
            let halves = &mut halves[..out.len()];
            self.executor.read(slot, at, DataMut::Bf16(halves))?;
            halves.convert_to_f32_slice(out);
        }
        Ok(())
    }

    /// To nearest, ties to even. What bf16 cannot hold becomes the largest number that it can: a moment
    /// stays one.
    fn write_rounded(
        &mut self,
        slot: SlotId,
        offset: usize,
        values: &[f32],
    ) -> Result<(), StageError> {
        let mut halves = [bf16::ZERO; PIECE];
        for (at, values) in (offset..).step_by(PIECE).zip(values.chunks(PIECE)) {
            let halves = &mut halves[..values.len()];
            for (half, value) in halves.iter_mut().zip(values) {
                let largest = f32::from(bf16::MAX);
                *half = bf16::from_f32(value.clamp(-largest, largest));
            }
            self.executor.write(slot, at, Data::Bf16(halves))?;
        }
        Ok(())
    }

    fn write_flat(
        &mut self,
        tensor: Tensor,
        range: Range<usize>,
        values: &[f32],
    ) -> Result<(), StageError> {
        for part in self.overlaps(tensor, range, values.len())? {
            match part.slot {
                Some(slot) if self.is_rounded(slot) => {
                    self.write_rounded(slot, part.offset, &values[part.range])?;
                }
                Some(slot) => {
                    self.executor.write(slot, part.offset, Data::Real(&values[part.range]))?;
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Where a range of the flat vector lies. `len` is the length of the caller's slice for it.
    fn overlaps(
        &self,
        tensor: Tensor,
        range: Range<usize>,
        len: usize,
    ) -> Result<Vec<Overlap>, StageError> {
        let count = self.param_count();
        if range.start > range.end || range.end > count {
            return Err(wrong_size("end of the range of weights", range.end, count));
        }
        check_len("numbers for the range of weights", len, range.len())?;
        let part = |segment: &Segment| {
            let from = range.start.max(segment.start);
            let to = range.end.min(segment.start + segment.len);
            (from < to).then(|| Overlap {
                slot: tensor.slot(segment),
                offset: from - segment.start,
                range: from - range.start..to - range.start,
            })
        };
        Ok(self.plan.weights.segments.iter().filter_map(part).collect())
    }
}

fn check_product(product: f64) -> Result<(), StageError> {
    let possible = (0.0..1.0).contains(&product);
    if possible { Ok(()) } else { Err(unusable("its product of momenta is not between 0 and 1")) }
}

fn unusable(why: &str) -> StageError {
    StageError::OptimizerState { why: why.to_owned() }
}
