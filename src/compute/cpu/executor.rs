//! A layout in the process's memory, and the call of a kernel for each op.

use std::sync::Arc;

use half::bf16;
use rayon::ThreadPool;

use super::attention::{Projections, Scratch, Upstream, attention, attention_backward};
use super::gemm::gemm;
use super::matrix::{Mat, MatMut, carve, flat};
use super::real::Real;
use super::{pointwise, rows};
use crate::compute::device::{Data, DataMut, DeviceFault, Executor};
use crate::compute::layout::{Element, Layout, SlotId};
use crate::compute::op::{Op, Program, View, Write};

/// Every slot's elements; the lists that are not of a slot's type hold nothing for it.
#[derive(Debug)]
struct Memory<T> {
    names: Vec<String>,
    real: Vec<Vec<T>>,
    index: Vec<Vec<u32>>,
    wire: Vec<Vec<bf16>>,
    scratch: Scratch<T>,
}

/// Compiled programs over their memory.
#[derive(Debug)]
pub struct CpuExecutor<T> {
    memory: Memory<T>,
    programs: Vec<Program>,
    pool: Option<Arc<ThreadPool>>,
}

impl<T: Real> CpuExecutor<T> {
    /// Takes memory for the layout, zero-filled; none if there is not enough. The programs must
    /// have passed the check.
    pub fn new(
        layout: &Layout,
        programs: &[Program],
        threads: usize,
        pool: Option<Arc<ThreadPool>>,
    ) -> Option<Self> {
        let ops = programs.iter().flat_map(|p| &p.ops);
        let scratch = Scratch::new(threads, ops.map(Scratch::<T>::needed).max().unwrap_or(0));
        let memory = Memory::new(layout, scratch)?;
        Some(Self { memory, programs: programs.to_vec(), pool })
    }
}

/// Zero-filled elements, or none if there is no memory for them.
fn zeros<E: Clone + Default>(len: usize) -> Option<Vec<E>> {
    let mut elements = Vec::new();
    elements.try_reserve_exact(len).ok()?;
    elements.resize(len, E::default());
    Some(elements)
}

impl<T: Real> Memory<T> {
    fn new(layout: &Layout, scratch: Scratch<T>) -> Option<Self> {
        let (mut names, mut real, mut index, mut wire) = (vec![], vec![], vec![], vec![]);
        for slot in layout.slots() {
            let len = |element| if slot.element == element { slot.len } else { 0 };
            names.push(slot.name.clone());
            real.push(zeros(len(Element::Real))?);
            index.push(zeros(len(Element::Index))?);
            wire.push(zeros(len(Element::Bf16))?);
        }
        Some(Self { names, real, index, wire, scratch })
    }

