//! What is measured of the kernels: ops, their sizes, and how much work they are.

use crate::compute::op::{AttentionShape, View, Write};
use crate::compute::{Element, Form, Layout, Op, OpKind, Role, SlotId};

/// One op with its memory.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its sizes, for the reader.
    pub shape: String,
    /// Its memory.
    pub layout: Layout,
    /// What makes its inputs.
    pub prepare: Vec<Op>,
    /// What is measured.
    pub op: Op,
    /// Multiplications and additions.
    pub flops: f64,
    /// Bytes that it must read and write at least.
    pub bytes: f64,
    /// A real slot whose first element is read to wait for the end.
    pub sync: SlotId,
    /// Indices are below this.
    pub indices: u32,
}

/// How large the items are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// Some milliseconds each on two cores.
    Small,
    /// The 1B model's own sizes.
    Real,
}

impl Item {
    /// The kind of its op.
    pub fn kind(&self) -> OpKind {
        OpKind::of(&self.op)
    }

    /// What a slot's numbers lie between at the start.
    pub fn range(&self, slot: &str) -> (f32, f32) {
        match slot {
            // Second moments, and a step's scalars and clipping factor, are positive and small.
            "v" | "scalars" | "clip" => (0.1, 0.9),
            "weight" => (0.5, 1.5),
            "logits" => (-4.0, 4.0),
            _ => (-1.0, 1.0),
        }
    }
}

/// A layout in the making.
#[derive(Default)]
struct Slots(Layout);

impl Slots {
    fn real(&mut self, name: &str, rows: usize, cols: usize) -> View {
        View::matrix(self.0.add(name, Element::Real, rows * cols, Role::Scratch), rows, cols)
    }

    fn item(self, shape: String, op: Op, work: (f64, f64), sync: View) -> Item {
        let (flops, bytes) = work;
        let (layout, sync, prepare) = (self.0, sync.slot, Vec::new());
        Item { shape, layout, prepare, op, flops, bytes, sync, indices: 1 }
    }
}

/// A product that makes m x n numbers of k terms each.
pub fn product(form: Form, (m, n, k): (usize, usize, usize)) -> Item {
    let [left, right] = match form {
        Form::NN => [(m, k), (k, n)],
        Form::NT => [(m, k), (n, k)],
        Form::TN => [(k, m), (k, n)],
    };
    let mut slots = Slots::default();
    let (a, b) = (slots.real("a", left.0, left.1), slots.real("b", right.0, right.1));
    let c = slots.real("c", m, n);
    let op = Op::Gemm { form, a, b, c, write: Write::Set };
    let work = (2.0 * (m * n * k) as f64, 4.0 * (m * k + k * n + m * n) as f64);
    slots.item(format!("{m} x {n} x {k}"), op, work, c)
}

/// A square product.
pub fn square(form: Form, size: usize) -> Item {
    product(form, (size, size, size))
}

/// Everything but products.
pub fn others(scale: Scale) -> Vec<Item> {
    let (rows, width, hidden, numbers, vocabulary) = match scale {
        Scale::Small => (256, 1024, 1024, 1 << 21, 4096),
        Scale::Real => (3200, 2048, 8192, 1 << 24, 128_256),
    };
    let shape = match scale {
        Scale::Small => AttentionShape { batch: 1, seq: 256, heads: 8, groups: 2, head_dim: 64 },
        Scale::Real => AttentionShape { batch: 1, seq: 800, heads: 32, groups: 8, head_dim: 64 },
    };
    let entropy_rows = if scale == Scale::Real { 256 } else { 128 };
    vec![
        attention(shape),
        attention_backward(shape),
        cross_entropy(entropy_rows, vocabulary),
        norm(rows, width),
        norm_backward(rows, width),
        swiglu(rows, hidden),
        adam(numbers / 4),
        copy(numbers),
    ]
}

fn attention_words(shape: AttentionShape) -> String {
    let AttentionShape { batch, seq, heads, groups, head_dim } = shape;
    format!("{batch} x {seq} tokens, {heads}/{groups} heads of {head_dim}")
}

/// Multiplications and additions of one product of scores under the causal mask, and bytes of q and k.
fn attention_work(shape: AttentionShape) -> (f64, f64, f64) {
    let AttentionShape { batch, seq, heads, groups, head_dim } = shape;
    let rows = (batch * seq) as f64;
    let pairs = rows * (seq + 1) as f64 / 2.0;
    let wide = 4.0 * rows * (heads * head_dim) as f64;
    let narrow = 4.0 * rows * (groups * head_dim) as f64;
    (2.0 * pairs * (heads * head_dim) as f64, wide, narrow)
}

struct AttentionViews {
    q: View,
    k: View,
    v: View,
    out: View,
    lse: View,
}

fn attention_views(slots: &mut Slots, shape: AttentionShape) -> AttentionViews {
    let rows = shape.batch * shape.seq;
    let (wide, narrow) = (shape.heads * shape.head_dim, shape.groups * shape.head_dim);
    let q = slots.real("q", rows, wide);
    let [k, v] = ["k", "v"].map(|name| slots.real(name, rows, narrow));
    let out = slots.real("out", rows, wide);
    let lse = slots.real("lse", rows, shape.heads);
    AttentionViews { q, k, v, out, lse }
}

