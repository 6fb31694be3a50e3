//! The activation hash: BLAKE3 over all serialized bytes, 64 lower-case hexadecimal digits
//! (spec 6.8). Reported with every forward and backward, and checked after a pull.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The hash of one serialized activation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ActivationHash(pub [u8; 32]);

/// A text that is not an activation hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an activation hash: it must be 64 hexadecimal digits")]
pub struct HashError;

impl ActivationHash {
    /// Hashes all of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl fmt::Display for ActivationHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for ActivationHash {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| HashError)?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for ActivationHash {
    type Error = HashError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ActivationHash> for String {
    fn from(hash: ActivationHash) -> String {
        hash.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_reads_back_and_one_byte_changes_it() {
        let hash = ActivationHash::of(b"activation");
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_ne!(hash, ActivationHash::of(b"activatiom"));
        assert_eq!("00".parse::<ActivationHash>(), Err(HashError));
    }
}
