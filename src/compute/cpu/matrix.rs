//! Matrices over borrowed memory, and how a kernel's work is cut into tasks.
//!
//! A kernel's outputs are cut along a grid whose cells depend only on shapes, and the cells are
//! worked on by whichever thread is free. No cell is shared and no sum crosses cells (except in
//! trees of a fixed form), so the number of threads never changes a result.

use ndarray::{ArrayView2, ArrayViewMut2, Axis, ShapeBuilder};

use crate::compute::layout::SlotId;
use crate::compute::op::View;

/// A matrix to read.
#[derive(Clone, Copy, Debug)]
pub struct Mat<'a, T> {
    data: &'a [T],
    rows: usize,
    cols: usize,
    stride: usize,
}

impl<'a, T> Mat<'a, T> {
    /// The view's elements in its slot. The view was checked against the slot at build.
    pub fn new(slot: &'a [T], view: View) -> Self {
        let View { rows, cols, stride, .. } = view;
        Self { data: &slot[view.offset..view.end()], rows, cols, stride }
    }

    /// A matrix without gaps.
    pub fn dense(data: &'a [T], rows: usize, cols: usize) -> Self {
        Self { data, rows, cols, stride: cols }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// One row.
    #[inline(always)]
    pub fn row(&self, r: usize) -> &'a [T] {
        &self.data[r * self.stride..][..self.cols]
    }

    /// `rows` rows from row `r`, `cols` columns from column `c`.
    pub fn block(&self, r: usize, c: usize, rows: usize, cols: usize) -> Self {
        let (from, stride) = (r * self.stride + c, self.stride);
        Self { data: &self.data[from..][..(rows - 1) * stride + cols], rows, cols, stride }
    }

    /// The same for ndarray's product.
    pub fn array(&self) -> ArrayView2<'a, T> {
        let shape = (self.rows, self.cols).strides((self.stride, 1));
        match ArrayView2::from_shape(shape, self.data) {
            Ok(array) => array,
            Err(e) => unreachable!("views are checked when a program is built: {e}"),
        }
    }
}

/// A matrix to write, the only one over its elements.
#[derive(Debug)]
pub struct MatMut<'a, T>(ArrayViewMut2<'a, T>);

impl<'a, T> MatMut<'a, T> {
    /// A matrix over the start of `data`.
    pub fn new(data: &'a mut [T], rows: usize, cols: usize, stride: usize) -> Self {
        match ArrayViewMut2::from_shape((rows, cols).strides((stride, 1)), data) {
            Ok(array) => Self(array),
            Err(e) => unreachable!("views are checked when a program is built: {e}"),
        }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.0.nrows()
    }

    /// Columns.
    pub fn cols(&self) -> usize {
        self.0.ncols()
    }

    /// One row.
    #[inline(always)]
    pub fn row(&mut self, r: usize) -> &mut [T] {
        match self.0.row_mut(r).into_slice() {
            Some(row) => row,
            None => unreachable!("columns are always next to each other"),
        }
    }

    /// `rows` rows from row `r`, `cols` columns from column `c`.
    pub fn block(&mut self, r: usize, c: usize, rows: usize, cols: usize) -> MatMut<'_, T> {
        MatMut(self.0.slice_mut(ndarray::s![r..r + rows, c..c + cols]))
    }

    /// The same for ndarray's product.
    pub fn array(&mut self) -> &mut ArrayViewMut2<'a, T> {
        &mut self.0
    }
}

/// Something that can be cut in two between rows or between columns.
pub trait Split: Sized + Send {
    /// The parts before and from row `at`; all in the first part if there are fewer rows.
    fn split_rows(self, at: usize) -> (Self, Self);
    /// The same between columns.
    fn split_columns(self, at: usize) -> (Self, Self);
}

impl<T: Send> Split for MatMut<'_, T> {
    fn split_rows(self, at: usize) -> (Self, Self) {
        let at = at.min(self.rows());
        let (a, b) = self.0.split_at(Axis(0), at);
        (Self(a), Self(b))
    }

    fn split_columns(self, at: usize) -> (Self, Self) {
        let at = at.min(self.cols());
        let (a, b) = self.0.split_at(Axis(1), at);
        (Self(a), Self(b))
    }
}

