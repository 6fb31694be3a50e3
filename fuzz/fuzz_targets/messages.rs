//! Every message of the orchestrator and of the bridge: the first byte says which, the rest is JSON.
//! What is read must come out as JSON that reads as the same.
#![no_main]

use hearth::protocol::messages::*;
use hearth::protocol::reading;
use hearth::protocol::registry::{
    GetRequest, GetResponse, ListedVariable, LockRequest, LockResponse, RegisterRequest,
    RegisterResponse, SetRequest, SetResponse, UnlockRequest,
};
use hearth::protocol::ServerError;
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fn read<T: DeserializeOwned + Serialize>(text: &[u8]) {
    match reading::json::<T>(text) {
        Ok(message) => {
            let sent = serde_json::to_vec(&message).unwrap();
            // Infinite numbers become nulls, which not every field may be.
            if let Ok(again) = reading::json::<T>(&sent) {
                assert_eq!(serde_json::to_vec(&again).unwrap(), sent);
            }
        }
        Err(error) => assert!(error.to_string().chars().count() < 300),
    }
}

macro_rules! kinds {
    ($($kind:ty),+ $(,)?) => { [$(read::<$kind> as fn(&[u8])),+] };
}

fuzz_target!(|data: &[u8]| {
    let readers = kinds![
        RegistrationAnswer, RegisterMinerRequest, NodeLocation, SystemData,
        RegisterMinerConfirmationRequest, PayoutColdkeyRequest, HeartbeatResponse,
        RunConfigResponse, RunEpochResponse, Vec<RunInfo>, RunFlags, ModelConfig, ModelMetadata,
        PeerStatus, GetActivationsRequest, Vec<ActivationResponse>, SubmitActivationRequest,
        LossReportRequest, FileUploadRequest, FileUploadResponse, FileUploadCompletionRequest,
        FileUploadCompletionResponse, WeightUpdate, SubmitWeightsResponse, Vec<SubmittedWeights>,
        SubmitOptimizerStateRequest, LayerOptimizerStateResponse, Vec<Partition>,
        SubmitMergedPartitionsRequest, Attestation, EnclaveKeyId, AttestationChallengeRequest,
        RequestAttestationChallengeResponse, SubnetScores, ValidatorTask, ValidationTaskResponse,
        RegisterRequest, RegisterResponse, GetRequest, GetResponse, SetRequest, SetResponse,
        Vec<ListedVariable>, LockRequest, LockResponse, UnlockRequest,
    ];
    let Some((which, text)) = data.split_first() else { return };
    readers[usize::from(*which) % readers.len()](text);
    if let Some(error) = ServerError::in_answer(text) {
        assert!(error.to_string().chars().count() < 1000);
    }
});
