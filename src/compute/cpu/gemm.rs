//! Matrix products: `matrixmultiply`'s kernels (it picks AVX2, FMA, NEON... at run time) through
//! ndarray's checked interface, cut into tiles of C. The sum over k is never cut, and tiles begin at
//! multiples of the kernels' own, so that an element is computed by the same instructions however C
//! is cut: the number of threads never changes a result.

use ndarray::ArrayView2;
use ndarray::linalg::general_mat_mul;

use super::matrix::{Mat, MatMut, Split, join};
use super::real::Real;
use crate::compute::op::{Form, Write};

/// Multiplications of a task below which cutting costs more than it gains.
const TASK_MIN: usize = 1 << 20;
/// Tasks per thread: enough to level out threads of different speed, few because each task packs
/// its operands anew.
const TASKS: usize = 4;
/// Tiles are cut at multiples of this; every kernel's own tile divides it.
const ALIGN: usize = 16;

/// C (+)= factor * product of A and B.
pub fn gemm<T: Real>(
    form: Form,
    factor: T,
    a: Mat<'_, T>,
    b: Mat<'_, T>,
    write: Write,
    c: MatMut<'_, T>,
) {
    let (a, b) = operands(form, a, b);
    let threads = rayon::current_thread_index().map_or(1, |_| rayon::current_num_threads());
    if threads == 1 {
        return multiply(factor, a, b, write, c);
    }
    let multiplications = c.rows() * c.cols() * a.ncols();
    cut(TASK_MIN.max(multiplications / (threads * TASKS)), factor, a, b, write, c);
}

/// The same on the calling thread alone: for kernels that are already one task of many.
pub fn gemm_here<T: Real>(
    form: Form,
    factor: T,
    a: Mat<'_, T>,
    b: Mat<'_, T>,
    write: Write,
    c: MatMut<'_, T>,
) {
    let (a, b) = operands(form, a, b);
    multiply(factor, a, b, write, c);
}

/// A as m x k and B as k x n, transposed by their strides where the form says so.
fn operands<'a, T: Real>(
    form: Form,
    a: Mat<'a, T>,
    b: Mat<'a, T>,
) -> (ArrayView2<'a, T>, ArrayView2<'a, T>) {
    let (a, b) = (a.array(), b.array());
    match form {
        Form::NN => (a, b),
        Form::NT => (a, b.reversed_axes()),
        Form::TN => (a.reversed_axes(), b),
    }
}

fn cut<T: Real>(
    task: usize,
    factor: T,
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    write: Write,
    c: MatMut<'_, T>,
) {
    let (m, n, k) = (c.rows(), c.cols(), a.ncols());
    let half = |len: usize| (len / 2).next_multiple_of(ALIGN);
    if m * n * k <= task || m.max(n) <= 4 * ALIGN {
        multiply(factor, a, b, write, c);
    } else if m >= n {
        let at = half(m);
        let (c0, c1) = c.split_rows(at);
        let (a0, a1) = a.split_at(ndarray::Axis(0), at);
        join(|| cut(task, factor, a0, b, write, c0), || cut(task, factor, a1, b, write, c1));
    } else {
        let at = half(n);
        let (c0, c1) = c.split_columns(at);
        let (b0, b1) = b.split_at(ndarray::Axis(1), at);
        join(|| cut(task, factor, a, b0, write, c0), || cut(task, factor, a, b1, write, c1));
    }
}

fn multiply<T: Real>(
    factor: T,
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    write: Write,
    mut c: MatMut<'_, T>,
) {
    let keep = match write {
        Write::Set => T::zero(),
        Write::Add => T::one(),
    };
    general_mat_mul(factor, &a, &b, keep, c.array());
}
