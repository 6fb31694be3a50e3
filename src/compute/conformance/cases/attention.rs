//! Attention, forward and backward.

use super::{Case, PLACES, Place, Setup};
use crate::compute::op::{AttentionShape, Op, View};

/// batch, seq, heads, groups, head_dim.
const SHAPES: [[usize; 5]; 9] = [
    [1, 1, 1, 1, 1],
    [2, 1, 4, 2, 8],
    [2, 7, 4, 2, 8],
    [1, 65, 2, 2, 32],
    [3, 33, 6, 3, 10],
    [1, 130, 4, 1, 16],
    [2, 64, 2, 1, 64],
    [1, 17, 3, 1, 128],
    [1, 200, 1, 1, 5],
];

/// Adds all cases of this file.
pub fn add_to(all: &mut Vec<Case>) {
    for shape in SHAPES.map(shaped) {
        all.push(forward(shape, 1.0, Place::Dense, ""));
        all.push(backward(shape, 1.0, Place::Dense, ""));
    }
    for (place, word) in PLACES.into_iter().skip(1) {
        for shape in [[2, 7, 4, 2, 8], [1, 70, 2, 1, 12]].map(shaped) {
            all.push(forward(shape, 1.0, place, word));
            all.push(backward(shape, 1.0, place, word));
        }
    }
    let shape = shaped([1, 40, 2, 1, 16]);
    all.push(forward(shape, 9.0, Place::Dense, "_large_scores"));
    all.push(backward(shape, 9.0, Place::Dense, "_large_scores"));
    all.push(backward_of_fused_projections());
}

pub(super) fn shaped([batch, seq, heads, groups, head_dim]: [usize; 5]) -> AttentionShape {
    AttentionShape { batch, seq, heads, groups, head_dim }
}

fn name(op: &str, shape: AttentionShape, word: &str) -> String {
    let AttentionShape { batch, seq, heads, groups, head_dim } = shape;
    format!("{op}_b{batch}_s{seq}_h{heads}_g{groups}_d{head_dim}{word}")
}

/// Rows, and columns of q and of k.
fn sizes(shape: AttentionShape) -> (usize, usize, usize) {
    let rows = shape.batch * shape.seq;
    (rows, shape.heads * shape.head_dim, shape.groups * shape.head_dim)
}

fn projections(s: &mut Setup, shape: AttentionShape, size: f32, place: Place) -> [View; 3] {
    let (rows, wide, narrow) = sizes(shape);
    let q = s.input_of("q", rows, wide, place, |n| size * n.between(-1.0, 1.0));
    let k = s.input_of("k", rows, narrow, place, |n| size * n.between(-1.0, 1.0));
    [q, k, s.input("v", rows, narrow, place)]
}

pub(super) fn forward(shape: AttentionShape, size: f32, place: Place, word: &str) -> Case {
    let mut s = Setup::new(name("attention", shape, word));
    let (rows, wide, _) = sizes(shape);
    let [q, k, v] = projections(&mut s, shape, size, place);
    let out = s.output("out", rows, wide, place);
    let lse = s.output("lse", rows, shape.heads, place);
    s.case(Op::Attention { q, k, v, out, lse, shape })
}

/// out and lse are not those of a forward: each op is held to its formula for any input. lse is
/// large enough for weights to stay near or below one.
pub(super) fn backward(shape: AttentionShape, size: f32, place: Place, word: &str) -> Case {
    let mut s = Setup::new(name("attention_backward", shape, word));
    let (rows, wide, narrow) = sizes(shape);
    let [q, k, v] = projections(&mut s, shape, size, place);
    let out = s.input("out", rows, wide, place);
    let high = size * size * (shape.head_dim as f32).sqrt() / 3.0;
    let lse = s.input_of("lse", rows, shape.heads, place, |n| n.between(high, high + 2.0));
    let dout = s.input("dout", rows, wide, place);
    let dq = s.output("dq", rows, wide, place);
    let dk = s.output("dk", rows, narrow, place);
    let dv = s.output("dv", rows, narrow, place);
    let delta = s.output("delta", rows, shape.heads, place);
    s.case(Op::AttentionBackward { q, k, v, out, lse, dout, dq, dk, dv, delta, shape })
}

/// q, k and v are columns of one matrix, and so are their gradients.
fn backward_of_fused_projections() -> Case {
    let shape = shaped([2, 9, 4, 2, 6]);
    let mut s = Setup::new(name("attention_backward", shape, "_fused_projections"));
    let (rows, wide, narrow) = sizes(shape);
    let parts = |v: View| {
        let (k, v_from) = (wide, wide + narrow);
        (v.columns(0, wide), v.columns(k, narrow), v.columns(v_from, narrow))
    };
    let (q, k, v) = parts(s.input("qkv", rows, wide + 2 * narrow, Place::Dense));
    let out = s.input("out", rows, wide, Place::Dense);
    let lse = s.input_of("lse", rows, shape.heads, Place::Dense, |n| n.between(1.0, 3.0));
    let dout = s.input("dout", rows, wide, Place::Dense);
    let (dq, dk, dv) = parts(s.output("dqkv", rows, wide + 2 * narrow, Place::Dense));
    let delta = s.output("delta", rows, shape.heads, Place::Dense);
    s.case(Op::AttentionBackward { q, k, v, out, lse, dout, dq, dk, dv, delta, shape })
}
