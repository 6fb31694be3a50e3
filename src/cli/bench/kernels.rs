//! Kernels: how fast each is, and whether its results are those of the reference in f64.

use super::BenchError;
use super::items::Item;
use super::measure::{Effort, measure};
use super::record::{Checksum, KernelResult};
use crate::clock::Clock;
use crate::compute::check::{Access, operands};
use crate::compute::conformance::REAL_LIMIT;
use crate::compute::conformance::setup::Numbers;
use crate::compute::cpu::CpuDevice;
use crate::compute::op::View;
use crate::compute::{
    Data, DataMut, Device, DeviceFault, Element, Executor, Form, Op, Program, SlotId,
};

/// Elements of a product that are worked out for comparison.
const SAMPLES: usize = 48;
/// Terms of a sum up to which [`REAL_LIMIT`] holds; beyond, rounding grows with their square root.
const SHORT_SUM: f64 = 1024.0;

/// Measures one item on a device.
///
/// # Errors
/// [`BenchError`] if the device cannot run it.
pub fn bench(
    item: &Item,
    device: &dyn Device,
    clock: &Clock,
    effort: Effort,
) -> Result<KernelResult, BenchError> {
    let content = content(item);
    let mut executor = open(item, device, &content)?;
    executor.run(PREPARE)?;
    executor.run(MEASURED)?;
    // Before anything is run a second time: some ops work in place.
    let check = match item.op {
        Op::Gemm { form, a, b, c, .. } => products(executor.as_mut(), form, [a, b, c], &content)?,
        _ => whole(item, executor.as_mut(), &content)?,
    };
    let seconds = measure(clock, effort, |runs| {
        for _ in 0..runs {
            executor.run(MEASURED)?;
        }
        wait(executor.as_mut(), item.sync)
    })?;
    Ok(KernelResult {
        kernel: item.kind().word().to_owned(),
        shape: item.shape.clone(),
        gflops: item.flops / seconds.median / 1e9,
        gigabytes: item.bytes / seconds.median / 1e9,
        seconds,
        check,
    })
}

/// Position of the program that makes an op's inputs.
const PREPARE: usize = 0;
/// Position of the program that is measured.
const MEASURED: usize = 1;

fn open(
    item: &Item,
    device: &dyn Device,
    content: &[Content],
) -> Result<Box<dyn Executor>, BenchError> {
    let program = |name: &str, ops: &[Op]| Program { name: name.to_owned(), ops: ops.to_vec() };
    let programs = [program("prepare", &item.prepare), program("measured", &[item.op])];
    let mut executor = device.build(&item.layout, &programs)?;
    for (slot, content) in (0..).map(SlotId).zip(content) {
        match content {
            Content::Real(values) => executor.write(slot, 0, Data::Real(values))?,
            Content::Index(values) => executor.write(slot, 0, Data::Index(values))?,
        }
    }
    Ok(executor)
}

/// Waits until all that was started is done.
fn wait(executor: &mut dyn Executor, slot: SlotId) -> Result<(), DeviceFault> {
    executor.read(slot, 0, DataMut::Real(&mut [0.0]))
}

/// What is in a slot at the start.
enum Content {
    Real(Vec<f32>),
    Index(Vec<u32>),
}

/// The same numbers on every machine.
fn content(item: &Item) -> Vec<Content> {
    let slots = item.layout.slots().iter();
    slots
        .map(|slot| {
            let mut numbers = Numbers::of(&format!("{} {}", item.shape, slot.name));
            match slot.element {
                Element::Index => {
                    Content::Index((0..slot.len).map(|_| numbers.below(item.indices)).collect())
                }
                _ => {
                    let (low, high) = item.range(&slot.name);
                    Content::Real((0..slot.len).map(|_| numbers.between(low, high)).collect())
                }
            }
        })
        .collect()
}

