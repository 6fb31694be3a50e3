//! The client against a real HTTP server: what is on the wire, and what each answer becomes.

use std::time::Duration;

use super::*;
use crate::network::test_server::{self, Scripted};
use crate::protocol::ids::{ActivationId, ChunkNumber, NodeId, RunId, StageIndex};
use crate::protocol::messages::{
    Direction, LossReportRequest, RegisterMinerRequest, RegistrationAnswer, SubmitActivationRequest,
};
use crate::protocol::phase::Phase;

const HEARTBEAT: &str = r#"{"run_id":"r","layer":1,"epoch":3,"phase":"training","status":null}"#;

fn orchestrator(base: &str, change: impl FnOnce(&mut HttpConstants)) -> Orchestrator {
    let mut constants = Constants::practice();
    constants.http.failure_pause = Duration::from_millis(20);
    change(&mut constants.http);
    let hotkey = Arc::new(HotkeyPair::generate(&mut Entropy::seeded(1, "hotkey")));
    let entropy = Entropy::seeded(2, "requests");
    let base = base.parse().unwrap();
    Orchestrator::new(test_server::client(), base, hotkey, &constants, Clock::system(), entropy)
}

async fn scripted(answers: &[(u16, &str)]) -> (Scripted, Orchestrator) {
    let server = Scripted::start(answers).await;
    let orchestrator = orchestrator(&server.base, |_| {});
    (server, orchestrator)
}

