//! What a face may know of a practice swarm: stages, their miners and phases, losses, progress.

use serde::{Deserialize, Serialize};

/// One reported loss.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossPoint {
    /// Seconds since the swarm started.
    pub at: f64,
    /// Tokens that had reached the last stage by then.
    pub tokens: u64,
    /// From 1.
    pub epoch: u64,
    /// Nats per token.
    #[serde(deserialize_with = "crate::telemetry::json::number")]
    pub loss: f64,
}

/// One miner, as the orchestrator's books have it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MinerView {
    /// Address.
    pub hotkey: String,
    /// Word of the status: `training`, `uploaded`, `merged`, `silent`.
    pub status: String,
    /// Forwards accepted in this epoch.
    pub forwards: u64,
    /// Backwards accepted in this epoch.
    pub backwards: u64,
    /// Partitions accepted in this epoch.
    pub partitions: u64,
    /// Accepted backwards plus merged partitions of all epochs (until validation exists).
    pub score: f64,
}

/// One pipeline stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageView {
    /// 0-based.
    pub stage: usize,
    /// Wire word of the phase.
    pub phase: String,
    /// From 1.
    pub epoch: u64,
    /// Share of this phase's work that is done, 0 to 1.
    pub progress: f64,
    /// Its miners in the order they registered.
    pub miners: Vec<MinerView>,
}

/// A text that the whole model wrote.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Written {
    /// Which one it is, from 1: each time another is written.
    pub number: u64,
    /// What the model was given to go on from.
    pub begun: String,
    /// What it wrote.
    pub text: String,
    /// The epochs whose merges the weights are of, the oldest and the newest: two while a merge is
    /// under way. 0 stands for the first weights.
    pub epochs: (u64, u64),
    /// What these weights cost on text that nobody trained on, in nats per token.
    #[serde(deserialize_with = "crate::telemetry::json::number")]
    pub loss: f64,
}

/// What became of the last wish for a text.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Writing {
    /// Nobody asked yet.
    #[default]
    NotAsked,
    /// The model writes.
    UnderWay,
    /// It has written.
    Done(Written),
    /// It could not.
    Failed {
        /// What, why, what now.
        why: String,
    },
}

/// What was done to the miners of a practice swarm on purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lab {
    /// Addresses of those that were killed.
    pub killed: Vec<String>,
    /// Addresses of those that were slowed down.
    pub slowed: Vec<String>,
    /// How many more can be started besides those that were killed.
    pub spare: usize,
}

/// Everything a face shows of a practice swarm.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SwarmSnapshot {
    /// Run id.
    pub run: String,
    /// The newest epoch of any stage.
    pub epoch: u64,
    /// Epochs whose merge completed in every stage.
    pub epochs_done: u64,
    /// Share of this epoch's work that is done, 0 to 1.
    pub epoch_progress: f64,
    /// The stages, first to last.
    pub stages: Vec<StageView>,
    /// All losses in the order they were reported.
    pub losses: Vec<LossPoint>,
    /// Tokens that reached the last stage.
    pub tokens: u64,
    /// Of those, a second, over 10 s, 60 s, 15 min.
    pub tokens_per_second: [f64; 3],
    /// Cross-entropies of unigram and bigram models, once computed.
    pub baselines: Option<(f64, f64)>,
    /// Where the orchestrator listens.
    pub address: String,
    /// What the model was last asked to write.
    #[serde(default)]
    pub writing: Writing,
    /// What was done to its miners on purpose.
    #[serde(default)]
    pub lab: Lab,
}

impl SwarmSnapshot {
    /// The same with only the last losses, for who keeps it and must not grow with them.
    #[must_use]
    pub fn with_last_losses(&self, most: usize) -> Self {
        let from = self.losses.len().saturating_sub(most);
        Self {
            run: self.run.clone(),
            epoch: self.epoch,
            epochs_done: self.epochs_done,
            epoch_progress: self.epoch_progress,
            stages: self.stages.clone(),
            losses: self.losses.get(from..).unwrap_or_default().to_vec(),
            tokens: self.tokens,
            tokens_per_second: self.tokens_per_second,
            baselines: self.baselines,
            address: self.address.clone(),
            writing: self.writing.clone(),
            lab: self.lab.clone(),
        }
    }
}
