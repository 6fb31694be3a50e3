//! The key of a run: from a file that the user names, or from the key stores.

use std::path::Path;

use super::HotkeySource;
use crate::cli::keys::{Passphrases, refused};
use crate::cli::{Exit, Failure};
use crate::clock::Clock;
use crate::config::folders::Folders;
use crate::wallet::HotkeyPair;
use crate::wallet::bittensor::{Exposure, read_hotkey};
use crate::wallet::store::KeyStores;

/// A key that can sign.
pub(super) struct RunKey {
    /// The key.
    pub(super) pair: HotkeyPair,
    /// Which it is and where it is kept, in words.
    pub(super) kept: String,
}

/// Opens a key; may ask for a passphrase.
pub(super) fn open(
    source: &HotkeySource,
    passphrases: &mut Passphrases,
    folders: &Folders,
) -> Result<RunKey, Failure> {
    match source {
        HotkeySource::File(path) => of_file(path),
        HotkeySource::Stored(name) => {
            let stores = KeyStores::open(&folders.data, &Clock::system());
            let record = stores.choose(name.as_ref()).map_err(refused)?;
            let secret = passphrases.open(&stores, &record.name).map_err(refused)?;
            let pair = secret.pair().map_err(|error| Failure::new(Exit::Key, error))?;
            let kept = format!(
                "Hotkey {} ({}), kept in the {}.",
                record.name, record.address, record.store
            );
            Ok(RunKey { pair, kept })
        }
    }
}

fn of_file(path: &Path) -> Result<RunKey, Failure> {
    let (pair, exposure) =
        read_hotkey(path).map_err(|error| Failure::new(Exit::Key, error).coded("key-file"))?;
    if exposure == Exposure::Readable {
        tracing::warn!(
            "{} can be read by others on this machine: take that right away (chmod 600)",
            path.display()
        );
    }
    let kept = format!("Hotkey {}, from the file {}.", pair.address(), path.display());
    Ok(RunKey { pair, kept })
}
