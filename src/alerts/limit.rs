//! No more than one alert about the same in a while; what was held back is counted, and the last of it
//! is told when the while is over.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Alert, Kind};
use crate::clock::Moment;

/// What was told of when, and what waits.
#[derive(Debug)]
pub struct Limit {
    every: Duration,
    told: BTreeMap<(Kind, Option<String>), Told>,
}

#[derive(Debug)]
struct Told {
    at: Moment,
    /// The newest that was held back, and how many there were.
    held: Option<(Alert, u32)>,
}

impl Limit {
    /// At most one about the same in this time.
    pub fn new(every: Duration) -> Self {
        Self { every, told: BTreeMap::new() }
    }

    /// Another time from now on.
    pub fn set_every(&mut self, every: Duration) {
        self.every = every;
    }

    /// The alert, if it may be told now; else it is kept.
    pub fn pass(&mut self, alert: Alert, now: Moment) -> Option<Alert> {
        let key = (alert.kind, alert.miner.clone());
        match self.told.get_mut(&key) {
            Some(told) if now.since(told.at) < self.every => {
                let held = told.held.as_ref().map_or(0, |(_, held)| *held);
                told.held = Some((alert, held + 1));
                None
            }
            told => {
                let held_back = told.and_then(|told| told.held.take()).map_or(0, |(_, held)| held);
                self.told.insert(key, Told { at: now, held: None });
                Some(Alert { held_back, ..alert })
            }
        }
    }

    /// What was held back and may be told now: the newest of each, with how many others there were.
    pub fn due(&mut self, now: Moment) -> Vec<Alert> {
        let mut due = Vec::new();
        for told in self.told.values_mut() {
            if now.since(told.at) >= self.every
                && let Some((alert, held)) = told.held.take()
            {
                told.at = now;
                due.push(Alert { held_back: held - 1, ..alert });
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    #[test]
    fn one_in_a_while_and_the_rest_is_counted() {
        let mut limit = Limit::new(Duration::from_secs(60));
        let alert = |n: u64| Alert::of(Kind::Kicked, "m0", n.to_string(), "x", n);
        assert_eq!(limit.pass(alert(0), at(0)).unwrap().held_back, 0);
        for second in 1..5 {
            assert_eq!(limit.pass(alert(second), at(second)), None);
        }
        // Of another miner, or another thing, it is told at once.
        assert!(limit.pass(Alert::of(Kind::Kicked, "m1", "", "x", 0), at(5)).is_some());
        assert!(limit.pass(Alert::of(Kind::Fault, "m0", "", "x", 0), at(5)).is_some());
        assert_eq!(limit.due(at(59)), []);
        let due = limit.due(at(61));
        assert_eq!((due.len(), due[0].held_back, due[0].text.as_str()), (1, 3, "4"));
        assert_eq!(limit.due(at(200)), []);
        assert_eq!(limit.pass(alert(9), at(62)), None);
        assert_eq!(limit.pass(alert(10), at(122)).unwrap().held_back, 1);
    }
}
