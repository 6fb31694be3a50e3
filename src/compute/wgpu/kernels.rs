//! The table of kernels: which files make each one and how it uses its buffers.

/// How a kernel uses a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// It only reads.
    Read,
    /// It writes, or reads and writes.
    Write,
}

/// One entry of `shaders/`.
#[derive(Debug)]
pub(super) struct Kernel {
    /// Name of its section.
    pub(super) name: &'static str,
    /// Shared heads, then the file with its section.
    pub(super) sources: &'static [&'static str],
    /// Bindings 1, 2, ..; binding 0 is the uniform with the parameters.
    pub(super) access: &'static [Access],
}

/// A kernel with its constants: what a pipeline is made of.
#[derive(Clone, Debug)]
pub(super) struct Variant {
    /// The kernel.
    pub(super) kernel: &'static Kernel,
    /// Values of the template's constants.
    pub(super) constants: Vec<(&'static str, String)>,
}

impl Variant {
    /// A text that is the same for the same code.
    pub(super) fn key(&self) -> String {
        let mut key = self.kernel.name.to_owned();
        for (name, value) in &self.constants {
            key.push_str(&format!(" {name}={value}"));
        }
        key
    }

    /// Its WGSL.
    pub(super) fn wgsl(&self) -> Result<String, super::template::TemplateError> {
        super::template::expand(self.kernel.sources, self.kernel.name, &self.constants)
    }
}

const EACH: &str = include_str!("../../../shaders/header_elementwise.wgsl");
const ROWS: &str = include_str!("../../../shaders/header_rows.wgsl");
const STEP: &str = include_str!("../../../shaders/header_adam.wgsl");
const NARROW: &str = include_str!("../../../shaders/header_bf16.wgsl");
const ELEMENTWISE: &str = include_str!("../../../shaders/elementwise.wgsl");
const ADAM_FILE: &str = include_str!("../../../shaders/adam.wgsl");
const ADAM_BF16_FILE: &str = include_str!("../../../shaders/adam_bf16.wgsl");
const RMSNORM_FILE: &str = include_str!("../../../shaders/rmsnorm.wgsl");
const REDUCE: &str = include_str!("../../../shaders/reduce.wgsl");
const ENTROPY: &str = include_str!("../../../shaders/cross_entropy.wgsl");
const ROPE_FILE: &str = include_str!("../../../shaders/rope.wgsl");
const EMBED_FILE: &str = include_str!("../../../shaders/embed.wgsl");
const BF16: &str = include_str!("../../../shaders/bf16.wgsl");
const ATTENTION_FILE: &str = include_str!("../../../shaders/attention.wgsl");
const LANES_FILE: &str = include_str!("../../../shaders/gemm_lanes.wgsl");
const TILES_FILE: &str = include_str!("../../../shaders/gemm_tiles.wgsl");

/// BLAKE3 of everything that kernels are made of, and of this version of Hearth, which turns ops into
/// them: a self-test's verdict holds for one of these.
pub fn source_hash() -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(env!("CARGO_PKG_VERSION").as_bytes());
    for source in FILES {
        hasher.update(&(source.len() as u64).to_le_bytes());
        hasher.update(source.as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

/// Every file of `shaders/`, and what decides which kernel an op becomes.
const FILES: [&str; 23] = [
    EACH,
    ROWS,
    STEP,
    NARROW,
    ELEMENTWISE,
    ADAM_FILE,
    ADAM_BF16_FILE,
    RMSNORM_FILE,
    REDUCE,
    ENTROPY,
    ROPE_FILE,
    EMBED_FILE,
    BF16,
    ATTENTION_FILE,
    LANES_FILE,
    TILES_FILE,
    include_str!("kernels.rs"),
    include_str!("template.rs"),
    include_str!("lower/mod.rs"),
    include_str!("lower/attention.rs"),
    include_str!("lower/elementwise.rs"),
    include_str!("lower/gemm.rs"),
    include_str!("lower/rows.rs"),
];

use Access::{Read as R, Write as W};

macro_rules! kernels {
    ($($id:ident = $name:literal from [$($source:ident),+] with [$($access:ident),+];)+) => {
        $(pub(super) static $id: Kernel =
            Kernel { name: $name, sources: &[$($source),+], access: &[$($access),+] };)+
    };
}

kernels! {
    FILL = "fill" from [EACH, ELEMENTWISE] with [W];
    COPY = "copy" from [EACH, ELEMENTWISE] with [R, W];
    ADD = "add" from [EACH, ELEMENTWISE] with [R, W];
    SILU = "silu" from [EACH, ELEMENTWISE] with [R, W];
    SILU_BACKWARD = "silu_backward" from [EACH, ELEMENTWISE] with [R, R, W];
    RELU = "relu" from [EACH, ELEMENTWISE] with [R, W];
    RELU_BACKWARD = "relu_backward" from [EACH, ELEMENTWISE] with [R, R, W];
    SWIGLU = "swiglu" from [EACH, ELEMENTWISE] with [R, R, W];
    SWIGLU_BACKWARD = "swiglu_backward" from [EACH, ELEMENTWISE] with [R, R, R, W, W];
    ADAM = "adam" from [EACH, STEP, ADAM_FILE] with [W, W, W, W, R, R];
    ADAM_BF16 = "adam_bf16" from [STEP, NARROW, ADAM_BF16_FILE] with [W, W, W, W, R, R];
    ADAM_BF16_WORDS = "adam_bf16_words" from [STEP, NARROW, ADAM_BF16_FILE] with [W, W, W, W, R, R];
    RMSNORM = "rmsnorm" from [ROWS, RMSNORM_FILE] with [R, R, W, W];
    RMSNORM_BACKWARD = "rmsnorm_backward" from [ROWS, RMSNORM_FILE] with [R, R, R, R, W];
    RMSNORM_PARTIAL = "rmsnorm_partial" from [RMSNORM_FILE] with [R, R, R, W];
    RMSNORM_WEIGHT = "rmsnorm_weight" from [RMSNORM_FILE] with [R, W];
    SUM = "sum" from [ROWS, REDUCE] with [R, W];
    CLIP_FACTOR = "clip_factor" from [REDUCE] with [R, W];
    CROSS_ENTROPY = "cross_entropy" from [ROWS, ENTROPY] with [W, R, W];
    ROPE = "rope" from [ROPE_FILE] with [W, R];
    EMBED = "embed" from [EMBED_FILE] with [R, R, W];
    EMBED_LINKS = "embed_links" from [EMBED_FILE] with [R, W];
    EMBED_BACKWARD = "embed_backward" from [EMBED_FILE] with [R, R, R, W];
    PACK = "pack" from [NARROW, BF16] with [R, W];
    UNPACK = "unpack" from [BF16] with [R, W];
    ATTENTION = "attention" from [ATTENTION_FILE] with [R, R, R, W, W];
    ATTENTION_DELTA = "attention_delta" from [ATTENTION_FILE] with [R, R, W];
    ATTENTION_DQ = "attention_dq" from [ATTENTION_FILE] with [R, R, R, R, R, R, W];
    ATTENTION_DKV = "attention_dkv" from [ATTENTION_FILE] with [R, R, R, R, R, R, W, W];
    GEMM_LANES = "gemm_lanes" from [LANES_FILE] with [R, R, W];
    GEMM_TILES = "gemm_tiles" from [TILES_FILE] with [R, R, W];
}
