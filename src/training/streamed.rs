//! A weights blob that is made while it is uploaded (spec 5.1, 13 #21): the numbers are read from the
//! device piece by piece, once to look at them and once more for each part that is sent, so that a
//! stage of any size costs the same little memory.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use futures::future::BoxFuture;
use half::bf16;
use tokio::sync::Semaphore;

use super::local::{LocalError, LocalStage, pieces};
use super::pseudo_gradient::{Clip, HandInError, PseudoGradientError};
use crate::network::storage::{BlobSource, Digest, PartBytes};
use crate::protocol::bf16::{extend_le_bytes, narrow};
use crate::protocol::blob::{self, HEADER_LEN};
use crate::protocol::merge::{self, NormSum};

/// Parts that are being put together at a time.
const READERS: usize = 2;

/// A flat vector that can be had piece by piece. It must not change while it is uploaded.
pub trait Numbers: Send + Sync {
    /// How many numbers there are.
    fn count(&self) -> usize;

    /// Some of them.
    fn read(&self, range: Range<usize>) -> BoxFuture<'_, Result<Vec<bf16>, LocalError>>;
}

/// The weights of the epoch's start minus those of the stage now (spec 9.1): in f32, rounded once.
#[derive(Debug)]
pub struct Learned<'a> {
    stage: &'a LocalStage,
    previous: Arc<Vec<f32>>,
}

impl<'a> Learned<'a> {
    /// What `stage` learned since it had the weights `previous`.
    ///
    /// # Errors
    /// If their numbers differ, or the device fails.
    pub async fn since(
        previous: Arc<Vec<f32>>,
        stage: &'a LocalStage,
    ) -> Result<Self, HandInError> {
        let (have, need) = (stage.param_count().await?, previous.len());
        if have != need {
            return Err(PseudoGradientError::from(merge::MergeError::Length { have, need }).into());
        }
        Ok(Self { stage, previous })
    }
}

impl Numbers for Learned<'_> {
    fn count(&self) -> usize {
        self.previous.len()
    }

    fn read(&self, range: Range<usize>) -> BoxFuture<'_, Result<Vec<bf16>, LocalError>> {
        Box::pin(async move {
            let current = self.stage.read_weights(range.clone()).await?;
            let pairs = self.previous[range].iter().zip(&current);
            Ok(pairs.map(|(old, new)| bf16::from_f32(old - new)).collect())
        })
    }
}

/// The inner optimizer's state (spec 5.6, 8.8).
#[derive(Debug)]
pub struct InnerState<'a> {
    stage: &'a LocalStage,
    count: usize,
}

impl<'a> InnerState<'a> {
    /// The state of `stage`'s optimizer.
    ///
    /// # Errors
    /// If the device fails.
    pub async fn of(stage: &'a LocalStage) -> Result<Self, LocalError> {
        Ok(Self { stage, count: stage.flat_optimizer_len().await? })
    }
}

impl Numbers for InnerState<'_> {
    fn count(&self) -> usize {
        self.count
    }

    fn read(&self, range: Range<usize>) -> BoxFuture<'_, Result<Vec<bf16>, LocalError>> {
        Box::pin(async move { Ok(narrow(&self.stage.read_flat_optimizer(range).await?)) })
    }
}

/// A weights blob over [`Numbers`].
#[derive(Debug)]
pub struct StreamedBlob<N> {
    numbers: N,
    header: [u8; HEADER_LEN],
    trailer: Vec<u8>,
    /// What each number is multiplied with, if they are clipped.
    scale: Option<f32>,
    digest: Digest,
    readers: Semaphore,
}

impl<N: Numbers> StreamedBlob<N> {
    /// Looks at all numbers once: that they are finite, how long the vector is where it must be
    /// clipped, and what its fingerprint is.
    ///
    /// # Errors
    /// [`PseudoGradientError::NotFinite`] for numbers that must not leave this machine; the device's
    /// errors; sections that cannot be cut.
    pub async fn survey(
        numbers: N,
        (sections, steps): (usize, u64),
        clip: Clip,
    ) -> Result<Self, HandInError> {
        let count = numbers.count();
        let trailer = blob::weights_trailer(count, sections, steps)?;
        let (mut norm, mut hasher) = (NormSum::default(), blake3::Hasher::new());
        for range in pieces(0..count) {
            let start = range.start;
            let piece = numbers.read(range).await?;
            if let Some(at) = piece.iter().position(|number| !number.is_finite()) {
                return Err(PseudoGradientError::NotFinite { index: start + at }.into());
            }
            // In turn with everybody else's work on this thread: a piece takes milliseconds.
            norm.add(&piece);
            hasher.update(bytemuck::cast_slice(&piece));
        }
        let scale = match clip {
            Clip::No => None,
            Clip::To(most) => merge::clip_scale(norm.norm(), most),
        };
        hasher.update(&scale.map_or([0; 4], f32::to_le_bytes));
        hasher.update(&trailer);
        Ok(Self {
            header: blob::header(blob::trailer_offset(count)),
            digest: *hasher.finalize().as_bytes(),
            readers: Semaphore::new(READERS),
            numbers,
            trailer,
            scale,
        })
    }

    fn payload_end(&self) -> u64 {
        blob::trailer_offset(self.numbers.count())
    }

    /// The object's bytes `range`.
    async fn bytes(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        if range.start > range.end || range.end > self.byte_len() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "range outside the object"));
        }
        let (header, end) = (HEADER_LEN as u64, self.payload_end());
        let mut out = Vec::with_capacity(index(range.end - range.start));
        let within = |from: u64, to: u64| range.start.clamp(from, to)..range.end.clamp(from, to);
        let head = within(0, header);
        out.extend_from_slice(&self.header[index(head.start)..index(head.end)]);
        self.payload(within(header, end), &mut out).await?;
        let tail = within(end, self.byte_len());
        out.extend_from_slice(&self.trailer[index(tail.start - end)..index(tail.end - end)]);
        Ok(out)
    }

    /// Appends the payload's bytes `range` (offsets in the object). Parts may begin and end in the
    /// middle of a number.
    async fn payload(&self, range: Range<u64>, out: &mut Vec<u8>) -> io::Result<()> {
        let (start, end) = (range.start - HEADER_LEN as u64, range.end - HEADER_LEN as u64);
        if start == end {
            return Ok(());
        }
        let numbers = index(start / 2)..index(end.div_ceil(2));
        let mut bytes = Vec::new();
        for piece in pieces(numbers.clone()) {
            let (first, last) = (piece.start == numbers.start, piece.end == numbers.end);
            let mut values = self.numbers.read(piece).await.map_err(io::Error::other)?;
            if let Some(scale) = self.scale {
                merge::scale(&mut values, scale);
            }
            bytes.clear();
            extend_le_bytes(&mut bytes, &values);
            let from = usize::from(first && start % 2 == 1);
            let to = bytes.len() - usize::from(last && end % 2 == 1);
            out.extend_from_slice(&bytes[from..to]);
        }
        Ok(())
    }
}

impl<N: Numbers> BlobSource for StreamedBlob<N> {
    fn byte_len(&self) -> u64 {
        self.payload_end() + self.trailer.len() as u64
    }

    fn digest(&self) -> Digest {
        self.digest
    }

    fn read(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<PartBytes>> {
        Box::pin(async move {
            // The device answers one question at a time anyway; more readers would only hold memory.
            let _turn = self.readers.acquire().await.map_err(io::Error::other)?;
            Ok(Arc::new(self.bytes(range).await?) as PartBytes)
        })
    }
}

/// An offset within an object that is addressed by a machine of this size.
fn index(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
