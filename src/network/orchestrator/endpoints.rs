//! One method per endpoint of spec 2.2, in its order. Nothing is decided here.

use serde_json::Value;

use super::{CallError, Content, Orchestrator, empty_object, json};
use crate::protocol::ids::{ChunkNumber, RunId};
use crate::protocol::messages::{
    ActivationResponse, AttestationChallengeRequest, FileUploadCompletionRequest,
    FileUploadCompletionResponse, FileUploadRequest, FileUploadResponse, FleetTelemetryPayload,
    FleetTelemetryResponse, GetActivationsRequest, HeartbeatResponse, LayerOptimizerStateResponse,
    LossReportRequest, MinerRegistrationQueueStatusResponse, Partition, PayoutColdkeyRequest,
    RegisterMinerConfirmationRequest, RegisterMinerRequest, RegistrationAnswer,
    RequestAttestationChallengeResponse, RunConfigResponse, RunEpochResponse, RunInfo,
    SubmitActivationRequest, SubmitMergedPartitionsRequest, SubmitOptimizerStateRequest,
    SubmitWeightsResponse, SubmittedWeights, WeightUpdate,
};
use crate::protocol::phase::Phase;

/// Every method fails with a [`CallError`]; the retries are done by then.
impl Orchestrator {
    /// Whether the orchestrator answers. `GET /healthcheck`.
    pub async fn healthcheck(&self) -> Result<(), CallError> {
        let answer: Result<Value, _> =
            self.get("/healthcheck", &["healthcheck"], &[], Content::Absent).await;
        answer.map(drop)
    }

    /// The runs there are. `GET /common/get_run_info`.
    pub async fn run_info(&self) -> Result<Vec<RunInfo>, CallError> {
        let path = ["common", "get_run_info"];
        self.get("/common/get_run_info", &path, &[], Content::Absent).await
    }

    /// Asks for a stage. One attempt: a challenge must not be used twice. `POST /miner/register`.
    pub async fn register(
        &self,
        request: &RegisterMinerRequest,
    ) -> Result<RegistrationAnswer, CallError> {
        let call = "/miner/register";
        let content = json(call, request)?;
        let path = ["miner", "register"];
        let mut request = self.request(reqwest::Method::POST, call, &path, &[], content);
        request.attempts = 1;
        self.send(request).await
    }

    /// How a queued registration stands. `GET /miner/register/status/{queue_id}`.
    pub async fn registration_status(
        &self,
        queue_id: &str,
    ) -> Result<RegistrationAnswer, CallError> {
        let path = ["miner", "register", "status", queue_id];
        self.get("/miner/register/status", &path, &[], empty_object()).await
    }

    /// Confirms a queued registration. One short attempt: the challenge in it must not be used twice,
    /// and the window is short, so that who gets no answer looks at the ticket instead.
    /// `POST /miner/register/confirm/{queue_id}`.
    pub async fn confirm_registration(
        &self,
        queue_id: &str,
        request: &RegisterMinerConfirmationRequest,
    ) -> Result<MinerRegistrationQueueStatusResponse, CallError> {
        let call = "/miner/register/confirm";
        let path = ["miner", "register", "confirm", queue_id];
        let content = json(call, request)?;
        let mut request = self.request(reqwest::Method::POST, call, &path, &[], content);
        (request.attempts, request.timeout) = (1, self.0.rules.confirm_timeout);
        self.send(request).await
    }

    /// Names the address that is paid. `POST /miner/payout_coldkey`.
    pub async fn payout_coldkey(&self, request: &PayoutColdkeyRequest) -> Result<(), CallError> {
        let path = ["miner", "payout_coldkey"];
        self.post::<Value, _>("/miner/payout_coldkey", &path, request).await.map(drop)
    }

    /// The phase of the own stage. `GET /miner/layer_state`.
    pub async fn layer_state(&self) -> Result<Phase, CallError> {
        self.get("/miner/layer_state", &["miner", "layer_state"], &[], Content::Absent).await
    }

    /// Whether every stage trains. `GET /miner/all_layers_training`.
    pub async fn all_layers_training(&self) -> Result<bool, CallError> {
        let path = ["miner", "all_layers_training"];
        self.get("/miner/all_layers_training", &path, &[], Content::Absent).await
    }

    /// Says that this miner lives. With `expected`, another phase is answered by
    /// `ServerError::LayerState`. `GET /miner/heartbeat`.
    pub async fn heartbeat(&self, expected: Option<Phase>) -> Result<HeartbeatResponse, CallError> {
        let query: Vec<(&str, &str)> =
            expected.iter().map(|phase| ("expected_phase", phase.as_str())).collect();
        self.get("/miner/heartbeat", &["miner", "heartbeat"], &query, empty_object()).await
    }

    /// Flags and hyper-parameters as they are now. `GET /miner/get_run_config`.
    pub async fn run_config(&self) -> Result<RunConfigResponse, CallError> {
        let path = ["miner", "get_run_config"];
        self.get("/miner/get_run_config", &path, &[], empty_object()).await
    }

    /// The run's epoch. `GET /common/get_run_epoch`.
    pub async fn run_epoch(&self, run: &RunId) -> Result<RunEpochResponse, CallError> {
        let (path, query) = (["common", "get_run_epoch"], [("run_id", run.as_str())]);
        self.get("/common/get_run_epoch", &path, &query, Content::Absent).await
    }

    /// Samples for the first stage, at most `count`. `GET /miner/get_activations`.
    pub async fn get_activations(
        &self,
        count: usize,
    ) -> Result<Vec<ActivationResponse>, CallError> {
        let call = "/miner/get_activations";
        let content = json(call, &GetActivationsRequest { n_fwd_activations: count })?;
        self.get(call, &["miner", "get_activations"], &[], content).await
    }

