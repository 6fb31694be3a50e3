//! Every op as loops over its formula and nothing else, in f64: slow, and short enough to be read
//! against [`op`](crate::compute::op) line by line. It shares no code with any backend.

use half::bf16;

use super::Values;
use crate::compute::op::{AttentionShape, Form, Op, Rotation, View, Write};

/// All memory of a case.
#[derive(Clone, Debug)]
pub struct Slots {
    real: Vec<Vec<f64>>,
    index: Vec<Vec<u32>>,
    wire: Vec<Vec<bf16>>,
}

impl Slots {
    /// Memory with this content, one per slot.
    pub fn new(content: &[Values]) -> Self {
        let mut slots = Self { real: vec![], index: vec![], wire: vec![] };
        for values in content {
            let (mut real, mut index, mut wire) = (vec![], vec![], vec![]);
            match values {
                Values::Real(x) => real = x.iter().map(|&x| f64::from(x)).collect(),
                Values::Index(x) => index.clone_from(x),
                Values::Bf16(x) => wire.clone_from(x),
            }
            slots.real.push(real);
            slots.index.push(index);
            slots.wire.push(wire);
        }
        slots
    }

    /// Every slot's elements as f64.
    pub fn into_numbers(self) -> Vec<Vec<f64>> {
        let lists = self.real.into_iter().zip(self.index).zip(self.wire);
        lists
            .map(|((real, index), wire)| {
                let index = index.into_iter().map(f64::from);
                let wire = wire.into_iter().map(f64::from);
                real.into_iter().chain(index).chain(wire).collect()
            })
            .collect()
    }

    /// An element.
    pub fn get(&self, v: View, r: usize, c: usize) -> f64 {
        self.real[v.slot.0 as usize][v.offset + r * v.stride + c]
    }

    /// Replaces an element.
    pub fn set(&mut self, v: View, r: usize, c: usize, x: f64) {
        self.real[v.slot.0 as usize][v.offset + r * v.stride + c] = x;
    }

    fn add(&mut self, v: View, r: usize, c: usize, x: f64) {
        self.set(v, r, c, self.get(v, r, c) + x);
    }

    fn index(&self, v: View, r: usize) -> usize {
        self.index[v.slot.0 as usize][v.offset + r * v.stride] as usize
    }

    fn put(&mut self, write: Write, v: View, r: usize, c: usize, x: f64) {
        match write {
            Write::Set => self.set(v, r, c, x),
            Write::Add => self.add(v, r, c, x),
        }
    }

    /// dst = f(r, c) for every element.
    fn each(&mut self, dst: View, f: impl Fn(&Self, usize, usize) -> f64) {
        for (r, c) in cells(dst.rows, dst.cols) {
            let x = f(self, r, c);
            self.set(dst, r, c, x);
        }
    }

    /// Carries out one op.
    pub fn apply(&mut self, op: &Op) {
        match *op {
            Op::Fill { dst, value } => self.each(dst, |_, _, _| f64::from(value)),
            Op::Copy { src, dst } => self.each(dst, |s, r, c| s.get(src, r, c)),
            Op::Add { src, dst } => self.each(dst, |s, r, c| s.get(dst, r, c) + s.get(src, r, c)),
            Op::Embed { .. } | Op::EmbedBackward { .. } => self.embedding(op),
            Op::Gemm { form, a, b, c, write } => self.gemm(form, a, b, c, write),
            Op::RmsNorm { .. } | Op::RmsNormBackward { .. } => self.norm(op),
            Op::Rope { x, table, head_dim, rotation } => self.rope(x, table, head_dim, rotation),
            Op::Attention { .. } => self.attention(op),
            Op::AttentionBackward { .. } => self.attention_backward(op),
            Op::CrossEntropy { logits, targets, losses, scale } => {
                self.cross_entropy(logits, targets, losses, f64::from(scale));
            }
            Op::Sum { .. } | Op::SumSquares { .. } | Op::ClipFactor { .. } => self.sums(op),
            Op::Adam { .. } | Op::AdamBf16 { .. } => self.adam(op),
            Op::Pack { src, dst } => {
                for (r, c) in cells(src.rows, src.cols) {
                    let x = bf16::from_f64(self.get(src, r, c));
                    self.wire[dst.slot.0 as usize][dst.offset + r * dst.stride + c] = x;
                }
            }
            Op::Unpack { src, dst } => self.each(dst, |s, r, c| {
                s.wire[src.slot.0 as usize][src.offset + r * src.stride + c].to_f64()
            }),
            _ => self.pointwise(op),
        }
    }

