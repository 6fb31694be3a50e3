//! The pulse of the engine: it beats while the engine's own tasks get on, and stands still when they
//! hang, so that whoever watches (systemd's watchdog) can tell a hanging program from a waiting one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The pulse of one miner. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// One beat.
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were.
    pub fn beats(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
