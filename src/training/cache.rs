//! Inputs of forwards whose gradient has not come back yet. A backward recomputes from here, so an
//! activation without an entry cannot be finished: the cache's size is what bounds the work in
//! flight (spec 8.8).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::queue::{Input, Source};
use crate::clock::Moment;
use crate::protocol::ActivationId;

/// One forward that waits for its gradient.
#[derive(Clone, Debug, PartialEq)]
pub struct CachedForward {
    /// The activation.
    pub id: ActivationId,
    /// What the forward started from.
    pub input: Arc<Input>,
    /// To whom the input's gradient goes; none at stage 0.
    pub source: Option<Source>,
    /// When the forward was done.
    pub since: Moment,
}

/// How many entries there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capacity {
    /// So many.
    Fixed(usize),
    /// Flag `auto_max_cache`: no limit until so many more backwards were done, then whatever the
    /// cache holds at that moment.
    Measuring {
        /// Backwards still to come.
        backwards_left: u32,
    },
}

/// The cache, in the order of the forwards.
#[derive(Clone, Debug)]
pub struct ForwardCache {
    entries: VecDeque<CachedForward>,
    capacity: Capacity,
    lifetime: Duration,
}

impl ForwardCache {
    /// An empty cache whose entries are given up after `lifetime`.
    pub fn new(capacity: Capacity, lifetime: Duration) -> Self {
        Self { entries: VecDeque::new(), capacity, lifetime }
    }

    /// Whether one more forward may be done.
    pub fn has_room(&self) -> bool {
        self.entries.len() < self.capacity()
    }

    /// The most entries there may be now.
    pub fn capacity(&self) -> usize {
        match self.capacity {
            Capacity::Fixed(capacity) => capacity.max(1),
            Capacity::Measuring { .. } => usize::MAX,
        }
    }

    /// Changes the limit (the run's configuration changed); entries stay.
    pub fn set_capacity(&mut self, capacity: Capacity) {
        self.capacity = capacity;
    }

    /// Keeps an input. An entry of the same activation is replaced. False, and nothing kept, if
    /// there is no room.
    pub fn insert(&mut self, entry: CachedForward) -> bool {
        if let Some(old) = self.entries.iter_mut().find(|old| old.id == entry.id) {
            *old = entry;
            return true;
        }
        let room = self.has_room();
        if room {
            self.entries.push_back(entry);
        }
        room
    }

    /// Takes an entry out, because its gradient has come or never will.
    pub fn take(&mut self, id: &ActivationId) -> Option<CachedForward> {
        let place = self.entries.iter().position(|entry| entry.id == *id)?;
        self.entries.remove(place)
    }

    /// Puts an entry that was taken out back to where it was; its place was kept.
    pub fn put_back(&mut self, entry: CachedForward) {
        let later = |other: &CachedForward| other.since > entry.since;
        let place = self.entries.iter().position(later).unwrap_or(self.entries.len());
        self.entries.insert(place, entry);
    }

    /// Tells that a backward was done (for [`Capacity::Measuring`]). `held` entries were in the
    /// cache when its gradient arrived.
    pub fn note_backward(&mut self, held: usize) {
        if let Capacity::Measuring { backwards_left } = self.capacity {
            self.capacity = match backwards_left {
                0 | 1 => Capacity::Fixed(held.max(1)),
                more => Capacity::Measuring { backwards_left: more - 1 },
            };
        }
    }

    /// Whether a forward of this activation waits for its gradient.
    pub fn contains(&self, id: &ActivationId) -> bool {
        self.entries.iter().any(|entry| entry.id == *id)
    }

    /// Forwards that wait for their gradient.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no forward waits.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Gives up on entries that are too old; returns their ids, oldest first.
    pub fn expire(&mut self, now: Moment) -> Vec<ActivationId> {
        let lifetime = self.lifetime;
        let old = |entry: &CachedForward| now.since(entry.since) >= lifetime;
        let expired = self.entries.iter().filter(|entry| old(entry));
        let expired: Vec<_> = expired.map(|entry| entry.id.clone()).collect();
        self.entries.retain(|entry| !old(entry));
        expired
    }

    /// Drops everything; returns how much it was.
    pub fn clear(&mut self) -> usize {
        let dropped = self.entries.len();
        self.entries.clear();
        dropped
    }
}

/// How long a stage waits for a gradient: earlier stages wait longer (spec 8.8).
pub fn lifetime(per_stage: Duration, stages: usize, stage: usize) -> Duration {
    per_stage * u32::try_from(stages.saturating_sub(stage).max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(id: u32, at: u64) -> CachedForward {
        CachedForward {
            id: format!("a{id}").into(),
            input: Arc::new(Input::Tokens(vec![id])),
            source: None,
            since: Moment(Duration::from_secs(at)),
        }
    }

    fn id(n: u32) -> ActivationId {
        format!("a{n}").into()
    }

    #[test]
    fn a_full_cache_refuses_new_ids_but_replaces_known_ones() {
        let mut cache = ForwardCache::new(Capacity::Fixed(2), Duration::from_secs(10));
        assert!(cache.insert(entry(1, 0)) && cache.insert(entry(2, 0)));
        assert!(!cache.has_room() && !cache.insert(entry(3, 0)));
        assert!(!cache.contains(&id(3)));
        assert!(cache.insert(entry(1, 5)));
        assert_eq!(cache.len(), 2);
        assert_eq!(cache.take(&id(1)), Some(entry(1, 5)));
        assert_eq!(cache.take(&id(1)), None);
        assert!(cache.insert(entry(3, 0)));
    }

    #[test]
    fn old_entries_are_given_up_and_named() {
        let mut cache = ForwardCache::new(Capacity::Fixed(9), Duration::from_secs(10));
        for (n, at) in [(1, 0), (2, 5), (3, 9)] {
            cache.insert(entry(n, at));
        }
        assert_eq!(cache.expire(Moment(Duration::from_secs(9))), []);
        assert_eq!(cache.expire(Moment(Duration::from_secs(15))), [id(1), id(2)]);
        assert_eq!(cache.len(), 1);
        assert_eq!(lifetime(Duration::from_secs(300), 3, 0), Duration::from_secs(900));
        assert_eq!(lifetime(Duration::from_secs(300), 3, 2), Duration::from_secs(300));
    }

    #[test]
    fn a_measured_capacity_freezes_after_three_backwards() {
        let measuring = Capacity::Measuring { backwards_left: 3 };
        let mut cache = ForwardCache::new(measuring, Duration::from_secs(10));
        for n in 0..7 {
            assert!(cache.insert(entry(n, 0)));
        }
        for n in 0..3 {
            assert_eq!(cache.capacity(), usize::MAX);
            let held = cache.len();
            cache.take(&id(n));
            cache.note_backward(held);
        }
        assert_eq!(cache.capacity(), 5);
        assert!(cache.insert(entry(10, 0)) && !cache.insert(entry(11, 0)));
    }
}
