//! Numbers of a vector file that follow from floating-point work: equal within a tolerance.

use std::sync::Arc;

use hearth::compute::Device;
use hearth::compute::cpu::CpuDevice;
use hearth::compute::wgpu::{AdapterChoice, WgpuDevice};
use serde_json::{Value, json};

use crate::vector::Json;

/// How far a number of the file may be from ours: relative to the larger, plus absolute.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    pub relative: f64,
    pub absolute: f64,
}

/// What the file has to say at a place where we computed `ours`: what it says, if that is near
/// enough, else ours.
pub fn near(file: &Json, ours: &[f64], tolerance: Tolerance) -> Value {
    let theirs: Vec<f64> = file.items().iter().map(Json::f64).collect();
    json!(if within(&theirs, ours, tolerance) { &theirs } else { ours })
}

/// [`near`] for a single number.
pub fn near_one(file: &Json, ours: f64, tolerance: Tolerance) -> Value {
    let theirs = file.f64();
    json!(if within(&[theirs], &[ours], tolerance) { theirs } else { ours })
}

/// Whether two lists are as long as each other and near everywhere.
pub fn within(theirs: &[f64], ours: &[f64], tolerance: Tolerance) -> bool {
    let Tolerance { relative, absolute } = tolerance;
    let near = |(x, y): (&f64, &f64)| (x - y).abs() <= relative * x.abs().max(y.abs()) + absolute;
    theirs.len() == ours.len() && theirs.iter().zip(ours).all(near)
}

/// The numbers of a list of lists, row after row.
pub fn flat(file: &Json) -> Vec<f64> {
    if file.text().starts_with('[') {
        return file.items().iter().flat_map(flat).collect();
    }
    vec![file.f64()]
}

/// A list of lists of numbers as it is.
pub fn echo(file: &Json) -> Value {
    if file.text().starts_with('[') {
        return json!(file.items().iter().map(echo).collect::<Vec<_>>());
    }
    json!(file.f64())
}

/// Token ids, row after row.
pub fn tokens(file: &Json) -> Vec<u32> {
    let rows = file.items().iter();
    rows.flat_map(|row| row.items().iter().map(|t| u32::try_from(t.u64()).unwrap())).collect()
}

/// The devices that this machine can offer: the oracle, the processor, and an adapter if there is one.
pub fn devices() -> Vec<Arc<dyn Device>> {
    let mut all: Vec<Arc<dyn Device>> =
        vec![Arc::new(CpuDevice::oracle()), Arc::new(CpuDevice::new(None))];
    match WgpuDevice::open(&AdapterChoice::AllowSoftware) {
        Ok(device) => all.push(Arc::new(device)),
        // The project's own checks install a software adapter and say so.
        Err(why) => assert!(std::env::var_os("HEARTH_REQUIRE_WGPU").is_none(), "{why}"),
    }
    all
}
