//! The place in the registration queue, and how often and why it was lost, as far as this machine knows.

use serde::{Deserialize, Serialize};

/// A place in the registration queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueView {
    /// When the ticket was drawn, Unix seconds.
    pub since: f64,
    /// When the server last said anything of it, Unix seconds.
    pub heard: f64,
    /// The best place so far.
    pub best: Option<u64>,
    /// Places with the times they were told, oldest first.
    pub places: Vec<(f64, u64)>,
    /// How the place was lost, oldest first; of older tickets of this wait too.
    #[serde(default)]
    pub losses: Vec<PlaceLost>,
}

/// A place that was lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlaceLost {
    /// When this machine learned of it, Unix seconds.
    pub at: f64,
    /// The last place before; none where none had been told.
    pub from: Option<u64>,
    /// The place after it; none until one is told.
    pub to: Option<u64>,
    /// Why.
    #[serde(flatten)]
    pub why: WhyLost,
}

/// Why a place was lost. Only what the server said or this machine did itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum WhyLost {
    /// The server gives no reason, and this machine knows none.
    NotPublished,
    /// The server ended the ticket, with these words.
    Ended {
        /// The server's.
        words: String,
    },
    /// The server does not know the ticket any more.
    Forgotten,
    /// The place had to be confirmed, and no answer to this machine's confirmation came.
    Unconfirmed {
        /// Until when it was kept, in the server's words.
        until: Option<String>,
    },
    /// Hearth did not run for a while.
    Away {
        /// How long, in seconds.
        seconds: u64,
    },
}
