//! The JSON inside a key file. Which fields are there varies by the program that wrote it, so that
//! reading follows the library's own precedence: words, seed, private key, address alone.

use schnorrkel::SecretKey;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::protocol::ids::Hotkey;
use crate::wallet::HotkeyError;
use crate::wallet::phrase::Phrase;
use crate::wallet::secret::{KeySecret, seed_from_hex};

/// The scheme that the network's signatures use.
const SR25519: u64 = 1;

/// Why JSON is not a key that can sign. Never shows a part of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyJsonError {
    /// Something else, or damaged.
    #[error("{0}")]
    NotAKey(&'static str),
    /// A public key only.
    #[error("it holds only the public half of a key, which cannot sign")]
    PublicOnly,
    /// Another signature scheme.
    #[error("it is of scheme {0}, but the network signs with sr25519 (1)")]
    Scheme(u64),
    /// Its parts contradict each other.
    #[error("it says that its address is {told}, but its secret belongs to {found}")]
    Mismatch {
        /// The address in the file.
        told: String,
        /// The secret's address.
        found: Hotkey,
    },
}

/// A key file's JSON. Its secrets are wiped from memory when dropped.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyJson {
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    public_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_phrase: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_seed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ss58_address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    crypto_type: Option<u64>,
}

impl Drop for KeyJson {
    fn drop(&mut self) {
        self.private_key.zeroize();
        self.secret_phrase.zeroize();
        self.secret_seed.zeroize();
    }
}

impl KeyJson {
    /// Reads it.
    pub fn read(text: &str) -> Result<Self, KeyJsonError> {
        serde_json::from_str(text)
            .map_err(|_| KeyJsonError::NotAKey("its JSON is not that of a key"))
    }

    /// What is written of `secret`: all that leads back to it, and nothing that leads further. Words
    /// are written only where they alone are the secret: the words of a device key would give away
    /// all devices, and be read as another key.
    pub fn of(secret: &KeySecret) -> Result<Self, HotkeyError> {
        let mut json = Self::public(secret.pair()?.address());
        json.secret_phrase = secret.bare_phrase().map(|phrase| phrase.text().to_string());
        json.secret_seed = secret.mini_secret()?.map(|seed| prefixed(seed.as_slice()));
        json.private_key = Some(prefixed(secret.expanded()?.as_slice()));
        Ok(json)
    }

    /// The public half, as in `coldkeypub.txt`.
    pub fn public(address: &Hotkey) -> Self {
        let mut json = Self::default();
        // An address that exists was checked when it was made.
        let public = address.public_key().ok().map(|public| prefixed(&public));
        json.account_id.clone_from(&public);
        json.public_key = public;
        json.ss58_address = Some(address.as_str().to_owned());
        json.crypto_type = Some(SR25519);
        json
    }

    /// The JSON text.
    pub fn written(&self) -> Zeroizing<Vec<u8>> {
        // Room for all of it at once: a growing buffer would leave copies of the secret behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(2048));
        // Writing plain texts into memory never fails.
        let written = serde_json::to_writer(&mut *bytes, self);
        drop(written);
        bytes
    }

    /// The address that it tells, checked as an address.
    pub fn address(&self) -> Option<Hotkey> {
        self.ss58_address.as_deref()?.parse().ok()
    }

    /// Whether there is anything that can sign.
    pub fn has_secret(&self) -> bool {
        self.secret_phrase.is_some() || self.secret_seed.is_some() || self.private_key.is_some()
    }

    /// The secret, if it is one of the network's scheme and belongs to the address beside it.
    pub fn secret(&self) -> Result<KeySecret, KeyJsonError> {
        use KeyJsonError::NotAKey;
        if let Some(scheme) = self.crypto_type.filter(|scheme| *scheme != SR25519) {
            return Err(KeyJsonError::Scheme(scheme));
        }
        let secret = if let Some(words) = &self.secret_phrase {
            let phrase =
                Phrase::parse(words).map_err(|_| NotAKey("its words are not a valid phrase"))?;
            KeySecret::from_phrase(phrase)
        } else if let Some(seed) = &self.secret_seed {
            let seed = seed_from_hex(seed)
                .map_err(|_| NotAKey("its seed is not 32 bytes in hexadecimal"))?;
            KeySecret::Seed(seed)
        } else if let Some(private) = &self.private_key {
            KeySecret::Expanded(expanded_from_hex(private)?)
        } else if self.ss58_address.is_some() {
            return Err(KeyJsonError::PublicOnly);
        } else {
            return Err(NotAKey("it has neither words nor a seed"));
        };
        let pair = secret.pair().map_err(|_| NotAKey("its secret is not a valid key"))?;
        match &self.ss58_address {
            Some(told) if told != pair.address().as_str() => {
                Err(KeyJsonError::Mismatch { told: told.clone(), found: pair.address().clone() })
            }
            _ => Ok(secret),
        }
    }
}

