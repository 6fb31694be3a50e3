//! The shared kernel suite: named cases for every op, on shapes that kernels find awkward, and one
//! way to run a case on any device. The same cases are the tests of a backend and the self-test of
//! a user's device.
//!
//! Three readings of [`op`](super::op) are held against each other: a device under test, the
//! `cpu` backend in f64 (the oracle, see [`run`]), and loops that say no more than the formulas
//! ([`naive`], see [`check_oracle`]).

pub mod cases;
pub mod naive;
pub mod setup;

use half::bf16;

use super::check::{Access, Operand, operands};
use super::cpu::CpuDevice;
use super::device::{BuildError, Data, DataMut, Device, DeviceFault, DeviceKind, Executor};
use super::kind::OpKind;
use super::layout::{Element, Layout, SlotId};
use super::op::{Program, View};

pub use cases::{cases, drawn};

/// Largest relative error (in the L2 norm) of a device's real numbers against the oracle.
pub const REAL_LIMIT: f64 = 1e-5;
/// The same of bfloat16 numbers.
pub const BF16_LIMIT: f64 = 1e-2;
/// The same of the oracle against the formulas.
pub const ORACLE_LIMIT: f64 = 1e-12;
/// Stands around output views, where no kernel may write.
const CANARY: f32 = -7.25e30;

/// Content of a slot.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Real numbers that f32 holds exactly.
    Real(Vec<f32>),
    /// Indices.
    Index(Vec<u32>),
    /// Numbers of the wire.
    Bf16(Vec<bf16>),
}

/// One program to run, with all that is in memory before.
#[derive(Clone, Debug)]
pub struct Case {
    /// Says the op, the shape and what is awkward, as in `gemm_nt_m17_k33_n65_add`.
    pub name: String,
    layout: Layout,
    program: Program,
    /// One per slot.
    content: Vec<Values>,
}

impl Case {
    /// The kind of op that it tests; none for a case without an op.
    pub fn kind(&self) -> Option<OpKind> {
        self.program.ops.first().map(OpKind::of)
    }

    /// Its memory.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Its program.
    pub fn program(&self) -> &Program {
        &self.program
    }
}

/// A device passed a case.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Verdict {
    /// The largest relative error of its outputs.
    pub error: f64,
}

/// A device failed a case.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The program could not be built.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The device failed while it worked.
    #[error(transparent)]
    Fault(#[from] DeviceFault),
    /// An element of an output was not written, or became NaN.
    #[error("{output} has NaN at row {row}, column {column}: not written, or computed from NaN")]
    NotWritten {
        /// Operand.
        output: &'static str,
        /// Row.
        row: usize,
        /// Column.
        column: usize,
    },
    /// Something outside the outputs was changed.
    #[error("element {element} of slot {slot} was changed and is part of no output")]
    Touched {
        /// Slot name.
        slot: String,
        /// Position in the slot.
        element: usize,
    },
    /// An output is too far from what it must be.
    #[error(
        "{output} is off by {error:.2e} (at most {limit:.0e}); at row {row}, column {column} it is {got:e} and should be {want:e}"
    )]
    Wrong {
        /// Operand.
        output: &'static str,
        /// Relative error of the whole operand.
        error: f64,
        /// What is allowed.
        limit: f64,
        /// Row of the worst element.
        row: usize,
        /// Its column.
        column: usize,
        /// What it is.
        got: f64,
        /// What it should be.
        want: f64,
    },
    /// Two runs gave different numbers.
    #[error("{output} differs between two runs on the same numbers")]
    NotRepeatable {
        /// Operand.
        output: &'static str,
    },
}

/// Runs a case twice on a device and once on the oracle and compares.
///
/// # Errors
/// [`Failure`] says what the device did wrong.
pub fn run(case: &Case, device: &dyn Device) -> Result<Verdict, Failure> {
    let want = execute(case, &CpuDevice::oracle())?;
    let got = execute(case, device)?;
    let verdict = compare(case, &got, &want, device.info().kind)?;
    let again = execute(case, device)?;
    same_bits(case, &got, &again)?;
    Ok(verdict)
}

/// Builds a case once on a device, runs it `times` times on the same numbers, and compares: the first
/// run with the oracle, every other with the first, bit by bit. What differs is a race.
///
/// # Errors
/// [`Failure`] says what the device did wrong.
pub fn run_often(
    case: &Case,
    device: &dyn Device,
    oracle: &CpuDevice,
    times: usize,
) -> Result<Verdict, Failure> {
    let mut executor = device.build(&case.layout, std::slice::from_ref(&case.program))?;
    let first = pass(case, executor.as_mut())?;
    let verdict = compare(case, &first, &execute(case, oracle)?, device.info().kind)?;
    for _ in 1..times {
        same_bits(case, &first, &pass(case, executor.as_mut())?)?;
    }
    Ok(verdict)
}

/// Runs a case on the oracle and by the formulas, and compares.
///
/// # Errors
/// [`Failure`] says what the oracle did wrong.
pub fn check_oracle(case: &Case) -> Result<Verdict, Failure> {
    let mut slots = naive::Slots::new(&case.content);
    case.program.ops.iter().for_each(|op| slots.apply(op));
    let want = slots.into_numbers();
    let got = execute(case, &CpuDevice::oracle())?;
    compare(case, &got, &want, DeviceKind::Oracle)
}

/// All slots after the program, as f64; indices too.
fn execute(case: &Case, device: &dyn Device) -> Result<Vec<Vec<f64>>, Failure> {
    let programs = std::slice::from_ref(&case.program);
    pass(case, device.build(&case.layout, programs)?.as_mut())
}

