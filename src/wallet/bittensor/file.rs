//! One key file: the ordinary Bittensor wallet's JSON (spec 3.5), plain or encrypted, or a text file
//! with the key's words or seed, so that a key made elsewhere works here. A coldkey is refused: its
//! secret has no place on a mining machine.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::key_json::{KeyJson, KeyJsonError};
use super::sealed::{self, Protection, SealError};
use crate::protocol::ids::Hotkey;
use crate::wallet::HotkeyPair;
use crate::wallet::secret::{KeySecret, SecretError};

/// Larger files are no hotkeys.
const LARGEST: u64 = 64 << 10;
/// The name of the file with a wallet's own secret, and of that with its address.
pub(super) const COLDKEY: &str = "coldkey";
pub(super) const COLDKEY_PUBLIC: &str = "coldkeypub.txt";

/// Why a file is not a hotkey that can sign.
#[derive(Debug, thiserror::Error)]
pub enum HotkeyFileError {
    /// There is no such file.
    #[error(
        "there is no hotkey file {0}: check the path (a Bittensor wallet keeps its hotkeys in wallets/NAME/hotkeys/)"
    )]
    Missing(PathBuf),
    /// It cannot be read.
    #[error("the hotkey file {path} cannot be read ({why}): give this user permission to read it")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        why: String,
    },
    /// It is encrypted, and no password was given.
    #[error(
        "{0} is an encrypted key file: Hearth needs the hotkey, which Bittensor keeps unencrypted in wallets/NAME/hotkeys/; a hotkey with a password is read by hearth keys import. Never give a mining machine your coldkey"
    )]
    Encrypted(PathBuf),
    /// It is encrypted, and cannot be opened.
    #[error("{path}: {why}")]
    Sealed {
        /// The file.
        path: PathBuf,
        /// Why.
        why: SealError,
    },
    /// It is a wallet's own key.
    #[error(
        "{0} is a coldkey, which owns what is earned: never give a mining machine its secret; give a hotkey from wallets/NAME/hotkeys/, and the coldkey's address to be paid at"
    )]
    Coldkey(PathBuf),
    /// It is something else.
    #[error(
        "{path} is not a hotkey file ({why}): give the JSON file from wallets/NAME/hotkeys/, or a file with the key's words or its 0x seed"
    )]
    NotAHotkey {
        /// The file.
        path: PathBuf,
        /// What is wrong with it; never a part of its content.
        why: &'static str,
    },
    /// A public key only.
    #[error(
        "{0} holds only the public half of a key, which cannot sign: give the hotkey's own file"
    )]
    PublicOnly(PathBuf),
    /// Another signature scheme.
    #[error(
        "the key in {path} is of scheme {scheme}, but the network signs with sr25519 (1): make a hotkey of that kind"
    )]
    Scheme {
        /// The file.
        path: PathBuf,
        /// What it says.
        scheme: u64,
    },
    /// Its parts contradict each other.
    #[error(
        "{path} says that its address is {told}, but its secret belongs to {found}: the file is damaged or was edited; use a fresh copy"
    )]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The address in the file.
        told: String,
        /// The secret's address.
        found: Hotkey,
    },
}

/// Whether others on this machine can read a file that holds a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// Only its owner, as far as the platform tells.
    Private,
    /// The owner's group or everybody.
    Readable,
}

/// Reads the hotkey of `path`.
pub fn read_hotkey(path: &Path) -> Result<(HotkeyPair, Exposure), HotkeyFileError> {
    let (secret, exposure) = read_secret(path)?;
    Ok((pair(path, &secret)?, exposure))
}

/// Reads the secret of the hotkey of `path`, to be kept in a key store.
pub fn read_secret(path: &Path) -> Result<(KeySecret, Exposure), HotkeyFileError> {
    let (content, exposure) = read(path)?;
    match Protection::of(&content) {
        Protection::None => {}
        Protection::Nacl => return Err(HotkeyFileError::Encrypted(path.to_owned())),
        Protection::Legacy => return Err(sealed_error(path, SealError::Legacy)),
    }
    Ok((judge(path, &content)?, exposure))
}

/// Reads the secret of an encrypted hotkey. Takes seconds and 512 MiB.
pub fn unlock_hotkey(
    path: &Path,
    password: &str,
) -> Result<(KeySecret, Exposure), HotkeyFileError> {
    let (content, exposure) = read(path)?;
    if names_coldkey(path) {
        return Err(HotkeyFileError::Coldkey(path.to_owned()));
    }
    let plain = sealed::open(&content, password).map_err(|why| sealed_error(path, why))?;
    Ok((judge(path, &plain)?, exposure))
}

