//! One transformer block, forward and backward (spec 8.4, 8.5).

use crate::compute::{AttentionShape, Op, Rotation, View, Write};

use super::graph::Graph;
use super::weights::BlockViews;

/// Sizes that every block of a stage shares, for one slice of the batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    /// Sequences times positions.
    pub(super) rows: usize,
    pub(super) emb: usize,
    /// Width of a stage boundary.
    pub(super) narrow: usize,
    pub(super) hidden: usize,
    pub(super) kv: usize,
    pub(super) attention: AttentionShape,
    /// seq x head_dim.
    pub(super) rope: View,
}

/// What a block's backward needs of its forward.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockRecord {
    input: View,
    /// The E-wide input: decoded if the block's own is narrow.
    wide: View,
    norm1: View,
    rstd1: View,
    kvq: View,
    attended: View,
    lse: View,
    /// The residual stream after attention.
    middle: View,
    norm2: View,
    rstd2: View,
    gate_up: View,
    gated: View,
    /// fc3's output and its SiLU, in a bottleneck block.
    squeeze: Option<(View, View)>,
    /// The block's output.
    pub(super) out: View,
}

/// The parts of a fused kvq matrix: queries, keys, values.
fn queries_keys_values(sizes: &Sizes, kvq: View) -> (View, View, View) {
    let Sizes { kv, emb, .. } = *sizes;
    (kvq.columns(2 * kv, emb), kvq.columns(0, kv), kvq.columns(kv, kv))
}

fn halves(gate_up: View) -> (View, View) {
    let half = gate_up.cols / 2;
    (gate_up.columns(0, half), gate_up.columns(half, half))
}

fn norm(graph: &mut Graph, x: View, weight: View) -> (View, View) {
    let (y, rstd) = (graph.kept(x.rows, x.cols), graph.kept(x.rows, 1));
    graph.push(Op::RmsNorm { x, weight, y, rstd });
    (y, rstd)
}

/// The block's forward.
pub(super) fn forward(
    graph: &mut Graph,
    sizes: &Sizes,
    weights: &BlockViews,
    input: View,
) -> BlockRecord {
    let Sizes { rows, emb, narrow, .. } = *sizes;
    let wide = match weights.decoder {
        None => input,
        Some(decoder) => {
            let x = graph.linear(input, decoder);
            let y = graph.kept(rows, emb);
            graph.push(Op::Relu { x, y });
            y
        }
    };
    let (norm1, rstd1) = norm(graph, wide, weights.norm1);
    let kvq = graph.linear(norm1, weights.kvq);
    let (attended, lse) = attention(graph, sizes, kvq);
    let middle = graph.linear(attended, weights.out_proj);
    // A narrow residual reaches the first D channels only.
    let residual = if weights.decoder.is_some() { middle.columns(0, narrow) } else { middle };
    graph.push(Op::Add { src: input, dst: residual });
    let (norm2, rstd2) = norm(graph, middle, weights.norm2);
    let gate_up = graph.linear(norm2, weights.gate_up);
    let gated = graph.kept(rows, sizes.hidden);
    let (gate, up) = halves(gate_up);
    graph.push(Op::SwiGlu { gate, up, out: gated });
    let mixed = graph.linear(gated, weights.fc3);
    let (squeeze, out) = match weights.fc4 {
        None => {
            graph.push(Op::Add { src: middle, dst: mixed });
            (None, mixed)
        }
        Some(fc4) => {
            let y = graph.kept(rows, emb);
            graph.push(Op::Silu { x: mixed, y });
            let out = graph.linear(y, fc4);
            graph.push(Op::Add { src: middle.columns(0, narrow), dst: out });
            (Some((mixed, y)), out)
        }
    };
    BlockRecord {
        input,
        wide,
        norm1,
        rstd1,
        kvq,
        attended,
        lse,
        middle,
        norm2,
        rstd2,
        gate_up,
        gated,
        squeeze,
        out,
    }
}

fn attention(graph: &mut Graph, sizes: &Sizes, kvq: View) -> (View, View) {
    let (q, k, v) = queries_keys_values(sizes, kvq);
    rotate(graph, sizes, [q, k], Rotation::Forward);
    let out = graph.kept(sizes.rows, sizes.emb);
    let lse = graph.kept(sizes.rows, sizes.attention.heads);
    graph.push(Op::Attention { q, k, v, out, lse, shape: sizes.attention });
    (out, lse)
}

fn rotate(graph: &mut Graph, sizes: &Sizes, views: [View; 2], rotation: Rotation) {
    let head_dim = sizes.attention.head_dim;
    for x in views {
        graph.push(Op::Rope { x, table: sizes.rope, head_dim, rotation });
    }
}

