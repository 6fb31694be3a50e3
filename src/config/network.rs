//! Which network a miner joins, and where its servers are (spec 1.2).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use url::{Host, Url};

/// The servers of one network as a table of constants names them; not looked into until used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addresses {
    /// The orchestrator: scheme, host and explicit port.
    pub orchestrator: String,
    /// The bridge, with its path.
    pub bridge: String,
}

impl Addresses {
    /// The addresses, checked.
    pub fn hosts(&self) -> Result<Hosts, NetworkError> {
        Ok(Hosts { orchestrator: server(&self.orchestrator)?, bridge: server(&self.bridge)? })
    }
}

/// The servers of one network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts {
    /// The orchestrator.
    pub orchestrator: Url,
    /// The bridge.
    pub bridge: Url,
}

/// A network, as the user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkChoice {
    /// The one that pays.
    Mainnet,
    /// The operator's test network.
    Testnet,
    /// A swarm inside this process.
    Practice,
    /// Any server that speaks the protocol.
    Server(Url),
}

/// A text that names no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// A word that is none of the known.
    #[error(
        "{0:?} is no network: use mainnet, testnet, practice, or a server's address such as http://127.0.0.1:8000"
    )]
    Unknown(String),
    /// An address that cannot be a server's.
    #[error(
        "{url:?} cannot be a server's address ({why}): write it like https://swarm.example:443"
    )]
    Address {
        /// What was written.
        url: String,
        /// What is wrong.
        why: String,
    },
}

impl FromStr for NetworkChoice {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        match text.trim() {
            "mainnet" | "finney" => Ok(Self::Mainnet),
            "testnet" | "test" => Ok(Self::Testnet),
            "practice" => Ok(Self::Practice),
            address if address.contains("://") => server(address).map(Self::Server),
            other => Err(NetworkError::Unknown(other.to_owned())),
        }
    }
}

impl fmt::Display for NetworkChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mainnet => f.write_str("mainnet"),
            Self::Testnet => f.write_str("testnet"),
            Self::Practice => f.write_str("practice"),
            Self::Server(url) => f.write_str(url.as_str().trim_end_matches('/')),
        }
    }
}

impl Hosts {
    /// A server with its bridge beside it, at `/bridge`.
    pub fn of_server(orchestrator: &Url) -> Self {
        let mut bridge = orchestrator.clone();
        let path = format!("{}/bridge", orchestrator.path().trim_end_matches('/'));
        bridge.set_path(&path);
        Self { orchestrator: orchestrator.clone(), bridge }
    }

    /// Whether both servers are on this machine: then nothing leaves it, and nothing has to.
    pub fn are_local(&self) -> bool {
        is_local(&self.orchestrator) && is_local(&self.bridge)
    }
}

/// A server's address, checked.
pub(super) fn server(address: &str) -> Result<Url, NetworkError> {
    let wrong = |why: &str| NetworkError::Address { url: address.to_owned(), why: why.to_owned() };
    let url = Url::parse(address).map_err(|error| wrong(&error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("only http and https are spoken"));
    }
    if url.host().is_none() {
        return Err(wrong("it has no host"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it must not hold a user name or password"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("it must end with the path"));
    }
    Ok(url)
}

/// Whether a server is on this machine.
pub(super) fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_addresses_name_networks() {
        assert_eq!("mainnet".parse(), Ok(NetworkChoice::Mainnet));
        assert_eq!("test".parse(), Ok(NetworkChoice::Testnet));
        let server: NetworkChoice = "http://127.0.0.1:8000".parse().unwrap();
        assert_eq!(server.to_string(), "http://127.0.0.1:8000");
        let NetworkChoice::Server(url) = server else { unreachable!() };
        let hosts = Hosts::of_server(&url);
        assert_eq!(hosts.bridge.as_str(), "http://127.0.0.1:8000/bridge");
        assert!(hosts.are_local());
        let far = Hosts::of_server(&"https://swarm.example/x/".parse().unwrap());
        assert_eq!(far.bridge.as_str(), "https://swarm.example/x/bridge");
        assert!(!far.are_local());
    }

    #[test]
    fn what_is_no_network_is_explained() {
        for text in ["", "moonnet", "ftp://x", "http://", "http://u:p@x", "http://x/?a=b"] {
            let error = text.parse::<NetworkChoice>().unwrap_err().to_string();
            assert!(error.contains("http"), "{text}: {error}");
        }
    }
}
