//! Keeps a device under a power limit on average, by how much of the time it computes.

use std::time::Duration;

use crate::clock::Moment;

/// Between two corrections. Long enough for the device's own power to settle.
const CORRECT_EVERY: Duration = Duration::from_secs(10);
/// A gap this long between two looks is a sleep of the machine, not a measurement.
const GAP: Duration = Duration::from_secs(60);
/// It never computes less than this: a device that takes more than the limit at rest would stop for
/// ever.
pub(super) const LEAST: f64 = 5.0;
/// Below this share of the limit there is room for more.
const ROOM: f64 = 0.95;
/// The largest step down and up at once.
const STEP: (f64, f64) = (0.5, 1.1);
/// More is no measurement.
pub(super) const MOST_WATTS: f64 = 100_000.0;

/// Whether the device had work to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Labour {
    /// It had: what it takes now tells something of the share.
    AtWork,
    /// It had none: it takes little for another reason.
    Idle,
}

/// The controller.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Governor {
    percent: f64,
    watt_seconds: f64,
    seconds: f64,
    looked: Option<Moment>,
}

impl Governor {
    pub(super) fn new() -> Self {
        Self { percent: 100.0, watt_seconds: 0.0, seconds: 0.0, looked: None }
    }

    /// The share of the time that it lets the device compute.
    pub(super) fn percent(&self) -> f64 {
        self.percent
    }

    /// Takes a measurement over.
    pub(super) fn note(&mut self, watts: Option<f64>, limit: f64, labour: Labour, now: Moment) {
        let passed = self.looked.replace(now).map(|before| now.since(before));
        let (Some(watts), Some(passed), Labour::AtWork) = (watts, passed, labour) else { return };
        if passed > GAP {
            return;
        }
        self.watt_seconds += watts * passed.as_secs_f64();
        self.seconds += passed.as_secs_f64();
        if self.seconds < CORRECT_EVERY.as_secs_f64() {
            return;
        }
        let average = self.watt_seconds / self.seconds;
        (self.watt_seconds, self.seconds) = (0.0, 0.0);
        if average > limit || average < limit * ROOM {
            let step = (limit / average.max(1.0)).clamp(STEP.0, STEP.1);
            self.percent = (self.percent * step).clamp(LEAST, 100.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device that takes `rest` watts always and `work` more while it computes.
    fn settle(rest: f64, work: f64, limit: f64, minutes: u64) -> (Governor, f64) {
        let mut governor = Governor::new();
        let mut watts = rest + work;
        for second in (0..minutes * 60).step_by(5) {
            let now = Moment(Duration::from_secs(second));
            governor.note(Some(watts), limit, Labour::AtWork, now);
            watts = rest + work * governor.percent() / 100.0;
        }
        (governor, watts)
    }

    #[test]
    fn it_settles_just_under_the_limit() {
        let (governor, watts) = settle(40.0, 260.0, 200.0, 10);
        assert!((190.0..=200.5).contains(&watts), "{watts}");
        assert!((55.0..=65.0).contains(&governor.percent()), "{governor:?}");
    }

    #[test]
    fn it_goes_back_to_all_of_it_when_the_limit_is_far() {
        let (mut governor, _) = settle(40.0, 260.0, 100.0, 10);
        assert!(governor.percent() < 30.0);
        for second in (600..1200).step_by(5) {
            let now = Moment(Duration::from_secs(second));
            governor.note(Some(90.0), 400.0, Labour::AtWork, now);
        }
        assert_eq!(governor.percent(), 100.0);
    }

    #[test]
    fn a_limit_below_what_it_takes_at_rest_is_a_bound_and_not_a_stop() {
        assert_eq!(settle(80.0, 260.0, 50.0, 10).0.percent(), LEAST);
    }

    #[test]
    fn nothing_is_learned_without_work_or_measurement_or_over_a_sleep() {
        let mut governor = Governor::new();
        for second in (0..600).step_by(5) {
            let now = Moment(Duration::from_secs(second));
            governor.note(Some(900.0), 100.0, Labour::Idle, now);
            governor.note(None, 100.0, Labour::AtWork, now);
        }
        governor.note(Some(900.0), 100.0, Labour::AtWork, Moment(Duration::from_secs(4000)));
        assert_eq!(governor.percent(), 100.0);
    }
}
