//! The rules of a run, as the orchestrator applies them: who works on which stage, what work is
//! handed out, what a report is worth, when a phase ends. Pure and synchronous: time comes in with
//! every call, and what is to be written, told or compared comes out as an [`Outcome`], so that whole
//! epochs can be played through in a test without a server.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::clock::{Entropy, Moment};
use crate::protocol::messages::{Direction, FileType};
use crate::protocol::{ActivationId, Epoch, Hotkey, Phase, RunId, ServerError, StageIndex};
use crate::swarm::rules::Rules;
use crate::telemetry::Event;

mod advance;
mod bench;
mod closed;
mod entry;
mod merging;
mod miners;
mod patience;
mod spot;
mod view;
mod work;

#[cfg(test)]
mod restart_tests;
#[cfg(test)]
mod tests;

use closed::Tally;
pub use closed::{Closed, ClosedMiner};
pub use entry::{Entry, OptimizerState, Restored, RestoredMiner, RestoredWork};
pub use merging::{Copy, MergedPartition, Parts, Submission, Upload};
pub use spot::SpotCheck;
pub use work::{Open, Pass};

/// What does not change while a run lives.
#[derive(Clone, Debug, PartialEq)]
pub struct RunPlan {
    /// Name of the run on the wire.
    pub run_id: RunId,
    /// Pipeline stages, at least 1.
    pub stages: usize,
    /// Planned miners of each stage, at least 1.
    pub miners_per_stage: usize,
    /// Backwards of each planned miner in an epoch.
    pub backwards_per_miner: u64,
    /// Epochs after which no more work is handed out; `None` goes on for ever.
    pub epochs: Option<u64>,
    /// Fixes pairings and ids.
    pub seed: u64,
    /// Partitions of each stage's weights, at least 1.
    pub num_partitions: usize,
    /// Tokens of one activation.
    pub tokens_per_activation: u64,
    /// What is refused, asked for and waited for.
    pub rules: Rules,
    /// What faces call a miner, by hotkey; others go by their hotkey.
    pub names: BTreeMap<Hotkey, String>,
}

/// What a call did besides its answer.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Rows for the books, in order.
    pub entries: Vec<Entry>,
    /// News for the faces.
    pub events: Vec<Event>,
    /// Two copies of one chunk that should be the same to the bit.
    pub compare: Vec<Comparison>,
    /// Objects that nobody needs any more.
    pub prune: Vec<String>,
    /// Forwards whose bytes are to be compared with their reported hash.
    pub spot_checks: Vec<SpotCheck>,
    /// Epochs that are to be paid.
    pub closed: Vec<Closed>,
}

/// Two copies of one merged chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The stage.
    pub stage: StageIndex,
    /// The epoch that ends with this merge.
    pub epoch: Epoch,
    /// The chunk.
    pub chunk: usize,
    /// Who submitted which object, in the order they came.
    pub copies: [(Hotkey, String); 2],
}

/// A miner of the run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Miner {
    pub(super) stage: usize,
    /// Place in the order of registration.
    pub(super) order: u64,
    pub(super) node_id: String,
    pub(super) last_seen: Moment,
    pub(super) live: bool,
    /// In this epoch.
    pub(super) forwards: u64,
    /// In this epoch.
    pub(super) backwards: u64,
    /// In this epoch.
    pub(super) partitions: u64,
    /// Of all epochs.
    pub(super) score: u64,
    /// Whether it was told its partitions of this epoch.
    pub(super) told_partitions: bool,
    /// Whether it must wait for the next epoch of its stage.
    pub(super) benched: bool,
    /// When it registered again in this epoch: it may or may not have its work still.
    pub(super) returned: Option<Moment>,
}

/// A stage of the run.
#[derive(Clone, Debug)]
pub(super) struct Stage {
    pub(super) phase: Phase,
    pub(super) epoch: u64,
    pub(super) since: Moment,
    /// In this epoch, of all miners, also of those that are gone.
    pub(super) backwards: u64,
    pub(super) submissions: Vec<Submission>,
    /// The copies of each chunk that are being merged.
    pub(super) chunks: Vec<Vec<Copy>>,
    /// The newest merged partition of each chunk. Stays as it is until a merge is over, so that twins
    /// build on the same.
    pub(super) merged: Vec<Option<MergedPartition>>,
    /// The newest inner optimizer state.
    pub(super) optimizer_state: Option<OptimizerState>,
    /// Who was asked for an inner optimizer state in this epoch.
    pub(super) asked: BTreeSet<Hotkey>,
}

