//! Hotkey files: the ordinary Bittensor wallet's JSON (spec 3.5), so that a key made elsewhere works
//! here. Only hotkeys are read: the secret of a coldkey has no place on a mining machine.

use std::fs::File;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

use bip39::Mnemonic;
use pbkdf2::pbkdf2_hmac;
use serde::Deserialize;
use sha2::Sha512;
use zeroize::{Zeroize, Zeroizing};

use super::{HotkeyError, HotkeyPair};
use crate::protocol::ids::Hotkey;

/// Larger files are no hotkeys.
const LARGEST: u64 = 64 << 10;
/// How an encrypted Bittensor key file begins.
const ENCRYPTED: [&[u8]; 3] = [b"$NACL", b"$ANSIBLE_VAULT", b"gAAAAA"];
/// The scheme that the network's signatures use.
const SR25519: u64 = 1;

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
    /// It is encrypted.
    #[error(
        "{0} is an encrypted key file: Hearth needs the hotkey, which Bittensor keeps unencrypted in wallets/NAME/hotkeys/. Never give a mining machine your coldkey"
    )]
    Encrypted(PathBuf),
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

/// The JSON of a hotkey file. Order and presence of the fields vary by the program that wrote it.
#[derive(Deserialize)]
struct Stored {
    #[serde(rename = "secretPhrase")]
    phrase: Option<String>,
    #[serde(rename = "secretSeed")]
    seed: Option<String>,
    #[serde(rename = "privateKey")]
    private: Option<String>,
    #[serde(rename = "ss58Address")]
    address: Option<String>,
    #[serde(rename = "cryptoType")]
    scheme: Option<u64>,
}

impl Drop for Stored {
    fn drop(&mut self) {
        self.phrase.zeroize();
        self.seed.zeroize();
        self.private.zeroize();
    }
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
    let (content, exposure) = read(path)?;
    let not_a_key = |why| HotkeyFileError::NotAHotkey { path: path.to_owned(), why };
    if ENCRYPTED.iter().any(|start| content.starts_with(start)) {
        return Err(HotkeyFileError::Encrypted(path.to_owned()));
    }
    let text = std::str::from_utf8(&content).map_err(|_| not_a_key("it is not text"))?.trim();
    let pair = if text.starts_with('{') {
        from_json(path, text)?
    } else if text.contains(char::is_whitespace) {
        from_phrase(text).map_err(not_a_key)?
    } else {
        from_seed(text).map_err(not_a_key)?
    };
    Ok((pair, exposure))
}

fn read(path: &Path) -> Result<(Zeroizing<Vec<u8>>, Exposure), HotkeyFileError> {
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
fn exposure(meta: &std::fs::Metadata) -> Exposure {
    use std::os::unix::fs::PermissionsExt as _;
    if meta.permissions().mode() & 0o077 == 0 { Exposure::Private } else { Exposure::Readable }
}

#[cfg(not(unix))]
fn exposure(_meta: &std::fs::Metadata) -> Exposure {
    // Access lists elsewhere are inherited from the user's own folder.
    Exposure::Private
}

/// Words before seed before private key, as the wallets themselves read it.
fn from_json(path: &Path, text: &str) -> Result<HotkeyPair, HotkeyFileError> {
    let not_a_key = |why| HotkeyFileError::NotAHotkey { path: path.to_owned(), why };
    let stored: Stored =
        serde_json::from_str(text).map_err(|_| not_a_key("its JSON is not that of a key"))?;
    if let Some(scheme) = stored.scheme.filter(|scheme| *scheme != SR25519) {
        return Err(HotkeyFileError::Scheme { path: path.to_owned(), scheme });
    }
    let pair = if let Some(phrase) = &stored.phrase {
        from_phrase(phrase).map_err(not_a_key)?
    } else if let Some(seed) = &stored.seed {
        from_seed(seed).map_err(not_a_key)?
    } else if let Some(private) = &stored.private {
        from_private(private).map_err(not_a_key)?
    } else if stored.address.is_some() {
        return Err(HotkeyFileError::PublicOnly(path.to_owned()));
    } else {
        return Err(not_a_key("it has neither words nor a seed"));
    };
    match &stored.address {
        Some(told) if told != pair.address().as_str() => Err(HotkeyFileError::Mismatch {
            path: path.to_owned(),
            told: told.clone(),
            found: pair.address().clone(),
        }),
        _ => Ok(pair),
    }
}

/// The key of a phrase: its entropy, not its words, goes through PBKDF2 (the Substrate way).
fn from_phrase(phrase: &str) -> Result<HotkeyPair, &'static str> {
    let mnemonic = Mnemonic::parse(phrase).map_err(|_| "its words are not a valid phrase")?;
    let entropy = Zeroizing::new(mnemonic.to_entropy());
    let mut seed = Zeroizing::new([0_u8; 64]);
    pbkdf2_hmac::<Sha512>(&entropy, b"mnemonic", 2048, seed.as_mut());
    let mut mini = Zeroizing::new([0_u8; 32]);
    mini.copy_from_slice(&seed[..32]);
    HotkeyPair::from_mini_secret(&mini).map_err(|_| "its words give no valid key")
}

fn from_seed(hex_text: &str) -> Result<HotkeyPair, &'static str> {
    let mut seed = Zeroizing::new([0_u8; 32]);
    hex::decode_to_slice(bare_hex(hex_text), seed.as_mut())
        .map_err(|_| "its seed is not 32 bytes in hexadecimal")?;
    HotkeyPair::from_mini_secret(&seed).map_err(|_| "its seed is not a valid key")
}

fn from_private(hex_text: &str) -> Result<HotkeyPair, &'static str> {
    let mut secret = Zeroizing::new([0_u8; 64]);
    hex::decode_to_slice(bare_hex(hex_text), secret.as_mut())
        .map_err(|_| "its private key is not 64 bytes in hexadecimal")?;
    HotkeyPair::from_secret(&secret)
        .map_err(|HotkeyError::MiniSecret| "its private key is not a valid key")
}

fn bare_hex(text: &str) -> &str {
    text.strip_prefix("0x").unwrap_or(text)
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
