//! How fast something goes, over 10 s, 60 s and 15 min: one meter for the miner and the swarm, so
//! that both screens mean the same by "tokens per second".

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Moment;

/// The windows of every rate that is shown.
pub const WINDOWS: [Duration; 3] =
    [Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(15 * 60)];

/// Amounts closer together than this are kept as one; the resolution of the meter.
const GRAIN: Duration = Duration::from_millis(250);

/// Adds up amounts and answers with rates per second over [`WINDOWS`].
#[derive(Clone, Debug, Default)]
pub struct RateMeter {
    amounts: VecDeque<(Moment, f64)>,
    started: Option<Moment>,
}

impl RateMeter {
    /// A meter that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts the time base without an amount; otherwise the first amount does.
    pub fn start(&mut self, now: Moment) {
        self.started.get_or_insert(now);
    }

    /// Notes that `amount` more was done by `now`.
    pub fn add(&mut self, now: Moment, amount: f64) {
        self.start(now);
        self.forget(now);
        match self.amounts.back_mut() {
            Some((at, sum)) if now.since(*at) < GRAIN => *sum += amount,
            _ => self.amounts.push_back((now, amount)),
        }
    }

    /// Rates per second over [`WINDOWS`]. A window longer than the meter's life is divided by the
    /// life (but at least a second), so that a young meter neither understates nor explodes.
    pub fn rates(&self, now: Moment) -> [f64; 3] {
        let life = self.started.map_or(Duration::ZERO, |started| now.since(started));
        WINDOWS.map(|window| {
            let fresh = self.amounts.iter().rev().take_while(|(at, _)| now.since(*at) < window);
            // From plus zero: the sum of nothing is minus zero.
            let sum = fresh.fold(0.0, |sum, (_, amount)| sum + amount);
            sum / window.min(life).max(Duration::from_secs(1)).as_secs_f64()
        })
    }

    fn forget(&mut self, now: Moment) {
        while self.amounts.front().is_some_and(|(at, _)| now.since(*at) >= WINDOWS[2]) {
            self.amounts.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Moment {
        Moment(Duration::from_secs_f64(seconds))
    }

    #[test]
    fn a_steady_flow_shows_the_same_rate_in_all_windows() {
        let mut meter = RateMeter::new();
        meter.start(at(0.0));
        for tick in 1..=18_000 {
            meter.add(at(f64::from(tick) * 0.1), 5.0);
        }
        for rate in meter.rates(at(1800.0)) {
            assert!((rate - 50.0).abs() < 2.0, "{rate}");
        }
    }

    #[test]
    fn a_burst_leaves_the_short_window_first() {
        let mut meter = RateMeter::new();
        meter.add(at(0.0), 600.0);
        let rates = meter.rates(at(30.0));
        assert_eq!(rates[0], 0.0);
        assert_eq!(rates[1], 20.0);
        assert_eq!(meter.rates(at(1000.0)), [0.0; 3]);
    }

    #[test]
    fn nothing_is_zero_and_the_first_moment_is_finite() {
        let mut meter = RateMeter::new();
        assert_eq!(meter.rates(at(5.0)), [0.0; 3]);
        meter.add(at(5.0), 10.0);
        assert_eq!(meter.rates(at(5.0)), [10.0; 3]);
    }
}
