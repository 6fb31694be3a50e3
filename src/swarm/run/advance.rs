//! Moving the stages through their phases: gathers the facts for [`crate::swarm::phases`] and does
//! what a step means.

use std::time::Duration;

use super::{ClosedMiner, Copy, Entry, Miner, Run, Upload};
use crate::clock::Moment;
use crate::protocol::messages::FileType;
use crate::protocol::{Hotkey, Phase};
use crate::swarm::phases::{Facts, Step, Time, step};
use crate::telemetry::Event;

/// The books keep every detail of so many epochs before the newest, for whoever wants to know how a
/// swarm got where it is; of older ones the sums. So they do not grow for as long as a swarm lives.
const DETAILED: u64 = 16;

impl Run {
    /// Drops the silent, gives up the lost, and moves stages on whose work is done. To be called
    /// after every report and every now and then.
    pub fn advance(&mut self, now: Moment) {
        self.drop_silent(now);
        self.give_up_stale(now);
        self.muster(now);
        if !self.mustered {
            // After a restart nobody is there yet, and that is no reason to go on without them.
            return;
        }
        if self.all_training() {
            self.advance_training(now);
        }
        for stage in 0..self.stages.len() {
            self.advance_stage(stage, now);
        }
    }

    /// Training ends for all stages at once, and only when they are in the same epoch.
    fn advance_training(&mut self, now: Moment) {
        if self.is_finished() {
            return;
        }
        let percent = self.plan.rules.thresholds.training;
        let facts = Facts::Training {
            goal: share_of(self.goal(), percent),
            fewest: self.stages.iter().map(|stage| stage.backwards).min().unwrap_or(0),
            // Below the whole, what is under way is not waited for.
            open: if percent < 100 { 0 } else { self.open().count() },
        };
        let since = self.stages.iter().map(|stage| stage.since).max().unwrap_or_default();
        if step(facts, time(now, since, self.plan.rules.limits.training)) == Step::Stay {
            return;
        }
        self.give_up_all();
        for stage in 0..self.stages.len() {
            self.stages[stage].submissions.clear();
            self.enter(stage, Phase::WeightsUploading, now);
        }
    }

    fn advance_stage(&mut self, index: usize, now: Moment) {
        let limits = self.plan.rules.limits;
        let stage = &self.stages[index];
        let (facts, limit) = match stage.phase {
            Phase::Training => return,
            Phase::WeightsUploading => (self.uploading(index, now), limits.uploading),
            Phase::MergingPartitions => (self.merging(index, now), limits.merging),
        };
        match step(facts, time(now, stage.since, limit)) {
            Step::Stay => {}
            Step::To(Phase::MergingPartitions) => {
                self.assign_chunks(index);
                self.enter(index, Phase::MergingPartitions, now);
                // Everybody may have gone while the last one uploaded.
                self.advance_stage(index, now);
            }
            Step::To(_) | Step::SkipMerge => self.end_epoch(index, now),
        }
    }

    fn uploading(&self, index: usize, now: Moment) -> Facts {
        let submitted = &self.stages[index].submissions;
        let has = |hotkey: &Hotkey| submitted.iter().any(|s| s.hotkey == *hotkey);
        let late = self
            .working_in(index)
            .filter(|(hotkey, m)| m.backwards > 0 && !has(hotkey) && self.awaits(hotkey, m, now))
            .count();
        let submitted = submitted.len();
        let needed = share_of((late + submitted) as u64, self.plan.rules.thresholds.uploading);
        let needed = usize::try_from(needed).unwrap_or(usize::MAX);
        Facts::Uploading { awaited: late.min(needed.saturating_sub(submitted)), submitted }
    }

    /// Whether a miner that did something in the epoch can be expected to hand it in. One that
    /// registered again since then may have lost it with its memory, and one that a rule of its owner
    /// holds back keeps it; neither can say so. Unless it begins to upload, it is not waited for longer
    /// than for stranded work; but one whose stage has nothing else is, if it never left.
    fn awaits(&self, hotkey: &Hotkey, miner: &Miner, now: Moment) -> bool {
        let stage = &self.stages[miner.stage];
        let returned = match miner.returned {
            Some(returned) => returned,
            None if stage.submissions.is_empty() => return true,
            None => stage.since,
        };
        let uploads = |upload: &Upload| {
            upload.hotkey == *hotkey
                && upload.kind == FileType::Weights
                && upload.epoch == stage.epoch
        };
        now.since(returned.max(stage.since)) <= self.plan.rules.limits.stranded
            || self.uploads.values().any(uploads)
    }

