//! Ops that treat every element alone, and the conversions to and from bfloat16.

use super::{Lowering, Operand, Refusal, Size, constant, ranges, word};
use crate::compute::op::{Op, View};
use crate::compute::wgpu::kernels::{self, Kernel};

/// Invocations of a workgroup, as in the shaders.
const GROUP: usize = 256;

impl Lowering<'_> {
    pub(super) fn elementwise_op(&mut self, op: &Op) -> Result<(), Refusal> {
        match *op {
            Op::Fill { dst, value } => self.each(&kernels::FILL, &[dst], &[], value),
            Op::Copy { src, dst } => self.each(&kernels::COPY, &[src, dst], &[], 0.0),
            Op::Add { src, dst } => self.each(&kernels::ADD, &[src, dst], &[], 0.0),
            Op::Silu { x, y } => self.each(&kernels::SILU, &[x, y], &[], 0.0),
            Op::SiluBackward { x, dy, dx } => {
                self.each(&kernels::SILU_BACKWARD, &[x, dy, dx], &[], 0.0)
            }
            Op::Relu { x, y } => self.each(&kernels::RELU, &[x, y], &[], 0.0),
            Op::ReluBackward { y, dy, dx } => {
                self.each(&kernels::RELU_BACKWARD, &[y, dy, dx], &[], 0.0)
            }
            Op::SwiGlu { gate, up, out } => self.each(&kernels::SWIGLU, &[gate, up, out], &[], 0.0),
            Op::SwiGluBackward { gate, up, dout, dgate, dup } => {
                let views = [gate, up, dout, dgate, dup];
                self.each(&kernels::SWIGLU_BACKWARD, &views, &[], 0.0)
            }
            Op::Adam { param, grad, m, v, clip, scalars } => {
                self.each(&kernels::ADAM, &[param, grad, m, v], &[clip, scalars], 0.0)
            }
            Op::AdamBf16 { param, grad, m, v, clip, scalars } => {
                self.adam_bf16(&[param, grad, m, v], [clip, scalars])
            }
            Op::Pack { src, dst } => self.convert(&kernels::PACK, src, dst),
            Op::Unpack { src, dst } => self.convert(&kernels::UNPACK, dst, src),
            _ => Err("not an elementwise op".to_owned()),
        }
    }

    /// One kernel over views of one shape; `fixed` are bound whole beside them.
    pub(super) fn each(
        &mut self,
        kernel: &'static Kernel,
        views: &[View],
        fixed: &[View],
        value: f32,
    ) -> Result<(), Refusal> {
        let fixed = fixed.iter().map(|v| self.operand(*v)).collect::<Result<Vec<_>, _>>()?;
        for views in self.pieces(views)? {
            let mut operands =
                views.iter().map(|v| self.operand(*v)).collect::<Result<Vec<_>, _>>()?;
            let (rows, cols) = (views[0].rows, views[0].cols);
            let by_four = self.may_be_by_four()
                && cols.is_multiple_of(4)
                && operands.iter().all(Operand::is_by_four);
            let unit = if by_four { 4 } else { 1 };
            let total = rows * cols / unit;
            let mut params = vec![word(total), word(cols / unit), value.to_bits()];
            params.extend(operands.iter().flat_map(|o| o.place(word(unit))));
            params.extend(fixed.iter().flat_map(|o| o.place(1)));
            operands.extend(&fixed);
            let constants = vec![
                ("T", constant(if by_four { "vec4<f32>" } else { "f32" })),
                ("DENSE", constant(rows == 1)),
            ];
            let cost = rows * cols * (16 + 16 * views.len());
            let size = Size { groups: total.div_ceil(GROUP), cost };
            self.call(kernel, constants, &operands, params, size);
        }
        Ok(())
    }

    /// A step whose moments stand two to a word.
    fn adam_bf16(&mut self, views: &[View; 4], fixed: [View; 2]) -> Result<(), Refusal> {
        for views in self.pieces(views)? {
            let all = views.iter().chain(&fixed);
            let operands = all.map(|v| self.operand(*v)).collect::<Result<Vec<_>, _>>()?;
            let (rows, cols) = (views[0].rows, views[0].cols);
            let by_four = self.may_be_by_four()
                && cols.is_multiple_of(4)
                && operands[..views.len()].iter().all(Operand::is_by_four);
            let (kernel, unit, turns) = if by_four {
                (&kernels::ADAM_BF16, 4, cols / 4)
            } else {
                // A row may start and end in the middle of a word.
                (&kernels::ADAM_BF16_WORDS, 1, cols / 2 + 1)
            };
            let mut params = vec![word(rows), word(cols), word(turns)];
            params.extend(operands[..views.len()].iter().flat_map(|o| o.place(unit)));
            params.extend(operands[views.len()..].iter().flat_map(|o| o.place(1)));
            let types = if by_four {
                ["vec4<f32>", "vec4<u32>", "vec2<u32>"]
            } else {
                ["f32", "u32", "u32"]
            };
            let constants = ["T", "U", "W"].into_iter().zip(types.map(constant)).collect();
            let cost = rows * cols * (16 + 16 * 3);
            let size = Size { groups: (rows * turns).div_ceil(GROUP), cost };
            self.call(kernel, constants, &operands, params, size);
        }
        Ok(())
    }

    /// Pieces of equally shaped views that can be bound; views without gaps become one row.
    pub(super) fn pieces(&self, views: &[View]) -> Result<Vec<Vec<View>>, Refusal> {
        let flat = views.iter().all(View::is_dense);
        let views: Vec<View> = views
            .iter()
            .map(|v| if flat { View { rows: 1, cols: v.len(), stride: v.len(), ..*v } } else { *v })
            .collect();
        let Some(first) = views.first().filter(|v| !v.is_empty()) else { return Ok(Vec::new()) };
        if views.iter().all(|v| self.fits(*v)) {
            return Ok(vec![views]);
        }
        let piece = |cut: &dyn Fn(&View) -> View| views.iter().map(cut).collect::<Vec<_>>();
        if !flat {
            let rows = self.row_ranges(&views, 1)?;
            return Ok(rows.into_iter().map(|(from, n)| piece(&|v| v.rows(from, n))).collect());
        }
        let slack = self.bounds.align.max(16) + 16;
        let each = usize::try_from((self.bounds.binding - slack) / 4 / 64 * 64);
        let parts = ranges(first.cols, each.unwrap_or(0))?;
        let cut = |v: &View, from, n| View { stride: n, ..v.columns(from, n) };
        Ok(parts.into_iter().map(|(from, n)| piece(&|v| cut(v, from, n))).collect())
    }

    /// Between a real view and a packed one.
    fn convert(&mut self, kernel: &'static Kernel, real: View, bf16: View) -> Result<(), Refusal> {
        for views in self.pieces(&[real, bf16])? {
            let (x, y) = (self.operand(views[0])?, self.operand(views[1])?);
            let (rows, cols) = (views[0].rows, views[0].cols);
            // A row of the packed side may start and end in the middle of a word.
            let words = cols / 2 + 1;
            let mut params = vec![word(rows), word(cols), word(words)];
            params.extend(x.place(1));
            params.extend(y.place(1));
            let order = if std::ptr::eq(kernel, &kernels::PACK) { [x, y] } else { [y, x] };
            let size = Size { groups: (rows * words).div_ceil(GROUP), cost: rows * cols * 32 };
            self.call(kernel, vec![("U", constant("u32"))], &order, params, size);
        }
        Ok(())
    }
}
