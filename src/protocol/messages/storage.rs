//! Uploads to object storage and the submission of what was uploaded (spec 2.4, 5.3, 5.6, 9.1).

use serde::{Deserialize, Serialize};

use super::attestation::Attestation;
use super::registration::null_as_default;
use crate::protocol::ids::StageIndex;

/// What an uploaded object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileType {
    /// A pseudo-gradient.
    Weights,
    /// An inner optimizer's state.
    OptimizerState,
    /// A spot-checked activation.
    Activation,
    /// A merged partition.
    Partition,
}

impl FileType {
    /// The wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            FileType::Weights => "weights",
            FileType::OptimizerState => "optimizer_state",
            FileType::Activation => "activation",
            FileType::Partition => "partition",
        }
    }
}

/// Body of `POST /miner/initiate_file_upload`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileUploadRequest {
    /// Parts, 1..=10000.
    pub num_parts: u64,
    /// What it is.
    pub file_type: FileType,
    /// Whether a completion call follows.
    #[serde(default = "yes")]
    pub multipart: bool,
}

/// Answer to [`FileUploadRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileUploadResponse {
    /// The path to submit afterwards.
    pub object_name: String,
    /// One presigned PUT address per part.
    pub urls: Vec<String>,
    /// Null for a single PUT.
    #[serde(default)]
    pub upload_id: Option<String>,
}

/// One uploaded part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompletedPart {
    /// Counted from 1.
    #[serde(rename = "PartNumber")]
    pub part_number: u64,
    /// As the store answered, without quotes.
    #[serde(rename = "ETag")]
    pub etag: String,
}

/// Body of `POST /miner/complete_multipart_upload`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileUploadCompletionRequest {
    /// As the upload was named.
    pub object_name: String,
    /// As the upload was named.
    #[serde(default)]
    pub upload_id: Option<String>,
    /// In ascending order.
    #[serde(default)]
    pub parts: Option<Vec<CompletedPart>>,
}

/// Answer to [`FileUploadCompletionRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileUploadCompletionResponse {
    /// Where it lies now.
    pub object_path: String,
}

/// Body of `POST /miner/submit_weights`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightUpdate {
    /// The uploaded pseudo-gradient.
    pub weights_path: String,
    /// Proof, if the run wants one.
    #[serde(default)]
    pub attestation: Option<Attestation>,
}

/// Answer to [`WeightUpdate`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitWeightsResponse {
    /// The server's words.
    #[serde(default, deserialize_with = "null_as_default")]
    pub message: String,
    /// Whether this miner was chosen to upload its inner optimizer state.
    #[serde(default, deserialize_with = "null_as_default")]
    pub should_upload_optimizer_state: bool,
}

/// One source of a merge, from `GET /miner/get_weight_path_per_layer`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubmittedWeights {
    /// The stage.
    pub layer: StageIndex,
    /// Presigned GET of the pseudo-gradient.
    pub weights_path_presigned: String,
    /// Its weight in the average; null counts as 1. A float is accepted, though the model says int.
    #[serde(default)]
    pub weighting_factor: Option<serde_json::Number>,
}

impl SubmittedWeights {
    /// The weight to average with. A missing, negative or infinite factor counts as 1.
    pub fn weight(&self) -> f64 {
        let factor = self.weighting_factor.as_ref().and_then(serde_json::Number::as_f64);
        factor.filter(|f| f.is_finite() && *f >= 0.0).unwrap_or(1.0)
    }
}

/// Body of `POST /miner/submit_optimizer_state`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitOptimizerStateRequest {
    /// The uploaded state.
    pub optimizer_state_path: String,
}

/// Answer to `GET /miner/get_layer_optimizer_state`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct LayerOptimizerStateResponse {
    /// Presigned GET.
    pub optimizer_state_url: Option<String>,
    /// Whether there is one.
    #[serde(deserialize_with = "null_as_default")]
    pub available: bool,
}

fn yes() -> bool {
    true
}
