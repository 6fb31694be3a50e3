//! A PyTorch file around one bf16 tensor. The archive's size depends only on the shape, so it is
//! laid out once and the caller fills the payload where it will be sent from.

use std::ops::Range;

use super::{MAX_DIMS, TorchError};
use crate::protocol::bf16::{bf16, write_le_bytes};

const PREFIX: &str = "archive/";
/// Payloads start at multiples of this, as PyTorch's own do.
const ALIGNMENT: usize = 64;

/// A file being written: fill [`Writer::payload_mut`], then [`Writer::finish`].
#[derive(Clone, Debug)]
pub struct Writer {
    file: Vec<u8>,
    payload: Range<usize>,
    entries: Vec<Written>,
}

#[derive(Clone, Debug)]
struct Written {
    name: &'static str,
    /// Of the local header.
    offset: usize,
    size: usize,
    crc: u32,
}

impl Writer {
    /// Lays out a file for a bf16 tensor of `shape`. Fails beyond 4 GiB or 8 dimensions.
    pub fn new(shape: &[usize]) -> Result<Self, TorchError> {
        let count = shape.iter().try_fold(1_usize, |n, size| n.checked_mul(*size));
        let bytes =
            count.and_then(|n| n.checked_mul(2)).filter(|n| *n < u32::MAX as usize - 65_536);
        let allowed = (u32::MAX as usize - 65_536) / 2;
        let bytes = bytes.ok_or(TorchError::TooLarge { allowed })?;
        if shape.len() > MAX_DIMS {
            return Err(TorchError::Pickle("it has too many dimensions"));
        }
        let mut writer = Self {
            file: Vec::with_capacity(bytes + 2048),
            payload: 0..0,
            entries: Vec::with_capacity(4),
        };
        writer.entry("data.pkl", &pickle(shape));
        writer.entry("byteorder", b"little");
        writer.begin_entry("data/0", bytes, 0);
        writer.payload = writer.file.len()..writer.file.len() + bytes;
        writer.file.resize(writer.payload.end, 0);
        Ok(writer)
    }

    /// Where the numbers go: little-endian bf16, row by row.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        &mut self.file[self.payload.clone()]
    }

    /// The finished file.
    pub fn finish(mut self) -> Vec<u8> {
        let crc = crc32fast::hash(&self.file[self.payload.clone()]);
        if let Some(data) = self.entries.last_mut() {
            data.crc = crc;
            self.file[data.offset + 14..data.offset + 18].copy_from_slice(&crc.to_le_bytes());
        }
        self.entry("version", b"3\n");
        self.directory();
        self.file
    }

    fn entry(&mut self, name: &'static str, bytes: &[u8]) {
        self.begin_entry(name, bytes.len(), crc32fast::hash(bytes));
        self.file.extend_from_slice(bytes);
    }

    /// A local header, padded so that what follows is aligned.
    fn begin_entry(&mut self, name: &'static str, size: usize, crc: u32) {
        let offset = self.file.len();
        let name_len = PREFIX.len() + name.len();
        let unpadded = offset + 30 + name_len + 4;
        let padding = unpadded.next_multiple_of(ALIGNMENT) - unpadded;
        self.file.extend_from_slice(b"PK\x03\x04");
        self.sizes(size, crc);
        self.u16(name_len);
        self.u16(4 + padding);
        self.name(name);
        // The id under which PyTorch hides its own padding.
        self.file.extend_from_slice(b"FB");
        self.u16(padding);
        self.file.resize(self.file.len() + padding, b'Z');
        self.entries.push(Written { name, offset, size, crc });
    }

    /// The part that local and central headers share: version, flags, method, date, CRC, sizes.
    fn sizes(&mut self, size: usize, crc: u32) {
        self.file.extend_from_slice(&[0; 2]);
        // Names are UTF-8 (bit 11); stored, no date.
        self.file.extend_from_slice(&[0, 8, 0, 0, 0, 0, 0, 0]);
        self.file.extend_from_slice(&crc.to_le_bytes());
        self.u32(size);
        self.u32(size);
    }

    fn directory(&mut self) {
        let start = self.file.len();
        let entries = std::mem::take(&mut self.entries);
        for entry in &entries {
            self.file.extend_from_slice(b"PK\x01\x02\0\0");
            self.sizes(entry.size, entry.crc);
            self.u16(PREFIX.len() + entry.name.len());
            // No extra field, comment, disk number or attributes.
            self.file.extend_from_slice(&[0; 12]);
            self.u32(entry.offset);
            self.name(entry.name);
        }
        let size = self.file.len() - start;
        self.file.extend_from_slice(b"PK\x05\x06\0\0\0\0");
        self.u16(entries.len());
        self.u16(entries.len());
        self.u32(size);
        self.u32(start);
        self.u16(0);
    }

    fn name(&mut self, name: &str) {
        self.file.extend_from_slice(PREFIX.as_bytes());
        self.file.extend_from_slice(name.as_bytes());
    }

    /// Lossless: `new` bounds the file's size.
    #[allow(clippy::cast_possible_truncation)]
    fn u16(&mut self, value: usize) {
        self.file.extend_from_slice(&(value as u16).to_le_bytes());
    }

    /// Lossless: `new` bounds the file's size.
    #[allow(clippy::cast_possible_truncation)]
    fn u32(&mut self, value: usize) {
        self.file.extend_from_slice(&(value as u32).to_le_bytes());
    }
}

