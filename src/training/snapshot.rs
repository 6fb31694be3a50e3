//! The epoch-start snapshot on disk: weights and optimizer state, so that a restart loses at most
//! the epoch in progress (13 #9, #10). One file, written to a temporary name, synced and renamed, its
//! previous generation kept; a BLAKE3 at the end tells a good file from a torn one.
//!
//! Layout: magic (8 bytes), length of the metadata (u64), metadata (JSON), weights (f32), optimizer
//! state (f32), BLAKE3 of everything before (32 bytes). Numbers little-endian.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::protocol::{Epoch, Hotkey, RunId, StageIndex};

const MAGIC: &[u8; 8] = b"HEARTHS1";
const HASH_BYTES: usize = 32;
/// Longer metadata than this is not ours.
const MAX_META: u64 = 64 * 1024;
/// Bytes moved at once.
const BLOCK: usize = 1 << 20;

/// Whose weights these are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotMeta {
    /// The miner.
    pub hotkey: Hotkey,
    /// The run.
    pub run: RunId,
    /// Its stage.
    pub stage: StageIndex,
    /// The epoch that starts with these weights.
    pub epoch: Epoch,
    /// Number of weights.
    pub weights: usize,
    /// Numbers of optimizer state: first and second moments.
    pub optimizer: usize,
    /// Steps the optimizer has done.
    pub step: u64,
    /// NAdam's product of mu, as the bits of an f64, since decimal text would not be exact.
    pub mu_product_bits: u64,
}

/// A stage as it was at the start of an epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// Whose.
    pub meta: SnapshotMeta,
    /// Flat weights in wire order.
    pub weights: Vec<f32>,
    /// Flat optimizer state.
    pub optimizer: Vec<f32>,
}

/// A snapshot could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// No room.
    #[error(
        "the disk with {folder} is full: the snapshot ({bytes} bytes, twice) does not fit; free some space or choose another data folder"
    )]
    Full {
        /// Where.
        folder: PathBuf,
        /// Size of one generation.
        bytes: u64,
    },
    /// Not allowed to write.
    #[error("{folder} cannot be written ({why}); make it writable or choose another data folder")]
    ReadOnly {
        /// Where.
        folder: PathBuf,
        /// The system's words.
        why: io::Error,
    },
    /// Anything else.
    #[error("the snapshot in {folder} could not be written: {why}; check the disk")]
    Other {
        /// Where.
        folder: PathBuf,
        /// The system's words.
        why: io::Error,
    },
}

impl SaveError {
    fn from_io(folder: &Path, bytes: u64, why: io::Error) -> Self {
        let folder = folder.to_owned();
        match why.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Self::Full { folder, bytes },
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::NotADirectory => Self::ReadOnly { folder, why },
            _ => Self::Other { folder, why },
        }
    }
}

/// A snapshot file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// It is not there.
    #[error("there is no {0}")]
    Missing(PathBuf),
    /// It cannot be read.
    #[error("{path} cannot be read: {why}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        why: io::Error,
    },
    /// It is torn or was changed.
    #[error("{path} is damaged ({what})")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// How one can tell.
        what: &'static str,
    },
    /// It belongs to somebody else.
    #[error("{0} belongs to another miner, run or stage")]
    Foreign(PathBuf),
}

/// What was found on disk.
#[derive(Debug)]
pub enum Found {
    /// The newest generation is good.
    Newest(Snapshot),
    /// The newest is not good, the one before is.
    Previous {
        /// The one before.
        snapshot: Snapshot,
        /// What is wrong with the newest.
        newest: Damage,
    },
    /// There is none.
    Nothing,
    /// Both generations are useless.
    Lost {
        /// What is wrong with the newest.
        newest: Damage,
        /// What is wrong with the one before.
        previous: Damage,
    },
}

/// The snapshots of one miner's stage: a folder with two generations.
#[derive(Clone, Debug)]
pub struct SnapshotStore {
    folder: PathBuf,
}

impl SnapshotStore {
    /// The store of this miner, run and stage below the data folder. Nothing is touched yet.
    pub fn new(data: &Path, hotkey: &Hotkey, run: &RunId, stage: StageIndex) -> Self {
        // A run id comes from the server and must not become a path of its choice.
        let run = blake3::hash(run.as_str().as_bytes()).to_hex();
        let name = format!("{hotkey}-{}-{stage}", &run[..16]);
        Self { folder: data.join("snapshots").join(name) }
    }

    /// The newest generation.
    pub fn current(&self) -> PathBuf {
        self.folder.join("current.snapshot")
    }

    /// The generation before.
    pub fn previous(&self) -> PathBuf {
        self.folder.join("previous.snapshot")
    }

    fn temporary(&self) -> PathBuf {
        self.folder.join("new.snapshot")
    }

    /// Writes a new generation. On an error the old ones are as they were. Blocks.
    pub fn save(
        &self,
        meta: &SnapshotMeta,
        weights: &[f32],
        optimizer: &[f32],
    ) -> Result<(), SaveError> {
        let bytes = 4 * (weights.len() + optimizer.len()) as u64;
        let result = self.replace(meta, weights, optimizer);
        if result.is_err() {
            // A torn temporary file would only take space; whether that works changes nothing.
            drop(fs::remove_file(self.temporary()));
        }
        result.map_err(|why| SaveError::from_io(&self.folder, bytes, why))
    }

