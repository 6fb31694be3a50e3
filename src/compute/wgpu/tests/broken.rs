//! Shaders with faults put into them: the self-test replaces what has another form and refuses the
//! device over what has none.

use std::ops::ControlFlow;

use super::device;
use crate::compute::conformance::{Case, cases};
use crate::compute::kind::OpKind;
use crate::compute::selftest::{Outcome, TestReport, Thoroughness, run_cases};
use crate::compute::wgpu::WgpuDevice;
use crate::compute::wgpu::choice::KernelForm;
use crate::compute::wgpu::kernels::Variant;

const HOW: Thoroughness = Thoroughness { repeats: 2, drawn: 0, seed: 1 };

/// Tests a device on some cases of the kinds that the tests below break.
fn test(device: &WgpuDevice) -> TestReport {
    let wanted = [OpKind::GemmNt, OpKind::RmsNorm, OpKind::Copy];
    let small = |case: &Case| case.kind().is_some_and(|kind| wanted.contains(&kind));
    let some: Vec<Case> = cases().into_iter().filter(small).collect();
    run_cases(device, &some, HOW, &mut |_| ControlFlow::Continue(()))
}

fn outcome(report: &TestReport, kind: OpKind) -> Outcome {
    report.kinds.iter().find(|verdict| verdict.kind == kind).unwrap().outcome
}

/// Products in tiles leave out the last term of every sum.
fn short_sums(variant: &Variant, source: String) -> String {
    if variant.kernel.name == "gemm_tiles" {
        assert!(source.contains("k0 + ak < p.k"));
        source.replace("k0 + ak < p.k", "k0 + ak + 1u < p.k")
    } else {
        source
    }
}

/// Products in tiles are no program at all.
fn no_code(variant: &Variant, source: String) -> String {
    if variant.kernel.name == "gemm_tiles" { "this is no shader".to_owned() } else { source }
}

/// Every norm is off, in whatever form.
fn wrong_norms(variant: &Variant, source: String) -> String {
    if variant.kernel.name == "rmsnorm" {
        assert!(source.contains("1e-5"));
        source.replace("1e-5", "0.5")
    } else {
        source
    }
}

#[test]
fn a_fast_product_that_is_wrong_or_refused_is_replaced_by_the_simple_one() {
    for spoil in [short_sums, no_code] {
        let Some(device) = device() else { return };
        let report = test(&device.with_gpu_kernels().spoiled(spoil));
        assert!(report.is_usable(), "{:?}", report.refusal());
        assert_eq!(outcome(&report, OpKind::GemmNt), Outcome::Replaced);
        assert_eq!(outcome(&report, OpKind::RmsNorm), Outcome::Passed);
        let replaced: Vec<_> = report.choice.replaced().collect();
        assert_eq!(replaced, [(OpKind::GemmNt, KernelForm::Alone)]);
    }
}

#[test]
fn a_kernel_that_is_wrong_in_every_form_refuses_the_device() {
    let Some(device) = device() else { return };
    let report = test(&device.with_gpu_kernels().spoiled(wrong_norms));
    assert!(!report.is_usable());
    assert!(report.refusal().unwrap().contains("kernel norm"), "{:?}", report.refusal());
    assert_eq!(outcome(&report, OpKind::GemmNt), Outcome::Passed);
}
