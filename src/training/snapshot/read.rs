//! Reading a snapshot in two passes: the first verifies every byte and keeps nothing, the second
//! hands the numbers out piece by piece. So nothing of a damaged file reaches a stage, and a file of
//! any size takes a megabyte of memory.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use super::{BLOCK, Damage, HASH_BYTES, MAGIC, MAX_META, SnapshotMeta};

/// A snapshot file whose every byte was verified, open at its numbers: the weights, then the
/// optimizer state.
#[derive(Debug)]
pub struct Verified {
    /// Whose.
    pub meta: SnapshotMeta,
    numbers: BufReader<File>,
    left: usize,
}

impl Verified {
    /// Verifies the file at `path`. Blocks.
    pub(super) fn open(path: &Path) -> Result<Self, Damage> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Damage::Missing(path.to_owned()));
            }
            Err(why) => return Err(Damage::Unreadable { path: path.to_owned(), why }),
        };
        Self::verify(file).map_err(|error| match error {
            ParseError::Corrupt(what) => Damage::Corrupt { path: path.to_owned(), what },
            ParseError::Io(why) if why.kind() == io::ErrorKind::UnexpectedEof => {
                Damage::Corrupt { path: path.to_owned(), what: "it ends too early" }
            }
            ParseError::Io(why) => Damage::Unreadable { path: path.to_owned(), why },
        })
    }

    fn verify(file: File) -> Result<Self, ParseError> {
        let length = file.metadata()?.len();
        let mut reader = HashingReader {
            file: BufReader::with_capacity(BLOCK, file),
            hasher: blake3::Hasher::new(),
            finite: true,
        };
        let (meta, start) = head(&mut reader, length)?;
        let count = meta.weights + meta.optimizer;
        reader.pass(count)?;
        let mut hash = [0; HASH_BYTES];
        reader.file.read_exact(&mut hash)?;
        if reader.hasher.finalize() != hash {
            return Err(ParseError::Corrupt("its checksum is wrong"));
        }
        if !reader.finite {
            return Err(ParseError::Corrupt("it holds numbers that are not finite"));
        }
        let mut numbers = reader.file;
        numbers.seek(SeekFrom::Start(start))?;
        Ok(Self { meta, numbers, left: count })
    }

    /// The next numbers: as many as `most`, fewer at the end, none after it. Blocks.
    ///
    /// # Errors
    /// If the disk fails now, though it did not a moment ago.
    pub fn next(&mut self, most: usize) -> io::Result<Vec<f32>> {
        let count = most.min(self.left);
        let mut bytes = vec![0; 4 * count];
        self.numbers.read_exact(&mut bytes)?;
        self.left -= count;
        Ok(numbers(&bytes).collect())
    }
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

enum ParseError {
    Io(io::Error),
    Corrupt(&'static str),
}

impl From<io::Error> for ParseError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

struct HashingReader {
    file: BufReader<File>,
    hasher: blake3::Hasher,
    /// Whether all numbers passed so far are finite.
    finite: bool,
}

impl HashingReader {
    fn take(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact(bytes)?;
        self.hasher.update(bytes);
        Ok(())
    }

    /// Reads over so many numbers.
    fn pass(&mut self, count: usize) -> io::Result<()> {
        let mut left = 4 * count;
        let mut block = vec![0; BLOCK.min(left)];
        while left > 0 {
            let part = &mut block[..left.min(BLOCK)];
            self.file.read_exact(part)?;
            self.hasher.update(part);
            self.finite &= numbers(part).all(f32::is_finite);
            left -= part.len();
        }
        Ok(())
    }
}

/// Reads what comes before the numbers; gives the description and where the numbers begin.
fn head(reader: &mut HashingReader, length: u64) -> Result<(SnapshotMeta, u64), ParseError> {
    let mut magic = [0; 8];
    reader.take(&mut magic)?;
    if magic != *MAGIC {
        return Err(ParseError::Corrupt("it does not begin like a snapshot of this version"));
    }
    let mut meta_length = [0; 8];
    reader.take(&mut meta_length)?;
    let meta_length = u64::from_le_bytes(meta_length);
    if meta_length > MAX_META {
        return Err(ParseError::Corrupt("its description is too long"));
    }
    let mut meta = vec![0; usize::try_from(meta_length).unwrap_or_default()];
    reader.take(&mut meta)?;
    let meta: SnapshotMeta = serde_json::from_slice(&meta)
        .map_err(|_| ParseError::Corrupt("its description makes no sense"))?;
    // Checked before anything is counted by it: a flipped bit must not lead astray.
    let start = MAGIC.len() as u64 + 8 + meta_length;
    let numbers = (meta.weights as u64).checked_add(meta.optimizer as u64);
    let expected = numbers
        .and_then(|n| n.checked_mul(4))
        .and_then(|n| n.checked_add(start + HASH_BYTES as u64));
    if expected != Some(length) {
        return Err(ParseError::Corrupt("its length does not fit its description"));
    }
    Ok((meta, start))
}
