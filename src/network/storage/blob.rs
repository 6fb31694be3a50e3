//! Reading blobs by ranges (spec 5.2): header, then trailer, then the region that is wanted.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// A blob's trailer as it was downloaded.
#[derive(Debug)]
pub(super) struct RawTrailer {
    /// Where the payload ends and the trailer begins.
    pub offset: u64,
    /// JSON.
    pub json: Vec<u8>,
}

/// Trailers by URL, the oldest dropped first.
#[derive(Debug)]
pub(super) struct TrailerCache {
    capacity: usize,
    by_url: HashMap<String, Arc<RawTrailer>>,
    order: VecDeque<String>,
}

impl TrailerCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, by_url: HashMap::new(), order: VecDeque::new() }
    }

    pub(super) fn get(&self, url: &str) -> Option<Arc<RawTrailer>> {
        self.by_url.get(url).cloned()
    }

    pub(super) fn insert(&mut self, url: &str, trailer: Arc<RawTrailer>) {
        if self.by_url.insert(url.to_owned(), trailer).is_none() {
            self.order.push_back(url.to_owned());
        }
        while self.order.len() > self.capacity {
            if let Some(oldest) = self.order.pop_front() {
                self.by_url.remove(&oldest);
            }
        }
    }
}
