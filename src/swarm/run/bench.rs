//! Who may work: newcomers wait for the next epoch where the rules say so, frozen miners for the
//! operator (spec 1.7, 1.8, 1.11).

use super::{Miner, Run};
use crate::clock::Moment;
use crate::protocol::messages::MinerStatus;
use crate::protocol::{Hotkey, Phase, ServerError};
use crate::swarm::rules::{Newcomers, Rules};

impl Run {
    /// Replaces the rules of a living run. Whoever is frozen by the new ones loses what it had under
    /// way.
    pub fn set_rules(&mut self, rules: Rules, now: Moment) {
        let old = std::mem::replace(&mut self.plan.rules, rules);
        let frozen: Vec<Hotkey> = self.plan.rules.frozen.difference(&old.frozen).cloned().collect();
        for hotkey in frozen {
            if let Ok((stage, phase, _)) = self.place(&hotkey) {
                self.lose_work_of(&hotkey, now);
                if phase == Phase::MergingPartitions {
                    self.reassign_chunks(stage.0, &hotkey);
                }
            }
        }
        if self.plan.rules.newcomers == Newcomers::Work {
            self.miners.values_mut().for_each(|miner| miner.benched = false);
        }
    }

    /// What a living miner is told about itself: null while it may work.
    pub fn standing(&self, hotkey: &Hotkey) -> Option<MinerStatus> {
        if self.is_frozen(hotkey) {
            return Some(MinerStatus::Frozen);
        }
        let benched = self.miners.get(hotkey).is_some_and(|miner| miner.benched);
        benched.then_some(MinerStatus::Initializing)
    }

    /// Whether the operator froze this miner.
    pub(super) fn is_frozen(&self, hotkey: &Hotkey) -> bool {
        self.plan.rules.frozen.contains(hotkey)
    }

    /// Whether a miner is to work now.
    pub(super) fn works(&self, hotkey: &Hotkey, miner: &Miner) -> bool {
        miner.live && !miner.benched && !self.is_frozen(hotkey)
    }

    /// Miners of a stage that are to work now.
    pub(super) fn working_in(&self, stage: usize) -> impl Iterator<Item = (&Hotkey, &Miner)> {
        self.living_in(stage).filter(|(hotkey, miner)| self.works(hotkey, miner))
    }

    /// Lets nobody but working miners pass.
    ///
    /// # Errors
    /// [`ServerError::MinerFrozen`] or [`ServerError::MinerInitializing`].
    pub fn must_work(&self, hotkey: &Hotkey) -> Result<(), ServerError> {
        self.must_not_be_frozen(hotkey)?;
        if self.miner(hotkey)?.benched {
            let message = "this miner came during the epoch and begins with the next".to_owned();
            return Err(ServerError::MinerInitializing { message });
        }
        Ok(())
    }

    /// Lets no frozen miner pass.
    ///
    /// # Errors
    /// [`ServerError::MinerFrozen`].
    pub fn must_not_be_frozen(&self, hotkey: &Hotkey) -> Result<(), ServerError> {
        if self.is_frozen(hotkey) {
            let message = "the operator of the run has frozen this miner".to_owned();
            return Err(ServerError::MinerFrozen { message });
        }
        Ok(())
    }

    /// Whether a miner that comes to `stage` now begins with the next epoch: work has begun, and the
    /// stage can do without.
    pub(super) fn benches(&self, stage: usize) -> bool {
        self.plan.rules.newcomers == Newcomers::Benched
            && self.mustered
            && self.working_in(stage).next().is_some()
    }

    /// A stage that lost its last working miner needs those on its bench.
    pub(super) fn call_up(&mut self, stage: usize) {
        if self.working_in(stage).next().is_none() {
            let there = self.miners.values_mut().filter(|m| m.live && m.stage == stage);
            there.for_each(|miner| miner.benched = false);
        }
    }
}
