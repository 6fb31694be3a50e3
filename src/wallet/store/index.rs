//! The list of the keys: names, addresses and where each secret is kept. It holds no secret. It is a
//! file, because a keyring can be locked and an encrypted file opened only with its passphrase, while
//! a screen wants to show what there is at once.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{KeyName, StoreKind};
use crate::config::folders::{FolderError, write_privately};
use crate::protocol::ids::Hotkey;

const FILE: &str = "keys.json";
const PREVIOUS: &str = "keys.json.old";
const LOCK: &str = "keys.lock";
const VERSION: u32 = 1;

/// A key, as far as everybody may know it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// What the user calls it.
    pub name: KeyName,
    /// Its SS58 address.
    pub address: Hotkey,
    /// Where its secret is kept.
    pub store: StoreKind,
    /// Number of the device whose key it is, derived from words as `//hearth//N`; none for the key of
    /// the words themselves, or one that did not come from words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<u32>,
    /// When it came here, ISO 8601 in UTC.
    pub made: String,
}

/// Why the list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// It cannot be read.
    #[error("the list of keys {path} cannot be read ({why}): check its permissions")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// It is damaged.
    #[error(
        "the list of keys {path} is damaged: put {old} in its place if there is one, or move it away \
         and import the keys again"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The generation before.
        old: PathBuf,
    },
    /// A newer program wrote it.
    #[error(
        "the list of keys {path} has form {version}, which this version does not know: use the Hearth that wrote it, or a newer one"
    )]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        version: u32,
    },
    /// It cannot be written.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

#[derive(Serialize, Deserialize)]
struct Listed {
    version: u32,
    keys: Vec<KeyRecord>,
}

/// Only what every version has.
#[derive(Deserialize)]
struct AnyVersion {
    version: u32,
}

/// The list in a folder.
#[derive(Clone, Debug)]
pub(super) struct Index {
    folder: PathBuf,
}

impl Index {
    pub(super) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The keys, by name.
    pub(super) fn read(&self) -> Result<Vec<KeyRecord>, IndexError> {
        let path = self.folder.join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(IndexError::Unreadable { path, why: error.to_string() }),
        };
        let damaged =
            || IndexError::Damaged { path: path.clone(), old: self.folder.join(PREVIOUS) };
        let any: AnyVersion = serde_json::from_slice(&text).map_err(|_| damaged())?;
        if any.version != VERSION {
            return Err(IndexError::Version { path, version: any.version });
        }
        let mut listed: Listed = serde_json::from_slice(&text).map_err(|_| damaged())?;
        listed.keys.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed.keys)
    }

    /// Changes the list, one process at a time; the generation before is kept beside it. Nothing is
    /// written where `change` fails.
    pub(super) fn change<E: From<IndexError>>(
        &self,
        change: impl FnOnce(&mut Vec<KeyRecord>) -> Result<(), E>,
    ) -> Result<(), E> {
        let _lock = self.lock()?;
        let mut keys = self.read()?;
        change(&mut keys)?;
        Ok(self.write(keys)?)
    }

    fn write(&self, keys: Vec<KeyRecord>) -> Result<(), IndexError> {
        let path = self.folder.join(FILE);
        if let Ok(before) = fs::read(&path) {
            write_privately(&self.folder.join(PREVIOUS), &before)?;
        }
        let listed = Listed { version: VERSION, keys };
        let text = serde_json::to_vec_pretty(&listed).map_err(|_| IndexError::Damaged {
            path: path.clone(),
            old: self.folder.join(PREVIOUS),
        })?;
        Ok(write_privately(&path, &text)?)
    }

    /// Held while the list changes; the system lets go of it when the process dies.
    fn lock(&self) -> Result<File, IndexError> {
        let path = self.folder.join(LOCK);
        let refused = |source| FolderError::NotWritable { path: path.clone(), source };
        fs::create_dir_all(&self.folder).map_err(refused)?;
        let file = File::create(&path).map_err(refused)?;
        // Where the file system has no locks there is nothing to hold.
        let _ = file.lock();
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str) -> KeyRecord {
        KeyRecord {
            name: name.parse().unwrap(),
            address: Hotkey::from_public_key(&[1; 32]),
            store: StoreKind::EncryptedFile,
            device: Some(3),
            made: "2026-01-01T00:00:00Z".to_owned(),
        }
    }

    fn add(index: &Index, name: &str) -> Result<(), IndexError> {
        index.change(|keys| {
            keys.push(record(name));
            Ok(())
        })
    }

    #[test]
    fn what_is_added_is_read_back_in_the_order_of_names() {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::new(&folder.path().join("keys"));
        assert!(index.read().unwrap().is_empty());
        add(&index, "b").unwrap();
        add(&index, "a").unwrap();
        assert_eq!(index.read().unwrap(), [record("a"), record("b")]);
        let old = fs::read_to_string(folder.path().join("keys").join(PREVIOUS)).unwrap();
        assert!(old.contains("\"b\"") && !old.contains("\"a\""), "{old}");
    }

    #[test]
    fn a_damaged_list_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let index = Index::new(folder.path());
        for (content, word) in [("{", "damaged"), ("{\"version\":2}", "form 2")] {
            fs::write(folder.path().join(FILE), content).unwrap();
            let error = add(&index, "a").unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
            assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), content);
        }
    }

    #[test]
    fn many_changes_at_once_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let index = Index::new(folder.path());
                scope.spawn(move || {
                    add(&index, &format!("k{n}")).unwrap();
                });
            }
        });
        assert_eq!(Index::new(folder.path()).read().unwrap().len(), 8);
    }
}
