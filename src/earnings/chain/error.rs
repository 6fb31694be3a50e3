//! Why the chain could not be read.

use std::time::Duration;

use super::address::BlockHash;

/// Why there is no reading.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// This program was built without it.
    #[error("this build cannot read the chain: it was made without the feature `chain`")]
    NotBuilt,
    /// Nobody named a node.
    #[error("no node of the chain is set, so nobody is asked: set chain_endpoint to one you trust")]
    NoEndpoint,
    /// What was named is no address of a node.
    #[error(
        "chain_endpoint cannot be used ({why}): write it like wss://node.example:443 or \
         ws://127.0.0.1:9944"
    )]
    Endpoint {
        /// What is wrong with it.
        why: String,
    },
    /// Nobody answers there.
    #[error("{endpoint} cannot be reached ({why}); check the address and your line")]
    Unreachable {
        /// Where.
        endpoint: String,
        /// The system's words.
        why: String,
    },
    /// The line is not safe.
    #[error("no safe line to {endpoint} ({why}); check the address, or name another node")]
    Tls {
        /// Where.
        endpoint: String,
        /// What is wrong.
        why: String,
    },
    /// Something else answers there.
    #[error("what answers at {endpoint} is no node of a chain ({why}); check the address")]
    NotANode {
        /// Where.
        endpoint: String,
        /// How that was seen.
        why: String,
    },
    /// A node of another chain.
    #[error(
        "{endpoint} is a node of another chain (its first block is {found}, not {expected}); it was \
         told no address of yours. Name a node of the right chain"
    )]
    WrongChain {
        /// Where.
        endpoint: String,
        /// The chain that was wanted.
        expected: BlockHash,
        /// The one that is there.
        found: BlockHash,
    },
    /// The node does not follow the chain.
    #[error(
        "{endpoint} is behind the chain: its newest final block, {block}, is {} old. Wait until it has \
         caught up, or name another node",
        human(.age)
    )]
    Behind {
        /// Where.
        endpoint: String,
        /// Its newest final block.
        block: u64,
        /// How old that is.
        age: Duration,
    },
    /// The node knows less than was read before.
    #[error(
        "{endpoint} is at block {block}, but block {known} was read before. Wait until it has caught \
         up, or name another node"
    )]
    Backwards {
        /// Where.
        endpoint: String,
        /// Its newest final block.
        block: u64,
        /// The block of an earlier reading.
        known: u64,
    },
    /// The line ended in the middle.
    #[error("{endpoint} ended the connection in the middle of an answer; it is asked again")]
    Disconnected {
        /// Where.
        endpoint: String,
    },
    /// It took too long.
    #[error("{endpoint} did not answer within {}; it is asked again", human(.limit))]
    Slow {
        /// Where.
        endpoint: String,
        /// How long was waited.
        limit: Duration,
    },
    /// The node has thrown away what was asked for.
    #[error(
        "{endpoint} no longer has the state of its newest final block ({why}); name another node"
    )]
    Pruned {
        /// Where.
        endpoint: String,
        /// Its words.
        why: String,
    },
    /// The node refused to answer.
    #[error("{endpoint} refused to answer ({why}); wait, or name another node")]
    Refused {
        /// Where.
        endpoint: String,
        /// Its words.
        why: String,
    },
    /// The description of the chain's state cannot be read.
    #[error(
        "{endpoint} describes its chain in a way that this version cannot read ({why}); look for a \
         newer version of Hearth"
    )]
    Metadata {
        /// Where.
        endpoint: String,
        /// What is wrong.
        why: String,
    },
}

impl ChainError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotBuilt => "chain-not-built",
            Self::NoEndpoint => "chain-no-endpoint",
            Self::Endpoint { .. } => "chain-endpoint",
            Self::Unreachable { .. } => "chain-unreachable",
            Self::Tls { .. } => "chain-tls",
            Self::NotANode { .. } => "chain-not-a-node",
            Self::WrongChain { .. } => "chain-wrong",
            Self::Behind { .. } => "chain-behind",
            Self::Backwards { .. } => "chain-backwards",
            Self::Disconnected { .. } => "chain-disconnected",
            Self::Slow { .. } => "chain-slow",
            Self::Pruned { .. } => "chain-pruned",
            Self::Refused { .. } => "chain-refused",
            Self::Metadata { .. } => "chain-metadata",
        }
    }

    /// Whether asking again may help without anybody changing anything.
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::NotBuilt | Self::NoEndpoint | Self::Endpoint { .. })
    }
}

/// A time in words: `3 h 20 min`, `45 s`.
pub(super) fn human(time: &Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} days", seconds / 86_400),
    }
}