fn sealed_error(path: &Path, why: SealError) -> HotkeyFileError {
    HotkeyFileError::Sealed { path: path.to_owned(), why }
}

/// The secret in a file's content.
fn judge(path: &Path, content: &[u8]) -> Result<KeySecret, HotkeyFileError> {
    let not_a_key = |why| HotkeyFileError::NotAHotkey { path: path.to_owned(), why };
    let text = std::str::from_utf8(content).map_err(|_| not_a_key("it is not text"))?.trim();
    let secret = if text.starts_with('{') {
        KeyJson::read(text)
            .and_then(|json| json.secret())
            .map_err(|error| from_json_error(path, error))?
    } else {
        KeySecret::parse(text).map_err(|error| not_a_key(words_error(&error)))?
    };
    let address = pair(path, &secret)?.address().clone();
    if names_coldkey(path) || coldkeys_near(path).contains(&address) {
        return Err(HotkeyFileError::Coldkey(path.to_owned()));
    }
    Ok(secret)
}

fn pair(path: &Path, secret: &KeySecret) -> Result<HotkeyPair, HotkeyFileError> {
    let why = "its secret is not a valid key";
    secret.pair().map_err(|_| HotkeyFileError::NotAHotkey { path: path.to_owned(), why })
}

fn from_json_error(path: &Path, error: KeyJsonError) -> HotkeyFileError {
    let path = path.to_owned();
    match error {
        KeyJsonError::NotAKey(why) => HotkeyFileError::NotAHotkey { path, why },
        KeyJsonError::PublicOnly => HotkeyFileError::PublicOnly(path),
        KeyJsonError::Scheme(scheme) => HotkeyFileError::Scheme { path, scheme },
        KeyJsonError::Mismatch { told, found } => HotkeyFileError::Mismatch { path, told, found },
    }
}

/// What is wrong with words or a seed in a file; the error's own words could show some of it.
fn words_error(error: &SecretError) -> &'static str {
    match error {
        SecretError::Phrase(_) | SecretError::NoWords => "its words are not a valid phrase",
        SecretError::Path(_) => "the path after its words is not valid",
        SecretError::SeedLength(_) | SecretError::SeedDigits | SecretError::SeedPassword => {
            "its seed is not 32 bytes in hexadecimal"
        }
        SecretError::Hotkey(_) => "its seed is not a valid key",
    }
}

/// Whether the file is named as a wallet's own key.
fn names_coldkey(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == COLDKEY)
}

/// The addresses of the wallet that the file lies in, or beside.
fn coldkeys_near(path: &Path) -> Vec<Hotkey> {
    let folders = path.ancestors().skip(1).take(2);
    folders.filter_map(|folder| public_address(&folder.join(COLDKEY_PUBLIC))).collect()
}

/// The address that a key file tells, without its secret; none when it is encrypted or no key file.
pub(super) fn public_address(path: &Path) -> Option<Hotkey> {
    let (content, _) = read(path).ok()?;
    KeyJson::read(std::str::from_utf8(&content).ok()?).ok()?.address()
}

pub(super) fn read(path: &Path) -> Result<(Zeroizing<Vec<u8>>, Exposure), HotkeyFileError> {
    let unreadable = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => HotkeyFileError::Missing(path.to_owned()),
        _ => HotkeyFileError::Unreadable { path: path.to_owned(), why: error.to_string() },
    };
    let file = File::open(path).map_err(unreadable)?;
    let meta = file.metadata().map_err(unreadable)?;
    if meta.is_dir() {
        let why = "it is a folder".to_owned();
        return Err(HotkeyFileError::Unreadable { path: path.to_owned(), why });
    }
    let not_a_key = |why| HotkeyFileError::NotAHotkey { path: path.to_owned(), why };
    // Room for all of it at once: a growing buffer would leave copies of the secret behind.
    let mut content = Zeroizing::new(Vec::with_capacity(LARGEST as usize + 1));
    file.take(LARGEST + 1).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() as u64 > LARGEST {
        return Err(not_a_key("it is too large"));
    }
    if content.iter().all(u8::is_ascii_whitespace) {
        return Err(not_a_key("it is empty"));
    }
    Ok((content, exposure(&meta)))
}

#[cfg(unix)]
pub(in crate::wallet) fn exposure(meta: &std::fs::Metadata) -> Exposure {
    use std::os::unix::fs::PermissionsExt as _;
    if meta.permissions().mode() & 0o077 == 0 { Exposure::Private } else { Exposure::Readable }
}

