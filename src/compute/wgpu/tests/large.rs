//! A weight matrix larger than one binding may be (128 MiB on some drivers) in every op that meets
//! one: the whole is right, seen at rows on both sides of the seams, against direct sums in f64.

use super::{device, numbers};
use crate::compute::device::{Data, DataMut, Device, Executor};
use crate::compute::layout::{Element, Layout, Role, SlotId};
use crate::compute::op::{Form, Op, Program, View, Write};

const VOCAB: usize = 33_000;
const WIDTH: usize = 1_024;
/// Rows of activations; few, so that the test is about the table.
const ROWS: usize = 4;
/// The end of the first binding is in row 32,767; pieces end a little before.
const SEEN: [usize; 7] = [0, 1, 16_384, 32_752, 32_767, 32_768, 32_999];
const CLIP: [f32; 2] = [3.0, 0.5];
/// decay, beta1, beta2, bias2, eps, step_g, step_m.
const SCALARS: [f32; 7] = [0.9, 0.8, 0.7, 0.6, 1e-3, 0.05, 0.1];

struct Table {
    executor: Box<dyn Executor>,
    weight: Vec<f32>,
    x: Vec<f32>,
    wide: Vec<f32>,
    tokens: Vec<u32>,
    slots: Slots,
}

#[derive(Clone, Copy)]
struct Slots {
    grad: SlotId,
    logits: SlotId,
    back: SlotId,
    rows: SlotId,
    sum: SlotId,
    weight: SlotId,
    m: SlotId,
    v: SlotId,
}

impl Table {
    /// All programs on one set of buffers, in the order of the tests below.
    fn build(device: &dyn Device) -> Self {
        let mut layout = Layout::default();
        let mut real = |rows: usize, cols: usize| {
            let slot = layout.add("x", Element::Real, rows * cols, Role::Parameter);
            View::matrix(slot, rows, cols)
        };
        let [weight, grad, m, v] = std::array::from_fn(|_| real(VOCAB, WIDTH));
        let (x, wide, logits) = (real(ROWS, WIDTH), real(ROWS, VOCAB), real(ROWS, VOCAB));
        let (back, rows, sum) = (real(ROWS, WIDTH), real(SEEN.len(), WIDTH), real(1, 1));
        let (clip, scalars) = (real(1, 2), real(1, 7));
        let tokens = layout.add("tokens", Element::Index, SEEN.len(), Role::Wire);
        let tokens = View::matrix(tokens, SEEN.len(), 1);
        let ops = vec![
            Op::Gemm { form: Form::NT, a: x, b: weight, c: logits, write: Write::Set },
            Op::Gemm { form: Form::NN, a: wide, b: weight, c: back, write: Write::Set },
            Op::Gemm { form: Form::TN, a: wide, b: x, c: grad, write: Write::Set },
            Op::Embed { tokens, table: weight, out: rows },
            Op::EmbedBackward { tokens, grad: rows, table_grad: grad },
            Op::SumSquares { src: weight, dst: sum },
        ];
        let first = Program { name: "passes".to_owned(), ops };
        let ops = vec![Op::Adam { param: weight, grad, m, v, clip, scalars }];
        let step = Program { name: "step".to_owned(), ops };
        let mut executor = device.build(&layout, &[first, step]).unwrap();
        // A token twice, and one outside the table.
        let mut ids = SEEN.map(|row| row as u32).to_vec();
        ids[1] = ids[4];
        ids[2] = VOCAB as u32;
        let data = [(weight, 1), (x, 2), (wide, 3)].map(|(v, seed)| numbers(seed, v.len()));
        for (view, values) in [weight, x, wide].iter().zip(&data) {
            executor.write(view.slot, 0, Data::Real(values)).unwrap();
        }
        executor.write(clip.slot, 0, Data::Real(&CLIP)).unwrap();
        executor.write(scalars.slot, 0, Data::Real(&SCALARS)).unwrap();
        executor.write(tokens.slot, 0, Data::Index(&ids)).unwrap();
        let [w, x, wide] = data;
        let (m, v) = (m.slot, v.slot);
        let (grad, logits, back) = (grad.slot, logits.slot, back.slot);
        let (rows, sum, weight) = (rows.slot, sum.slot, weight.slot);
        let slots = Slots { grad, logits, back, rows, sum, weight, m, v };
        Self { executor, weight: w, x, wide, tokens: ids, slots }
    }

    fn read(&mut self, slot: SlotId, offset: usize, len: usize) -> Vec<f64> {
        let mut out = vec![0.0; len];
        self.executor.read(slot, offset, DataMut::Wide(&mut out)).unwrap();
        out
    }

