//! Where the secrets of hotkeys are kept: the system's keyring, or files that are encrypted under a
//! passphrase. One place, so that every face (command, wizard, miner) finds the same keys, and so that
//! a key is never deleted anywhere before it was read back elsewhere.

mod cache;
mod error;
mod index;
mod keyring;
mod kind;
mod name;
mod passphrase;
mod sealed;

use std::fmt;
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

pub use cache::CacheError;
pub use error::KeyStoreError;
pub use index::{IndexError, KeyRecord};
pub use keyring::{KeyringError, NAME as KEYRING_NAME};
pub use kind::{Probe, StoreKind, StoreState, Trouble, preferred};
pub use name::{KeyName, KeyNameError};
pub use passphrase::{
    AskPassphrase, Given, Nobody, Passphrase, PassphraseError, Purpose, SHORTEST,
};
pub use sealed::{Cost, SealError};

use super::bittensor::file::{Exposure, exposure};
use super::secret::KeySecret;
use crate::clock::{Clock, Entropy};
use crate::config::folders::{prepare, write_privately};
use crate::protocol::ids::Hotkey;
use index::Index;
use keyring::Keyring;

/// The folder of the keys in the data folder.
const FOLDER: &str = "keys";

/// What is to be kept.
#[derive(Debug)]
pub struct NewKey<'a> {
    /// Under this name.
    pub name: KeyName,
    /// The secret.
    pub secret: &'a KeySecret,
    /// The device whose key it is, if it was derived for one.
    pub device: Option<u32>,
}

/// A key that was moved.
#[derive(Debug)]
pub struct Moved {
    /// The key as it is now.
    pub record: KeyRecord,
    /// Why the old store still has it, if it could not be deleted there.
    pub left_behind: Option<String>,
}

/// All keys of a data folder.
#[derive(Clone, Debug)]
pub struct KeyStores {
    data: PathBuf,
    folder: PathBuf,
    index: Index,
    keyring: Keyring,
    clock: Clock,
    cost: Cost,
}

impl KeyStores {
    /// The keys of the data folder `data`. Nothing is read yet.
    pub fn open(data: &Path, clock: &Clock) -> Self {
        let folder = data.join(FOLDER);
        Self {
            data: data.to_owned(),
            index: Index::new(&folder),
            keyring: Keyring::new(clock.clone()),
            clock: clock.clone(),
            cost: Cost::USUAL,
            folder,
        }
    }

    /// The same with another cost of new encrypted files.
    #[must_use]
    pub fn with_cost(mut self, cost: Cost) -> Self {
        self.cost = cost;
        self
    }

    /// Tries both stores. Takes up to four seconds where a keyring is locked or hangs.
    pub fn probe(&self) -> [Probe; 2] {
        StoreKind::ALL.map(|store| Probe { store, state: self.probe_one(store) })
    }

    /// Tries the keyring alone: no file is written, and the keyring gets at most Hearth's mark. Takes up to four seconds where it is locked or
    /// hangs.
    pub fn probe_keyring(&self) -> StoreState {
        self.probe_one(StoreKind::Keyring)
    }

    fn probe_one(&self, store: StoreKind) -> StoreState {
        let trouble = |why: &dyn fmt::Display, fix| Trouble { why: why.to_string(), fix };
        match store {
            StoreKind::Keyring => match self.keyring.probe() {
                Ok(()) => StoreState::Works,
                Err(error @ (KeyringError::Locked(_) | KeyringError::Silent(_))) => {
                    StoreState::Locked(trouble(&error, error.fix_to_keep()))
                }
                Err(error) => StoreState::Absent(trouble(&error, error.fix_to_keep())),
            },
            StoreKind::EncryptedFile => match prepare(&self.data) {
                Ok(()) => StoreState::Works,
                Err(error) => {
                    let fix = "make room or give permission, or set HEARTH_HOME".to_owned();
                    StoreState::Absent(trouble(&error, fix))
                }
            },
        }
    }

