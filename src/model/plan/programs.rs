//! The programs of a stage, written op by op.

use crate::compute::{AttentionShape, Element, Form, Op, Program, Role, SlotId, View, Write};

use super::super::optimizer::MomentPrecision;
use super::super::parameters::{self, BlockShape, StageKind};
use super::block::{self, BlockRecord, Sizes};
use super::graph::Graph;
use super::weights::{BlockViews, Side, Weights};
use super::{Boundary, HostSlots, LOGITS, PlanError, ProgramTable, Purpose, StagePlan, StageSpec};

/// Writes all programs of the stage.
pub(super) fn write(
    spec: &StageSpec,
    purpose: Purpose,
    boundary: Boundary,
) -> Result<StagePlan, PlanError> {
    let mut graph = Graph::default();
    let weights = Weights::place(&mut graph, spec.parameters(), purpose, spec.moments);
    let host = host_slots(&mut graph, spec, purpose, boundary);
    let mut writer = Writer::new(spec, graph, &weights, host)?;
    let table = match purpose {
        Purpose::Training => writer.training()?,
        Purpose::Inference => writer.inference()?,
    };
    let (layout, programs) = writer.graph.finish();
    let programs = programs.into_iter().map(|program| at_boundary(program, boundary)).collect();
    let (spec, kind) = (spec.clone(), spec.kind());
    Ok(StagePlan { spec, kind, purpose, layout, programs, table, host, weights })
}

fn host_slots(
    graph: &mut Graph,
    spec: &StageSpec,
    purpose: Purpose,
    boundary: Boundary,
) -> HostSlots {
    let (rows, kind, config) = (spec.rows(), spec.kind(), &spec.config);
    let training = purpose == Purpose::Training;
    let crossing = match boundary {
        Boundary::Wire => Element::Bf16,
        Boundary::Exact => Element::Real,
    };
    let width = rows * config.boundary_dim();
    let mut wire = |name: &str, element, len| graph.slot(name, element, len, Role::Wire);
    let input = if kind.has_embedding() {
        wire("tokens", Element::Index, rows)
    } else {
        wire("incoming activation", crossing, width)
    };
    let gradient = if kind.has_output_head() {
        Some(wire("targets", Element::Index, rows))
    } else {
        training.then(|| wire("incoming gradient", crossing, width))
    };
    let sends = !kind.has_output_head() || (training && kind != StageKind::Whole);
    let outgoing = sends.then(|| wire("outgoing", crossing, width));
    let mut constant = |name: &str, len| graph.slot(name, Element::Real, len, Role::Constant);
    let rope = constant("rotary table", spec.seq * config.head_dim());
    let loss = kind.has_output_head().then(|| constant("loss", 1));
    let clip = training.then(|| constant("clip factor", 2));
    let scalars = training.then(|| constant("optimizer scalars", 7));
    let sampling = (kind.has_output_head() && !training).then(|| {
        let mut slot = |name: &str, len| graph.slot(name, Element::Real, len, Role::Activation);
        let features = slot("features", rows * config.emb_dim);
        let row = slot("sampled row", config.emb_dim);
        (features, row, slot("sampled logits", config.vocab_size))
    });
    HostSlots { input, gradient, outgoing, rope, loss, clip, scalars, sampling }
}

/// With an exact boundary nothing is rounded: packing and unpacking are copies.
fn at_boundary(mut program: Program, boundary: Boundary) -> Program {
    if boundary == Boundary::Exact {
        for op in &mut program.ops {
            if let Op::Pack { src, dst } | Op::Unpack { src, dst } = *op {
                *op = Op::Copy { src, dst };
            }
        }
    }
    program
}

struct Writer<'a> {
    spec: &'a StageSpec,
    kind: StageKind,
    sizes: Sizes,
    graph: Graph,
    weights: &'a Weights,
    host: HostSlots,
    blocks: Vec<BlockShape>,
    values: Vec<BlockViews>,
}

/// The final norm's backward needs these.
struct Features {
    x: View,
    y: View,
    rstd: View,
}

