//! How many parts go at a time, and when a part has taken so much longer than the others that it is
//! sent a second time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::config::constants::StorageConstants;

/// Parts at a time before the line's speed is known.
const AT_FIRST: usize = 4;
/// Parts at a time on the slowest line.
const FEWEST: usize = 2;
/// On a slow line so many parts go at a time that each is through in about so many seconds. More
/// would share the same line: each would take longer, and more would be lost with a connection.
const SECONDS_PER_PART: f64 = 60.0;
/// So many other parts must be through before one is called slow.
const SIBLINGS: usize = 2;

/// What was learned from the parts that are through.
#[derive(Debug, Default)]
pub(super) struct Pace {
    took: Mutex<Vec<Duration>>,
}

impl Pace {
    /// A part was through in so much time.
    pub(super) fn note(&self, took: Duration) {
        let mut all = self.took.lock().unwrap_or_else(PoisonError::into_inner);
        let place = all.partition_point(|other| *other <= took);
        all.insert(place, took);
    }

    /// Whether a part that is on its way for so long should be raced by a second try.
    pub(super) fn is_late(&self, elapsed: Duration, rules: &StorageConstants) -> bool {
        let all = self.took.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(median) = all.get(all.len() / 2).filter(|_| all.len() >= SIBLINGS) else {
            return false;
        };
        elapsed > rules.race_after
            && elapsed.as_secs_f64() > median.as_secs_f64() * rules.race_factor
    }
}

/// How many parts of `part_bytes` go at a time at `speed` (bytes per second; 0 if unknown): within
/// the memory and the number that the network's rules allow.
pub(super) fn width(rules: &StorageConstants, part_bytes: u64, speed: f64) -> usize {
    let part_bytes = part_bytes.max(1);
    let in_memory = usize::try_from(rules.upload_memory_bytes / part_bytes).unwrap_or(usize::MAX);
    let most = rules.parallel_parts.min(in_memory).max(1);
    if speed <= 0.0 {
        return AT_FIRST.min(most);
    }
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let through = (speed * SECONDS_PER_PART / part_bytes as f64) as usize;
    through.max(FEWEST).min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PART: u64 = 10 << 20;

    #[test]
    fn a_slow_line_carries_few_parts_and_a_fast_one_all_that_may_be() {
        let rules = StorageConstants::default();
        assert_eq!(width(&rules, PART, 0.0), 4);
        assert_eq!(width(&rules, PART, 125e3), 2, "1 Mbit/s");
        assert_eq!(width(&rules, PART, 1.25e6), 7, "10 Mbit/s");
        assert_eq!(width(&rules, PART, 125e6), 16, "1 Gbit/s");
    }

    #[test]
    fn parts_never_fill_more_memory_than_they_may() {
        let rules = StorageConstants::default();
        for part in [PART, 11 << 20, 40 << 20, 100 << 20] {
            for speed in [0.0, 1e4, 1e9] {
                let bytes = width(&rules, part, speed) as u64 * part;
                assert!(bytes <= rules.upload_memory_bytes, "{part} {speed}");
            }
        }
        assert_eq!(width(&rules, 1 << 40, 1e9), 1);
    }

    #[test]
    fn a_part_is_late_only_beside_others_that_were_not() {
        let rules = StorageConstants::default();
        let (pace, seconds) = (Pace::default(), Duration::from_secs);
        assert!(!pace.is_late(seconds(500), &rules));
        pace.note(seconds(6));
        assert!(!pace.is_late(seconds(500), &rules));
        pace.note(seconds(4));
        pace.note(seconds(2));
        assert!(!pace.is_late(seconds(12), &rules) && pace.is_late(seconds(13), &rules));
        let quick = Pace::default();
        quick.note(seconds(1));
        quick.note(seconds(1));
        assert!(!quick.is_late(seconds(10), &rules) && quick.is_late(seconds(11), &rules));
    }
}
