//! The optimizer's step with moments in bf16, on operands that no binding holds; and how long a step
//! takes with either kind of moments.

use std::time::Instant;

use half::bf16;

use super::{device, numbers};
use crate::compute::cpu::CpuDevice;
use crate::compute::device::{Data, DataMut, Device, Executor};
use crate::compute::layout::{Element, Layout, Role, SlotId};
use crate::compute::op::{Op, Program, View};

/// Weight, gradient and both moments are the slots 0 to 3.
fn build(device: &dyn Device, len: usize, kept: Element) -> Box<dyn Executor> {
    let mut layout = Layout::default();
    let mut add = |element, len| View::vector(layout.add("x", element, len, Role::Parameter), len);
    let [param, grad] = [0, 1].map(|_| add(Element::Real, len));
    let [m, v] = [0, 1].map(|_| add(kept, len));
    let (clip, scalars) = (add(Element::Real, 2), add(Element::Real, 7));
    let op = match kept {
        Element::Bf16 => Op::AdamBf16 { param, grad, m, v, clip, scalars },
        _ => Op::Adam { param, grad, m, v, clip, scalars },
    };
    let program = Program { name: "step".into(), ops: vec![op] };
    let mut executor = device.build(&layout, &[program]).unwrap();
    let values = [0.999, 0.96, 0.95, 0.9, 1e-8, 1e-4, 1e-3];
    executor.write(clip.slot, 0, Data::Real(&[3.0, 0.5])).unwrap();
    executor.write(scalars.slot, 0, Data::Real(&values)).unwrap();
    executor
}

/// Weights and moments after three steps.
fn stepped(mut executor: Box<dyn Executor>, len: usize) -> [Vec<f32>; 3] {
    executor.write(SlotId(0), 0, Data::Real(&numbers(1, len))).unwrap();
    for seed in 2..5 {
        executor.write(SlotId(1), 0, Data::Real(&numbers(seed, len))).unwrap();
        executor.run(0).unwrap();
    }
    let mut weights = vec![0.0; len];
    executor.read(SlotId(0), 0, DataMut::Real(&mut weights)).unwrap();
    let [m, v] = [SlotId(2), SlotId(3)].map(|slot| {
        let mut halves = vec![bf16::ZERO; len];
        executor.read(slot, 0, DataMut::Bf16(&mut halves)).unwrap();
        halves.into_iter().map(f32::from).collect()
    });
    [weights, m, v]
}

#[test]
fn rounded_moments_are_stepped_across_bindings() {
    for len in [100_000, 100_003] {
        let Some(device) = device() else { return };
        let device = device.bounded(|bounds| bounds.binding = 1 << 16);
        let got = stepped(build(&device, len, Element::Bf16), len);
        let want = stepped(build(&CpuDevice::new(Some(2)), len, Element::Bf16), len);
        for (at, (got, want)) in got[0].iter().zip(&want[0]).enumerate() {
            assert!((got - want).abs() < 1e-5, "weight {at} of {len}: {got}, not {want}");
        }
        for (got, want) in got[1..].iter().zip(&want[1..]) {
            let mut apart = 0;
            for (at, (got, want)) in got.iter().zip(want).enumerate() {
                // One that is nearly half-way may go either way: one unit in the last place.
                let near = (got - want).abs() <= want.abs() / 128.0 + 1e-30;
                assert!(near, "moment {at} of {len}: {got}, not {want}");
                apart += usize::from(got != want);
            }
            assert!(apart < len / 100, "{apart} of {len} moments are apart");
        }
    }
}

#[test]
#[ignore = "a measurement: cargo test --release --lib -- --ignored --nocapture what_a_step_takes"]
fn what_a_step_takes() {
    const LEN: usize = 1 << 24;
    let cpu = CpuDevice::new(Some(2));
    let wgpu = device();
    let mut devices: Vec<&dyn Device> = vec![&cpu];
    devices.extend(wgpu.iter().map(|device| device as &dyn Device));
    for device in devices {
        for kept in [Element::Real, Element::Bf16, Element::Real, Element::Bf16] {
            let mut executor = build(device, LEN, kept);
            executor.write(SlotId(0), 0, Data::Real(&numbers(1, LEN))).unwrap();
            executor.write(SlotId(1), 0, Data::Real(&numbers(2, LEN))).unwrap();
            let mut one = [0.0_f32];
            let times: Vec<f64> = (0..7)
                .map(|_| {
                    let began = Instant::now();
                    executor.run(0).unwrap();
                    executor.read(SlotId(0), 0, DataMut::Real(&mut one)).unwrap();
                    began.elapsed().as_secs_f64()
                })
                .collect();
            let best = times.iter().copied().fold(f64::INFINITY, f64::min);
            let bytes = if kept == Element::Bf16 { 24.0 } else { 32.0 };
            println!(
                "{} {kept:?}: {:.1} ms for {LEN} weights, {:.1} GB/s",
                device.info().name,
                best * 1e3,
                bytes * LEN as f64 / best / 1e9
            );
        }
    }
}
