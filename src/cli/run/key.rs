//! The key of a run: from a file that the user names, or from the key stores.

use std::path::{Path, PathBuf};

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
    // systemd lets nobody else into its folder, whatever the file's own mode says.
    if exposure == Exposure::Readable && !is_credential(path) {
        tracing::warn!(
            "{} can be read by others on this machine: take that right away (chmod 600)",
            path.display()
        );
    }
    let kept = match is_credential(path) {
        true => format!("Hotkey {}, from the systemd credential {CREDENTIAL}.", pair.address()),
        false => format!("Hotkey {}, from the file {}.", pair.address(), path.display()),
    };
    Ok(RunKey { pair, kept })
}

/// The name of our credential in systemd's folder of them.
const CREDENTIAL: &str = "hearth-hotkey";

/// The hotkey that systemd hands over, if it does.
pub(super) fn credential(environment: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let folder = environment("CREDENTIALS_DIRECTORY").filter(|folder| !folder.is_empty())?;
    let path = Path::new(&folder).join(CREDENTIAL);
    // One that this user may not look for is not missing: reading it says what is wrong.
    path.try_exists().unwrap_or(true).then_some(path)
}

fn is_credential(path: &Path) -> bool {
    credential(|name| std::env::var(name).ok()).is_some_and(|credential| credential == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credential_is_taken_where_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let environment = |folder: &Path| {
            let folder = folder.display().to_string();
            move |name: &str| (name == "CREDENTIALS_DIRECTORY").then(|| folder.clone())
        };
        assert_eq!(credential(environment(folder.path())), None);
        let path = folder.path().join(CREDENTIAL);
        std::fs::write(&path, "0x01").unwrap();
        assert_eq!(credential(environment(folder.path())), Some(path));
        assert_eq!(credential(|_| None), None);
        // No folder at all, but a file: whether it is in there cannot be told.
        let within = folder.path().join(CREDENTIAL).join("deeper");
        assert_eq!(credential(environment(&within)), Some(within.join(CREDENTIAL)));
    }
}
