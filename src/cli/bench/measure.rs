//! Measuring: warm up, repeat, and say median and quartiles.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::clock::Clock;

/// How long something is measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Effort {
    /// Samples, at least.
    pub least: usize,
    /// Samples, at most.
    pub most: usize,
    /// No new sample after this long, once there are enough.
    pub time: Duration,
    /// A sample is of so many runs that it takes about this long.
    pub sample: Duration,
}

impl Effort {
    /// For a look: a quarter of a second for each thing.
    pub const QUICK: Self = Self {
        least: 3,
        most: 30,
        time: Duration::from_millis(200),
        sample: Duration::from_millis(2),
    };
    /// For numbers to compare.
    pub const FULL: Self = Self {
        least: 5,
        most: 60,
        time: Duration::from_millis(1200),
        sample: Duration::from_millis(10),
    };
}

/// Seconds of one run: how they spread over the samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Half of the samples took less.
    pub median: f64,
    /// A quarter took less.
    pub low: f64,
    /// A quarter took more.
    pub high: f64,
    /// How many samples there are.
    pub samples: usize,
}

impl Spread {
    /// Of samples in seconds, in any order; all zero if there are none.
    pub fn of(mut seconds: Vec<f64>) -> Self {
        seconds.sort_by(f64::total_cmp);
        let at = |quarter: usize| {
            let place = (seconds.len().saturating_sub(1)) * quarter;
            let (from, part) = (place / 4, (place % 4) as f64 / 4.0);
            let next = seconds.get(from + 1).or(seconds.get(from));
            match (seconds.get(from), next) {
                (Some(low), Some(high)) => low + (high - low) * part,
                _ => 0.0,
            }
        };
        Self { median: at(2), low: at(1), high: at(3), samples: seconds.len() }
    }
}

/// Measures `work`, which does something so many times and waits until it is done.
///
/// # Errors
/// The first error of `work`.
pub fn measure<E>(
    clock: &Clock,
    effort: Effort,
    mut work: impl FnMut(usize) -> Result<(), E>,
) -> Result<Spread, E> {
    let mut timed = |runs: usize| -> Result<f64, E> {
        let start = clock.now();
        work(runs)?;
        Ok(clock.now().since(start).as_secs_f64())
    };
    // The first run compiles and touches memory for the first time; the second tells how long one takes.
    timed(1)?;
    let one = timed(1)?.max(1e-9);
    let runs = runs_of(effort.sample, one);
    let start = clock.now();
    let mut samples = Vec::new();
    while samples.len() < effort.least
        || (samples.len() < effort.most && clock.now().since(start) < effort.time)
    {
        samples.push(timed(runs)? / runs as f64);
    }
    Ok(Spread::of(samples))
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn runs_of(sample: Duration, one: f64) -> usize {
    (sample.as_secs_f64() / one).ceil().clamp(1.0, 1000.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_the_quartiles_between_the_samples() {
        let spread = Spread::of(vec![5.0, 1.0, 3.0, 2.0, 4.0]);
        assert_eq!((spread.low, spread.median, spread.high), (2.0, 3.0, 4.0));
        let spread = Spread::of(vec![1.0, 2.0]);
        assert_eq!((spread.low, spread.median, spread.high), (1.25, 1.5, 1.75));
        assert_eq!(Spread::of(vec![7.0]).median, 7.0);
        assert_eq!(Spread::of(Vec::new()), Spread::default());
    }

    #[test]
    fn enough_samples_are_taken_and_errors_end_it() {
        let effort = Effort { time: Duration::ZERO, sample: Duration::ZERO, ..Effort::QUICK };
        let mut calls = 0;
        let spread = measure(&Clock::system(), effort, |runs| {
            calls += 1;
            assert_eq!(runs, 1);
            Ok::<(), ()>(())
        });
        assert_eq!(spread.unwrap().samples, 3);
        assert_eq!(calls, 5);
        assert_eq!(measure(&Clock::system(), effort, |_| Err("broken")), Err("broken"));
    }

    #[test]
    fn short_work_is_repeated_within_a_sample() {
        assert_eq!(runs_of(Duration::from_millis(10), 0.001), 10);
        assert_eq!(runs_of(Duration::from_millis(10), 1.0), 1);
        assert_eq!(runs_of(Duration::from_millis(10), 1e-9), 1000);
    }
}