    /// All keys, by name. No secret is touched. A key file that somebody put into the folder (a copy
    /// from another machine, or all that is left of a lost list) counts as well.
    pub fn list(&self) -> Result<Vec<KeyRecord>, KeyStoreError> {
        Ok(self.with_unlisted(self.index.read()?))
    }

    fn with_unlisted(&self, mut keys: Vec<KeyRecord>) -> Vec<KeyRecord> {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if let Some(found) = self.unlisted(&entry.path())
                && keys.iter().all(|key| key.name != found.name)
            {
                keys.push(found);
            }
        }
        keys.sort_by(|a, b| a.name.cmp(&b.name));
        keys
    }

    /// What a key file says of itself.
    fn unlisted(&self, path: &Path) -> Option<KeyRecord> {
        let name: KeyName = path.file_name()?.to_str()?.strip_suffix(".key")?.parse().ok()?;
        let address = sealed::address(&fs::read(path).ok()?).ok()?;
        let (store, made) = (StoreKind::EncryptedFile, "unknown".to_owned());
        Some(KeyRecord { name, address, store, device: None, made })
    }

    /// The key of that name.
    pub fn find(&self, name: &KeyName) -> Result<KeyRecord, KeyStoreError> {
        find_in(self.list()?, name)
    }

    /// The key to mine with: the named one; else the only one, or the one called `default`.
    pub fn choose(&self, named: Option<&KeyName>) -> Result<KeyRecord, KeyStoreError> {
        if let Some(name) = named {
            return self.find(name);
        }
        let mut keys = self.list()?;
        let usual = KeyName::usual();
        match keys.len() {
            0 => Err(KeyStoreError::NoKeys),
            1 => Ok(keys.remove(0)),
            _ => match keys.iter().position(|key| key.name == usual) {
                Some(at) => Ok(keys.remove(at)),
                None => Err(KeyStoreError::Several(keys.into_iter().map(|key| key.name).collect())),
            },
        }
    }

    /// Whether `put` would take a key of that name and address; asks nobody and writes nothing.
    pub fn admits(&self, name: &KeyName, address: Option<&Hotkey>) -> Result<(), KeyStoreError> {
        admit(self.list()?, name, address)
    }

    /// Keeps a key: writes it, reads it back, and only then lists it.
    pub fn put(
        &self,
        key: &NewKey<'_>,
        store: StoreKind,
        ask: &mut dyn AskPassphrase,
        entropy: &mut Entropy,
    ) -> Result<KeyRecord, KeyStoreError> {
        let record = KeyRecord {
            name: key.name.clone(),
            address: key.secret.pair()?.address().clone(),
            store,
            device: key.device,
            made: self.clock.iso8601(),
        };
        self.admits(&record.name, Some(&record.address))?;
        let sealed = self.seal(&record, key.secret, ask, entropy)?;
        self.index.change(|keys| {
            // Another process may have been quicker while somebody typed the passphrase.
            admit(self.with_unlisted(keys.clone()), &record.name, Some(&record.address))?;
            self.write(&record, &sealed)?;
            keys.push(record.clone());
            Ok::<_, KeyStoreError>(())
        })?;
        Ok(record)
    }

    /// The secret of a key. Asks for a passphrase where it is in an encrypted file.
    pub fn get(
        &self,
        name: &KeyName,
        ask: &mut dyn AskPassphrase,
    ) -> Result<KeySecret, KeyStoreError> {
        let record = self.find(name)?;
        if let Some(secret) = unlocked(&record) {
            return Ok(secret);
        }
        let bytes = match record.store {
            StoreKind::Keyring => self.of_keyring(&record)?,
            StoreKind::EncryptedFile => self.of_file(&record, ask)?,
        };
        let secret = KeySecret::from_bytes(&bytes)
            .map_err(|error| KeyStoreError::Damaged { name: name.clone(), error })?;
        let found = secret.pair()?.address().clone();
        if found != record.address {
            let told = record.address;
            return Err(KeyStoreError::OtherKey { name: name.clone(), told, found });
        }
        Ok(secret)
    }

    /// Keeps the secret of an encrypted file in the kernel's keyring as well, so that nobody is asked
    /// for its passphrase until [`KeyStores::lock`], or until the machine restarts.
    pub fn unlock(
        &self,
        name: &KeyName,
        ask: &mut dyn AskPassphrase,
    ) -> Result<KeyRecord, KeyStoreError> {
        let record = self.find(name)?;
        let secret = self.get(name, ask)?;
        cache::write(record.address.as_str(), &secret.to_bytes())?;
        Ok(record)
    }

    /// Takes a secret out of the kernel's keyring again.
    pub fn lock(&self, name: &KeyName) -> Result<KeyRecord, KeyStoreError> {
        let record = self.find(name)?;
        cache::forget(record.address.as_str());
        Ok(record)
    }

    /// Deletes a key's secret, and the key from the list. There is no way back but its words or a
    /// copy.
    pub fn remove(&self, name: &KeyName) -> Result<KeyRecord, KeyStoreError> {
        let mut removed = self.find(name)?;
        self.index.change(|keys| {
            removed = find_in(self.with_unlisted(keys.clone()), name)?;
            cache::forget(removed.address.as_str());
            self.delete(&removed)?;
            keys.retain(|key| key.name != *name);
            Ok::<_, KeyStoreError>(())
        })?;
        Ok(removed)
    }

    /// Moves a key into another store: written, read back, compared, listed there, and only then
    /// deleted where it was.
    pub fn move_to(
        &self,
        name: &KeyName,
        store: StoreKind,
        ask: &mut dyn AskPassphrase,
        entropy: &mut Entropy,
    ) -> Result<Moved, KeyStoreError> {
        let before = self.find(name)?;
        if before.store == store {
            return Err(KeyStoreError::ThereAlready { name: name.clone(), store });
        }
        let secret = self.get(name, ask)?;
        let record = KeyRecord { store, ..before.clone() };
        let sealed = self.seal(&record, &secret, ask, entropy)?;
        self.index.change(|keys| {
            let now = find_in(self.with_unlisted(keys.clone()), name)?;
            if now != before {
                return Err(KeyStoreError::Changed(name.clone()));
            }
            self.write(&record, &sealed)?;
            keys.retain(|key| key.name != *name);
            keys.push(record.clone());
            Ok(())
        })?;
        cache::forget(before.address.as_str());
        let left_behind = self.delete(&before).err().map(|error| error.to_string());
        Ok(Moved { record, left_behind })
    }

    /// The encrypted file of a key, whether it exists or not.
    pub fn file_of(&self, name: &KeyName) -> PathBuf {
        self.folder.join(format!("{name}.key"))
    }

    /// What is written into the store: the secret itself, or the content of its file.
    fn seal(
        &self,
        record: &KeyRecord,
        secret: &KeySecret,
        ask: &mut dyn AskPassphrase,
        entropy: &mut Entropy,
    ) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        let bytes = secret.to_bytes();
        if record.store == StoreKind::Keyring {
            return Ok(bytes);
        }
        let path = self.file_of(&record.name);
        if path.exists() {
            return Err(KeyStoreError::FileThere(path));
        }
        let passphrase = ask.ask(&record.name, Purpose::Lock)?;
        sealed::seal(&bytes, &record.address, &passphrase, self.cost, entropy)
            .map(Zeroizing::new)
            .map_err(|error| KeyStoreError::Sealed { path, error })
    }

    /// Writes what [`Self::seal`] made, and reads it back.
    fn write(&self, record: &KeyRecord, sealed: &[u8]) -> Result<(), KeyStoreError> {
        let back = match record.store {
            StoreKind::Keyring => {
                let name = &record.name;
                let refused = |error| KeyStoreError::KeyringRefused { name: name.clone(), error };
                let user = record.address.as_str();
                self.keyring.write(user, sealed).map_err(refused)?;
                self.keyring.read(user).map_err(refused)?
            }
            StoreKind::EncryptedFile => {
                let path = self.file_of(&record.name);
                if path.exists() {
                    return Err(KeyStoreError::FileThere(path));
                }
                write_privately(&path, sealed)?;
                Some(self.read_file(record)?)
            }
        };
        match back {
            Some(back) if *back == sealed => Ok(()),
            _ => Err(KeyStoreError::NotReadBack(record.store)),
        }
    }

    fn of_keyring(&self, record: &KeyRecord) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        let found = self
            .keyring
            .read(record.address.as_str())
            .map_err(|error| KeyStoreError::KeyringClosed { name: record.name.clone(), error })?;
        found.ok_or_else(|| gone(record))
    }

    fn of_file(
        &self,
        record: &KeyRecord,
        ask: &mut dyn AskPassphrase,
    ) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        let wrong = |error| KeyStoreError::Sealed { path: self.file_of(&record.name), error };
        let file = self.read_file(record)?;
        // What no passphrase can open must not ask for one.
        sealed::check(&file).map_err(wrong)?;
        let passphrase = ask.ask(&record.name, Purpose::Open)?;
        let (secret, told) = sealed::open(&file, &passphrase).map_err(wrong)?;
        if told != record.address {
            let (name, found) = (record.name.clone(), told);
            return Err(KeyStoreError::OtherKey { name, told: record.address.clone(), found });
        }
        Ok(secret)
    }

    fn read_file(&self, record: &KeyRecord) -> Result<Zeroizing<Vec<u8>>, KeyStoreError> {
        let path = self.file_of(&record.name);
        let unreadable = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => gone(record),
            _ => KeyStoreError::Unreadable { path: path.clone(), why: error.to_string() },
        };
        let file = fs::File::open(&path).map_err(unreadable)?;
        if exposure(&file.metadata().map_err(unreadable)?) == Exposure::Readable {
            return Err(KeyStoreError::Exposed(path));
        }
        let mut content = Zeroizing::new(Vec::new());
        file.take(sealed::LARGEST as u64).read_to_end(&mut content).map_err(unreadable)?;
        Ok(content)
    }

    fn delete(&self, record: &KeyRecord) -> Result<(), KeyStoreError> {
        match record.store {
            StoreKind::Keyring => self
                .keyring
                .delete(record.address.as_str())
                .map_err(|error| KeyStoreError::KeyringClosed { name: record.name.clone(), error }),
            StoreKind::EncryptedFile => {
                let path = self.file_of(&record.name);
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        Err(KeyStoreError::Unreadable { path, why: error.to_string() })
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

/// The secret in the kernel's keyring, if it was put there and is that key's.
fn unlocked(record: &KeyRecord) -> Option<KeySecret> {
    let bytes = match record.store {
        StoreKind::EncryptedFile => cache::read(record.address.as_str())?,
        StoreKind::Keyring => return None,
    };
    let secret = KeySecret::from_bytes(&bytes).ok()?;
    let is_it = *secret.pair().ok()?.address() == record.address;
    is_it.then_some(secret)
}

fn find_in(keys: Vec<KeyRecord>, name: &KeyName) -> Result<KeyRecord, KeyStoreError> {
    keys.iter().find(|key| key.name == *name).cloned().ok_or_else(|| KeyStoreError::Unknown {
        name: name.to_string(),
        known: keys.into_iter().map(|key| key.name).collect(),
    })
}

/// Whether a key of that name and address may join these.
fn admit(
    keys: Vec<KeyRecord>,
    name: &KeyName,
    address: Option<&Hotkey>,
) -> Result<(), KeyStoreError> {
    for KeyRecord { name: taken, address: kept, .. } in keys {
        if taken == *name {
            return Err(KeyStoreError::NameTaken { name: taken, address: kept });
        }
        if Some(&kept) == address {
            return Err(KeyStoreError::KeptAlready { name: taken, address: kept });
        }
    }
    Ok(())
}

fn gone(record: &KeyRecord) -> KeyStoreError {
    KeyStoreError::Gone { name: record.name.clone(), store: record.store }
}

#[cfg(test)]
mod tests;
