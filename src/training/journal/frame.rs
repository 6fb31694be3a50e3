//! One frame of a journal, and what is in it.

use std::fs::File;
use std::io::{self, IoSlice, Write as _};

use half::bf16;
use serde::{Deserialize, Serialize};

use super::Change;
use crate::protocol::bf16::to_le_bytes;
use crate::protocol::{ActivationId, Hotkey};
use crate::training::local::Gradient;
use crate::training::queue::Input;
use crate::training::snapshot::Mark;

/// Bytes before a frame's content.
pub(super) const PREFIX: usize = 8 + 32;

/// What stands in a frame; of [`Note::Work`] its numbers follow as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "snake_case")]
pub(super) enum Note {
    /// A backward begins.
    Work { activation: ActivationId, source: Option<Hotkey>, input: Vector, gradient: Vector },
    /// It is done.
    Done { outcome: String, micros: u64 },
    /// See [`Change::Step`].
    Step { lr_bits: u64, back: bool },
    /// See [`Change::Discard`].
    Discard,
    /// See [`Change::End`].
    End,
    /// See [`Change::RollBack`].
    RollBack,
    /// See [`Change::Resumed`].
    Resumed,
    /// See [`Change::ResumedElsewhere`].
    ResumedElsewhere,
}

impl From<Change> for Note {
    fn from(change: Change) -> Self {
        match change {
            Change::Step { lr_bits, back } => Self::Step { lr_bits, back },
            Change::Discard => Self::Discard,
            Change::End => Self::End,
            Change::RollBack => Self::RollBack,
            Change::Resumed => Self::Resumed,
            Change::ResumedElsewhere => Self::ResumedElsewhere,
        }
    }
}

/// Numbers that follow: token ids (u32) or bfloat16.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Vector {
    /// So many token ids.
    Tokens(usize),
    /// So many numbers.
    Numbers(usize),
}

impl Vector {
    /// Its bytes, unless no file could hold them.
    pub(super) fn bytes(self) -> Option<usize> {
        match self {
            Self::Tokens(count) => count.checked_mul(4),
            Self::Numbers(count) => count.checked_mul(2),
        }
    }
}

/// The content of a frame with numbers.
pub(super) struct Content<'a> {
    head: Vec<u8>,
    numbers: [Bytes<'a>; 2],
}

/// Numbers as bytes: the memory they are in, or a copy where the machine counts the other way round.
enum Bytes<'a> {
    As(&'a [u8]),
    Copied(Vec<u8>),
}

impl Content<'_> {
    /// What is written, in order.
    pub(super) fn slices(&self) -> [&[u8]; 3] {
        [&self.head, self.numbers[0].get(), self.numbers[1].get()]
    }
}

impl Bytes<'_> {
    fn get(&self) -> &[u8] {
        match self {
            Self::As(bytes) => bytes,
            Self::Copied(bytes) => bytes,
        }
    }
}

fn tokens(tokens: &[u32]) -> (Vector, Bytes<'_>) {
    let bytes = if cfg!(target_endian = "little") {
        Bytes::As(bytemuck::cast_slice(tokens))
    } else {
        Bytes::Copied(tokens.iter().flat_map(|token| token.to_le_bytes()).collect())
    };
    (Vector::Tokens(tokens.len()), bytes)
}

fn numbers(numbers: &[bf16]) -> (Vector, Bytes<'_>) {
    let bytes = if cfg!(target_endian = "little") {
        Bytes::As(bytemuck::cast_slice(numbers))
    } else {
        Bytes::Copied(to_le_bytes(numbers))
    };
    (Vector::Numbers(numbers.len()), bytes)
}

/// The content of the frame of a backward that begins.
pub(super) fn work_content<'a>(
    id: &ActivationId,
    source: Option<&Hotkey>,
    input: &'a Input,
    gradient: &'a Gradient,
) -> io::Result<Content<'a>> {
    let (input, first) = match input {
        Input::Tokens(ids) => tokens(ids),
        Input::Activation(values) => numbers(values),
    };
    let (gradient, second) = match gradient {
        Gradient::Targets(ids) => tokens(ids),
        Gradient::Activation(values) => numbers(values),
    };
    let note = Note::Work { activation: id.clone(), source: source.cloned(), input, gradient };
    let mut head = serde_json::to_vec(&note)?;
    // The end of the text: JSON of one line holds no line break.
    head.push(b'\n');
    Ok(Content { head, numbers: [first, second] })
}

/// The hash of a frame's content at its place.
pub(super) fn hash(mark: &Mark, number: u64, slices: &[&[u8]]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(mark.as_str().as_bytes()).update(&number.to_le_bytes());
    for slice in slices {
        hasher.update(slice);
    }
    *hasher.finalize().as_bytes()
}

/// Appends a frame; gives its length. Blocks.
pub(super) fn write(
    mut file: &File,
    mark: &Mark,
    number: u64,
    slices: &[&[u8]],
) -> io::Result<u64> {
    let length: usize = slices.iter().map(|slice| slice.len()).sum();
    let mut prefix = [0; PREFIX];
    prefix[..8].copy_from_slice(&(length as u64).to_le_bytes());
    prefix[8..].copy_from_slice(&hash(mark, number, slices));
    let mut all: Vec<IoSlice<'_>> = Vec::with_capacity(1 + slices.len());
    all.push(IoSlice::new(&prefix));
    all.extend(slices.iter().filter(|slice| !slice.is_empty()).map(|slice| IoSlice::new(slice)));
    let mut rest = all.as_mut_slice();
    while !rest.is_empty() {
        match file.write_vectored(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut rest, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((PREFIX + length) as u64)
}
