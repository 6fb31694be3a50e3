//! Reading a snapshot in one pass: its numbers are handed out piece by piece while they are hashed, and
//! [`Opened::finish`] says in the end whether they were the ones that were written. Whoever takes them
//! uses nothing of them before that. So a file of any size takes a megabyte of memory and is read from
//! the disk once.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use super::{BLOCK, Damage, FIRST_MAGIC, HASH_BYTES, MAGIC, MAX_META, SnapshotMeta};

/// A snapshot file, open at its numbers: the weights, then the optimizer state, then the epoch's
/// starting weights.
#[derive(Debug)]
pub struct Opened {
    /// Whose.
    pub meta: SnapshotMeta,
    path: PathBuf,
    reader: HashingReader,
    left: usize,
}

impl Opened {
    /// Reads what comes before the numbers. Blocks.
    pub(super) fn open(path: &Path) -> Result<Self, Damage> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(Damage::Missing(path.to_owned()));
            }
            Err(why) => return Err(Damage::Unreadable { path: path.to_owned(), why }),
        };
        Self::begin(path, file).map_err(|error| error.at(path))
    }

    fn begin(path: &Path, file: File) -> Result<Self, ParseError> {
        let length = file.metadata()?.len();
        let mut reader = HashingReader {
            file: BufReader::with_capacity(BLOCK, file),
            hasher: blake3::Hasher::new(),
        };
        let meta = head(&mut reader, length)?;
        let left = meta.numbers().unwrap_or_default();
        Ok(Self { meta, path: path.to_owned(), reader, left })
    }

    /// The next numbers: as many as `most`, fewer at the end, none after it. Blocks.
    ///
    /// # Errors
    /// The disk fails, or a number is not finite.
    pub fn next(&mut self, most: usize) -> Result<Vec<f32>, Damage> {
        let mut values = vec![0.0_f32; most.min(self.left)];
        let read = if cfg!(target_endian = "little") {
            self.reader.take(bytemuck::cast_slice_mut(&mut values))
        } else {
            let mut bytes = vec![0; 4 * values.len()];
            self.reader.take(&mut bytes).map(|()| {
                for (value, b) in values.iter_mut().zip(bytes.chunks_exact(4)) {
                    *value = f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                }
            })
        };
        read.map_err(|error| ParseError::Io(error).at(&self.path))?;
        self.left -= values.len();
        if values.iter().all(|x| x.is_finite()) {
            Ok(values)
        } else {
            Err(self.corrupt("it holds numbers that are not finite"))
        }
    }

    /// Reads what is left and says whether everything is as it was written. Blocks.
    ///
    /// # Errors
    /// See [`Damage`].
    pub fn finish(mut self) -> Result<SnapshotMeta, Damage> {
        while self.left > 0 {
            self.next(BLOCK / 4)?;
        }
        let mut hash = [0; HASH_BYTES];
        let read = self.reader.file.read_exact(&mut hash);
        read.map_err(|error| ParseError::Io(error).at(&self.path))?;
        if self.reader.hasher.finalize() == hash {
            Ok(self.meta)
        } else {
            Err(self.corrupt("its checksum is wrong"))
        }
    }

    fn corrupt(&self, what: &'static str) -> Damage {
        Damage::Corrupt { path: self.path.clone(), what }
    }
}

enum ParseError {
    Io(io::Error),
    Corrupt(&'static str),
}

impl ParseError {
    fn at(self, path: &Path) -> Damage {
        let path = path.to_owned();
        match self {
            Self::Corrupt(what) => Damage::Corrupt { path, what },
            Self::Io(why) if why.kind() == io::ErrorKind::UnexpectedEof => {
                Damage::Corrupt { path, what: "it ends too early" }
            }
            Self::Io(why) => Damage::Unreadable { path, why },
        }
    }
}

impl From<io::Error> for ParseError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[derive(Debug)]
struct HashingReader {
    file: BufReader<File>,
    hasher: blake3::Hasher,
}

impl HashingReader {
    fn take(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact(bytes)?;
        self.hasher.update(bytes);
        Ok(())
    }
}

/// Reads what comes before the numbers.
fn head(reader: &mut HashingReader, length: u64) -> Result<SnapshotMeta, ParseError> {
    let mut magic = [0; 8];
    reader.take(&mut magic)?;
    if magic != *MAGIC && magic != *FIRST_MAGIC {
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
    let expected = meta
        .numbers()
        .and_then(|n| (n as u64).checked_mul(4))
        .and_then(|n| n.checked_add(start + HASH_BYTES as u64));
    let start = meta.progress.as_ref().map_or(0, |progress| progress.start);
    if expected != Some(length) || (start != 0 && start != meta.weights) {
        return Err(ParseError::Corrupt("its length does not fit its description"));
    }
    Ok(meta)
}