#[cfg(not(unix))]
pub(in crate::wallet) fn exposure(_meta: &std::fs::Metadata) -> Exposure {
    // Access lists elsewhere are inherited from the user's own folder.
    Exposure::Private
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: &str = "0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";
    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    /// The ecosystem's published development phrase, and the address of its root key.
    const PHRASE: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
    const PHRASE_ADDRESS: &str = "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV";

    fn file(content: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("hot");
        std::fs::write(&path, content).unwrap();
        (folder, path)
    }

    fn address(content: &str) -> String {
        let (_folder, path) = file(content);
        read_hotkey(&path).unwrap().0.address().to_string()
    }

    fn refusal(content: &str) -> String {
        let (_folder, path) = file(content);
        let text = read_hotkey(&path).unwrap_err().to_string();
        assert!(!text.contains("e5be9a50") && !text.contains("bottom"), "{text}");
        text
    }

    #[test]
    fn words_seeds_and_private_keys_are_read_in_that_order() {
        assert_eq!(
            address(&format!(r#"{{"secretSeed":"{SEED}","ss58Address":"{ALICE}"}}"#)),
            ALICE
        );
        assert_eq!(address(&format!(r#"{{"secretPhrase":"{PHRASE}"}}"#)), PHRASE_ADDRESS);
        let both = format!(r#"{{"secretSeed":"{SEED}","secretPhrase":"{PHRASE}","cryptoType":1}}"#);
        assert_eq!(address(&both), PHRASE_ADDRESS);
        assert_eq!(address(&format!("{SEED}\n")), ALICE);
        assert_eq!(address(PHRASE), PHRASE_ADDRESS);
        let mini =
            schnorrkel::MiniSecretKey::from_bytes(&hex::decode(&SEED[2..]).unwrap()).unwrap();
        let secret = mini.expand(schnorrkel::ExpansionMode::Ed25519).to_bytes();
        assert_eq!(address(&format!(r#"{{"privateKey":"0x{}"}}"#, hex::encode(secret))), ALICE);
    }

    #[test]
    fn what_cannot_sign_is_refused_without_a_word_of_the_secret() {
        assert!(refusal("").contains("empty"));
        assert!(refusal("$NACL12345").contains("coldkey"));
        assert!(refusal("{}").contains("neither"));
        assert!(refusal(r#"{"ss58Address":"x"}"#).contains("public half"));
        assert!(
            refusal(&format!(r#"{{"secretSeed":"{SEED}","cryptoType":0}}"#)).contains("sr25519")
        );
        assert!(
            refusal(&format!(r#"{{"secretSeed":"{SEED}","ss58Address":"5x"}}"#))
                .contains("damaged")
        );
        assert!(refusal(&SEED[..40]).contains("32 bytes"));
        assert!(refusal("bottom drive obey").contains("phrase"));
        assert!(refusal(&"x".repeat(70_000)).contains("too large"));
        let missing = read_hotkey(Path::new("/nowhere/hot")).unwrap_err().to_string();
        assert!(missing.contains("/nowhere/hot"), "{missing}");
    }

    #[test]
    fn a_coldkey_is_refused_wherever_it_lies() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("hotkeys");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(home.path().join(COLDKEY_PUBLIC), format!(r#"{{"ss58Address":"{ALICE}"}}"#))
            .unwrap();
        // By its name, as the owner of the wallet it lies in, and as that of the one beside it.
        for (path, key) in [
            (home.path().join(COLDKEY), PHRASE),
            (folder.join("hot"), SEED),
            (home.path().join("copy"), SEED),
        ] {
            std::fs::write(&path, key).unwrap();
            let refused = read_secret(&path).unwrap_err();
            assert!(matches!(refused, HotkeyFileError::Coldkey(_)), "{refused}");
        }
        std::fs::write(folder.join("hot"), PHRASE).unwrap();
        assert!(read_secret(&folder.join("hot")).is_ok());
    }

    #[test]
    fn encrypted_files_say_what_to_do() {
        assert!(refusal("$ANSIBLE_VAULT;1.1;AES256").contains("older Bittensor programs"));
        assert!(refusal("gAAAAABf").contains("older Bittensor programs"));
        let (folder, path) = file("$NACL0123");
        let refused = unlock_hotkey(&path, "pw").unwrap_err().to_string();
        assert!(refused.contains("end is missing"), "{refused}");
        let coldkey = folder.path().join(COLDKEY);
        std::fs::copy(&path, &coldkey).unwrap();
        let refused = unlock_hotkey(&coldkey, "pw").unwrap_err();
        assert!(matches!(refused, HotkeyFileError::Coldkey(_)), "{refused}");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_told_apart() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_folder, path) = file(SEED);
        for (mode, expected) in [(0o600, Exposure::Private), (0o644, Exposure::Readable)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(read_hotkey(&path).unwrap().1, expected);
        }
    }
}