/// The block's backward: adds to the gradients of its weights and returns the gradient of its input.
/// `dout` is used up.
pub(super) fn backward(
    graph: &mut Graph,
    sizes: &Sizes,
    (weights, grads): (&BlockViews, &BlockViews),
    record: &BlockRecord,
    dout: View,
) -> View {
    let dmiddle = feed_forward_backward(graph, sizes, (weights, grads), record, dout);
    let dattended =
        graph.linear_backward((record.attended, dmiddle), (weights.out_proj, grads.out_proj));
    let dkvq = attention_backward(graph, sizes, record, dattended);
    let dnorm1 = graph.linear_backward((record.norm1, dkvq), (weights.kvq, grads.kvq));
    let (x, rstd) = (record.wide, record.rstd1);
    let norm = (weights.norm1, grads.norm1);
    match (weights.decoder, grads.decoder) {
        (Some(decoder), Some(ddecoder)) => {
            let dwide = graph.scratch(sizes.rows, sizes.emb);
            norm_backward(graph, (x, rstd), norm, dnorm1, (dwide, Write::Set));
            let dx = graph.scratch(sizes.rows, sizes.emb);
            graph.push(Op::ReluBackward { y: record.wide, dy: dwide, dx });
            let dinput = graph.linear_backward((record.input, dx), (decoder, ddecoder));
            graph.push(Op::Add { src: dmiddle.columns(0, sizes.narrow), dst: dinput });
            dinput
        }
        _ => {
            // The residual's gradient is already there; the norm's joins it.
            norm_backward(graph, (x, rstd), norm, dnorm1, (dmiddle, Write::Add));
            dmiddle
        }
    }
}

/// Back to the residual stream after attention.
fn feed_forward_backward(
    graph: &mut Graph,
    sizes: &Sizes,
    (weights, grads): (&BlockViews, &BlockViews),
    record: &BlockRecord,
    dout: View,
) -> View {
    let squeezed = match (record.squeeze, weights.fc4, grads.fc4) {
        (Some((x, y)), Some(fc4), Some(dfc4)) => {
            let dy = graph.linear_backward((y, dout), (fc4, dfc4));
            let dx = graph.scratch(sizes.rows, sizes.emb);
            graph.push(Op::SiluBackward { x, dy, dx });
            Some(dx)
        }
        _ => None,
    };
    let dmixed = squeezed.unwrap_or(dout);
    let dgated = graph.linear_backward((record.gated, dmixed), (weights.fc3, grads.fc3));
    let dgate_up = graph.scratch(sizes.rows, 2 * sizes.hidden);
    let ((gate, up), (dgate, dup)) = (halves(record.gate_up), halves(dgate_up));
    graph.push(Op::SwiGluBackward { gate, up, dout: dgated, dgate, dup });
    let dnorm2 = graph.linear_backward((record.norm2, dgate_up), (weights.gate_up, grads.gate_up));
    let norm = (weights.norm2, grads.norm2);
    if squeezed.is_none() {
        norm_backward(graph, (record.middle, record.rstd2), norm, dnorm2, (dout, Write::Add));
        return dout;
    }
    let dmiddle = graph.scratch(sizes.rows, sizes.emb);
    norm_backward(graph, (record.middle, record.rstd2), norm, dnorm2, (dmiddle, Write::Set));
    graph.push(Op::Add { src: dout, dst: dmiddle.columns(0, sizes.narrow) });
    dmiddle
}

fn attention_backward(graph: &mut Graph, sizes: &Sizes, record: &BlockRecord, dout: View) -> View {
    let dkvq = graph.scratch(sizes.rows, record.kvq.cols);
    let (q, k, v) = queries_keys_values(sizes, record.kvq);
    let (dq, dk, dv) = queries_keys_values(sizes, dkvq);
    let delta = graph.scratch(sizes.rows, sizes.attention.heads);
    let (out, lse, shape) = (record.attended, record.lse, sizes.attention);
    graph.push(Op::AttentionBackward { q, k, v, out, lse, dout, dq, dk, dv, delta, shape });
    rotate(graph, sizes, [dq, dk], Rotation::Backward);
    dkvq
}

/// Back through an RMSNorm, adding to the gradient of its weight.
pub(super) fn norm_backward(
    graph: &mut Graph,
    (x, rstd): (View, View),
    (weight, dweight): (View, View),
    dy: View,
    (dx, write): (View, Write),
) {
    let partial = graph.scratch(x.rows.div_ceil(64), x.cols);
    graph.push(Op::RmsNormBackward { x, weight, rstd, dy, dx, write, dweight, partial });
}

/// An RMSNorm outside a block; returns its output and the factors its backward needs.
pub(super) fn norm_forward(graph: &mut Graph, x: View, weight: View) -> (View, View) {
    norm(graph, x, weight)
}
