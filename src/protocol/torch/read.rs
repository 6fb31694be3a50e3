//! From the bytes of a PyTorch file to numbers in row order.

use std::borrow::Cow;

use super::archive::{Entry, entries};
use super::pickle::{Description, describe};
use super::{TorchError, archive};
use crate::protocol::bf16::{bf16, from_le_bytes};

/// What a tensor's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElementType {
    /// bfloat16, 2 bytes.
    Bf16,
    /// float32, 4 bytes.
    F32,
}

impl ElementType {
    /// Bytes per number.
    pub fn size(self) -> usize {
        match self {
            ElementType::Bf16 => 2,
            ElementType::F32 => 4,
        }
    }
}

/// A tensor in row order. Its bytes are those of the file where they already lie so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor<'a> {
    /// What its numbers are.
    pub kind: ElementType,
    /// Size of each dimension.
    pub shape: Vec<usize>,
    /// Little-endian numbers, row by row.
    pub bytes: Cow<'a, [u8]>,
}

impl Tensor<'_> {
    /// How many numbers it holds.
    pub fn count(&self) -> usize {
        self.bytes.len() / self.kind.size()
    }

    /// Fails unless it holds exactly `need` numbers. The shape does not matter: receivers reshape by
    /// element count.
    pub fn expect_count(&self, need: usize) -> Result<(), TorchError> {
        let have = self.count();
        if have == need { Ok(()) } else { Err(TorchError::Count { have, need }) }
    }

    /// Its numbers in bf16; f32 ones are rounded to nearest even.
    pub fn to_bf16(&self) -> Vec<bf16> {
        match self.kind {
            ElementType::Bf16 => from_le_bytes(&self.bytes),
            ElementType::F32 => self.f32s().map(bf16::from_f32).collect(),
        }
    }

    /// Its numbers in f32.
    pub fn to_f32(&self) -> Vec<f32> {
        match self.kind {
            ElementType::Bf16 => {
                let pairs = self.bytes.chunks_exact(2);
                pairs.map(|b| bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
            }
            ElementType::F32 => self.f32s().collect(),
        }
    }

    fn f32s(&self) -> impl Iterator<Item = f32> {
        self.bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
    }
}

/// Reads the tensor in `file`, of at most `max_count` numbers.
pub fn read(file: &[u8], max_count: usize) -> Result<Tensor<'_>, TorchError> {
    let entries = entries(file)?;
    let (prefix, pickle) = entries
        .iter()
        .find_map(|entry| entry.name.strip_suffix("/data.pkl").map(|prefix| (prefix, entry)))
        .ok_or(TorchError::Missing("data.pkl"))?;
    let find = |name: &str| find(&entries, prefix, name);
    find("version").ok_or(TorchError::Missing("version"))?;
    if find("byteorder").is_some_and(|entry| entry.bytes != b"little") {
        return Err(TorchError::Pickle("its numbers are big-endian"));
    }
    let described = describe(pickle.bytes)?;
    let data = find(&format!("data/{}", described.key)).ok_or(TorchError::Missing("data"))?;
    let kind = match described.storage_type {
        "BFloat16Storage" => ElementType::Bf16,
        "FloatStorage" => ElementType::F32,
        _ => return Err(TorchError::Type),
    };
    let view = View::new(&described, kind, data.bytes.len(), max_count)?;
    if crc32fast::hash(data.bytes) != data.crc {
        return Err(TorchError::Checksum);
    }
    let bytes = view.gather(data.bytes, kind.size());
    Ok(Tensor { kind, shape: view.shape, bytes })
}

fn find<'e, 'a>(
    entries: &'e [Entry<'a>],
    prefix: &str,
    name: &str,
) -> Option<&'e archive::Entry<'a>> {
    entries.iter().find(|entry| {
        let rest = entry.name.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('/'));
        rest == Some(name)
    })
}

/// A tensor's place in its storage, known to lie inside it.
struct View {
    offset: usize,
    count: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

impl View {
    fn new(
        described: &Description<'_>,
        kind: ElementType,
        stored_bytes: usize,
        max_count: usize,
    ) -> Result<Self, TorchError> {
        let index = |n: u64| usize::try_from(n).map_err(|_| TorchError::OutOfBounds);
        let indices = |all: &[u64]| all.iter().map(|n| index(*n)).collect::<Result<Vec<_>, _>>();
        let stored = stored_bytes / kind.size();
        let (shape, strides) = (indices(&described.shape)?, indices(&described.strides)?);
        let count = shape.iter().try_fold(1_usize, |n, size| n.checked_mul(*size));
        let count = count.filter(|n| *n <= max_count);
        let count = count.ok_or(TorchError::TooLarge { allowed: max_count })?;
        // What lies behind the storage's own end is nobody's data.
        let storage_len = index(described.storage_len)?;
        if storage_len > stored {
            return Err(TorchError::OutOfBounds);
        }
        let offset = index(described.offset)?;
        // An empty tensor points nowhere.
        let last = (count > 0).then(|| {
            shape.iter().zip(&strides).try_fold(offset, |at, (size, stride)| {
                at.checked_add((size - 1).checked_mul(*stride)?)
            })
        });
        match last {
            Some(None) => Err(TorchError::OutOfBounds),
            Some(Some(last)) if last >= storage_len => Err(TorchError::OutOfBounds),
            _ => Ok(Self { offset, count, shape, strides }),
        }
    }

    /// Whether the numbers already lie in row order without gaps.
    fn is_in_row_order(&self) -> bool {
        let mut expected = 1;
        self.shape.iter().zip(&self.strides).rev().all(|(&size, &stride)| {
            let fits = size == 1 || stride == expected;
            expected *= size;
            fits
        })
    }

    fn gather<'a>(&self, data: &'a [u8], size: usize) -> Cow<'a, [u8]> {
        if self.count == 0 {
            return Cow::Borrowed(&[]);
        }
        if self.is_in_row_order() {
            return Cow::Borrowed(&data[self.offset * size..(self.offset + self.count) * size]);
        }
        let mut out = Vec::with_capacity(self.count * size);
        let mut place = vec![0_usize; self.shape.len()];
        for _ in 0..self.count {
            let at: usize = place.iter().zip(&self.strides).map(|(p, stride)| p * stride).sum();
            let start = (self.offset + at) * size;
            out.extend_from_slice(&data[start..start + size]);
            advance(&mut place, &self.shape);
        }
        Cow::Owned(out)
    }
}

/// The next place in row order.
fn advance(place: &mut [usize], shape: &[usize]) {
    for (p, size) in place.iter_mut().zip(shape).rev() {
        *p += 1;
        if *p < *size {
            return;
        }
        *p = 0;
    }
}