fn prefixed(bytes: &[u8]) -> String {
    // In one piece: a text that grows leaves copies behind.
    let mut text = String::with_capacity(2 + 2 * bytes.len());
    text.push_str("0x");
    let digits = Zeroizing::new(hex::encode(bytes));
    text.push_str(&digits);
    text
}

fn expanded_from_hex(text: &str) -> Result<Zeroizing<[u8; 64]>, KeyJsonError> {
    let wrong = |_| KeyJsonError::NotAKey("its private key is not 64 bytes in hexadecimal");
    let mut secret = Zeroizing::new([0_u8; 64]);
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), secret.as_mut())
        .map_err(wrong)?;
    SecretKey::from_bytes(secret.as_slice())
        .map_err(|_| KeyJsonError::NotAKey("its private key is not a valid key"))?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wallet::HotkeyPair;

    const DEV: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";

    fn fields(uri: &str) -> serde_json::Value {
        let json = KeyJson::of(&KeySecret::parse(uri).unwrap()).unwrap();
        serde_json::from_slice(&json.written()).unwrap()
    }

    #[test]
    fn what_is_written_leads_back_to_the_same_key() {
        for uri in [DEV, &format!("{DEV}//a"), &format!("{DEV}/a"), &format!("{DEV}///pw")] {
            let secret = KeySecret::parse(uri).unwrap();
            let written = KeyJson::of(&secret).unwrap().written();
            let read = KeyJson::read(std::str::from_utf8(&written).unwrap()).unwrap();
            let address = |pair: HotkeyPair| pair.address().clone();
            let expected = address(secret.pair().unwrap());
            assert_eq!(address(read.secret().unwrap().pair().unwrap()), expected);
            assert_eq!(read.address(), Some(expected));
        }
    }

    #[test]
    fn words_are_written_only_where_they_are_the_whole_secret() {
        assert_eq!(fields(DEV)["secretPhrase"], DEV);
        for uri in [format!("{DEV}//hearth//1"), format!("{DEV}///pw"), format!("{DEV}/soft")] {
            let fields = fields(&uri);
            assert!(fields.get("secretPhrase").is_none(), "{uri}");
            assert_eq!(fields.get("secretSeed").is_none(), uri.ends_with("/soft"), "{uri}");
            assert_eq!(fields["privateKey"].as_str().unwrap().len(), 130);
        }
    }

    #[test]
    fn the_public_half_holds_no_secret() {
        let address = KeySecret::parse(DEV).unwrap().pair().unwrap().address().clone();
        let written = KeyJson::public(&address).written();
        let read = KeyJson::read(std::str::from_utf8(&written).unwrap()).unwrap();
        assert!(!read.has_secret());
        assert_eq!(read.address(), Some(address));
        assert!(matches!(read.secret(), Err(KeyJsonError::PublicOnly)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_fields_are_read_or_refused_without_showing_them(
            words in proptest::option::of("[a-z ]{20,60}"),
            seed in proptest::option::of("(0x)?[0-9a-f]{60,68}"),
            private in proptest::option::of("(0x)?[0-9a-f]{126,130}"),
            address in proptest::option::of("5[A-Za-z0-9]{47}"),
            scheme in proptest::option::of(0..3_u64),
        ) {
            let text = serde_json::json!({
                "secretPhrase": words, "secretSeed": seed, "privateKey": private,
                "ss58Address": address, "cryptoType": scheme, "unknown": [1],
            });
            if let Err(error) = KeyJson::read(&text.to_string()).unwrap().secret() {
                let said = error.to_string();
                for secret in [&words, &seed, &private].into_iter().flatten() {
                    prop_assert!(!said.contains(secret.as_str()), "{}", said);
                }
            }
        }
    }
}
