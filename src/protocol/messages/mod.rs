//! The bodies of requests and answers (spec 2.4). Every field is sent, nulls included, because the
//! server checks the signature over its own re-serialisation; unknown fields are tolerated on read,
//! because the server is newer than us as often as not.

mod attestation;
mod flags;
mod open_enum;
mod partition;
mod registration;
mod run;
mod storage;
mod telemetry;
mod validation;
mod work;

pub use attestation::{
    Attestation, AttestationAction, AttestationChallengeRequest, EnclaveKeyId, EnclaveSign,
    MinerAttestation, MountedAttestation, RequestAttestationChallengeResponse,
};
pub use flags::{Flag, RunFlag, RunFlags};
pub use partition::{Partition, SubmitMergedPartitionsRequest};
pub use registration::{
    Bandwidth, ChipInfo, MinerRegistrationQueueStatusResponse, MinerRegistrationResponse,
    NodeLocation, PayoutColdkeyRequest, QueueStatus, RegisterMinerConfirmationRequest,
    RegisterMinerRequest, RegistrationAnswer, SystemData,
};
pub use run::{
    ActivationSettings, DatasetSettings, HeartbeatResponse, LearningRateSettings, MinerStatus,
    ModelConfig, ModelMetadata, OptimizerSettings, PeerStatus, RunConfigResponse, RunEpochResponse,
    RunInfo, RunTier,
};
pub use storage::{
    CompletedPart, FileType, FileUploadCompletionRequest, FileUploadCompletionResponse,
    FileUploadRequest, FileUploadResponse, LayerOptimizerStateResponse,
    SubmitOptimizerStateRequest, SubmitWeightsResponse, SubmittedWeights, WeightUpdate,
};
pub use telemetry::{FleetTelemetryPayload, FleetTelemetryResponse, PrometheusSnapshot};
pub use validation::{
    MinerScore, RunIncentiveAllocation, SubnetScores, ValidationTaskResponse, ValidatorTask,
    ValidatorTaskType,
};
pub use work::{
    ActivationResponse, Direction, GetActivationsRequest, LossReportRequest,
    SubmitActivationRequest,
};

#[cfg(test)]
mod tests;