/// A run: the state of all its stages, miners and work.
#[derive(Debug)]
pub struct Run {
    pub(super) plan: RunPlan,
    pub(super) stages: Vec<Stage>,
    pub(super) miners: BTreeMap<Hotkey, Miner>,
    next_order: u64,
    /// Activations of this epoch, finished ones included.
    pub(super) activations: HashMap<ActivationId, Open>,
    started: Moment,
    /// Whether the first work may be handed out.
    mustered: bool,
    /// When work was last lost with a miner.
    lost_at: Option<Moment>,
    /// How long reports take.
    patience: patience::Patience,
    /// Uploads that may still be submitted or fetched, by object.
    pub(super) uploads: HashMap<String, Upload>,
    /// Samples, and first weights that were replaced, by the epoch that needs them last.
    samples: Vec<(u64, String)>,
    ids: Entropy,
    tokens: u64,
    tally: Tally,
    outcome: Outcome,
}

impl Run {
    /// A run at the beginning of epoch 1, or where `restored` left off: in the epoch it was in, with its
    /// merged partitions, scores and the work that was reported. Its miners have to register again, and
    /// nothing moves on before they came or were waited for. What was under way is given up. A merge
    /// begins anew with the pseudo-gradients that were submitted.
    pub fn new(plan: RunPlan, restored: Restored, now: Moment) -> Self {
        let epoch = restored.epoch.max(1);
        let partitions = plan.num_partitions;
        let stage = |_| Stage {
            phase: Phase::Training,
            epoch,
            since: now,
            backwards: 0,
            submissions: Vec::new(),
            chunks: Vec::new(),
            merged: vec![None; partitions],
            optimizer_state: None,
            asked: BTreeSet::new(),
        };
        let mut run = Self {
            stages: (0..plan.stages).map(stage).collect(),
            miners: BTreeMap::new(),
            next_order: 0,
            activations: HashMap::new(),
            started: now,
            mustered: false,
            lost_at: None,
            patience: patience::Patience::default(),
            uploads: HashMap::new(),
            samples: Vec::new(),
            ids: Entropy::seeded(
                plan.seed ^ epoch.rotate_left(32) ^ restored.handed_out.rotate_left(16),
                "activation ids",
            ),
            tokens: restored.tokens,
            tally: Tally { losses: restored.losses, settled: restored.settled.clone() },
            outcome: Outcome::default(),
            plan,
        };
        run.restore(restored);
        for stage in 0..run.stages.len() {
            run.note_stage(stage);
        }
        run
    }

    fn restore(&mut self, restored: Restored) {
        let leftovers = restored.leftovers;
        self.samples.extend(leftovers.into_iter().map(|object| (restored.epoch, object)));
        for (stage, chunk, partition) in restored.merged {
            let place = self.stages.get_mut(stage).and_then(|s| s.merged.get_mut(chunk));
            if let Some(place) = place {
                *place = Some(partition);
            }
        }
        for old in restored.miners {
            self.next_order = self.next_order.max(old.order + 1);
            let miner = Miner {
                stage: old.stage,
                order: old.order,
                node_id: old.node_id,
                last_seen: Moment::default(),
                live: false,
                forwards: 0,
                backwards: 0,
                partitions: 0,
                score: old.score,
                told_partitions: false,
                benched: false,
                returned: None,
            };
            self.miners.insert(old.hotkey, miner);
        }
        self.restore_epoch(restored.stages, restored.work, restored.submissions);
        for (stage, state) in restored.optimizer_states {
            let Some(stage) = self.stages.get_mut(stage) else { continue };
            let OptimizerState { hotkey, object, epoch } = state.clone();
            let (kind, parts) = (FileType::OptimizerState, Parts::One);
            self.uploads.insert(object, Upload { hotkey, kind, epoch, parts });
            stage.optimizer_state = Some(state);
        }
    }

    fn restore_epoch(
        &mut self,
        stages: Vec<(usize, Phase, u64)>,
        work: Vec<RestoredWork>,
        submissions: Vec<(usize, Submission)>,
    ) {
        for (index, phase, epoch) in stages {
            let Some(stage) = self.stages.get_mut(index) else { continue };
            stage.epoch = epoch;
            stage.phase = match phase {
                Phase::Training => Phase::Training,
                Phase::WeightsUploading | Phase::MergingPartitions => Phase::WeightsUploading,
            };
        }
        for RestoredWork { stage, hotkey, direction, count } in work {
            let Some(place) = self.stages.get_mut(stage) else { continue };
            let miner = self.miners.get_mut(&hotkey).filter(|miner| miner.stage == stage);
            match direction {
                Direction::Forward => miner.into_iter().for_each(|miner| miner.forwards = count),
                Direction::Backward => {
                    place.backwards += count;
                    miner.into_iter().for_each(|miner| miner.backwards = count);
                }
            }
        }
        for (index, submission) in submissions {
            let Some(stage) = self.stages.get_mut(index) else { continue };
            if stage.phase == Phase::WeightsUploading {
                let Submission { hotkey, object, .. } = submission.clone();
                let (kind, parts, epoch) = (FileType::Weights, Parts::One, stage.epoch);
                self.uploads.insert(object, Upload { hotkey, kind, epoch, parts });
                stage.submissions.push(submission);
            }
        }
    }

