//! The end of an epoch: pseudo-gradients, who merges which partition, and the merged partitions that
//! the next epoch starts from (spec 9).

use super::{Comparison, Entry, OptimizerState, Run, refusal};
use crate::clock::Entropy;
use crate::protocol::messages::{FileType, Flag, Partition};
use crate::protocol::{ChunkNumber, Epoch, Hotkey, Phase, ServerError, StageIndex};

/// Most unsubmitted uploads that one miner may have at a time.
const MOST_UPLOADS: usize = 1024;

/// An upload that was begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Whose.
    pub hotkey: Hotkey,
    /// What for.
    pub kind: FileType,
    /// In which epoch.
    pub epoch: u64,
    /// In how many pieces.
    pub parts: Parts,
}

/// In how many pieces an upload comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parts {
    /// One, or not known yet.
    One,
    /// Several, which must be joined.
    Several {
        /// The store's name for it.
        upload_id: String,
        /// How many were granted, at most.
        granted: u64,
    },
    /// Several, which were joined.
    Joined {
        /// The store's name for it.
        upload_id: String,
    },
}

/// A submitted pseudo-gradient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// Whose.
    pub hotkey: Hotkey,
    /// Its object.
    pub object: String,
    /// Its weight in the average: 1 + backwards of this epoch (spec 9.4).
    pub factor: u64,
}

/// One copy of a chunk: given to a miner, later submitted by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Whose.
    pub hotkey: Hotkey,
    /// Its object, once submitted.
    pub object: Option<String>,
}

/// The newest merged partition of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MergedPartition {
    /// Who merged it; `None` for the first weights of the run.
    pub hotkey: Option<Hotkey>,
    /// Its object.
    pub object: String,
    /// The epoch whose merge it is; 0 for the first weights.
    pub epoch: u64,
}

impl Run {
    /// Publishes the first weights of a stage's chunk.
    pub fn publish_first(&mut self, stage: StageIndex, chunk: ChunkNumber, object: String) {
        let partition = MergedPartition { hotkey: None, object, epoch: 0 };
        self.set_merged(stage.0, chunk.0, partition);
    }

    /// Whether every chunk of every stage has weights.
    pub fn has_weights(&self) -> bool {
        self.stages.iter().all(|stage| stage.merged.iter().all(Option::is_some))
    }

    fn set_merged(&mut self, stage: usize, chunk: usize, partition: MergedPartition) {
        let place = self.stages.get_mut(stage).and_then(|s| s.merged.get_mut(chunk));
        let Some(place) = place else { return };
        let old = place.replace(partition.clone());
        // Merged partitions go with the uploads of their epoch; the first weights are no upload.
        if let Some(first) = old.filter(|old| old.epoch == 0) {
            self.samples.push((partition.epoch, first.object));
        }
        self.note(Entry::Merged { stage, chunk, partition });
    }

    /// Notes that `hotkey` begins to upload `object`.
    ///
    /// # Errors
    /// Not registered, or far more uploads than any miner needs.
    pub fn begin_upload(
        &mut self,
        hotkey: &Hotkey,
        kind: FileType,
        object: &str,
    ) -> Result<(), ServerError> {
        let (_, _, epoch) = self.place(hotkey)?;
        if self.uploads.values().filter(|upload| upload.hotkey == *hotkey).count() >= MOST_UPLOADS {
            return Err(refusal("UploadError", "too many uploads in this epoch"));
        }
        let upload = Upload { hotkey: hotkey.clone(), kind, epoch: epoch.0, parts: Parts::One };
        self.uploads.insert(object.to_owned(), upload);
        let (object, hotkey) = (object.to_owned(), hotkey.clone());
        self.note(Entry::Upload { object, hotkey, kind, epoch: epoch.0 });
        Ok(())
    }

    /// Notes in how many pieces an upload comes.
    pub fn note_parts(&mut self, object: &str, parts: Parts) {
        if let Some(upload) = self.uploads.get_mut(object) {
            upload.parts = parts;
        }
    }

