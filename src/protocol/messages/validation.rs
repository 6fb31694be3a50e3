//! What validators and the orchestrator say to each other (spec 2.3, 2.4).

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::registration::null_as_default;
use crate::protocol::ids::RunId;

/// A miner's score.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MinerScore {
    /// Its place in the metagraph.
    #[serde(default)]
    pub uid: Option<u64>,
    /// Its address.
    pub hotkey: String,
    /// Its owner.
    #[serde(default)]
    pub coldkey: Option<String>,
    /// Its run.
    #[serde(default)]
    pub run_id: Option<RunId>,
    /// What it did.
    pub raw_score: f64,
    /// After all corrections.
    pub total_score: f64,
    /// The run's weight.
    #[serde(default)]
    pub run_weight: Option<f64>,
    /// The weight set on the chain.
    #[serde(default)]
    pub weight: Option<f64>,
}

/// A run's share of the incentive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunIncentiveAllocation {
    /// The run.
    pub run_id: RunId,
    /// Its share.
    pub incentive_weight: f64,
    /// How much of it is burnt.
    pub burn_factor: f64,
    /// How much of it was active.
    #[serde(default = "whole")]
    pub active_weight_fraction: f64,
}

/// Answer to `GET /validator/global_miner_scores`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubnetScores {
    /// All miners.
    pub miner_scores: Vec<MinerScore>,
    /// All runs.
    pub runs: Vec<RunIncentiveAllocation>,
    /// Runs that pay now.
    #[serde(default, deserialize_with = "null_as_default")]
    pub active_runs: Vec<RunId>,
    /// Free form.
    #[serde(default, deserialize_with = "null_as_default")]
    pub provider_pool_metadata: Map<String, Value>,
    /// Share of the subnet's incentive that is burnt.
    pub burn_factor: f64,
}

/// What a validator is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ValidatorTaskType {
    /// Score a miner's work.
    ValidationScoring,
    /// Look for cheating.
    ValidationDetection,
}

/// Answer to `GET /validator/fetch_task`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidatorTask {
    /// The task.
    pub task_result_id: i64,
    /// Its kind.
    pub task_type: ValidatorTaskType,
    /// What to run.
    pub function_name: String,
    /// With what.
    pub inputs: Map<String, Value>,
    /// Sequences per activation.
    #[serde(default)]
    pub mini_batch_size: Option<usize>,
}

/// Body of `POST /validator/submit_task_result`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ValidationTaskResponse {
    /// The task.
    pub task_result_id: i64,
    /// Its kind.
    pub task_type: ValidatorTaskType,
    /// What was run.
    pub function_name: String,
    /// With what.
    pub inputs: Map<String, Value>,
    /// The result.
    pub outputs: Map<String, Value>,
}

fn whole() -> f64 {
    1.0
}
