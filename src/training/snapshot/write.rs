//! Writing a snapshot piece by piece. Nothing of the old generations is touched before the new one is
//! complete and on the disk.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::{BLOCK, HASH_BYTES, MAGIC, SaveError, SnapshotMeta, SnapshotStore};

/// The leave to replace generations. Whoever took over the folder in the meantime withdraws it, and the
/// writer that is left over changes nothing any more.
#[derive(Clone, Debug, Default)]
pub struct Permit(Arc<Mutex<Leave>>);

#[derive(Debug, Default)]
enum Leave {
    #[default]
    Given,
    Withdrawn,
}

impl Permit {
    /// From here on nothing is replaced; what is being replaced now is waited for.
    pub fn withdraw(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Leave::Withdrawn;
    }
}

/// A new generation in the making. Dropped before [`NewSnapshot::finish`] it leaves everything as it
/// was.
#[derive(Debug)]
pub struct NewSnapshot {
    store: SnapshotStore,
    file: BufWriter<File>,
    hasher: blake3::Hasher,
    bytes: u64,
    /// Numbers still to come.
    left: usize,
    complete: bool,
}

impl NewSnapshot {
    pub(super) fn begin(store: SnapshotStore, meta: &SnapshotMeta) -> Result<Self, SaveError> {
        let left = meta.numbers().unwrap_or(usize::MAX / 8);
        let bytes = 4 * left as u64 + HASH_BYTES as u64;
        let opened = fs::create_dir_all(&store.folder).and_then(|()| {
            // What an earlier writer may still hold open is another file.
            drop(fs::remove_file(store.temporary()));
            let file = File::create(store.temporary())?;
            let meta = serde_json::to_vec(meta)?;
            Ok((file, meta))
        });
        let (file, meta) = opened.map_err(|why| SaveError::from_io(&store.folder, bytes, why))?;
        let file = BufWriter::with_capacity(BLOCK, file);
        let hasher = blake3::Hasher::new();
        let mut new = Self { store, file, hasher, bytes, left, complete: false };
        new.put_bytes(MAGIC)?;
        new.put_bytes(&(meta.len() as u64).to_le_bytes())?;
        new.put_bytes(&meta)?;
        Ok(new)
    }

    /// Adds the next numbers: all weights, then all of the optimizer state. Blocks.
    ///
    /// # Errors
    /// See [`SaveError`].
    pub fn put(&mut self, numbers: &[f32]) -> Result<(), SaveError> {
        self.left = self.left.checked_sub(numbers.len()).ok_or_else(|| self.miscounted())?;
        if cfg!(target_endian = "little") {
            return self.put_bytes(bytemuck::cast_slice(numbers));
        }
        let mut bytes = Vec::with_capacity(BLOCK.min(4 * numbers.len()));
        for block in numbers.chunks(BLOCK / 4) {
            bytes.clear();
            bytes.extend(block.iter().flat_map(|x| x.to_le_bytes()));
            self.put_bytes(&bytes)?;
        }
        Ok(())
    }

    /// Makes it the newest generation, and the newest until now the one before. Blocks.
    ///
    /// # Errors
    /// See [`SaveError`].
    pub fn finish(mut self, permit: &Permit) -> Result<(), SaveError> {
        if self.left > 0 {
            return Err(self.miscounted());
        }
        let done = self.sync().and_then(|()| {
            let leave = permit.0.lock().unwrap_or_else(PoisonError::into_inner);
            match *leave {
                Leave::Given => self.replace(),
                Leave::Withdrawn => Err(io::Error::other("the stage was built again meanwhile")),
            }
        });
        done.map_err(|why| self.failed(why))?;
        self.complete = true;
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let hash = *self.hasher.finalize().as_bytes();
        self.file.write_all(&hash)?;
        self.file.flush()?;
        self.file.get_ref().sync_all()
    }

    fn replace(&self) -> io::Result<()> {
        let store = &self.store;
        // Between the two renames there is no newest file, but a complete previous one.
        match fs::rename(store.current(), store.previous()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::rename(store.temporary(), store.current())?;
        sync_folder(&store.folder)
    }

    fn put_bytes(&mut self, bytes: &[u8]) -> Result<(), SaveError> {
        self.hasher.update(bytes);
        self.file.write_all(bytes).map_err(|why| self.failed(why))
    }

    fn failed(&self, why: io::Error) -> SaveError {
        SaveError::from_io(&self.store.folder, self.bytes, why)
    }

    fn miscounted(&self) -> SaveError {
        self.failed(io::Error::other("its numbers are not as many as its description says"))
    }
}

impl Drop for NewSnapshot {
    fn drop(&mut self) {
        if !self.complete {
            // A torn temporary file would only take space; whether that works changes nothing.
            drop(fs::remove_file(self.store.temporary()));
        }
    }
}

/// Makes sure that a name which is new in a folder is still there after a power cut.
#[cfg(unix)]
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened for syncing; the rename itself is journalled.
#[cfg(not(unix))]
pub(crate) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}
