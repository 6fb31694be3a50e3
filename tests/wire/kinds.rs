//! Every message of spec 2.4, 6.4 and 7.2 as a full example, with what must be there and what holds
//! when the rest is not. Written from the specification, not from the code.

use hearth::protocol::messages::*;
use hearth::protocol::reading::{self, ReadError};
use hearth::protocol::registry::{
    GetRequest, GetResponse, ListedVariable, LockRequest, LockResponse, RegisterRequest,
    RegisterResponse, SetRequest, SetResponse, UnlockRequest,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

/// One kind of message.
pub struct Kind {
    /// Its name in the specification.
    pub name: &'static str,
    /// All of its fields, none of them null.
    pub full: Value,
    /// Fields without which it cannot be read.
    pub required: Vec<&'static str>,
    /// What the other fields are when they do not come.
    pub defaults: Value,
    /// Reads it; gives what it would be sent as.
    pub read: fn(&[u8]) -> Result<Value, ReadError>,
}

impl Kind {
    /// Only what must be there.
    pub fn least(&self) -> Value {
        let kept = |name: &&str| ((*name).to_owned(), self.full[*name].clone());
        Value::Object(self.required.iter().map(kept).collect())
    }

    /// Only what must be there, as it would be sent: with all fields.
    pub fn least_sent(&self) -> Value {
        let mut all: Map<String, Value> = self.least().as_object().unwrap().clone();
        all.extend(self.defaults.as_object().unwrap().clone());
        Value::Object(all)
    }
}

fn read<T: DeserializeOwned + Serialize>(text: &[u8]) -> Result<Value, ReadError> {
    let message = reading::json::<T>(text)?;
    let sent = serde_json::to_vec(&message).unwrap();
    // A number that came with more digits than a float has room for goes out as it came.
    Ok(serde_json::from_slice(&sent).unwrap_or(Value::Null))
}

fn kind<T: DeserializeOwned + Serialize>(
    name: &'static str,
    required: &'static str,
    full: Value,
    defaults: Value,
) -> Kind {
    Kind { name, full, required: required.split_whitespace().collect(), defaults, read: read::<T> }
}

const NODE: &str = "abababababababababababababababababababababababababababababababab";

fn mounted() -> Value {
    json!({
        "schema_version": 2, "key_id": "k", "public_key_base64": "p", "payload_base64": "x",
        "signature_der_base64": "s", "payload_sha256_base64": "h", "alg": "ES256",
        "challenge_id": "c",
    })
}

fn proof() -> Value {
    json!({"payload_blob": "b", "encrypted_attestation": "e"})
}

fn enclave() -> Value {
    json!({"key_id": "k", "public_key_base64": "p", "alg": "ES256"})
}

/// Flags as a server sends them, with one that nobody knows and one of an unknown shape.
pub fn flags() -> Value {
    let mut flags = Map::new();
    for name in [
        "test_flag",
        "compress_s3_files",
        "attest",
        "keep_cache_on_local_step",
        "upload_optimizer_state",
        "enforce_min_local_optimizer_steps",
        "weighted_partition_averaging",
        "clip_pseudo_gradients",
        "use_AdamW",
        "peer_eviction",
        "auto_max_cache",
        "sync_patches",
        "auto_local_batch_size",
        "trusted_fleet",
    ] {
        flags.insert(name.to_owned(), json!({"enabled": true, "version": 1.5}));
    }
    flags.insert("of_next_year".to_owned(), json!({"enabled": false, "version": 2.0, "share": 7}));
    flags.insert("of_another_shape".to_owned(), json!([1, "x"]));
    Value::Object(flags)
}

/// What [`hearth::protocol::messages::RunFlags`] is when no flag came.
fn default_flags() -> Value {
    serde_json::to_value(RunFlags::default()).unwrap()
}

fn model() -> Value {
    json!({
        "model_name": "m", "total_global_params": 1_500_000_000_u64, "vocab_size": 128_256,
        "context_length": 131_072, "orig_context_length": 8192, "emb_dim": 2048,
        "bottleneck_dim": 128, "quantize_activations": false, "quantize_activations_grads": "int8",
        "quantize_weights": 8, "n_heads": 32, "n_layers": 16, "hidden_dim": 8192,
        "n_kv_groups": 8, "rope_base": 500_000.0, "dtype": "torch.bfloat16",
        "rope_freq": {"factor": 32.0, "low_freq_factor": 1.0}, "s3_download_timeout": 300.0,
        "s3_upload_timeout": 300.0, "activation_timeout": 60.0,
    })
}

fn metadata() -> Value {
    json!({
        "model_splits": [[-1, 4], [4, 12], [12, -1]], "model_size": "1B", "n_splits": 3,
        "tokenizer_name": "t", "effective_batch_size": 256, "mini_batch_accumulation_count": 8,
        "grad_clip_norm": 1.0, "total_train_steps": 100_000,
        "lr": {
            "warmup_start_factor": 0.1, "warmup_steps": 10, "const_steps": 20,
            "tail_steps_frac": 0.2, "final_factor": 0.1, "saw_cycle_length": 5,
        },
        "opt": {"learning_rate": 0.001, "weight_decay": 0.1, "betas": [0.9, 0.95], "eps": 1e-8},
        "dataset": {
            "dataset_name": "d", "shuffle_dataset": true, "sequence_length": 800,
            "mini_batch_size": 4,
        },
        "miners_per_layer": [4, 5, 4], "activation": {"max_activation_cache_size": 16},
    })
}

/// `names` with null each.
fn nulls(names: &str) -> Value {
    Value::Object(names.split_whitespace().map(|name| (name.to_owned(), Value::Null)).collect())
}

fn nulls_of(full: &Value) -> Value {
    let names: Vec<&str> = full.as_object().unwrap().keys().map(String::as_str).collect();
    nulls(&names.join(" "))
}

fn registered() -> Value {
    json!({
        "layer": 1, "current_epoch": 3, "model_cfg": model(), "model_metadata": metadata(),
        "run_id": "r", "run_flags": flags(), "num_partitions": 4, "status": "frozen",
    })
}

fn status() -> Value {
    json!({
        "source_hotkey": "5Grw", "forward_queue_size": 1, "backward_queue_size": 2,
        "cache_size": 3, "cache_capacity": 16, "uptime_seconds": 12.5,
        "layer_phase": "merging_partitions", "miner_status": "initializing",
        "last_status_received": 7.5,
    })
}

/// Everything.
pub fn all() -> Vec<Kind> {
    let mut all = registration();
    all.extend(runs());
    all.extend(work());
    all.extend(storage());
    all.extend(attestation());
    all.extend(validation());
    all.extend(bridge());
    all
}

fn registration() -> Vec<Kind> {
    let location = json!({
        "ip": "1.2.3.4", "country": "c", "country_code": "cc", "region": "r", "city": "x",
        "latitude": -1.5, "longitude": 2.25, "timezone": "UTC", "isp": "i", "org": "o",
    });
    let system = json!({
        "gpus": ["g"],
        "chip_info": {"machine": "x86_64", "cpu": "c", "cores": 8, "memory_gb": 32},
        "bandwidth": {"download_mbps": 100.25, "upload_mbps": 9.5},
    });
    let ticket = json!({
        "queue_id": "q", "status": "confirming", "position": 3, "poll_after_seconds": 2.5,
        "confirmation_required": true, "selected_run_id": "r", "reserved_until": "2026-01-01",
        "payload_mismatch": true, "detail": "d", "response": registered(), "error": {"x": [1]},
    });
    let ticket_defaults = json!({
        "position": null, "poll_after_seconds": 5.0, "confirmation_required": false,
        "selected_run_id": null, "reserved_until": null, "payload_mismatch": false,
        "detail": null, "response": null, "error": null,
    });
    let mut registered_defaults =
        nulls("layer current_epoch model_cfg model_metadata num_partitions status");
    registered_defaults["run_flags"] = default_flags();
    vec![
        kind::<RegisterMinerRequest>(
            "RegisterMinerRequest",
            "p2p_node_id",
            json!({
                "attestation": mounted(), "coldkey": "5C", "register_as_metagraph_miner": false,
                "enclave_payload": enclave(), "p2p_node_id": NODE, "system_data": "{}",
                "location": location,
            }),
            json!({
                "attestation": null, "coldkey": null, "register_as_metagraph_miner": true,
                "enclave_payload": null, "system_data": null, "location": null,
            }),
        ),
        kind::<NodeLocation>("NodeLocation", "", location.clone(), nulls_of(&location)),
        kind::<SystemData>("system_data", "gpus chip_info", system, json!({})),
        kind::<RegisterMinerConfirmationRequest>(
            "RegisterMinerConfirmationRequest",
            "",
            json!({"attestation": proof(), "enclave_payload": enclave()}),
            nulls("attestation enclave_payload"),
        ),
        kind::<PayoutColdkeyRequest>(
            "payout_coldkey",
            "payout_coldkey",
            json!({"payout_coldkey": "5C"}),
            json!({}),
        ),
        kind::<MinerRegistrationResponse>(
            "MinerRegistrationResponse",
            "run_id",
            registered(),
            registered_defaults.clone(),
        ),
        kind::<RegistrationAnswer>(
            "registration, done",
            "run_id",
            registered(),
            registered_defaults,
        ),
        kind::<MinerRegistrationQueueStatusResponse>(
            "MinerRegistrationQueueStatusResponse",
            "queue_id status",
            ticket.clone(),
            ticket_defaults.clone(),
        ),
        kind::<RegistrationAnswer>(
            "registration, queued",
            "queue_id status",
            ticket,
            ticket_defaults,
        ),
    ]
}

fn runs() -> Vec<Kind> {
    let info = json!({
        "run_id": "r", "is_default": true, "num_miners": 7, "whitelisted": true,
        "is_miner_pool": true, "burn_factor": 0.5, "incentive_perc": 0.25, "authorized": true,
        "run_flags": flags(), "max_miners": 256, "whitelist_force_allow": true, "tier": "GOLD",
    });
    vec![
        kind::<HeartbeatResponse>(
            "HeartbeatResponse",
            "run_id layer epoch phase",
            json!({
                "run_id": "r", "layer": 2, "epoch": 9, "phase": "weights_uploading",
                "status": "training",
            }),
            nulls("status"),
        ),
        kind::<RunConfigResponse>(
            "RunConfigResponse",
            "run_id",
            json!({"run_id": "r", "run_flags": flags(), "model_metadata": metadata()}),
            json!({"run_flags": default_flags(), "model_metadata": null}),
        ),
        kind::<RunEpochResponse>(
            "RunEpochResponse",
            "run_id epoch",
            json!({"run_id": "r", "epoch": 3}),
            json!({}),
        ),
        kind::<RunInfo>(
            "RunInfo",
            "run_id is_default num_miners whitelisted is_miner_pool burn_factor incentive_perc \
             authorized max_miners",
            info,
            json!({
                "run_flags": default_flags(), "whitelist_force_allow": false, "tier": "IRON",
            }),
        ),
        kind::<RunFlags>("RunFlags", "", flags(), json!({})),
        kind::<ModelConfig>("ModelConfig", "", model(), nulls_of(&model())),
        kind::<ModelMetadata>("ModelMetadata", "", metadata(), nulls_of(&metadata())),
        kind::<PeerStatus>(
            "PeerStatus",
            "",
            status(),
            json!({
                "source_hotkey": "", "forward_queue_size": 0, "backward_queue_size": 0,
                "cache_size": 0, "cache_capacity": 0, "uptime_seconds": 0.0,
                "layer_phase": "training", "miner_status": "training",
                "last_status_received": 0.0,
            }),
        ),
    ]
}

fn work() -> Vec<Kind> {
    let activation = json!({
        "activation_id": "a", "direction": "backward", "upload_id": "u",
        "presigned_download_url": "http://d", "reason": "r",
        "presigned_upload_url": ["http://u1", "http://u2"], "activation_upload_path": "p",
        "target_download_url": "http://t", "source_node_id": "n", "source_activation_id": "s",
        "expected_input_hash": "h",
    });
    vec![
        kind::<GetActivationsRequest>(
            "get_activations",
            "",
            json!({"n_fwd_activations": 4}),
            json!({"n_fwd_activations": 1}),
        ),
        kind::<ActivationResponse>(
            "ActivationResponse",
            "",
            activation.clone(),
            nulls_of(&activation),
        ),
        kind::<SubmitActivationRequest>(
            "SubmitActivationRequest",
            "direction",
            json!({
                "direction": "forward", "activation_id": "a", "activation_path": "p",
                "activation_stats": {"seconds": 1.5}, "attestation": proof(),
                "input_activation_hash": "i", "output_activation_hash": "o",
            }),
            nulls(
                "activation_id activation_path activation_stats attestation \
                 input_activation_hash output_activation_hash",
            ),
        ),
        kind::<LossReportRequest>(
            "LossReportRequest",
            "activation_id loss",
            json!({"activation_id": "a", "loss": 3.25, "layer_idx": 2}),
            nulls("layer_idx"),
        ),
    ]
}

fn storage() -> Vec<Kind> {
    vec![
        kind::<FileUploadRequest>(
            "FileUploadRequest",
            "num_parts file_type",
            json!({"num_parts": 7, "file_type": "optimizer_state", "multipart": false}),
            json!({"multipart": true}),
        ),
        kind::<FileUploadResponse>(
            "FileUploadResponse",
            "object_name urls",
            json!({"object_name": "o", "urls": ["http://1", "http://2"], "upload_id": "u"}),
            nulls("upload_id"),
        ),
        kind::<FileUploadCompletionRequest>(
            "FileUploadCompletionRequest",
            "object_name",
            json!({
                "object_name": "o", "upload_id": "u", "parts": [{"PartNumber": 1, "ETag": "e"}],
            }),
            nulls("upload_id parts"),
        ),
        kind::<FileUploadCompletionResponse>(
            "complete_multipart_upload, answer",
            "object_path",
            json!({"object_path": "o"}),
            json!({}),
        ),
        kind::<WeightUpdate>(
            "WeightUpdate",
            "weights_path",
            json!({"weights_path": "w", "attestation": proof()}),
            nulls("attestation"),
        ),
        kind::<SubmitWeightsResponse>(
            "submit_weights, answer",
            "",
            json!({"message": "m", "should_upload_optimizer_state": true}),
            json!({"message": "", "should_upload_optimizer_state": false}),
        ),
        kind::<SubmittedWeights>(
            "SubmittedWeights",
            "layer weights_path_presigned",
            json!({"layer": 1, "weights_path_presigned": "http://w", "weighting_factor": 12}),
            nulls("weighting_factor"),
        ),
        kind::<SubmitOptimizerStateRequest>(
            "submit_optimizer_state",
            "optimizer_state_path",
            json!({"optimizer_state_path": "o"}),
            json!({}),
        ),
        kind::<LayerOptimizerStateResponse>(
            "get_layer_optimizer_state, answer",
            "",
            json!({"optimizer_state_url": "http://o", "available": true}),
            json!({"optimizer_state_url": null, "available": false}),
        ),
        kind::<Partition>(
            "MinerPartition",
            "",
            json!({
                "layer": 1, "chunk_number": 2, "miner_hotkey": "m", "other_miner_hotkey": "o",
                "blob_path": "b", "weight_path": "w", "from_the_future": {"a": [1, null, 2.5]},
            }),
            json!({}),
        ),
        kind::<SubmitMergedPartitionsRequest>(
            "SubmitMergedPartitionsRequest",
            "partitions",
            json!({
                "partitions": [{"layer": 1, "chunk_number": 2, "blob_path": "b", "x": {}}],
                "attestation": enclave_signature(),
            }),
            nulls("attestation"),
        ),
    ]
}

fn enclave_signature() -> Value {
    json!({
        "key_id": "k", "signature_der_base64": "s", "alg": "ES256", "challenge_id": "c",
    })
}

fn attestation() -> Vec<Kind> {
    vec![
        kind::<MinerAttestation>(
            "MinerAttestation",
            "payload_blob",
            proof(),
            nulls("encrypted_attestation"),
        ),
        kind::<MountedAttestation>(
            "MountedAttestation",
            "schema_version key_id public_key_base64 payload_base64 signature_der_base64 \
             payload_sha256_base64",
            mounted(),
            json!({"alg": "ES256", "challenge_id": null}),
        ),
        kind::<EnclaveSign>(
            "EnclaveSign",
            "key_id signature_der_base64",
            enclave_signature(),
            json!({"alg": "ES256", "challenge_id": null}),
        ),
        kind::<EnclaveKeyId>(
            "EnclaveKeyId",
            "key_id public_key_base64",
            enclave(),
            json!({"alg": "ES256"}),
        ),
        kind::<AttestationChallengeRequest>(
            "AttestationChallengeRequest",
            "action",
            json!({"action": "merged_partitions", "run_id": "r"}),
            nulls("run_id"),
        ),
        kind::<RequestAttestationChallengeResponse>(
            "RequestAttestationChallengeResponse",
            "action attestation_challenge_blob self_checks crypto expires_at",
            json!({
                "action": "submit_activation", "attestation_challenge_blob": "b",
                "self_checks": ["s"], "crypto": "c", "expires_at": 1_784_300_000.5,
            }),
            json!({}),
        ),
    ]
}

fn validation() -> Vec<Kind> {
    let score = json!({
        "uid": 5, "hotkey": "h", "coldkey": "c", "run_id": "r", "raw_score": 1.5,
        "total_score": 2.5, "run_weight": 0.5, "weight": 0.25,
    });
    let run = json!({
        "run_id": "r", "incentive_weight": 0.5, "burn_factor": 0.25,
        "active_weight_fraction": 0.75,
    });
    vec![
        kind::<MinerScore>(
            "MinerScore",
            "hotkey raw_score total_score",
            score.clone(),
            nulls("uid coldkey run_id run_weight weight"),
        ),
        kind::<RunIncentiveAllocation>(
            "RunIncentiveAllocation",
            "run_id incentive_weight burn_factor",
            run.clone(),
            json!({"active_weight_fraction": 1.0}),
        ),
        kind::<SubnetScores>(
            "SubnetScores",
            "miner_scores runs burn_factor",
            json!({
                "miner_scores": [score], "runs": [run], "active_runs": ["r"],
                "provider_pool_metadata": {"x": 1}, "burn_factor": 0.5,
            }),
            json!({"active_runs": [], "provider_pool_metadata": {}}),
        ),
        kind::<ValidatorTask>(
            "ValidatorTask",
            "task_result_id task_type function_name inputs",
            json!({
                "task_result_id": 5, "task_type": "validation_scoring", "function_name": "f",
                "inputs": {"x": 1}, "mini_batch_size": 4,
            }),
            nulls("mini_batch_size"),
        ),
        kind::<ValidationTaskResponse>(
            "ValidationTaskResponse",
            "task_result_id task_type function_name inputs outputs",
            json!({
                "task_result_id": 5, "task_type": "validation_detection", "function_name": "f",
                "inputs": {"x": 1}, "outputs": {"y": [2]},
            }),
            json!({}),
        ),
    ]
}

fn bridge() -> Vec<Kind> {
    let none = json!({});
    vec![
        kind::<RegisterRequest>(
            "bridge, register",
            "variables",
            json!({"variables": [{
                "var_id": "v", "default_value": {"any": [1]}, "var_type": "dict",
                "write_rule": "CAS",
            }]}),
            none.clone(),
        ),
        kind::<RegisterResponse>(
            "bridge, register answer",
            "results",
            json!({"results": [{"status": "error", "version": 3, "error": "e"}]}),
            none.clone(),
        ),
        kind::<GetRequest>("bridge, get", "var_ids", json!({"var_ids": ["v"]}), none.clone()),
        kind::<GetResponse>(
            "bridge, get answer",
            "",
            json!({
                "variables": [{
                    "var_id": "v", "value": {"any": 1}, "version": 2,
                    "metadata": {"updated_at": "now"},
                }],
                "errors": [{"var_id": "w", "error": "e"}],
            }),
            json!({"variables": [], "errors": []}),
        ),
        kind::<SetRequest>(
            "bridge, set",
            "updates",
            json!({"updates": [{
                "var_id": "v", "value": 1.5, "current_version": 4, "lock_token": "t",
            }]}),
            none.clone(),
        ),
        kind::<SetResponse>(
            "bridge, set answer",
            "results",
            json!({"results": [{"var_id": "v", "status": "ok", "version": 5, "error": "e"}]}),
            none.clone(),
        ),
        kind::<ListedVariable>("bridge, vars", "var_id", json!({"var_id": "v"}), none.clone()),
        kind::<LockRequest>(
            "bridge, lock",
            "var_ids",
            json!({"var_ids": ["v"], "ttl_ms": 7, "wait_ms": 8}),
            json!({"ttl_ms": 30_000, "wait_ms": 5000}),
        ),
        kind::<LockResponse>(
            "bridge, lock answer",
            "locks",
            json!({"locks": [{"status": "locked", "lock_token": "t", "error": "e"}]}),
            none.clone(),
        ),
        kind::<UnlockRequest>(
            "bridge, unlock",
            "locks",
            json!({"locks": [{"var_id": "v", "lock_token": "t"}]}),
            none,
        ),
    ]
}
