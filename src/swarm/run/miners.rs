//! Who works on which stage: registration, and dropping those who fell silent (spec 1.6, 10.3).

use super::{Miner, Run};
use crate::clock::Moment;
use crate::protocol::{Hotkey, NodeId, Phase, ServerError, StageIndex};

impl Run {
    /// Takes a miner in: where fewest living miners are, the earliest such stage first. Whoever
    /// registers again keeps the stage, and what it did in the epoch; what it had under way is handed to
    /// others. After a restart of the swarm everybody gets the old stage, as long as it has room.
    ///
    /// # Errors
    /// [`ServerError::RunFull`] when there are as many miners as the run takes.
    pub fn register(
        &mut self,
        hotkey: &Hotkey,
        node_id: &NodeId,
        now: Moment,
    ) -> Result<StageIndex, ServerError> {
        let known = self.miners.get(hotkey).map(|miner| (miner.live, miner.stage, miner.order));
        let living = self.living();
        let (stage, order) = match known {
            Some((true, stage, order)) => (stage, order),
            _ if living >= self.plan.rules.limits.miners as u64 => {
                let message = format!("the run has its {living} miners; try again later");
                return Err(ServerError::RunFull { message });
            }
            Some((false, stage, order)) if !self.mustered && self.has_room(stage) => (stage, order),
            Some((false, _, order)) => (self.emptiest_stage(), order),
            None => (self.emptiest_stage(), self.next_order),
        };
        if matches!(known, Some((true, ..))) {
            self.lose_work_of(hotkey, now);
        }
        let benched = match known {
            Some((true, ..)) => self.miners.get(hotkey).is_some_and(|miner| miner.benched),
            _ => self.benches(stage),
        };
        self.next_order = self.next_order.max(order + 1);
        let before = self.miners.get(hotkey);
        let score = before.map_or(0, |miner| miner.score);
        // Whether it still has what it did cannot be seen from here; see `Run::awaits`.
        let (forwards, backwards, partitions) = before
            .filter(|miner| miner.stage == stage)
            .map_or((0, 0, 0), |miner| (miner.forwards, miner.backwards, miner.partitions));
        let miner = Miner {
            stage,
            order,
            node_id: node_id.to_string(),
            last_seen: now,
            live: true,
            forwards,
            backwards,
            partitions,
            score,
            told_partitions: false,
            benched,
            returned: before.map(|_| now),
        };
        self.miners.insert(hotkey.clone(), miner);
        self.note_miner(hotkey);
        self.muster(now);
        Ok(StageIndex(stage))
    }

    /// Once the planned miners are there, or have been waited for, work may begin.
    pub(super) fn muster(&mut self, now: Moment) {
        let planned = self.plan.miners_per_stage;
        let complete = (0..self.stages.len()).all(|s| self.living_in(s).count() >= planned);
        let waited = now.since(self.started) > self.plan.rules.limits.muster;
        self.mustered = self.mustered || complete || waited;
    }

    fn has_room(&self, stage: usize) -> bool {
        stage < self.stages.len() && self.living_in(stage).count() < self.plan.miners_per_stage
    }

    fn emptiest_stage(&self) -> usize {
        let living = |stage: usize| self.living_in(stage).count();
        (0..self.stages.len()).min_by_key(|stage| living(*stage)).unwrap_or(0)
    }

    /// Seats that nobody has.
    pub fn free_seats(&self) -> usize {
        let living = usize::try_from(self.living()).unwrap_or(usize::MAX);
        self.plan.rules.limits.miners.saturating_sub(living)
    }

    /// Whether a hotkey has a seat.
    pub fn is_seated(&self, hotkey: &Hotkey) -> bool {
        self.miner(hotkey).is_ok()
    }

    /// How many miners live.
    pub fn living(&self) -> u64 {
        self.miners.values().filter(|miner| miner.live).count() as u64
    }

    /// Living miners of a stage.
    pub(super) fn living_in(&self, stage: usize) -> impl Iterator<Item = (&Hotkey, &Miner)> {
        self.miners.iter().filter(move |(_, miner)| miner.live && miner.stage == stage)
    }

    /// Drops everybody who was silent for too long.
    pub(super) fn drop_silent(&mut self, now: Moment) {
        let limit = self.plan.rules.limits.silence;
        let silent: Vec<Hotkey> = self
            .miners
            .iter()
            .filter(|(_, miner)| miner.live && now.since(miner.last_seen) > limit)
            .map(|(hotkey, _)| hotkey.clone())
            .collect();
        for hotkey in silent {
            self.drop_miner(&hotkey, now);
        }
    }

    /// Drops a miner: it must register again, and its work goes to others.
    pub fn drop_miner(&mut self, hotkey: &Hotkey, now: Moment) {
        let Some(miner) = self.miners.get_mut(hotkey).filter(|miner| miner.live) else { return };
        miner.live = false;
        let stage = miner.stage;
        self.lose_work_of(hotkey, now);
        self.call_up(stage);
        if self.stages[stage].phase == Phase::MergingPartitions {
            self.reassign_chunks(stage, hotkey);
        }
        self.note_miner(hotkey);
    }
}
