//! The system's keyring: Secret Service on Linux, Keychain on macOS, Credential Manager on Windows.
//! Calls into it block, and may wait for a person at an unlock dialog, so each runs on a thread of its
//! own and is given up after a time limit. Entries are of service `hearth` and named by the key's
//! address.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use keyring_core::{CredentialStore, Entry, Error};
use zeroize::Zeroizing;

use super::KeyName;
use crate::clock::Clock;

const SERVICE: &str = "hearth";
/// The entry that a probe reads. It holds no secret.
const MARK: &str = "probe";
const MARK_CONTENT: &[u8] = b"Hearth can use this keyring. This entry holds no secret.";
/// A person may have to type the keyring's password.
const PATIENCE: Duration = Duration::from_secs(60);
/// A probe does not wait for anybody.
const PROBE: Duration = Duration::from_secs(4);
/// The system's messages are cut to as many characters.
const LONGEST_REASON: usize = 160;

/// Why the keyring did not do it. Reasons are the system's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// There is none.
    #[error("there is no {NAME} here ({0})")]
    Absent(String),
    /// It is there, but locked.
    #[error("the {NAME} is locked ({0})")]
    Locked(String),
    /// It says nothing.
    #[error("the {NAME} did not answer within {} s", .0.as_secs())]
    Silent(Duration),
    /// It fails.
    #[error("the {NAME} failed ({0})")]
    Broken(String),
}

/// What the keyring is called here.
#[cfg(target_os = "macos")]
pub const NAME: &str = "macOS Keychain";
/// What the keyring is called here.
#[cfg(windows)]
pub const NAME: &str = "Windows Credential Manager";
/// What the keyring is called here.
#[cfg(not(any(target_os = "macos", windows)))]
pub const NAME: &str = "Secret Service (the desktop's keyring)";

impl KeyringError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Locked(_) | Self::Silent(_) => "keyring-locked",
            Self::Absent(_) | Self::Broken(_) => "keyring-absent",
        }
    }

    /// What the user can do to keep a key.
    pub fn fix_to_keep(&self) -> String {
        match self {
            Self::Absent(_) => {
                "keep the key in an encrypted file (--store file): without a desktop \
                                session, as over SSH, in a service or in WSL, there is no keyring"
                    .to_owned()
            }
            Self::Locked(_) | Self::Silent(_) => {
                format!("{UNLOCK}, or keep the key in an encrypted file (--store file)")
            }
            Self::Broken(_) => "keep the key in an encrypted file (--store file)".to_owned(),
        }
    }

    /// What the user can do to reach the key `name`, which is kept there.
    pub fn fix_to_open(&self, name: &KeyName) -> String {
        let elsewhere = format!(
            "in the desktop session where it can be opened, move the key into an encrypted file \
             (hearth keys move {name} --to file); or import its words again"
        );
        match self {
            Self::Absent(_) | Self::Broken(_) => elsewhere,
            Self::Locked(_) | Self::Silent(_) => format!("{UNLOCK}; or, {elsewhere}"),
        }
    }
}

#[cfg(target_os = "macos")]
const UNLOCK: &str = "unlock it (security unlock-keychain, or answer the Keychain's question with \
                      Always Allow)";
#[cfg(not(target_os = "macos"))]
const UNLOCK: &str = "unlock it (log in at the desktop, and answer its password dialog)";

/// The keyring, opened anew for each call: a call that waits for a person holds nobody up.
#[derive(Clone, Debug)]
pub(super) struct Keyring {
    clock: Clock,
}

impl Keyring {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock }
    }

    /// Reads the mark that Hearth leaves there, and leaves it if there is none: only a store that was
    /// read from is trusted.
    pub(super) fn probe(&self) -> Result<(), KeyringError> {
        self.call(PROBE, |store| {
            let entry = store.build(SERVICE, MARK, None)?;
            match entry.get_secret() {
                Err(Error::NoEntry) => {
                    entry.set_secret(MARK_CONTENT)?;
                    entry.get_secret().map(|_| ())
                }
                other => other.map(|_| ()),
            }
        })
    }

    /// What is kept under `user`; `None` when nothing is.
    pub(super) fn read(&self, user: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KeyringError> {
        self.with(user, |entry| match entry.get_secret() {
            Ok(secret) => Ok(Some(Zeroizing::new(secret))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(error),
        })
    }

    /// Keeps `secret` under `user`, in place of what was there.
    pub(super) fn write(&self, user: &str, secret: &[u8]) -> Result<(), KeyringError> {
        let secret = Zeroizing::new(secret.to_vec());
        self.with(user, move |entry| entry.set_secret(&secret))
    }

    /// Forgets what is under `user`; so be it if nothing is.
    pub(super) fn delete(&self, user: &str) -> Result<(), KeyringError> {
        self.with(user, |entry| match entry.delete_credential() {
            Err(Error::NoEntry) => Ok(()),
            other => other,
        })
    }

    fn with<T: Send + 'static>(
        &self,
        user: &str,
        work: impl FnOnce(&Entry) -> keyring_core::Result<T> + Send + 'static,
    ) -> Result<T, KeyringError> {
        let user = user.to_owned();
        self.call(PATIENCE, move |store| work(&store.build(SERVICE, &user, None)?))
    }

    fn call<T: Send + 'static>(
        &self,
        limit: Duration,
        work: impl FnOnce(&CredentialStore) -> keyring_core::Result<T> + Send + 'static,
    ) -> Result<T, KeyringError> {
        let (done, result) = mpsc::sync_channel(1);
        std::thread::Builder::new()
            .name("keyring".into())
            .spawn(move || {
                let outcome = match platform_store() {
                    Err(error) => Err(absent(&error)),
                    Ok(store) => work(&*store).map_err(|error| failure(&error)),
                };
                // Nobody listens any more when the time was up.
                let _ = done.send(outcome);
            })
            .map_err(|error| KeyringError::Broken(error.to_string()))?;
        match self.clock.receive(&result, limit) {
            Ok(outcome) => outcome,
            Err(mpsc::RecvTimeoutError::Timeout) => Err(KeyringError::Silent(limit)),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(KeyringError::Broken("its library broke down".to_owned()))
            }
        }
    }
}

