//! How much of the time the device computes: after each piece of work it rests in proportion, so that
//! it is busy for the share that was asked for. A gradient waits for a short rest only, since others
//! wait for it and it frees memory; what it did not wait for is made up before the next forward.

use std::time::Duration;

use crate::clock::Moment;
use crate::config::rules::Percent;

/// The longest rest before a backward.
const BACKWARD_WAITS: Duration = Duration::from_millis(500);

/// The pace.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    percent: Percent,
    /// When the last piece of work ended.
    ended: Moment,
    /// When all that it worked is made up for by rest.
    rested: Moment,
}

impl Pace {
    pub(super) fn new(now: Moment) -> Self {
        Self { percent: Percent::FULL, ended: now, rested: now }
    }

    /// Works for this share of the time from now on. Another share forgives what is still owed to the
    /// old one.
    pub(super) fn keep_to(&mut self, percent: Percent, now: Moment) {
        if percent != self.percent {
            self.percent = percent;
            self.rested = now;
        }
    }

    /// A piece of work was done.
    pub(super) fn worked(&mut self, began: Moment, ended: Moment) {
        let share = f64::from(self.percent.get()) / 100.0;
        let rest = ended.since(began).mul_f64((1.0 - share) / share);
        self.ended = ended;
        // What was still owed when it began is still owed.
        self.rested = ended + self.rested.since(began) + rest;
    }

    /// What is left of the rest before any work.
    pub(super) fn rest(&self, now: Moment) -> Option<Duration> {
        let until = self.rested.min(self.ended + BACKWARD_WAITS);
        Some(until.since(now)).filter(|rest| !rest.is_zero())
    }

    /// What is left of the rest before a forward.
    pub(super) fn rest_before_forward(&self, now: Moment) -> Option<Duration> {
        Some(self.rested.since(now)).filter(|rest| !rest.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Works and rests by the pace: forwards of 0.4 s, each followed by its backward of 0.8 s. Gives
    /// the share of the time that the device was busy, and the longest that a backward waited.
    fn drive(share: f64, pieces: usize) -> (f64, Duration) {
        let percent = Percent::nearest(share);
        let mut now = Moment::default();
        let mut pace = Pace::new(now);
        let (mut busy, mut longest) = (Duration::ZERO, Duration::ZERO);
        for piece in 0..pieces {
            pace.keep_to(percent, now);
            let backward = piece % 2 == 1;
            let came = now;
            let rest = if backward { pace.rest(now) } else { pace.rest_before_forward(now) };
            now = now + rest.unwrap_or_default();
            if backward {
                longest = longest.max(now.since(came));
            }
            let work = Duration::from_millis(if backward { 800 } else { 400 });
            pace.worked(now, now + work);
            now = now + work;
            busy += work;
        }
        now = now + pace.rest_before_forward(now).unwrap_or_default();
        (busy.as_secs_f64() / now.0.as_secs_f64() * 100.0, longest)
    }

    #[test]
    fn the_device_is_busy_for_the_share_that_was_asked_for() {
        for share in [1.0, 10.0, 33.0, 50.0, 75.0, 90.0, 100.0] {
            let (busy, longest) = drive(share, 400);
            assert!((busy - share).abs() < 0.5, "{share}: {busy}");
            assert!(longest <= BACKWARD_WAITS, "{share}: a backward waited {longest:?}");
        }
    }

    #[test]
    fn another_share_counts_at_once() {
        let mut pace = Pace::new(Moment::default());
        pace.keep_to(Percent::nearest(1.0), Moment::default());
        let end = Moment(Duration::from_secs(10));
        pace.worked(Moment::default(), end);
        assert_eq!(pace.rest_before_forward(end), Some(Duration::from_secs(990)));
        pace.keep_to(Percent::FULL, end);
        assert_eq!((pace.rest(end), pace.rest_before_forward(end)), (None, None));
    }
}
