//! Names on the chain: accounts, blocks, the chain itself, and where a node of it answers.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::Url;

use super::error::ChainError;
use crate::config::chain::ChainPlace;
use crate::protocol::ss58::{self, Ss58Error};

/// A public key of the chain; written as its address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Account(pub [u8; 32]);

impl FromStr for Account {
    type Err = Ss58Error;

    fn from_str(text: &str) -> Result<Self, Ss58Error> {
        ss58::decode(text.trim()).map(Self)
    }
}

impl TryFrom<String> for Account {
    type Error = Ss58Error;

    fn try_from(text: String) -> Result<Self, Ss58Error> {
        text.parse()
    }
}

impl From<Account> for String {
    fn from(account: Account) -> Self {
        account.to_string()
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&ss58::encode(&self.0))
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The hash of a block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BlockHash(pub [u8; 32]);

/// A text that is no hash of a block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a block's hash is 0x and 64 hex digits")]
pub struct NoBlockHash;

impl FromStr for BlockHash {
    type Err = NoBlockHash;

    fn from_str(text: &str) -> Result<Self, NoBlockHash> {
        let mut hash = [0; 32];
        let digits = text.trim().strip_prefix("0x").ok_or(NoBlockHash)?;
        hex::decode_to_slice(digits, &mut hash).map_err(|_| NoBlockHash)?;
        Ok(Self(hash))
    }
}

impl TryFrom<String> for BlockHash {
    type Error = NoBlockHash;

    fn try_from(text: String) -> Result<Self, NoBlockHash> {
        text.parse()
    }
}

impl From<BlockHash> for String {
    fn from(hash: BlockHash) -> Self {
        hash.to_string()
    }
}

impl fmt::Display for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BlockRef {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: BlockHash,
}

/// A chain and the subnet of it that is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The chain's first block.
    pub genesis: BlockHash,
    /// The subnet.
    pub netuid: u16,
}

impl Place {
    /// As the table of constants has it.
    pub fn of(constants: &ChainPlace) -> Result<Self, NoBlockHash> {
        Ok(Self { genesis: constants.genesis.parse()?, netuid: constants.netuid })
    }
}

/// Where a node answers. Shown without what may be a secret: name, password, path, query.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Url);

impl Endpoint {
    /// The whole address, for connecting.
    #[cfg(feature = "chain")]
    pub(super) fn url(&self) -> &Url {
        &self.0
    }
}

impl FromStr for Endpoint {
    type Err = ChainError;

    fn from_str(text: &str) -> Result<Self, ChainError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(ChainError::NoEndpoint);
        }
        let wrong = |why: &str| ChainError::Endpoint { why: why.to_owned() };
        let url = Url::parse(text).map_err(|error| wrong(&error.to_string()))?;
        match url.scheme() {
            "ws" | "wss" if url.has_host() => Ok(Self(url)),
            "http" | "https" => Err(wrong("a node is read over WebSocket")),
            _ => Err(wrong("it is no WebSocket address")),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.0.host_str().unwrap_or_default();
        write!(f, "{}://{host}", self.0.scheme())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

    #[test]
    fn names_are_read_as_they_are_written() {
        let account: Account = ALICE.parse().unwrap();
        assert_eq!(serde_json::to_string(&account).unwrap(), format!("\"{ALICE}\""));
        assert_eq!(format!("{account:?}"), ALICE);
        let hash: BlockHash = format!("0x{}", "ab".repeat(32)).parse().unwrap();
        let text = serde_json::to_string(&hash).unwrap();
        assert_eq!(serde_json::from_str::<BlockHash>(&text).unwrap(), hash);
        for text in ["", "0x", "0xzz", &"ab".repeat(32), &format!("0x{}", "ab".repeat(33))] {
            assert_eq!(text.parse::<BlockHash>(), Err(NoBlockHash), "{text}");
        }
    }

    #[test]
    fn an_endpoint_is_shown_without_its_secrets() {
        let endpoint: Endpoint = "wss://me:s3cret@node.example:9944/k3y?t=s3cret".parse().unwrap();
        assert_eq!(endpoint.to_string(), "wss://node.example:9944");
        assert!(!format!("{endpoint:?}").contains("s3cret"));
        for (text, code) in [
            ("", "chain-no-endpoint"),
            ("https://node.example", "chain-endpoint"),
            ("node.example:9944", "chain-endpoint"),
            ("ftp://node.example", "chain-endpoint"),
            ("wss://", "chain-endpoint"),
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap_err().code(), code, "{text}");
        }
    }

    #[test]
    fn the_table_names_chains_that_can_be_read() {
        let constants = crate::config::chain::ChainConstants::default();
        assert_eq!(Place::of(&constants.mainnet).unwrap().netuid, 9);
        assert_ne!(
            Place::of(&constants.mainnet).unwrap().genesis,
            Place::of(&constants.testnet).unwrap().genesis
        );
    }
}
