//! Joining a run: registration, the queue, and what the server tells a new miner (spec 1.6, 2.4).

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::attestation::{Attestation, EnclaveKeyId};
use super::flags::RunFlags;
use super::open_enum::open_enum;
use super::run::{MinerStatus, ModelConfig, ModelMetadata};
use crate::protocol::ids::{Epoch, NodeId, RunId, StageIndex};
use crate::protocol::reading::Tree;

/// Body of `POST /miner/register`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegisterMinerRequest {
    /// Proof, if one could be collected.
    #[serde(default)]
    pub attestation: Option<Attestation>,
    /// Where rewards go; null leaves it to the server.
    #[serde(default)]
    pub coldkey: Option<String>,
    /// True for a hotkey registered on the chain, false for a pool miner.
    #[serde(default = "yes")]
    pub register_as_metagraph_miner: bool,
    /// The enclave's key, if there is one.
    #[serde(default)]
    pub enclave_payload: Option<EnclaveKeyId>,
    /// Our peer id.
    pub p2p_node_id: NodeId,
    /// A [`SystemData`] as JSON text.
    #[serde(default)]
    pub system_data: Option<String>,
    /// Where the machine is, if the user lets it be told.
    #[serde(default)]
    pub location: Option<NodeLocation>,
}

impl RegisterMinerRequest {
    /// A request that tells nothing but the peer id.
    pub fn new(p2p_node_id: NodeId) -> Self {
        Self {
            attestation: None,
            coldkey: None,
            register_as_metagraph_miner: true,
            enclave_payload: None,
            p2p_node_id,
            system_data: None,
            location: None,
        }
    }
}

/// Where a machine is. Everything may be unknown.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
#[allow(missing_docs)] // The names say it all.
pub struct NodeLocation {
    pub ip: Option<String>,
    pub country: Option<String>,
    pub country_code: Option<String>,
    pub region: Option<String>,
    pub city: Option<String>,
    pub latitude: Option<f64>,
    pub longitude: Option<f64>,
    pub timezone: Option<String>,
    pub isp: Option<String>,
    pub org: Option<String>,
}

/// What `system_data` holds, as JSON text. `bandwidth` is the one field that is left out when
/// unknown: the server's parser expects an object there.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub struct SystemData {
    /// Names of the devices.
    pub gpus: Vec<String>,
    /// The processor.
    pub chip_info: ChipInfo,
    /// The measured link; absent when the test failed or was not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bandwidth: Option<Bandwidth>,
}

/// The processor, as told at registration.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ChipInfo {
    /// Architecture.
    pub machine: String,
    /// Brand.
    #[serde(default)]
    pub cpu: Option<String>,
    /// Logical cores.
    #[serde(default)]
    pub cores: Option<u64>,
    /// Memory, in GB.
    #[serde(default)]
    pub memory_gb: Option<u64>,
}

/// The measured link, in megabits (10^6 bits) per second, rounded to 2 decimals.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bandwidth {
    /// Down.
    pub download_mbps: f64,
    /// Up.
    pub upload_mbps: f64,
}

/// Body of `POST /miner/register/confirm/{queue_id}`.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct RegisterMinerConfirmationRequest {
    /// Fresh proof for the selected run.
    pub attestation: Option<Attestation>,
    /// The enclave's key, if there is one.
    pub enclave_payload: Option<EnclaveKeyId>,
}

/// Body of `POST /miner/payout_coldkey`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutColdkeyRequest {
    /// Where rewards go.
    pub payout_coldkey: String,
}

/// What a registered miner is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MinerRegistrationResponse {
    /// Our stage. A miner cannot work without one.
    #[serde(default)]
    pub layer: Option<StageIndex>,
    /// The run's epoch now.
    #[serde(default)]
    pub current_epoch: Option<Epoch>,
    /// The model.
    #[serde(default)]
    pub model_cfg: Option<ModelConfig>,
    /// Splits and hyper-parameters.
    #[serde(default)]
    pub model_metadata: Option<ModelMetadata>,
    /// The run.
    pub run_id: RunId,
    /// The run's switches.
    #[serde(default, deserialize_with = "null_as_default")]
    pub run_flags: RunFlags,
    /// Partitions of our stage's weights. A miner cannot work without it.
    #[serde(default)]
    pub num_partitions: Option<usize>,
    /// `initializing` or `frozen` bench the miner until the next epoch; null does not.
    #[serde(default)]
    pub status: Option<MinerStatus>,
}

open_enum! {
    /// Where a registration stands in the queue.
    QueueStatus {
        /// Waiting.
        Queued = "queued",
        /// A run was selected; the miner must confirm.
        Confirming = "confirming",
        /// Confirmed.
        Confirmed = "confirmed",
        /// Being registered.
        Processing = "processing",
        /// Done: the response is there.
        Succeeded = "succeeded",
        /// Start again.
        Failed = "failed",
        /// Start again.
        Expired = "expired",
    }
}

/// A queue ticket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MinerRegistrationQueueStatusResponse {
    /// The ticket.
    pub queue_id: String,
    /// Where it stands.
    pub status: QueueStatus,
    /// How many are before us.
    #[serde(default)]
    pub position: Option<u64>,
    /// Seconds until we should ask again; 0 means at once.
    #[serde(default = "five_seconds", deserialize_with = "null_as_five_seconds")]
    pub poll_after_seconds: f64,
    /// The miner must confirm now.
    #[serde(default, deserialize_with = "null_as_default")]
    pub confirmation_required: bool,
    /// The run it was selected for.
    #[serde(default)]
    pub selected_run_id: Option<RunId>,
    /// Until when the place is kept.
    #[serde(default)]
    pub reserved_until: Option<String>,
    /// A repeated request differed from the first.
    #[serde(default, deserialize_with = "null_as_default")]
    pub payload_mismatch: bool,
    /// The server's words.
    #[serde(default)]
    pub detail: Option<String>,
    /// The registration, once there.
    #[serde(default)]
    pub response: Option<MinerRegistrationResponse>,
    /// What went wrong.
    #[serde(default)]
    pub error: Option<Value>,
}

impl MinerRegistrationQueueStatusResponse {
    /// A ticket in `status`, everything else at its default.
    pub fn new(queue_id: impl Into<String>, status: QueueStatus) -> Self {
        Self {
            queue_id: queue_id.into(),
            status,
            position: None,
            poll_after_seconds: five_seconds(),
            confirmation_required: false,
            selected_run_id: None,
            reserved_until: None,
            payload_mismatch: false,
            detail: None,
            response: None,
            error: None,
        }
    }
}

/// The answer to a registration or a look at the queue: told apart by a truthy `queue_id`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum RegistrationAnswer {
    /// Not yet: a ticket.
    Queued(Box<MinerRegistrationQueueStatusResponse>),
    /// In the run.
    Registered(Box<MinerRegistrationResponse>),
}

impl<'de> Deserialize<'de> for RegistrationAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let answer = Tree::deserialize(deserializer)?;
        let read = match answer.get("queue_id") {
            Some(id) if id.is_truthy() => answer.read().map(Self::Queued),
            _ => answer.read().map(Self::Registered),
        };
        read.map_err(D::Error::custom)
    }
}

/// Reads null as the type's default: the server sends nulls where its models say it may not.
pub(super) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn null_as_five_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Option::<f64>::deserialize(deserializer).map(|seconds| seconds.unwrap_or_else(five_seconds))
}

fn yes() -> bool {
    true
}

fn five_seconds() -> f64 {
    5.0
}