impl<'a> Writer<'a> {
    fn new(
        spec: &'a StageSpec,
        graph: Graph,
        weights: &'a Weights,
        host: HostSlots,
    ) -> Result<Self, PlanError> {
        let config = &spec.config;
        let head_dim = config.head_dim();
        let attention = AttentionShape {
            batch: spec.local_batch,
            seq: spec.seq,
            heads: config.n_heads,
            groups: config.n_kv_groups,
            head_dim,
        };
        let sizes = Sizes {
            rows: spec.rows(),
            emb: config.emb_dim,
            narrow: config.boundary_dim(),
            hidden: config.hidden_dim,
            kv: config.kv_dim(),
            attention,
            rope: View::matrix(host.rope, spec.seq, head_dim),
        };
        let blocks = parameters::blocks(config, spec.split);
        let kind = spec.kind();
        let mut writer =
            Self { spec, kind, sizes, graph, weights, host, blocks, values: Vec::new() };
        writer.values = writer.block_views(Side::Value)?;
        Ok(writer)
    }

    fn block_views(&self, side: Side) -> Result<Vec<BlockViews>, PlanError> {
        let indexed = self.blocks.iter().copied().enumerate();
        indexed.map(|block| self.weights.block(side, &self.spec.config, block)).collect()
    }

    fn training(&mut self) -> Result<ProgramTable, PlanError> {
        let mut table = ProgramTable::default();
        if !self.kind.has_output_head() {
            table.forward = Some(self.forward()?);
        }
        table.backward = Some(self.backward()?);
        table.zero = Some(self.zero());
        table.reset = self.reset();
        table.clip = self.clip();
        table.step = self.step();
        Ok(table)
    }

    fn inference(&mut self) -> Result<ProgramTable, PlanError> {
        let mut table = ProgramTable::default();
        let Some((features, row, logits)) = self.host.sampling else {
            table.forward = Some(self.forward()?);
            return Ok(table);
        };
        let Sizes { rows, emb, .. } = self.sizes;
        let norm = self.features()?.1.y;
        self.graph.push(Op::Copy { src: norm, dst: View::matrix(features, rows, emb) });
        table.features = Some(self.graph.end_program("features"));
        let head = self.weights.view(Side::Value, "out_head.weight")?;
        let (a, c) = (View::vector(row, emb), View::vector(logits, head.rows));
        self.graph.push(Op::Gemm { form: Form::NT, a, b: head, c, write: Write::Set });
        table.logits = Some(self.graph.end_program("logits"));
        let norm = self.features()?.1.y;
        self.cross_entropy(norm, None)?;
        table.evaluate = Some(self.graph.end_program("evaluate"));
        Ok(table)
    }

    /// The stage's input as an E-wide (head) or D-wide matrix.
    fn input(&mut self) -> Result<View, PlanError> {
        let Sizes { rows, emb, narrow, .. } = self.sizes;
        if self.kind.has_embedding() {
            let table = self.weights.view(Side::Value, "tok_emb.weight")?;
            let out = self.graph.kept(rows, emb);
            let tokens = View::matrix(self.host.input, rows, 1);
            self.graph.push(Op::Embed { tokens, table, out });
            return Ok(out);
        }
        let dst = self.graph.kept(rows, narrow);
        self.graph.push(Op::Unpack { src: View::matrix(self.host.input, rows, narrow), dst });
        Ok(dst)
    }

    /// All blocks' forwards.
    fn blocks_forward(&mut self) -> Result<Vec<BlockRecord>, PlanError> {
        let mut x = self.input()?;
        let mut records = Vec::with_capacity(self.values.len());
        for weights in &self.values {
            let record = block::forward(&mut self.graph, &self.sizes, weights, x);
            x = record.out;
            records.push(record);
        }
        Ok(records)
    }

    fn forward(&mut self) -> Result<usize, PlanError> {
        if let Some(record) = self.blocks_forward()?.last() {
            self.send(record.out);
        }
        Ok(self.graph.end_program("forward"))
    }