    fn mat(&self, view: View) -> Mat<'_, T> {
        Mat::new(&self.real[view.slot.0 as usize], view)
    }

    fn tokens(&self, view: View) -> Mat<'_, u32> {
        Mat::new(&self.index[view.slot.0 as usize], view)
    }

    /// The first row: for weights, tables of scalars and other vectors.
    fn vector(&self, view: View) -> &[T] {
        self.mat(view).row(0)
    }

    /// The optimizer's numbers of one step.
    fn scalars(&self, view: View) -> [T; 7] {
        let scalars = self.vector(view);
        std::array::from_fn(|i| scalars[i])
    }

    /// Takes the outputs out of memory for the time of a kernel, so that it may read the rest.
    fn with<const N: usize>(
        &mut self,
        views: [View; N],
        kernel: impl FnOnce(&Self, [MatMut<'_, T>; N]),
    ) {
        let slots = views.map(|v| v.slot.0 as usize);
        let mut taken = slots.map(|slot| std::mem::take(&mut self.real[slot]));
        kernel(self, carved(&mut taken, &views));
        for (data, slot) in taken.into_iter().zip(slots) {
            if !data.is_empty() {
                self.real[slot] = data;
            }
        }
    }

    fn run(&mut self, op: &Op) {
        match *op {
            Op::Gemm { form, a, b, c, write } => self.with([c], |memory, [c]| {
                gemm(form, T::one(), memory.mat(a), memory.mat(b), write, c);
            }),
            Op::Attention { .. } | Op::AttentionBackward { .. } => self.attention(op),
            Op::Embed { .. }
            | Op::EmbedBackward { .. }
            | Op::RmsNorm { .. }
            | Op::RmsNormBackward { .. }
            | Op::Rope { .. }
            | Op::CrossEntropy { .. } => self.rows(op),
            Op::Sum { .. }
            | Op::SumSquares { .. }
            | Op::ClipFactor { .. }
            | Op::Adam { .. }
            | Op::AdamBf16 { .. } => self.optimizer(op),
            Op::Pack { src, dst } => {
                let [src, dst] = flat([src, dst]);
                let mut data = std::mem::take(&mut self.wire[dst.slot.0 as usize]);
                let out = &mut data[dst.offset..dst.end()];
                let out = MatMut::new(out, dst.rows, dst.cols, dst.stride);
                pointwise::pack(self.mat(src), out);
                self.wire[dst.slot.0 as usize] = data;
            }
            Op::Unpack { src, dst } => {
                let [src, dst] = flat([src, dst]);
                self.with([dst], |memory, [dst]| {
                    pointwise::unpack(Mat::new(&memory.wire[src.slot.0 as usize], src), dst);
                });
            }
            _ => self.pointwise(op),
        }
    }

    fn pointwise(&mut self, op: &Op) {
        match *op {
            Op::Fill { dst, value } => {
                self.with(flat([dst]), |_, [dst]| pointwise::fill(dst, T::from_f32(value)));
            }
            Op::Copy { src, dst } => self.unary(src, dst, pointwise::copy),
            Op::Add { src, dst } => self.unary(src, dst, pointwise::add),
            Op::Silu { x, y } => self.unary(x, y, pointwise::silu),
            Op::Relu { x, y } => self.unary(x, y, pointwise::relu),
            Op::SwiGlu { gate, up, out } => self.binary(gate, up, out, pointwise::swiglu),
            Op::SiluBackward { x, dy, dx } => self.binary(x, dy, dx, pointwise::silu_backward),
            Op::ReluBackward { y, dy, dx } => self.binary(y, dy, dx, pointwise::relu_backward),
            Op::SwiGluBackward { gate, up, dout, dgate, dup } => {
                let [gate, up, dout, dgate, dup] = flat([gate, up, dout, dgate, dup]);
                self.with([dgate, dup], |memory, outputs| {
                    pointwise::swiglu_backward([gate, up, dout].map(|v| memory.mat(v)), outputs);
                });
            }
            _ => unreachable!("every other op has its own arm in `run`"),
        }
    }

    fn unary(&mut self, src: View, dst: View, kernel: fn(Mat<'_, T>, MatMut<'_, T>)) {
        let [src, dst] = flat([src, dst]);
        self.with([dst], |memory, [dst]| kernel(memory.mat(src), dst));
    }

    fn binary(
        &mut self,
        a: View,
        b: View,
        dst: View,
        kernel: fn(Mat<'_, T>, Mat<'_, T>, MatMut<'_, T>),
    ) {
        let [a, b, dst] = flat([a, b, dst]);
        self.with([dst], |memory, [dst]| kernel(memory.mat(a), memory.mat(b), dst));
    }

    fn rows(&mut self, op: &Op) {
        match *op {
            Op::Embed { tokens, table, out } => self.with([out], |memory, [out]| {
                rows::embed(memory.tokens(tokens), memory.mat(table), out);
            }),
            Op::EmbedBackward { tokens, grad, table_grad } => {
                self.with([table_grad], |memory, [table_grad]| {
                    rows::embed_backward(memory.tokens(tokens), memory.mat(grad), table_grad);
                });
            }
            Op::RmsNorm { x, weight, y, rstd } => self.with([y, rstd], |memory, [y, rstd]| {
                rows::rms_norm(memory.mat(x), memory.vector(weight), y, rstd);
            }),
            Op::RmsNormBackward { x, weight, rstd, dy, dx, write, dweight, partial } => {
                self.with([dx, dweight, partial], |memory, [dx, dweight, partial]| {
                    let inputs = rows::NormGradient {
                        x: memory.mat(x),
                        weight: memory.vector(weight),
                        rstd: memory.mat(rstd),
                        dy: memory.mat(dy),
                    };
                    let keep = if write == Write::Add { T::one() } else { T::zero() };
                    rows::rms_norm_backward(inputs, keep, dx, dweight, partial);
                });
            }
            Op::Rope { x, table, head_dim, rotation } => self.with([x], |memory, [x]| {
                rows::rope(x, memory.mat(table), head_dim, rotation);
            }),
            Op::CrossEntropy { logits, targets, losses, scale } => {
                self.with([logits, losses], |memory, [logits, losses]| {
                    let scale = T::from_f32(scale);
                    rows::cross_entropy(logits, memory.tokens(targets), losses, scale);
                });
            }
            _ => unreachable!("`run` sends only these here"),
        }
    }

    fn attention(&mut self, op: &Op) {
        match *op {
            Op::Attention { q, k, v, out, lse, shape } => {
                self.with([out, lse], |memory, [out, lse]| {
                    let [q, k, v] = [q, k, v].map(|x| memory.mat(x));
                    attention(Projections { q, k, v, shape }, out, lse, &memory.scratch);
                });
            }
            Op::AttentionBackward { q, k, v, out, lse, dout, dq, dk, dv, delta, shape } => {
                self.with([dq, dk, dv, delta], |memory, gradients| {
                    let [q, k, v, out, lse, dout] =
                        [q, k, v, out, lse, dout].map(|x| memory.mat(x));
                    let inputs = Projections { q, k, v, shape };
                    let upstream = Upstream { out, lse, dout };
                    attention_backward(inputs, upstream, gradients, &memory.scratch);
                });
            }
            _ => unreachable!("`run` sends only these here"),
        }
    }

    fn optimizer(&mut self, op: &Op) {
        match *op {
            Op::Sum { src, dst, scale } => {
                let [src] = flat([src]);
                self.with([dst], |memory, [mut dst]| {
                    dst.row(0)[0] = rows::sum_of(memory.mat(src), &|x| x) * T::from_f32(scale);
                });
            }
            Op::SumSquares { src, dst } => {
                let [src] = flat([src]);
                self.with([dst], |memory, [mut dst]| {
                    dst.row(0)[0] = rows::sum_of(memory.mat(src), &|x| x * x);
                });
            }
            Op::ClipFactor { squares, dst, max_norm } => {
                self.with([dst], |memory, [mut dst]| {
                    let factor = rows::clip_factor(memory.vector(squares), T::from_f32(max_norm));
                    dst.row(0).copy_from_slice(&factor);
                });
            }
            Op::Adam { param, grad, m, v, clip, scalars } => {
                self.with(flat([param, grad, m, v]), |memory, [param, grad, m, v]| {
                    let (coef, scalars) = (memory.vector(clip)[1], memory.scalars(scalars));
                    pointwise::adam([param, grad], [m, v], coef, scalars);
                });
            }
            Op::AdamBf16 { param, grad, m, v, clip, scalars } => {
                let [param, grad, m, v] = flat([param, grad, m, v]);
                let moments = [m, v];
                let slots = moments.map(|view| view.slot.0 as usize);
                let mut taken = slots.map(|slot| std::mem::take(&mut self.wire[slot]));
                self.with([param, grad], |memory, weights| {
                    let (coef, scalars) = (memory.vector(clip)[1], memory.scalars(scalars));
                    pointwise::adam(weights, carved(&mut taken, &moments), coef, scalars);
                });
                for (data, slot) in taken.into_iter().zip(slots) {
                    self.wire[slot] = data;
                }
            }
            _ => unreachable!("`run` sends only these here"),
        }
    }

    fn fault(&self, slot: SlotId, why: String) -> DeviceFault {
        let name = self.names.get(slot.0 as usize);
        DeviceFault::BadAccess { slot: name.cloned().unwrap_or_default(), why }
    }
}

/// The views of slots that were taken out of memory, one for each view.
fn carved<'a, E: Send, const N: usize>(
    taken: &'a mut [Vec<E>; N],
    views: &[View; N],
) -> [MatMut<'a, E>; N] {
    let mut outputs = [const { None }; N];
    for (data, view) in taken.iter_mut().zip(views) {
        // A slot's second view finds its memory taken by the first, which carves for both.
        if !data.is_empty() {
            carve(data, view.slot, views, &mut outputs);
        }
    }
    outputs.map(|output| match output {
        Some(output) => output,
        None => unreachable!("views are checked when a program is built"),
    })
}

/// The part of a slot that the host reads or writes.
fn part<E>(
    slots: &mut [Vec<E>],
    slot: SlotId,
    offset: usize,
    len: usize,
) -> Result<&mut [E], String> {
    let elements = slots.get_mut(slot.0 as usize).ok_or("no such slot")?;
    let held = elements.len();
    let end = offset.checked_add(len).filter(|&end| end <= held);
    let end = end
        .ok_or_else(|| format!("{len} elements from {offset}, of {held} elements of this type"))?;
    Ok(&mut elements[offset..end])
}

impl<T: Real> Executor for CpuExecutor<T> {
    fn run(&mut self, program: usize) -> Result<(), DeviceFault> {
        let Self { memory, programs, pool } = self;
        let Some(program) = programs.get(program) else {
            let why = format!("there is no program {program}");
            return Err(DeviceFault::BadAccess { slot: String::new(), why });
        };
        let mut all = || program.ops.iter().for_each(|op| memory.run(op));
        match pool {
            Some(pool) => pool.install(all),
            None => all(),
        }
        Ok(())
    }

    fn write(&mut self, slot: SlotId, offset: usize, data: Data<'_>) -> Result<(), DeviceFault> {
        let memory = &mut self.memory;
        let written =
            match data {
                Data::Real(from) => part(&mut memory.real, slot, offset, from.len()).map(|to| {
                    to.iter_mut().zip(from).for_each(|(to, &from)| *to = T::from_f32(from));
                }),
                Data::Wide(from) => part(&mut memory.real, slot, offset, from.len()).map(|to| {
                    to.iter_mut().zip(from).for_each(|(to, &from)| *to = T::from_f64(from));
                }),
                Data::Index(from) => part(&mut memory.index, slot, offset, from.len())
                    .map(|to| to.copy_from_slice(from)),
                Data::Bf16(from) => part(&mut memory.wire, slot, offset, from.len())
                    .map(|to| to.copy_from_slice(from)),
            };
        written.map_err(|why| self.memory.fault(slot, why))
    }

    fn read(&mut self, slot: SlotId, offset: usize, out: DataMut<'_>) -> Result<(), DeviceFault> {
        let memory = &mut self.memory;
        let copied =
            match out {
                DataMut::Real(to) => part(&mut memory.real, slot, offset, to.len()).map(|from| {
                    to.iter_mut().zip(from).for_each(|(to, from)| *to = from.to_f32());
                }),
                DataMut::Wide(to) => part(&mut memory.real, slot, offset, to.len()).map(|from| {
                    to.iter_mut().zip(from).for_each(|(to, from)| *to = from.to_f64());
                }),
                DataMut::Index(to) => part(&mut memory.index, slot, offset, to.len())
                    .map(|from| to.copy_from_slice(from)),
                DataMut::Bf16(to) => part(&mut memory.wire, slot, offset, to.len())
                    .map(|from| to.copy_from_slice(from)),
            };
        copied.map_err(|why| self.memory.fault(slot, why))
    }
}
