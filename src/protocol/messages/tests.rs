//! Every model sends all its fields, nulls included, and reads back what a newer server may add.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::protocol::ids::{ActivationId, ChunkNumber, NodeId, StageIndex};
use crate::protocol::splits::Split;

fn fields(value: &impl Serialize) -> Vec<String> {
    let mut names: Vec<String> =
        serde_json::to_value(value).unwrap().as_object().unwrap().keys().cloned().collect();
    names.sort();
    names
}

fn sorted(names: &str) -> Vec<String> {
    let mut names: Vec<String> = names.split_whitespace().map(str::to_owned).collect();
    names.sort();
    names
}

/// What is sent, read back with an unknown field added, is equal to the original.
fn reads_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: &T) {
    let mut json = serde_json::to_value(value).unwrap();
    json.as_object_mut().unwrap().insert("added_by_a_newer_server".into(), json!([1]));
    assert_eq!(&serde_json::from_value::<T>(json).unwrap(), value);
}

fn node() -> NodeId {
    NodeId::from_bytes(&[0xab; 32])
}

#[test]
fn a_registration_sends_every_field_of_the_model() {
    let request = RegisterMinerRequest::new(node());
    let names = "attestation coldkey register_as_metagraph_miner enclave_payload p2p_node_id \
                 system_data location";
    assert_eq!(fields(&request), sorted(names));
    reads_back(&request);
    let names = "ip country country_code region city latitude longitude timezone isp org";
    assert_eq!(fields(&NodeLocation::default()), sorted(names));
}

#[test]
fn reports_send_every_field_of_their_models() {
    let report = SubmitActivationRequest::new(ActivationId::from("a"), Direction::Forward);
    let names = "direction activation_id activation_path activation_stats attestation \
                 input_activation_hash output_activation_hash";
    assert_eq!(fields(&report), sorted(names));
    reads_back(&report);
    let loss = LossReportRequest { activation_id: "a".into(), loss: 3.25, layer_idx: None };
    assert_eq!(fields(&loss), sorted("activation_id loss layer_idx"));
    reads_back(&loss);
    let names = "activation_id direction upload_id presigned_download_url reason \
                 presigned_upload_url activation_upload_path target_download_url source_node_id \
                 source_activation_id expected_input_hash";
    assert_eq!(fields(&ActivationResponse::default()), sorted(names));
    reads_back(&ActivationResponse::default());
}

#[test]
fn model_and_metadata_have_the_fields_of_the_specification() {
    let names = "model_name total_global_params vocab_size context_length orig_context_length \
                 emb_dim bottleneck_dim quantize_activations quantize_activations_grads \
                 quantize_weights n_heads n_layers hidden_dim n_kv_groups rope_base dtype \
                 rope_freq s3_download_timeout s3_upload_timeout activation_timeout";
    assert_eq!(fields(&ModelConfig::default()), sorted(names));
    let names = "model_splits model_size n_splits tokenizer_name effective_batch_size \
                 mini_batch_accumulation_count grad_clip_norm total_train_steps lr opt dataset \
                 miners_per_layer activation";
    let metadata = ModelMetadata {
        model_splits: Some(vec![
            Split { start: None, end: Some(4) },
            Split { start: Some(4), end: None },
        ]),
        opt: Some(OptimizerSettings { learning_rate: Some(2e-3), ..Default::default() }),
        ..Default::default()
    };
    assert_eq!(fields(&metadata), sorted(names));
    assert_eq!(serde_json::to_value(&metadata).unwrap()["model_splits"], json!([[-1, 4], [4, -1]]));
    reads_back(&metadata);
}

fn registration() -> Value {
    json!({
        "layer": 1, "current_epoch": 3, "model_cfg": {"emb_dim": 64}, "model_metadata": null,
        "run_id": "r", "run_flags": {"attest": {"enabled": true}, "new": {"enabled": true}},
        "num_partitions": 4,
    })
}

#[test]
fn an_answer_with_a_queue_id_is_a_ticket_and_one_without_is_a_registration() {
    let answer: RegistrationAnswer = serde_json::from_value(registration()).unwrap();
    let RegistrationAnswer::Registered(answer) = answer else { panic!("not a ticket") };
    assert_eq!(answer.layer, Some(StageIndex(1)));
    assert!(answer.run_flags.is_on(Flag::Attest));
    assert!(answer.run_flags.is_on(Flag::WeightedPartitionAveraging));
    assert!(!answer.run_flags.is_on(Flag::UseAdamW));
    assert_eq!(answer.run_flags.unknown()["new"], json!({"enabled": true}));

    let ticket = json!({"queue_id": "q", "status": "succeeded", "response": registration()});
    let ticket: RegistrationAnswer = serde_json::from_value(ticket).unwrap();
    let RegistrationAnswer::Queued(ticket) = &ticket else { panic!("a ticket") };
    assert!((ticket.poll_after_seconds - 5.0).abs() < f64::EPSILON);
    assert_eq!(ticket.response.as_ref().unwrap().run_id.as_str(), "r");

    let mut null_id = registration();
    null_id["queue_id"] = Value::Null;
    let answer: RegistrationAnswer = serde_json::from_value(null_id).unwrap();
    assert!(matches!(answer, RegistrationAnswer::Registered(_)));
}

#[test]
fn a_partition_keeps_the_keys_we_do_not_know() {
    let text = r#"{"layer":1,"chunk_number":2,"weight_path":null,"secret":{"x":[1]}}"#;
    let mut partition: Partition = serde_json::from_str(text).unwrap();
    assert_eq!(partition.layer(), Some(StageIndex(1)));
    assert_eq!(partition.chunk_number(), Some(ChunkNumber(2)));
    assert_eq!(partition.blob_path(), None);
    partition.set_blob_path("p");
    let sent = serde_json::to_value(&partition).unwrap();
    assert_eq!(sent["secret"], json!({"x": [1]}));
    assert_eq!(sent["blob_path"], "p");
    let all: Partition = serde_json::from_str(r#"{"chunk_number":"all"}"#).unwrap();
    assert_eq!(all.chunk_number(), None);
}

#[test]
fn unknown_statuses_are_kept_and_weights_default_to_one() {
    let status: MinerStatus = serde_json::from_str("\"resting\"").unwrap();
    assert_eq!(status, MinerStatus::Other("resting".into()));
    assert!(MinerStatus::Frozen.is_benched() && !status.is_benched());
    let source = |factor: Value| -> SubmittedWeights {
        let source = json!({"layer": 0, "weights_path_presigned": "u", "weighting_factor": factor});
        serde_json::from_value(source).unwrap()
    };
    for (factor, weight) in [(json!(null), 1.0), (json!(7), 7.0), (json!(0), 0.0), (json!(-2), 1.0)]
    {
        assert!((source(factor).weight() - weight).abs() < f64::EPSILON);
    }
}

#[test]
fn the_three_attestations_are_told_apart() {
    let mounted = json!({
        "schema_version": 1, "key_id": "k", "public_key_base64": "p", "payload_base64": "x",
        "signature_der_base64": "s", "payload_sha256_base64": "h",
    });
    let miner = json!({"payload_blob": "b"});
    let enclave = json!({"key_id": "k", "signature_der_base64": "s"});
    let read = |value| serde_json::from_value::<Attestation>(value).unwrap();
    assert!(matches!(read(mounted), Attestation::Mounted(m) if m.alg == "ES256"));
    assert!(matches!(read(miner), Attestation::Miner(_)));
    assert!(matches!(read(enclave), Attestation::Enclave(_)));
}