fn attention(shape: AttentionShape) -> Item {
    let mut slots = Slots::default();
    let AttentionViews { q, k, v, out, lse } = attention_views(&mut slots, shape);
    let (product, wide, narrow) = attention_work(shape);
    let work = (2.0 * product, 2.0 * wide + 2.0 * narrow);
    slots.item(attention_words(shape), Op::Attention { q, k, v, out, lse, shape }, work, out)
}

fn attention_backward(shape: AttentionShape) -> Item {
    let mut slots = Slots::default();
    let AttentionViews { q, k, v, out, lse } = attention_views(&mut slots, shape);
    let [dout, dq] = ["dout", "dq"].map(|name| slots.real(name, q.rows, q.cols));
    let [dk, dv] = ["dk", "dv"].map(|name| slots.real(name, k.rows, k.cols));
    let delta = slots.real("delta", q.rows, shape.heads);
    let op = Op::AttentionBackward { q, k, v, out, lse, dout, dq, dk, dv, delta, shape };
    let (product, wide, narrow) = attention_work(shape);
    let work = (5.0 * product, 4.0 * wide + 4.0 * narrow);
    let mut item = slots.item(attention_words(shape), op, work, dq);
    // Output and log-sum-exps are those of the forward.
    item.prepare = vec![Op::Attention { q, k, v, out, lse, shape }];
    item
}

fn cross_entropy(rows: usize, vocabulary: usize) -> Item {
    let mut slots = Slots::default();
    let logits = slots.real("logits", rows, vocabulary);
    let losses = slots.real("losses", rows, 1);
    let targets = slots.0.add("targets", Element::Index, rows, Role::Wire);
    let targets = View::matrix(targets, rows, 1);
    let n = (rows * vocabulary) as f64;
    let op = Op::CrossEntropy { logits, targets, losses, scale: 1.0 / rows as f32 };
    let mut item = slots.item(format!("{rows} x {vocabulary}"), op, (4.0 * n, 8.0 * n), losses);
    item.indices = u32::try_from(vocabulary).unwrap_or(u32::MAX);
    item
}

fn norm(rows: usize, width: usize) -> Item {
    let mut slots = Slots::default();
    let (x, y) = (slots.real("x", rows, width), slots.real("y", rows, width));
    let (weight, rstd) = (slots.real("weight", 1, width), slots.real("rstd", rows, 1));
    let n = (rows * width) as f64;
    let op = Op::RmsNorm { x, weight, y, rstd };
    slots.item(format!("{rows} x {width}"), op, (4.0 * n, 8.0 * n), y)
}

fn norm_backward(rows: usize, width: usize) -> Item {
    let mut slots = Slots::default();
    let [x, dy, dx] = ["x", "dy", "dx"].map(|name| slots.real(name, rows, width));
    let [weight, dweight] = ["weight", "dweight"].map(|name| slots.real(name, 1, width));
    let rstd = slots.real("rstd", rows, 1);
    let partial = slots.real("partial", rows.div_ceil(64), width);
    let write = Write::Set;
    let op = Op::RmsNormBackward { x, weight, rstd, dy, dx, write, dweight, partial };
    let n = (rows * width) as f64;
    slots.item(format!("{rows} x {width}"), op, (9.0 * n, 12.0 * n), dx)
}

fn swiglu(rows: usize, hidden: usize) -> Item {
    let mut slots = Slots::default();
    let [gate, up, out] = ["gate", "up", "out"].map(|name| slots.real(name, rows, hidden));
    let n = (rows * hidden) as f64;
    let op = Op::SwiGlu { gate, up, out };
    slots.item(format!("{rows} x {hidden}"), op, (5.0 * n, 12.0 * n), out)
}

fn adam(numbers: usize) -> Item {
    let mut slots = Slots::default();
    let [param, grad, m, v] = ["param", "grad", "m", "v"].map(|name| slots.real(name, 1, numbers));
    let (clip, scalars) = (slots.real("clip", 1, 2), slots.real("scalars", 1, 7));
    let n = numbers as f64;
    let op = Op::Adam { param, grad, m, v, clip, scalars };
    slots.item(format!("{numbers} weights"), op, (15.0 * n, 28.0 * n), param)
}

fn copy(numbers: usize) -> Item {
    let mut slots = Slots::default();
    let [src, dst] = ["src", "dst"].map(|name| slots.real(name, 1, numbers));
    let n = numbers as f64;
    slots.item(format!("{numbers} numbers"), Op::Copy { src, dst }, (0.0, 8.0 * n), dst)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::Program;
    use crate::compute::check::check;

    #[test]
    fn every_item_is_a_program_that_devices_take() {
        let products = [Form::NT, Form::NN, Form::TN].map(|form| product(form, (64, 48, 32)));
        for item in others(Scale::Small).iter().chain(&others(Scale::Real)).chain(&products) {
            let ops = item.prepare.iter().chain([&item.op]).copied().collect();
            let program = Program { name: item.shape.clone(), ops };
            check(&item.layout, &[program]).unwrap();
            assert!(item.bytes > 0.0, "{}", item.shape);
        }
    }

    #[test]
    fn a_product_is_two_n_cubed() {
        assert_eq!(square(Form::NT, 100).flops, 2e6);
    }
}
