//! The kernel set: what each op computes, exactly. This file is the authority for every backend.
//!
//! Unless said otherwise operands are [`Element::Real`](super::Element::Real), an op writes every
//! element of its output views and nothing else, and an output never shares a slot with an input
//! (in-place operands are one view, named so). Sums are taken in an order that depends only on the
//! shapes, so that one device gives the same bits twice; no float atomics.

use super::layout::SlotId;

/// A row-major matrix inside a slot: element (r, c) is at `offset + r * stride + c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The slot.
    pub slot: SlotId,
    /// First element.
    pub offset: usize,
    /// Rows.
    pub rows: usize,
    /// Columns, at most `stride`.
    pub cols: usize,
    /// Elements from one row to the next.
    pub stride: usize,
}

impl View {
    /// A matrix that starts at the slot's first element, without gaps between rows.
    pub fn matrix(slot: SlotId, rows: usize, cols: usize) -> Self {
        Self { slot, offset: 0, rows, cols, stride: cols }
    }

    /// A vector as one row.
    pub fn vector(slot: SlotId, len: usize) -> Self {
        Self::matrix(slot, 1, len)
    }

    /// The first `cols` columns of every row.
    #[must_use]
    pub fn columns(self, from: usize, cols: usize) -> Self {
        Self { offset: self.offset + from, cols, ..self }
    }

    /// `rows` rows starting at row `from`.
    #[must_use]
    pub fn rows(self, from: usize, rows: usize) -> Self {
        Self { offset: self.offset + from * self.stride, rows, ..self }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.rows * self.cols
    }

    /// Whether the view has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether rows follow each other without gaps.
    pub fn is_dense(&self) -> bool {
        self.cols == self.stride || self.rows <= 1
    }

    /// One past the last element it touches, from the slot's start.
    pub fn end(&self) -> usize {
        if self.is_empty() {
            self.offset
        } else {
            self.offset + (self.rows - 1) * self.stride + self.cols
        }
    }
}

/// Which operand of a product is transposed. All three are needed for training:
/// y = x W^T (`NT`), dx = dy W (`NN`), dW = dy^T x (`TN`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// C\[m,n\] = sum over k of A\[m,k\] B\[k,n\].
    NN,
    /// C\[m,n\] = sum over k of A\[m,k\] B\[n,k\].
    NT,
    /// C\[m,n\] = sum over k of A\[k,m\] B\[k,n\].
    TN,
}

/// What happens to the old content of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Write {
    /// It is replaced.
    Set,
    /// The result is added to it.
    Add,
}

/// Direction of a rotary embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rotation {
    /// By +angle: forward.
    Forward,
    /// By -angle: the gradient's way back.
    Backward,
}

/// Shape of a grouped-query causal attention over `batch` independent sequences.
///
/// Rows of q are `batch * seq`, sequence-major; its columns are `heads * head_dim`, head-major.
/// Rows of k and v are the same; their columns are `groups * head_dim`. Query head `h` uses
/// key/value head `h / (heads / groups)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AttentionShape {
    /// Sequences.
    pub batch: usize,
    /// Positions of each.
    pub seq: usize,
    /// Query heads.
    pub heads: usize,
    /// Key/value heads; divides `heads`.
    pub groups: usize,
    /// Columns of a head.
    pub head_dim: usize,
}

