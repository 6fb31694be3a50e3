//! The kinds of stores, and what a probe finds out about each.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::keyring;

/// Where a secret is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoreKind {
    /// The system's keyring.
    Keyring,
    /// A file under a passphrase.
    EncryptedFile,
}

impl StoreKind {
    /// Both, the better one first.
    pub const ALL: [Self; 2] = [Self::Keyring, Self::EncryptedFile];

    /// As written on a command line: `keyring` or `file`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Keyring => "keyring",
            Self::EncryptedFile => "file",
        }
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Keyring => keyring::NAME,
            Self::EncryptedFile => "encrypted file",
        })
    }
}

/// What a probe found: why a store cannot be used, and what to do. Both are whole clauses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What is wrong.
    pub why: String,
    /// What to do.
    pub fix: String,
}

/// Whether a store can be used now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreState {
    /// It was read from.
    Works,
    /// It is there, but somebody must unlock it.
    Locked(Trouble),
    /// It is not there, or fails.
    Absent(Trouble),
}

/// A store and whether it can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Which.
    pub store: StoreKind,
    /// Whether.
    pub state: StoreState,
}

/// The best store that works; the encrypted file where none does, so that its error is shown.
pub fn preferred(probes: &[Probe]) -> StoreKind {
    probes
        .iter()
        .find(|probe| probe.state == StoreState::Works)
        .map_or(StoreKind::EncryptedFile, |probe| probe.store)
}
