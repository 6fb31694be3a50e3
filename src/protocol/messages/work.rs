//! Activations and what is reported about them (spec 2.4, 14.2).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::protocol::ids::{ActivationId, StageIndex};

use super::attestation::Attestation;

/// Which way an activation travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Towards the loss.
    Forward,
    /// A gradient on its way back.
    Backward,
}

impl Direction {
    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Forward => "forward",
            Direction::Backward => "backward",
        }
    }
}

/// Body of `GET /miner/get_activations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct GetActivationsRequest {
    /// How many forwards the first stage wants.
    pub n_fwd_activations: usize,
}

impl Default for GetActivationsRequest {
    fn default() -> Self {
        Self { n_fwd_activations: 1 }
    }
}

/// One piece of work from the orchestrator. Everything may be null.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ActivationResponse {
    /// The activation.
    pub activation_id: Option<ActivationId>,
    /// Which way.
    pub direction: Option<Direction>,
    /// Of a spot check's upload.
    pub upload_id: Option<String>,
    /// The sample, for the first stage.
    pub presigned_download_url: Option<String>,
    /// Why there is nothing.
    pub reason: Option<String>,
    /// Where a spot-checked activation is to be put.
    pub presigned_upload_url: Option<Vec<String>>,
    /// The path to report for it.
    pub activation_upload_path: Option<String>,
    /// The targets, for the last stage.
    pub target_download_url: Option<String>,
    /// A peer to pull it from.
    pub source_node_id: Option<String>,
    /// Its id at that peer.
    pub source_activation_id: Option<ActivationId>,
    /// What a pulled activation must hash to.
    pub expected_input_hash: Option<String>,
}

/// Body of `POST /miner/submit_activation`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubmitActivationRequest {
    /// Which way.
    pub direction: Direction,
    /// The activation.
    #[serde(default)]
    pub activation_id: Option<ActivationId>,
    /// Only for spot checks.
    #[serde(default)]
    pub activation_path: Option<String>,
    /// Timings, optional.
    #[serde(default)]
    pub activation_stats: Option<Value>,
    /// Proof, if the run wants one.
    #[serde(default)]
    pub attestation: Option<Attestation>,
    /// BLAKE3 of the received bytes; null for a forward of the first stage.
    #[serde(default)]
    pub input_activation_hash: Option<String>,
    /// BLAKE3 of the produced bytes.
    #[serde(default)]
    pub output_activation_hash: Option<String>,
}

impl SubmitActivationRequest {
    /// A report with nothing but id and direction.
    pub fn new(activation_id: ActivationId, direction: Direction) -> Self {
        Self {
            direction,
            activation_id: Some(activation_id),
            activation_path: None,
            activation_stats: None,
            attestation: None,
            input_activation_hash: None,
            output_activation_hash: None,
        }
    }
}

/// Body of `POST /miner/report_loss`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossReportRequest {
    /// The activation.
    pub activation_id: ActivationId,
    /// Mean cross-entropy, in nats per token. Must be finite: JSON has no other numbers.
    pub loss: f64,
    /// The reporting stage.
    #[serde(default)]
    pub layer_idx: Option<StageIndex>,
}