    fn replace(&self, meta: &SnapshotMeta, weights: &[f32], optimizer: &[f32]) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut file = HashingWriter::new(File::create(self.temporary())?);
        write_all(&mut file, meta, weights, optimizer)?;
        file.finish()?;
        // Between the two renames there is no newest file, but a complete previous one.
        match fs::rename(self.current(), self.previous()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::rename(self.temporary(), self.current())?;
        sync_folder(&self.folder)
    }

    /// Reads the newest good generation that belongs to `hotkey`, `run` and `stage`. Blocks.
    pub fn load(&self, hotkey: &Hotkey, run: &RunId, stage: StageIndex) -> Found {
        let ours = |path: PathBuf| {
            let snapshot = read(&path)?;
            let meta = &snapshot.meta;
            if meta.hotkey == *hotkey && meta.run == *run && meta.stage == stage {
                Ok(snapshot)
            } else {
                Err(Damage::Foreign(path))
            }
        };
        match (ours(self.current()), ours(self.previous())) {
            (Ok(snapshot), _) => Found::Newest(snapshot),
            (Err(newest), Ok(snapshot)) => Found::Previous { snapshot, newest },
            (Err(Damage::Missing(_)), Err(Damage::Missing(_))) => Found::Nothing,
            (Err(newest), Err(previous)) => Found::Lost { newest, previous },
        }
    }
}

/// Writes to a file and hashes what it writes.
struct HashingWriter {
    file: BufWriter<File>,
    hasher: blake3::Hasher,
}

impl HashingWriter {
    fn new(file: File) -> Self {
        Self { file: BufWriter::with_capacity(BLOCK, file), hasher: blake3::Hasher::new() }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.file.write_all(bytes)
    }

    fn finish(mut self) -> io::Result<()> {
        self.file.write_all(self.hasher.finalize().as_bytes())?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()
    }
}

fn write_all(
    file: &mut HashingWriter,
    meta: &SnapshotMeta,
    weights: &[f32],
    optimizer: &[f32],
) -> io::Result<()> {
    let meta = serde_json::to_vec(meta)?;
    file.put(MAGIC)?;
    file.put(&(meta.len() as u64).to_le_bytes())?;
    file.put(&meta)?;
    for numbers in [weights, optimizer] {
        for block in numbers.chunks(BLOCK / 4) {
            let bytes: Vec<u8> = block.iter().flat_map(|x| x.to_le_bytes()).collect();
            file.put(&bytes)?;
        }
    }
    Ok(())
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened for syncing; the rename itself is journalled.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Reads a file whose length and hash must agree with its metadata.
fn read(path: &Path) -> Result<Snapshot, Damage> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Damage::Missing(path.to_owned()));
        }
        Err(why) => return Err(Damage::Unreadable { path: path.to_owned(), why }),
    };
    let length = file.metadata().map_or(0, |meta| meta.len());
    let mut reader = HashingReader {
        file: BufReader::with_capacity(BLOCK, file),
        hasher: blake3::Hasher::new(),
    };
    parse(&mut reader, length).map_err(|error| match error {
        ParseError::Corrupt(what) => Damage::Corrupt { path: path.to_owned(), what },
        ParseError::Io(why) if why.kind() == io::ErrorKind::UnexpectedEof => {
            Damage::Corrupt { path: path.to_owned(), what: "it ends too early" }
        }
        ParseError::Io(why) => Damage::Unreadable { path: path.to_owned(), why },
    })
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
}

impl HashingReader {
    fn take(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        self.file.read_exact(bytes)?;
        self.hasher.update(bytes);
        Ok(())
    }

    fn numbers(&mut self, count: usize) -> io::Result<Vec<f32>> {
        let mut numbers = Vec::with_capacity(count);
        let mut block = vec![0; BLOCK.min(4 * count)];
        while numbers.len() < count {
            let part = &mut block[..(4 * (count - numbers.len())).min(BLOCK)];
            self.file.read_exact(part)?;
            self.hasher.update(part);
            numbers
                .extend(part.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])));
        }
        Ok(numbers)
    }
}

fn parse(reader: &mut HashingReader, length: u64) -> Result<Snapshot, ParseError> {
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
    // Checked before anything is allocated: a flipped bit must not ask for all memory.
    let numbers = (meta.weights as u64).checked_add(meta.optimizer as u64);
    let expected = numbers
        .and_then(|n| n.checked_mul(4))
        .and_then(|n| n.checked_add(MAGIC.len() as u64 + 8 + meta_length + HASH_BYTES as u64));
    if expected != Some(length) {
        return Err(ParseError::Corrupt("its length does not fit its description"));
    }
    let weights = reader.numbers(meta.weights)?;
    let optimizer = reader.numbers(meta.optimizer)?;
    let mut hash = [0; HASH_BYTES];
    reader.file.read_exact(&mut hash)?;
    if reader.hasher.finalize() != hash {
        return Err(ParseError::Corrupt("its checksum is wrong"));
    }
    if !weights.iter().chain(&optimizer).all(|x| x.is_finite()) {
        return Err(ParseError::Corrupt("it holds numbers that are not finite"));
    }
    Ok(Snapshot { meta, weights, optimizer })
}

#[cfg(test)]
mod tests;
