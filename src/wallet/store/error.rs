//! What can go wrong with kept keys, each in one line: what, why, what now.

use std::path::PathBuf;

use super::cache::CacheError;
use super::index::IndexError;
use super::keyring::KeyringError;
use super::passphrase::PassphraseError;
use super::sealed::SealError;
use super::{KeyName, StoreKind};
use crate::config::folders::FolderError;
use crate::protocol::ids::Hotkey;
use crate::wallet::HotkeyError;
use crate::wallet::secret::StoredSecretError;

/// Why a kept key cannot be used, kept, moved or removed.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// There is no key at all.
    #[error(
        "no hotkey is kept on this machine: make one with hearth setup or hearth keys new, bring one \
         with hearth keys import, or name a hotkey file with --hotkey-file"
    )]
    NoKeys,
    /// There is no key of that name.
    #[error("there is no key {name:?}: there {known}", known = list(.known))]
    Unknown {
        /// As asked for.
        name: String,
        /// Those that exist.
        known: Vec<KeyName>,
    },
    /// It is not clear which is meant.
    #[error("there are several keys ({}): say which with --hotkey NAME, or for good with the setting hotkey", names(.0))]
    Several(Vec<KeyName>),
    /// The name is taken.
    #[error(
        "there is a key {name} already ({address}): choose another name with --name, or remove that one first (hearth keys remove {name})"
    )]
    NameTaken {
        /// The name.
        name: KeyName,
        /// Whose it is.
        address: Hotkey,
    },
    /// The key is here already.
    #[error("this key ({address}) is kept already, as {name}")]
    KeptAlready {
        /// Its name.
        name: KeyName,
        /// Its address.
        address: Hotkey,
    },
    /// It is there already.
    #[error("the key {name} is in the {store} already")]
    ThereAlready {
        /// Its name.
        name: KeyName,
        /// The store.
        store: StoreKind,
    },
    /// Another process did something to it meanwhile.
    #[error(
        "the key {0} was moved or exchanged by another Hearth meanwhile: look with hearth keys list and try again"
    )]
    Changed(KeyName),
    /// The list of keys.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The keyring does not give the key.
    #[error("the key {name} cannot be read: {error}; {fix}", fix = .error.fix_to_open(.name))]
    KeyringClosed {
        /// The key.
        name: KeyName,
        /// What the keyring said.
        error: KeyringError,
    },
    /// The keyring does not take the key.
    #[error("the key {name} cannot be kept: {error}; {fix}", fix = .error.fix_to_keep())]
    KeyringRefused {
        /// The key.
        name: KeyName,
        /// What the keyring said.
        error: KeyringError,
    },
    /// The key file is not right.
    #[error("the key file {path}: {error}")]
    Sealed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: SealError,
    },
    /// The key file cannot be read.
    #[error("the key file {path} cannot be read ({why}): check its permissions")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// A file is in the way.
    #[error(
        "there is a file {0} already, which may be somebody's only copy of a key, so it is left as it \
         is: move it away, or choose another name"
    )]
    FileThere(PathBuf),
    /// Others can read the key file.
    #[error(
        "others on this machine can read the key file {0}, so it is not used: take that right away \
         (chmod 600)"
    )]
    Exposed(PathBuf),
    /// The secret is not where the list says.
    #[error(
        "the key {name} is not in the {store} any more: take it off the list (hearth keys remove {name}) and bring it again from its words or a copy (hearth keys import)"
    )]
    Gone {
        /// The key.
        name: KeyName,
        /// Where it should be.
        store: StoreKind,
    },
    /// What is kept is not a key.
    #[error("the key {name}: {error}")]
    Damaged {
        /// The key.
        name: KeyName,
        /// What is wrong.
        error: StoredSecretError,
    },
    /// What is kept is another key.
    #[error(
        "what is kept as {name} is the key of {found}, not of {told}: restore it from its words or a copy"
    )]
    OtherKey {
        /// The key.
        name: KeyName,
        /// The list's address.
        told: Hotkey,
        /// The secret's address.
        found: Hotkey,
    },
    /// The store gave back something else than was put there.
    #[error(
        "the {0} did not give back what was written there, so the key is not kept there: use another store"
    )]
    NotReadBack(StoreKind),
    /// The secret is no key.
    #[error(transparent)]
    Hotkey(#[from] HotkeyError),
    /// No passphrase.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// The kernel's keyring.
    #[error("{0}: use a passphrase file (--passphrase-file) where nobody can be asked")]
    Cache(#[from] CacheError),
    /// The disk.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl KeyStoreError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoKeys => "no-hotkey",
            Self::Unknown { .. }
            | Self::Changed(_)
            | Self::Several(_)
            | Self::NameTaken { .. }
            | Self::KeptAlready { .. }
            | Self::ThereAlready { .. } => "key-name",
            Self::KeyringClosed { error, .. } | Self::KeyringRefused { error, .. } => error.code(),
            Self::Sealed { error: SealError::WrongPassphrase, .. } => "passphrase-wrong",
            Self::Passphrase(_) => "passphrase-missing",
            Self::Exposed(_) => "key-readable",
            Self::Sealed { .. }
            | Self::Gone { .. }
            | Self::Damaged { .. }
            | Self::OtherKey { .. }
            | Self::NotReadBack(_)
            | Self::Hotkey(_) => "key-damaged",
            Self::Folder(error) => error.code(),
            Self::Index(_) | Self::Unreadable { .. } | Self::FileThere(_) => "key-files",
            Self::Cache(_) => "keyring-absent",
        }
    }

    /// Whether another try with another passphrase may help.
    pub fn is_wrong_passphrase(&self) -> bool {
        matches!(self, Self::Sealed { error: SealError::WrongPassphrase, .. })
    }
}

fn names(names: &[KeyName]) -> String {
    names.iter().map(KeyName::as_str).collect::<Vec<_>>().join(", ")
}

fn list(known: &[KeyName]) -> String {
    match known {
        [] => "are no keys yet (make one with hearth keys new)".to_owned(),
        [one] => format!("is {one}"),
        several => format!("are {}", names(several)),
    }
}