    fn pointwise(&mut self, op: &Op) {
        match *op {
            Op::SwiGlu { gate, up, out } => {
                self.each(out, |s, r, c| silu(s.get(gate, r, c)) * s.get(up, r, c));
            }
            Op::SwiGluBackward { gate, up, dout, dgate, dup } => {
                self.each(dgate, |s, r, c| {
                    s.get(dout, r, c) * s.get(up, r, c) * silu_slope(s.get(gate, r, c))
                });
                self.each(dup, |s, r, c| s.get(dout, r, c) * silu(s.get(gate, r, c)));
            }
            Op::Silu { x, y } => self.each(y, |s, r, c| silu(s.get(x, r, c))),
            Op::SiluBackward { x, dy, dx } => {
                self.each(dx, |s, r, c| s.get(dy, r, c) * silu_slope(s.get(x, r, c)));
            }
            Op::Relu { x, y } => self.each(y, |s, r, c| s.get(x, r, c).max(0.0)),
            Op::ReluBackward { y, dy, dx } => {
                self.each(dx, |s, r, c| if s.get(y, r, c) > 0.0 { s.get(dy, r, c) } else { 0.0 })
            }
            _ => unreachable!("every other op has its own arm in `apply`"),
        }
    }

    fn embedding(&mut self, op: &Op) {
        match *op {
            Op::Embed { tokens, table, out } => self.each(out, |s, r, c| {
                let token = s.index(tokens, r);
                if token < table.rows { s.get(table, token, c) } else { 0.0 }
            }),
            Op::EmbedBackward { tokens, grad, table_grad } => {
                for (m, c) in cells(grad.rows, grad.cols) {
                    let token = self.index(tokens, m);
                    if token < table_grad.rows {
                        self.add(table_grad, token, c, self.get(grad, m, c));
                    }
                }
            }
            _ => unreachable!("`apply` sends only these here"),
        }
    }

    fn gemm(&mut self, form: Form, a: View, b: View, c: View, write: Write) {
        let depth = if form == Form::TN { a.rows } else { a.cols };
        for (m, n) in cells(c.rows, c.cols) {
            let term = |k| match form {
                Form::NN => self.get(a, m, k) * self.get(b, k, n),
                Form::NT => self.get(a, m, k) * self.get(b, n, k),
                Form::TN => self.get(a, k, m) * self.get(b, k, n),
            };
            let sum = (0..depth).map(term).sum();
            self.put(write, c, m, n, sum);
        }
    }

    fn norm(&mut self, op: &Op) {
        match *op {
            Op::RmsNorm { x, weight, y, rstd } => {
                for m in 0..x.rows {
                    let squares: f64 = (0..x.cols).map(|c| self.get(x, m, c).powi(2)).sum();
                    let inverse = 1.0 / (squares / x.cols as f64 + 1e-5).sqrt();
                    self.set(rstd, m, 0, inverse);
                    for c in 0..x.cols {
                        self.set(y, m, c, self.get(x, m, c) * inverse * self.get(weight, 0, c));
                    }
                }
            }
            Op::RmsNormBackward { x, weight, rstd, dy, dx, write, dweight, .. } => {
                for m in 0..x.rows {
                    let inverse = self.get(rstd, m, 0);
                    let slope = |s: &Self, c| s.get(dy, m, c) * s.get(weight, 0, c);
                    let sum: f64 = (0..x.cols).map(|c| slope(self, c) * self.get(x, m, c)).sum();
                    for c in 0..x.cols {
                        let x = self.get(x, m, c);
                        let along = x * inverse.powi(2) * sum / dx.cols as f64;
                        let grad = inverse * (slope(self, c) - along);
                        self.add(dweight, 0, c, self.get(dy, m, c) * x * inverse);
                        self.put(write, dx, m, c, grad);
                    }
                }
            }
            _ => unreachable!("`apply` sends only these here"),
        }
    }

