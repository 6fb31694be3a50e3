//! Where Hearth keeps its files: the platform's own conventions, or everything under
//! `HEARTH_HOME`. And the one way to write a file that must not be lost.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A folder or file of ours cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// The platform names no home directory.
    #[error(
        "no home directory is known here, so Hearth does not know where to keep its files; set \
         HEARTH_HOME to a folder that may be written"
    )]
    NoHome,
    /// The folder cannot be made or written.
    #[error(
        "cannot write to {path} ({source}); make room or give permission, or set HEARTH_HOME to \
         another folder"
    )]
    NotWritable {
        /// The folder or file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
}

impl FolderError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoHome => "no-home",
            Self::NotWritable { .. } => "folder-not-writable",
        }
    }
}

/// The folders of this user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folders {
    /// Keys, ledger, snapshots: what must not be lost.
    pub data: PathBuf,
    /// Settings.
    pub config: PathBuf,
    /// Logs, locks, and runs that end with the process.
    pub state: PathBuf,
    /// What can be made again.
    pub cache: PathBuf,
}

impl Folders {
    /// From `HEARTH_HOME`, else from the platform.
    pub fn find() -> Result<Self, FolderError> {
        if let Some(home) = std::env::var_os("HEARTH_HOME").filter(|home| !home.is_empty()) {
            return Ok(Self::under(Path::new(&home)));
        }
        let dirs = directories::ProjectDirs::from("", "", "hearth").ok_or(FolderError::NoHome)?;
        Ok(Self {
            data: dirs.data_dir().to_owned(),
            config: dirs.config_dir().to_owned(),
            state: dirs.state_dir().unwrap_or_else(|| dirs.data_local_dir()).to_owned(),
            cache: dirs.cache_dir().to_owned(),
        })
    }

    /// Everything under one folder.
    pub fn under(home: &Path) -> Self {
        Self {
            data: home.join("data"),
            config: home.join("config"),
            state: home.join("state"),
            cache: home.join("cache"),
        }
    }
}

/// Another process has what this one needs.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// It runs already.
    #[error(
        "Hearth already mines with hotkey {hotkey} here; stop that one first, or use another hotkey"
    )]
    Held {
        /// The hotkey.
        hotkey: String,
    },
    /// The file cannot be made.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

/// The right to mine with a hotkey on this machine, held as long as this lives: two miners with one
/// key would take each other's place. The system lets go of it when the process dies.
#[derive(Debug)]
pub struct RunLock(File);

impl RunLock {
    /// Takes it for `hotkey`.
    pub fn take(folders: &Folders, hotkey: &impl fmt::Display) -> Result<Self, LockError> {
        prepare(&folders.state)?;
        let path = folders.state.join(format!("run-{hotkey}.lock"));
        let file = File::create(&path)
            .map_err(|source| FolderError::NotWritable { path: path.clone(), source })?;
        match file.try_lock() {
            Err(fs::TryLockError::WouldBlock) => {
                Err(LockError::Held { hotkey: hotkey.to_string() })
            }
            // Where the file system has no locks there is nothing to hold.
            Ok(()) | Err(fs::TryLockError::Error(_)) => Ok(Self(file)),
        }
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Closing the file lets go as well.
        let _ = self.0.unlock();
    }
}

/// Makes a folder (and its parents) and proves that a file can be written there.
pub fn prepare(folder: &Path) -> Result<(), FolderError> {
    let refused = |source| FolderError::NotWritable { path: folder.to_owned(), source };
    fs::create_dir_all(folder).map_err(refused)?;
    let probe = folder.join(".hearth-probe");
    fs::write(&probe, b"ok").map_err(refused)?;
    fs::remove_file(&probe).map_err(refused)
}

/// Writes a file so that a crash at any moment leaves the old content or the new, never a mixture:
/// a temporary file beside it, flushed to the disk, then renamed over it.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<(), FolderError> {
    replace(path, content, OpenOptions::new().write(true).create(true).truncate(true))
}

/// The same for a secret: nobody but the owner may read the file, at no moment. Makes the folder if
/// there is none.
pub fn write_privately(path: &Path, content: &[u8]) -> Result<(), FolderError> {
    let refused = |source| FolderError::NotWritable { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(refused)?;
    }
    // One that a crash left behind may have been open to others.
    match fs::remove_file(temporary(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(refused(error)),
        _ => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    replace(path, content, &options)
}

fn temporary(path: &Path) -> PathBuf {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    PathBuf::from(temporary)
}

fn replace(path: &Path, content: &[u8], options: &OpenOptions) -> Result<(), FolderError> {
    let refused = |source| FolderError::NotWritable { path: path.to_owned(), source };
    let temporary = temporary(path);
    let mut file = options.open(&temporary).map_err(refused)?;
    file.write_all(content).map_err(refused)?;
    file.sync_all().map_err(refused)?;
    drop(file);
    fs::rename(&temporary, path).map_err(refused)?;
    sync_parent(path).map_err(refused)
}

/// The rename itself is durable only once the folder is flushed; only Unix can open a folder.
#[cfg(unix)]
fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(not(unix))]
fn sync_parent(_path: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn atomic_write_replaces_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        write_atomically(&path, b"one").unwrap();
        write_atomically(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn one_hotkey_mines_once() {
        let home = tempfile::tempdir().unwrap();
        let folders = Folders::under(home.path());
        let held = RunLock::take(&folders, &"5a").unwrap();
        assert!(matches!(RunLock::take(&folders, &"5a"), Err(LockError::Held { .. })));
        drop(RunLock::take(&folders, &"5b").unwrap());
        drop(held);
        RunLock::take(&folders, &"5a").unwrap();
    }

    #[test]
    fn a_folder_that_is_a_file_is_named_in_the_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"").unwrap();
        let error = prepare(&path.join("inside")).unwrap_err().to_string();
        assert!(error.contains("file") && error.contains("HEARTH_HOME"), "{error}");
    }
}
