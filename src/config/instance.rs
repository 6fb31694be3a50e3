//! One Hearth at a time in a folder of files: the lock that a run holds for as long as it lasts, and
//! whose it is.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::folders::{FolderError, Folders, prepare};
use crate::clock::{Clock, local};

/// The file in the state folder.
const FILE: &str = "hearth.lock";
/// Somebody who only asks whether the lock is free holds it for a moment: that is waited out.
const TRIES: usize = 10;
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(30);
/// More than a process id and a time need.
const MOST: u64 = 1024;

/// Who runs here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Its process.
    pub pid: u32,
    /// Since when, Unix seconds.
    pub since: u64,
}

/// This process may not run here now.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// Another one does.
    #[error(
        "Hearth already runs here{}: look at it with `hearth`, stop it with `hearth stop`",
        words(.0)
    )]
    Running(Option<Owner>),
    /// The file cannot be made.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

fn words(owner: &Option<Owner>) -> String {
    owner.map_or_else(String::new, |Owner { pid, since }| {
        format!(" (process {pid}, since {})", local(since))
    })
}

/// The right to run in these folders, held as long as this lives. The system lets go of it when the
/// process dies, however it does: what is written in the file is only for words.
#[derive(Debug)]
pub struct InstanceLock(File);

impl InstanceLock {
    /// Takes it for this process.
    ///
    /// # Errors
    /// Another process holds it, or the state folder cannot be written.
    pub fn take(folders: &Folders, clock: &Clock) -> Result<Self, InstanceError> {
        prepare(&folders.state)?;
        let path = path(folders);
        let refused = |source| FolderError::NotWritable { path: path.clone(), source };
        // Not emptied before it is held: the words in it may be another's.
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(refused)?;
        for left in (0..TRIES).rev() {
            match file.try_lock() {
                // Where the file system has no locks there is nothing to hold.
                Ok(()) | Err(TryLockError::Error(_)) => break,
                Err(TryLockError::WouldBlock) if left == 0 => {
                    return Err(InstanceError::Running(owner(folders)));
                }
                Err(TryLockError::WouldBlock) => clock.block(PAUSE),
            }
        }
        let owner = Owner { pid: std::process::id(), since: clock.unix().as_secs() };
        // Two numbers always have a text.
        let text = serde_json::to_vec(&owner).unwrap_or_default();
        file.set_len(0).map_err(refused)?;
        file.rewind().map_err(refused)?;
        file.write_all(&text).map_err(refused)?;
        Ok(Self(file))
    }
}

impl Drop for InstanceLock {
    fn drop(&mut self) {
        // Nobody runs here any more, so nobody is named. Closing the file lets go as well.
        let _ = self.0.set_len(0);
        let _ = self.0.unlock();
    }
}

/// Who is named in the lock, whether or not it still runs. On Windows nobody else may read a file that
/// is locked; then nobody is named.
pub fn owner(folders: &Folders) -> Option<Owner> {
    let mut text = Vec::new();
    File::open(path(folders)).ok()?.take(MOST).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Whether a process holds the lock now.
pub fn is_held(folders: &Folders) -> bool {
    let Ok(file) = File::open(path(folders)) else { return false };
    let held = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
    if !held {
        // Closing it lets go as well.
        let _ = file.unlock();
    }
    held
}

fn path(folders: &Folders) -> PathBuf {
    folders.state.join(FILE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_of_the_first_and_a_stale_lock_is_taken_over() {
        let home = tempfile::tempdir().unwrap();
        let (folders, clock) = (Folders::under(home.path()), Clock::system());
        assert!(!is_held(&folders) && owner(&folders).is_none());
        let held = InstanceLock::take(&folders, &clock).unwrap();
        assert!(is_held(&folders));
        let refused = InstanceLock::take(&folders, &clock).unwrap_err().to_string();
        let pid = std::process::id();
        assert!(refused.contains(&format!("process {pid}, since 20")), "{refused}");
        assert!(refused.contains("hearth stop"), "{refused}");
        drop(held);
        assert!(!is_held(&folders) && owner(&folders).is_none());

        // A process that died left its words behind, but holds nothing.
        std::fs::write(path(&folders), br#"{"pid":1,"since":1}"#).unwrap();
        assert_eq!(owner(&folders), Some(Owner { pid: 1, since: 1 }));
        let held = InstanceLock::take(&folders, &clock).unwrap();
        assert_eq!(owner(&folders).map(|owner| owner.pid), Some(pid));
        drop(held);

        // Whatever lies there, it is not a reason to refuse.
        std::fs::write(path(&folders), [0xff; 5000]).unwrap();
        drop(InstanceLock::take(&folders, &clock).unwrap());
    }

    #[test]
    fn who_looks_for_a_moment_does_not_turn_the_owner_away() {
        let home = tempfile::tempdir().unwrap();
        let (folders, clock) = (Folders::under(home.path()), Clock::system());
        drop(InstanceLock::take(&folders, &clock).unwrap());
        let looking = File::open(path(&folders)).unwrap();
        looking.try_lock_shared().unwrap();
        let leaves = std::thread::spawn(move || {
            Clock::system().block(PAUSE * 3);
            drop(looking);
        });
        InstanceLock::take(&folders, &clock).unwrap();
        leaves.join().unwrap();
    }
}
