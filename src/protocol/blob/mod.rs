//! The container of everything that goes through object storage (spec 5.1): a 12-byte header, raw
//! bf16 numbers, and a JSON trailer that says what they are. The trailer is written by other people's
//! machines, so everything it claims is checked before a byte range is asked for.

use std::ops::Range;

use super::bf16::{bf16, extend_le_bytes, write_le_bytes};
use super::canonical::{CanonicalError, KeyOrder, python_text};
use super::ids::{ChunkNumber, StageIndex};
use super::reading::{self, ReadError, excerpt};
use super::sections::{GeometryError, HEADER_BYTES, blob_bytes, chunk_range, sections};

mod trailer;

use trailer::{RegionFields, RegionsFields, SectionsFields, WeightsFields};

/// Bytes of the header.
pub const HEADER_LEN: usize = 12;
/// The only version there is.
pub const VERSION: u16 = 1;
/// Longest trailer that is read, in bytes: room for 10,000 sections many times over.
pub const MAX_TRAILER: u64 = 8 * 1024 * 1024;
const DTYPE: &str = "bfloat16";

/// Why an object is not a blob that can be used.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// Fewer bytes than the header or than the header promises.
    #[error("the object is cut off: {have} bytes, at least {need} needed")]
    CutOff {
        /// Bytes there are.
        have: u64,
        /// Bytes needed.
        need: u64,
    },
    /// Another version of the container.
    #[error("the object has container version {0}, this version of Hearth reads only 1")]
    Version(u16),
    /// The trailer is longer than anything real.
    #[error("the object's trailer has {0} bytes, more than the {MAX_TRAILER} that are read")]
    TrailerTooLong(u64),
    /// The trailer is not JSON of the expected kind.
    #[error("the object's trailer cannot be read: {0}")]
    Trailer(#[from] ReadError),
    /// The trailer's text cannot be built.
    #[error("the object's trailer cannot be written: {0}")]
    Text(#[from] CanonicalError),
    /// Numbers of a type that is never used here.
    #[error("the object holds `{0}` numbers, expected bfloat16")]
    Dtype(String),
    /// A claim of the trailer that does not fit the object.
    #[error("the object's trailer contradicts itself: {0}")]
    Lie(String),
    /// An impossible cut.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
}

/// What a weights blob (pseudo-gradient or inner optimizer state) says about itself, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightsTrailer {
    /// Numbers in the payload.
    pub len: usize,
    /// Sections it is cut into.
    pub num_sections: usize,
    /// Optimizer steps the source took in this epoch.
    pub local_optimization_steps: u64,
}

impl WeightsTrailer {
    /// The byte range of section `section` in the object.
    pub fn section_bytes(&self, section: ChunkNumber) -> Result<Range<u64>, GeometryError> {
        Ok(blob_bytes(&chunk_range(self.len, self.num_sections, section)?))
    }
}

/// One region of a partition blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Region {
    /// Where it lies in the object.
    pub bytes: Range<u64>,
    /// How many numbers it holds.
    pub len: usize,
}

/// What a partition blob says about itself, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionTrailer {
    /// The chunk.
    pub chunk: ChunkNumber,
    /// The stage.
    pub layer: StageIndex,
    /// The merged weights.
    pub weights: Region,
    /// The outer optimizer's buffer, as long as the weights; `None` if the blob carries none.
    pub optimizer_state: Option<Region>,
}

/// The header of a blob whose trailer starts at `trailer_offset`.
pub fn header(trailer_offset: u64) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..2].copy_from_slice(&VERSION.to_le_bytes());
    header[4..].copy_from_slice(&trailer_offset.to_le_bytes());
    header
}

/// The trailer offset in the first 12 bytes of an object.
pub fn parse_header(bytes: &[u8]) -> Result<u64, BlobError> {
    let cut_off = || BlobError::CutOff { have: bytes.len() as u64, need: HEADER_BYTES };
    let header: [u8; HEADER_LEN] =
        bytes.get(..HEADER_LEN).and_then(|b| b.try_into().ok()).ok_or_else(cut_off)?;
    let [v0, v1, _, _, o0, o1, o2, o3, o4, o5, o6, o7] = header;
    let version = u16::from_le_bytes([v0, v1]);
    if version != VERSION {
        return Err(BlobError::Version(version));
    }
    let offset = u64::from_le_bytes([o0, o1, o2, o3, o4, o5, o6, o7]);
    if offset < HEADER_BYTES {
        return Err(BlobError::Lie(format!("its trailer would start at byte {offset}")));
    }
    Ok(offset)
}