/// Single elements of C against sums in f64: the whole product would take the reference longer than
/// the device.
fn products(
    executor: &mut dyn Executor,
    form: Form,
    [a, b, c]: [View; 3],
    content: &[Content],
) -> Result<Checksum, BenchError> {
    let of = |view: View| match &content[view.slot.0 as usize] {
        Content::Real(values) => values.as_slice(),
        Content::Index(_) => &[],
    };
    let (left, right) = (of(a), of(b));
    let depth = if form == Form::TN { a.rows } else { a.cols };
    let mut numbers = Numbers::of("samples of a product");
    let mut sum = Comparison::default();
    for _ in 0..SAMPLES {
        let row = numbers.below(u32::try_from(c.rows).unwrap_or(u32::MAX)) as usize;
        let col = numbers.below(u32::try_from(c.cols).unwrap_or(u32::MAX)) as usize;
        let at = |view: View, r: usize, c: usize| view.offset + r * view.stride + c;
        let term = |k: usize| {
            let (x, y) = match form {
                Form::NN => (at(a, row, k), at(b, k, col)),
                Form::NT => (at(a, row, k), at(b, col, k)),
                Form::TN => (at(a, k, row), at(b, k, col)),
            };
            f64::from(left[x]) * f64::from(right[y])
        };
        let want: f64 = (0..depth).map(term).sum();
        let mut got = [0.0];
        executor.read(c.slot, at(c, row, col), DataMut::Wide(&mut got))?;
        sum.add(got[0], want);
    }
    let limit = REAL_LIMIT * (depth as f64 / SHORT_SUM).sqrt().max(1.0);
    Ok(sum.checksum(limit))
}

/// Every output against the same programs on the reference.
fn whole(
    item: &Item,
    executor: &mut dyn Executor,
    content: &[Content],
) -> Result<Checksum, BenchError> {
    let mut reference = open(item, &CpuDevice::oracle(), content)?;
    reference.run(PREPARE)?;
    reference.run(MEASURED)?;
    let mut sum = Comparison::default();
    let outputs = operands(&item.op);
    for output in outputs.iter().filter(|o| matches!(o.access, Access::Write | Access::Update)) {
        let view = output.view;
        let read = |executor: &mut dyn Executor| -> Result<Vec<f64>, DeviceFault> {
            let mut values = vec![0.0; view.end() - view.offset];
            executor.read(view.slot, view.offset, DataMut::Wide(&mut values))?;
            Ok(values)
        };
        let (got, want) = (read(executor)?, read(reference.as_mut())?);
        got.into_iter().zip(want).for_each(|(got, want)| sum.add(got, want));
    }
    Ok(sum.checksum(REAL_LIMIT))
}

/// Two streams of numbers, compared.
#[derive(Default)]
pub(super) struct Comparison {
    count: u64,
    got: f64,
    want: f64,
    apart: f64,
    size: f64,
}

impl Comparison {
    /// The next pair.
    pub(super) fn add(&mut self, got: f64, want: f64) {
        // Signs that look random, so that the sum notices numbers in the wrong place.
        let sign =
            if (self.count.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63) == 0 { 1.0 } else { -1.0 };
        self.count += 1;
        self.got += sign * got;
        self.want += sign * want;
        self.apart += (got - want) * (got - want);
        self.size += want * want;
    }

    /// Relative error in the L2 norm.
    pub(super) fn error(&self) -> f64 {
        if self.apart == 0.0 { 0.0 } else { (self.apart / self.size).sqrt() }
    }

    pub(super) fn checksum(&self, limit: f64) -> Checksum {
        Checksum { device: self.got, reference: self.want, error: self.error(), limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_the_wrong_place_change_the_checksum() {
        let sum = |values: &[f64]| {
            let mut comparison = Comparison::default();
            values.iter().for_each(|x| comparison.add(*x, *x));
            comparison.checksum(0.1).device
        };
        assert_ne!(sum(&[1.0, 2.0, 3.0, 5.0]), sum(&[2.0, 1.0, 5.0, 3.0]));
    }

    #[test]
    fn what_is_no_number_never_agrees() {
        let mut comparison = Comparison::default();
        comparison.add(f64::NAN, 1.0);
        assert!(!comparison.checksum(1.0).agrees());
        let mut comparison = Comparison::default();
        comparison.add(1.0, 0.0);
        assert!(!comparison.checksum(1.0).agrees());
        let mut comparison = Comparison::default();
        comparison.add(0.0, 0.0);
        assert!(comparison.checksum(1e-9).agrees());
    }
}
