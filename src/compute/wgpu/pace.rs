//! How much a device is given at once. A desktop resets a GPU that is silent for two seconds, so that a
//! slow one gets its work in smaller submissions; a fast one gets a whole pass in one.

use std::time::Duration;

use super::{GPU_COST, WgpuDevice};
use crate::compute::device::{BuildError, DataMut, Device as _};
use crate::compute::layout::{Element, Layout, Role};
use crate::compute::op::{Form, Op, Program, View, Write};

/// Side of the square product that is timed: 2 GFLOP.
const SIDE: usize = 1024;
/// Seconds that one submission is to take at most, by the timed product. Other kernels are slower for
/// the same cost, which leaves a quarter of the two seconds.
const AIM: f64 = 0.25;
/// The least that is given at once.
const LEAST: u64 = 100_000_000;

impl WgpuDevice {
    /// Times a product (`now` tells the time), and bounds submissions so that a slow device is not taken
    /// for one that hangs. The bound goes in steps of four: two measurements of the same device agree.
    ///
    /// # Errors
    /// [`BuildError`] if the device fails.
    pub fn paced(self, now: &dyn Fn() -> Duration) -> Result<Self, BuildError> {
        let mut layout = Layout::default();
        let [a, b, c] = ["a", "b", "c"].map(|name| {
            let slot = layout.add(name, Element::Real, SIDE * SIDE, Role::Scratch);
            View { slot, offset: 0, rows: SIDE, cols: SIDE, stride: SIDE }
        });
        let ops = vec![Op::Gemm { form: Form::NT, a, b, c, write: Write::Set }];
        let program = Program { name: "pace".to_owned(), ops };
        let mut executor = self.build(&layout, &[program])?;
        let mut timed = || {
            let start = now();
            executor.run(0)?;
            executor.read(c.slot, 0, DataMut::Real(&mut [0.0]))?;
            Ok::<_, BuildError>(now().saturating_sub(start))
        };
        // The first run may still compile.
        timed()?;
        let taken = timed()?;
        let cost = 2 * (SIDE as u64).pow(3);
        Ok(self.giving_at_once(bound(cost, taken)))
    }

    /// The same device, given so much at once, in units of a kernel's cost.
    fn giving_at_once(self, cost: u64) -> Self {
        let bounds = super::Bounds { cost, ..self.shared.bounds };
        let shared = super::Shared { bounds, ..super::Shared::clone(&self.shared) };
        Self { shared: std::sync::Arc::new(shared) }
    }
}

/// The most cost for one submission of a device that took so long for this one.
#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn bound(cost: u64, taken: Duration) -> u64 {
    let aim = cost as f64 * AIM / taken.as_secs_f64().max(1e-9);
    let mut bound = GPU_COST;
    while bound as f64 > aim && bound / 4 >= LEAST {
        bound /= 4;
    }
    bound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_devices_get_all_at_once_and_slow_ones_small_pieces() {
        let cost = 2 << 30;
        let taken = |ms| bound(cost, Duration::from_millis(ms));
        assert_eq!([taken(0), taken(1), taken(5)], [GPU_COST; 3]);
        // 2 GFLOP in 100 ms: half a second is 10 GFLOP.
        assert_eq!(taken(100), GPU_COST / 64);
        assert!(taken(100) as f64 / cost as f64 * 0.1 <= AIM);
        assert_eq!(taken(1_000_000), GPU_COST / 256);
    }

    #[test]
    fn a_measured_device_computes_as_before() {
        let Some(device) = super::super::tests::device() else { return };
        let calls = std::cell::Cell::new(0_u64);
        let slow = || {
            calls.set(calls.get() + 1);
            Duration::from_millis(100 * calls.get())
        };
        let device = device.with_gpu_kernels().paced(&slow).unwrap();
        assert_eq!(device.shared.bounds.cost, GPU_COST / 64);
        let cases = crate::compute::conformance::cases();
        for case in cases.iter().filter(|case| case.name.starts_with("gemm")).take(8) {
            crate::compute::conformance::run(case, &device).unwrap();
        }
    }
}
