//! Attestation: challenges and the three forms of an answer (spec 2.4, 4). Hearth has no enclave and
//! sends none; the models exist so that bodies carry the field and the swarm can read any of them.

use serde::{Deserialize, Serialize};

use crate::protocol::ids::RunId;

/// Proof of where a request was made, in one of three forms (untagged on the wire).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Attestation {
    /// Signed by the host app.
    Mounted(MountedAttestation),
    /// Collected by the miner itself.
    Miner(MinerAttestation),
    /// A bare enclave signature.
    Enclave(EnclaveSign),
}

/// Evidence that the miner collected itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MinerAttestation {
    /// The evidence.
    pub payload_blob: String,
    /// The encrypted part.
    #[serde(default)]
    pub encrypted_attestation: Option<String>,
}

/// Evidence signed by the host app's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MountedAttestation {
    /// Version of this layout.
    pub schema_version: i64,
    /// Which key signed.
    pub key_id: String,
    /// Its public half.
    pub public_key_base64: String,
    /// What was signed.
    pub payload_base64: String,
    /// The signature.
    pub signature_der_base64: String,
    /// SHA-256 of the payload.
    pub payload_sha256_base64: String,
    /// Signature algorithm.
    #[serde(default = "es256")]
    pub alg: String,
    /// The challenge this answers.
    #[serde(default)]
    pub challenge_id: Option<String>,
}

/// An enclave's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnclaveSign {
    /// Which key signed.
    pub key_id: String,
    /// The signature.
    pub signature_der_base64: String,
    /// Signature algorithm.
    #[serde(default = "es256")]
    pub alg: String,
    /// The challenge this answers.
    #[serde(default)]
    pub challenge_id: Option<String>,
}

/// The public half of an enclave's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnclaveKeyId {
    /// Which key.
    pub key_id: String,
    /// Its public half.
    pub public_key_base64: String,
    /// Signature algorithm.
    #[serde(default = "es256")]
    pub alg: String,
}

/// What an attestation is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttestationAction {
    /// Registering.
    Registration,
    /// Submitting a pseudo-gradient.
    Weights,
    /// Submitting merged partitions.
    MergedPartitions,
    /// Reporting an activation.
    SubmitActivation,
}

/// Body of `POST /miner/request_attestation_challenge`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestationChallengeRequest {
    /// What for.
    pub action: AttestationAction,
    /// In which run; null before registration.
    #[serde(default)]
    pub run_id: Option<RunId>,
}

/// Answer to [`AttestationChallengeRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestAttestationChallengeResponse {
    /// What for.
    pub action: AttestationAction,
    /// The challenge.
    pub attestation_challenge_blob: String,
    /// Checks the client is to run on itself.
    pub self_checks: Vec<String>,
    /// How to encrypt the answer.
    pub crypto: String,
    /// Unix seconds.
    pub expires_at: f64,
}

fn es256() -> String {
    "ES256".to_owned()
}
