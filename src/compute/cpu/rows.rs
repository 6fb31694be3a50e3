//! Kernels that work row by row: embedding, root-mean-square norm, rotary embedding,
//! cross-entropy; and the sums over whole tensors.

use super::matrix::{GRAIN, Mat, MatMut, Tiles, join, over_grid};
use super::real::Real;
use super::vector::{LANES, exp_in_place, fast, fold, largest, sum2};
use crate::compute::op::Rotation;

/// Added to the mean square (spec 8.3).
const NORM_EPSILON: f64 = 1e-5;
/// Rows of one partial sum of a norm's weight gradient, as `Op::RmsNormBackward` says.
const NORM_ROWS: usize = 64;

/// Rows of this many columns that make one task.
fn task_rows(cols: usize) -> usize {
    (GRAIN / cols).max(1)
}

/// out\[m,:\] = table\[tokens\[m\],:\], or zeros.
pub fn embed<T: Real>(tokens: Mat<'_, u32>, table: Mat<'_, T>, out: MatMut<'_, T>) {
    let unit = task_rows(out.cols());
    let grid = (out.rows().div_ceil(unit), 1);
    let cols = out.cols();
    over_grid(grid, Tiles::new(out, unit, cols), &|block, _, tile| {
        let mut out = tile.into_matrix();
        for r in 0..out.rows() {
            let token = tokens.row(block * unit + r)[0] as usize;
            if token < table.rows() {
                out.row(r).copy_from_slice(table.row(token));
            } else {
                out.row(r).fill(T::zero());
            }
        }
    });
}

/// table_grad\[t,:\] += grad\[m,:\] for every m whose token is t, in order of m. Each task owns some
/// rows of the table and looks through all tokens for them.
pub fn embed_backward<T: Real>(tokens: Mat<'_, u32>, grad: Mat<'_, T>, table_grad: MatMut<'_, T>) {
    const TASKS: usize = 32;
    let (rows, cols) = (table_grad.rows(), table_grad.cols());
    let unit = rows.div_ceil(TASKS);
    let tiles = Tiles::new(table_grad, unit, cols);
    over_grid((rows.div_ceil(unit), 1), tiles, &|block, _, tile| {
        let mut part = tile.into_matrix();
        let first = block * unit;
        for m in 0..grad.rows() {
            let token = tokens.row(m)[0] as usize;
            if (first..first + part.rows()).contains(&token) {
                for (sum, &g) in part.row(token - first).iter_mut().zip(grad.row(m)) {
                    *sum += g;
                }
            }
        }
    });
}

/// y = x / rms(x) * weight, and 1 / rms(x).
pub fn rms_norm<T: Real>(x: Mat<'_, T>, weight: &[T], y: MatMut<'_, T>, rstd: MatMut<'_, T>) {
    let cols = x.cols();
    let unit = task_rows(cols);
    let count = T::from_f64(cols as f64);
    let outputs = (Tiles::new(y, unit, cols), Tiles::new(rstd, unit, 1));
    over_grid((x.rows().div_ceil(unit), 1), outputs, &|block, _, (y, rstd)| {
        let (mut y, mut rstd) = (y.into_matrix(), rstd.into_matrix());
        fast!({
            for r in 0..y.rows() {
                let x = x.row(block * unit + r);
                let mean = sum2(x, x, |a, b| a * b) / count;
                let inverse = T::one() / (mean + T::from_f64(NORM_EPSILON)).sqrt();
                rstd.row(r)[0] = inverse;
                for ((y, &x), &w) in y.row(r).iter_mut().zip(x).zip(weight) {
                    *y = x * inverse * w;
                }
            }
        });
    });
}

/// Inputs of a norm's backward.
#[derive(Clone, Copy, Debug)]
pub struct NormGradient<'a, T> {
    /// The forward's input.
    pub x: Mat<'a, T>,
    /// The weight.
    pub weight: &'a [T],
    /// From the forward.
    pub rstd: Mat<'a, T>,
    /// Gradient of the output.
    pub dy: Mat<'a, T>,
}

/// dx (set, or added to if `keep` is one) and partial sums of dweight over blocks of rows, then
/// dweight += the partial sums in order.
pub fn rms_norm_backward<T: Real>(
    inputs: NormGradient<'_, T>,
    keep: T,
    dx: MatMut<'_, T>,
    mut dweight: MatMut<'_, T>,
    mut partial: MatMut<'_, T>,
) {
    let (rows, cols) = (dx.rows(), dx.cols());
    let blocks = rows.div_ceil(NORM_ROWS);
    let sums = partial.block(0, 0, blocks, cols);
    let outputs = (Tiles::new(dx, NORM_ROWS, cols), Tiles::new(sums, 1, cols));
    over_grid((blocks, 1), outputs, &|block, _, (dx, sums)| {
        let (dx, sums) = (dx.into_matrix(), sums.into_matrix());
        fast!({ norm_block(inputs, block * NORM_ROWS, keep, dx, sums) });
    });
    let dweight = dweight.row(0);
    for block in 0..blocks {
        for (sum, &part) in dweight.iter_mut().zip(&*partial.row(block)) {
            *sum += part;
        }
    }
}

