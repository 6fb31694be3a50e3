//! Matrix products: the choice of kernel, and pieces of what is too large for one dispatch.

use super::{Class, Lowering, Operand, Refusal, Size, constant, ranges, word};
use crate::compute::op::{Form, View, Write};
use crate::compute::wgpu::kernels;

/// Rows of C are cut at multiples of this, so that no tile is torn.
const ROW_STEP: usize = 128;

impl Lowering<'_> {
    /// C (+)= A B, in as many dispatches as it takes.
    pub(super) fn gemm(
        &mut self,
        form: Form,
        a: View,
        b: View,
        c: View,
        write: Write,
    ) -> Result<(), Refusal> {
        let (m, n) = (c.rows, c.cols);
        let k = if form == Form::TN { a.rows } else { a.cols };
        if m == 0 || n == 0 {
            return Ok(());
        }
        if k == 0 {
            return match write {
                Write::Set => self.each(&kernels::FILL, &[c], &[], 0.0),
                Write::Add => Ok(()),
            };
        }
        let rows = self.rows_of_piece(form, a, c, 2 * n * k);
        if rows < m {
            for (from, count) in ranges(m, rows)? {
                let a = match form {
                    Form::TN => a.columns(from, count),
                    Form::NN | Form::NT => a.rows(from, count),
                };
                self.gemm(form, a, b, c.rows(from, count), write)?;
            }
            return Ok(());
        }
        self.gemm_inner(form, a, b, c, write)
    }

    /// How many rows of C one dispatch may make.
    fn rows_of_piece(&self, form: Form, a: View, c: View, row_cost: usize) -> usize {
        let mut rows = self.rows_that_fit(c);
        if form != Form::TN {
            rows = rows.min(self.rows_that_fit(a));
        }
        let cheap = usize::try_from(self.bounds.cost).unwrap_or(usize::MAX) / row_cost.max(1);
        if rows < c.rows {
            // Pieces too thin for whole steps stay as they are.
            rows = if rows > ROW_STEP { rows / ROW_STEP * ROW_STEP } else { rows };
        }
        rows.min((cheap / ROW_STEP * ROW_STEP).max(ROW_STEP))
    }

    /// Cuts along B's stored rows: columns of C (`NT`), or k, which adds up.
    fn gemm_inner(
        &mut self,
        form: Form,
        a: View,
        b: View,
        c: View,
        write: Write,
    ) -> Result<(), Refusal> {
        let mut stored = self.rows_that_fit(b);
        if form == Form::TN {
            stored = stored.min(self.rows_that_fit(a));
        }
        if stored >= b.rows {
            return self.gemm_call(form, a, b, c, write);
        }
        for (from, count) in ranges(b.rows, if stored >= 4 { stored / 4 * 4 } else { stored })? {
            let part = b.rows(from, count);
            let then = if from == 0 { write } else { Write::Add };
            match form {
                Form::NT => self.gemm_call(form, a, part, c.columns(from, count), write)?,
                Form::NN => self.gemm_call(form, a.columns(from, count), part, c, then)?,
                Form::TN => self.gemm_call(form, a.rows(from, count), part, c, then)?,
            }
        }
        Ok(())
    }

    fn gemm_call(
        &mut self,
        form: Form,
        a: View,
        b: View,
        c: View,
        write: Write,
    ) -> Result<(), Refusal> {
        let (m, n) = (c.rows, c.cols);
        let k = if form == Form::TN { a.rows } else { a.cols };
        let operands = [self.operand(a)?, self.operand(b)?, self.operand(c)?];
        let mut constants = vec![
            ("NT", constant(form == Form::NT)),
            ("TN", constant(form == Form::TN)),
            ("ADD", constant(write == Write::Add)),
        ];
        let cost = 2 * m * n * k;
        if self.class() == Class::Gpu {
            let big = m.div_ceil(128) * n.div_ceil(128) >= 128;
            let (tile, step) = if big { (128, 8) } else { (64, 16) };
            constants.extend([
                ("TILE", constant(tile)),
                ("STEP", constant(step)),
                ("SIDE", constant(tile / 16)),
                ("LEFT", constant(step * (tile + 1))),
            ]);
            let across = n.div_ceil(tile);
            let params = gemm_params([m, n, k, across], &operands, 1);
            let size = Size { groups: m.div_ceil(tile) * across, cost };
            self.call(&kernels::GEMM_TILES, constants, &operands, params, size);
            return Ok(());
        }
        // The extents that lie along rows of the stored operands.
        let along = if form == Form::TN { m } else { k };
        let by_four = self.may_be_by_four()
            && along.is_multiple_of(4)
            && n.is_multiple_of(4)
            && operands.iter().all(Operand::is_by_four);
        let (share, lanes) = match self.subgroup() {
            Some(size @ (4 | 8 | 16)) => (true, size as usize),
            _ => (false, 8),
        };
        // Three vectors of columns reuse A best; a product as narrow as its tile gains nothing.
        let vectors = match n / (4 * lanes) {
            0 | 1 => 1,
            9.. if form != Form::TN => 3,
            _ => 2,
        };
        constants.extend([
            ("VEC", constant(by_four)),
            ("T", constant(if by_four { "vec4<f32>" } else { "f32" })),
            ("SHARE", constant(share)),
            ("SUB", constant(lanes)),
            ("GROUPS", constant(vectors)),
            // Steps along k at a time in TN, where k is not along rows.
            ("STEP", constant(if k.is_multiple_of(4) { 4 } else { 1 })),
        ]);
        let across = n.div_ceil(4 * lanes * vectors);
        let params = gemm_params([m, n, k, across], &operands, if by_four { 4 } else { 1 });
        let size = Size { groups: m.div_ceil(4 * lanes) * across, cost };
        self.call(&kernels::GEMM_LANES, constants, &operands, params, size);
        Ok(())
    }
}

fn gemm_params(counts: [usize; 4], operands: &[Operand; 3], unit: u32) -> Vec<u32> {
    let places = operands.iter().flat_map(|o| o.place(unit));
    counts.into_iter().map(word).chain(places).collect()
}
