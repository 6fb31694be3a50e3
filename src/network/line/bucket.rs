//! A token bucket: bytes may go at a rate, in bursts of no more than a tenth of a second of it. A
//! function of the time it is told, and nothing else.

use std::time::Duration;

use crate::clock::Moment;

/// A burst is at most what the rate brings in so much time.
pub(super) const BURST: Duration = Duration::from_millis(100);

/// Bytes that may go now.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    level: f64,
    at: Moment,
}

impl Bucket {
    /// An empty one.
    pub(super) fn new(now: Moment) -> Self {
        Self { level: 0.0, at: now }
    }

    /// Lets the time pass up to `now` at `rate` bytes per second. To be called before a rate changes.
    pub(super) fn advance(&mut self, now: Moment, rate: f64) {
        let seconds = now.since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.level = (self.level + seconds * rate).min(rate * BURST.as_secs_f64());
    }

    /// Takes `bytes`, or says after which time they can be had at this rate. More than a burst is had
    /// from a full bucket, which then owes the rest.
    pub(super) fn take(&mut self, now: Moment, bytes: usize, rate: f64) -> Result<(), Duration> {
        self.advance(now, rate);
        #[allow(clippy::cast_precision_loss)]
        let bytes = bytes as f64;
        let needed = bytes.min(rate * BURST.as_secs_f64());
        // A timer wakes a little early at times; a byte more or less is no matter.
        if self.level + 1.0 >= needed {
            self.level -= bytes;
            return Ok(());
        }
        let wait = (needed - self.level) / rate;
        Err(Duration::try_from_secs_f64(wait).unwrap_or(LONGEST).min(LONGEST))
    }
}

/// Nobody waits longer before looking again.
const LONGEST: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(seconds: f64) -> Moment {
        Moment(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn what_is_saved_up_is_a_tenth_of_a_second() {
        let mut bucket = Bucket::new(at(0.0));
        assert!(bucket.take(at(100.0), 100, 1000.0).is_ok());
        assert_eq!(bucket.take(at(100.0), 50, 1000.0), Err(Duration::from_millis(50)));
        assert!(bucket.take(at(100.05), 50, 1000.0).is_ok());
    }

    #[test]
    fn more_than_a_burst_is_owed() {
        let mut bucket = Bucket::new(at(0.0));
        assert!(bucket.take(at(1.0), 1100, 1000.0).is_ok());
        let wait = bucket.take(at(1.0), 1, 1000.0).unwrap_err().as_secs_f64();
        assert!((wait - 1.0).abs() < 0.01, "{wait}");
    }

    proptest! {
        /// Whoever always wants more gets the rate: never more than it by a burst and the last piece,
        /// never less than it by a piece, whatever the pieces, the rates and the moments are.
        #[test]
        fn a_greedy_taker_gets_the_rate(
            spells in prop::collection::vec((1.0e3_f64..1.0e8, 0.01_f64..3.0), 1..8),
            sizes in prop::collection::vec(1_usize..70_000, 1..20),
        ) {
            let mut bucket = Bucket::new(at(0.0));
            let (mut now, mut due, mut got) = (0.0, 0.0, 0.0);
            let mut turn = 0;
            let (mut widest, mut most) = (0.0_f64, 0.0_f64);
            for (rate, lasts) in spells {
                let end = now + lasts;
                widest = widest.max(rate * BURST.as_secs_f64());
                while now < end {
                    let size = sizes[turn % sizes.len()];
                    match bucket.take(at(now), size, rate) {
                        Ok(()) => {
                            got += size as f64;
                            most = most.max(size as f64);
                            turn += 1;
                        }
                        Err(wait) => {
                            let next = (now + wait.as_secs_f64().max(1e-6)).min(end);
                            due += (next - now) * rate;
                            now = next;
                        }
                    }
                    prop_assert!(got <= due + widest + most + 64.0, "{got} of {due}");
                }
                // As whoever changes the rate must: the time until then goes by the old one.
                bucket.advance(at(now), rate);
            }
            // What a spell at a high rate saved up may be lost to the next one's smaller burst.
            prop_assert!(got + widest + most + 64.0 >= due, "{got} of {due}");
        }

        /// Nobody is told to wait for ever, or for nothing.
        #[test]
        fn a_wait_ends(rate in 1.0_f64..1.0e9, bytes in 1_usize..10_000_000) {
            let mut bucket = Bucket::new(at(0.0));
            let mut now = 0.0;
            let mut tries = 0;
            while let Err(wait) = bucket.take(at(now), bytes, rate) {
                prop_assert!(!wait.is_zero());
                now += wait.as_secs_f64();
                tries += 1;
                prop_assert!(tries < 4, "{now}");
            }
        }
    }
}