    /// In how many pieces `object` comes, if it is an upload of `hotkey`.
    ///
    /// # Errors
    /// It is somebody else's, or unknown.
    pub fn parts_of(&self, hotkey: &Hotkey, object: &str) -> Result<Parts, ServerError> {
        self.own_upload(hotkey, None, object)?;
        Ok(self.uploads.get(object).map_or(Parts::One, |upload| upload.parts.clone()))
    }

    /// Checks that `object` is an upload of `hotkey`, of this kind.
    ///
    /// # Errors
    /// It is somebody else's, of another kind, or unknown.
    pub fn own_upload(
        &self,
        hotkey: &Hotkey,
        kind: Option<FileType>,
        object: &str,
    ) -> Result<(), ServerError> {
        match self.uploads.get(object) {
            Some(upload) if upload.hotkey == *hotkey && kind.is_none_or(|k| k == upload.kind) => {
                Ok(())
            }
            _ => Err(refusal(
                "UploadError",
                format!("{object:.200?} is not such an upload of yours"),
            )),
        }
    }

    /// The stage for which `hotkey` may submit the pseudo-gradient in `object` now.
    ///
    /// # Errors
    /// The wrong phase, or not the miner's own upload.
    pub fn may_submit_weights(&self, hotkey: &Hotkey, object: &str) -> Result<usize, ServerError> {
        let stage = self.stage_in(hotkey, Phase::WeightsUploading)?;
        self.must_work(hotkey)?;
        self.own_upload(hotkey, Some(FileType::Weights), object).map(|()| stage)
    }

    /// Takes a pseudo-gradient whose object is there. A second one of a miner replaces the first.
    ///
    /// # Errors
    /// As [`Run::may_submit_weights`].
    pub fn submit_weights(&mut self, hotkey: &Hotkey, object: &str) -> Result<(), ServerError> {
        let stage = self.may_submit_weights(hotkey, object)?;
        let factor = 1 + self.miner(hotkey)?.backwards;
        let submission = Submission { hotkey: hotkey.clone(), object: object.to_owned(), factor };
        let state = &mut self.stages[stage];
        state.submissions.retain(|old| old.hotkey != *hotkey);
        state.submissions.push(submission);
        let epoch = state.epoch;
        let (hotkey, object) = (hotkey.clone(), object.to_owned());
        self.note(Entry::Submission { epoch, stage, hotkey, object, factor });
        Ok(())
    }

    /// Whether `hotkey`, which just submitted its pseudo-gradient, is to share its inner optimizer
    /// state too (spec 5.6). The same answer again to the same miner.
    pub fn wants_optimizer_state(&mut self, hotkey: &Hotkey) -> bool {
        let rules = self.plan.rules.optimizer;
        let Ok((stage, _, epoch)) = self.place(hotkey) else { return false };
        let due = epoch.0.is_multiple_of(rules.every_epochs.max(1));
        if !self.plan.rules.is_on(Flag::UploadOptimizerState) || !due {
            return false;
        }
        let asked = &mut self.stages[stage.0].asked;
        if asked.len() < rules.miners {
            asked.insert(hotkey.clone());
        }
        asked.contains(hotkey)
    }

    /// Checks that `hotkey` was asked for its inner optimizer state, and that `object` is such an
    /// upload of its own.
    ///
    /// # Errors
    /// Not registered, not asked, or not the miner's own upload.
    pub fn may_submit_optimizer_state(
        &self,
        hotkey: &Hotkey,
        object: &str,
    ) -> Result<StageIndex, ServerError> {
        let (stage, ..) = self.place(hotkey)?;
        self.own_upload(hotkey, Some(FileType::OptimizerState), object)?;
        if !self.stages[stage.0].asked.contains(hotkey) {
            let message = "you were not asked for an optimizer state in this epoch";
            return Err(refusal("OptimizerStateError", message));
        }
        Ok(stage)
    }

