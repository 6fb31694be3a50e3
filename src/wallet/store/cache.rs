//! The kernel's keyring as a cache of secrets that were unlocked once, so that a passphrase is not
//! asked for at each start. Only a cache: it is empty after a restart of the machine, and whatever is
//! wrong with it, the encrypted file is still there. Linux only; elsewhere it is always empty.

use zeroize::Zeroizing;

/// The kernel's keyring cannot be used, in the system's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the kernel's keyring cannot be used in this session ({0})")]
pub struct CacheError(pub(super) String);

#[cfg(target_os = "linux")]
mod kernel {
    use keyring_core::api::CredentialStoreApi as _;
    use keyring_core::{Entry, Error};

    use super::{CacheError, Zeroizing};

    /// Unlike the keyring's, so that the two are never taken for each other.
    const SERVICE: &str = "hearth-unlocked";

    fn entry(user: &str) -> keyring_core::Result<Entry> {
        linux_keyutils_keyring_store::Store::new()?.build(SERVICE, user, None)
    }

    fn failed(error: &Error) -> CacheError {
        CacheError(match error {
            Error::NoStorageAccess(inner) | Error::PlatformFailure(inner) => inner.to_string(),
            Error::NoEntry => "it keeps nothing".to_owned(),
            _ => "it fails".to_owned(),
        })
    }

    pub(in crate::wallet::store) fn read(user: &str) -> Option<Zeroizing<Vec<u8>>> {
        entry(user).and_then(|entry| entry.get_secret()).ok().map(Zeroizing::new)
    }

    pub(in crate::wallet::store) fn write(user: &str, secret: &[u8]) -> Result<(), CacheError> {
        entry(user).and_then(|entry| entry.set_secret(secret)).map_err(|error| failed(&error))?;
        match read(user) {
            Some(back) if *back == secret => Ok(()),
            _ => Err(failed(&Error::NoEntry)),
        }
    }

    pub(in crate::wallet::store) fn forget(user: &str) {
        // What is not there needs no forgetting.
        let _ = entry(user).and_then(|entry| entry.delete_credential());
    }
}

#[cfg(not(target_os = "linux"))]
mod kernel {
    use super::{CacheError, Zeroizing};

    pub(in crate::wallet::store) fn read(_user: &str) -> Option<Zeroizing<Vec<u8>>> {
        None
    }

    pub(in crate::wallet::store) fn write(_user: &str, _secret: &[u8]) -> Result<(), CacheError> {
        Err(CacheError("only Linux has one".to_owned()))
    }

    pub(in crate::wallet::store) fn forget(_user: &str) {}
}

pub(super) use kernel::{forget, read, write};
