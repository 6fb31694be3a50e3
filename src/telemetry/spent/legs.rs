//! How long activations take on each leg of their way: means of the last ones, in milliseconds.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Moment;

/// A leg of an activation's way through a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Leg {
    /// Its bytes come in.
    Receive,
    /// It lies in the queue.
    Queue,
    /// Its forward is computed.
    Forward,
    /// Its result goes out.
    Send,
    /// Its gradient is awaited.
    Wait,
    /// Its backward is computed.
    Backward,
    /// Its gradient goes back.
    SendBack,
}

/// Legs.
const LEGS: usize = Leg::SendBack as usize + 1;
/// The last counts for one in so many of the mean.
const FOLLOWS: f64 = 16.0;
/// More open legs than this are given up: many times what a stage has in flight.
const MOST_OPEN: usize = 4096;

/// Means, and what has begun and not ended.
#[derive(Debug, Default)]
pub(super) struct Legs {
    means: [Option<f64>; LEGS],
    open: HashMap<(Leg, String), Moment>,
}

impl Legs {
    pub(super) fn begin(&mut self, leg: Leg, id: &str, now: Moment) {
        if self.open.len() >= MOST_OPEN {
            self.open.clear();
        }
        self.open.insert((leg, id.to_owned()), now);
    }

    /// An end without a beginning is that of something older than this book.
    pub(super) fn end(&mut self, leg: Leg, id: &str, now: Moment) {
        if let Some(began) = self.open.remove(&(leg, id.to_owned())) {
            self.took(leg, now.since(began));
        }
    }

    pub(super) fn took(&mut self, leg: Leg, time: Duration) {
        let milliseconds = time.as_secs_f64() * 1e3;
        if let Some(mean) = self.means.get_mut(leg as usize) {
            let before = mean.unwrap_or(milliseconds);
            *mean = Some(before + (milliseconds - before) / FOLLOWS);
        }
    }

    /// What is under way ends nowhere.
    pub(super) fn give_up(&mut self) {
        self.open.clear();
    }

    pub(super) fn mean(&self, leg: Leg) -> Option<f64> {
        self.means.get(leg as usize).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leg_counts_from_its_beginning_to_its_end_and_only_then() {
        let at = |millis| Moment(Duration::from_millis(millis));
        let mut legs = Legs::default();
        legs.end(Leg::Queue, "a", at(5));
        assert_eq!(legs.mean(Leg::Queue), None);
        legs.begin(Leg::Queue, "a", at(10));
        legs.begin(Leg::Wait, "a", at(15));
        legs.end(Leg::Queue, "a", at(30));
        assert_eq!((legs.mean(Leg::Queue), legs.mean(Leg::Wait)), (Some(20.0), None));
        legs.took(Leg::Queue, Duration::from_millis(36));
        assert_eq!(legs.mean(Leg::Queue), Some(21.0));
        legs.give_up();
        legs.end(Leg::Wait, "a", at(99));
        assert_eq!(legs.mean(Leg::Wait), None);
        for n in 0..3 * MOST_OPEN {
            legs.begin(Leg::Wait, &n.to_string(), at(1));
            assert!(legs.open.len() <= MOST_OPEN);
        }
    }
}