    /// Takes an inner optimizer's state whose object is there (spec 5.6).
    ///
    /// # Errors
    /// As [`Run::may_submit_optimizer_state`].
    pub fn submit_optimizer_state(
        &mut self,
        hotkey: &Hotkey,
        object: &str,
    ) -> Result<(), ServerError> {
        let stage = self.may_submit_optimizer_state(hotkey, object)?.0;
        let (hotkey, object) = (hotkey.clone(), object.to_owned());
        let epoch = self.stages[stage].epoch;
        let state = OptimizerState { hotkey, object, epoch };
        self.stages[stage].optimizer_state = Some(state.clone());
        let OptimizerState { hotkey, object, epoch } = state;
        self.note(Entry::OptimizerState { stage, epoch, hotkey, object });
        Ok(())
    }

    /// The newest inner optimizer state of the stage of `hotkey`, unless it is too old.
    ///
    /// # Errors
    /// Not registered.
    pub fn optimizer_state(&self, hotkey: &Hotkey) -> Result<Option<&str>, ServerError> {
        let (stage, _, epoch) = self.place(hotkey)?;
        let oldest = epoch.0.saturating_sub(self.plan.rules.optimizer.lookback_epochs);
        let state = self.stages[stage.0].optimizer_state.as_ref();
        Ok(state.filter(|state| state.epoch >= oldest).map(|state| state.object.as_str()))
    }

    /// The sources of the merge, in an order that is the same for everybody.
    ///
    /// # Errors
    /// The wrong phase, or not registered.
    pub fn sources(&self, hotkey: &Hotkey) -> Result<(StageIndex, Vec<Submission>), ServerError> {
        let stage = self.stage_in(hotkey, Phase::MergingPartitions)?;
        let mut sources = self.stages[stage].submissions.clone();
        let order = |s: &Submission| self.miners.get(&s.hotkey).map_or(u64::MAX, |m| m.order);
        sources.sort_by_key(order);
        Ok((StageIndex(stage), sources))
    }

    /// Gives every chunk of a stage to two of its living contributors, or to the only one.
    pub(super) fn assign_chunks(&mut self, stage: usize) {
        let epoch = self.stages[stage].epoch;
        let mut mergers: Vec<(u64, Hotkey)> = self
            .working_in(stage)
            .filter(|(hotkey, _)| self.contributed(stage, hotkey))
            .map(|(hotkey, miner)| (miner.order, hotkey.clone()))
            .collect();
        mergers.sort();
        let name = format!("pairs of stage {stage} in epoch {epoch}");
        shuffle(&mut mergers, &mut Entropy::seeded(self.plan.seed, &name));
        let copies = mergers.len().min(2);
        let chunks: Vec<Vec<Copy>> = (0..self.plan.num_partitions)
            .map(|chunk| {
                let holder =
                    |twin: usize| mergers[(chunk * copies + twin) % mergers.len()].1.clone();
                (0..copies).map(|twin| Copy { hotkey: holder(twin), object: None }).collect()
            })
            .collect();
        for (chunk, copies) in chunks.iter().enumerate() {
            for copy in copies {
                let (hotkey, object) = (copy.hotkey.clone(), None);
                self.note(Entry::Copy { epoch, stage, chunk, hotkey, object });
            }
        }
        self.stages[stage].chunks = chunks;
    }

    fn contributed(&self, stage: usize, hotkey: &Hotkey) -> bool {
        self.stages[stage].submissions.iter().any(|s| s.hotkey == *hotkey)
    }

    /// Gives the unmerged chunks of a lost miner to somebody who has not fetched their own yet, if
    /// the twin cannot do it. Where there is nobody, the chunk keeps the weights it has.
    pub(super) fn reassign_chunks(&mut self, stage: usize, lost: &Hotkey) {
        let heir = self
            .working_in(stage)
            .filter(|(hotkey, m)| !m.told_partitions && self.contributed(stage, hotkey))
            .map(|(hotkey, _)| hotkey.clone())
            .next();
        let Some(heir) = heir else { return };
        let living: Vec<Hotkey> =
            self.working_in(stage).map(|(hotkey, _)| hotkey.clone()).collect();
        let epoch = self.stages[stage].epoch;
        let mut moved = Vec::new();
        for (chunk, copies) in self.stages[stage].chunks.iter_mut().enumerate() {
            let covered = copies.iter().any(|c| c.object.is_some() || living.contains(&c.hotkey));
            let place = copies.iter_mut().find(|c| c.hotkey == *lost && c.object.is_none());
            if let (false, Some(place)) = (covered, place) {
                place.hotkey = heir.clone();
                moved.push(chunk);
            }
        }
        for chunk in moved {
            let (hotkey, object) = (heir.clone(), None);
            self.note(Entry::Copy { epoch, stage, chunk, hotkey, object });
        }
    }

