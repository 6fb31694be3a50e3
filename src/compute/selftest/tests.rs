//! The test of the test, on a device whose forms can be broken at will.

use std::collections::BTreeSet;

use super::*;
use crate::compute::device::{Data, DataMut, DeviceInfo, Executor};
use crate::compute::layout::{Layout, SlotId};
use crate::compute::op::Program;

/// The processor, pretending to have forms, of which some give wrong numbers.
#[derive(Clone, Debug, Default)]
struct Patchy {
    choice: KernelChoice,
    /// Kinds, with the simplest form that is wrong.
    broken: Vec<(OpKind, KernelForm)>,
    /// Kinds with one form only.
    alone: Vec<OpKind>,
    lost: Option<OpKind>,
    /// A kind whose every second run differs a little.
    racy: Option<OpKind>,
}

#[derive(Debug)]
struct PatchyExecutor {
    inner: Box<dyn Executor>,
    wrong: bool,
    lost: bool,
    racy: bool,
    runs: u32,
}

impl Patchy {
    fn kind(programs: &[Program]) -> Option<OpKind> {
        programs.first().and_then(|p| p.ops.first()).map(OpKind::of)
    }
}

impl Testable for Patchy {
    fn in_forms(&self, choice: KernelChoice) -> Box<dyn Device> {
        Box::new(Self { choice, ..self.clone() })
    }

    fn kernels_of(&self, choice: KernelChoice, case: &Case) -> BTreeSet<String> {
        let kind = case.kind().unwrap();
        let form = choice.form(kind).word();
        let form = if self.alone.contains(&kind) { "only" } else { form };
        BTreeSet::from([format!("{kind} {form}")])
    }
}

impl Device for Patchy {
    fn info(&self) -> &DeviceInfo {
        static INFO: std::sync::OnceLock<DeviceInfo> = std::sync::OnceLock::new();
        INFO.get_or_init(|| CpuDevice::new(Some(1)).info().clone())
    }

    fn build(&self, layout: &Layout, p: &[Program]) -> Result<Box<dyn Executor>, BuildError> {
        let kind = Self::kind(p);
        let wrong = self.broken.iter().any(|(broken, simplest)| {
            Some(*broken) == kind && self.choice.form(*broken) <= *simplest
        });
        let lost = self.lost.is_some() && self.lost == kind;
        let racy = self.racy.is_some() && self.racy == kind;
        let inner = CpuDevice::new(Some(1)).build(layout, p)?;
        Ok(Box::new(PatchyExecutor { inner, wrong, lost, racy, runs: 0 }))
    }
}

impl Executor for PatchyExecutor {
    fn run(&mut self, program: usize) -> Result<(), DeviceFault> {
        if self.lost {
            return Err(DeviceFault::Lost { device: "patchy".into(), why: "reset".into() });
        }
        self.runs += 1;
        self.inner.run(program)
    }
    fn write(&mut self, slot: SlotId, offset: usize, data: Data<'_>) -> Result<(), DeviceFault> {
        self.inner.write(slot, offset, data)
    }
    fn read(&mut self, slot: SlotId, offset: usize, out: DataMut<'_>) -> Result<(), DeviceFault> {
        let DataMut::Wide(out) = out else { return self.inner.read(slot, offset, out) };
        self.inner.read(slot, offset, DataMut::Wide(&mut *out))?;
        if self.racy && self.runs.is_multiple_of(2) {
            out.iter_mut().filter(|x| x.abs() < 1e20).for_each(|x| *x += 1e-9);
        }
        if self.wrong {
            out.iter_mut().filter(|x| x.is_finite()).for_each(|x| *x += 0.5);
        }
        Ok(())
    }
}

const HOW: Thoroughness = Thoroughness { repeats: 2, drawn: 0, seed: 1 };

/// Some cases of three kinds.
fn cases() -> Vec<Case> {
    let names = ["gemm_nt_m17_k33_n65", "gemm_nt_m3_k5_n1", "rms_norm_m3_e5", "copy_7x33"];
    conformance::cases().into_iter().filter(|c| names.contains(&c.name.as_str())).collect()
}

fn verdict(report: &TestReport, kind: OpKind) -> &KindVerdict {
    report.kinds.iter().find(|v| v.kind == kind).unwrap()
}