    /// Copies of partitions that are still awaited. Where the other copy is there, nobody waits for one
    /// that its miner has not even asked for within the time of stranded work.
    fn merging(&self, index: usize, now: Moment) -> Facts {
        let stage = &self.stages[index];
        let patient = now.since(stage.since) <= self.plan.rules.limits.stranded;
        let asks = |hotkey: &Hotkey| self.miner(hotkey).is_ok_and(|miner| miner.told_partitions);
        let works =
            |hotkey: &Hotkey| self.miner(hotkey).is_ok_and(|miner| self.works(hotkey, miner));
        let copies = || stage.chunks.iter().flatten();
        let late = |copies: &Vec<Copy>| {
            let covered = copies.iter().any(|copy| copy.object.is_some());
            let awaited = |copy: &&Copy| {
                let comes = patient || !covered || asks(&copy.hotkey);
                copy.object.is_none() && works(&copy.hotkey) && comes
            };
            copies.iter().filter(awaited).count()
        };
        let late: usize = stage.chunks.iter().map(late).sum();
        let merged = copies().filter(|copy| copy.object.is_some()).count();
        let needed = share_of((late + merged) as u64, self.plan.rules.thresholds.merging);
        let needed = usize::try_from(needed).unwrap_or(usize::MAX);
        Facts::Merging { awaited: late.min(needed.saturating_sub(merged)) }
    }

    fn enter(&mut self, index: usize, phase: Phase, now: Moment) {
        let stage = &mut self.stages[index];
        stage.phase = phase;
        stage.since = now;
        self.note_stage(index);
    }

    /// The merge of a stage is over: tells what came of it and starts its next epoch.
    fn end_epoch(&mut self, index: usize, now: Moment) {
        let epoch = self.stages[index].epoch;
        let partitions = self.list_copies(index);
        self.tell(Event::Merge { stage: index, epoch, partitions });
        self.settle(index, epoch);
        let stage = &mut self.stages[index];
        stage.epoch += 1;
        stage.backwards = 0;
        stage.chunks.clear();
        stage.submissions.clear();
        stage.asked.clear();
        self.enter(index, Phase::Training, now);
        self.close_epoch(epoch);
        if self.all_training() {
            self.activations.clear();
            self.prune();
        }
    }

    /// Writes down what the stage's miners did in the epoch and starts their counts anew.
    fn settle(&mut self, index: usize, epoch: u64) {
        let mut settled = Vec::new();
        for (hotkey, miner) in self.miners.iter_mut().filter(|(_, m)| m.stage == index) {
            let (backwards, partitions) = (miner.backwards, miner.partitions);
            settled.push(Entry::Score { hotkey: hotkey.clone(), epoch, backwards, partitions });
            let (hotkey, benched) = (hotkey.clone(), miner.benched);
            let submitted = false;
            let did =
                ClosedMiner { hotkey, stage: index, backwards, partitions, submitted, benched };
            self.tally.settle(&self.stages[index], did);
            miner.forwards = 0;
            miner.backwards = 0;
            miner.partitions = 0;
            miner.told_partitions = false;
            miner.benched = false;
            miner.returned = None;
        }
        let hotkeys: Vec<Hotkey> = settled
            .iter()
            .filter_map(|entry| match entry {
                Entry::Score { hotkey, .. } => Some(hotkey.clone()),
                _ => None,
            })
            .collect();
        settled.into_iter().for_each(|entry| self.note(entry));
        hotkeys.iter().for_each(|hotkey| self.note_miner(hotkey));
    }

    /// Objects of the epochs before the last one go, except the weights that are still the newest.
    fn prune(&mut self) {
        let Some(old) = self.epoch().0.checked_sub(2).filter(|epoch| *epoch > 0) else { return };
        let needed = |object: &String| {
            self.stages.iter().any(|stage| {
                stage.optimizer_state.as_ref().is_some_and(|state| state.object == *object)
                    || stage.merged.iter().flatten().any(|m| m.object == *object)
            })
        };
        let mut gone: Vec<String> = self
            .uploads
            .iter()
            .filter(|(object, upload)| upload.epoch <= old && !needed(object))
            .map(|(object, _)| object.clone())
            .collect();
        gone.iter().for_each(|object| {
            self.uploads.remove(object);
        });
        gone.extend(self.old_samples(old));
        for object in &gone {
            self.note(Entry::Pruned { object: object.clone() });
        }
        self.outcome.prune.extend(gone);
        if let Some(epoch) = self.epoch().0.checked_sub(DETAILED).filter(|epoch| *epoch > 0) {
            self.note(Entry::Over { epoch });
        }
    }
}

/// `percent` of `whole`, rounded up, at least 1.
fn share_of(whole: u64, percent: u8) -> u64 {
    (whole * u64::from(percent.min(100))).div_ceil(100).max(1)
}

fn time(now: Moment, since: Moment, limit: Duration) -> Time {
    if now.since(since) > limit { Time::Up } else { Time::Left }
}
