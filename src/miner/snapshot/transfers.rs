//! Uploads as they go on, and the last merges.

use serde::{Deserialize, Serialize};

/// So many merges are kept.
pub const MOST_MERGES: usize = 16;
/// So many uploads are shown.
pub const MOST_TRANSFERS: usize = 16;

/// Whether an upload meets its deadline at its present speed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "deadline", rename_all = "kebab-case")]
pub enum Deadline {
    /// No deadline is known, or no speed yet.
    #[default]
    Unknown,
    /// It will be there so many seconds before.
    Fits {
        /// Seconds.
        by: f64,
    },
    /// It will be so many seconds late.
    Misses {
        /// Seconds.
        by: f64,
    },
}

/// One upload. Own measurement; the deadline is the network's limit of the phase, counted from when it
/// began here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TransferView {
    /// What: `weights`, `optimizer_state`, `activation`, `partition`.
    pub file: String,
    /// Unix seconds of its beginning.
    pub began: f64,
    /// Unix seconds of its end; none while it goes on.
    pub ended: Option<f64>,
    /// Bytes that the store has, those of earlier attempts included.
    pub sent: u64,
    /// Bytes in all.
    pub total: u64,
    /// Parts that the store has.
    pub parts_done: usize,
    /// All parts.
    pub parts: usize,
    /// Over the last ten seconds.
    pub bytes_per_second: f64,
    /// Unix seconds at which it is of no more use; none where nobody said.
    pub deadline_at: Option<f64>,
    /// Whether it will be there in time.
    pub verdict: Deadline,
    /// Bytes a second that the user's own limit leaves it, where that alone makes it late.
    pub held_back: Option<f64>,
}

/// A merge of this miner's partitions. Own measurement; the orchestrator says which they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MergeView {
    /// The epoch.
    pub epoch: u64,
    /// Partitions merged and accepted so far.
    pub done: usize,
    /// Partitions of this miner.
    pub of: usize,
    /// Unix seconds of its beginning.
    pub began: f64,
    /// Unix seconds of its end; none while it goes on.
    pub ended: Option<f64>,
}