/// Whether two runs gave the same outputs.
fn same_bits(case: &Case, one: &[Vec<f64>], other: &[Vec<f64>]) -> Result<(), Failure> {
    for output in outputs(case) {
        let slot = output.view.slot.0 as usize;
        let same = one[slot].iter().zip(&other[slot]).all(|(a, b)| a.to_bits() == b.to_bits());
        if !same && output.access != Access::Scratch {
            return Err(Failure::NotRepeatable { output: output.name });
        }
    }
    Ok(())
}

/// One run from the case's numbers: all slots afterwards, as f64.
fn pass(case: &Case, executor: &mut dyn Executor) -> Result<Vec<Vec<f64>>, Failure> {
    for (slot, values) in (0..).map(SlotId).zip(&case.content) {
        let data = match values {
            Values::Real(x) => Data::Real(x),
            Values::Index(x) => Data::Index(x),
            Values::Bf16(x) => Data::Bf16(x),
        };
        executor.write(slot, 0, data)?;
    }
    executor.run(0)?;
    let mut slots = Vec::new();
    for (slot, values) in (0..).map(SlotId).zip(&case.content) {
        slots.push(match values {
            Values::Real(x) => {
                let mut out = vec![0.0; x.len()];
                executor.read(slot, 0, DataMut::Wide(&mut out))?;
                out
            }
            Values::Index(x) => {
                let mut out = vec![0; x.len()];
                executor.read(slot, 0, DataMut::Index(&mut out))?;
                out.into_iter().map(f64::from).collect()
            }
            Values::Bf16(x) => {
                let mut out = vec![bf16::ZERO; x.len()];
                executor.read(slot, 0, DataMut::Bf16(&mut out))?;
                out.into_iter().map(f64::from).collect()
            }
        });
    }
    Ok(slots)
}

/// The operands that the case's ops write.
fn outputs(case: &Case) -> Vec<Operand> {
    let all = case.program.ops.iter().flat_map(operands);
    all.filter(|o| o.access != Access::Read).collect()
}

fn compare(
    case: &Case,
    got: &[Vec<f64>],
    want: &[Vec<f64>],
    kind: DeviceKind,
) -> Result<Verdict, Failure> {
    let outputs = outputs(case);
    untouched(case, &outputs, got)?;
    let mut worst = 0.0_f64;
    for output in outputs.iter().filter(|o| o.access != Access::Scratch) {
        let slot = output.view.slot.0 as usize;
        let limit = match (output.element, kind) {
            (_, DeviceKind::Oracle) => ORACLE_LIMIT,
            (Element::Bf16, _) => BF16_LIMIT,
            _ => REAL_LIMIT,
        };
        worst = worst.max(distance(output, limit, &got[slot], &want[slot])?);
    }
    Ok(Verdict { error: worst })
}

/// Relative error of an output in the L2 norm. Numbers that are not finite must be the same.
fn distance(output: &Operand, limit: f64, got: &[f64], want: &[f64]) -> Result<f64, Failure> {
    let View { offset, rows, cols, stride, .. } = output.view;
    let (mut apart, mut size, mut worst) = (0.0, 0.0, (-1.0, 0, 0));
    for (row, column) in (0..rows).flat_map(|r| (0..cols).map(move |c| (r, c))) {
        let at = offset + row * stride + column;
        let (got, want) = (got[at], want[at]);
        if got.is_nan() && !want.is_nan() {
            return Err(Failure::NotWritten { output: output.name, row, column });
        }
        if got == want || (got.is_nan() && want.is_nan()) {
            size += if want.is_finite() { want * want } else { 0.0 };
            continue;
        }
        let gap = (got - want).abs();
        apart += gap * gap;
        size += want * want;
        if gap > worst.0 || gap.is_nan() {
            worst = (gap, row, column);
        }
    }
    let error = if apart == 0.0 { 0.0 } else { (apart / size.max(f64::MIN_POSITIVE)).sqrt() };
    if error <= limit {
        return Ok(error);
    }
    let (_, row, column) = worst;
    let at = offset + row * stride + column;
    let (got, want) = (got[at], want[at]);
    Err(Failure::Wrong { output: output.name, error, limit, row, column, got, want })
}

/// Whether every element outside the outputs is what it was before.
fn untouched(case: &Case, outputs: &[Operand], got: &[Vec<f64>]) -> Result<(), Failure> {
    for (i, (before, after)) in case.content.iter().zip(got).enumerate() {
        let before: Vec<f64> = match before {
            Values::Real(x) => x.iter().map(|&x| f64::from(x)).collect(),
            Values::Index(x) => x.iter().map(|&x| f64::from(x)).collect(),
            Values::Bf16(x) => x.iter().map(|&x| f64::from(x)).collect(),
        };
        let views: Vec<View> =
            outputs.iter().map(|o| o.view).filter(|v| v.slot.0 as usize == i).collect();
        for (element, (a, b)) in before.iter().zip(after).enumerate() {
            let same = a == b || (a.is_nan() && b.is_nan());
            if !same && !views.iter().any(|v| holds(*v, element)) {
                let slot = case.layout.slots()[i].name.clone();
                return Err(Failure::Touched { slot, element });
            }
        }
    }
    Ok(())
}

fn holds(view: View, element: usize) -> bool {
    let Some(from) = element.checked_sub(view.offset) else { return false };
    from / view.stride < view.rows && from % view.stride < view.cols
}

#[cfg(test)]
mod gradients;
#[cfg(test)]
mod tests;
