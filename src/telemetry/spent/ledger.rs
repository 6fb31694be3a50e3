//! The book behind the time sheet: times of activities in whole nanoseconds, in the buckets of two
//! sliding windows and of an epoch. What is in a window is exactly the time that it covers.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::{Activity, Parts, WHOLE};
use crate::clock::Moment;

/// Kinds of activity.
const KINDS: usize = Activity::ALL.len();
/// Buckets of a sliding window.
const BUCKETS: usize = 60;
/// Length of a bucket of the short and of the long window.
const GRAINS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(15)];

/// Times of all activities.
type Times = [u64; KINDS];

/// The last sixty buckets; the newest is still filled.
#[derive(Clone, Debug)]
struct Sliding {
    grain: u64,
    /// Number of the newest bucket, counted from the clock's start.
    newest: u64,
    buckets: VecDeque<Times>,
    sum: Times,
}

impl Sliding {
    fn new(grain: Duration, now: u64) -> Self {
        let grain = nanos(grain);
        let buckets = VecDeque::from([[0; KINDS]]);
        Self { grain, newest: now / grain, buckets, sum: [0; KINDS] }
    }

    /// The time from `from` to `to` went into one activity.
    fn add(&mut self, kind: usize, mut from: u64, to: u64) {
        // What has left the window before it was written need not be gone through bucket by bucket.
        from = from.max(to.saturating_sub(self.grain * (BUCKETS as u64 + 1)));
        while from < to {
            let number = from / self.grain;
            let end = to.min((number + 1) * self.grain);
            self.turn_to(number);
            if let Some(bucket) = self.buckets.back_mut() {
                bucket[kind] += end - from;
                self.sum[kind] += end - from;
            }
            from = end;
        }
    }

    /// Makes the bucket of this number the newest.
    fn turn_to(&mut self, number: u64) {
        let ahead = number.saturating_sub(self.newest);
        for _ in 0..ahead.min(BUCKETS as u64) {
            if self.buckets.len() >= BUCKETS
                && let Some(old) = self.buckets.pop_front()
            {
                for (sum, gone) in self.sum.iter_mut().zip(old) {
                    *sum -= gone;
                }
            }
            self.buckets.push_back([0; KINDS]);
        }
        self.newest = self.newest.max(number);
    }
}

/// What the time went into, from its beginning on.
#[derive(Clone, Debug)]
pub struct Ledger {
    activity: Activity,
    /// Until when it is written.
    written: u64,
    sliding: [Sliding; 2],
    epoch: Times,
    /// From the beginning.
    all: Times,
}

impl Ledger {
    /// A book that begins with this activity.
    pub fn new(now: Moment, activity: Activity) -> Self {
        let now = nanos(now.0);
        let sliding = GRAINS.map(|grain| Sliding::new(grain, now));
        Self { activity, written: now, sliding, epoch: [0; KINDS], all: [0; KINDS] }
    }

    /// Another activity begins. A moment before the last one counts as that one.
    pub fn switch(&mut self, now: Moment, activity: Activity) {
        self.write(now);
        self.activity = activity;
    }

    /// Another epoch begins.
    pub fn begin_epoch(&mut self, now: Moment) {
        self.write(now);
        self.epoch = [0; KINDS];
    }

    /// The last minute, the last quarter of an hour, and this epoch: seconds and parts of each.
    pub fn read(&mut self, now: Moment) -> [(f64, Parts); 3] {
        self.write(now);
        let [short, long] = &self.sliding;
        [&short.sum, &long.sum, &self.epoch].map(|times| {
            let all: u64 = times.iter().sum();
            (Duration::from_nanos(all).as_secs_f64(), parts(times))
        })
    }

    /// All of the time, by what it went into.
    pub fn totals(&mut self, now: Moment) -> BTreeMap<Activity, Duration> {
        self.write(now);
        let times = Activity::ALL.into_iter().zip(self.all);
        let some = times.filter(|(_, nanos)| *nanos > 0);
        some.map(|(activity, nanos)| (activity, Duration::from_nanos(nanos))).collect()
    }