    fn rope(&mut self, x: View, table: View, head_dim: usize, rotation: Rotation) {
        let half = head_dim / 2;
        for (m, head) in cells(x.rows, x.cols / head_dim) {
            for i in 0..half {
                let position = m % table.rows;
                let (cos, sin) =
                    (self.get(table, position, i), self.get(table, position, half + i));
                let sin = if rotation == Rotation::Forward { sin } else { -sin };
                let (low, high) = (head * head_dim + i, head * head_dim + i + half);
                let (a, b) = (self.get(x, m, low), self.get(x, m, high));
                self.set(x, m, low, a * cos - b * sin);
                self.set(x, m, high, b * cos + a * sin);
            }
        }
    }

    /// Scaled score of query row i and key row j (both of all sequences) for a query head.
    fn score(
        &self,
        q: View,
        k: View,
        shape: AttentionShape,
        head: usize,
        i: usize,
        j: usize,
    ) -> f64 {
        let (d, group) = (shape.head_dim, head / (shape.heads / shape.groups));
        let terms = (0..d).map(|c| self.get(q, i, head * d + c) * self.get(k, j, group * d + c));
        terms.sum::<f64>() / (d as f64).sqrt()
    }

    fn attention(&mut self, op: &Op) {
        let Op::Attention { q, k, v, out, lse, shape } = *op else { return };
        let AttentionShape { seq, heads, groups, head_dim: d, .. } = shape;
        for (i, head) in cells(q.rows, heads) {
            let keys = i - i % seq..i + 1;
            let group = head / (heads / groups);
            let scores: Vec<f64> =
                keys.clone().map(|j| self.score(q, k, shape, head, i, j)).collect();
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = scores.iter().map(|s| (s - most).exp()).sum();
            self.set(lse, i, head, most + sum.ln());
            for c in 0..d {
                let values = keys.clone().map(|j| self.get(v, j, group * d + c));
                let terms = scores.iter().zip(values).map(|(s, v)| (s - most).exp() / sum * v);
                let mixed = terms.sum();
                self.set(out, i, head * d + c, mixed);
            }
        }
    }

    fn attention_backward(&mut self, op: &Op) {
        let Op::AttentionBackward { q, k, v, out, lse, dout, dq, dk, dv, delta, shape } = *op
        else {
            return;
        };
        let AttentionShape { seq, heads, groups, head_dim: d, .. } = shape;
        let scale = 1.0 / (d as f64).sqrt();
        for view in [dq, dk, dv] {
            self.each(view, |_, _, _| 0.0);
        }
        for (head, i) in cells(heads, q.rows) {
            let (h, g) = (head * d, head / (heads / groups) * d);
            let dot = (0..d).map(|c| self.get(dout, i, h + c) * self.get(out, i, h + c)).sum();
            self.set(delta, i, head, dot);
            for j in i - i % seq..=i {
                let weight = (self.score(q, k, shape, head, i, j) - self.get(lse, i, head)).exp();
                let dweight: f64 =
                    (0..d).map(|c| self.get(dout, i, h + c) * self.get(v, j, g + c)).sum();
                let dscore = weight * (dweight - dot) * scale;
                for c in 0..d {
                    self.add(dq, i, h + c, dscore * self.get(k, j, g + c));
                    self.add(dk, j, g + c, dscore * self.get(q, i, h + c));
                    self.add(dv, j, g + c, weight * self.get(dout, i, h + c));
                }
            }
        }
    }

