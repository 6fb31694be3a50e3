//! Counts of bytes sent and received, shared by everything that moves data, so that the screen can
//! show what the miner costs in traffic.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of payload since the miner started: bodies and peer messages, without headers and
/// encryption. A cheap handle; clones count together.
#[derive(Clone, Debug, Default)]
pub struct Traffic(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Traffic {
    /// Bytes sent.
    pub fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// Bytes received.
    pub fn received(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }

    /// Adds to the bytes sent.
    pub fn add_sent(&self, bytes: usize) {
        self.0.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Adds to the bytes received.
    pub fn add_received(&self, bytes: usize) {
        self.0.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}
