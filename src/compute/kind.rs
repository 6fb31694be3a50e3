//! The kinds of ops: what a self-test passes or fails, a benchmark measures, and a device may carry
//! out by another form of its kernel.

use std::fmt;

use super::op::{Form, Op};

/// A kind of op. The order is that of importance: the most time of a training step first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OpKind {
    /// y = x W^T.
    GemmNt,
    /// dx = dy W.
    GemmNn,
    /// dW = dy^T x.
    GemmTn,
    /// Causal attention.
    Attention,
    /// Its gradients.
    AttentionBackward,
    /// Loss and its gradient.
    CrossEntropy,
    /// Root-mean-square norm.
    RmsNorm,
    /// Its gradients.
    RmsNormBackward,
    /// Gated activation.
    SwiGlu,
    /// Its gradients.
    SwiGluBackward,
    /// Rotary embedding, both ways.
    Rope,
    /// Token embedding.
    Embed,
    /// Its gradient.
    EmbedBackward,
    /// The optimizer's step.
    Adam,
    /// The same with moments in bfloat16.
    AdamBf16,
    /// Sum of all elements.
    Sum,
    /// Sum of their squares.
    SumSquares,
    /// The factor of gradient clipping.
    ClipFactor,
    /// To the wire's bfloat16.
    Pack,
    /// From the wire's bfloat16.
    Unpack,
    /// Addition in place.
    Add,
    /// Copy.
    Copy,
    /// One number everywhere.
    Fill,
    /// z / (1 + exp(-z)).
    Silu,
    /// Its gradient.
    SiluBackward,
    /// max(z, 0).
    Relu,
    /// Its gradient.
    ReluBackward,
}

/// A set of kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindSet(u32);

// One bit for each.
const _: () = assert!(OpKind::COUNT <= 32);

impl KindSet {
    /// Those of these bits, as [`KindSet::bits`] gave them.
    pub fn of_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// One bit for each kind.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// Those in both.
    #[must_use]
    pub fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those in either.
    #[must_use]
    pub fn either(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there is none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The kind, if it is exactly one.
    pub fn only(self) -> Option<OpKind> {
        let mut kinds = self.iter();
        kinds.next().filter(|_| kinds.next().is_none())
    }

    /// In the order of importance.
    pub fn iter(self) -> impl Iterator<Item = OpKind> {
        OpKind::ALL.into_iter().filter(move |kind| self.0 & (1 << *kind as u32) != 0)
    }

    /// Their words, for people.
    pub fn words(self) -> String {
        self.iter().map(OpKind::word).collect::<Vec<_>>().join(", ")
    }
}

impl FromIterator<OpKind> for KindSet {
    fn from_iter<T: IntoIterator<Item = OpKind>>(kinds: T) -> Self {
        Self(kinds.into_iter().fold(0, |bits, kind| bits | 1 << kind as u32))
    }
}

impl OpKind {
    /// How many there are.
    pub const COUNT: usize = 27;

    /// All of them, in their order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::GemmNt,
        Self::GemmNn,
        Self::GemmTn,
        Self::Attention,
        Self::AttentionBackward,
        Self::CrossEntropy,
        Self::RmsNorm,
        Self::RmsNormBackward,
        Self::SwiGlu,
        Self::SwiGluBackward,
        Self::Rope,
        Self::Embed,
        Self::EmbedBackward,
        Self::Adam,
        Self::AdamBf16,
        Self::Sum,
        Self::SumSquares,
        Self::ClipFactor,
        Self::Pack,
        Self::Unpack,
        Self::Add,
        Self::Copy,
        Self::Fill,
        Self::Silu,
        Self::SiluBackward,
        Self::Relu,
        Self::ReluBackward,
    ];

    /// The kind of an op.
    pub fn of(op: &Op) -> Self {
        match op {
            Op::Gemm { form: Form::NT, .. } => Self::GemmNt,
            Op::Gemm { form: Form::NN, .. } => Self::GemmNn,
            Op::Gemm { form: Form::TN, .. } => Self::GemmTn,
            Op::Attention { .. } => Self::Attention,
            Op::AttentionBackward { .. } => Self::AttentionBackward,
            Op::CrossEntropy { .. } => Self::CrossEntropy,
            Op::RmsNorm { .. } => Self::RmsNorm,
            Op::RmsNormBackward { .. } => Self::RmsNormBackward,
            Op::SwiGlu { .. } => Self::SwiGlu,
            Op::SwiGluBackward { .. } => Self::SwiGluBackward,
            Op::Rope { .. } => Self::Rope,
            Op::Embed { .. } => Self::Embed,
            Op::EmbedBackward { .. } => Self::EmbedBackward,
            Op::Adam { .. } => Self::Adam,
            Op::AdamBf16 { .. } => Self::AdamBf16,
            Op::Sum { .. } => Self::Sum,
            Op::SumSquares { .. } => Self::SumSquares,
            Op::ClipFactor { .. } => Self::ClipFactor,
            Op::Pack { .. } => Self::Pack,
            Op::Unpack { .. } => Self::Unpack,
            Op::Add { .. } => Self::Add,
            Op::Copy { .. } => Self::Copy,
            Op::Fill { .. } => Self::Fill,
            Op::Silu { .. } => Self::Silu,
            Op::SiluBackward { .. } => Self::SiluBackward,
            Op::Relu { .. } => Self::Relu,
            Op::ReluBackward { .. } => Self::ReluBackward,
        }
    }

    /// Its word in reports and files. Stable.
    pub fn word(self) -> &'static str {
        match self {
            Self::GemmNt => "gemm-nt",
            Self::GemmNn => "gemm-nn",
            Self::GemmTn => "gemm-tn",
            Self::Attention => "attention",
            Self::AttentionBackward => "attention-backward",
            Self::CrossEntropy => "cross-entropy",
            Self::RmsNorm => "norm",
            Self::RmsNormBackward => "norm-backward",
            Self::SwiGlu => "swiglu",
            Self::SwiGluBackward => "swiglu-backward",
            Self::Rope => "rope",
            Self::Embed => "embed",
            Self::EmbedBackward => "embed-backward",
            Self::Adam => "adam",
            Self::AdamBf16 => "adam-bf16",
            Self::Sum => "sum",
            Self::SumSquares => "sum-squares",
            Self::ClipFactor => "clip-factor",
            Self::Pack => "pack",
            Self::Unpack => "unpack",
            Self::Add => "add",
            Self::Copy => "copy",
            Self::Fill => "fill",
            Self::Silu => "silu",
            Self::SiluBackward => "silu-backward",
            Self::Relu => "relu",
            Self::ReluBackward => "relu-backward",
        }
    }

    /// The kind with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

impl fmt::Display for OpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_stands_at_its_place_and_is_found_by_its_word() {
        for (place, kind) in OpKind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
            assert_eq!(OpKind::from_word(kind.word()), Some(kind));
        }
        assert_eq!(OpKind::from_word("gemm"), None);
    }
}
