//! Loops as vector code for the processor at hand. The program is compiled for the oldest 64-bit
//! processors, which would leave more than half of a newer one's arithmetic unused; `pulp` compiles
//! a loop a second time for AVX2 and picks at run time. Which one is picked changes no result: both
//! do the same operations in the same order.

use super::real::Real;

/// Partial sums kept side by side, so that a sum is vector code and its error stays small.
pub const LANES: usize = 16;

/// Runs a block compiled for the processor at hand. Functions called inside must be
/// `#[inline(always)]` or small, or their code stays as it was compiled for old processors.
macro_rules! fast {
    ($block:block) => {
        pulp::Arch::new().dispatch(
            #[inline(always)]
            || $block,
        )
    };
}
pub(super) use fast;

/// Sum of f over two rows, in [`LANES`] lanes.
#[inline(always)]
pub fn sum2<T: Real>(a: &[T], b: &[T], f: impl Fn(T, T) -> T) -> T {
    let mut lanes = [T::zero(); LANES];
    let (a_blocks, b_blocks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_blocks.remainder().iter().zip(b_blocks.remainder());
    for (a, b) in a_blocks.zip(b_blocks) {
        for ((lane, &a), &b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += f(a, b);
        }
    }
    for (lane, (&a, &b)) in lanes.iter_mut().zip(rest) {
        *lane += f(a, b);
    }
    fold(lanes)
}

/// Sum of the lanes, as a tree.
#[inline(always)]
pub fn fold<T: Real>(mut lanes: [T; LANES]) -> T {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// The largest element; NaNs are passed over.
#[inline(always)]
pub fn largest<T: Real>(row: &[T]) -> T {
    let mut lanes = [row[0]; LANES];
    let blocks = row.chunks_exact(LANES);
    let rest = blocks.remainder();
    for block in blocks {
        for (lane, &x) in lanes.iter_mut().zip(block) {
            *lane = lane.larger(x);
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane = lane.larger(x);
    }
    lanes.into_iter().fold(row[0], T::larger)
}

/// Replaces each x by exp(x - shift) and returns their sum.
#[inline(always)]
pub fn exp_in_place<T: Real>(row: &mut [T], shift: T) -> T {
    let mut lanes = [T::zero(); LANES];
    let mut blocks = row.chunks_exact_mut(LANES);
    for block in &mut blocks {
        for (lane, x) in lanes.iter_mut().zip(block) {
            *x = (*x - shift).exp();
            *lane += *x;
        }
    }
    // The rest as one more whole block: a scalar exp costs as much as a vector of them.
    let rest = blocks.into_remainder();
    let mut block = [shift; LANES];
    block[..rest.len()].copy_from_slice(rest);
    for x in &mut block {
        *x = (*x - shift).exp();
    }
    rest.copy_from_slice(&block[..rest.len()]);
    for (lane, &x) in lanes.iter_mut().zip(&*rest) {
        *lane += x;
    }
    fold(lanes)
}
