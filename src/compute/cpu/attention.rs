//! Causal grouped-query attention, forward and backward, in blocks of query rows: scores live only
//! in a task's scratch, and a block never looks at keys after its last row.

use std::sync::{Mutex, PoisonError};

use super::gemm::gemm_here;
use super::matrix::{Mat, MatMut, Tiles, over_grid};
use super::real::Real;
use super::vector::{LANES, exp_in_place, fast, largest, sum2};
use crate::compute::op::{AttentionShape, Form, Op, Write};

/// Query rows worked on at once.
const BLOCK: usize = 64;

/// Working space for scores, one piece per thread of the pool.
#[derive(Debug, Default)]
pub struct Scratch<T>(Vec<Mutex<Vec<T>>>);

impl<T: Real> Scratch<T> {
    /// Room for `len` elements on each of `threads` threads.
    pub fn new(threads: usize, len: usize) -> Self {
        Self((0..threads).map(|_| Mutex::new(vec![T::zero(); len])).collect())
    }

    /// Elements that an op needs on each thread.
    pub fn needed(op: &Op) -> usize {
        match *op {
            Op::Attention { shape, .. } => BLOCK.min(shape.seq) * shape.seq,
            Op::AttentionBackward { shape, .. } => 2 * BLOCK.min(shape.seq) * shape.seq,
            _ => 0,
        }
    }

    /// Lends the calling thread its piece. Tasks do not wait inside, so threads never wait here.
    fn lend<R>(&self, work: impl FnOnce(&mut [T]) -> R) -> R {
        let thread = rayon::current_thread_index().unwrap_or(0) % self.0.len();
        let mut piece = self.0[thread].lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut piece)
    }
}

/// What both directions read.
#[derive(Clone, Copy, Debug)]
pub struct Projections<'a, T> {
    /// Queries.
    pub q: Mat<'a, T>,
    /// Keys.
    pub k: Mat<'a, T>,
    /// Values.
    pub v: Mat<'a, T>,
    /// The sizes.
    pub shape: AttentionShape,
}

impl<'a, T: Real> Projections<'a, T> {
    fn scale(&self) -> T {
        T::one() / T::from_f64(self.shape.head_dim as f64).sqrt()
    }

    /// Columns of a query head in a block of rows.
    fn query(&self, of: Mat<'a, T>, row: usize, rows: usize, head: usize) -> Mat<'a, T> {
        of.block(row, head * self.shape.head_dim, rows, self.shape.head_dim)
    }

    /// The first `keys` rows of a sequence's keys and values for a group.
    fn keys(&self, sequence: usize, keys: usize, group: usize) -> (Mat<'a, T>, Mat<'a, T>) {
        let AttentionShape { seq, head_dim, .. } = self.shape;
        let cut = |m: Mat<'a, T>| m.block(sequence * seq, group * head_dim, keys, head_dim);
        (cut(self.k), cut(self.v))
    }
}

/// out = softmax(q k^T / sqrt(head_dim)) v and the scores' log-sum-exp.
pub fn attention<T: Real>(
    inputs: Projections<'_, T>,
    out: MatMut<'_, T>,
    lse: MatMut<'_, T>,
    scratch: &Scratch<T>,
) {
    let AttentionShape { batch, seq, heads, head_dim, .. } = inputs.shape;
    let blocks = seq.div_ceil(BLOCK);
    let outputs = (Tiles::new(out, seq, head_dim), Tiles::new(lse, seq, 1));
    over_grid((batch, heads), outputs, &|sequence, head, (out, lse)| {
        let blocked = (
            Tiles::new(out.into_matrix(), BLOCK, head_dim),
            Tiles::new(lse.into_matrix(), BLOCK, 1),
        );
        over_grid((blocks, 1), blocked, &|block, _, (out, lse)| {
            let (out, lse) = (out.into_matrix(), lse.into_matrix());
            scratch.lend(|s| forward_block(inputs, sequence, head, block * BLOCK, out, lse, s));
        });
    });
}

fn forward_block<T: Real>(
    inputs: Projections<'_, T>,
    sequence: usize,
    head: usize,
    first: usize,
    out: MatMut<'_, T>,
    mut lse: MatMut<'_, T>,
    scratch: &mut [T],
) {
    let AttentionShape { seq, heads, groups, .. } = inputs.shape;
    let rows = out.rows();
    let keys = first + rows;
    let q = inputs.query(inputs.q, sequence * seq + first, rows, head);
    let (k, v) = inputs.keys(sequence, keys, head / (heads / groups));
    let scores = &mut scratch[..rows * keys];
    let target = MatMut::new(scores, rows, keys, keys);
    gemm_here(Form::NT, inputs.scale(), q, k, Write::Set, target);
    for (r, row) in scores.chunks_exact_mut(keys).enumerate() {
        lse.row(r)[0] = fast!({ softmax(row, first + r + 1) });
    }
    let weights = Mat::dense(scores, rows, keys);
    gemm_here(Form::NN, T::one(), weights, v, Write::Set, out);
}

/// Softmax over the first `seen` scores, zero for the rest; returns the log of the sum.
#[inline(always)]
fn softmax<T: Real>(row: &mut [T], seen: usize) -> T {
    let most = largest(&row[..seen]);
    let sum = exp_in_place(&mut row[..seen], most);
    let factor = T::one() / sum;
    for p in &mut row[..seen] {
        *p *= factor;
    }
    row[seen..].fill(T::zero());
    most + sum.ln()
}

/// What the backward reads besides.
#[derive(Clone, Copy, Debug)]
pub struct Upstream<'a, T> {
    /// The forward's output.
    pub out: Mat<'a, T>,
    /// The forward's log-sum-exp.
    pub lse: Mat<'a, T>,
    /// Gradient of the output.
    pub dout: Mat<'a, T>,
}

