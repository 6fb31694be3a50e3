//! The suite itself: the oracle against the formulas, and that each kind of fault is found.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::compute::device::{DeviceInfo, Executor};
use crate::compute::op::Op;

#[test]
fn the_oracle_follows_the_formulas_in_every_case() {
    let failed: Vec<String> = cases()
        .iter()
        .filter_map(|case| check_oracle(case).err().map(|e| format!("{}: {e}", case.name)))
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn names_are_unique_and_every_op_has_cases() {
    let all = cases();
    let names: BTreeSet<&str> = all.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names.len(), all.len());
    let variant = |op: &Op| {
        let text = format!("{op:?}");
        text.split([' ', '{']).next().unwrap_or_default().to_owned()
    };
    let ops: BTreeSet<String> =
        all.iter().flat_map(|c| c.program.ops.iter().map(variant)).collect();
    assert_eq!(ops.len(), 25, "{ops:?}");
}

/// The f32 device with a fault put into what is read from it.
#[derive(Debug)]
struct Faulty {
    inner: CpuDevice,
    fault: Fault,
    builds: AtomicU32,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    /// Adds to an element.
    Off(SlotId, usize, f64),
    /// Adds a little in every second executor.
    Unsteady(SlotId, usize),
}

#[derive(Debug)]
struct FaultyExecutor {
    inner: Box<dyn Executor>,
    fault: Fault,
    build: u32,
}

impl Device for Faulty {
    fn info(&self) -> &DeviceInfo {
        self.inner.info()
    }
    fn build(&self, layout: &Layout, p: &[Program]) -> Result<Box<dyn Executor>, BuildError> {
        let inner = self.inner.build(layout, p)?;
        let build = self.builds.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(FaultyExecutor { inner, fault: self.fault, build }))
    }
}

impl Executor for FaultyExecutor {
    fn run(&mut self, program: usize) -> Result<(), DeviceFault> {
        self.inner.run(program)
    }
    fn write(&mut self, slot: SlotId, offset: usize, data: Data<'_>) -> Result<(), DeviceFault> {
        self.inner.write(slot, offset, data)
    }
    fn read(&mut self, slot: SlotId, offset: usize, out: DataMut<'_>) -> Result<(), DeviceFault> {
        let DataMut::Wide(out) = out else { return self.inner.read(slot, offset, out) };
        self.inner.read(slot, offset, DataMut::Wide(&mut *out))?;
        match self.fault {
            Fault::Off(s, at, by) if s == slot => out[at] += by,
            Fault::Unsteady(s, at) if s == slot && self.build % 2 == 1 => out[at] += 1e-9,
            _ => {}
        }
        Ok(())
    }
}

/// What the suite says to a fault in the strided product of 17 x 33 x 65.
fn verdict_on(fault: impl FnOnce(View) -> Fault) -> Result<Verdict, Failure> {
    let case = cases().into_iter().find(|c| c.name == "gemm_nt_m17_k33_n65_add_strided").unwrap();
    let output = outputs(&case)[0];
    let inner = CpuDevice::new(Some(1));
    run(&case, &Faulty { inner, fault: fault(output.view), builds: AtomicU32::new(0) })
}

#[test]
fn a_right_device_passes() {
    let verdict = verdict_on(|_| Fault::None).unwrap();
    assert!(verdict.error > 0.0 && verdict.error < REAL_LIMIT);
}

#[test]
fn one_wrong_element_is_found_and_named() {
    let at = |c: View| c.offset + 16 * c.stride + 64;
    let failed = verdict_on(|c| Fault::Off(c.slot, at(c), 0.01));
    assert!(
        matches!(failed, Err(Failure::Wrong { output: "c", row: 16, column: 64, .. })),
        "{failed:?}"
    );
}

#[test]
fn an_unwritten_element_is_found() {
    let failed = verdict_on(|c| Fault::Off(c.slot, c.offset, f64::NAN));
    assert!(
        matches!(failed, Err(Failure::NotWritten { output: "c", row: 0, column: 0 })),
        "{failed:?}"
    );
}

