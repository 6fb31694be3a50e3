//! The ZIP around a PyTorch file. Only stored entries are ever wanted, and they are handed out as
//! slices of the message itself; that, and a bound on everything a stranger may claim, is why this
//! reads the directory itself.

use super::TorchError;

/// Most entries of an archive; PyTorch writes at most 7 around one tensor.
const MAX_ENTRIES: usize = 64;
/// The end record is at most its 22 bytes and a comment from the end.
const END_LEN: usize = 22;
const MAX_COMMENT: usize = 65_535;

/// One stored file.
pub(super) struct Entry<'a> {
    pub name: &'a str,
    pub bytes: &'a [u8],
    pub crc: u32,
}

/// All files of the archive.
pub(super) fn entries(file: &[u8]) -> Result<Vec<Entry<'_>>, TorchError> {
    const BROKEN: TorchError = TorchError::Archive("its directory is damaged");
    let (count, start) = directory(file).ok_or(TorchError::Archive("it is not an archive"))?;
    if count > MAX_ENTRIES {
        return Err(TorchError::Archive("it has too many entries"));
    }
    let mut entries = Vec::with_capacity(count);
    let mut at = start;
    for _ in 0..count {
        let (entry, next) = central_entry(file, at).ok_or(BROKEN)?;
        entries.push(entry.open(file)?);
        at = next;
    }
    Ok(entries)
}

/// Number of entries and offset of the central directory.
fn directory(file: &[u8]) -> Option<(usize, usize)> {
    let last = file.len().checked_sub(END_LEN)?;
    let first = last.saturating_sub(MAX_COMMENT);
    let end = (first..=last).rev().find(|&at| file[at..].starts_with(b"PK\x05\x06"))?;
    let (count, start) = (u16_at(file, end + 10)?, u32_at(file, end + 16)?);
    if count != u16::MAX && start != u32::MAX {
        return Some((usize::from(count), index(u64::from(start))?));
    }
    let locator = end.checked_sub(20)?;
    let end64 = index(u64_at(file, locator + 8)?)?;
    let signed = signature(file, locator, *b"PK\x06\x07") && signature(file, end64, *b"PK\x06\x06");
    signed.then_some(())?;
    let (count, start) = (end64.checked_add(32)?, end64.checked_add(48)?);
    Some((index(u64_at(file, count)?)?, index(u64_at(file, start)?)?))
}

struct CentralEntry<'a> {
    name: &'a str,
    flags: u16,
    method: u16,
    crc: u32,
    packed: u64,
    size: u64,
    local: u64,
}

fn central_entry(file: &[u8], at: usize) -> Option<(CentralEntry<'_>, usize)> {
    signature(file, at, *b"PK\x01\x02").then_some(())?;
    let name_len = usize::from(u16_at(file, at + 28)?);
    let extra_len = usize::from(u16_at(file, at + 30)?);
    let comment_len = usize::from(u16_at(file, at + 32)?);
    let name_at = at.checked_add(46)?;
    let extra_at = name_at + name_len;
    let mut entry = CentralEntry {
        name: std::str::from_utf8(file.get(name_at..extra_at)?).ok()?,
        flags: u16_at(file, at + 8)?,
        method: u16_at(file, at + 10)?,
        crc: u32_at(file, at + 16)?,
        packed: u64::from(u32_at(file, at + 20)?),
        size: u64::from(u32_at(file, at + 24)?),
        local: u64::from(u32_at(file, at + 42)?),
    };
    entry.widen(file.get(extra_at..extra_at + extra_len)?)?;
    Some((entry, extra_at + extra_len + comment_len))
}

impl<'a> CentralEntry<'a> {
    /// Takes the 64-bit values from the extra field for those that did not fit 32 bits.
    fn widen(&mut self, extra: &[u8]) -> Option<()> {
        let full = u64::from(u32::MAX);
        let mut wanted: Vec<&mut u64> = [&mut self.size, &mut self.packed, &mut self.local]
            .into_iter()
            .filter(|value| **value == full)
            .collect();
        if wanted.is_empty() {
            return Some(());
        }
        let mut at = 0;
        while at + 4 <= extra.len() {
            let (id, len) = (u16_at(extra, at)?, usize::from(u16_at(extra, at + 2)?));
            if id == 1 {
                for (i, value) in wanted.iter_mut().enumerate() {
                    **value = u64_at(extra.get(..at + 4 + len)?, at + 4 + 8 * i)?;
                }
                return Some(());
            }
            at += 4 + len;
        }
        None
    }

    fn open(self, file: &'a [u8]) -> Result<Entry<'a>, TorchError> {
        if self.method != 0 || self.flags & 1 != 0 || self.packed != self.size {
            return Err(TorchError::NotStored);
        }
        let bytes = self.stored_bytes(file);
        let bytes = bytes.ok_or(TorchError::Archive("an entry lies outside the file"))?;
        Ok(Entry { name: self.name, bytes, crc: self.crc })
    }

    fn stored_bytes(&self, file: &'a [u8]) -> Option<&'a [u8]> {
        let at = index(self.local)?;
        signature(file, at, *b"PK\x03\x04").then_some(())?;
        let name_len = usize::from(u16_at(file, at + 26)?);
        let extra_len = usize::from(u16_at(file, at + 28)?);
        let start = at + 30 + name_len + extra_len;
        file.get(start..start.checked_add(index(self.size)?)?)
    }
}

fn index(value: u64) -> Option<usize> {
    usize::try_from(value).ok()
}

fn signature(file: &[u8], at: usize, signature: [u8; 4]) -> bool {
    bytes_at(file, at) == Some(signature)
}

fn u16_at(file: &[u8], at: usize) -> Option<u16> {
    bytes_at(file, at).map(u16::from_le_bytes)
}

fn u32_at(file: &[u8], at: usize) -> Option<u32> {
    bytes_at(file, at).map(u32::from_le_bytes)
}

fn u64_at(file: &[u8], at: usize) -> Option<u64> {
    bytes_at(file, at).map(u64::from_le_bytes)
}

fn bytes_at<const N: usize>(file: &[u8], at: usize) -> Option<[u8; N]> {
    file.get(at..at.checked_add(N)?)?.try_into().ok()
}
