//! The shared kernel suite on this backend, in the ways that a user's machine may differ from the
//! one adapter that is here: the kernels of the other class, and bindings that hold next to nothing.
//! (The adapter as it is runs the suite in `tests/kernels.rs`.)

use super::device;
use crate::compute::conformance::{Case, cases, run};
use crate::compute::wgpu::WgpuDevice;

/// What a device of tiny bindings may say of a row, block or sequence that it cannot hold.
const TOO_LARGE: &str = "larger than the device's largest binding";

fn failures(device: &WgpuDevice) -> Vec<String> {
    let run = |case: &Case| run(case, device).err().map(|why| format!("{}: {why}", case.name));
    cases().iter().filter_map(run).collect()
}

fn pass_all(device: &WgpuDevice) {
    let failures = failures(device);
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn the_suite_passes_with_the_kernels_for_gpus() {
    let Some(device) = device() else { return };
    pass_all(&device.with_gpu_kernels());
}

#[test]
fn the_suite_passes_without_subgroups() {
    let Some(device) = device() else { return };
    pass_all(&device.bounded(|bounds| bounds.subgroup = None));
}

#[test]
fn the_suite_passes_in_pieces_when_bindings_hold_sixteen_kibibytes() {
    let Some(device) = device() else { return };
    let failures = failures(&device.bounded(|bounds| bounds.binding = 16 << 10));
    let (too_large, wrong): (Vec<_>, Vec<_>) =
        failures.iter().partition(|failure| failure.contains(TOO_LARGE));
    assert!(wrong.is_empty(), "{} failed:\n{wrong:?}", wrong.len());
    assert!(too_large.len() < 24, "more refused than the widest shapes: {too_large:?}");
}