#[test]
fn a_write_between_rows_is_found() {
    let failed = verdict_on(|c| Fault::Off(c.slot, c.offset + c.cols, 1e30));
    assert!(matches!(failed, Err(Failure::Touched { element: 70, .. })), "{failed:?}");
}

#[test]
fn a_change_of_an_input_is_found() {
    let failed = verdict_on(|_| Fault::Off(SlotId(0), 5, 1.0));
    assert!(matches!(failed, Err(Failure::Touched { element: 5, .. })), "{failed:?}");
}

#[test]
fn numbers_that_change_from_run_to_run_are_found() {
    let failed = verdict_on(|c| Fault::Unsteady(c.slot, c.offset));
    assert!(matches!(failed, Err(Failure::NotRepeatable { output: "c" })), "{failed:?}");
}

/// What rounding adds up to over many steps, against moments that are never rounded. Each step rounds a
/// moment by at most 2^-8 of itself and keeps beta of what was off before: at most 2^-8 / (1 - beta) of
/// the largest that it was. Roundings go both ways, so that in the whole it is far less.
#[test]
fn rounded_moments_stay_near_the_unrounded_ones() {
    const COUNT: usize = 4099;
    let beta: [f32; 2] = [0.96, 0.95];
    let build = |device: &CpuDevice, kept: Element| {
        let mut layout = Layout::default();
        let mut add = |element, len| {
            let slot = layout.add("x", element, len, crate::compute::Role::Scratch);
            View::vector(slot, len)
        };
        let real = Element::Real;
        let [param, grad] = [add(real, COUNT), add(real, COUNT)];
        let [m, v] = [add(kept, COUNT), add(kept, COUNT)];
        let (clip, scalars) = (add(real, 2), add(real, 7));
        let op = match kept {
            Element::Bf16 => Op::AdamBf16 { param, grad, m, v, clip, scalars },
            _ => Op::Adam { param, grad, m, v, clip, scalars },
        };
        let program = Program { name: "step".into(), ops: vec![op] };
        let mut executor = device.build(&layout, &[program]).unwrap();
        executor.write(clip.slot, 0, Data::Real(&[1.0, 1.0])).unwrap();
        let step = [0.999, beta[0], beta[1], 0.9, 1e-8, 1e-4, 1e-3];
        executor.write(scalars.slot, 0, Data::Real(&step)).unwrap();
        executor
    };
    let mut exact = build(&CpuDevice::oracle(), Element::Real);
    let mut rounded = build(&CpuDevice::new(Some(2)), Element::Bf16);
    let mut numbers = setup::Numbers::of("rounded moments");
    let (mut largest, mut off, mut size) = ([0.0_f64; 2], [0.0_f64; 2], [0.0_f64; 2]);
    for _ in 0..200 {
        // Gradients of one size around a mean that is a tenth of it.
        let grad: Vec<f32> = (0..COUNT).map(|_| numbers.between(-0.9, 1.1)).collect();
        for executor in [&mut exact, &mut rounded] {
            executor.write(SlotId(1), 0, Data::Real(&grad)).unwrap();
            executor.run(0).unwrap();
        }
        for (i, slot) in [SlotId(2), SlotId(3)].into_iter().enumerate() {
            let mut want = vec![0.0; COUNT];
            exact.read(slot, 0, DataMut::Wide(&mut want)).unwrap();
            let mut got = vec![bf16::ZERO; COUNT];
            rounded.read(slot, 0, DataMut::Bf16(&mut got)).unwrap();
            largest[i] = want.iter().fold(largest[i], |most, x| most.max(x.abs()));
            let bound = largest[i] / 256.0 / (1.0 - f64::from(beta[i]));
            (off[i], size[i]) = (0.0, 0.0);
            for (want, got) in want.iter().zip(&got) {
                let gap = (want - f64::from(*got)).abs();
                assert!(gap <= bound, "{want} became {got}: {gap} is above {bound}");
                off[i] += gap * gap;
                size[i] += want * want;
            }
        }
    }
    for i in 0..2 {
        let error = (off[i] / size[i]).sqrt();
        assert!(error > 0.0 && error < 0.02, "moment {i} is off by {error}");
    }
}
