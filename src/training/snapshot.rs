//! Snapshots on disk: weights and optimizer state of a moment, at the start of an epoch or between two
//! of its steps (13 #9, #10); what was done since then is in the [journal](super::journal). One file,
//! written to a temporary name, synced and renamed, its previous generation kept; a BLAKE3 at the end
//! tells a good file from a torn one. Written and read piece by piece: a stage is larger than the
//! memory that is left beside it.
//!
//! Layout: magic (8 bytes), length of the metadata (u64), metadata (JSON), weights (f32), optimizer
//! state (f32), weights of the epoch's start where they are others (f32), BLAKE3 of everything before
//! (32 bytes). Numbers little-endian.

mod read;
mod write;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::model::MomentPrecision;
use crate::protocol::{Epoch, Hotkey, RunId, StageIndex};

pub use read::Opened;
pub(super) use write::sync_folder;
pub use write::{NewSnapshot, Permit};

const MAGIC: &[u8; 8] = b"HEARTHS2";
/// Of snapshots without [`Progress`], which are read as well.
const FIRST_MAGIC: &[u8; 8] = b"HEARTHS1";
const HASH_BYTES: usize = 32;
/// Longer metadata than this is not ours.
const MAX_META: u64 = 64 * 1024;
/// Bytes moved at once.
const BLOCK: usize = 1 << 20;
/// Bytes of a generation for each weight, at most: the weight, two moments and, within an epoch, the
/// weight of its start.
pub const BYTES_A_WEIGHT: u64 = 4 * 4;
/// What the names of journals end with.
const JOURNAL: &str = ".journal";

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
    /// How the stage kept its moments. In the file they are f32 in any case, so that every stage, and
    /// every version of Hearth, can take them over.
    #[serde(default, skip_serializing_if = "MomentPrecision::is_usual")]
    pub moments: MomentPrecision,
    /// How far the epoch was; not in the snapshots of the first versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

impl SnapshotMeta {
    /// Numbers of the file.
    fn numbers(&self) -> Option<usize> {
        let start = self.progress.as_ref().map_or(0, |progress| progress.start);
        self.weights.checked_add(self.optimizer)?.checked_add(start)
    }
}

/// The name of a durable point: what was done after it is in the journal of the same name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Mark(String);

impl Mark {
    /// A name that none had before it.
    pub fn new(clock: &Clock) -> Self {
        Self(format!("{:020x}", clock.unix().as_nanos()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Mark {
    type Error = &'static str;

    /// It becomes the name of a file, and must not lead elsewhere.
    fn try_from(text: String) -> Result<Self, Self::Error> {
        let plain = (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
        if plain { Ok(Self(text)) } else { Err("a durable point has a name of hexadecimal digits") }
    }
}

/// How far an epoch was when a snapshot was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The name of this durable point.
    pub mark: Mark,
    /// The epoch in which this miner joined (spec 1.14: a latecomer's weights rest for a while).
    pub joined: Epoch,
    /// Backwards of the epoch; all of them are in the weights.
    pub backwards: u64,
    /// Optimizer steps of the epoch.
    pub steps: u64,
    /// Numbers of the epoch's starting weights; 0 where the weights themselves are those.
    pub start: usize,
    /// Which merged partitions the epoch started from, if they are known.
    #[serde(default)]
    pub merged: Option<String>,
}

/// A snapshot could not be written.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// No room.
    #[error(
        "the disk with {folder} is full: the snapshot (twice {}) does not fit; free some space or choose another data folder",
        bytesize::ByteSize::b(*.bytes).display().si()
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
    pub(super) fn from_io(folder: &Path, bytes: u64, why: io::Error) -> Self {
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

    /// Takes a newest generation that is of no use out of the way: it must not become the one before,
    /// and push a good one out. Blocks.
    ///
    /// # Errors
    /// The disk.
    pub fn set_aside(&self) -> io::Result<()> {
        fs::rename(self.current(), self.damaged())
    }

    /// What was of no use, for whoever wants to know why.
    pub fn damaged(&self) -> PathBuf {
        self.folder.join("damaged.snapshot")
    }

    /// Where both generations and their journals are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The journal of a durable point.
    pub fn journal(&self, mark: &Mark) -> PathBuf {
        self.folder.join(format!("{}{JOURNAL}", mark.as_str()))
    }

    /// All journals there are.
    pub fn journals(&self) -> Vec<(Mark, PathBuf)> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return Vec::new() };
        let journal = |path: PathBuf| {
            let name = path.file_name()?.to_str()?.strip_suffix(JOURNAL)?.to_owned();
            Some((Mark::try_from(name).ok()?, path))
        };
        entries.filter_map(|entry| journal(entry.ok()?.path())).collect()
    }

    /// Removes all journals: what is in them cannot be done again. Blocks.
    pub fn drop_journals(&self) {
        for (_, path) in self.journals() {
            if let Err(error) = fs::remove_file(&path) {
                tracing::warn!("{} cannot be removed: {error}", path.display());
            }
        }
    }

    /// Removes every journal whose durable point is neither of a generation that is here nor among
    /// `living`. Blocks.
    pub fn sweep(&self, living: &[Mark]) {
        let of = |path: PathBuf| Opened::open(&path).ok()?.meta.progress.map(|p| p.mark);
        let generations = [of(self.current()), of(self.previous())];
        for (mark, path) in self.journals() {
            let wanted = living.contains(&mark) || generations.iter().flatten().any(|m| *m == mark);
            if !wanted && let Err(error) = fs::remove_file(&path) {
                tracing::warn!("{} cannot be removed: {error}", path.display());
            }
        }
    }

    /// Begins a new generation; its numbers follow. On an error the old ones are as they were. Blocks.
    ///
    /// # Errors
    /// See [`SaveError`].
    pub fn begin(&self, meta: &SnapshotMeta) -> Result<NewSnapshot, SaveError> {
        NewSnapshot::begin(self.clone(), meta)
    }

    /// Opens a generation, if it belongs to `hotkey`, `run` and `stage`. Its numbers are verified
    /// while they are read. Blocks.
    ///
    /// # Errors
    /// See [`Damage`].
    pub fn open(
        &self,
        generation: Generation,
        hotkey: &Hotkey,
        run: &RunId,
        stage: StageIndex,
    ) -> Result<Opened, Damage> {
        let path = match generation {
            Generation::Newest => self.current(),
            Generation::Before => self.previous(),
        };
        let snapshot = Opened::open(&path)?;
        let meta = &snapshot.meta;
        if meta.hotkey == *hotkey && meta.run == *run && meta.stage == stage {
            Ok(snapshot)
        } else {
            Err(Damage::Foreign(path))
        }
    }
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// The newest.
    Newest,
    /// The one before it.
    Before,
}

impl Generation {
    /// In the order in which they are of use.
    pub const ALL: [Self; 2] = [Self::Newest, Self::Before];
}

#[cfg(test)]
mod tests;