    /// Packs a matrix for the wire.
    fn send(&mut self, src: View) {
        if let Some(slot) = self.host.outgoing {
            let dst = View::matrix(slot, src.rows, src.cols);
            self.graph.push(Op::Pack { src, dst });
        }
    }

    /// Blocks and final norm.
    fn features(&mut self) -> Result<(Vec<BlockRecord>, Features), PlanError> {
        let records = self.blocks_forward()?;
        let missing = || PlanError::Missing { name: "trf_blocks.0".to_owned() };
        let x = records.last().ok_or_else(missing)?.out;
        let weight = self.weights.view(Side::Value, "final_norm.weight")?;
        let (y, rstd) = block::norm_forward(&mut self.graph, x, weight);
        Ok((records, Features { x, y, rstd }))
    }

    fn backward(&mut self) -> Result<usize, PlanError> {
        let grads = self.block_views(Side::Gradient)?;
        let (records, mut dx) = if self.kind.has_output_head() {
            let (records, features) = self.features()?;
            (records, self.head_backward(&features)?)
        } else {
            let records = self.blocks_forward()?;
            (records, self.incoming_gradient())
        };
        for ((record, values), grads) in records.iter().zip(&self.values).zip(&grads).rev() {
            dx = block::backward(&mut self.graph, &self.sizes, (values, grads), record, dx);
        }
        if self.kind.has_embedding() {
            self.embedding_backward(dx)?;
        } else {
            self.send(dx);
        }
        Ok(self.graph.end_program("backward"))
    }

    fn incoming_gradient(&mut self) -> View {
        let Sizes { rows, narrow, .. } = self.sizes;
        let dst = self.graph.scratch(rows, narrow);
        if let Some(slot) = self.host.gradient {
            self.graph.push(Op::Unpack { src: View::matrix(slot, rows, narrow), dst });
        }
        dst
    }

    /// Loss, gradient of the output head, and back through the final norm.
    fn head_backward(&mut self, features: &Features) -> Result<View, PlanError> {
        let dhead = self.weights.view(Side::Gradient, "out_head.weight")?;
        let Sizes { rows, emb, .. } = self.sizes;
        let dy = self.graph.scratch(rows, emb);
        self.cross_entropy(features.y, Some((dy, dhead)))?;
        let dx = self.graph.scratch(rows, emb);
        let weight = self.weights.view(Side::Value, "final_norm.weight")?;
        let dweight = self.weights.view(Side::Gradient, "final_norm.weight")?;
        let (x, rstd) = (features.x, features.rstd);
        let dx_set = (dx, Write::Set);
        block::norm_backward(&mut self.graph, (x, rstd), (weight, dweight), dy, dx_set);
        Ok(dx)
    }

    /// Mean loss of the slice, in chunks of rows so that the logits are never there as a whole; with
    /// gradients, also dy and the output head's dW. The gradient is that of the slice's loss divided
    /// by the number of slices.
    fn cross_entropy(
        &mut self,
        features: View,
        gradients: Option<(View, View)>,
    ) -> Result<(), PlanError> {
        let head = self.weights.view(Side::Value, "out_head.weight")?;
        let (rows, vocab) = (self.sizes.rows, head.rows);
        let (Some(targets), Some(loss)) = (self.host.gradient, self.host.loss) else {
            return Err(PlanError::Missing { name: "targets".to_owned() });
        };
        let targets = View::matrix(targets, rows, 1);
        let losses = self.graph.scratch(rows, 1);
        #[allow(clippy::cast_precision_loss)]
        let mean = 1.0 / (self.spec.local_batch * (self.spec.seq - 1)) as f64;
        #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
        let scale = (mean / self.spec.slices() as f64) as f32;
        let chunk = (LOGITS / vocab).clamp(1, rows);
        for from in (0..rows).step_by(chunk) {
            let count = chunk.min(rows - from);
            let x = features.rows(from, count);
            let logits = self.graph.scratch(count, vocab);
            let graph = &mut self.graph;
            graph.push(Op::Gemm { form: Form::NT, a: x, b: head, c: logits, write: Write::Set });
            let (targets, losses) = (targets.rows(from, count), losses.rows(from, count));
            graph.push(Op::CrossEntropy { logits, targets, losses, scale });
            if let Some((dy, dhead)) = gradients {
                let c = dy.rows(from, count);
                graph.push(Op::Gemm { form: Form::NN, a: logits, b: head, c, write: Write::Set });
                let (a, c) = (logits, dhead);
                graph.push(Op::Gemm { form: Form::TN, a, b: x, c, write: Write::Add });
            }
        }
        #[allow(clippy::cast_possible_truncation)]
        let scale = mean as f32;
        self.graph.push(Op::Sum { src: losses, dst: View::vector(loss, 1), scale });
        Ok(())
    }

