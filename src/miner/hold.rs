//! What a pause lets the miner do, and waiting for its end. A paused miner keeps its place: it answers
//! heartbeats, and hands in what it learned where the rule that pauses it allows that. It begins
//! nothing new: no stage is built, no weights are fetched, no epoch is joined. One that was restarted in
//! its pause has work of the epoch on the disk: where the pause allows it, that is handed in like any
//! other when the epoch ends, and the stage is built for that alone.

use tokio::sync::watch;

use super::life::{Held, Life};
use super::machine::Duty;
use super::view::show_stop;
use crate::config::rules::Manner;
use crate::protocol::{Epoch, Phase, ServerError};
use crate::training::floor::Wish;

/// Whether a miner that pauses in this manner may begin, or go on with, a duty.
fn allows(manner: Manner, duty: Duty) -> bool {
    match duty {
        // The place in the queue, and what is in hand, are kept in every pause.
        Duty::Register | Duty::Train | Duty::Stopped | Duty::Fault => true,
        Duty::Upload | Duty::AwaitMerging | Duty::Merge => manner == Manner::Orderly,
        Duty::Build | Duty::AwaitTraining | Duty::Load => false,
    }
}

/// The same of a miner that holds work of an epoch in its stage: it looks for where that belongs.
fn may(manner: Manner, duty: Duty, held: Held) -> bool {
    let looks = duty == Duty::AwaitTraining && held == Held::Epoch && manner == Manner::Orderly;
    looks || allows(manner, duty)
}

/// Whether a duty still serves a miner that ends with its epoch.
fn serves_the_end(duty: Duty) -> bool {
    matches!(duty, Duty::Train | Duty::Upload | Duty::AwaitMerging | Duty::Merge)
}

/// Until a pause forbids a duty that is under way. What is built, loaded or registered for is let
/// finish; it is not begun.
pub(super) async fn until_held(mut wish: watch::Receiver<Wish>, duty: Duty, held: Held) {
    let breaks = |duty| {
        matches!(duty, Duty::AwaitTraining | Duty::Upload | Duty::AwaitMerging | Duty::Merge)
    };
    let stays =
        |wish: &Wish| breaks(duty) && wish.pauses().is_some_and(|manner| !may(manner, duty, held));
    if wish.wait_for(stays).await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl Life {
    /// The duty that may begin now: `duty`, once no pause forbids it, or the end.
    pub(super) async fn cleared(&mut self, duty: Duty) -> Duty {
        let mut wish = self.wish.clone();
        loop {
            let wanted = *wish.borrow_and_update();
            if wanted.stops() {
                show_stop(&self.board);
                return Duty::Stopped;
            }
            if wanted.finishes() && !serves_the_end(duty) {
                return Duty::Stopped;
            }
            match wanted.pauses() {
                Some(manner) if !may(manner, duty, self.held) => {}
                _ => return duty,
            }
            tokio::select! {
                changed = wish.changed() => if changed.is_err() { return duty },
                next = self.keep_place(duty, wanted) => return next,
            }
        }
    }

    /// Answers for the miner while it is held. Ends only with another duty.
    async fn keep_place(&self, duty: Duty, wish: Wish) -> Duty {
        let services = self.services.clone();
        let mut first: Option<Epoch> = None;
        let mut looked: Option<Epoch> = None;
        loop {
            services.clock.sleep(services.constants.heartbeat).await;
            match services.orchestrator.heartbeat(None).await {
                Ok(answer) => {
                    self.board.enter(answer.phase);
                    let began = *first.get_or_insert(answer.epoch);
                    let over = answer.phase == Phase::Training || answer.epoch > began;
                    // What could not be handed in cannot be handed in any more.
                    if wish.finishes() && over {
                        return Duty::Stopped;
                    }
                    let hands_in = duty == Duty::Build
                        && answer.phase == Phase::WeightsUploading
                        && wish.pauses() == Some(Manner::Orderly);
                    if hands_in
                        && looked.replace(answer.epoch) != Some(answer.epoch)
                        && let Some(terms) = &self.terms
                        && self.workshop.holds_work_of(terms, answer.epoch).await
                    {
                        return duty;
                    }
                }
                Err(error) => {
                    if let Some(ServerError::EntityNotRegistered { .. }) = error.server()
                        && duty != Duty::Register
                    {
                        return Duty::Register;
                    }
                    tracing::debug!("heartbeat: {error}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::rules::Percent;
    use crate::training::floor::{Act, End};

    #[test]
    fn a_pause_begins_nothing_and_hands_in_only_where_the_rule_lets_it() {
        for manner in [Manner::Orderly, Manner::KeepBack, Manner::AtOnce] {
            for duty in [Duty::Build, Duty::AwaitTraining, Duty::Load] {
                assert!(!allows(manner, duty), "{manner:?} {duty:?}");
            }
            for duty in [Duty::Upload, Duty::AwaitMerging, Duty::Merge] {
                assert_eq!(allows(manner, duty), manner == Manner::Orderly, "{manner:?} {duty:?}");
            }
            // The place in the queue is kept, and the heartbeat of training goes on.
            assert!(allows(manner, Duty::Register) && allows(manner, Duty::Train));
        }
    }

    #[test]
    fn work_that_is_held_is_looked_after_where_the_pause_lets_it_be_handed_in() {
        for manner in [Manner::Orderly, Manner::KeepBack, Manner::AtOnce] {
            let orderly = manner == Manner::Orderly;
            assert_eq!(may(manner, Duty::AwaitTraining, Held::Epoch), orderly, "{manner:?}");
            assert!(!may(manner, Duty::AwaitTraining, Held::Nothing), "{manner:?}");
            assert!(!may(manner, Duty::Load, Held::Epoch), "{manner:?}");
        }
    }

    #[tokio::test]
    async fn an_upload_is_broken_off_only_by_a_pause_that_forbids_it() {
        let (sender, wish) = watch::channel(Wish::WORK);
        let held = until_held(wish, Duty::Upload, Held::Nothing);
        tokio::pin!(held);
        let mut is_held = async || {
            tokio::select! {
                biased;
                () = &mut held => true,
                () = std::future::ready(()) => false,
            }
        };
        sender.send(Wish { act: Act::Pause(Manner::Orderly), end: End::Open }).unwrap();
        assert!(!is_held().await);
        sender.send(Wish { act: Act::Work(Percent::nearest(10.0)), end: End::WithEpoch }).unwrap();
        assert!(!is_held().await);
        sender.send(Wish { act: Act::Pause(Manner::KeepBack), end: End::Open }).unwrap();
        assert!(is_held().await);
    }
}