#[tokio::test]
async fn every_request_carries_headers_that_verify_over_what_was_sent() {
    let (server, orchestrator) = scripted(&[(200, "[]"), (200, HEARTBEAT)]).await;
    orchestrator.get_activations(2).await.unwrap();
    orchestrator.heartbeat(Some(Phase::Training)).await.unwrap();
    let seen = server.seen();
    assert_eq!(&seen[0].body[..], br#"{"n_fwd_activations": 2}"#);
    assert_eq!(seen[1].uri, "/miner/heartbeat?expected_phase=training");
    for request in &seen {
        let signer = epistula::verify_request(
            request.header("epistula-signed-by"),
            request.header("epistula-request-signature"),
            request.header("epistula-timestamp"),
            &request.body,
            Clock::system().unix_millis(),
            10_000,
        );
        assert_eq!(&signer.unwrap(), orchestrator.hotkey());
        assert_eq!(request.header("x-spec-version"), "30017");
        assert_eq!(request.header("x-is-mounted"), "false");
        assert_eq!(request.header("x-request-id").len(), 36);
        assert_eq!(request.header("content-type"), "application/json");
    }
    assert_ne!(seen[0].header("x-request-id"), seen[1].header("x-request-id"));
}

#[tokio::test]
async fn the_three_shapes_of_a_get_body_are_kept_apart() {
    let (server, orchestrator) = scripted(&[(200, "true"), (200, HEARTBEAT), (200, "[]")]).await;
    assert!(orchestrator.all_layers_training().await.unwrap());
    orchestrator.heartbeat(None).await.unwrap();
    let chunks = [ChunkNumber(3), ChunkNumber(1)];
    assert!(orchestrator.previous_partitions(&chunks).await.unwrap().is_empty());
    assert!(orchestrator.previous_partitions(&[]).await.unwrap().is_empty());
    let seen = server.seen();
    assert_eq!(seen.len(), 3, "an empty list is never sent");
    assert_eq!((&seen[0].body[..], seen[0].header("content-type")), (&b""[..], ""));
    assert_eq!((&seen[1].body[..], seen[1].uri.as_str()), (&b"{}"[..], "/miner/heartbeat"));
    assert_eq!(&seen[2].body[..], b"[3, 1]");
    assert!(seen.iter().all(|request| request.method == Method::GET));
}

#[tokio::test]
async fn each_attempt_is_signed_afresh_under_one_request_id() {
    let answers = [(500, "broken"), (502, ""), (200, HEARTBEAT)];
    let (server, orchestrator) = scripted(&answers).await;
    assert_eq!(orchestrator.heartbeat(None).await.unwrap().layer, StageIndex(1));
    let seen = server.seen();
    assert_eq!(seen.len(), 3);
    assert_eq!(seen[0].header("x-request-id"), seen[2].header("x-request-id"));
    let stamp = |n: usize| seen[n].header("epistula-timestamp").parse::<u64>().unwrap();
    assert!(stamp(1) >= stamp(0) + 20 && stamp(2) >= stamp(1) + 20, "a pause lies between");
}

#[tokio::test]
async fn attempts_end_with_the_last_failure() {
    let (server, orchestrator) = scripted(&[(500, "a"), (500, "b"), (503, "down\nfor now")]).await;
    let error = orchestrator.layer_state().await.unwrap_err();
    let call = "/miner/layer_state";
    let detail = "down for now".to_owned();
    assert_eq!(error, CallError::Status { call, status: 503, detail });
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn rate_limits_are_waited_out() {
    let (server, orchestrator) = scripted(&[(429, ""), (200, "\"merging_partitions\"")]).await;
    let start = std::time::Instant::now();
    assert_eq!(orchestrator.layer_state().await.unwrap(), Phase::MergingPartitions);
    assert!(start.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.seen().len(), 2);

    let server = Scripted::start(&[(429, "")]).await;
    let hasty = self::orchestrator(&server.base, |http| http.attempts = 1);
    let limited = hasty.layer_state().await.unwrap_err();
    assert!(matches!(limited, CallError::TooManyRequests { .. }));
}

#[tokio::test]
async fn registration_is_tried_once_and_its_answers_told_apart() {
    let request = RegisterMinerRequest::new(NodeId::from_bytes(&[1; 32]));
    let (server, orchestrator) = scripted(&[
        (500, ""),
        (200, r#"{"queue_id":"q/1","status":"queued"}"#),
        (200, r#"{"run_id":"r","layer":0,"num_partitions":2}"#),
    ])
    .await;
    let failed = orchestrator.register(&request).await.unwrap_err();
    assert!(matches!(failed, CallError::Status { status: 500, .. }));
    assert_eq!(server.seen().len(), 1);
    let RegistrationAnswer::Queued(ticket) = orchestrator.register(&request).await.unwrap() else {
        panic!("a ticket was answered");
    };
    let registered = orchestrator.registration_status(&ticket.queue_id).await.unwrap();
    assert!(matches!(registered, RegistrationAnswer::Registered(_)));
    assert_eq!(server.seen()[2].uri, "/miner/register/status/q%2F1");
    let sent: serde_json::Value = serde_json::from_slice(&server.seen()[0].body).unwrap();
    assert_eq!(sent["system_data"], serde_json::Value::Null, "nulls are sent too");
}

#[tokio::test]
async fn application_errors_are_typed_and_not_retried() {
    let body = r#"{"error_name":"LayerStateError","error_dict":{"layer":1,
        "expected_status":"training","actual_status":"weights_uploading","message":"m"}}"#;
    let (server, orchestrator) = scripted(&[(200, body)]).await;
    let report = SubmitActivationRequest::new(ActivationId("a".to_owned()), Direction::Forward);
    let error = orchestrator.submit_activation(&report).await.unwrap_err();
    let Some(ServerError::LayerState { actual, .. }) = error.server() else {
        panic!("{error}");
    };
    assert_eq!(*actual, Phase::WeightsUploading);
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn answers_that_make_no_sense_are_malformed_and_huge_ones_are_not_read() {
    for body in ["", "<html>", "{\"phase\":", "{\"run_id\":7}"] {
        let (server, orchestrator) = scripted(&[(200, body)]).await;
        let error = orchestrator.heartbeat(None).await.unwrap_err();
        assert!(matches!(error, CallError::Malformed { .. }), "{body}: {error}");
        assert_eq!(server.seen().len(), 1);
    }
    let server = Scripted::start(&[(200, &format!("\"{}\"", "x".repeat(2000)))]).await;
    let careful = orchestrator(&server.base, |http| http.max_answer_bytes = 1000);
    let error = careful.layer_state().await.unwrap_err();
    assert_eq!(error, CallError::TooLarge { call: "/miner/layer_state", limit: 1000 });
}

#[tokio::test]
async fn silence_and_a_dead_server_are_told_apart() {
    let hang = axum::Router::new().fallback(std::future::pending::<()>);
    let base = test_server::start(hang).await;
    let patient = orchestrator(&base, |http| {
        http.attempts = 1;
        http.timeout = Duration::from_millis(200);
    });
    let error = patient.healthcheck().await.unwrap_err();
    assert!(matches!(error, CallError::Timeout { .. }), "{error}");
    let nobody = orchestrator("http://127.0.0.1:1", |http| http.attempts = 2);
    let error = nobody.healthcheck().await.unwrap_err();
    assert!(matches!(error, CallError::Transport { .. }), "{error}");
}

#[tokio::test]
async fn queries_are_escaped_and_numbers_canonical() {
    let (server, orchestrator) =
        scripted(&[(200, r#"{"run_id":"a&b","epoch":7}"#), (200, "{}")]).await;
    let epoch = orchestrator.run_epoch(&RunId("a&b c".to_owned())).await.unwrap().epoch;
    assert_eq!(epoch.0, 7);
    let report = LossReportRequest {
        activation_id: ActivationId("é".to_owned()),
        loss: 1e-7,
        layer_idx: None,
    };
    orchestrator.report_loss(&report).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen[0].uri, "/common/get_run_epoch?run_id=a%26b+c");
    let text = std::str::from_utf8(&seen[1].body).unwrap();
    assert_eq!(text, r#"{"activation_id": "\u00e9", "layer_idx": null, "loss": 1e-07}"#);
}
