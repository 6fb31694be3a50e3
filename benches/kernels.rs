//! Kernels at the practice model's sizes, on the processor and on whatever adapter there is: the
//! measuring of `hearth bench`, for sizes that only a developer cares about.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use hearth::cli::bench::items::{Scale, others, product};
use hearth::cli::bench::kernels::bench;
use hearth::cli::bench::measure::Effort;
use hearth::clock::Clock;
use hearth::compute::cpu::CpuDevice;
use hearth::compute::wgpu::{AdapterChoice, WgpuDevice};
use hearth::compute::{Device, Form};

/// m, n, k of the demo model's products: projections, both ways through the feed-forward, the head.
const SIZES: [(usize, usize, usize); 4] =
    [(512, 128, 128), (512, 384, 128), (512, 128, 384), (512, 4096, 128)];

fn main() {
    measure(&CpuDevice::new(None));
    match WgpuDevice::open(&AdapterChoice::AllowSoftware) {
        Ok(device) => measure(&device),
        Err(why) => println!("no wgpu: {why}"),
    }
}

fn measure(device: &dyn Device) {
    println!("{:?}", device.info());
    let mut items = Vec::new();
    for (m, n, k) in SIZES {
        items.push(product(Form::NT, (m, n, k)));
        items.push(product(Form::NN, (m, k, n)));
        // The weight's gradient sums over the rows.
        items.push(product(Form::TN, (n, k, m)));
    }
    items.extend(others(Scale::Small));
    for item in &items {
        let result = bench(item, device, &Clock::system(), Effort::FULL).unwrap();
        assert!(result.check.agrees(), "{} {}: {:?}", result.kernel, result.shape, result.check);
        println!(
            "{:19} {:35} {:9.3} ms {:8.1} GFLOP/s {:8.1} GB/s",
            result.kernel,
            result.shape,
            1e3 * result.seconds.median,
            result.gflops,
            result.gigabytes,
        );
    }
}
