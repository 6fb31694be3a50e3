//! A key's secret in the form it came in: words with a path, a seed, or an expanded secret. It is what
//! key stores keep, and the one place from which key pairs are made, so that every way of reading a
//! key leads to the same address.

use std::fmt;

use schnorrkel::{MiniSecretKey, SecretKey};
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::derivation::{Derivation, DerivationError, Derived};
use super::phrase::{Phrase, PhraseError};
use super::{HotkeyError, HotkeyPair};

/// The version of [`KeySecret::to_bytes`].
const VERSION: u32 = 1;

/// Why a typed text is not a secret. No message repeats what was typed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// Nothing before the path. Wallets take the public development phrase then; nobody wants that.
    #[error(
        "there are no words before the path: a path alone means a key that everybody has (//Alice \
         and its like)"
    )]
    NoWords,
    /// Not a phrase.
    #[error(transparent)]
    Phrase(#[from] PhraseError),
    /// Not a path.
    #[error(transparent)]
    Path(#[from] DerivationError),
    /// Hexadecimal, but no seed.
    #[error("a seed is 64 hexadecimal digits, with or without 0x in front; this has {0}")]
    SeedLength(usize),
    /// Begins like a seed.
    #[error("a seed is 64 hexadecimal digits, with or without 0x in front: only 0-9 and a-f")]
    SeedDigits,
    /// A password after a seed.
    #[error("a password belongs to words; a seed has none: leave out /// and what follows it")]
    SeedPassword,
    /// The bytes are no sr25519 secret.
    #[error(transparent)]
    Hotkey(#[from] HotkeyError),
}

/// Why stored bytes are not a secret. No message repeats them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoredSecretError {
    /// Not what [`KeySecret::to_bytes`] writes.
    #[error("the stored key is damaged ({0}): restore it from its words")]
    Damaged(&'static str),
    /// Written by a newer program.
    #[error("the stored key is of version {0}, which this Hearth does not know: update Hearth")]
    Version(u64),
}

/// A secret from which a key pair can be made. Wiped from memory when dropped; `Debug` tells its kind
/// and nothing else.
#[derive(Clone)]
pub enum KeySecret {
    /// Words, with a password and a path (both mostly empty).
    Phrase {
        /// The words.
        phrase: Phrase,
        /// Mixed into the words; empty means none.
        password: Zeroizing<String>,
        /// From the words' key to this one.
        path: Derivation,
    },
    /// A mini secret, which wallets call `secretSeed`.
    Seed(Zeroizing<[u8; 32]>),
    /// An expanded secret (scalar, then nonce), which wallets call `privateKey`.
    Expanded(Zeroizing<[u8; 64]>),
}

impl KeySecret {
    /// The key of words alone.
    pub fn from_phrase(phrase: Phrase) -> Self {
        Self::Phrase {
            phrase,
            password: Zeroizing::new(String::new()),
            path: Derivation::default(),
        }
    }

    /// Reads what a person types: words or a hexadecimal seed, each with an optional path, words also
    /// with a password: `words//hard/soft///password`.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        // Space at the end of a password belongs to it, the end of the line does not.
        let text = text.trim_start().trim_end_matches(['\r', '\n']);
        let (base, rest) = text.split_at(text.find('/').unwrap_or(text.len()));
        let (path, password) = match rest.split_once("///") {
            Some((path, password)) => (path, Some(password)),
            None => (rest.trim_end(), None),
        };
        let base = base.trim();
        if base.is_empty() && !rest.is_empty() {
            return Err(SecretError::NoWords);
        }
        let path: Derivation = path.parse()?;
        if !looks_like_hex(base) {
            let password = Zeroizing::new(password.unwrap_or_default().to_owned());
            return Ok(Self::Phrase { phrase: Phrase::parse(base)?, password, path });
        }
        if password.is_some() {
            return Err(SecretError::SeedPassword);
        }
        let seed = seed_from_hex(base)?;
        let derived = path.apply(derived_from_seed(&seed)?);
        Ok(Self::from_derived(&derived))
    }

    /// The key pair.
    pub fn pair(&self) -> Result<HotkeyPair, HotkeyError> {
        let secret = self.expanded()?;
        HotkeyPair::from_secret(&secret)
    }

    /// The key of device `number`: below the same words (`//hearth//N`), or derived from the seed the
    /// same way. From the words' key of one device it leads to the other device, not below the first.
    pub fn derive_device(&self, number: u32) -> Result<Self, HotkeyError> {
        Ok(match self {
            Self::Phrase { phrase, password, path } => Self::Phrase {
                phrase: phrase.clone(),
                password: password.clone(),
                path: path.sibling_device(number),
            },
            _ => Self::from_derived(&Derivation::device(number).apply(self.derived()?)),
        })
    }

    /// The mini secret (`secretSeed`); none after a soft step or from an expanded secret.
    pub fn mini_secret(&self) -> Result<Option<Zeroizing<[u8; 32]>>, HotkeyError> {
        Ok(self.derived()?.mini)
    }

    /// The expanded secret (`privateKey`).
    pub fn expanded(&self) -> Result<Zeroizing<[u8; 64]>, HotkeyError> {
        Ok(Zeroizing::new(self.derived()?.secret.to_bytes()))
    }

    /// The words, where they alone are the whole secret: no password, no path. Only then may they be
    /// written where a password and a path cannot be.
    pub fn bare_phrase(&self) -> Option<&Phrase> {
        match self {
            Self::Phrase { phrase, password, path } if password.is_empty() && path.is_root() => {
                Some(phrase)
            }
            _ => None,
        }
    }

    /// The secret as the bytes that key stores keep: JSON with a version.
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut stored = Stored::default();
        match self {
            Self::Phrase { phrase, password, path } => {
                stored.words = Some(phrase.text().to_string());
                stored.password = Some(password.to_string());
                stored.path = Some(path.to_string());
            }
            Self::Seed(seed) => stored.seed = Some(hex::encode(seed.as_slice())),
            Self::Expanded(secret) => stored.expanded = Some(hex::encode(secret.as_slice())),
        }
        stored.version = u64::from(VERSION);
        // Room for all of it at once: a growing buffer would leave copies behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(stored.room()));
        // Writing plain texts into memory never fails.
        let written = serde_json::to_writer(&mut *bytes, &stored);
        drop(written);
        bytes
    }

    /// Reads what [`KeySecret::to_bytes`] wrote, and nothing else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, StoredSecretError> {
        use StoredSecretError::Damaged;
        let version: Version =
            serde_json::from_slice(bytes).map_err(|_| Damaged("it is not a Hearth key"))?;
        if version.version != u64::from(VERSION) {
            return Err(StoredSecretError::Version(version.version));
        }
        let stored: Stored =
            serde_json::from_slice(bytes).map_err(|_| Damaged("its fields are wrong"))?;
        let secret = stored.secret()?;
        secret.pair().map_err(|_| Damaged("its bytes are not a key"))?;
        Ok(secret)
    }

    fn derived(&self) -> Result<Derived, HotkeyError> {
        match self {
            Self::Phrase { phrase, password, path } => {
                Ok(path.apply(derived_from_seed(&phrase.mini_secret(password))?))
            }
            Self::Seed(seed) => derived_from_seed(seed),
            Self::Expanded(secret) => {
                let secret = SecretKey::from_bytes(secret.as_slice())
                    .map_err(|_| HotkeyError::MiniSecret)?;
                Ok(Derived { secret, mini: None })
            }
        }
    }

    fn from_derived(derived: &Derived) -> Self {
        match &derived.mini {
            Some(mini) => Self::Seed(mini.clone()),
            None => Self::Expanded(Zeroizing::new(derived.secret.to_bytes())),
        }
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Phrase { .. } => "KeySecret::Phrase(..)",
            Self::Seed(_) => "KeySecret::Seed(..)",
            Self::Expanded(_) => "KeySecret::Expanded(..)",
        })
    }
}

