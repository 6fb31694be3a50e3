//! Measurements, not tests: run them alone, with `--ignored --nocapture`.

use std::time::Instant;

use super::gemm::stored;
use super::{device, numbers};
use crate::compute::device::{Data, DataMut, Device};
use crate::compute::layout::{Element, Layout, Role};
use crate::compute::op::{AttentionShape, Form, Op, Program, Rotation, View, Write};
use crate::compute::wgpu::WgpuDevice;

/// Best wall time of one run of an op, in milliseconds, with the slots full of numbers.
fn best_ms(device: &WgpuDevice, layout: &Layout, op: Op) -> f64 {
    let program = Program { name: "speed".to_owned(), ops: vec![op] };
    let mut executor = device.build(layout, &[program]).unwrap();
    for (id, slot) in (0..).map(crate::compute::layout::SlotId).zip(layout.slots()) {
        let ids: Vec<u32> = (0..slot.len as u32).map(|i| i.wrapping_mul(7919) % 4096).collect();
        match slot.element {
            Element::Real => executor.write(id, 0, Data::Real(&numbers(1, slot.len))).unwrap(),
            Element::Index => executor.write(id, 0, Data::Index(&ids)).unwrap(),
            Element::Bf16 => {}
        }
    }
    let first = crate::compute::layout::SlotId(0);
    let mut best = f64::INFINITY;
    for _ in 0..8 {
        let start = Instant::now();
        executor.run(0).unwrap();
        executor.read(first, 0, DataMut::Real(&mut [0.0])).unwrap();
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
    }
    best
}

/// Products at the practice model's shapes.
#[test]
#[ignore = "a measurement"]
fn products() {
    let Some(device) = device() else { return };
    println!("{:?}", device.info());
    let shapes = [(512, 128, 128), (512, 384, 128), (512, 128, 384), (512, 4096, 128)];
    for (m, n, k) in shapes {
        for form in [Form::NN, Form::NT, Form::TN] {
            // The weight's gradient sums over the 512 rows.
            let (m, n, k) = if form == Form::TN { (n, k, m) } else { (m, n, k) };
            let mut layout = Layout::default();
            let [a, b, c] = stored(form, (m, n, k)).map(|(rows, cols)| {
                View::matrix(layout.add("x", Element::Real, rows * cols, Role::Scratch), rows, cols)
            });
            let ms = best_ms(&device, &layout, Op::Gemm { form, a, b, c, write: Write::Set });
            let rate = 2.0 * (m * n * k) as f64 / ms / 1e6;
            println!("{form:?} {m:4} {n:4} {k:4}: {ms:7.2} ms {rate:6.2} GFLOP/s");
        }
    }
}

/// Everything else, at the same shapes.
#[test]
#[ignore = "a measurement"]
fn other_ops() {
    let Some(device) = device() else { return };
    let mut layout = Layout::default();
    let shape = AttentionShape { batch: 4, seq: 128, heads: 4, groups: 2, head_dim: 32 };
    let (rows, width, vocab) = (512, 128, 4096);
    let mut real = |rows: usize, cols: usize| {
        View::matrix(layout.add("x", Element::Real, rows * cols, Role::Scratch), rows, cols)
    };
    let [q, out, dout, dq, x, y, dx] = std::array::from_fn(|_| real(rows, width));
    let [k, v, dk, dv] = std::array::from_fn(|_| real(rows, width / 2));
    let (lse, delta, rstd, losses) = (real(rows, 4), real(rows, 4), real(rows, 1), real(rows, 1));
    let (logits, table, table_grad) = (real(rows, vocab), real(vocab, width), real(vocab, width));
    let (weight, dweight, partial) = (real(1, width), real(1, width), real(8, width));
    let (m, moment, clip, scalars, one) =
        (real(vocab, width), real(vocab, width), real(1, 2), real(1, 7), real(1, 1));
    let rotary = real(128, 32);
    let ids = View::matrix(layout.add("ids", Element::Index, rows, Role::Wire), rows, 1);
    let wire = View::matrix(layout.add("w", Element::Bf16, rows * width, Role::Wire), rows, width);
    let (scale, write) = (1.0, Write::Set);
    let ops = [
        ("attention", Op::Attention { q, k, v, out, lse, shape }),
        (
            "attention backward",
            Op::AttentionBackward { q, k, v, out, lse, dout, dq, dk, dv, delta, shape },
        ),
        ("cross entropy", Op::CrossEntropy { logits, targets: ids, losses, scale }),
        ("embed", Op::Embed { tokens: ids, table, out: x }),
        ("embed backward", Op::EmbedBackward { tokens: ids, grad: x, table_grad }),
        ("norm", Op::RmsNorm { x, weight, y, rstd }),
        (
            "norm backward",
            Op::RmsNormBackward { x, weight, rstd, dy: y, dx, write, dweight, partial },
        ),
        ("rope", Op::Rope { x, table: rotary, head_dim: 32, rotation: Rotation::Forward }),
        ("swiglu", Op::SwiGlu { gate: x, up: y, out: dx }),
        ("add", Op::Add { src: x, dst: y }),
        ("pack", Op::Pack { src: x, dst: wire }),
        ("squares", Op::SumSquares { src: table, dst: one }),
        ("adam", Op::Adam { param: table, grad: table_grad, m, v: moment, clip, scalars }),
    ];
    for (name, op) in ops {
        println!("{name:20} {:7.2} ms", best_ms(&device, &layout, op));
    }
}
