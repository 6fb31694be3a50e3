//! The epoch-start snapshot on disk: weights and optimizer state, so that a restart loses at most
//! the epoch in progress (13 #9, #10). One file, written to a temporary name, synced and renamed, its
//! previous generation kept; a BLAKE3 at the end tells a good file from a torn one. Written and read
//! piece by piece: a stage is larger than the memory that is left beside it.
//!
//! Layout: magic (8 bytes), length of the metadata (u64), metadata (JSON), weights (f32), optimizer
//! state (f32), BLAKE3 of everything before (32 bytes). Numbers little-endian.

mod read;
mod write;

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::protocol::{Epoch, Hotkey, RunId, StageIndex};

pub use read::Verified;
pub use write::NewSnapshot;

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
    Newest(Verified),
    /// The newest is not good, the one before is.
    Previous {
        /// The one before.
        snapshot: Verified,
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

    /// Begins a new generation; its numbers follow. On an error the old ones are as they were. Blocks.
    ///
    /// # Errors
    /// See [`SaveError`].
    pub fn begin(&self, meta: &SnapshotMeta) -> Result<NewSnapshot, SaveError> {
        NewSnapshot::begin(self.clone(), meta)
    }

    /// Finds and verifies the newest good generation that belongs to `hotkey`, `run` and `stage`. The
    /// one before is only looked at if the newest is of no use. Blocks.
    pub fn find(&self, hotkey: &Hotkey, run: &RunId, stage: StageIndex) -> Found {
        let ours = |path: PathBuf| {
            let snapshot = Verified::open(&path)?;
            let meta = &snapshot.meta;
            if meta.hotkey == *hotkey && meta.run == *run && meta.stage == stage {
                Ok(snapshot)
            } else {
                Err(Damage::Foreign(path))
            }
        };
        let newest = match ours(self.current()) {
            Ok(snapshot) => return Found::Newest(snapshot),
            Err(damage) => damage,
        };
        match (newest, ours(self.previous())) {
            (newest, Ok(snapshot)) => Found::Previous { snapshot, newest },
            (Damage::Missing(_), Err(Damage::Missing(_))) => Found::Nothing,
            (newest, Err(previous)) => Found::Lost { newest, previous },
        }
    }
}

#[cfg(test)]
mod tests;