fn derived_from_seed(seed: &[u8; 32]) -> Result<Derived, HotkeyError> {
    let mini = MiniSecretKey::from_bytes(seed).map_err(|_| HotkeyError::MiniSecret)?;
    Ok(Derived::from_mini(&mini))
}

/// One long run of letters and digits is no phrase; a person who typed it meant a seed.
fn looks_like_hex(text: &str) -> bool {
    let bare = bare_hex(text);
    bare.len() != text.len()
        || (bare.len() >= 32 && bare.bytes().all(|letter| letter.is_ascii_hexdigit()))
}

fn bare_hex(text: &str) -> &str {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text)
}

/// Reads 64 hexadecimal digits, with or without `0x`.
pub fn seed_from_hex(text: &str) -> Result<Zeroizing<[u8; 32]>, SecretError> {
    let digits = bare_hex(text.trim());
    if !digits.bytes().all(|letter| letter.is_ascii_hexdigit()) {
        return Err(SecretError::SeedDigits);
    }
    let mut seed = Zeroizing::new([0_u8; 32]);
    hex::decode_to_slice(digits, seed.as_mut())
        .map_err(|_| SecretError::SeedLength(digits.len()))?;
    Ok(seed)
}

/// Only the version, so that a newer form is told from a damaged one.
#[derive(Deserialize)]
struct Version {
    version: u64,
}

/// The bytes' JSON: exactly one of words (with password and path), seed, expanded.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    password: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expanded: Option<String>,
}

impl Stored {
    /// More bytes than the JSON takes; a character of the password may need six.
    fn room(&self) -> usize {
        let texts = [&self.words, &self.password, &self.path, &self.seed, &self.expanded];
        128 + texts.into_iter().flatten().map(|text| 6 * text.len()).sum::<usize>()
    }

    fn secret(&self) -> Result<KeySecret, StoredSecretError> {
        use StoredSecretError::Damaged;
        match (&self.words, &self.password, &self.path, &self.seed, &self.expanded) {
            (Some(words), Some(password), Some(path), None, None) => Ok(KeySecret::Phrase {
                phrase: Phrase::parse(words).map_err(|_| Damaged("its words are no phrase"))?,
                password: Zeroizing::new(password.clone()),
                path: path.parse().map_err(|_| Damaged("its path is wrong"))?,
            }),
            (None, None, None, Some(seed), None) => fixed(seed).map(KeySecret::Seed),
            (None, None, None, None, Some(secret)) => fixed(secret).map(KeySecret::Expanded),
            _ => Err(Damaged("it must have words, a seed or an expanded secret")),
        }
    }
}

fn fixed<const N: usize>(digits: &str) -> Result<Zeroizing<[u8; N]>, StoredSecretError> {
    let mut bytes = Zeroizing::new([0_u8; N]);
    hex::decode_to_slice(digits, bytes.as_mut())
        .map_err(|_| StoredSecretError::Damaged("its length is wrong"))?;
    Ok(bytes)
}

impl Drop for Stored {
    fn drop(&mut self) {
        for text in [
            &mut self.words,
            &mut self.password,
            &mut self.path,
            &mut self.seed,
            &mut self.expanded,
        ] {
            text.zeroize();
        }
    }
}

#[cfg(test)]
mod tests;
