//! Sums, clipping and the optimizer's step.

use super::{Case, PLACES, Place, Setup};
use crate::compute::layout::Element;
use crate::compute::op::{Op, View};

/// Adds all cases of this file.
pub fn add_to(all: &mut Vec<Case>) {
    for (place, word) in PLACES {
        for (rows, cols) in [(1, 1), (33, 65), (1, 1000), (3, 70_001)] {
            all.push(sum(rows, cols, place, word));
            all.push(sum_squares(rows, cols, place, word));
        }
        for (rows, cols) in [(1, 1), (7, 33), (1, 5000)] {
            all.push(adam(rows, cols, place, word));
            all.push(adam_bf16(rows, cols, place, word));
        }
    }
    all.push(clip("below_the_limit", &[0.01, 0.02, 0.03]));
    all.push(clip("above_the_limit", &[4.0; 300]));
    all.push(clip("of_zeros", &[0.0; 3]));
    all.push(clip("of_one", &[9.0]));
    all.push(clip("of_infinity", &[1.0, f32::INFINITY]));
    all.push(clip("of_nan", &[1.0, f32::NAN]));
    all.push(adam_without_nesterov());
    for moments in [Element::Real, Element::Bf16] {
        all.push(adam_with_a_broken_gradient(moments));
    }
}

pub(super) fn sum(rows: usize, cols: usize, place: Place, word: &str) -> Case {
    let mut s = Setup::new(format!("sum_{rows}x{cols}{word}"));
    let src = s.input_of("src", rows, cols, place, |n| n.between(0.0, 12.0));
    let dst = s.output("dst", 1, 1, place);
    s.case(Op::Sum { src, dst, scale: 0.75 })
}

pub(super) fn sum_squares(rows: usize, cols: usize, place: Place, word: &str) -> Case {
    let mut s = Setup::new(format!("sum_squares_{rows}x{cols}{word}"));
    let src = s.input("src", rows, cols, place);
    let dst = s.output("dst", 1, 1, place);
    s.case(Op::SumSquares { src, dst })
}

fn clip(word: &str, squares: &[f32]) -> Case {
    let mut s = Setup::new(format!("clip_factor_{word}"));
    let mut next = squares.iter().copied();
    let squares =
        s.input_of("squares", 1, squares.len(), Place::Strided, |_| next.next().unwrap_or(0.0));
    let dst = s.output("dst", 1, 2, Place::Strided);
    s.case(Op::ClipFactor { squares, dst, max_norm: 0.5 })
}

/// decay, beta1, beta2, bias2, eps, step_g, step_m, as in the tenth step.
const NADAM: [f32; 7] = [0.999_97, 0.9, 0.95, 0.401_263, 1e-8, 3.1e-4, 2.4e-3];

/// Two moments: numbers in place, as wide as they are kept.
fn moments(s: &mut Setup, shape: (usize, usize), place: Place, kept: Element) -> [View; 2] {
    [("m", -0.1), ("v", 0.0)].map(|(name, least)| match kept {
        Element::Bf16 => s.wire(name, shape, place, 3.0, |n| n.between(least, 0.1)),
        _ => s.update_of(name, shape.0, shape.1, place, |n| n.between(least, 0.1)),
    })
}

fn op(kept: Element, [param, grad, m, v]: [View; 4], [clip, scalars]: [View; 2]) -> Op {
    match kept {
        Element::Bf16 => Op::AdamBf16 { param, grad, m, v, clip, scalars },
        _ => Op::Adam { param, grad, m, v, clip, scalars },
    }
}

fn step(
    name: String,
    (rows, cols): (usize, usize),
    place: Place,
    scalars: [f32; 7],
    kept: Element,
) -> Case {
    let mut s = Setup::new(name);
    let param = s.update("param", rows, cols, place);
    let grad = s.update("grad", rows, cols, place);
    let [m, v] = moments(&mut s, (rows, cols), place, kept);
    let mut next = [3.0, 0.37].into_iter();
    let clip = s.input_of("clip", 1, 2, Place::Dense, |_| next.next().unwrap_or(0.0));
    let mut next = scalars.into_iter();
    let scalars = s.input_of("scalars", 1, 7, Place::Dense, |_| next.next().unwrap_or(0.0));
    s.case(op(kept, [param, grad, m, v], [clip, scalars]))
}

pub(super) fn adam(rows: usize, cols: usize, place: Place, word: &str) -> Case {
    step(format!("adam_{rows}x{cols}{word}"), (rows, cols), place, NADAM, Element::Real)
}

pub(super) fn adam_bf16(rows: usize, cols: usize, place: Place, word: &str) -> Case {
    step(format!("adam_bf16_{rows}x{cols}{word}"), (rows, cols), place, NADAM, Element::Bf16)
}

fn adam_without_nesterov() -> Case {
    let [decay, beta1, beta2, bias2, eps, _, step_m] = NADAM;
    let scalars = [decay, beta1, beta2, bias2, eps, 0.0, step_m];
    step("adam_without_nesterov".into(), (5, 21), Place::Dense, scalars, Element::Real)
}

/// A factor of 0 takes away even an infinite or undefined gradient.
fn adam_with_a_broken_gradient(kept: Element) -> Case {
    let word = if kept == Element::Bf16 { "_bf16" } else { "" };
    let mut s = Setup::new(format!("adam{word}_with_a_broken_gradient_and_a_factor_of_0"));
    let param = s.update("param", 3, 5, Place::Dense);
    let mut next = [1.0, f32::INFINITY, f32::NEG_INFINITY, f32::NAN].into_iter().cycle();
    let grad = s.update_of("grad", 3, 5, Place::Dense, |_| next.next().unwrap_or(0.0));
    let [m, v] = moments(&mut s, (3, 5), Place::Dense, kept);
    let mut next = [f32::INFINITY, 0.0].into_iter();
    let clip = s.input_of("clip", 1, 2, Place::Dense, |_| next.next().unwrap_or(0.0));
    let mut next = NADAM.into_iter();
    let scalars = s.input_of("scalars", 1, 7, Place::Dense, |_| next.next().unwrap_or(0.0));
    s.case(op(kept, [param, grad, m, v], [clip, scalars]))
}
