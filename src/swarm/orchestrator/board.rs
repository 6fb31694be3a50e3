//! What the orchestrator shows of itself: losses, rates, the stages; one snapshot for the faces.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Moment;
use crate::swarm::run::Run;
use crate::swarm::snapshot::{Lab, LossPoint, SwarmSnapshot, Writing};
use crate::telemetry::Event;

/// Windows of the token rates.
const WINDOWS: [Duration; 3] =
    [Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(900)];

/// Losses that are kept for faces: a curve has no more points than a screen.
const MOST_LOSSES: usize = 4096;
/// The newest of them, which are kept one by one.
const NEWEST: usize = 512;

/// Leaves out every second one of the older losses.
fn thin(losses: &mut Vec<LossPoint>) {
    let older = losses.len().saturating_sub(NEWEST);
    let mut place = 0;
    losses.retain(|_| {
        place += 1;
        place > older || place % 2 == 0
    });
}

/// Collects what snapshots need besides the run itself.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// Cross-entropies of unigram and bigram models.
    pub(super) baselines: Option<(f64, f64)>,
    /// Where the orchestrator listens.
    pub(super) address: String,
    /// What the model was last asked to write.
    pub(super) writing: Writing,
    /// What was done to the miners on purpose.
    pub(super) lab: Lab,
    losses: Vec<LossPoint>,
    /// When how many tokens had been trained on, over the longest window.
    tokens: VecDeque<(Moment, u64)>,
}

impl Board {
    /// Takes notice of an event.
    pub(super) fn note(&mut self, event: &Event, now: Moment, tokens: u64) {
        if let Event::Loss { epoch, loss, .. } = event {
            let at = now.0.as_secs_f64();
            self.losses.push(LossPoint { at, tokens, epoch: *epoch, loss: *loss });
            if self.losses.len() > MOST_LOSSES {
                thin(&mut self.losses);
            }
            // One point a second is enough for a rate over ten, and bounds them.
            match self.tokens.back_mut() {
                Some(last) if last.0.0.as_secs() == now.0.as_secs() => *last = (now, tokens),
                _ => self.tokens.push_back((now, tokens)),
            }
        }
    }

    /// Everything a face shows.
    pub(super) fn snapshot(&mut self, run: &Run, now: Moment) -> SwarmSnapshot {
        let longest = WINDOWS[WINDOWS.len() - 1];
        // One point older than the window stays: the rate counts from it.
        while self.tokens.get(1).is_some_and(|(at, _)| now.since(*at) > longest) {
            self.tokens.pop_front();
        }
        SwarmSnapshot {
            run: run.plan().run_id.to_string(),
            epoch: run.epoch().0,
            epochs_done: run.epochs_done(),
            epoch_progress: run.epoch_progress(),
            stages: run.stage_views(),
            losses: self.losses.clone(),
            tokens: run.tokens(),
            tokens_per_second: WINDOWS.map(|window| self.rate(window, now)),
            baselines: self.baselines,
            address: self.address.clone(),
            writing: self.writing.clone(),
            lab: self.lab.clone(),
        }
    }

    /// Tokens a second since the last point before `window`, or since the first point there is.
    fn rate(&self, window: Duration, now: Moment) -> f64 {
        let Some((_, newest)) = self.tokens.back() else { return 0.0 };
        let before = self.tokens.iter().rev().find(|(at, _)| now.since(*at) > window);
        let Some((from, old)) = before.or(self.tokens.front()) else { return 0.0 };
        let seconds = now.since(*from).min(window).as_secs_f64();
        if seconds > 0.0 { (newest - old) as f64 / seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment(Duration::from_secs(seconds))
    }

    #[test]
    fn a_long_run_keeps_a_bounded_curve_whose_end_is_whole() {
        let mut board = Board::default();
        for n in 0..100_000_u32 {
            let loss = Event::Loss { epoch: 1, activation: "a".into(), loss: f64::from(n) };
            board.note(&loss, at(1), u64::from(n));
            assert!(board.losses.len() <= MOST_LOSSES);
        }
        let kept: Vec<f64> = board.losses.iter().map(|point| point.loss).collect();
        assert!(kept.is_sorted() && kept.len() > MOST_LOSSES / 2 - NEWEST);
        let newest: Vec<f64> = (100_000 - 400..100_000).map(f64::from).collect();
        assert_eq!(kept[kept.len() - 400..], newest);
    }

    #[test]
    fn rates_count_the_tokens_of_their_window() {
        let mut board = Board::default();
        let loss = Event::Loss { epoch: 1, activation: "a".into(), loss: 2.0 };
        assert_eq!(board.rate(WINDOWS[0], at(0)), 0.0);
        for second in 0..=100 {
            board.note(&loss, at(second), second * 50);
        }
        assert!((board.rate(WINDOWS[0], at(100)) - 55.0).abs() < 1e-9);
        assert!((board.rate(WINDOWS[1], at(100)) - 50.0 * 61.0 / 60.0).abs() < 1e-9);
        assert!((board.rate(WINDOWS[2], at(100)) - 50.0).abs() < 1e-9);
        // Nothing came for a minute: the short window is empty.
        assert_eq!(board.rate(WINDOWS[0], at(170)), 0.0);
    }
}
