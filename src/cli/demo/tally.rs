//! The summary of a demo, counted from its events.

use std::collections::VecDeque;

use crate::telemetry::{Event, Summary};

/// How many losses the first and last means are over.
const ENDS: usize = 16;

/// Counts.
#[derive(Debug, Default)]
pub struct Tally {
    first_losses: Vec<f64>,
    last_losses: VecDeque<f64>,
    optimizer_steps: u64,
    partitions_merged: u64,
    caught: Vec<String>,
}

/// What the events do not say.
#[derive(Clone, Debug, Default)]
pub struct Rest {
    /// Epochs whose merge completed in every stage.
    pub epochs: u64,
    /// Pipeline stages.
    pub stages: usize,
    /// Miners.
    pub miners: usize,
    /// Backend word.
    pub backend: String,
    /// Device name.
    pub device: String,
    /// Forwards and backwards of all miners.
    pub forwards: u64,
    /// See `forwards`.
    pub backwards: u64,
    /// Unigram and bigram cross-entropy.
    pub baselines: (f64, f64),
    /// Tokens that reached the last stage.
    pub tokens: u64,
    /// Seconds of training, for the rate.
    pub training_seconds: f64,
    /// Wall time.
    pub seconds: f64,
}

impl Tally {
    /// Counts one event.
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::Loss { loss, .. } => self.note_loss(*loss),
            Event::Step { .. } => self.optimizer_steps += 1,
            Event::Merge { partitions, .. } => self.partitions_merged += *partitions as u64,
            Event::Evidence { miner, check, .. }
                if check == "punished" && !self.caught.contains(miner) =>
            {
                self.caught.push(miner.clone());
            }
            _ => {}
        }
    }

    fn note_loss(&mut self, loss: f64) {
        if self.first_losses.len() < ENDS {
            self.first_losses.push(loss);
        }
        if self.last_losses.len() >= ENDS {
            self.last_losses.pop_front();
        }
        self.last_losses.push_back(loss);
    }

    /// The summary.
    pub fn summary(&self, rest: &Rest) -> Summary {
        #[allow(clippy::cast_precision_loss)]
        Summary {
            epochs: rest.epochs,
            stages: rest.stages,
            miners: rest.miners,
            backend: rest.backend.clone(),
            device: rest.device.clone(),
            forwards: rest.forwards,
            backwards: rest.backwards,
            optimizer_steps: self.optimizer_steps,
            partitions_merged: self.partitions_merged,
            loss_first: mean(self.first_losses.iter()),
            loss_last: mean(self.last_losses.iter()),
            loss_unigram: rest.baselines.0,
            loss_bigram: rest.baselines.1,
            tokens: rest.tokens,
            tokens_per_second: if rest.training_seconds > 0.0 {
                rest.tokens as f64 / rest.training_seconds
            } else {
                0.0
            },
            caught: self.caught.clone(),
            seconds: rest.seconds,
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn mean<'a>(values: impl ExactSizeIterator<Item = &'a f64>) -> f64 {
    let many = values.len();
    if many == 0 { 0.0 } else { values.sum::<f64>() / many as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_and_last_are_means_of_sixteen() {
        let mut tally = Tally::default();
        for i in 0..40 {
            tally.note(&Event::Loss {
                epoch: 1,
                activation: format!("{i}"),
                loss: f64::from(if i < 16 {
                    8
                } else if i < 24 {
                    100
                } else {
                    2
                }),
            });
        }
        tally.note(&Event::Merge { stage: 0, epoch: 1, partitions: 4 });
        tally.note(&Event::Merge { stage: 1, epoch: 1, partitions: 4 });
        let summary = tally.summary(&Rest::default());
        assert_eq!((summary.loss_first, summary.loss_last), (8.0, 2.0));
        assert_eq!(summary.partitions_merged, 8);
    }

    #[test]
    fn nothing_seen_is_zero_not_nan() {
        let summary = Tally::default().summary(&Rest::default());
        assert_eq!((summary.loss_first, summary.tokens_per_second), (0.0, 0.0));
    }
}
