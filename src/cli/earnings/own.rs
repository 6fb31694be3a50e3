//! Which hotkey is this machine's own, as far as that can be seen without opening anything: for questions
//! about it that need no signature.

use crate::cli::run::{HotkeySource, hotkey as source_of};
use crate::clock::Clock;
use crate::config::folders::Folders;
use crate::config::settings::Settings;
use crate::earnings::chain::Account;
use crate::wallet::bittensor::read_hotkey;
use crate::wallet::store::KeyStores;

/// Its address; none where there is no key, or none that can be told without its passphrase.
pub(crate) fn own_hotkey(settings: &Settings, folders: &Folders, clock: &Clock) -> Option<Account> {
    let address = match source_of(settings).ok()? {
        HotkeySource::File(path) => read_hotkey(&path).ok()?.0.address().to_string(),
        HotkeySource::Stored(name) => {
            KeyStores::open(&folders.data, clock).choose(name.as_ref()).ok()?.address.to_string()
        }
    };
    address.parse().ok()
}
