//! Going on where the miner stopped: whether the network is still where the work belongs that it has
//! kept.

use super::super::life::{Held, Life};
use super::super::machine::Outcome;
use crate::protocol::Phase;
use crate::telemetry::Severity;
use crate::training::load::{Synced, identity};

impl Life {
    /// The outcome of waiting for training, if the work that this miner holds is of the epoch in which
    /// its stage is: nothing is loaded then, and nothing lost. In training the merged weights listed
    /// must still be those that the work started from.
    pub(super) async fn where_it_stopped(&mut self, phase: Phase) -> Option<Outcome> {
        if self.held == Held::Nothing {
            return None;
        }
        let heard = self.heard;
        let stage = self.stage.as_mut().filter(|stage| stage.previous().is_some())?;
        if stage.epoch() != heard {
            self.held = Held::Nothing;
            return None;
        }
        if phase == Phase::Training {
            let listed = match self.services.orchestrator.merged_partitions().await {
                Ok(listed) => listed,
                Err(error) => return Some(super::of_call(&error)),
            };
            let same = stage.merged().is_none_or(|merged| *merged == identity(&listed));
            if !same {
                let what = "The network lists other merged weights than this miner's work of the \
                            epoch started from; they are loaded, and that work is lost.";
                self.held = Held::Nothing;
                let board = &self.board;
                board.finding(Severity::Warning, "work-of-other-weights", what.into(), "Nothing.");
                return None;
            }
        }
        self.held = Held::Nothing;
        self.synced = Synced::Before;
        let (epoch, backwards, steps) =
            (stage.epoch(), stage.count().backwards, stage.count().steps);
        let kept = stage.is_kept();
        tracing::info!(miner = self.settings.name, %epoch, backwards, steps, "going on");
        let what = format!(
            "Going on with epoch {epoch} where this miner stopped, with {backwards} backwards and \
             {steps} steps of it done."
        );
        self.board.finding(Severity::Info, "epoch-resumed", what, "Nothing.");
        self.board.update(|snapshot| snapshot.epoch = epoch.0);
        if !kept {
            let saved = self.save().await;
            if saved != Outcome::Done {
                return Some(saved);
            }
        }
        self.tell_keeping();
        Some(Outcome::Resumed(phase))
    }
}
