//! The miner's hotkey: the sr25519 key pair that signs every request. It is here, and not in
//! `network`, because keys outlive connections and come from places (files, stores) that the network
//! must not know.

pub mod address;
pub mod bittensor;
pub mod derivation;
pub mod phrase;
pub mod secret;
pub mod store;

use std::fmt;

use schnorrkel::{ExpansionMode, Keypair, MiniSecretKey, SecretKey};
use zeroize::Zeroizing;

use crate::clock::Entropy;
use crate::protocol::canonical::CanonicalError;
use crate::protocol::epistula::{self, SignedHeaders};
use crate::protocol::ids::Hotkey;

/// Why bytes are not a hotkey.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HotkeyError {
    /// The bytes are no sr25519 secret.
    #[error("the hotkey's secret seed is not a valid sr25519 seed: check the file it came from")]
    MiniSecret,
}

/// A hotkey with its secret. The secret is wiped from memory when it is dropped, never cloned, and
/// never printed.
pub struct HotkeyPair {
    keypair: Keypair,
    address: Hotkey,
}

impl HotkeyPair {
    /// A new key. `entropy` must be the system's, unless in a practice swarm or a test.
    pub fn generate(entropy: &mut Entropy) -> Self {
        let mut seed = Zeroizing::new([0_u8; 32]);
        entropy.fill(seed.as_mut());
        loop {
            // Any 32 bytes are a seed; should the library ever refuse some, draw others.
            if let Ok(pair) = Self::from_mini_secret(&seed) {
                return pair;
            }
            entropy.fill(seed.as_mut());
        }
    }

    /// The key of a mini secret, which wallets call `secretSeed`: 32 bytes, expanded the Ed25519 way.
    pub fn from_mini_secret(seed: &[u8; 32]) -> Result<Self, HotkeyError> {
        let mini = MiniSecretKey::from_bytes(seed).map_err(|_| HotkeyError::MiniSecret)?;
        let keypair = mini.expand_to_keypair(ExpansionMode::Ed25519);
        let address = Hotkey::from_public_key(&keypair.public.to_bytes());
        Ok(Self { keypair, address })
    }

    /// The key of an expanded secret, which wallets call `privateKey`: 64 bytes as schnorrkel keeps
    /// them (scalar, then nonce).
    pub fn from_secret(secret: &[u8; 64]) -> Result<Self, HotkeyError> {
        let secret = SecretKey::from_bytes(secret).map_err(|_| HotkeyError::MiniSecret)?;
        let keypair = secret.to_keypair();
        let address = Hotkey::from_public_key(&keypair.public.to_bytes());
        Ok(Self { keypair, address })
    }

    /// The SS58 address (prefix 42).
    pub fn address(&self) -> &Hotkey {
        &self.address
    }

    /// The public key.
    pub fn public_key(&self) -> [u8; 32] {
        self.keypair.public.to_bytes()
    }

    /// Signs `message` with context `substrate` (spec 3.2). `entropy` randomises the signature.
    pub fn sign(&self, message: &[u8], entropy: &mut Entropy) -> [u8; 64] {
        epistula::sign(&self.keypair, message, &mut |out| entropy.fill(out))
    }

    /// Signs a request with body `body` (empty when there is none) sent at `timestamp_ms`, Unix
    /// milliseconds.
    pub fn sign_request(
        &self,
        body: &[u8],
        timestamp_ms: u64,
        entropy: &mut Entropy,
    ) -> Result<SignedHeaders, CanonicalError> {
        epistula::sign_request(&self.keypair, body, timestamp_ms, &mut |out| entropy.fill(out))
    }

    /// The key pair, for the parts of `protocol` that sign.
    pub(crate) fn keypair(&self) -> &Keypair {
        &self.keypair
    }
}

impl fmt::Debug for HotkeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HotkeyPair")
            .field("address", &self.address.as_str())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The well-known development key //Alice.
    const ALICE_SEED: &str = "e5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";
    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

    fn alice() -> HotkeyPair {
        let mut seed = [0; 32];
        hex::decode_to_slice(ALICE_SEED, &mut seed).unwrap();
        HotkeyPair::from_mini_secret(&seed).unwrap()
    }

    #[test]
    fn a_known_seed_has_its_known_address() {
        assert_eq!(alice().address().as_str(), ALICE);
    }

    #[test]
    fn signatures_verify_under_the_address_and_for_nothing_else() {
        let pair = alice();
        let signature = pair.sign(b"hello", &mut Entropy::seeded(1, "sign"));
        let public = pair.address().public_key().unwrap();
        assert_eq!(public, pair.public_key());
        assert!(epistula::verify(&public, b"hello", &signature).is_ok());
        assert!(epistula::verify(&public, b"hallo", &signature).is_err());
    }

    #[test]
    fn seeded_entropy_gives_the_same_key_and_other_entropy_another() {
        let address =
            |seed| HotkeyPair::generate(&mut Entropy::seeded(seed, "k")).address().clone();
        assert_eq!(address(1), address(1));
        assert_ne!(address(1), address(2));
    }

    #[test]
    fn debug_output_shows_the_address_and_no_secret() {
        let text = format!("{:?}", alice());
        assert!(text.contains(ALICE), "{text}");
        assert!(text.len() < 100, "{text}");
    }
}