#[cfg(target_os = "linux")]
fn platform_store() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(dbus_secret_service_keyring_store::Store::new()?)
}

#[cfg(target_os = "macos")]
fn platform_store() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

#[cfg(windows)]
fn platform_store() -> keyring_core::Result<Arc<CredentialStore>> {
    Ok(windows_native_keyring_store::Store::new()?)
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
fn platform_store() -> keyring_core::Result<Arc<CredentialStore>> {
    Err(Error::NotSupportedByStore("no keyring is known on this system".to_owned()))
}

fn absent(error: &Error) -> KeyringError {
    match failure(error) {
        KeyringError::Broken(why) => KeyringError::Absent(why),
        other => other,
    }
}

fn failure(error: &Error) -> KeyringError {
    let reason = match error {
        Error::PlatformFailure(inner) => reason(&inner.to_string()),
        Error::NoStorageAccess(inner) => return KeyringError::Locked(reason(&inner.to_string())),
        Error::TooLong(..) => "the key is too long for it".to_owned(),
        Error::NotSupportedByStore(why) => return KeyringError::Absent(reason(why)),
        // These carry what was read, or lists of entries.
        Error::BadEncoding(_) | Error::BadDataFormat(..) | Error::Ambiguous(_) => {
            "what is kept there is not Hearth's".to_owned()
        }
        other => reason(&other.to_string()),
    };
    let lower = reason.to_lowercase();
    if lower.contains("locked") || lower.contains("interaction is not allowed") {
        KeyringError::Locked(reason)
    } else if lower.contains("no dbus session") || lower.contains("not provided by any") {
        KeyringError::Absent(reason)
    } else {
        KeyringError::Broken(reason)
    }
}

/// One short line.
fn reason(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.contains("DBUS_SESSION_BUS_ADDRESS") {
        // The library says how it was compiled and which variable it looked at.
        return "no desktop session runs".to_owned();
    }
    if line.chars().count() <= LONGEST_REASON {
        return line;
    }
    line.chars().take(LONGEST_REASON).chain("...".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyring_that_does_not_answer_is_given_up() {
        let keyring = Keyring::new(Clock::system());
        let (_held, never) = mpsc::channel::<()>();
        let limit = Duration::from_millis(20);
        let waited = keyring.call(limit, move |_| Ok(never.recv().is_ok()));
        // Where there is no keyring at all, that is said before.
        assert!(
            matches!(waited, Err(KeyringError::Silent(_) | KeyringError::Absent(_))),
            "{waited:?}"
        );
    }

    #[test]
    fn the_systems_words_are_told_apart() {
        let platform = |text: &str| failure(&Error::PlatformFailure(text.into()));
        assert!(matches!(platform("object is Locked"), KeyringError::Locked(_)));
        assert!(matches!(
            platform("The name x was not provided by any .service files"),
            KeyringError::Absent(_)
        ));
        assert!(
            matches!(platform("disk\n on  fire"), KeyringError::Broken(why) if why == "disk on fire")
        );
        let bus = "D-Bus autolaunch was disabled, set your DBUS_SESSION_BUS_ADDRESS instead";
        assert!(matches!(platform(bus), KeyringError::Broken(why) if why.contains("no desktop")));
        let prompt = failure(&Error::NoStorageAccess("prompt dismissed".into()));
        assert!(matches!(prompt, KeyringError::Locked(_)));
        let garbage = failure(&Error::BadEncoding(b"bottom drive".to_vec()));
        assert!(!format!("{garbage:?}{garbage}").contains("bottom"));
    }
}