    /// The plan this run follows.
    pub fn plan(&self) -> &RunPlan {
        &self.plan
    }

    /// What happened since the last call of this.
    pub fn take_outcome(&mut self) -> Outcome {
        std::mem::take(&mut self.outcome)
    }

    /// Whether all epochs that were asked for are done.
    pub fn is_finished(&self) -> bool {
        self.plan.epochs.is_some_and(|epochs| self.epochs_done() >= epochs)
    }

    /// Epochs whose merge is complete in every stage.
    pub fn epochs_done(&self) -> u64 {
        self.stages.iter().map(|stage| stage.epoch - 1).min().unwrap_or(0)
    }

    /// The newest epoch of any stage (spec 1.14).
    pub fn epoch(&self) -> Epoch {
        Epoch(self.stages.iter().map(|stage| stage.epoch).max().unwrap_or(1))
    }

    /// Whether every stage is in training (spec 1.8).
    pub fn all_training(&self) -> bool {
        self.stages.iter().all(|stage| stage.phase == Phase::Training)
    }

    /// What faces call a miner.
    fn name(&self, hotkey: &Hotkey) -> String {
        let name = self.plan.names.get(hotkey);
        name.cloned().unwrap_or_else(|| hotkey.to_string())
    }

    /// Backwards that every stage must reach in an epoch.
    pub(super) fn goal(&self) -> u64 {
        self.plan.backwards_per_miner * self.plan.miners_per_stage as u64
    }

    /// Stage, phase and epoch of a living miner.
    ///
    /// # Errors
    /// [`ServerError::EntityNotRegistered`] for anybody else.
    pub fn place(&self, hotkey: &Hotkey) -> Result<(StageIndex, Phase, Epoch), ServerError> {
        let miner = self.miner(hotkey)?;
        let stage = &self.stages[miner.stage];
        Ok((StageIndex(miner.stage), stage.phase, Epoch(stage.epoch)))
    }

    fn miner(&self, hotkey: &Hotkey) -> Result<&Miner, ServerError> {
        self.miners.get(hotkey).filter(|miner| miner.live).ok_or_else(|| {
            ServerError::EntityNotRegistered {
                message: "Entity not registered".to_owned(),
                name: Some(hotkey.to_string()),
            }
        })
    }

    /// The stage of a living miner, if that stage is in phase `expected`.
    ///
    /// # Errors
    /// [`ServerError::LayerState`] tells the miner which phase its stage is in.
    pub fn stage_in(&self, hotkey: &Hotkey, expected: Phase) -> Result<usize, ServerError> {
        let (layer, actual, _) = self.place(hotkey)?;
        if actual == expected {
            return Ok(layer.0);
        }
        let message = format!("stage {layer} is in {actual}, this call belongs to {expected}");
        Err(ServerError::LayerState { layer, expected, actual, message })
    }

    /// Notes that `hotkey` gave a sign of life.
    pub fn seen(&mut self, hotkey: &Hotkey, now: Moment) {
        if let Some(miner) = self.miners.get_mut(hotkey) {
            miner.last_seen = now;
        }
    }

    fn note(&mut self, entry: Entry) {
        self.outcome.entries.push(entry);
    }

    fn tell(&mut self, event: Event) {
        self.outcome.events.push(event);
    }

    fn note_stage(&mut self, index: usize) {
        let Some(stage) = self.stages.get(index) else { return };
        let (phase, epoch) = (stage.phase, stage.epoch);
        self.note(Entry::Stage { stage: index, phase, epoch });
        self.tell(Event::Phase { stage: index, epoch, phase: phase.to_string() });
    }

    fn note_miner(&mut self, hotkey: &Hotkey) {
        let Some(miner) = self.miners.get(hotkey) else { return };
        let entry = Entry::Miner {
            hotkey: hotkey.clone(),
            stage: miner.stage,
            order: miner.order,
            node_id: miner.node_id.clone(),
            live: miner.live,
            score: miner.score,
        };
        self.note(entry);
    }
}

/// An application error without a name of its own in the protocol.
pub(super) fn refusal(name: &str, message: impl Into<String>) -> ServerError {
    ServerError::Other { name: name.to_owned(), message: message.into() }
}
