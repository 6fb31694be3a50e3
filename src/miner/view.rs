//! Turns the news of the training phase into what faces see: counters, reasons, events.

use std::sync::atomic::{AtomicBool, Ordering};

use super::board::Board;
use super::duties::{durable_again, held_back, holding_stage, not_durable};
use super::snapshot::{Reason, State, Who};
use crate::network::Directory;
use crate::protocol::messages::MinerStatus;
use crate::protocol::{Epoch, Phase, StageIndex};
use crate::telemetry::{Event, Severity};
use crate::training::floor::{Idle, News, Observer, Wish};
use crate::training::keep::KeepNews;

use super::announce::Announcer;

/// Watches one training phase.
pub(super) struct TrainingView<'a> {
    pub(super) board: &'a Board,
    pub(super) announcer: &'a Announcer,
    pub(super) wish: tokio::sync::watch::Receiver<Wish>,
    pub(super) name: &'a str,
    pub(super) stage: StageIndex,
    pub(super) epoch: Epoch,
    pub(super) learning_rate: f64,
    pub(super) tokens_per_activation: u64,
    /// Who is there.
    pub(super) directory: &'a Directory,
    /// Whether the network lets this miner only look on.
    pub(super) benched: AtomicBool,
}

impl TrainingView<'_> {
    fn status(&self, reason: Reason, who: Who, next: &str) {
        if self.wish.borrow().stops() {
            show_stop(self.board);
        } else {
            self.board.status(State::Training, reason, who, next);
        }
    }

    /// Why there is nothing to do, and who can end that.
    fn idle(&self, why: Idle) {
        match why {
            Idle::Network(what) => {
                let next = "the orchestrator must answer again";
                self.status(Reason::NetworkTrouble { what }, Who::Network, next);
            }
            Idle::OtherStage => {
                let next = match holding_stage(&self.directory.peers(), Phase::Training) {
                    Some((stage, phase)) => {
                        format!("stage {stage} must train again ({})", phase.as_str())
                    }
                    None => "every stage must be training".to_owned(),
                };
                self.status(Reason::OtherStageNotTraining, Who::Network, &next);
            }
            Idle::CacheFull | Idle::NoActivation if self.benched.load(Ordering::Acquire) => {
                self.status(Reason::NextEpoch, Who::Network, "the next epoch must begin");
            }
            Idle::CacheFull => {
                self.without(Reason::CacheFull, Who::Peer, "a gradient must come back")
            }
            Idle::NoActivation if self.stage.0 == 0 => {
                let next = "the orchestrator must hand out samples";
                self.without(Reason::NoActivation, Who::Network, next);
            }
            Idle::NoActivation => {
                let next = "the stage before must send an activation";
                self.without(Reason::NoActivation, Who::Peer, next);
            }
        }
    }

    /// Nothing comes: because nobody works on some other stage, where that is so.
    fn without(&self, reason: Reason, who: Who, next: &str) {
        match held_back(&self.directory.peers(), self.stage) {
            Some((stage, rests)) => {
                let next = format!("stage {stage} must work again: {rests}");
                self.status(reason, Who::Peer, &next);
            }
            None => self.status(reason, who, next),
        }
    }
}

/// What is shown while it leaves. A pause is shown by the board itself.
pub(super) fn show_stop(board: &Board) {
    let next = "the work in hand must be finished";
    board.status(State::Stopping, Reason::StopRequested, Who::Machine, next);
}

impl Observer for TrainingView<'_> {
    fn tell(&self, news: News) {
        let board = self.board;
        match news {
            News::Busy => {
                self.status(Reason::WorkAvailable, Who::Machine, "the epoch's work must be done");
            }
            News::Idle(why) => self.idle(why),
            News::Forward => board.update(|snapshot| snapshot.work.forwards += 1),
            News::Backward => {
                board.add_tokens(self.tokens_per_activation);
                board.update(|snapshot| {
                    snapshot.work.backwards += 1;
                    snapshot.work.backwards_this_epoch += 1;
                });
            }
            News::Step(report) => {
                board.update(|snapshot| snapshot.work.optimizer_steps += 1);
                board.events().emit(Event::Step {
                    miner: self.name.to_owned(),
                    stage: self.stage.0,
                    lr: self.learning_rate,
                    grad_norm: report.grad_norm,
                });
            }
            News::Loss(activation, loss) => {
                board.add_loss(loss);
                let (epoch, activation) = (self.epoch.0, activation.to_string());
                board.events().emit(Event::Loss { epoch, activation, loss });
            }
            News::WorkLost(what) => {
                let fix = "Nothing: the network hands lost work out again.";
                board.finding(Severity::Warning, "work-lost", what, fix);
            }
            News::Mended => {
                let next = "an activation must come";
                self.status(Reason::NoActivation, Who::Peer, next);
            }
            News::Keeping(KeepNews::NotDurable(what)) => not_durable(board, what),
            News::Keeping(KeepNews::DurableAgain) => durable_again(board),
            News::Benched(benched) => {
                self.benched.store(benched, Ordering::Release);
                let status =
                    if benched { MinerStatus::Initializing } else { MinerStatus::Training };
                self.announcer.say(Phase::Training, status);
            }
        }
    }
}
