//! Newtypes for everything that identifies something, so that a hotkey cannot be passed where a run
//! id is meant, nor a stage where an epoch is.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::reading::excerpt;
use super::ss58::{self, Ss58Error};

/// A miner's or validator's signing address: SS58 with prefix 42 whose checksum was verified.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Hotkey(String);

impl Hotkey {
    /// The address of an sr25519 public key.
    pub fn from_public_key(public: &[u8; 32]) -> Self {
        Self(ss58::encode(public))
    }

    /// The sr25519 public key of this address.
    pub fn public_key(&self) -> Result<[u8; 32], Ss58Error> {
        ss58::decode(&self.0)
    }

    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Hotkey {
    type Error = Ss58Error;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        ss58::decode(&text)?;
        Ok(Self(text))
    }
}

impl FromStr for Hotkey {
    type Err = Ss58Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Checked before it is copied: it may be of any length.
        ss58::decode(text)?;
        Ok(Self(text.to_owned()))
    }
}

impl From<Hotkey> for String {
    fn from(hotkey: Hotkey) -> String {
        hotkey.0
    }
}

impl fmt::Display for Hotkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is not a peer's node id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a peer's node id: it must be 64 hexadecimal digits")]
pub struct NodeIdError(String);

/// A peer's iroh node id: an ed25519 public key as 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeId(String);

impl NodeId {
    /// The id of a 32-byte ed25519 public key.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(hex::encode(bytes))
    }

    /// The 32 bytes of the public key.
    pub fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        // Cannot fail: both constructors leave exactly 64 hexadecimal digits here.
        let decoded = hex::decode_to_slice(&self.0, &mut bytes);
        debug_assert!(decoded.is_ok());
        bytes
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NodeId {
    type Error = NodeIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for NodeId {
    type Err = NodeIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) => Ok(Self::from_bytes(&bytes)),
            // The text may come from anybody: keep the message short.
            Err(_) => Err(NodeIdError(excerpt(text, 70))),
        }
    }
}

impl From<NodeId> for String {
    fn from(id: NodeId) -> String {
        id.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text id that the server chose; opaque to us.
macro_rules! opaque_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

opaque_id! {
    /// A training run.
    RunId
}
opaque_id! {
    /// One activation: the same id along the whole path, forward and backward.
    ActivationId
}

/// A number with a meaning.
macro_rules! number {
    ($(#[$doc:meta])* $name:ident($kind:ty)) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize,
            Deserialize,
        )]
        #[serde(transparent)]
        pub struct $name(pub $kind);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number! {
    /// A pipeline stage, counted from 0 (the wire says "layer").
    StageIndex(usize)
}
number! {
    /// A global training epoch; a run starts at 1.
    Epoch(u64)
}
number! {
    /// A partition's place in a stage's flat weights, counted from 0.
    ChunkNumber(usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

    #[test]
    fn a_hotkey_with_one_wrong_letter_is_refused() {
        assert_eq!(ALICE.parse::<Hotkey>().unwrap().as_str(), ALICE);
        assert!(ALICE.replace("Grw", "Grv").parse::<Hotkey>().is_err());
        assert!(serde_json::from_str::<Hotkey>("\"\"").is_err());
    }

    #[test]
    fn node_ids_are_normalised_to_lower_case() {
        let id: NodeId = "AB".repeat(32).parse().unwrap();
        assert_eq!(id.as_str(), "ab".repeat(32));
        assert_eq!(id.to_bytes(), [0xab; 32]);
        assert!("ab".parse::<NodeId>().is_err());
        assert!("zz".repeat(32).parse::<NodeId>().is_err());
    }
}