    fn cross_entropy(&mut self, logits: View, targets: View, losses: View, scale: f64) {
        for r in 0..logits.rows {
            let target = self.index(targets, r);
            if target >= logits.cols {
                self.set(losses, r, 0, 0.0);
                (0..logits.cols).for_each(|c| self.set(logits, r, c, 0.0));
                continue;
            }
            let row: Vec<f64> = (0..logits.cols).map(|c| self.get(logits, r, c)).collect();
            let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = row.iter().map(|x| (x - most).exp()).sum();
            self.set(losses, r, 0, most + sum.ln() - row[target]);
            for (c, x) in row.iter().enumerate() {
                let hit = if c == target { 1.0 } else { 0.0 };
                self.set(logits, r, c, scale * ((x - most).exp() / sum - hit));
            }
        }
    }

    fn sums(&mut self, op: &Op) {
        let all = |src: View| cells(src.rows, src.cols);
        match *op {
            Op::Sum { src, dst, scale } => {
                let sum: f64 = all(src).map(|(r, c)| self.get(src, r, c)).sum();
                self.set(dst, 0, 0, f64::from(scale) * sum);
            }
            Op::SumSquares { src, dst } => {
                let sum = all(src).map(|(r, c)| self.get(src, r, c).powi(2)).sum();
                self.set(dst, 0, 0, sum);
            }
            Op::ClipFactor { squares, dst, max_norm } => {
                let sum: f64 = all(squares).map(|(r, c)| self.get(squares, r, c)).sum();
                let norm = sum.sqrt();
                let coef = (f64::from(max_norm) / (norm + 1e-6)).min(1.0);
                self.set(dst, 0, 0, norm);
                self.set(dst, 0, 1, if norm.is_finite() { coef } else { 0.0 });
            }
            _ => unreachable!("`apply` sends only these here"),
        }
    }

    fn adam(&mut self, op: &Op) {
        let (param, grad, m, v, clip, scalars) = match *op {
            Op::Adam { param, grad, m, v, clip, scalars }
            | Op::AdamBf16 { param, grad, m, v, clip, scalars } => {
                (param, grad, m, v, clip, scalars)
            }
            _ => unreachable!("`apply` sends only these here"),
        };
        let rounds = matches!(op, Op::AdamBf16 { .. });
        let [decay, beta1, beta2, bias2, eps, step_g, step_m] =
            std::array::from_fn(|i| self.get(scalars, 0, i));
        let clip = self.get(clip, 0, 1);
        for (r, c) in cells(param.rows, param.cols) {
            let at = |view: View| (view.slot.0 as usize, view.offset + r * view.stride + c);
            let before = |slots: &Self, view| match at(view) {
                (slot, place) if rounds => slots.wire[slot][place].to_f64(),
                (slot, place) => slots.real[slot][place],
            };
            let g = if clip == 0.0 { 0.0 } else { self.get(grad, r, c) * clip };
            let first = before(self, m) + (g - before(self, m)) * (1.0 - beta1);
            let second = beta2 * before(self, v) + (1.0 - beta2) * g * g;
            let d = (second / bias2).sqrt() + eps;
            let p = self.get(param, r, c) * decay - step_g * g / d - step_m * first / d;
            self.set(param, r, c, p);
            self.set(grad, r, c, 0.0);
            for (view, moment) in [(m, first), (v, second)] {
                match at(view) {
                    (slot, place) if rounds => self.wire[slot][place] = bf16::from_f64(moment),
                    (slot, place) => self.real[slot][place] = moment,
                }
            }
        }
    }
}

/// All (row, column) pairs, row by row.
fn cells(rows: usize, cols: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).flat_map(move |r| (0..cols).map(move |c| (r, c)))
}

fn silu(z: f64) -> f64 {
    z / (1.0 + (-z).exp())
}

/// Derivative of silu, from the quotient rule.
fn silu_slope(z: f64) -> f64 {
    let e = (-z).exp();
    1.0 / (1.0 + e) + z * e / (1.0 + e).powi(2)
}
