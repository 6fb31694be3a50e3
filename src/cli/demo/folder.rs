//! The demo's folder: fresh for every demo, gone when it ends. One that a killed demo left behind
//! is removed by the next; its lock tells that nobody uses it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::clock::Entropy;
use crate::config::folders::{FolderError, Folders, prepare};

const PREFIX: &str = "demo-";
const LOCK: &str = "lock";

/// A folder that is removed when this is dropped.
#[derive(Debug)]
pub struct DemoFolder {
    path: PathBuf,
    lock: Option<File>,
}

impl DemoFolder {
    /// Makes a fresh folder under the state folder.
    pub fn make(folders: &Folders, entropy: &mut Entropy) -> Result<Self, FolderError> {
        prepare(&folders.state)?;
        remove_abandoned(&folders.state);
        let path = folders.state.join(format!("{PREFIX}{}", &entropy.uuid()[..8]));
        prepare(&path)?;
        let refused = |source| FolderError::NotWritable { path: path.clone(), source };
        let lock = File::create(path.join(LOCK)).map_err(refused)?;
        // Where locks are not supported the folder works all the same; it is only not tidied up
        // after a kill.
        let _ = lock.try_lock();
        Ok(Self { path, lock: Some(lock) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for DemoFolder {
    fn drop(&mut self) {
        self.lock = None;
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn remove_abandoned(state: &Path) {
    let Ok(entries) = fs::read_dir(state) else { return };
    for path in entries.flatten().map(|entry| entry.path()) {
        let ours = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX));
        if !ours {
            continue;
        }
        let free = File::open(path.join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok());
        if free {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demo_removes_its_own_and_abandoned_folders_but_no_living_one() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::under(home.path());
        let mut entropy = Entropy::seeded(1, "folders");
        let living = DemoFolder::make(&folders, &mut entropy).unwrap();
        let abandoned = folders.state.join("demo-abandon");
        fs::create_dir_all(&abandoned).unwrap();
        fs::write(abandoned.join(LOCK), b"").unwrap();
        let second = DemoFolder::make(&folders, &mut entropy).unwrap();
        assert!(living.path().exists() && second.path().exists() && !abandoned.exists());
        let path = second.path().to_owned();
        drop(second);
        assert!(!path.exists() && living.path().exists());
    }
}
