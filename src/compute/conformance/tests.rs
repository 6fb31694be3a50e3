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
    assert_eq!(ops.len(), 24, "{ops:?}");
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
