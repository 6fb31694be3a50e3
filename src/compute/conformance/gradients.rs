//! The backward formulas against finite differences of the forward formulas: with a random r and
//! L = sum of r * output, the gradient of L with respect to each input element must be what the
//! backward op gives for an upstream gradient r.

use super::setup::{Numbers, Place, Setup};
use super::{Case, Values, naive::Slots};
use crate::compute::op::{AttentionShape, Op, Rotation, View, Write};

/// Memory of a case, and its op.
fn open(case: &Case) -> (Slots, Op) {
    (Slots::new(&case.content), case.program.ops[0])
}

/// sum of r * output, with an r that depends only on the position.
fn weighed(slots: &Slots, output: View) -> f64 {
    cells(output).map(|(r, c)| upstream(r, c) * slots.get(output, r, c)).sum()
}

fn upstream(r: usize, c: usize) -> f64 {
    Numbers::of(&format!("{r} {c}")).between(-1.0, 1.0).into()
}

fn cells(v: View) -> impl Iterator<Item = (usize, usize)> {
    (0..v.rows).flat_map(move |r| (0..v.cols).map(move |c| (r, c)))
}

/// Asserts that `gradient` of the slots after the backward holds dL / d`input` of the forward.
fn assert_gradient(
    (before, forward): (&Slots, Op),
    output: View,
    input: View,
    (after, gradient): (&Slots, View),
) {
    const STEP: f64 = 1e-5;
    let loss = |r: usize, c: usize, by: f64| {
        let mut slots = before.clone();
        slots.set(input, r, c, slots.get(input, r, c) + by);
        slots.apply(&forward);
        weighed(&slots, output)
    };
    let mut largest = 0.0_f64;
    for (r, c) in cells(input) {
        let slope = (loss(r, c, STEP) - loss(r, c, -STEP)) / (2.0 * STEP);
        let given = after.get(gradient, r, c);
        largest = largest.max(given.abs());
        assert!((slope - given).abs() < 1e-7, "({r}, {c}): {given} given, {slope} by differences");
    }
    assert!(largest > 1e-3, "a gradient of zeros proves nothing");
}

/// Sets `view` to the upstream gradient.
fn seed(slots: &mut Slots, view: View) {
    cells(view).for_each(|(r, c)| slots.set(view, r, c, upstream(r, c)));
}

#[test]
fn rms_norm_backward_is_the_gradient() {
    let mut s = Setup::new("rms".into());
    let (m, e) = (5, 7);
    let x = s.input("x", m, e, Place::Dense);
    let weight = s.input_of("weight", 1, e, Place::Dense, |n| n.between(0.5, 1.5));
    let (y, rstd) = (s.output("y", m, e, Place::Dense), s.output("rstd", m, 1, Place::Dense));
    let (dy, dx) = (s.output("dy", m, e, Place::Dense), s.output("dx", m, e, Place::Dense));
    let dweight = s.update_of("dweight", 1, e, Place::Dense, |_| 0.0);
    let partial = s.output("partial", 1, e, Place::Dense);
    let (before, forward) = open(&s.case(Op::RmsNorm { x, weight, y, rstd }));
    let mut after = before.clone();
    after.apply(&forward);
    seed(&mut after, dy);
    let write = Write::Set;
    after.apply(&Op::RmsNormBackward { x, weight, rstd, dy, dx, write, dweight, partial });
    assert_gradient((&before, forward), y, x, (&after, dx));
    assert_gradient((&before, forward), y, weight, (&after, dweight));
}

#[test]
fn attention_backward_is_the_gradient() {
    let shape = AttentionShape { batch: 2, seq: 5, heads: 4, groups: 2, head_dim: 3 };
    let (rows, wide, narrow) = (10, 12, 6);
    let mut s = Setup::new("attention".into());
    let q = s.input("q", rows, wide, Place::Dense);
    let [k, v] = ["k", "v"].map(|name| s.input(name, rows, narrow, Place::Dense));
    let [out, dout, dq] = ["out", "dout", "dq"].map(|n| s.output(n, rows, wide, Place::Dense));
    let [dk, dv] = ["dk", "dv"].map(|n| s.output(n, rows, narrow, Place::Dense));
    let [lse, delta] = ["lse", "delta"].map(|n| s.output(n, rows, 4, Place::Dense));
    let (before, forward) = open(&s.case(Op::Attention { q, k, v, out, lse, shape }));
    let mut after = before.clone();
    after.apply(&forward);
    seed(&mut after, dout);
    after.apply(&Op::AttentionBackward { q, k, v, out, lse, dout, dq, dk, dv, delta, shape });
    for (input, gradient) in [(q, dq), (k, dk), (v, dv)] {
        assert_gradient((&before, forward), out, input, (&after, gradient));
    }
}