/// One kernel call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Op {
    /// dst = value, everywhere.
    Fill {
        /// Output.
        dst: View,
        /// The constant.
        value: f32,
    },
    /// dst = src. Same rows and columns; strides may differ.
    Copy {
        /// Input.
        src: View,
        /// Output.
        dst: View,
    },
    /// dst += src, element by element. Same rows and columns; strides may differ, so that a narrow
    /// residual goes to (or comes from) the first columns of a wide matrix (spec 8.5).
    Add {
        /// Input.
        src: View,
        /// In place.
        dst: View,
    },
    /// out\[m,:\] = table\[tokens\[m\],:\]. A token outside the table gives a row of zeros.
    Embed {
        /// M x 1 of [`Element::Index`](super::Element::Index).
        tokens: View,
        /// V x E.
        table: View,
        /// M x E.
        out: View,
    },
    /// table_grad\[t,:\] += sum over m with tokens\[m\] = t, in order of m, of grad\[m,:\].
    EmbedBackward {
        /// M x 1 of [`Element::Index`](super::Element::Index).
        tokens: View,
        /// M x E.
        grad: View,
        /// V x E, added to.
        table_grad: View,
    },
    /// C (+)= product of A and B in the given [`Form`]. Sums over k in f32 (f64 in the oracle).
    Gemm {
        /// Which operand is transposed.
        form: Form,
        /// Left operand as stored.
        a: View,
        /// Right operand as stored.
        b: View,
        /// m x n.
        c: View,
        /// Replace or add.
        write: Write,
    },
    /// rstd\[m\] = 1 / sqrt(mean over c of x\[m,c\]^2 + 1e-5); y\[m,c\] = x\[m,c\] rstd\[m\] w\[c\].
    RmsNorm {
        /// M x E.
        x: View,
        /// 1 x E.
        weight: View,
        /// M x E.
        y: View,
        /// M x 1.
        rstd: View,
    },
    /// With s\[m\] = sum over c of dy\[m,c\] w\[c\] x\[m,c\]:
    /// dx\[m,c\] (+)= rstd\[m\] (dy\[m,c\] w\[c\] - x\[m,c\] rstd\[m\]^2 s\[m\] / E);
    /// dweight\[c\] += sum over m of dy\[m,c\] x\[m,c\] rstd\[m\].
    RmsNormBackward {
        /// M x E, the forward's input.
        x: View,
        /// 1 x E.
        weight: View,
        /// M x 1, from the forward.
        rstd: View,
        /// M x E.
        dy: View,
        /// M x E.
        dx: View,
        /// How dx is written.
        write: Write,
        /// 1 x E, added to.
        dweight: View,
        /// Scratch of `ceil(M / 64)` x E for partial sums; its content afterwards is unspecified.
        partial: View,
    },
    /// Rotates each head of x in place. With the row's position p = m mod seq (seq = table rows),
    /// h = head_dim / 2, and c, s the table's two halves of row p, for i < h:
    /// (x\[i\], x\[i+h\]) := (x\[i\] c\[i\] - x\[i+h\] s\[i\], x\[i+h\] c\[i\] + x\[i\] s\[i\]);
    /// the other direction uses -s (spec 8.4, "rotate half").
    Rope {
        /// M x (n head_dim), in place.
        x: View,
        /// seq x head_dim: columns 0..h are cos, h..2h are sin of position * inv_freq\[i\].
        table: View,
        /// Columns of a head; even.
        head_dim: usize,
        /// Forward or back.
        rotation: Rotation,
    },
    /// Causal softmax(q k^T / sqrt(head_dim)) v for every sequence and head, and for each row and
    /// head the log of the sum of exponentials of its scaled scores. No score matrix is kept.
    Attention {
        /// M x (heads head_dim).
        q: View,
        /// M x (groups head_dim).
        k: View,
        /// M x (groups head_dim).
        v: View,
        /// M x (heads head_dim).
        out: View,
        /// M x heads.
        lse: View,
        /// The sizes.
        shape: AttentionShape,
    },
    /// Gradients of `Attention` with respect to q, k and v, by recomputing the scores from lse.
    /// Sums over the query heads of a group are in order of the head.
    AttentionBackward {
        /// As in the forward.
        q: View,
        /// As in the forward.
        k: View,
        /// As in the forward.
        v: View,
        /// The forward's output.
        out: View,
        /// The forward's log-sum-exp.
        lse: View,
        /// M x (heads head_dim).
        dout: View,
        /// M x (heads head_dim).
        dq: View,
        /// M x (groups head_dim).
        dk: View,
        /// M x (groups head_dim).
        dv: View,
        /// Scratch, M x heads; holds sum over a head's columns of dout * out afterwards.
        delta: View,
        /// The sizes.
        shape: AttentionShape,
    },
    /// out = silu(gate) * up, with silu(z) = z / (1 + exp(-z)).
    SwiGlu {
        /// M x F.
        gate: View,
        /// M x F.
        up: View,
        /// M x F.
        out: View,
    },
    /// dgate = dout * up * silu'(gate), dup = dout * silu(gate).
    SwiGluBackward {
        /// M x F.
        gate: View,
        /// M x F.
        up: View,
        /// M x F.
        dout: View,
        /// M x F.
        dgate: View,
        /// M x F.
        dup: View,
    },
    /// y = silu(x).
    Silu {
        /// Input.
        x: View,
        /// Output.
        y: View,
    },
    /// dx = dy * silu'(x).
    SiluBackward {
        /// The forward's input.
        x: View,
        /// Gradient of the output.
        dy: View,
        /// Gradient of the input.
        dx: View,
    },
    /// y = max(x, 0).
    Relu {
        /// Input.
        x: View,
        /// Output.
        y: View,
    },
    /// dx = dy where y > 0, else 0, with y the forward's output.
    ReluBackward {
        /// The forward's output.
        y: View,
        /// Gradient of the output.
        dy: View,
        /// Gradient of the input.
        dx: View,
    },
    /// For each row r: losses\[r\] = logsumexp(logits\[r,:\]) - logits\[r, target\[r\]\], and
    /// logits\[r,:\] := scale * (softmax(logits\[r,:\]) - onehot(target\[r\])).
    /// A row whose target is `u32::MAX` has loss 0 and gradient 0.
    CrossEntropy {
        /// R x V, in place: logits in, their gradient out.
        logits: View,
        /// R x 1 of [`Element::Index`](super::Element::Index).
        targets: View,
        /// R x 1, not scaled.
        losses: View,
        /// Factor of the gradient.
        scale: f32,
    },
    /// dst\[0\] = scale * (sum of all elements of src).
    Sum {
        /// Input.
        src: View,
        /// 1 x 1.
        dst: View,
        /// Factor.
        scale: f32,
    },
    /// dst\[0\] = sum of the squares of all elements of src.
    SumSquares {
        /// Input.
        src: View,
        /// 1 x 1.
        dst: View,
    },
    /// norm = sqrt(sum of squares), coef = min(1, max_norm / (norm + 1e-6)) (spec 8.8 step 1);
    /// a norm that is not finite gives coef 0, so that the step changes no weight by it.
    ClipFactor {
        /// 1 x n: the sums of squares of n tensors.
        squares: View,
        /// 1 x 2: \[norm, coef\].
        dst: View,
        /// The limit.
        max_norm: f32,
    },
    /// One NAdam step with decoupled weight decay (spec 8.8), gradient clipped by coef, and the
    /// gradient set to zero. With g = grad * clip\[1\] (0 for any grad, also NaN, if clip\[1\] is 0)
    /// and scalars
    /// \[decay, beta1, beta2, bias2, eps, step_g, step_m\]:
    /// p *= decay; m += (g - m)(1 - beta1); v = beta2 v + (1 - beta2) g^2;
    /// d = sqrt(v / bias2) + eps; p -= step_g * g / d; p -= step_m * m / d; grad = 0.
    /// (decay = 1 - lr wd, bias2 = 1 - beta2^t, step_g = lr (1 - mu_t) / (1 - P),
    /// step_m = lr mu_{t+1} / (1 - P mu_{t+1}): computed on the host in f64.)
    /// AdamW is the same op with step_g = 0 and step_m = lr / (1 - beta1^t).
    Adam {
        /// In place.
        param: View,
        /// In place, zero afterwards.
        grad: View,
        /// In place: first moment.
        m: View,
        /// In place: second moment.
        v: View,
        /// 1 x 2 from `ClipFactor`.
        clip: View,
        /// 1 x 7, written by the host before the step.
        scalars: View,
    },
    /// `Adam` with both moments in bfloat16. They are widened, the step is that of `Adam`, the weight
    /// moves by the moments before they are rounded, and then they are rounded as `Pack` does. m and v
    /// are in two slots, with one stride and offsets that are both even or both odd, so that one
    /// invocation may have a word of each to itself.
    ///
    /// A change below half a unit in the last place (1/512 to 1/256 of the number) is lost. The second
    /// moment moves by (1 - beta2)(g^2 / v - 1) of itself: with beta2 = 0.95 it stands still once g^2 is
    /// within 4 to 8 % of it, which is 2 to 4 % of a step's size, and a gradient of zero (5 % less each
    /// step) always takes it down. With beta2 = 0.999 it would stand still for good; such an optimizer
    /// needs another rounding.
    AdamBf16 {
        /// In place.
        param: View,
        /// In place, zero afterwards.
        grad: View,
        /// In place, [`Element::Bf16`](super::Element::Bf16): first moment.
        m: View,
        /// In place, [`Element::Bf16`](super::Element::Bf16): second moment.
        v: View,
        /// 1 x 2 from `ClipFactor`.
        clip: View,
        /// 1 x 7, written by the host before the step.
        scalars: View,
    },
    /// dst = src rounded to bfloat16, to nearest, ties to even. NaN stays NaN.
    Pack {
        /// Real.
        src: View,
        /// [`Element::Bf16`](super::Element::Bf16).
        dst: View,
    },
    /// dst = src, widened.
    Unpack {
        /// [`Element::Bf16`](super::Element::Bf16).
        src: View,
        /// Real.
        dst: View,
    },
}

/// A named sequence of ops, run in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// For profiles and error messages.
    pub name: String,
    /// The ops.
    pub ops: Vec<Op>,
}