    fn write(&mut self, now: Moment) {
        let now = nanos(now.0);
        if now <= self.written {
            return;
        }
        let kind = self.activity as usize;
        for window in &mut self.sliding {
            window.add(kind, self.written, now);
        }
        self.epoch[kind] += now - self.written;
        self.all[kind] += now - self.written;
        self.written = now;
    }
}

/// Ten thousandths that add up to the whole: each is rounded down, and what is left goes to those that
/// lost most by it.
fn parts(times: &Times) -> Parts {
    let all: u128 = times.iter().map(|time| u128::from(*time)).sum();
    if all == 0 {
        return Parts::new();
    }
    let whole = u128::from(WHOLE);
    let mut shares: Vec<(Activity, u128, u128)> = Activity::ALL
        .into_iter()
        .zip(times)
        .map(|(activity, time)| {
            let exact = u128::from(*time) * whole;
            (activity, exact / all, exact % all)
        })
        .collect();
    let given: u128 = shares.iter().map(|(_, share, _)| share).sum();
    shares.sort_by_key(|(activity, _, lost)| (std::cmp::Reverse(*lost), *activity));
    let left = usize::try_from(whole - given).unwrap_or_default();
    for (_, share, _) in shares.iter_mut().take(left) {
        *share += 1;
    }
    let some = shares.into_iter().filter(|(_, share, _)| *share > 0);
    some.map(|(activity, share, _)| (activity, u16::try_from(share).unwrap_or(WHOLE))).collect()
}

/// A run of five hundred years is as long as it gets.
fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever happens when, each window holds exactly the time that it covers, and its parts
        /// make the whole.
        #[test]
        fn the_parts_of_any_window_make_the_whole(
            start in 0_u64..10_000_000_000_000,
            steps in prop::collection::vec(
                (0..KINDS, prop_oneof![0_u64..2_000_000, 0_u64..3_000_000_000, 0_u64..2_000_000_000_000], any::<bool>()),
                1..200,
            ),
        ) {
            let at = |nanos| Moment(Duration::from_nanos(nanos));
            let mut now = start;
            let mut epoch = start;
            let mut ledger = Ledger::new(at(now), Activity::Start);
            for (kind, time, new_epoch) in steps {
                ledger.switch(at(now), Activity::ALL[kind]);
                now += time;
                if new_epoch && time % 7 == 0 {
                    ledger.begin_epoch(at(now));
                    epoch = now;
                }
                // An earlier moment changes nothing.
                ledger.switch(at(now.saturating_sub(5)), Activity::ALL[kind]);
                let read = ledger.read(at(now));
                let all: Duration = ledger.totals(at(now)).values().sum();
                prop_assert_eq!(all, Duration::from_nanos(now - start));
                let covers = |grain: u64| {
                    // From the beginning of the oldest bucket, if it began within the window.
                    let oldest = (now.saturating_sub(1) / grain + 1).saturating_sub(60) * grain;
                    now - oldest.max(start)
                };
                let expected = [covers(1_000_000_000), covers(15_000_000_000), now - epoch];
                for ((seconds, parts), expected) in read.into_iter().zip(expected) {
                    prop_assert_eq!(
                        Duration::from_nanos(expected).as_secs_f64(), seconds
                    );
                    let sum: u32 = parts.values().map(|part| u32::from(*part)).sum();
                    prop_assert_eq!(sum, if expected == 0 { 0 } else { u32::from(WHOLE) });
                    prop_assert!(parts.values().all(|part| *part > 0));
                }
            }
        }
    }

    #[test]
    fn old_time_leaves_the_short_window_first() {
        let at = |seconds| Moment(Duration::from_secs(seconds));
        let mut ledger = Ledger::new(at(0), Activity::Forward);
        ledger.switch(at(100), Activity::Pause);
        let [(_, minute), (_, quarter), (seconds, epoch)] = ledger.read(at(160));
        assert_eq!(minute, Parts::from([(Activity::Pause, WHOLE)]));
        assert_eq!(quarter, Parts::from([(Activity::Forward, 6250), (Activity::Pause, 3750)]));
        assert_eq!((seconds, epoch), (160.0, quarter));
    }
}
