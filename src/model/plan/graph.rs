//! Programs while they are being written: ops over fixed slots and over temporaries, whose slots
//! are chosen at the end from how long each of them lives.

use crate::compute::{Element, Form, Layout, Op, Program, Role, SlotId, View, Write};

/// Slot indices from here on are temporaries.
const TEMPORARY: u32 = 1 << 31;

/// A tensor that lives within one program.
#[derive(Clone, Copy, Debug)]
struct Temporary {
    len: usize,
    role: Role,
    /// First and last op that touches it, counted over all programs.
    life: Option<(usize, usize)>,
}

/// A slot of the pool and the lives of the temporaries in it.
struct Shared {
    len: usize,
    role: Role,
    lives: Vec<(usize, usize)>,
}

/// Slots and programs under construction.
#[derive(Debug, Default)]
pub(super) struct Graph {
    layout: Layout,
    temporaries: Vec<Temporary>,
    programs: Vec<Program>,
    ops: Vec<Op>,
}

impl Graph {
    /// A slot of its own, for what outlives a program.
    pub(super) fn slot(&mut self, name: &str, element: Element, len: usize, role: Role) -> SlotId {
        self.layout.add(name, element, len, role)
    }

    /// A matrix used within one program.
    pub(super) fn scratch(&mut self, rows: usize, cols: usize) -> View {
        self.temporary(rows, cols, Role::Scratch)
    }

    /// A matrix that a backward may need from its forward, within one program.
    pub(super) fn kept(&mut self, rows: usize, cols: usize) -> View {
        self.temporary(rows, cols, Role::Activation)
    }

    fn temporary(&mut self, rows: usize, cols: usize, role: Role) -> View {
        let index = u32::try_from(self.temporaries.len()).unwrap_or(u32::MAX);
        self.temporaries.push(Temporary { len: rows * cols, role, life: None });
        View::matrix(SlotId(TEMPORARY | index), rows, cols)
    }

    /// The next op of the program being written.
    pub(super) fn push(&mut self, op: Op) {
        self.ops.push(op);
    }

    /// x W^T into a kept matrix.
    pub(super) fn linear(&mut self, x: View, weight: View) -> View {
        let y = self.kept(x.rows, weight.rows);
        self.push(Op::Gemm { form: Form::NT, a: x, b: weight, c: y, write: Write::Set });
        y
    }

    /// The way back of [`Graph::linear`]: dW += dy^T x, and dy W into `dx` (or scratch).
    pub(super) fn linear_backward(
        &mut self,
        (x, dy): (View, View),
        (weight, dweight): (View, View),
    ) -> View {
        self.push(Op::Gemm { form: Form::TN, a: dy, b: x, c: dweight, write: Write::Add });
        let dx = self.scratch(dy.rows, weight.cols);
        self.push(Op::Gemm { form: Form::NN, a: dy, b: weight, c: dx, write: Write::Set });
        dx
    }

    /// Ends the program and returns its position.
    pub(super) fn end_program(&mut self, name: &str) -> usize {
        let ops = std::mem::take(&mut self.ops);
        self.programs.push(Program { name: name.to_owned(), ops });
        self.programs.len() - 1
    }

    /// Gives every temporary a slot. Temporaries that are never alive at once share one; since an
    /// op's operands are all alive at it, an output never lands in the slot of an input.
    pub(super) fn finish(mut self) -> (Layout, Vec<Program>) {
        self.measure_lives();
        let mut order: Vec<usize> = (0..self.temporaries.len()).collect();
        order.sort_by_key(|&i| std::cmp::Reverse(self.temporaries[i].len));
        let mut pool: Vec<Shared> = Vec::new();
        let mut place = vec![0; self.temporaries.len()];
        for index in order {
            let Temporary { len, role, life } = self.temporaries[index];
            let Some(life) = life else { continue };
            let free = |slot: &Shared| slot.lives.iter().all(|l| l.1 < life.0 || life.1 < l.0);
            let at = pool.iter().position(free).unwrap_or_else(|| {
                pool.push(Shared { len, role, lives: Vec::new() });
                pool.len() - 1
            });
            pool[at].lives.push(life);
            place[index] = at;
        }
        let mut slots = Vec::with_capacity(pool.len());
        for (index, shared) in pool.iter().enumerate() {
            let name = format!("work {index}");
            slots.push(self.layout.add(&name, Element::Real, shared.len, shared.role));
        }
        for op in self.programs.iter_mut().flat_map(|p| &mut p.ops) {
            for_each_view(op, &mut |view| {
                if let Some(index) = temporary_index(*view) {
                    view.slot = slots[place[index]];
                }
            });
        }
        (self.layout, self.programs)
    }

