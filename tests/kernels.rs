//! Every kernel case on every device of this machine, one named test each:
//! `cpu::gemm_nt_m17_k33_n65_add` and so on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use hearth::compute::conformance::{cases, run};
use hearth::compute::cpu::CpuDevice;
use hearth::compute::device::Device;
use hearth::compute::wgpu::{AdapterChoice, WgpuDevice};
use libtest_mimic::{Arguments, Trial};

/// The devices that this machine can offer, each with the first part of its tests' names.
fn devices() -> Vec<(&'static str, Arc<dyn Device>)> {
    let mut all: Vec<(&'static str, Arc<dyn Device>)> =
        vec![("cpu", Arc::new(CpuDevice::new(None)))];
    match WgpuDevice::open(&AdapterChoice::AllowSoftware) {
        Ok(device) => all.push(("wgpu", Arc::new(device))),
        Err(why) => {
            // The project's own checks install a software adapter and say so.
            assert!(std::env::var_os("HEARTH_REQUIRE_WGPU").is_none(), "{why}");
            eprintln!("no wgpu: {why}");
        }
    }
    all
}

fn main() {
    let arguments = Arguments::from_args();
    let cases = Arc::new(cases());
    let mut trials = Vec::new();
    for (word, device) in devices() {
        for (index, case) in cases.iter().enumerate() {
            let (cases, device) = (Arc::clone(&cases), Arc::clone(&device));
            trials.push(Trial::test(format!("{word}::{}", case.name), move || {
                run(&cases[index], device.as_ref()).map(|_| ()).map_err(Into::into)
            }));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}