fn test(device: &Patchy) -> TestReport {
    run_cases(device, &cases(), HOW, &mut |_| ControlFlow::Continue(()))
}

#[test]
fn a_sound_device_passes_with_its_fast_forms() {
    let report = test(&Patchy::default());
    assert!(report.is_usable() && report.covered && !report.stopped && report.refusal().is_none());
    assert_eq!((report.done, report.choice), (4, KernelChoice::default()));
    let gemm = verdict(&report, OpKind::GemmNt);
    assert_eq!((gemm.outcome, gemm.cases), (Outcome::Passed, 2));
    assert_eq!(verdict(&report, OpKind::Adam).outcome, Outcome::Untested);
}

#[test]
fn a_wrong_fast_form_is_replaced_by_the_next_right_one_and_all_its_cases_run_again() {
    let broken = vec![(OpKind::GemmNt, KernelForm::Alone)];
    let report = test(&Patchy { broken, ..Patchy::default() });
    let gemm = verdict(&report, OpKind::GemmNt);
    assert_eq!((gemm.outcome, gemm.form, gemm.cases), (Outcome::Replaced, KernelForm::Single, 2));
    assert_eq!(gemm.failures.len(), 2);
    assert!(report.is_usable());
    let replaced: Vec<_> = report.choice.replaced().collect();
    assert_eq!(replaced, [(OpKind::GemmNt, KernelForm::Single)]);
}

#[test]
fn a_kind_without_a_right_form_refuses_the_device_by_name() {
    let broken = vec![(OpKind::RmsNorm, KernelForm::Single)];
    let report = test(&Patchy { broken, ..Patchy::default() });
    assert_eq!(verdict(&report, OpKind::RmsNorm).outcome, Outcome::Failed);
    let why = report.refusal().unwrap();
    assert!(why.contains("kernel norm") && why.contains("rms_norm_m3_e5"), "{why}");
    // The others are tested all the same: the report is whole.
    assert_eq!(verdict(&report, OpKind::Copy).outcome, Outcome::Passed);
}

#[test]
fn numbers_that_move_from_run_to_run_are_a_race_however_small_the_step() {
    let report = test(&Patchy { racy: Some(OpKind::RmsNorm), ..Patchy::default() });
    let norm = verdict(&report, OpKind::RmsNorm);
    assert_eq!(norm.outcome, Outcome::Failed);
    assert!(norm.failures[0].why.contains("differs between two runs"), "{:?}", norm.failures);
}

#[test]
fn a_form_that_is_the_same_code_is_not_tried_again() {
    let broken = vec![(OpKind::Copy, KernelForm::Shared)];
    let alone = vec![OpKind::Copy];
    let report = test(&Patchy { broken, alone, ..Patchy::default() });
    let copy = verdict(&report, OpKind::Copy);
    assert_eq!((copy.outcome, copy.failures.len()), (Outcome::Failed, 1));
}

#[test]
fn a_device_that_is_lost_is_refused_at_once() {
    let report = test(&Patchy { lost: Some(OpKind::GemmNt), ..Patchy::default() });
    assert_eq!(report.done, 1);
    assert!(report.refusal().unwrap().contains("lost in the self-test (reset)"));
}

#[test]
fn whoever_watches_may_stop_and_the_rest_is_untested() {
    let mut seen = Vec::new();
    let report = run_cases(&Patchy::default(), &cases(), HOW, &mut |progress| {
        seen.push(progress);
        if seen.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(report.stopped && !report.covered && report.is_usable());
    assert_eq!(report.done, 2);
    // Each kernel once before any of them twice.
    let kinds: Vec<_> = seen.iter().map(|p| (p.kind, p.covered)).collect();
    let (gemm, norm, copy) = (OpKind::GemmNt, OpKind::RmsNorm, OpKind::Copy);
    assert_eq!(kinds, [(gemm, false), (norm, false), (copy, false)]);
    assert_eq!(verdict(&report, copy).outcome, Outcome::Untested);
}

#[test]
fn the_processor_passes_its_own_test() {
    let device = CpuDevice::new(Some(1));
    let report = run(&device, HOW, &mut |_| ControlFlow::Continue(()));
    assert!(report.is_usable(), "{:?}", report.refusal());
    assert_eq!(report.with_outcome(Outcome::Passed).count(), OpKind::COUNT);
}
