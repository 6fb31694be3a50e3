//! Every kernel in every variant that lowering can ask for, through naga for all three targets.

use std::collections::BTreeMap;

use naga::back::{hlsl, msl, spv};
use naga::valid::{Capabilities, ValidationFlags, Validator};

use crate::compute::kind::OpKind;
use crate::compute::layout::{Element, Layout, Role};
use crate::compute::op::{AttentionShape, Form, Op, Rotation, View, Write};
use crate::compute::wgpu::choice::{KernelChoice, KernelForm};
use crate::compute::wgpu::kernels::Variant;
use crate::compute::wgpu::lower::{Bounds, Class, Lowering};

/// Every op once, for matrices of `rows` x `cols`.
fn every_op(layout: &mut Layout, rows: usize, cols: usize, head_dim: usize) -> Vec<Op> {
    let mut add = |element| layout.add("x", element, 4 * rows * cols, Role::Scratch);
    let [a, b, c, d, e, f, g, h, i] =
        std::array::from_fn(|_| View::matrix(add(Element::Real), rows, cols));
    let vector = |v: View| View::vector(v.slot, cols);
    let column = |v: View| View::matrix(v.slot, rows, 1);
    let one = |v: View| View::vector(v.slot, 1);
    let tokens = column(View::matrix(add(Element::Index), rows, 1));
    let [packed, other] = std::array::from_fn(|_| View::matrix(add(Element::Bf16), rows, cols));
    let (scale, value, max_norm) = (1.0, 1.0, 1.0);
    let mut ops = vec![
        Op::Fill { dst: a, value },
        Op::Fill { dst: View { stride: cols + 4, ..a }, value },
        Op::Copy { src: a, dst: b },
        Op::Add { src: a, dst: View { stride: cols + 1, ..b } },
        Op::Embed { tokens, table: a, out: b },
        Op::EmbedBackward { tokens, grad: a, table_grad: b },
        Op::RmsNorm { x: a, weight: vector(b), y: c, rstd: column(d) },
        Op::Rope { x: a, table: b, head_dim, rotation: Rotation::Forward },
        Op::SwiGlu { gate: a, up: b, out: c },
        Op::SwiGluBackward { gate: a, up: b, dout: c, dgate: d, dup: e },
        Op::Silu { x: a, y: b },
        Op::SiluBackward { x: a, dy: b, dx: c },
        Op::Relu { x: a, y: b },
        Op::ReluBackward { y: a, dy: b, dx: c },
        Op::CrossEntropy { logits: a, targets: tokens, losses: column(b), scale },
        Op::Sum { src: a, dst: one(b), scale },
        Op::Sum { src: View { stride: cols + 1, ..a }, dst: one(b), scale },
        Op::SumSquares { src: a, dst: one(b) },
        Op::ClipFactor { squares: vector(a), dst: View::vector(b.slot, 2), max_norm },
        Op::Adam {
            param: a,
            grad: b,
            m: c,
            v: d,
            clip: View::vector(e.slot, 2),
            scalars: View::vector(e.slot, 7),
        },
        Op::AdamBf16 {
            param: a,
            grad: b,
            m: packed,
            v: other,
            clip: View::vector(e.slot, 2),
            scalars: View::vector(e.slot, 7),
        },
        Op::Pack { src: a, dst: packed },
        Op::Unpack { src: packed, dst: a },
    ];
    for write in [Write::Set, Write::Add] {
        let (weight, rstd, dweight, partial) = (vector(b), column(c), vector(f), g);
        ops.push(Op::RmsNormBackward { x: a, weight, rstd, dy: d, dx: e, write, dweight, partial });
        for form in [Form::NN, Form::NT, Form::TN] {
            let square = |v| View { rows: cols, ..v };
            ops.push(Op::Gemm { form, a: square(a), b: square(b), c: square(c), write });
        }
    }
    let shape = AttentionShape { batch: 1, seq: rows, heads: 1, groups: 1, head_dim };
    let head = |v| View { cols: head_dim, ..v };
    let (q, k, v, out, lse) = (head(a), head(b), head(c), head(d), column(e));
    ops.push(Op::Attention { q, k, v, out, lse, shape });
    let (dout, dq, dk, dv, delta) = (head(f), head(g), head(h), head(i), column(e));
    let lse = View { offset: rows, ..lse };
    ops.push(Op::AttentionBackward { q, k, v, out, lse, dout, dq, dk, dv, delta, shape });
    ops
}

fn every_variant() -> BTreeMap<String, Variant> {
    let mut variants = BTreeMap::new();
    for class in [Class::Gpu, Class::Processor] {
        for subgroup in [None, Some(8)] {
            for form in [KernelForm::Shared, KernelForm::Alone, KernelForm::Single] {
                let choice = OpKind::ALL
                    .into_iter()
                    .fold(KernelChoice::default(), |c, kind| c.with(kind, form));
                let (binding, align, cost) = (1 << 27, 256, u64::MAX);
                let bounds = Bounds { binding, align, cost, class, subgroup, choice };
                for (rows, cols, head_dim) in [(128, 128, 64), (7, 19, 6), (2048, 2048, 128)] {
                    let mut layout = Layout::default();
                    let ops = every_op(&mut layout, rows, cols, head_dim);
                    let mut lowering = Lowering::new(&layout, bounds);
                    for op in &ops {
                        lowering.op(op).unwrap_or_else(|why| panic!("{op:?}: {why}"));
                    }
                    variants
                        .extend(lowering.take().into_iter().map(|c| (c.variant.key(), c.variant)));
                }
            }
        }
    }
    variants
}

#[test]
fn every_variant_is_valid_on_vulkan_metal_and_direct3d() {
    let variants = every_variant();
    assert!(variants.len() > 80, "only {} variants", variants.len());
    for (key, variant) in &variants {
        let source = variant.wgsl().unwrap_or_else(|error| panic!("{key}: {error}"));
        let module = naga::front::wgsl::parse_str(&source)
            .unwrap_or_else(|error| panic!("{key}:\n{}", error.emit_to_string(&source)));
        // No capability beyond WebGPU's, but for variants that ask for subgroups.
        let subgroups = if source.contains("subgroup") {
            Capabilities::SUBGROUP
        } else {
            Capabilities::empty()
        };
        let mut validator = Validator::new(ValidationFlags::all(), subgroups);
        let info = validator
            .validate(&module)
            .unwrap_or_else(|error| panic!("{key}:\n{}", error.emit_to_string(&source)));
        let words = spv::write_vec(&module, &info, &spv::Options::default(), None);
        assert!(!words.unwrap_or_else(|error| panic!("{key}: {error}")).is_empty());
        let options = msl::Options { fake_missing_bindings: true, ..Default::default() };
        let text = msl::write_string(&module, &info, &options, &Default::default());
        assert!(text.unwrap_or_else(|error| panic!("{key}: {error}")).0.contains("kernel"));
        let mut text = String::new();
        let (options, pipeline) = (hlsl::Options::default(), hlsl::PipelineOptions::default());
        let mut writer = hlsl::Writer::new(&mut text, &options, &pipeline);
        writer.write(&module, &info, None).unwrap_or_else(|error| panic!("{key}: {error}"));
        assert!(text.contains("numthreads"), "{key}");
    }
}

#[test]
fn kernels_ask_for_as_many_buffers_as_they_declare() {
    for (key, variant) in every_variant() {
        let source = variant.wgsl().unwrap_or_default();
        let declared = source.matches("var<storage").count();
        assert_eq!(declared, variant.kernel.access.len(), "{key}");
        assert!(declared <= 8, "{key} needs more buffers than every device has");
    }
}
