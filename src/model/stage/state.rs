//! Weights, gradients and optimizer state as flat vectors in wire order (spec 8.6, 8.8).

use std::ops::Range;

use crate::compute::{Data, DataMut, SlotId};

use super::super::optimizer::{Optimizer, OptimizerKind};
use super::super::parameters::Training;
use super::super::plan::Segment;
use super::{Stage, StageError, check_len, wrong_size};

/// An optimizer's whole state, as kept on disk. The moments are flat vectors like the weights; those
/// of parameters that are never trained are zero.
#[derive(Clone, Debug, PartialEq)]
pub struct OptimizerSnapshot {
    /// Steps done, the zero-gradient one included.
    pub step: u64,
    /// NAdam: the product of mu over all steps done. Without meaning for AdamW.
    pub mu_product: f64,
    /// First moments.
    pub exp_avg: Vec<f32>,
    /// Second moments.
    pub exp_avg_sq: Vec<f32>,
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
    /// NAdam's product of mu, one number.
    Product(f32),
    /// A parameter's moments.
    Moment(Tensor),
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
        self.run_if_there(self.plan.table.reset)
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
        let len = self.optimizer_len();
        if range.start > range.end || range.end > len {
            return Err(wrong_size("end of the range of optimizer state", range.end, len));
        }
        check_len("numbers for the range of optimizer state", out.len(), range.len())?;
        for (tensor, weights, at) in self.optimizer_layout() {
            let from = range.start.max(at);
            let to = range.end.min(at + weights.len());
            if from >= to {
                continue;
            }
            let out = &mut out[from - range.start..to - range.start];
            match tensor {
                State::Product(product) => out.fill(product),
                State::Moment(tensor) => {
                    let first = weights.start + (from - at);
                    self.read_flat(tensor, first..first + out.len(), out)?;
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
                layout.push((State::Product(product as f32), 0..1, at));
                at += 1;
            }
            for tensor in [Tensor::FirstMoment, Tensor::SecondMoment] {
                layout.push((State::Moment(tensor), weights.clone(), at));
                at += weights.len();
            }
            start = weights.end;
        }
        layout
    }

    /// Takes over a flat optimizer state; the step stays as it is (spec 5.6). What it says about
    /// parameters that are never trained has no effect.
    ///
    /// # Errors
    /// [`StageError::WrongSize`] for another length; [`StageError::OptimizerState`] for numbers that
    /// no optimizer of this kind can have. Then nothing was changed.
    pub fn write_optimizer(&mut self, flat: &[f32]) -> Result<(), StageError> {
        check_len("optimizer state", flat.len(), self.optimizer_len())?;
        let count = self.param_count();
        let (mut first, mut second) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut product = None;
        let mut rest = flat;
        for parameter in self.plan.parameters() {
            if self.optimizer.kind == OptimizerKind::NAdam {
                let (mu, after) = rest.split_at(1);
                rest = after;
                if parameter.training == Training::Trained {
                    if product.is_some_and(|p: f32| p.to_bits() != mu[0].to_bits()) {
                        return Err(unusable("its parameters have seen different steps"));
                    }
                    product = Some(mu[0]);
                }
            }
            let (m, after) = rest.split_at(parameter.count());
            let (v, after) = after.split_at(parameter.count());
            first.extend_from_slice(m);
            second.extend_from_slice(v);
            rest = after;
        }
        let mu_product = product.map_or(self.optimizer.mu_product, f64::from);
        self.check_state(mu_product, &first, &second)?;
        self.optimizer.mu_product = mu_product;
        self.write_moments(&first, &second)
    }

    /// The optimizer's state in full precision, for snapshots on disk.
    ///
    /// # Errors
    /// [`StageError::Device`] if the device fails.
    pub fn optimizer_snapshot(&mut self) -> Result<OptimizerSnapshot, StageError> {
        Ok(OptimizerSnapshot {
            step: self.optimizer.step,
            mu_product: self.optimizer.mu_product,
            exp_avg: self.whole(Tensor::FirstMoment)?,
            exp_avg_sq: self.whole(Tensor::SecondMoment)?,
        })
    }

    /// Takes a snapshot's state over, the step included.
    ///
    /// # Errors
    /// As [`Stage::write_optimizer`].
    pub fn restore_optimizer(&mut self, snapshot: &OptimizerSnapshot) -> Result<(), StageError> {
        check_len("first moments", snapshot.exp_avg.len(), self.param_count())?;
        check_len("second moments", snapshot.exp_avg_sq.len(), self.param_count())?;
        self.check_state(snapshot.mu_product, &snapshot.exp_avg, &snapshot.exp_avg_sq)?;
        if snapshot.step == 0 {
            return Err(unusable("it has done no step"));
        }
        self.optimizer.step = snapshot.step;
        self.optimizer.mu_product = snapshot.mu_product;
        self.write_moments(&snapshot.exp_avg, &snapshot.exp_avg_sq)
    }

    fn check_state(&self, product: f64, first: &[f32], second: &[f32]) -> Result<(), StageError> {
        let possible = (0.0..1.0).contains(&product);
        if self.optimizer.kind == OptimizerKind::NAdam && !possible {
            return Err(unusable("its product of momenta is not between 0 and 1"));
        }
        if !first.iter().all(|x| x.is_finite()) {
            return Err(unusable("a first moment is not finite"));
        }
        if !second.iter().all(|x| x.is_finite() && *x >= 0.0) {
            return Err(unusable("a second moment is negative or not finite"));
        }
        Ok(())
    }

    fn write_moments(&mut self, first: &[f32], second: &[f32]) -> Result<(), StageError> {
        self.write_flat(Tensor::FirstMoment, 0..first.len(), first)?;
        self.write_flat(Tensor::SecondMoment, 0..second.len(), second)
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
                Some(slot) => self.executor.read(slot, part.offset, DataMut::Real(out))?,
                None => out.fill(0.0),
            }
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
            if let Some(slot) = part.slot {
                self.executor.write(slot, part.offset, Data::Real(&values[part.range]))?;
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

fn unusable(why: &str) -> StageError {
    StageError::OptimizerState { why: why.to_owned() }
}
