//! Which chain a network's earnings are on, as the table of constants has it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::constants::seconds;

/// How the chain is read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChainConstants {
    /// Mainnet's chain, and that of a network whose server the user names.
    pub mainnet: ChainPlace,
    /// Testnet's.
    pub testnet: ChainPlace,
    /// Longest time of one reading.
    #[serde(with = "seconds")]
    pub limit: Duration,
    /// Between two readings of a miner that runs.
    #[serde(with = "seconds")]
    pub every: Duration,
    /// Pause after a reading that failed; doubles with each, up to the time between two readings.
    #[serde(with = "seconds")]
    pub first_retry_pause: Duration,
    /// A node whose newest final block is older than this is behind.
    #[serde(with = "seconds")]
    pub behind_after: Duration,
    /// Between two blocks.
    #[serde(with = "seconds")]
    pub block_time: Duration,
}

/// A chain, and a subnet of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainPlace {
    /// The hash of the chain's first block, by which it is known: `0x` and 64 hex digits.
    pub genesis: String,
    /// The subnet.
    pub netuid: u16,
}

impl Default for ChainConstants {
    fn default() -> Self {
        let place = |genesis: &str, netuid| ChainPlace { genesis: genesis.to_owned(), netuid };
        Self {
            mainnet: place("0x2f0555cc76fc2840a25a6ea3b9637146806f1f44b090c175ffde2a7e5ab36c03", 9),
            // The specification names no subnet of the test network: it runs with the same number.
            testnet: place("0x8f9cf856bf558a14440e75569c9e58594757048d7b3a84b5d25f6bd978263105", 9),
            limit: Duration::from_secs(30),
            every: Duration::from_secs(600),
            first_retry_pause: Duration::from_secs(15),
            behind_after: Duration::from_secs(600),
            block_time: Duration::from_secs(12),
        }
    }
}