    /// The partitions that `hotkey` has to merge.
    ///
    /// # Errors
    /// The wrong phase, or not registered.
    pub fn partitions_of(&mut self, hotkey: &Hotkey) -> Result<Vec<Partition>, ServerError> {
        let stage = self.stage_in(hotkey, Phase::MergingPartitions)?;
        if let Some(miner) = self.miners.get_mut(hotkey) {
            miner.told_partitions = true;
        }
        let mine = |(chunk, copies): (usize, &Vec<Copy>)| {
            copies.iter().find(|copy| copy.hotkey == *hotkey)?;
            let twin = copies.iter().find(|copy| copy.hotkey != *hotkey).map(|c| c.hotkey.as_str());
            Some(Partition::new(StageIndex(stage), ChunkNumber(chunk), hotkey.as_str(), twin))
        };
        Ok(self.stages[stage].chunks.iter().enumerate().filter_map(mine).collect())
    }

    /// The newest merged objects of a stage, by chunk; empty for a stage that does not exist.
    pub fn published(&self, stage: usize) -> Vec<(ChunkNumber, MergedPartition)> {
        let chunks = self.stages.get(stage).into_iter().flat_map(|stage| stage.merged.iter());
        let there = |(chunk, merged): (usize, &Option<MergedPartition>)| {
            Some((ChunkNumber(chunk), merged.clone()?))
        };
        chunks.enumerate().filter_map(there).collect()
    }

    /// The newest merged partitions of the stage of `hotkey`.
    ///
    /// # Errors
    /// Not registered.
    pub fn merged_partitions(
        &self,
        hotkey: &Hotkey,
    ) -> Result<Vec<(StageIndex, ChunkNumber, MergedPartition)>, ServerError> {
        let (stage, ..) = self.place(hotkey)?;
        Ok(listed(stage, &self.stages[stage.0].merged, None))
    }

    /// The merged partitions that the merge of these chunks builds on: those of the epoch before.
    ///
    /// # Errors
    /// Not registered.
    pub fn previous_partitions(
        &self,
        hotkey: &Hotkey,
        chunks: &[ChunkNumber],
    ) -> Result<Vec<(StageIndex, ChunkNumber, MergedPartition)>, ServerError> {
        let (stage, ..) = self.place(hotkey)?;
        Ok(listed(stage, &self.stages[stage.0].merged, Some(chunks)))
    }

    /// The epoch of the stage of `hotkey` and the objects in `partitions`, if it may submit them.
    ///
    /// # Errors
    /// The wrong phase, a chunk that is not the miner's, a missing path, or not its own upload.
    pub fn may_submit_merged(
        &self,
        hotkey: &Hotkey,
        partitions: &[Partition],
    ) -> Result<Vec<(ChunkNumber, String)>, ServerError> {
        let stage = self.stage_in(hotkey, Phase::MergingPartitions)?;
        let check = |partition: &Partition| {
            let chunk = partition
                .chunk_number()
                .filter(|_| partition.layer().is_none_or(|layer| layer == StageIndex(stage)));
            let held = chunk.and_then(|chunk| self.stages[stage].chunks.get(chunk.0));
            let mine = held.is_some_and(|copies| copies.iter().any(|c| c.hotkey == *hotkey));
            let (Some(chunk), true) = (chunk, mine) else {
                return Err(refusal("PartitionError", "this partition was not given to you"));
            };
            let object = partition
                .blob_path()
                .ok_or_else(|| refusal("PartitionError", "the partition has no blob_path"))?;
            self.own_upload(hotkey, Some(FileType::Partition), object)?;
            Ok((chunk, object.to_owned()))
        };
        partitions.iter().map(check).collect()
    }

