//! The pulse of the engine: it beats while the engine's own tasks get on, and stands still when they
//! hang, so that whoever watches (systemd's watchdog) can tell a hanging program from a waiting one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The pulse of one miner. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<Beats>);

#[derive(Debug, Default)]
struct Beats {
    count: AtomicU64,
    over: AtomicBool,
}

impl Pulse {
    /// One beat.
    pub fn beat(&self) {
        self.0.count.fetch_add(1, Ordering::Relaxed);
    }

    /// The miner has ended; that its pulse stands still means nothing any more.
    pub fn end(&self) {
        self.0.over.store(true, Ordering::Relaxed);
    }

    /// How many there were; `None` once it has ended.
    pub fn beats(&self) -> Option<u64> {
        (!self.0.over.load(Ordering::Relaxed)).then(|| self.0.count.load(Ordering::Relaxed))
    }
}