/// Gradients of q, k and v. One task is a key/value head of a sequence with its query heads in
/// order, so that dk and dv are sums of a fixed order with one owner.
pub fn attention_backward<T: Real>(
    inputs: Projections<'_, T>,
    upstream: Upstream<'_, T>,
    [dq, dk, dv, delta]: [MatMut<'_, T>; 4],
    scratch: &Scratch<T>,
) {
    let AttentionShape { batch, seq, heads, groups, head_dim } = inputs.shape;
    let per_group = heads / groups;
    let outputs = (
        Tiles::new(dq, seq, per_group * head_dim),
        Tiles::new(dk, seq, head_dim),
        Tiles::new(dv, seq, head_dim),
        Tiles::new(delta, seq, per_group),
    );
    over_grid((batch, groups), outputs, &|sequence, group, (dq, dk, dv, delta)| {
        let mut gradients = GroupGradients {
            dq: dq.into_matrix(),
            dk: dk.into_matrix(),
            dv: dv.into_matrix(),
            delta: delta.into_matrix(),
        };
        scratch.lend(|s| backward_group(inputs, upstream, sequence, group, &mut gradients, s));
    });
}

/// The outputs of one task.
struct GroupGradients<'a, T> {
    dq: MatMut<'a, T>,
    dk: MatMut<'a, T>,
    dv: MatMut<'a, T>,
    delta: MatMut<'a, T>,
}

fn backward_group<T: Real>(
    inputs: Projections<'_, T>,
    upstream: Upstream<'_, T>,
    sequence: usize,
    group: usize,
    gradients: &mut GroupGradients<'_, T>,
    scratch: &mut [T],
) {
    let AttentionShape { seq, heads, groups, .. } = inputs.shape;
    let per_group = heads / groups;
    for r in 0..seq {
        gradients.dk.row(r).fill(T::zero());
        gradients.dv.row(r).fill(T::zero());
    }
    for within in 0..per_group {
        for first in (0..seq).step_by(BLOCK) {
            let place = Place { sequence, group, within, head: group * per_group + within, first };
            backward_block(inputs, upstream, place, gradients, scratch);
        }
    }
}

/// weights := exp(scores - lse) and slopes := weights * (slopes - delta) for the first `seen`
/// columns, zero for the rest.
#[inline(always)]
fn slope_scores<T: Real>(weights: &mut [T], slopes: &mut [T], seen: usize, lse: T, delta: T) {
    // Up to a whole block: a scalar exp costs as much as a vector of them.
    let whole = seen.next_multiple_of(LANES).min(weights.len());
    for (p, slope) in weights[..whole].iter_mut().zip(&mut slopes[..whole]) {
        *p = (*p - lse).exp();
        *slope = *p * (*slope - delta);
    }
    weights[seen..].fill(T::zero());
    slopes[seen..].fill(T::zero());
}

/// Which block of rows of which head.
#[derive(Clone, Copy)]
struct Place {
    sequence: usize,
    group: usize,
    within: usize,
    head: usize,
    first: usize,
}

fn backward_block<T: Real>(
    inputs: Projections<'_, T>,
    upstream: Upstream<'_, T>,
    at: Place,
    gradients: &mut GroupGradients<'_, T>,
    scratch: &mut [T],
) {
    let AttentionShape { seq, head_dim, .. } = inputs.shape;
    let (one, scale) = (T::one(), inputs.scale());
    let rows = BLOCK.min(seq - at.first);
    let keys = at.first + rows;
    let row = at.sequence * seq + at.first;
    let (k, v) = inputs.keys(at.sequence, keys, at.group);
    let cut = |m| inputs.query(m, row, rows, at.head);
    let (q, out, dout) = (cut(inputs.q), cut(upstream.out), cut(upstream.dout));
    let (weights, slopes) = scratch[..2 * rows * keys].split_at_mut(rows * keys);
    gemm_here(Form::NT, scale, q, k, Write::Set, MatMut::new(weights, rows, keys, keys));
    gemm_here(Form::NT, one, dout, v, Write::Set, MatMut::new(slopes, rows, keys, keys));
    let lines = weights.chunks_exact_mut(keys).zip(slopes.chunks_exact_mut(keys));
    for (r, (weights, slopes)) in lines.enumerate() {
        let lse = upstream.lse.row(row + r)[at.head];
        let (dout, out, seen) = (dout.row(r), out.row(r), at.first + r + 1);
        gradients.delta.row(at.first + r)[at.within] = fast!({
            let delta = sum2(dout, out, |a, b| a * b);
            slope_scores(weights, slopes, seen, lse, delta);
            delta
        });
    }
    let (weights, slopes) = (Mat::dense(weights, rows, keys), Mat::dense(slopes, rows, keys));
    let dq = gradients.dq.block(at.first, at.within * head_dim, rows, head_dim);
    gemm_here(Form::NN, scale, slopes, k, Write::Set, dq);
    let dk = gradients.dk.block(0, 0, keys, head_dim);
    gemm_here(Form::TN, scale, slopes, q, Write::Add, dk);
    let dv = gradients.dv.block(0, 0, keys, head_dim);
    gemm_here(Form::TN, one, weights, dout, Write::Add, dv);
}
