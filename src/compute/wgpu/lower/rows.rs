//! Ops on whole rows: norms, embeddings, rotations, losses and sums.

use super::{Class, Lowering, Operand, Refusal, Scratch, Size, constant, word};
use crate::compute::op::{Op, Rotation, View, Write};
use crate::compute::wgpu::kernels;

/// Elements that one row of a sum adds, per level.
const CHUNK: usize = 1024;
/// Rows whose products one partial sum of `RmsNormBackward` covers.
const BLOCK: usize = 64;
/// Invocations of a workgroup where columns are spread over invocations.
const GROUP: usize = 64;

impl Lowering<'_> {
    pub(super) fn row_op(&mut self, op: &Op) -> Result<(), Refusal> {
        match *op {
            Op::RmsNorm { x, weight, y, rstd } => self.rms_norm(x, weight, y, rstd),
            Op::RmsNormBackward { x, weight, rstd, dy, dx, write, dweight, partial } => {
                self.rms_norm_backward(x, weight, rstd, dy, dx, write)?;
                self.rms_norm_weight(x, rstd, dy, dweight, partial)
            }
            Op::Embed { tokens, table, out } => self.embed(tokens, table, out),
            Op::EmbedBackward { tokens, grad, table_grad } => {
                self.embed_backward(tokens, grad, table_grad)
            }
            Op::Rope { x, table, head_dim, rotation } => self.rope(x, table, head_dim, rotation),
            Op::CrossEntropy { logits, targets, losses, scale } => {
                self.cross_entropy(logits, targets, losses, scale)
            }
            Op::Sum { src, dst, scale } => self.sum(src, dst, scale, false),
            Op::SumSquares { src, dst } => self.sum(src, dst, 1.0, true),
            Op::ClipFactor { squares, dst, max_norm } => {
                let (x, y) = (self.operand(squares)?, self.operand(dst)?);
                let params = vec![word(squares.cols), x.offset, y.offset, max_norm.to_bits()];
                let size = Size { groups: 1, cost: squares.cols };
                self.call(&kernels::CLIP_FACTOR, Vec::new(), &[x, y], params, size);
                Ok(())
            }
            _ => Err("not an op on rows".to_owned()),
        }
    }

    /// Constants of `header_rows.wgsl`.
    fn row_form(&self) -> Vec<(&'static str, String)> {
        let (grouped, group, lanes) = match self.class() {
            Class::Gpu => (true, 128, 128),
            Class::Processor => (false, 16, 1),
        };
        vec![
            ("GROUPED", constant(grouped)),
            ("WG", constant(format_args!("{group}u"))),
            ("LANES", constant(format_args!("{lanes}u"))),
        ]
    }

    /// Workgroups for so many rows.
    fn row_groups(&self, rows: usize) -> usize {
        match self.class() {
            Class::Gpu => rows,
            Class::Processor => rows.div_ceil(16),
        }
    }

    fn rms_norm(&mut self, x: View, weight: View, y: View, rstd: View) -> Result<(), Refusal> {
        for (from, n) in self.row_ranges(&[x, y, rstd], 1)? {
            let cut = |v: View| v.rows(from, n);
            let operands = [
                self.operand(cut(x))?,
                self.operand(weight)?,
                self.operand(cut(y))?,
                self.operand(cut(rstd))?,
            ];
            let params = params(&[n, x.cols], &operands);
            let size = Size { groups: self.row_groups(n), cost: n * x.cols * 64 };
            self.call(&kernels::RMSNORM, self.row_form(), &operands, params, size);
        }
        Ok(())
    }

    fn rms_norm_backward(
        &mut self,
        x: View,
        weight: View,
        rstd: View,
        dy: View,
        dx: View,
        write: Write,
    ) -> Result<(), Refusal> {
        for (from, n) in self.row_ranges(&[x, rstd, dy, dx], 1)? {
            let cut = |v: View| v.rows(from, n);
            let operands = [
                self.operand(cut(x))?,
                self.operand(weight)?,
                self.operand(cut(rstd))?,
                self.operand(cut(dy))?,
                self.operand(cut(dx))?,
            ];
            let params = params(&[n, x.cols], &operands);
            let mut constants = self.row_form();
            constants.push(("ADD", constant(write == Write::Add)));
            let size = Size { groups: self.row_groups(n), cost: n * x.cols * 96 };
            self.call(&kernels::RMSNORM_BACKWARD, constants, &operands, params, size);
        }
        Ok(())
    }

    /// dweight, by way of one partial sum for every 64 rows.
    fn rms_norm_weight(
        &mut self,
        x: View,
        rstd: View,
        dy: View,
        dweight: View,
        partial: View,
    ) -> Result<(), Refusal> {
        for (from, n) in self.row_ranges(&[x, rstd, dy], BLOCK)? {
            let blocks = n.div_ceil(BLOCK);
            let cut = |v: View| v.rows(from, n);
            let part = self.operand(partial.rows(from / BLOCK, blocks))?;
            let operands =
                [self.operand(cut(x))?, self.operand(cut(rstd))?, self.operand(cut(dy))?, part];
            let parameters = params(&[n, x.cols, blocks], &operands);
            let size = Size { groups: blocks * x.cols.div_ceil(GROUP), cost: n * x.cols * 40 };
            self.call(&kernels::RMSNORM_PARTIAL, Vec::new(), &operands, parameters, size);
            let operands = [part, self.operand(dweight)?];
            let parameters = params(&[x.cols, blocks], &operands);
            let size = Size { groups: x.cols.div_ceil(GROUP), cost: blocks * x.cols * 20 };
            self.call(&kernels::RMSNORM_WEIGHT, Vec::new(), &operands, parameters, size);
        }
        Ok(())
    }

    fn embed(&mut self, tokens: View, table: View, out: View) -> Result<(), Refusal> {
        for (at, n) in self.row_ranges(&[tokens, out], 1)? {
            for (first, count) in self.row_ranges(&[table], 1)? {
                let operands = [
                    self.operand(tokens.rows(at, n))?,
                    self.operand(table.rows(first, count))?,
                    self.operand(out.rows(at, n))?,
                ];
                let params = params(&[n, out.cols, first, count], &operands);
                let size = Size { groups: n * out.cols.div_ceil(GROUP), cost: n * out.cols * 32 };
                self.call(&kernels::EMBED, Vec::new(), &operands, params, size);
            }
        }
        Ok(())
    }

    fn embed_backward(&mut self, tokens: View, grad: View, table: View) -> Result<(), Refusal> {
        for (at, n) in self.row_ranges(&[tokens, grad], 1)? {
            let tokens = self.operand(tokens.rows(at, n))?;
            let links = self.scratch(Scratch::Links, 2 * n);
            let parameters = params(&[n], &[tokens]);
            let size = Size { groups: n.div_ceil(GROUP), cost: n * n * 4 };
            self.call(&kernels::EMBED_LINKS, Vec::new(), &[tokens, links], parameters, size);
            for (first, count) in self.row_ranges(&[table], 1)? {
                let grads = self.operand(grad.rows(at, n))?;
                let rows = self.operand(table.rows(first, count))?;
                let parameters = params(&[n, grad.cols, first, count], &[tokens, grads, rows]);
                let operands = [tokens, links, grads, rows];
                let size = Size { groups: n * grad.cols.div_ceil(GROUP), cost: n * grad.cols * 48 };
                self.call(&kernels::EMBED_BACKWARD, Vec::new(), &operands, parameters, size);
            }
        }
        Ok(())
    }

    fn rope(
        &mut self,
        x: View,
        table: View,
        head_dim: usize,
        rotation: Rotation,
    ) -> Result<(), Refusal> {
        let half = head_dim / 2;
        if half == 0 || table.rows == 0 {
            return Ok(());
        }
        for (from, n) in self.row_ranges(&[x], table.rows)? {
            let operands = [self.operand(x.rows(from, n))?, self.operand(table)?];
            let pairs = x.cols / 2;
            let mut params = params(&[n * pairs, pairs, half, table.rows], &operands);
            let sign: f32 = if rotation == Rotation::Forward { 1.0 } else { -1.0 };
            params.push(sign.to_bits());
            let size = Size { groups: (n * pairs).div_ceil(256), cost: n * pairs * 100 };
            self.call(&kernels::ROPE, Vec::new(), &operands, params, size);
        }
        Ok(())
    }

    fn cross_entropy(
        &mut self,
        logits: View,
        targets: View,
        losses: View,
        scale: f32,
    ) -> Result<(), Refusal> {
        for (from, n) in self.row_ranges(&[logits, targets, losses], 1)? {
            let cut = |v: View| v.rows(from, n);
            let operands = [
                self.operand(cut(logits))?,
                self.operand(cut(targets))?,
                self.operand(cut(losses))?,
            ];
            let by_four =
                self.may_be_by_four() && logits.cols.is_multiple_of(4) && operands[0].is_by_four();
            let mut params = vec![word(n), word(logits.cols)];
            params.extend(operands[0].place(if by_four { 4 } else { 1 }));
            params.extend(operands[1..].iter().flat_map(|o| o.place(1)));
            params.push(scale.to_bits());
            let mut constants = self.row_form();
            let [unit, number, index, logit] = if by_four {
                ["4", "vec4<f32>", "vec4<u32>", "x[xs + min(t, p.cols - 1u) / 4u][t % 4u]"]
            } else {
                ["1", "f32", "u32", "x[xs + min(t, p.cols - 1u)]"]
            };
            constants.extend([
                ("VEC", constant(by_four)),
                ("UNIT", constant(unit)),
                ("T", constant(number)),
                ("INDEX", constant(index)),
                ("LOGIT", constant(logit)),
            ]);
            let barrier = if self.class() == Class::Gpu { "storageBarrier();" } else { "" };
            constants.push(("BARRIER", constant(barrier)));
            let size = Size { groups: self.row_groups(n), cost: n * logits.cols * 80 };
            self.call(&kernels::CROSS_ENTROPY, constants, &operands, params, size);
        }
        Ok(())
    }

    /// Levels of sums, [`CHUNK`] to one, until one number is left.
    fn sum(&mut self, src: View, dst: View, scale: f32, square: bool) -> Result<(), Refusal> {
        let parts = self.pieces(&[src])?;
        let counts: Vec<usize> = parts.iter().map(|p| p[0].len().div_ceil(CHUNK)).collect();
        let mut left: usize = counts.iter().sum();
        let target = self.operand(dst)?;
        if left == 0 {
            return self.each(&kernels::FILL, &[dst], &[], 0.0);
        }
        let mut level = Level { square, dense: true, scale: 1.0 };
        let mut from = target;
        if left > 1 {
            from = self.scratch(Scratch::Odd, left);
        } else {
            level.scale = scale;
        }
        let mut done = 0;
        for (part, count) in parts.iter().zip(counts) {
            let x = self.operand(part[0])?;
            let y = Operand { offset: from.offset + word(done), ..from };
            level.dense = part[0].rows == 1;
            self.sum_call((part[0].len(), part[0].cols), x, y, level);
            done += count;
        }
        let mut odd = true;
        while left > 1 {
            let rows = left.div_ceil(CHUNK);
            let next = if odd { Scratch::Even } else { Scratch::Odd };
            let to = if rows == 1 { target } else { self.scratch(next, rows) };
            let scale = if rows == 1 { scale } else { 1.0 };
            let level = Level { square: false, dense: true, scale };
            self.sum_call((left, left), from, to, level);
            (left, from, odd) = (rows, to, !odd);
        }
        Ok(())
    }

    fn sum_call(&mut self, (len, cols): (usize, usize), x: Operand, y: Operand, level: Level) {
        let rows = len.div_ceil(CHUNK);
        let mut params = params(&[rows, len, cols], &[x, y]);
        params.push(level.scale.to_bits());
        let mut constants = self.row_form();
        constants.extend([
            ("DENSE", constant(level.dense)),
            ("SQUARE", constant(level.square)),
            ("CHUNK", constant(format_args!("{CHUNK}u"))),
        ]);
        let size = Size { groups: self.row_groups(rows), cost: len * 18 };
        self.call(&kernels::SUM, constants, &[x, y], params, size);
    }
}

/// One level of a sum.
#[derive(Clone, Copy)]
struct Level {
    square: bool,
    dense: bool,
    scale: f32,
}

/// Counts, then offset and stride of each operand.
fn params(counts: &[usize], operands: &[Operand]) -> Vec<u32> {
    let places = operands.iter().flat_map(|o| o.place(1));
    counts.iter().map(|n| word(*n)).chain(places).collect()
}