#[inline(always)]
fn norm_block<T: Real>(
    NormGradient { x, weight, rstd, dy }: NormGradient<'_, T>,
    first: usize,
    keep: T,
    mut dx: MatMut<'_, T>,
    mut sums: MatMut<'_, T>,
) {
    let count = T::from_f64(x.cols() as f64);
    let sums = sums.row(0);
    sums.fill(T::zero());
    for r in 0..dx.rows() {
        let (x, dy, rstd) = (x.row(first + r), dy.row(first + r), rstd.row(first + r)[0]);
        // One pass for the row's sum and the weight gradient, one for dx; the row is in cache.
        let mut lanes = [T::zero(); LANES];
        let columns = sums.chunks_mut(LANES).zip(x.chunks(LANES)).zip(dy.chunks(LANES));
        for (((sums, x), dy), w) in columns.zip(weight.chunks(LANES)) {
            let parts = sums.iter_mut().zip(lanes.iter_mut()).zip(x).zip(dy).zip(w);
            for ((((sum, lane), &x), &dy), &w) in parts {
                let product = dy * x;
                *sum += product * rstd;
                *lane += product * w;
            }
        }
        let along = fold(lanes) * rstd * rstd / count;
        let parts = dx.row(r).iter_mut().zip(x).zip(dy).zip(weight);
        if keep == T::zero() {
            for (((dx, &x), &dy), &w) in parts {
                *dx = rstd * (dy * w - x * along);
            }
        } else {
            for (((dx, &x), &dy), &w) in parts {
                *dx += rstd * (dy * w - x * along);
            }
        }
    }
}

/// Rotates each head of each row in place.
pub fn rope<T: Real>(x: MatMut<'_, T>, table: Mat<'_, T>, head_dim: usize, rotation: Rotation) {
    let cols = x.cols();
    let unit = task_rows(cols);
    let grid = (x.rows().div_ceil(unit), 1);
    let half = head_dim / 2;
    let sign = if rotation == Rotation::Forward { T::one() } else { -T::one() };
    over_grid(grid, Tiles::new(x, unit, cols), &|block, _, tile| {
        let mut x = tile.into_matrix();
        fast!({
            for r in 0..x.rows() {
                let (cos, sin) = table.row((block * unit + r) % table.rows()).split_at(half);
                for head in x.row(r).chunks_exact_mut(head_dim) {
                    let (low, high) = head.split_at_mut(half);
                    rotate(low, high, cos, sin, sign);
                }
            }
        });
    });
}

#[inline(always)]
fn rotate<T: Real>(low: &mut [T], high: &mut [T], cos: &[T], sin: &[T], sign: T) {
    for (((low, high), &c), &s) in low.iter_mut().zip(high).zip(cos).zip(sin) {
        let (a, b, s) = (*low, *high, s * sign);
        *low = a * c - b * s;
        *high = b * c + a * s;
    }
}

/// Losses, and the logits' gradient in their place.
pub fn cross_entropy<T: Real>(
    logits: MatMut<'_, T>,
    targets: Mat<'_, u32>,
    losses: MatMut<'_, T>,
    scale: T,
) {
    let (rows, cols) = (logits.rows(), logits.cols());
    let unit = task_rows(cols);
    let outputs = (Tiles::new(logits, unit, cols), Tiles::new(losses, unit, 1));
    over_grid((rows.div_ceil(unit), 1), outputs, &|block, _, (logits, losses)| {
        let (mut logits, mut losses) = (logits.into_matrix(), losses.into_matrix());
        for r in 0..logits.rows() {
            let target = targets.row(block * unit + r)[0] as usize;
            let row = logits.row(r);
            losses.row(r)[0] = fast!({ loss_row(row, target, scale) });
        }
    });
}

/// One row's loss; the row becomes its gradient. A target outside the row is none.
#[inline(always)]
fn loss_row<T: Real>(row: &mut [T], target: usize, scale: T) -> T {
    let Some(&right) = row.get(target) else {
        row.fill(T::zero());
        return T::zero();
    };
    let most = largest(row);
    let sum = exp_in_place(row, most);
    let factor = scale / sum;
    for x in row.iter_mut() {
        *x *= factor;
    }
    row[target] -= scale;
    // (most - right) first: both may be large, their difference is what counts.
    (most - right) + sum.ln()
}

/// Sum of f(x) over all elements, as a tree whose form depends on the shape only.
pub fn sum_of<T: Real>(src: Mat<'_, T>, f: &(impl Fn(T) -> T + Sync)) -> T {
    let (rows, cols) = (src.rows(), src.cols());
    if rows * cols <= GRAIN {
        return fast!({
            let mut sum = T::zero();
            for r in 0..rows {
                sum += sum2(src.row(r), src.row(r), |x, _| f(x));
            }
            sum
        });
    }
    let (first, second) = if rows > 1 {
        let half = rows / 2;
        (src.block(0, 0, half, cols), src.block(half, 0, rows - half, cols))
    } else {
        let half = (cols / 2).next_multiple_of(LANES);
        (src.block(0, 0, 1, half), src.block(0, half, 1, cols - half))
    };
    let (a, b) = join(|| sum_of(first, f), || sum_of(second, f));
    a + b
}

/// \[norm, coef\] from the sums of squares.
pub fn clip_factor<T: Real>(squares: &[T], max_norm: T) -> [T; 2] {
    let norm = squares.iter().fold(T::zero(), |sum, &x| sum + x).sqrt();
    if !norm.is_finite() {
        return [norm, T::zero()];
    }
    let coef = max_norm / (norm + T::from_f64(1e-6));
    [norm, if coef < T::one() { coef } else { T::one() }]
}