/// A weights blob of `values`, cut into `num_sections`.
pub fn encode_weights(
    values: &[bf16],
    num_sections: usize,
    local_optimization_steps: u64,
) -> Result<Vec<u8>, BlobError> {
    let trailer = weights_trailer(values.len(), num_sections, local_optimization_steps)?;
    Ok(encode(&[values], &trailer))
}

/// The trailer of a weights blob of `len` numbers, for one that is written piece by piece: it
/// follows the header (with [`trailer_offset`]) and the numbers.
pub fn weights_trailer(
    len: usize,
    num_sections: usize,
    local_optimization_steps: u64,
) -> Result<Vec<u8>, BlobError> {
    let trailer = WeightsFields {
        dtype: DTYPE.to_owned(),
        shape: vec![len as u64],
        sections: SectionsFields::of(&sections(len, num_sections)?),
        local_optimization_steps,
    };
    Ok(trailer_text(&trailer)?.into_bytes())
}

/// Where the trailer of a blob of `count` numbers begins.
pub fn trailer_offset(count: usize) -> u64 {
    blob_bytes(&(0..count)).end
}

/// A partition blob: merged `weights` and the outer optimizer's buffer.
pub fn encode_partition(
    weights: &[bf16],
    optimizer_state: &[bf16],
    chunk: ChunkNumber,
    layer: StageIndex,
) -> Result<Vec<u8>, BlobError> {
    let text = partition_trailer((weights.len(), optimizer_state.len()), chunk, layer)?;
    Ok(encode(&[weights, optimizer_state], text.as_bytes()))
}

/// The trailer of so many weights and numbers of outer optimizer state.
fn partition_trailer(
    (weights, state): (usize, usize),
    chunk: ChunkNumber,
    layer: StageIndex,
) -> Result<String, BlobError> {
    let region = |start: usize, len: usize| RegionFields {
        offset: HEADER_BYTES + 2 * start as u64,
        length: 2 * len as u64,
        dtype: DTYPE.to_owned(),
        shape: vec![len as u64],
    };
    trailer_text(&trailer::PartitionFields {
        chunk_number: chunk.0,
        layer: layer.0,
        regions: RegionsFields {
            weights: region(0, weights),
            optimizer_state: Some(region(weights, state)),
        },
    })
}

/// A partition blob that is filled in piece by piece, so that merged numbers are never in memory
/// twice.
#[derive(Debug)]
pub struct PartitionBlob {
    bytes: Vec<u8>,
    count: usize,
}

impl PartitionBlob {
    /// A blob of `count` weights and as many numbers of outer optimizer state, all zero.
    pub fn new(count: usize, chunk: ChunkNumber, layer: StageIndex) -> Result<Self, BlobError> {
        let text = partition_trailer((count, count), chunk, layer)?;
        let payload = 2 * 2 * count;
        let mut bytes = Vec::with_capacity(HEADER_LEN + payload + text.len());
        bytes.extend_from_slice(&header(trailer_offset(2 * count)));
        bytes.resize(HEADER_LEN + payload, 0);
        bytes.extend_from_slice(text.as_bytes());
        Ok(Self { bytes, count })
    }

    /// Fills in weights and optimizer state of the chunk from its number `at` on, as far as the chunk
    /// reaches.
    pub fn put(&mut self, at: usize, weights: &[bf16], optimizer_state: &[bf16]) {
        let end = HEADER_LEN + 2 * 2 * self.count;
        for (start, values) in [(at, weights), (self.count + at, optimizer_state)] {
            let start = (HEADER_LEN + 2 * start).min(end);
            write_le_bytes(&mut self.bytes[start..end], values);
        }
    }