impl<T: Sync> Split for Mat<'_, T> {
    fn split_rows(self, at: usize) -> (Self, Self) {
        let at = at.min(self.rows);
        let from = (at * self.stride).min(self.data.len());
        let first = Self { rows: at, ..self };
        (first, Self { data: &self.data[from..], rows: self.rows - at, ..self })
    }

    fn split_columns(self, at: usize) -> (Self, Self) {
        let at = at.min(self.cols);
        let first = Self { cols: at, ..self };
        (first, Self { data: &self.data[at..], cols: self.cols - at, ..self })
    }
}

macro_rules! split_tuples {
    ($(($($name:ident $index:tt),+))+) => {$(
        impl<$($name: Split),+> Split for ($($name,)+) {
            fn split_rows(self, at: usize) -> (Self, Self) {
                let parts = ($(self.$index.split_rows(at),)+);
                (($(parts.$index.0,)+), ($(parts.$index.1,)+))
            }
            fn split_columns(self, at: usize) -> (Self, Self) {
                let parts = ($(self.$index.split_columns(at),)+);
                (($(parts.$index.0,)+), ($(parts.$index.1,)+))
            }
        }
    )+};
}
split_tuples! { (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) (A 0, B 1, C 2, D 3, E 4) }

/// A matrix cut in units of several rows and columns, so that matrices of different sizes can be
/// cut together.
#[derive(Debug)]
pub struct Tiles<S> {
    matrix: S,
    rows: usize,
    cols: usize,
}

impl<S> Tiles<S> {
    /// Units of `rows` x `cols`.
    pub fn new(matrix: S, rows: usize, cols: usize) -> Self {
        Self { matrix, rows, cols }
    }

    /// What is left of the matrix after cutting.
    pub fn into_matrix(self) -> S {
        self.matrix
    }
}

impl<S: Split> Split for Tiles<S> {
    fn split_rows(self, at: usize) -> (Self, Self) {
        let (a, b) = self.matrix.split_rows(at * self.rows);
        (Self { matrix: a, ..self }, Self { matrix: b, ..self })
    }

    fn split_columns(self, at: usize) -> (Self, Self) {
        let (a, b) = self.matrix.split_columns(at * self.cols);
        (Self { matrix: a, ..self }, Self { matrix: b, ..self })
    }
}

/// Runs both, side by side when called on a thread of the device's pool.
pub fn join<A: Send, B: Send>(
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    if rayon::current_thread_index().is_some() { rayon::join(a, b) } else { (a(), b()) }
}

/// Calls `work(row, column, cell)` for every cell of a grid of `rows` x `cols` units.
pub fn over_grid<S: Split>(
    (rows, cols): (usize, usize),
    matrices: S,
    work: &(impl Fn(usize, usize, S) + Sync),
) {
    descend((0, rows), (0, cols), matrices, work);
}

fn descend<S: Split>(
    (row, rows): (usize, usize),
    (col, cols): (usize, usize),
    matrices: S,
    work: &(impl Fn(usize, usize, S) + Sync),
) {
    if rows <= 1 && cols <= 1 {
        work(row, col, matrices);
    } else if rows >= cols {
        let half = rows / 2;
        let (a, b) = matrices.split_rows(half);
        join(
            || descend((row, half), (col, cols), a, work),
            || descend((row + half, rows - half), (col, cols), b, work),
        );
    } else {
        let half = cols / 2;
        let (a, b) = matrices.split_columns(half);
        join(
            || descend((row, rows), (col, half), a, work),
            || descend((row, rows), (col + half, cols - half), b, work),
        );
    }
}

/// Elements that one task of an elementwise kernel works on: small enough to stay in a core's
/// cache, large enough to be worth a task.
pub const GRAIN: usize = 1 << 14;

/// Calls `work` for pieces of equally shaped matrices of `rows` x `cols`.
pub fn over_elements<S: Split>(
    (rows, cols): (usize, usize),
    matrices: S,
    work: &(impl Fn(S) + Sync),
) {
    let unit_cols = cols.min(GRAIN);
    let unit_rows = (GRAIN / unit_cols).max(1);
    let grid = (rows.div_ceil(unit_rows), cols.div_ceil(unit_cols));
    let tiles = Tiles::new(matrices, unit_rows, unit_cols);
    over_grid(grid, tiles, &|_, _, tile| work(tile.into_matrix()));
}