/// The file of `values` with `shape`. Fails when their counts differ.
pub fn write_bf16(values: &[bf16], shape: &[usize]) -> Result<Vec<u8>, TorchError> {
    let mut writer = Writer::new(shape)?;
    let need = writer.payload.len() / 2;
    if values.len() != need {
        return Err(TorchError::Count { have: values.len(), need });
    }
    write_le_bytes(writer.payload_mut(), values);
    Ok(writer.finish())
}

/// The description of a contiguous bf16 tensor, byte for byte as PyTorch writes it.
pub(super) fn pickle(shape: &[usize]) -> Vec<u8> {
    let count = shape.iter().product();
    let mut p = Pickler { out: Vec::with_capacity(256), memo: 0 };
    p.out.extend_from_slice(b"\x80\x02");
    p.global("torch._utils", "_rebuild_tensor_v2");
    p.out.extend_from_slice(b"((");
    p.text("storage");
    p.global("torch", "BFloat16Storage");
    p.text("0");
    p.text("cpu");
    p.integer(count);
    p.put(b"t");
    p.out.extend_from_slice(b"Q");
    p.integer(0);
    p.tuple(shape);
    let strides: Vec<usize> = (0..shape.len())
        .map(|dim| shape[dim + 1..].iter().map(|size| (*size).max(1)).product())
        .collect();
    p.tuple(&strides);
    p.out.push(0x89);
    p.global("collections", "OrderedDict");
    p.out.extend_from_slice(b")");
    p.put(b"R");
    p.put(b"t");
    p.put(b"R");
    p.out.extend_from_slice(b".");
    p.out
}

struct Pickler {
    out: Vec<u8>,
    memo: u8,
}

impl Pickler {
    /// An instruction whose result is remembered.
    fn put(&mut self, instruction: &[u8]) {
        self.out.extend_from_slice(instruction);
        self.out.extend_from_slice(&[b'q', self.memo]);
        self.memo += 1;
    }

    fn global(&mut self, module: &str, name: &str) {
        self.put(format!("c{module}\n{name}\n").as_bytes());
    }

    fn text(&mut self, text: &str) {
        let mut instruction = vec![b'X', u8::try_from(text.len()).unwrap_or(u8::MAX), 0, 0, 0];
        instruction.extend_from_slice(text.as_bytes());
        self.put(&instruction);
    }

    fn integer(&mut self, value: usize) {
        if let Ok(byte) = u8::try_from(value) {
            self.out.extend_from_slice(&[b'K', byte]);
        } else if let Ok(short) = u16::try_from(value) {
            self.out.push(b'M');
            self.out.extend_from_slice(&short.to_le_bytes());
        } else if let Ok(int) = i32::try_from(value) {
            self.out.push(b'J');
            self.out.extend_from_slice(&int.to_le_bytes());
        } else {
            // Below 2^63 (`Writer::new` bounds it), so 8 bytes hold it with its sign.
            self.out.extend_from_slice(&[0x8a, 8]);
            self.out.extend_from_slice(&(value as u64).to_le_bytes());
        }
    }

    fn tuple(&mut self, values: &[usize]) {
        if values.len() > 3 {
            self.out.push(b'(');
        }
        for value in values {
            self.integer(*value);
        }
        match values.len() {
            // The empty tuple is not remembered.
            0 => self.out.push(b')'),
            1 => self.put(&[0x85]),
            2 => self.put(&[0x86]),
            3 => self.put(&[0x87]),
            _ => self.put(b"t"),
        }
    }
}
