//! PyTorch files holding one dense tensor: the format in which activations travel between peers
//! (spec 6.7). The reader takes what any version of PyTorch may write and anybody may send; it
//! executes nothing and copies the payload only when it is not already in row order. The writer
//! lays the archive around a buffer that the caller fills in place.

mod archive;
mod pickle;
mod read;
mod write;

pub use read::{ElementType, Tensor, read};
pub use write::{Writer, write_bf16};

/// Most dimensions a tensor may have.
const MAX_DIMS: usize = 8;

/// Why bytes are not a tensor that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TorchError {
    /// Not a ZIP archive, or a broken one.
    #[error("not a PyTorch file: {0}")]
    Archive(&'static str),
    /// An entry is missing.
    #[error("not a PyTorch file: it has no {0}")]
    Missing(&'static str),
    /// A compressed or encrypted entry; PyTorch stores plainly.
    #[error("the PyTorch file is compressed or encrypted, which tensors never are")]
    NotStored,
    /// The payload's checksum is wrong.
    #[error("the tensor was damaged on its way (its checksum does not match)")]
    Checksum,
    /// The description is not that of one dense tensor.
    #[error("the PyTorch file does not hold one plain tensor: {0}")]
    Pickle(&'static str),
    /// Numbers that are neither bf16 nor f32.
    #[error("the tensor's numbers have a type other than bfloat16 and float32")]
    Type,
    /// The view points outside the storage.
    #[error("the tensor's shape reaches beyond its data")]
    OutOfBounds,
    /// More numbers than the caller allows.
    #[error("the tensor has more numbers than the {allowed} that are allowed")]
    TooLarge {
        /// The caller's limit.
        allowed: usize,
    },
    /// Another number of elements than the caller needs.
    #[error("the tensor has {have} numbers, {need} are needed")]
    Count {
        /// Numbers there are.
        have: usize,
        /// Numbers needed.
        need: usize,
    },
}

#[cfg(test)]
mod tests;
