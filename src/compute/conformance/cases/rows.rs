//! Embedding, norm, rotary embedding, cross-entropy.

use super::{Case, PLACES, Place, Setup};
use crate::compute::op::{Op, Rotation, Write};

/// Adds all cases of this file.
pub fn add_to(all: &mut Vec<Case>) {
    for (place, word) in PLACES {
        for (m, vocabulary, e) in [(1, 1, 1), (9, 5, 33), (70, 40, 64), (130, 300, 17)] {
            all.push(embed(m, vocabulary, e, place, word));
            all.push(embed_backward(m, vocabulary, e, place, word));
        }
        for (m, e) in [(1, 1), (1, 512), (3, 5), (64, 64), (65, 129), (130, 48)] {
            all.push(norm(m, e, 1.0, place, word));
            all.push(norm_backward(m, e, Write::Set, place, word));
            all.push(norm_backward(m, e, Write::Add, place, word));
        }
        for (batch, seq, heads, head_dim) in [(1, 1, 1, 2), (2, 7, 3, 6), (3, 33, 2, 32)] {
            for rotation in [Rotation::Forward, Rotation::Backward] {
                all.push(rope((batch, seq, heads, head_dim), rotation, place, word));
            }
        }
        for (rows, cols) in [(1, 1), (1, 2), (5, 257), (64, 64), (3, 1000), (2, 4099)] {
            all.push(cross_entropy(rows, cols, 4.0, place, word));
        }
    }
    all.push(norm(5, 100, 0.0, Place::Dense, "_of_zeros"));
    all.push(norm(5, 100, 1e4, Place::Dense, "_of_large_numbers"));
    all.push(norm(5, 100, 1e-4, Place::Dense, "_of_small_numbers"));
    all.push(cross_entropy(20, 300, 80.0, Place::Dense, "_logits_of_80"));
    all.push(same_token_everywhere());
}

/// Some tokens repeat, every fifth is outside the table.
fn tokens(s: &mut Setup, m: usize, vocabulary: usize) -> crate::compute::op::View {
    let end = vocabulary as u32;
    s.indices("tokens", m, |n| match n.below(5) {
        0 if n.below(2) == 0 => u32::MAX,
        0 => end + n.below(3),
        _ => n.below(end),
    })
}

pub(super) fn embed(m: usize, vocabulary: usize, e: usize, place: Place, word: &str) -> Case {
    let mut s = Setup::new(format!("embed_m{m}_v{vocabulary}_e{e}{word}"));
    let tokens = tokens(&mut s, m, vocabulary);
    let table = s.input("table", vocabulary, e, place);
    let out = s.output("out", m, e, place);
    s.case(Op::Embed { tokens, table, out })
}

pub(super) fn embed_backward(
    m: usize,
    vocabulary: usize,
    e: usize,
    place: Place,
    word: &str,
) -> Case {
    let mut s = Setup::new(format!("embed_backward_m{m}_v{vocabulary}_e{e}{word}"));
    let tokens = tokens(&mut s, m, vocabulary);
    let grad = s.input("grad", m, e, place);
    let table_grad = s.update("table_grad", vocabulary, e, place);
    s.case(Op::EmbedBackward { tokens, grad, table_grad })
}

/// The longest possible sum into one row.
fn same_token_everywhere() -> Case {
    let mut s = Setup::new("embed_backward_the_same_token_200_times".into());
    let tokens = s.indices("tokens", 200, |_| 2);
    let grad = s.input("grad", 200, 40, Place::Dense);
    let table_grad = s.update("table_grad", 4, 40, Place::Dense);
    s.case(Op::EmbedBackward { tokens, grad, table_grad })
}

pub(super) fn norm(m: usize, e: usize, size: f32, place: Place, word: &str) -> Case {
    let mut s = Setup::new(format!("rms_norm_m{m}_e{e}{word}"));
    let x = s.input_of("x", m, e, place, |n| size * n.between(-1.0, 1.0));
    let weight = s.input_of("weight", 1, e, place, |n| n.between(0.5, 1.5));
    let y = s.output("y", m, e, place);
    let rstd = s.output("rstd", m, 1, place);
    s.case(Op::RmsNorm { x, weight, y, rstd })
}

pub(super) fn norm_backward(m: usize, e: usize, write: Write, place: Place, word: &str) -> Case {
    let add = if write == Write::Add { "_add" } else { "" };
    let mut s = Setup::new(format!("rms_norm_backward_m{m}_e{e}{add}{word}"));
    let x = s.input("x", m, e, place);
    let weight = s.input_of("weight", 1, e, place, |n| n.between(0.5, 1.5));
    let rstd = s.input_of("rstd", m, 1, place, |n| n.between(0.5, 3.0));
    let dy = s.input("dy", m, e, place);
    let dx = match write {
        Write::Set => s.output("dx", m, e, place),
        Write::Add => s.update("dx", m, e, place),
    };
    let dweight = s.update("dweight", 1, e, place);
    let partial = s.output("partial", m.div_ceil(64), e, Place::Dense);
    s.case(Op::RmsNormBackward { x, weight, rstd, dy, dx, write, dweight, partial })
}

pub(super) fn rope(
    (batch, seq, heads, head_dim): (usize, usize, usize, usize),
    rotation: Rotation,
    place: Place,
    word: &str,
) -> Case {
    let way = format!("{rotation:?}").to_lowercase();
    let mut s = Setup::new(format!("rope_{way}_b{batch}_s{seq}_h{heads}_d{head_dim}{word}"));
    let x = s.update("x", batch * seq, heads * head_dim, place);
    let table = s.input("table", seq, head_dim, place);
    s.case(Op::Rope { x, table, head_dim, rotation })
}

/// The last row has no target; the first has the last column as its target.
pub(super) fn cross_entropy(rows: usize, cols: usize, size: f32, place: Place, word: &str) -> Case {
    let mut s = Setup::new(format!("cross_entropy_r{rows}_v{cols}{word}"));
    let logits = s.update_of("logits", rows, cols, place, |n| size * n.between(-1.0, 1.0));
    let (mut row, end) = (0, cols as u32);
    let targets = s.indices("targets", rows, |n| {
        row += 1;
        match row {
            1 => end - 1,
            _ if row == rows => u32::MAX,
            _ => n.below(end),
        }
    });
    let losses = s.output("losses", rows, 1, place);
    s.case(Op::CrossEntropy { logits, targets, losses, scale: 0.125 })
}