    /// Reports a finished activation. `POST /miner/submit_activation`.
    pub async fn submit_activation(
        &self,
        request: &SubmitActivationRequest,
    ) -> Result<(), CallError> {
        let path = ["miner", "submit_activation"];
        self.post::<Value, _>("/miner/submit_activation", &path, request).await.map(drop)
    }

    /// Reports a loss. `POST /miner/report_loss`.
    pub async fn report_loss(&self, request: &LossReportRequest) -> Result<(), CallError> {
        let path = ["miner", "report_loss"];
        self.post::<Value, _>("/miner/report_loss", &path, request).await.map(drop)
    }

    /// Asks for presigned upload addresses. `POST /miner/initiate_file_upload`.
    pub async fn initiate_file_upload(
        &self,
        request: &FileUploadRequest,
    ) -> Result<FileUploadResponse, CallError> {
        let path = ["miner", "initiate_file_upload"];
        self.post("/miner/initiate_file_upload", &path, request).await
    }

    /// Joins the parts of an upload. `POST /miner/complete_multipart_upload`.
    pub async fn complete_multipart_upload(
        &self,
        request: &FileUploadCompletionRequest,
    ) -> Result<FileUploadCompletionResponse, CallError> {
        let path = ["miner", "complete_multipart_upload"];
        self.post("/miner/complete_multipart_upload", &path, request).await
    }

    /// Tells the orchestrator that this miner has seen the phase change.
    /// `GET /miner/notify_orchestrator_of_state_call`.
    pub async fn notify_of_state_call(&self) -> Result<(), CallError> {
        let (call, path) = (
            "/miner/notify_orchestrator_of_state_call",
            ["miner", "notify_orchestrator_of_state_call"],
        );
        self.get::<Value>(call, &path, &[], Content::Absent).await.map(drop)
    }

    /// Submits an uploaded pseudo-gradient. `POST /miner/submit_weights`.
    pub async fn submit_weights(
        &self,
        request: &WeightUpdate,
    ) -> Result<SubmitWeightsResponse, CallError> {
        self.post("/miner/submit_weights", &["miner", "submit_weights"], request).await
    }

    /// Submits an uploaded optimizer state. `POST /miner/submit_optimizer_state`.
    pub async fn submit_optimizer_state(
        &self,
        request: &SubmitOptimizerStateRequest,
    ) -> Result<(), CallError> {
        let path = ["miner", "submit_optimizer_state"];
        self.post::<Value, _>("/miner/submit_optimizer_state", &path, request).await.map(drop)
    }

    /// Another miner's optimizer state, if there is one. `GET /miner/get_layer_optimizer_state`.
    pub async fn layer_optimizer_state(&self) -> Result<LayerOptimizerStateResponse, CallError> {
        let path = ["miner", "get_layer_optimizer_state"];
        self.get("/miner/get_layer_optimizer_state", &path, &[], Content::Absent).await
    }

    /// The pseudo-gradients of this stage. `GET /miner/get_weight_path_per_layer`.
    pub async fn weight_paths(&self) -> Result<Vec<SubmittedWeights>, CallError> {
        let path = ["miner", "get_weight_path_per_layer"];
        self.get("/miner/get_weight_path_per_layer", &path, &[], Content::Absent).await
    }

    /// The partitions that this miner merges. `GET /miner/get_partitions`.
    pub async fn partitions(&self) -> Result<Vec<Partition>, CallError> {
        let path = ["miner", "get_partitions"];
        self.get("/miner/get_partitions", &path, &[], Content::Absent).await
    }

    /// The last epoch's merges of `chunks`. Asks nothing for none: an empty list would be signed
    /// as another text than it is sent (spec 2.1). `GET /miner/get_previous_partitions`.
    pub async fn previous_partitions(
        &self,
        chunks: &[ChunkNumber],
    ) -> Result<Vec<Partition>, CallError> {
        if chunks.is_empty() {
            return Ok(Vec::new());
        }
        let call = "/miner/get_previous_partitions";
        let content = json(call, chunks)?;
        self.get(call, &["miner", "get_previous_partitions"], &[], content).await
    }

    /// Submits merged partitions. `POST /miner/submit_merged_partitions`.
    pub async fn submit_merged_partitions(
        &self,
        request: &SubmitMergedPartitionsRequest,
    ) -> Result<(), CallError> {
        let path = ["miner", "submit_merged_partitions"];
        self.post::<Value, _>("/miner/submit_merged_partitions", &path, request).await.map(drop)
    }

    /// The merged partitions of the own stage: `blob_path` is a presigned address.
    /// `GET /common/get_merged_partitions`.
    pub async fn merged_partitions(&self) -> Result<Vec<Partition>, CallError> {
        let path = ["common", "get_merged_partitions"];
        self.get("/common/get_merged_partitions", &path, &[], Content::Absent).await
    }

    /// Measurements for the operator. `POST /miner/fleet-telemetry`.
    pub async fn fleet_telemetry(
        &self,
        payload: &FleetTelemetryPayload,
    ) -> Result<FleetTelemetryResponse, CallError> {
        self.post("/miner/fleet-telemetry", &["miner", "fleet-telemetry"], payload).await
    }

    /// Asks for a challenge. `POST /miner/request_attestation_challenge`.
    pub async fn request_attestation_challenge(
        &self,
        request: &AttestationChallengeRequest,
    ) -> Result<RequestAttestationChallengeResponse, CallError> {
        let path = ["miner", "request_attestation_challenge"];
        self.post("/miner/request_attestation_challenge", &path, request).await
    }
}