    /// The gradient of one row before the step: the product's part and the tokens'.
    fn grad_row(&self, row: usize) -> Vec<f64> {
        let times = self.tokens.iter().filter(|token| **token as usize == row).count() as f64;
        let product = |c: usize| -> f64 {
            let term = |k: usize| wide_times(self.wide[k * VOCAB + row], self.x[k * WIDTH + c]);
            (0..ROWS).map(term).sum()
        };
        (0..WIDTH).map(|c| product(c) + times * f64::from(self.weight[row * WIDTH + c])).collect()
    }
}

fn wide_times(a: f32, b: f32) -> f64 {
    f64::from(a) * f64::from(b)
}

fn assert_close(what: &str, got: &[f64], want: &[f64]) {
    let norm = want.iter().map(|w| w * w).sum::<f64>().sqrt().max(1e-9);
    let off = got.iter().zip(want).map(|(g, w)| (g - w) * (g - w)).sum::<f64>().sqrt();
    assert_eq!(got.len(), want.len());
    assert!(off <= 1e-5 * norm, "{what}: off by {:.1e}", off / norm);
}

fn products_and_sums_are_right(table: &mut Table) {
    let slots = table.slots;
    let row = |w: &[f32], r: usize| w[r * WIDTH..(r + 1) * WIDTH].to_vec();
    for k in 0..ROWS {
        let logits = table.read(slots.logits, k * VOCAB, VOCAB);
        for seen in SEEN {
            let (a, b) = (row(&table.x, k), row(&table.weight, seen));
            let want: f64 = a.iter().zip(&b).map(|(a, b)| wide_times(*a, *b)).sum();
            assert!((logits[seen] - want).abs() < 1e-3, "NT {k},{seen}: {} {want}", logits[seen]);
        }
        let mut want = vec![0.0; WIDTH];
        for t in 0..VOCAB {
            for (c, sum) in want.iter_mut().enumerate() {
                *sum += wide_times(table.wide[k * VOCAB + t], table.weight[t * WIDTH + c]);
            }
        }
        assert_close("NN", &table.read(slots.back, k * WIDTH, WIDTH), &want);
    }
    for (i, token) in table.tokens.clone().into_iter().enumerate() {
        let inside = (token as usize) < VOCAB;
        let want = |c: usize| match inside {
            true => f64::from(table.weight[token as usize * WIDTH + c]),
            false => 0.0,
        };
        let want: Vec<f64> = (0..WIDTH).map(want).collect();
        assert_close("Embed", &table.read(slots.rows, i * WIDTH, WIDTH), &want);
    }
    for seen in SEEN {
        let want = table.grad_row(seen);
        let got = table.read(slots.grad, seen * WIDTH, WIDTH);
        assert_close("TN and EmbedBackward", &got, &want);
    }
    let want: f64 = table.weight.iter().map(|w| wide_times(*w, *w)).sum();
    assert_close("SumSquares", &table.read(slots.sum, 0, 1), &[want]);
}

fn the_step_is_right(table: &mut Table) {
    let [decay, beta1, beta2, bias2, eps, step_g, step_m] = SCALARS.map(f64::from);
    for seen in SEEN {
        let at = seen * WIDTH;
        let g: Vec<f64> = table.grad_row(seen).iter().map(|g| g * f64::from(CLIP[1])).collect();
        let m: Vec<f64> = g.iter().map(|g| g * (1.0 - beta1)).collect();
        let v: Vec<f64> = g.iter().map(|g| (1.0 - beta2) * g * g).collect();
        let moved = |c: usize| {
            let d = (v[c] / bias2).sqrt() + eps;
            f64::from(table.weight[at + c]) * decay - step_g * g[c] / d - step_m * m[c] / d
        };
        let param: Vec<f64> = (0..WIDTH).map(moved).collect();
        let slots = table.slots;
        assert_close("Adam, weights", &table.read(slots.weight, at, WIDTH), &param);
        assert_close("Adam, first moment", &table.read(slots.m, at, WIDTH), &m);
        assert_close("Adam, second moment", &table.read(slots.v, at, WIDTH), &v);
        assert_eq!(table.read(slots.grad, at, WIDTH), vec![0.0; WIDTH]);
    }
}

#[test]
fn a_weight_matrix_larger_than_a_binding_works_in_every_op() {
    let Some(device) = device() else { return };
    let device = device.bounded(|bounds| bounds.binding = bounds.binding.min(1 << 27));
    let mut table = Table::build(&device);
    table.executor.run(0).unwrap();
    products_and_sums_are_right(&mut table);
    table.executor.run(1).unwrap();
    the_step_is_right(&mut table);
}
