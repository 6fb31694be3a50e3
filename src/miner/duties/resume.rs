//! Going on where the miner stopped: what is on the disk, and whether the network is still where that
//! belongs.

use super::super::life::{Held, Life};
use super::super::machine::Outcome;
use super::super::snapshot::{Reason, State, Who};
use crate::protocol::Phase;
use crate::telemetry::Severity;
use crate::training::keep::KeepPlace;
use crate::training::load::{Synced, identity};
use crate::training::local::{LocalError, LocalStage};
use crate::training::memory::ladder::Rung;
use crate::training::recover::{Taken, recover};
use crate::training::snapshot::SnapshotStore;
use crate::training::terms::Terms;

/// So often the same work may take the device down before it is given up.
const RECOVERIES: u32 = 2;

impl Life {
    /// Takes what is on the disk into a stage that was just built.
    pub(super) async fn recover(&mut self, stage: &mut LocalStage) -> Result<(), LocalError> {
        let place = self.place(stage.terms());
        let board = &self.board;
        let told = |backwards: usize| {
            let next = format!("noted work must be done again ({backwards} so far)");
            board.status(State::Loading, Reason::BuildingStage, Who::Machine, &next);
        };
        let began = self.clock.now();
        let seed = self.settings.weights_seed;
        if self.lost_in_recovery >= RECOVERIES {
            // The device does not survive that work.
            let store = place.store.clone();
            drop(tokio::task::spawn_blocking(move || store.drop_journals()).await);
            let what =
                "The noted work of this epoch could not be done again: the device failed at it \
                        each time. The snapshot before it is used."
                    .to_owned();
            self.warn("snapshot-damaged", what, "Nothing: what is good is used.");
        }
        self.lost_in_recovery += 1;
        let recovered = recover(stage, &place, seed, &told).await?;
        self.lost_in_recovery = 0;
        if !recovered.losses.is_empty() {
            let what = format!("{}.", recovered.losses.join("; "));
            self.warn("snapshot-damaged", what, "Nothing: what is good is used.");
        }
        if recovered.taken == Taken::Nothing {
            return Ok(());
        }
        let (epoch, again) = (recovered.epoch, recovered.again);
        let seconds = self.clock.now().since(began).as_secs_f64();
        tracing::info!(
            miner = self.settings.name, %epoch, again, seconds, taken = ?recovered.taken,
            "snapshot taken over"
        );
        let in_it = stage.count().backwards;
        self.board.update(|snapshot| {
            snapshot.recovered = Some(epoch.0);
            if recovered.goes_on {
                snapshot.work.backwards_this_epoch = in_it;
            }
        });
        if recovered.goes_on {
            self.held = Held::Epoch;
            // It was written by a process that is gone, and is here.
            self.saved = true;
        }
        Ok(())
    }

    /// Where durable points of these terms go.
    pub(super) fn place(&self, terms: &Terms) -> KeepPlace {
        let hotkey = self.settings.hotkey.address();
        let device = self.device.device();
        let info = device.info();
        KeepPlace {
            store: SnapshotStore::new(&self.settings.data, hotkey, &terms.run, terms.stage),
            hotkey: hotkey.clone(),
            ground: format!(
                "{} {}, {}, Hearth {}",
                info.backend,
                info.name,
                Rung::of(terms),
                env!("CARGO_PKG_VERSION")
            ),
            clock: self.clock.clone(),
        }
    }

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
