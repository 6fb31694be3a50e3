//! Tests of the wgpu backend: the shaders by naga for every target, the splitting of large
//! operands, and both forms of the kernels on whatever adapter there is.

mod broken;
mod conformance;
mod gemm;
mod large;
mod lost;
mod memory;
mod shaders;
mod step;

use std::sync::Arc;

use super::lower::{Bounds, Class};
use super::pipeline::{Pipelines, Spoil};
use super::{AdapterChoice, KernelForm, Shared, WgpuDevice};
use crate::compute::kind::OpKind;

/// Any adapter. Without one the caller's test is skipped, unless the environment says that there
/// must be one (as the project's own checks do).
pub(super) fn device() -> Option<WgpuDevice> {
    match WgpuDevice::open(&AdapterChoice::AllowSoftware) {
        Ok(device) => Some(device),
        Err(error) => {
            assert!(std::env::var_os("HEARTH_REQUIRE_WGPU").is_none(), "{error}");
            eprintln!("skipped: {error}");
            None
        }
    }
}

impl WgpuDevice {
    /// The same adapter with tighter bounds, or with the other form of the kernels.
    pub(super) fn bounded(self, change: impl FnOnce(&mut Bounds)) -> Self {
        let mut shared = Arc::into_inner(self.shared).expect("a device of its own");
        change(&mut shared.bounds);
        Self { shared: Arc::<Shared>::new(shared) }
    }

    /// With faults in its kernels, which are compiled anew.
    pub(super) fn spoiled(self, spoil: Spoil) -> Self {
        let mut shared = Arc::into_inner(self.shared).expect("a device of its own");
        let mut pipelines = Pipelines::new(&shared.device);
        pipelines.spoil = Some(spoil);
        shared.pipelines = Arc::new(pipelines);
        Self { shared: Arc::<Shared>::new(shared) }
    }

    /// Lost as soon as it is given a kernel of this kind in this form, as by a driver that hangs on it.
    pub(super) fn crashing_on(self, kind: OpKind, form: KernelForm) -> Self {
        let mut shared = Arc::into_inner(self.shared).expect("a device of its own");
        shared.crashes_on = Some((kind, form));
        Self { shared: Arc::<Shared>::new(shared) }
    }

    /// With the kernels for real GPUs, whatever it is.
    pub(super) fn with_gpu_kernels(self) -> Self {
        self.bounded(|bounds| bounds.class = Class::Gpu)
    }
}

impl Shared {
    /// Loses the device if one of these kernels is the one that a test named.
    pub(super) fn crash_after(&self, mut kinds: impl Iterator<Item = OpKind>) {
        if let Some((kind, form)) = self.crashes_on
            && self.bounds.choice.form(kind) == form
            && kinds.any(|given| given == kind)
        {
            self.device.destroy();
        }
    }
}

/// Numbers between -1 and 1 that look random and are the same every time.
pub(super) fn numbers(seed: u32, len: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..len).map(|_| next()).collect()
}
