//! Elementwise ops, packing and unpacking.

use super::{Case, PLACES, Place, Setup};
use crate::compute::op::{Op, View};

const SHAPES: [(usize, usize); 4] = [(1, 1), (7, 33), (1, 1000), (65, 129)];

/// Adds all cases of this file.
pub fn add_to(all: &mut Vec<Case>) {
    for (place, word) in PLACES {
        for (rows, cols) in SHAPES {
            add_shape(all, (rows, cols), place, word);
        }
    }
    all.push(columns_of_a_wider_matrix());
    all.push(gates_side_by_side());
    all.push(saturated_gates());
    all.push(pack_ties_and_specials());
}

/// Every op of this file on one shape.
pub(super) fn add_shape(
    all: &mut Vec<Case>,
    (rows, cols): (usize, usize),
    place: Place,
    word: &str,
) {
    let name = |op: &str| Setup::new(format!("{op}_{rows}x{cols}{word}"));
    simple(all, &name, (rows, cols, place));
    gated(all, &name, (rows, cols, place));
    wire(all, &name, (rows, cols, place));
}

type Shape = (usize, usize, Place);

fn simple(all: &mut Vec<Case>, name: &impl Fn(&str) -> Setup, (rows, cols, place): Shape) {
    let mut s = name("fill");
    let dst = s.output("dst", rows, cols, place);
    all.push(s.case(Op::Fill { dst, value: -1.5 }));

    let mut s = name("copy");
    let src = s.input("src", rows, cols, Place::Dense);
    let dst = s.output("dst", rows, cols, place);
    all.push(s.case(Op::Copy { src, dst }));

    let mut s = name("add");
    let src = s.input("src", rows, cols, place);
    let dst = s.update("dst", rows, cols, Place::Dense);
    all.push(s.case(Op::Add { src, dst }));

    let mut s = name("relu");
    let x = s.input("x", rows, cols, place);
    let y = s.output("y", rows, cols, place);
    all.push(s.case(Op::Relu { x, y }));

    let mut s = name("relu_backward");
    let y = s.input_of("y", rows, cols, place, |n| n.between(-1.0, 1.0).max(0.0));
    let dy = s.input("dy", rows, cols, place);
    let dx = s.output("dx", rows, cols, place);
    all.push(s.case(Op::ReluBackward { y, dy, dx }));
}

fn gated(all: &mut Vec<Case>, name: &impl Fn(&str) -> Setup, (rows, cols, place): Shape) {
    let wide = |n: &mut super::super::setup::Numbers| n.between(-12.0, 12.0);
    let mut s = name("silu");
    let x = s.input_of("x", rows, cols, place, wide);
    let y = s.output("y", rows, cols, place);
    all.push(s.case(Op::Silu { x, y }));

    let mut s = name("silu_backward");
    let x = s.input_of("x", rows, cols, place, wide);
    let dy = s.input("dy", rows, cols, place);
    let dx = s.output("dx", rows, cols, place);
    all.push(s.case(Op::SiluBackward { x, dy, dx }));

    let mut s = name("swiglu");
    let gate = s.input_of("gate", rows, cols, place, wide);
    let up = s.input("up", rows, cols, place);
    let out = s.output("out", rows, cols, place);
    all.push(s.case(Op::SwiGlu { gate, up, out }));

    let mut s = name("swiglu_backward");
    let gate = s.input_of("gate", rows, cols, place, wide);
    let up = s.input("up", rows, cols, place);
    let dout = s.input("dout", rows, cols, Place::Dense);
    let dgate = s.output("dgate", rows, cols, place);
    let dup = s.output("dup", rows, cols, place);
    all.push(s.case(Op::SwiGluBackward { gate, up, dout, dgate, dup }));
}

fn wire(all: &mut Vec<Case>, name: &impl Fn(&str) -> Setup, (rows, cols, place): Shape) {
    let mut s = name("pack");
    let src = s.input_of("src", rows, cols, Place::Dense, |n| n.between(-300.0, 300.0));
    let dst = s.wire("dst", (rows, cols), place, 3.0, |_| f32::NAN);
    all.push(s.case(Op::Pack { src, dst }));

    let mut s = name("unpack");
    let src = s.wire("src", (rows, cols), place, f32::NAN, |n| n.between(-300.0, 300.0));
    let dst = s.output("dst", rows, cols, Place::Dense);
    all.push(s.case(Op::Unpack { src, dst }));
}

/// A narrow residual onto the first columns of a wide matrix (spec 8.5).
fn columns_of_a_wider_matrix() -> Case {
    let mut s = Setup::new("add_to_the_first_columns_of_a_wider_matrix".into());
    let src = s.input("src", 37, 10, Place::Dense);
    let dst = s.update("dst", 37, 48, Place::Dense);
    s.case(Op::Add { src, dst: dst.columns(0, 10) })
}

/// Gate and up are the halves of one matrix, and so are their gradients.
fn gates_side_by_side() -> Case {
    let mut s = Setup::new("swiglu_backward_halves_of_one_matrix".into());
    let both = s.input("both", 9, 66, Place::Dense);
    let dout = s.input("dout", 9, 33, Place::Dense);
    let dboth = s.output("dboth", 9, 66, Place::Dense);
    let halves = |v: View| (v.columns(0, 33), v.columns(33, 33));
    let ((gate, up), (dgate, dup)) = (halves(both), halves(dboth));
    s.case(Op::SwiGluBackward { gate, up, dout, dgate, dup })
}

/// Far into both tails, where exp overflows or vanishes.
fn saturated_gates() -> Case {
    let mut s = Setup::new("swiglu_gates_of_100".into());
    let ends = [-100.0, 100.0, -89.0, 89.0, -20.0, 20.0, 0.0];
    let mut next = ends.into_iter().cycle();
    let gate = s.input_of("gate", 4, 7, Place::Dense, |_| next.next().unwrap_or(0.0));
    let up = s.input("up", 4, 7, Place::Dense);
    let out = s.output("out", 4, 7, Place::Dense);
    s.case(Op::SwiGlu { gate, up, out })
}

/// Halfway cases of both parities, infinities, signed zeros and NaN.
fn pack_ties_and_specials() -> Case {
    let mut s = Setup::new("pack_ties_infinities_nan".into());
    let special = [
        1.003_906_3,
        1.011_718_8,
        -1.003_906_3,
        3.389_531_4e38,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
        0.0,
        -0.0,
        f32::MAX,
        1.003_906_4,
    ];
    let mut next = special.into_iter().cycle();
    let src = s.input_of("src", 1, special.len(), Place::Dense, |_| next.next().unwrap_or(0.0));
    let dst = s.wire("dst", (1, special.len()), Place::Dense, 3.0, |_| 5.0);
    s.case(Op::Pack { src, dst })
}