    /// Takes merged partitions whose objects are there. The same again is fine.
    ///
    /// # Errors
    /// As [`Run::may_submit_merged`].
    pub fn submit_merged(
        &mut self,
        hotkey: &Hotkey,
        partitions: &[Partition],
    ) -> Result<(), ServerError> {
        let accepted = self.may_submit_merged(hotkey, partitions)?;
        let stage = self.stage_in(hotkey, Phase::MergingPartitions)?;
        for (chunk, object) in accepted {
            self.take_copy(stage, chunk.0, hotkey, object);
        }
        Ok(())
    }

    /// Notes a copy. Submitted copies stand first, in the order they came.
    fn take_copy(&mut self, stage: usize, chunk: usize, hotkey: &Hotkey, object: String) {
        let epoch = self.stages[stage].epoch;
        let copies = &mut self.stages[stage].chunks[chunk];
        let Some(at) = copies.iter().position(|c| c.hotkey == *hotkey) else { return };
        let new = copies[at].object.replace(object.clone()).is_none();
        if new {
            let copy = copies.remove(at);
            let earlier = copies.iter().filter(|c| c.object.is_some()).count();
            copies.insert(earlier, copy);
        }
        let ready = |copy: &Copy| Some((copy.hotkey.clone(), copy.object.clone()?));
        let both: Vec<(Hotkey, String)> = copies.iter().filter_map(ready).collect();
        if new {
            if let Some(miner) = self.miners.get_mut(hotkey) {
                miner.partitions += 1;
                miner.score += 1;
            }
            if let Ok(copies) = <[_; 2]>::try_from(both) {
                let (stage, epoch) = (StageIndex(stage), Epoch(epoch));
                self.outcome.compare.push(Comparison { stage, epoch, chunk, copies });
            }
        }
        let (hotkey, object) = (hotkey.clone(), Some(object));
        self.note(Entry::Copy { epoch, stage, chunk, hotkey, object });
    }

    /// Lists the first copy of every chunk as its weights for the next epoch. Not before the merge is
    /// over, because until then everybody merges onto the weights there were. A chunk without a copy
    /// keeps what it has. Returns how many chunks were merged.
    pub(super) fn list_copies(&mut self, stage: usize) -> usize {
        let epoch = self.stages[stage].epoch;
        let first = |(chunk, copies): (usize, &Vec<Copy>)| {
            let copy = copies.iter().find(|copy| copy.object.is_some())?;
            let (hotkey, object) = (Some(copy.hotkey.clone()), copy.object.clone()?);
            Some((chunk, MergedPartition { hotkey, object, epoch }))
        };
        let listed: Vec<(usize, MergedPartition)> =
            self.stages[stage].chunks.iter().enumerate().filter_map(first).collect();
        let count = listed.len();
        listed.into_iter().for_each(|(chunk, partition)| self.set_merged(stage, chunk, partition));
        count
    }
}

/// The partitions there are, of the chunks in `only`, or of all.
fn listed(
    stage: StageIndex,
    partitions: &[Option<MergedPartition>],
    only: Option<&[ChunkNumber]>,
) -> Vec<(StageIndex, ChunkNumber, MergedPartition)> {
    let wanted = |chunk| only.is_none_or(|only| only.contains(&ChunkNumber(chunk)));
    let chunks = partitions.iter().enumerate().filter(|(chunk, _)| wanted(*chunk));
    chunks.filter_map(|(chunk, p)| Some((stage, ChunkNumber(chunk), p.clone()?))).collect()
}

/// Fisher and Yates.
fn shuffle<T>(items: &mut [T], entropy: &mut Entropy) {
    for end in (1..items.len()).rev() {
        items.swap(end, entropy.below(end + 1));
    }
}
