//! Attention: whole sequences at a time, one invocation per row and head.

use super::{Class, Lowering, Operand, Refusal, Size, constant, word};
use crate::compute::op::{AttentionShape, Op, View};
use crate::compute::wgpu::kernels::{self, Kernel};

/// The operands in the order of the shader's parameters: q k v o l g d x y.
type Places = [Option<Operand>; 9];

impl Lowering<'_> {
    pub(super) fn attention_op(&mut self, op: &Op) -> Result<(), Refusal> {
        match *op {
            Op::Attention { q, k, v, out, lse, shape } => {
                for (views, shape) in self.sequences([q, k, v, out, lse], shape)? {
                    self.attention_forward(views, shape)?;
                }
                Ok(())
            }
            Op::AttentionBackward { q, k, v, out, lse, dout, dq, dk, dv, delta, shape } => {
                let views = [q, k, v, out, lse, dout, delta, dq, dk, dv];
                for (views, shape) in self.sequences(views, shape)? {
                    self.attention_backward(views, shape)?;
                }
                Ok(())
            }
            _ => Err("not attention".to_owned()),
        }
    }

    /// Pieces of whole sequences that can be bound.
    fn sequences<const N: usize>(
        &self,
        views: [View; N],
        shape: AttentionShape,
    ) -> Result<Vec<([View; N], AttentionShape)>, Refusal> {
        let seq = shape.seq.max(1);
        let parts = self.row_ranges(&views, seq)?;
        let cut = |(from, rows)| {
            (views.map(|v: View| v.rows(from, rows)), AttentionShape { batch: rows / seq, ..shape })
        };
        Ok(parts.into_iter().map(cut).collect())
    }

    fn attention_forward(
        &mut self,
        views: [View; 5],
        shape: AttentionShape,
    ) -> Result<(), Refusal> {
        let [q, k, v, o, l] = self.all(views)?;
        let places = [Some(q), Some(k), Some(v), Some(o), Some(l), None, None, None, None];
        let operands = [q, k, v, o, l];
        self.attention_call(&kernels::ATTENTION, shape, &operands, places, (shape.heads, 4));
        Ok(())
    }

    fn attention_backward(
        &mut self,
        views: [View; 10],
        shape: AttentionShape,
    ) -> Result<(), Refusal> {
        let [q, k, v, o, l, g, d, dq, dk, dv] = self.all(views)?;
        let none = [None; 9];
        let at = |pairs: &[(usize, Operand)]| {
            let mut places: Places = none;
            for (i, operand) in pairs {
                places[*i] = Some(*operand);
            }
            places
        };
        // The shader counts rows as sequences of length 1 here.
        let flat = AttentionShape { batch: shape.batch * shape.seq, seq: 1, ..shape };
        let places = at(&[(3, o), (5, g), (6, d)]);
        self.attention_call(&kernels::ATTENTION_DELTA, flat, &[o, g, d], places, (shape.heads, 2));
        let shared = [(0, q), (1, k), (2, v), (4, l), (5, g), (6, d)];
        let places = at(&[&shared[..], &[(7, dq)]].concat());
        let operands = [q, k, v, g, l, d, dq];
        self.attention_call(&kernels::ATTENTION_DQ, shape, &operands, places, (shape.heads, 6));
        let places = at(&[&shared[..], &[(7, dk), (8, dv)]].concat());
        let operands = [q, k, v, g, l, d, dk, dv];
        let each = 8 * (shape.heads / shape.groups.max(1));
        self.attention_call(
            &kernels::ATTENTION_DKV,
            shape,
            &operands,
            places,
            (shape.groups, each),
        );
        Ok(())
    }

    fn all<const N: usize>(&self, views: [View; N]) -> Result<[Operand; N], Refusal> {
        let operands = views.iter().map(|v| self.operand(*v)).collect::<Result<Vec<_>, _>>()?;
        operands.try_into().map_err(|_| "wrong number of operands".to_owned())
    }

    /// `work`: owners of a row, and FLOPs per column and key.
    fn attention_call(
        &mut self,
        kernel: &'static Kernel,
        shape: AttentionShape,
        operands: &[Operand],
        places: Places,
        work: (usize, usize),
    ) {
        let dim = shape.head_dim;
        // Log-sum-exps and deltas (4, 6) are read one by one in any case.
        let wide = places.iter().enumerate().filter(|(i, _)| *i != 4 && *i != 6);
        let by_four = self.may_be_by_four()
            && dim.is_multiple_of(4)
            && wide.filter_map(|(_, p)| *p).all(|o| o.is_by_four());
        let unit = if by_four { 4 } else { 1 };
        let (group, walk) = match (self.class(), self.subgroup()) {
            (Class::Processor, Some(size @ (4 | 8 | 16))) => (size as usize, size),
            (Class::Processor, _) => (16, 1),
            (Class::Gpu, _) => (64, 1),
        };
        let blocks = shape.seq.div_ceil(group);
        let scale = 1.0 / (dim as f64).sqrt();
        let mut params: Vec<u32> =
            [shape.batch, shape.seq, shape.heads, shape.groups, blocks].map(word).to_vec();
        params.push((scale as f32).to_bits());
        for (i, place) in places.iter().enumerate() {
            let unit = if i == 4 || i == 6 { 1 } else { unit };
            params.extend(place.map_or([0, 0], |o| o.place(unit)));
        }
        let mut constants = vec![
            ("T", constant(if by_four { "vec4<f32>" } else { "f32" })),
            ("VEC", constant(by_four)),
            ("WG", constant(group)),
            ("D", constant(dim)),
            ("FOURS", constant(dim.div_ceil(4))),
            ("SUB", constant(walk)),
        ];
        let [lane, own, pick, pick_one] = if walk > 1 {
            ["subgroup_invocation_id", "l", "subgroupBroadcast", "subgroupBroadcast"]
        } else {
            ["local_invocation_index", "0u", "same", "same1"]
        };
        constants.extend([
            ("LANE", constant(lane)),
            ("OWN", constant(own)),
            ("PICK", constant(pick)),
            ("PICKONE", constant(pick_one)),
        ]);
        let (owners, flops) = work;
        let rows = shape.batch * shape.seq;
        let groups = if std::ptr::eq(kernel, &kernels::ATTENTION_DELTA) {
            (rows * owners).div_ceil(group)
        } else {
            shape.batch * owners * blocks
        };
        // Registers spill and only half the keys are masked: a GEMM's FLOP is cheaper.
        let cost = 4 * rows * owners * shape.seq * dim * flops;
        self.call(kernel, constants, operands, params, Size { groups, cost });
    }
}
