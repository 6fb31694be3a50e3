//! The order of outgoing pushes: gradients before activations, then first come, first served; items
//! that pause stand aside until their time.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::Outbound;
use crate::clock::Moment;
use crate::protocol::ids::Hotkey;
use crate::protocol::messages::Direction;

/// A push with its history.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) outbound: Outbound,
    pub(super) enqueued: Moment,
    /// Tries that failed and counted.
    pub(super) failed: u32,
    /// What went wrong last; empty if nothing.
    pub(super) last: String,
    /// Who refused it since all were last asked.
    pub(super) refused_by: Vec<Hotkey>,
    /// The message, once built.
    pub(super) envelope: Option<Arc<Vec<u8>>>,
    /// Its place among those that came before and after; set by the queue.
    number: Option<u64>,
}

impl Item {
    pub(super) fn new(outbound: Outbound, enqueued: Moment) -> Self {
        Self {
            outbound,
            enqueued,
            failed: 0,
            last: String::new(),
            refused_by: Vec::new(),
            envelope: None,
            number: None,
        }
    }

    fn rank(&self) -> (bool, Reverse<Option<u64>>) {
        (self.outbound.direction == Direction::Backward, Reverse(self.number))
    }
}

/// A heap entry that is ordered by its key alone.
#[derive(Debug)]
struct Keyed<K> {
    key: K,
    item: Item,
}

impl<K: Ord> PartialEq for Keyed<K> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<K: Ord> Eq for Keyed<K> {}

impl<K: Ord> PartialOrd for Keyed<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K: Ord> Ord for Keyed<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key.cmp(&other.key)
    }
}

/// All pushes that wait.
#[derive(Debug, Default)]
pub(super) struct Queue {
    ready: BinaryHeap<Keyed<(bool, Reverse<Option<u64>>)>>,
    later: BinaryHeap<Keyed<(Reverse<Moment>, Reverse<Option<u64>>)>>,
    next: u64,
}

impl Queue {
    /// Enqueues; an item that was here before keeps its place.
    pub(super) fn push(&mut self, mut item: Item) {
        if item.number.is_none() {
            item.number = Some(self.next);
            self.next += 1;
        }
        self.ready.push(Keyed { key: item.rank(), item });
    }

    /// Enqueues from `at` on.
    pub(super) fn push_later(&mut self, item: Item, at: Moment) {
        self.later.push(Keyed { key: (Reverse(at), Reverse(item.number)), item });
    }

    /// The best item whose time has come.
    pub(super) fn pop(&mut self, now: Moment) -> Option<Item> {
        while self.later.peek().is_some_and(|first| first.key.0.0 <= now) {
            if let Some(due) = self.later.pop() {
                self.push(due.item);
            }
        }
        self.ready.pop().map(|keyed| keyed.item)
    }

    /// When the next pause ends. While this is due, [`Queue::pop`] gives something.
    pub(super) fn next_wake(&self) -> Option<Moment> {
        self.later.peek().map(|first| first.key.0.0)
    }

    /// Drops everything; gives how much that was.
    pub(super) fn clear(&mut self) -> usize {
        let count = self.ready.len() + self.later.len();
        self.ready.clear();
        self.later.clear();
        count
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::network::publisher::Target;
    use crate::protocol::ids::StageIndex;

    fn item(id: &str, direction: Direction) -> Item {
        let outbound = Outbound {
            activation: id.into(),
            direction,
            tensor_file: Arc::new(Vec::new()),
            sample_path: None,
            source: StageIndex(0),
            target: Target::AnyOf(StageIndex(1)),
        };
        Item::new(outbound, Moment::default())
    }

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    #[test]
    fn gradients_overtake_activations_and_each_kind_keeps_its_order() {
        let mut queue = Queue::default();
        for (id, direction) in [
            ("f1", Direction::Forward),
            ("b1", Direction::Backward),
            ("f2", Direction::Forward),
            ("b2", Direction::Backward),
        ] {
            queue.push(item(id, direction));
        }
        let order: Vec<_> =
            std::iter::from_fn(|| queue.pop(at(0))).map(|i| i.outbound.activation.0).collect();
        assert_eq!(order, ["b1", "b2", "f1", "f2"]);
    }

    #[test]
    fn a_paused_item_comes_back_in_its_old_place() {
        let mut queue = Queue::default();
        queue.push(item("f1", Direction::Forward));
        queue.push(item("f2", Direction::Forward));
        let first = queue.pop(at(0)).unwrap();
        queue.push_later(first, at(5));
        assert_eq!(queue.next_wake(), Some(at(5)));
        assert_eq!(queue.pop(at(5)).unwrap().outbound.activation.as_str(), "f1");
        assert_eq!(queue.pop(at(5)).unwrap().outbound.activation.as_str(), "f2");
        assert!(queue.pop(at(5)).is_none());
        let late = item("f3", Direction::Forward);
        queue.push_later(late, at(9));
        assert!(queue.pop(at(8)).is_none());
        assert_eq!(queue.clear(), 1);
    }
}
