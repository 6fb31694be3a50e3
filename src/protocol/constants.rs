//! Names and numbers that are part of the wire format itself. What an operator may want to change
//! (hosts, intervals, limits) is a setting and lives in `config`, not here.

/// Miner spec version sent in `X-Spec-Version` (spec 1.2). The value the project was written for;
/// `config` may override it, since the network raises it often.
pub const SPEC_VERSION: u32 = 30017;

/// ALPN of unidirectional peer streams (spec 6.1).
pub const ALPN_UNI: &[u8] = b"my-simple-protocol/1.0/uni";
/// ALPN of bidirectional peer streams (spec 6.1).
pub const ALPN_BI: &[u8] = b"my-simple-protocol/1.0/bi";

/// Longest message that a peer stream may carry, in bytes: 100 MiB (spec 6.1).
pub const MAX_PEER_MESSAGE: usize = 100 * 1024 * 1024;

/// Smallest part the client plans for a multipart upload, in bytes: 10 MiB (spec 5.3).
pub const MIN_PART_SIZE: u64 = 10 * 1024 * 1024;
/// Most parts an upload may have (spec 5.3).
pub const MAX_NUM_PARTS: u64 = 10_000;

/// SS58 prefix of Bittensor addresses (spec 3.5).
pub const SS58_PREFIX: u8 = 42;

/// How long a signed pull request stays valid, in milliseconds (spec 6.6).
pub const P2P_AUTH_TIMEOUT_MS: u64 = 30_000;

/// Most batches in which a miner merges its partitions (spec 9.3).
pub const MAX_PARTITION_BATCHES: usize = 20;
