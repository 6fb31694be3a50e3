//! How long to wait before trying again (spec 1.12, 1.13, 5.2, 6.9, 7.2). Pure: the caller brings
//! the random number and does the waiting. All times are in seconds.

use std::ops::RangeInclusive;

/// Jitter of reset waits: 25 % up or down.
const RESET_JITTER: f64 = 0.25;
/// Jitter of queue polling: 20 % up or down.
const POLL_JITTER: f64 = 0.2;
/// Longest wait between two looks at the registration queue.
const LONGEST_POLL: f64 = 3600.0;
/// How long an activation may stay in a cache, per stage still to come.
const CACHE_SECONDS_PER_STAGE: u64 = 300;

/// The wait before a reset, after `resets` resets in a row: none at first, then 5, 10, 20, ... 300.
pub fn reset_wait(resets: u32) -> f64 {
    match resets {
        0 => 0.0,
        n => (5.0 * doubled(n - 1)).min(300.0),
    }
}

/// [`reset_wait`] with its jitter.
pub fn reset_wait_range(resets: u32) -> RangeInclusive<f64> {
    spread(reset_wait(resets), RESET_JITTER)
}

/// The wait before asking the registration queue again; 0 stays 0. The number is the server's: one
/// that is negative counts as 0, and nobody waits longer than an hour.
pub fn queue_poll_range(poll_after_seconds: f64) -> RangeInclusive<f64> {
    // `clamp` alone would hand on what is not a number.
    let wait = if poll_after_seconds.is_nan() { 0.0 } else { poll_after_seconds };
    spread(wait.clamp(0.0, LONGEST_POLL), POLL_JITTER)
}

/// The point `unit` (0..1) of the way through `range`.
pub fn pick(range: &RangeInclusive<f64>, unit: f64) -> f64 {
    range.start() + (range.end() - range.start()) * unit
}

/// The wait after the publisher's try number `tries` (counted from 1) failed.
pub fn publish_retry(tries: u32) -> f64 {
    p2p_retry(tries.saturating_sub(1))
}

/// The wait before a peer request's retry number `retry` (counted from 0).
pub fn p2p_retry(retry: u32) -> f64 {
    (0.25 * doubled(retry)).min(5.0)
}

/// The wait after attempt `attempt` (counted from 0) at the object store failed.
pub fn storage_retry(attempt: u32) -> f64 {
    doubled(attempt)
}

/// The wait after the orchestrator answered attempt `attempt` (counted from 0) with HTTP 429.
pub fn rate_limit_retry(attempt: u32) -> f64 {
    doubled(attempt)
}

/// The wait after attempt `attempt` (counted from 0) at the bridge failed.
pub fn bridge_retry(attempt: u32) -> f64 {
    0.5 * doubled(attempt)
}

/// How long an activation may wait in the cache of `stage` of `stages`: longer, the further it has
/// to travel.
pub fn activation_cache_timeout(stages: usize, stage: usize) -> u64 {
    CACHE_SECONDS_PER_STAGE.saturating_mul(stages.saturating_sub(stage) as u64)
}

fn doubled(times: u32) -> f64 {
    // Larger powers are cut off by every caller's limit, or never reached.
    2.0_f64.powi(i32::try_from(times.min(60)).unwrap_or(60))
}

fn spread(wait: f64, jitter: f64) -> RangeInclusive<f64> {
    wait * (1.0 - jitter)..=wait * (1.0 + jitter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_limit_and_stay_there() {
        let waits: Vec<_> = (0..9).map(reset_wait).collect();
        assert_eq!(waits, [0.0, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]);
        assert!((reset_wait(u32::MAX) - 300.0).abs() < f64::EPSILON);
        assert!((publish_retry(u32::MAX) - 5.0).abs() < f64::EPSILON);
        assert!((pick(&reset_wait_range(1), 0.5) - 5.0).abs() < 1e-12);
        assert_eq!(queue_poll_range(0.0), 0.0..=0.0);
        for odd in [f64::NAN, f64::INFINITY, f64::MAX, -1.0, f64::NEG_INFINITY] {
            let range = queue_poll_range(odd);
            assert!(*range.start() >= 0.0 && *range.end() <= 2.0 * LONGEST_POLL, "{odd}");
        }
        assert_eq!(activation_cache_timeout(3, 5), 0);
    }
}
