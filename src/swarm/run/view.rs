//! What faces may see of a run.

use super::Run;
use crate::protocol::Phase;
use crate::swarm::snapshot::{MinerView, StageView};

impl Run {
    /// The stages with their miners, first to last.
    pub fn stage_views(&self) -> Vec<StageView> {
        (0..self.stages.len()).map(|stage| self.stage_view(stage)).collect()
    }

    /// Share of this epoch's backwards that are done, 0 to 1.
    pub fn epoch_progress(&self) -> f64 {
        let views = (0..self.stages.len()).map(|index| match self.stages[index].phase {
            Phase::Training => self.progress(index),
            _ => 1.0,
        });
        views.sum::<f64>() / self.stages.len().max(1) as f64
    }

    /// Tokens that reached the last stage.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    fn stage_view(&self, index: usize) -> StageView {
        let mut miners: Vec<_> = self.miners.iter().filter(|(_, m)| m.stage == index).collect();
        miners.sort_by_key(|(_, miner)| miner.order);
        let view = |(hotkey, miner): (&crate::protocol::Hotkey, &super::Miner)| MinerView {
            hotkey: hotkey.to_string(),
            status: self.status(index, hotkey, miner).to_owned(),
            forwards: miner.forwards,
            backwards: miner.backwards,
            partitions: miner.partitions,
            score: miner.score as f64,
        };
        StageView {
            stage: index,
            phase: self.stages[index].phase.to_string(),
            epoch: self.stages[index].epoch,
            progress: self.progress(index),
            miners: miners.into_iter().map(view).collect(),
        }
    }

    fn status(
        &self,
        index: usize,
        hotkey: &crate::protocol::Hotkey,
        miner: &super::Miner,
    ) -> &'static str {
        let stage = &self.stages[index];
        let mut copies = stage.chunks.iter().flatten().filter(|copy| copy.hotkey == *hotkey);
        match stage.phase {
            _ if !miner.live => "silent",
            Phase::MergingPartitions if copies.all(|copy| copy.object.is_some()) => "merged",
            Phase::MergingPartitions => "uploaded",
            Phase::WeightsUploading if stage.submissions.iter().any(|s| s.hotkey == *hotkey) => {
                "uploaded"
            }
            _ => "training",
        }
    }

    /// Share of the work of a stage's phase that is done, 0 to 1.
    fn progress(&self, index: usize) -> f64 {
        let stage = &self.stages[index];
        let (done, all) = match stage.phase {
            Phase::Training => (stage.backwards, self.goal()),
            Phase::WeightsUploading => {
                let working = self.living_in(index).filter(|(_, m)| m.backwards > 0).count();
                (stage.submissions.len() as u64, working as u64)
            }
            Phase::MergingPartitions => {
                let copies = || stage.chunks.iter().flatten();
                let done = copies().filter(|copy| copy.object.is_some()).count();
                (done as u64, copies().count() as u64)
            }
        };
        if all == 0 { 0.0 } else { (done as f64 / all as f64).min(1.0) }
    }
}