    /// Adds to the table's gradient; a head also publishes the beginning of it (spec 8.8).
    fn embedding_backward(&mut self, grad: View) -> Result<(), PlanError> {
        let table_grad = self.weights.view(Side::Gradient, "tok_emb.weight")?;
        let tokens = View::matrix(self.host.input, self.sizes.rows, 1);
        self.graph.push(Op::EmbedBackward { tokens, grad, table_grad });
        let published = (self.sizes.rows * self.sizes.narrow).min(table_grad.len());
        if let Some(slot) = self.host.outgoing {
            let flat = |slot, offset| View { offset, ..View::vector(slot, published) };
            let src = flat(table_grad.slot, table_grad.offset);
            self.graph.push(Op::Pack { src, dst: flat(slot, 0) });
        }
        Ok(())
    }

    /// Slots of gradients and moments, with their lengths.
    fn trained(&self) -> Vec<(SlotId, super::weights::TrainingSlots, usize)> {
        let segments = self.weights.segments.iter();
        segments.filter_map(|s| s.training.map(|slots| (s.param, slots, s.len))).collect()
    }

    fn fill(&mut self, slots: impl IntoIterator<Item = (SlotId, usize)>, name: &str) -> usize {
        for (slot, len) in slots {
            self.graph.push(Op::Fill { dst: View::vector(slot, len), value: 0.0 });
        }
        self.graph.end_program(name)
    }

    fn zero(&mut self) -> usize {
        let slots = self.trained();
        self.fill(slots.into_iter().map(|(_, s, len)| (s.grad, len)), "zero gradients")
    }

    /// None where the moments are not real numbers: then the host writes the zeros.
    fn reset(&mut self) -> Option<usize> {
        if self.spec.moments != MomentPrecision::F32 {
            return None;
        }
        let slots = self.trained();
        let moments = slots.into_iter().flat_map(|(_, s, len)| [(s.m, len), (s.v, len)]);
        Some(self.fill(moments, "reset moments"))
    }

    fn clip(&mut self) -> Option<usize> {
        let slots = self.trained();
        let squares = View::vector(
            self.graph.slot("squares", Element::Real, slots.len(), Role::Constant),
            slots.len(),
        );
        for (index, (_, slot, len)) in slots.into_iter().enumerate() {
            let src = View::vector(slot.grad, len);
            self.graph.push(Op::SumSquares { src, dst: squares.columns(index, 1) });
        }
        #[allow(clippy::cast_possible_truncation)]
        let max_norm = self.spec.clip_norm() as f32;
        let dst = View::vector(self.host.clip?, 2);
        self.graph.push(Op::ClipFactor { squares, dst, max_norm });
        Some(self.graph.end_program("clip"))
    }

    fn step(&mut self) -> Option<usize> {
        let clip = View::vector(self.host.clip?, 2);
        let scalars = View::vector(self.host.scalars?, 7);
        for (param, slots, len) in self.trained() {
            let view = |slot| View::vector(slot, len);
            let (param, grad) = (view(param), view(slots.grad));
            let (m, v) = (view(slots.m), view(slots.v));
            self.graph.push(match self.spec.moments {
                MomentPrecision::F32 => Op::Adam { param, grad, m, v, clip, scalars },
                MomentPrecision::Bf16 => Op::AdamBf16 { param, grad, m, v, clip, scalars },
            });
        }
        Some(self.graph.end_program("step"))
    }
}