    fn measure_lives(&mut self) {
        let (programs, temporaries) = (&mut self.programs, &mut self.temporaries);
        for (time, op) in programs.iter_mut().flat_map(|p| &mut p.ops).enumerate() {
            for_each_view(op, &mut |view| {
                if let Some(temporary) = temporary_index(*view).and_then(|i| temporaries.get_mut(i))
                {
                    let born = temporary.life.map_or(time, |life| life.0);
                    temporary.life = Some((born, time));
                }
            });
        }
    }
}

fn temporary_index(view: View) -> Option<usize> {
    (view.slot.0 & TEMPORARY != 0).then_some((view.slot.0 & !TEMPORARY) as usize)
}

/// Calls `f` with every operand of an op.
fn for_each_view(op: &mut Op, f: &mut impl FnMut(&mut View)) {
    let mut all = |views: &mut [&mut View]| views.iter_mut().for_each(|view| f(view));
    match op {
        Op::Fill { dst, .. } => all(&mut [dst]),
        Op::Copy { src, dst }
        | Op::Add { src, dst }
        | Op::Sum { src, dst, .. }
        | Op::SumSquares { src, dst }
        | Op::Pack { src, dst }
        | Op::Unpack { src, dst } => all(&mut [src, dst]),
        Op::ClipFactor { squares, dst, .. } => all(&mut [squares, dst]),
        Op::Embed { tokens, table, out } => all(&mut [tokens, table, out]),
        Op::EmbedBackward { tokens, grad, table_grad } => all(&mut [tokens, grad, table_grad]),
        Op::Gemm { a, b, c, .. } => all(&mut [a, b, c]),
        Op::RmsNorm { x, weight, y, rstd } => all(&mut [x, weight, y, rstd]),
        Op::RmsNormBackward { x, weight, rstd, dy, dx, dweight, partial, .. } => {
            all(&mut [x, weight, rstd, dy, dx, dweight, partial]);
        }
        Op::Rope { x, table, .. } => all(&mut [x, table]),
        Op::Attention { q, k, v, out, lse, .. } => all(&mut [q, k, v, out, lse]),
        Op::AttentionBackward { q, k, v, out, lse, dout, dq, dk, dv, delta, .. } => {
            all(&mut [q, k, v, out, lse, dout, dq, dk, dv, delta]);
        }
        Op::SwiGlu { gate, up, out } => all(&mut [gate, up, out]),
        Op::SwiGluBackward { gate, up, dout, dgate, dup } => {
            all(&mut [gate, up, dout, dgate, dup]);
        }
        Op::Silu { x, y } | Op::Relu { x, y } => all(&mut [x, y]),
        Op::SiluBackward { x, dy, dx } => all(&mut [x, dy, dx]),
        Op::ReluBackward { y, dy, dx } => all(&mut [y, dy, dx]),
        Op::CrossEntropy { logits, targets, losses, .. } => all(&mut [logits, targets, losses]),
        Op::Adam { param, grad, m, v, clip, scalars }
        | Op::AdamBf16 { param, grad, m, v, clip, scalars } => {
            all(&mut [param, grad, m, v, clip, scalars]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporaries_share_a_slot_only_when_their_lives_are_apart() {
        let mut graph = Graph::default();
        let chain: Vec<View> = (0..4).map(|_| graph.scratch(2, 3)).collect();
        graph.push(Op::Fill { dst: chain[0], value: 1.0 });
        for pair in chain.windows(2) {
            graph.push(Op::Copy { src: pair[0], dst: pair[1] });
        }
        graph.push(Op::Add { src: chain[0], dst: chain[3] });
        graph.end_program("chain");
        let (layout, programs) = graph.finish();
        // The first lives to the end; the second and the fourth are never alive at once.
        assert_eq!(layout.slots().len(), 3);
        assert_eq!(layout.bytes(), 3 * 24);
        let Op::Add { src, dst } = programs[0].ops[4] else { panic!("the last op is an addition") };
        assert_ne!(src.slot, dst.slot);
    }

    #[test]
    fn programs_reuse_each_others_slots() {
        let mut graph = Graph::default();
        for len in [5, 9] {
            let dst = graph.scratch(1, len);
            graph.push(Op::Fill { dst, value: 0.0 });
            graph.end_program("fill");
        }
        let (layout, _) = graph.finish();
        assert_eq!(layout.bytes(), 36);
    }
}