    /// The blob's bytes.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// A trailer as the reference writes it.
fn trailer_text(trailer: &impl serde::Serialize) -> Result<String, BlobError> {
    let json = serde_json::to_vec(trailer).map_err(CanonicalError::from)?;
    Ok(python_text(&json, KeyOrder::AsGiven)?)
}

fn encode(payload: &[&[bf16]], trailer: &[u8]) -> Vec<u8> {
    let count: usize = payload.iter().map(|values| values.len()).sum();
    let mut blob = Vec::with_capacity(HEADER_LEN + 2 * count + trailer.len());
    blob.extend_from_slice(&header(trailer_offset(count)));
    for values in payload {
        extend_le_bytes(&mut blob, values);
    }
    blob.extend_from_slice(trailer);
    blob
}

/// Reads the trailer of a weights blob. `bytes` is what the object holds from `trailer_offset` on.
/// Sections that are not exactly the equal cut of spec 5.1 are refused: their numbers would be
/// merged into the wrong place.
pub fn parse_weights_trailer(
    bytes: &[u8],
    trailer_offset: u64,
) -> Result<WeightsTrailer, BlobError> {
    check_trailer_length(bytes.len() as u64)?;
    let fields: WeightsFields = reading::json(bytes)?;
    let len = flat_len(&fields.dtype, &fields.shape)?;
    let end = blob_bytes(&(0..len)).end;
    if end != trailer_offset {
        let have = trailer_offset.saturating_sub(HEADER_BYTES);
        return Err(BlobError::Lie(format!("{len} numbers do not fill {have} bytes")));
    }
    fields.sections.check(len)?;
    Ok(WeightsTrailer {
        len,
        num_sections: fields.sections.0.len(),
        local_optimization_steps: fields.local_optimization_steps,
    })
}

/// Reads the trailer of a partition blob. `bytes` is what the object holds from `trailer_offset` on.
pub fn parse_partition_trailer(
    bytes: &[u8],
    trailer_offset: u64,
) -> Result<PartitionTrailer, BlobError> {
    check_trailer_length(bytes.len() as u64)?;
    let fields: trailer::PartitionFields = reading::json(bytes)?;
    let weights = region(&fields.regions.weights, trailer_offset)?;
    let state = fields.regions.optimizer_state.as_ref();
    let state = state.map(|fields| region(fields, trailer_offset)).transpose()?;
    let state = state.filter(|region| region.len > 0);
    if let Some(state) = &state {
        if state.len != weights.len {
            return Err(BlobError::Lie(format!(
                "{} weights but {} numbers of optimizer state",
                weights.len, state.len
            )));
        }
        if state.bytes.start < weights.bytes.end && weights.bytes.start < state.bytes.end {
            return Err(BlobError::Lie("weights and optimizer state overlap".to_owned()));
        }
    }
    Ok(PartitionTrailer {
        chunk: ChunkNumber(fields.chunk_number),
        layer: StageIndex(fields.layer),
        weights,
        optimizer_state: state,
    })
}

/// Splits a whole object into its payload's end and its trailer.
pub fn split_object(object: &[u8]) -> Result<(u64, &[u8]), BlobError> {
    let offset = parse_header(object)?;
    let trailer = usize::try_from(offset).ok().and_then(|at| object.get(at..));
    let trailer = trailer.ok_or(BlobError::CutOff { have: object.len() as u64, need: offset })?;
    Ok((offset, trailer))
}

/// The bytes of `range` in a whole object, as numbers.
pub fn values_at(object: &[u8], range: &Range<u64>) -> Result<Vec<bf16>, BlobError> {
    let (start, end) = (usize::try_from(range.start).ok(), usize::try_from(range.end).ok());
    let bytes = start.zip(end).and_then(|(start, end)| object.get(start..end));
    let bytes = bytes.ok_or(BlobError::CutOff { have: object.len() as u64, need: range.end })?;
    Ok(super::bf16::from_le_bytes(bytes))
}

fn check_trailer_length(len: u64) -> Result<(), BlobError> {
    if len > MAX_TRAILER { Err(BlobError::TrailerTooLong(len)) } else { Ok(()) }
}

/// The element count of a 1-D bf16 tensor.
fn flat_len(dtype: &str, shape: &[u64]) -> Result<usize, BlobError> {
    if dtype != DTYPE {
        return Err(BlobError::Dtype(excerpt(dtype, 40)));
    }
    let [len] = shape else {
        return Err(BlobError::Lie(format!("{} dimensions instead of 1", shape.len())));
    };
    // Twice this is a byte count, which must not overflow.
    usize::try_from(*len)
        .ok()
        .filter(|&len| len <= usize::MAX / 4)
        .ok_or_else(|| BlobError::Lie(format!("{len} numbers")))
}

fn region(fields: &RegionFields, trailer_offset: u64) -> Result<Region, BlobError> {
    let len = flat_len(&fields.dtype, &fields.shape)?;
    if Some(fields.length) != (len as u64).checked_mul(2) {
        return Err(BlobError::Lie(format!("{len} numbers in {} bytes", fields.length)));
    }
    let end = fields.offset.checked_add(fields.length);
    match end {
        Some(end) if fields.offset >= HEADER_BYTES && end <= trailer_offset => {
            Ok(Region { bytes: fields.offset..end, len })
        }
        _ => Err(BlobError::Lie(format!(
            "a region of {} bytes at {} lies outside the payload",
            fields.length, fields.offset
        ))),
    }
}

#[cfg(test)]
mod tests;
