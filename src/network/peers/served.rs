//! Activations that others may pull (spec 6.9): the newest few, for a limited time.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::protocol::ids::ActivationId;

/// What a look-up found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The serialized tensor.
    Fresh(Arc<Vec<u8>>),
    /// It was here, but is too old.
    Expired,
    /// Never here, or evicted.
    Nothing,
}

/// Evicts in the order of first insertion; a replaced entry keeps its place, as on the live network.
#[derive(Debug)]
pub(super) struct ServedCache {
    capacity: usize,
    ttl: Duration,
    entries: HashMap<ActivationId, (Arc<Vec<u8>>, Moment)>,
    order: VecDeque<ActivationId>,
}

impl ServedCache {
    pub(super) fn new(capacity: usize, ttl: Duration) -> Self {
        Self { capacity, ttl, entries: HashMap::new(), order: VecDeque::new() }
    }

    pub(super) fn insert(&mut self, id: ActivationId, bytes: Arc<Vec<u8>>, now: Moment) {
        if self.entries.insert(id.clone(), (bytes, now)).is_none() {
            self.order.push_back(id);
        }
        self.evict();
    }

    pub(super) fn get(&self, id: &ActivationId, now: Moment) -> Found {
        match self.entries.get(id) {
            None => Found::Nothing,
            Some((_, stored)) if now.since(*stored) > self.ttl => Found::Expired,
            Some((bytes, _)) => Found::Fresh(Arc::clone(bytes)),
        }
    }

    pub(super) fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.evict();
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.order.clear();
    }

    fn evict(&mut self) {
        while self.order.len() > self.capacity {
            if let Some(oldest) = self.order.pop_front() {
                self.entries.remove(&oldest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    #[test]
    fn the_first_inserted_goes_first_even_if_it_was_replaced() {
        let mut cache = ServedCache::new(2, Duration::from_secs(10));
        for (id, byte) in [("a", 1_u8), ("b", 2), ("a", 3), ("c", 4)] {
            cache.insert(id.into(), Arc::new(vec![byte]), at(0));
        }
        assert_eq!(cache.get(&"a".into(), at(0)), Found::Nothing);
        assert_eq!(cache.get(&"b".into(), at(0)), Found::Fresh(Arc::new(vec![2])));
        assert_eq!(cache.get(&"c".into(), at(0)), Found::Fresh(Arc::new(vec![4])));
        cache.set_capacity(1);
        assert_eq!(cache.get(&"b".into(), at(0)), Found::Nothing);
        cache.clear();
        assert_eq!(cache.get(&"c".into(), at(0)), Found::Nothing);
    }

    #[test]
    fn an_entry_expires_after_its_time_and_is_fresh_again_when_replaced() {
        let mut cache = ServedCache::new(2, Duration::from_secs(10));
        cache.insert("a".into(), Arc::new(vec![1]), at(0));
        assert_ne!(cache.get(&"a".into(), at(10)), Found::Expired);
        assert_eq!(cache.get(&"a".into(), at(11)), Found::Expired);
        cache.insert("a".into(), Arc::new(vec![2]), at(11));
        assert_eq!(cache.get(&"a".into(), at(20)), Found::Fresh(Arc::new(vec![2])));
    }
}