#[test]
fn gate_backwards_are_the_gradients() {
    let mut s = Setup::new("gates".into());
    let shape = |s: &mut Setup, name: &str| s.input(name, 3, 5, Place::Dense);
    let gate = s.input_of("gate", 3, 5, Place::Dense, |n| n.between(-4.0, 4.0));
    let [up, y, dy, dgate, dup] = ["up", "y", "dy", "dgate", "dup"].map(|n| shape(&mut s, n));
    let (before, swiglu) = open(&s.case(Op::SwiGlu { gate, up, out: y }));
    let mut after = before.clone();
    seed(&mut after, dy);
    after.apply(&Op::SwiGluBackward { gate, up, dout: dy, dgate, dup });
    assert_gradient((&before, swiglu), y, gate, (&after, dgate));
    assert_gradient((&before, swiglu), y, up, (&after, dup));

    after.apply(&Op::SiluBackward { x: gate, dy, dx: dgate });
    assert_gradient((&before, Op::Silu { x: gate, y }), y, gate, (&after, dgate));

    let relu = Op::Relu { x: gate, y };
    after.apply(&relu);
    after.apply(&Op::ReluBackward { y, dy, dx: dgate });
    assert_gradient((&before, relu), y, gate, (&after, dgate));
}

#[test]
fn rope_backward_is_the_gradient() {
    let mut s = Setup::new("rope".into());
    let x = s.update("x", 6, 8, Place::Dense);
    let table = s.input("table", 3, 4, Place::Dense);
    let rope = |rotation| Op::Rope { x, table, head_dim: 4, rotation };
    let (before, forward) = open(&s.case(rope(Rotation::Forward)));
    let mut after = before.clone();
    seed(&mut after, x);
    after.apply(&rope(Rotation::Backward));
    assert_gradient((&before, forward), x, x, (&after, x));
}

#[test]
fn embed_backward_is_the_gradient() {
    let mut s = Setup::new("embed".into());
    let mut next = [2, 0, 2, 7, 1].into_iter();
    let tokens = s.indices("tokens", 5, |_| next.next().unwrap());
    let table = s.input("table", 3, 4, Place::Dense);
    let out = s.output("out", 5, 4, Place::Dense);
    let grad = s.output("grad", 5, 4, Place::Dense);
    let table_grad = s.update_of("table_grad", 3, 4, Place::Dense, |_| 0.0);
    let (before, forward) = open(&s.case(Op::Embed { tokens, table, out }));
    let mut after = before.clone();
    seed(&mut after, grad);
    after.apply(&Op::EmbedBackward { tokens, grad, table_grad });
    assert_gradient((&before, forward), out, table, (&after, table_grad));
}

#[test]
fn cross_entropy_leaves_the_gradient_of_its_losses() {
    let mut s = Setup::new("loss".into());
    let logits = s.update_of("logits", 4, 6, Place::Dense, |n| n.between(-3.0, 3.0));
    let mut next = [5, 0, u32::MAX, 2].into_iter();
    let targets = s.indices("targets", 4, |_| next.next().unwrap());
    let losses = s.output("losses", 4, 1, Place::Dense);
    let op = Op::CrossEntropy { logits, targets, losses, scale: 1.0 };
    let case = s.case(op);
    assert!(matches!(case.content[0], Values::Real(_)));
    let (before, forward) = open(&case);
    let mut after = before.clone();
    after.apply(&forward);
    // The gradient of the sum of losses, each weighed by its upstream factor.
    for (r, c) in cells(logits) {
        let given = after.get(logits, r, c);
        after.set(logits, r, c, given * upstream(r, 0));
    }
    assert_gradient((&before, forward), losses, logits, (&after, logits));
}
