//! How often each miner calls (spec 2.5): a bucket for every hotkey and call, which fills at the rate
//! of the rules and holds a burst.

use std::collections::HashMap;
use std::time::Duration;

use crate::clock::Moment;
use crate::protocol::Hotkey;
use crate::swarm::rules::Rate;

/// Buckets kept before the full ones are dropped.
const MOST_BUCKETS: usize = 8192;
/// A bucket that was not touched for so long is full at every sensible rate.
const IDLE: Duration = Duration::from_secs(60);

/// What is left in a bucket, and when that was counted.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: f64,
    at: Moment,
}

/// All buckets.
#[derive(Debug, Default)]
pub(super) struct Rates(HashMap<(Hotkey, &'static str), Bucket>);

impl Rates {
    /// Whether `hotkey` may do `call` now; counts it if so.
    pub(super) fn take(
        &mut self,
        hotkey: &Hotkey,
        call: &'static str,
        rate: Rate,
        now: Moment,
    ) -> bool {
        if rate.per_second <= 0.0 {
            return true;
        }
        if self.0.len() >= MOST_BUCKETS {
            self.0.retain(|_, bucket| now.since(bucket.at) < IDLE);
        }
        let full = rate.burst.max(1.0);
        let bucket = self.0.entry((hotkey.clone(), call)).or_insert(Bucket { left: full, at: now });
        let filled = now.since(bucket.at).as_secs_f64() * rate.per_second;
        bucket.left = (bucket.left + filled).min(full);
        bucket.at = now;
        let may = bucket.left >= 1.0;
        if may {
            bucket.left -= 1.0;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment(Duration::from_millis(millis))
    }

    #[test]
    fn a_burst_passes_and_then_the_rate_holds_for_each_hotkey_and_call() {
        let mut rates = Rates::default();
        let (one, two) = (Hotkey::from_public_key(&[1; 32]), Hotkey::from_public_key(&[2; 32]));
        let rate = Rate { per_second: 2.0, burst: 3.0 };
        let mut ask = |hotkey: &Hotkey, call, now| rates.take(hotkey, call, rate, at(now));
        assert_eq!([0, 0, 0, 0].map(|now| ask(&one, "a", now)), [true, true, true, false]);
        assert!(ask(&two, "a", 0) && ask(&one, "b", 0), "others have their own");
        assert!(!ask(&one, "a", 499) && ask(&one, "a", 520) && !ask(&one, "a", 900));
        let passed = (0..100_u64).filter(|n| ask(&one, "a", 10_000 + 100 * n)).count();
        assert!((21..=23).contains(&passed), "{passed}: 3 at once, then 2 a second for 10 s");
    }

    #[test]
    fn without_a_rate_nothing_is_counted() {
        let mut rates = Rates::default();
        let one = Hotkey::from_public_key(&[1; 32]);
        assert!((0..1000).all(|_| rates.take(&one, "a", Rate::UNLIMITED, at(0))));
        assert!(rates.0.is_empty());
    }
}