/// The views as one row each if none has gaps, so that rows need not be walked.
pub fn flat<const N: usize>(views: [View; N]) -> [View; N] {
    if views.iter().all(View::is_dense) {
        views.map(|v| View { rows: 1, cols: v.len(), stride: v.len(), ..v })
    } else {
        views
    }
}

/// Cuts the views that lie in `slot` out of its memory. Views may share a slot as the check at
/// build allows: apart, or side by side with the same rows and stride.
pub fn carve<'a, T: Send, const N: usize>(
    data: &'a mut [T],
    slot: SlotId,
    views: &[View; N],
    out: &mut [Option<MatMut<'a, T>>; N],
) {
    let mut order: [usize; N] = std::array::from_fn(|i| i);
    order.sort_unstable_by_key(|&i| views[i].offset);
    let mut mine = order.into_iter().filter(|&i| views[i].slot == slot).peekable();
    let (mut rest, mut base) = (data, 0);
    while let Some(first) = mine.next() {
        let view = views[first];
        let members = mine.clone().take_while(|&i| views[i].offset < view.end());
        let end = members.clone().fold(view.end(), |end, i| end.max(views[i].end()));
        let width = end - view.offset - (view.rows - 1) * view.stride;
        let (_, tail) = rest.split_at_mut(view.offset - base);
        let (block, tail) = tail.split_at_mut(end - view.offset);
        (rest, base) = (tail, end);
        let mut remaining = MatMut::new(block, view.rows, width, view.stride.max(width));
        let mut column = 0;
        let mut take = |i: usize| {
            let start = views[i].offset - view.offset;
            let matrix = std::mem::replace(&mut remaining, MatMut::new(&mut [], 0, 0, 1));
            let (_, matrix) = matrix.split_columns(start - column);
            let (matrix, after) = matrix.split_columns(views[i].cols);
            column = start + views[i].cols;
            remaining = after;
            out[i] = Some(matrix);
        };
        take(first);
        for i in members {
            take(i);
            mine.next();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn carved_views_are_the_right_elements() {
        let slot = SlotId(3);
        let whole = View { offset: 2, ..View::matrix(slot, 3, 10) };
        let views = [
            View { offset: 40, ..View::matrix(slot, 2, 2) },
            whole.columns(6, 3),
            View::matrix(SlotId(4), 1, 1),
            whole.columns(1, 4),
        ];
        let mut data: Vec<usize> = (0..50).collect();
        let mut out = [const { None }; 4];
        carve(&mut data, slot, &views, &mut out);
        let [a, b, none, d] = out;
        assert!(none.is_none());
        let rows = |m: Option<MatMut<'_, usize>>| {
            m.map(|mut m| (0..m.rows()).map(|r| m.row(r).to_vec()).collect::<Vec<_>>())
        };
        assert_eq!(rows(a), Some(vec![vec![40, 41], vec![42, 43]]));
        assert_eq!(rows(b), Some(vec![vec![8, 9, 10], vec![18, 19, 20], vec![28, 29, 30]]));
        assert_eq!(
            rows(d),
            Some(vec![vec![3, 4, 5, 6], vec![13, 14, 15, 16], vec![23, 24, 25, 26]])
        );
    }

    #[test]
    fn a_grid_visits_every_cell_once() {
        let mut data = vec![0_u32; 7 * 11];
        let tiles = Tiles::new(MatMut::new(&mut data, 7, 10, 11), 2, 3);
        over_grid((4, 4), tiles, &|r, c, tile| {
            let mut m = tile.into_matrix();
            for i in 0..m.rows() {
                m.row(i).iter_mut().for_each(|x| *x += (1 + r * 4 + c) as u32);
            }
        });
        for (i, x) in data.iter().enumerate() {
            let (r, c) = (i / 11, i % 11);
            assert_eq!(*x, if c == 10 { 0 } else { (1 + r / 2 * 4 + c / 3) as u32 });
        }
    }
}
