//! What a stranger may send: wrong signatures, old ones, garbage, giants. Each gets its answer and
//! the orchestrator lives on.

use super::*;

async fn one_stage() -> (tempfile::TempDir, Orchestrator, Signer) {
    let folder = tempfile::tempdir().unwrap();
    let orchestrator = orchestrator(folder.path(), plan(1, 1, 1), Events::new()).await;
    let signer = Signer::new(&orchestrator);
    (folder, orchestrator, signer)
}

#[tokio::test]
async fn an_unsigned_or_wrongly_signed_request_gets_400_and_the_error_of_the_signature() {
    let (_folder, orchestrator, signer) = one_stage().await;
    let now = signer.clock.unix_millis();
    let good =
        || signer.request("POST", "/miner/register", registration().to_string().as_bytes(), now);
    let bare = signer.http.get(format!("{}/healthcheck", signer.base));
    let other = Signer::new(&orchestrator);
    let other_body = good().body(registration().to_string().replace("ab", "cd"));
    let (client, request) = good().build_split();
    let mut request = request.unwrap();
    let claimed = other.pair.address().as_str().parse().unwrap();
    request.headers_mut().insert(HEADER_SIGNED_BY, claimed);
    let other_signer = reqwest::RequestBuilder::from_parts(client, request);
    let stranger = other.request("GET", "/miner/heartbeat", b"", now);
    for bad in [bare, other_body, other_signer] {
        let (status, body) = answer_of(bad).await;
        assert_eq!((status, &body["detail"]["name"]), (400, &json!("EpistulaError")));
        assert!(body["detail"]["message"].is_string());
    }
    let (status, body) = answer_of(stranger).await;
    assert_eq!((status, &body["error_name"]), (200, &json!("EntityNotRegisteredError")));
    assert_eq!(answer_of(good()).await.1["layer"], 0);
}

#[tokio::test]
async fn an_old_request_is_stale_and_one_with_other_json_layout_is_not_refused() {
    let (_folder, _orchestrator, signer) = one_stage().await;
    let limit = u64::try_from(Rules::lenient().signature_age.as_millis()).unwrap();
    let old = signer.clock.unix_millis() - limit - 1_000;
    let (status, body) = answer_of(signer.request("GET", "/healthcheck", b"", old)).await;
    assert_eq!(status, 400);
    assert_eq!(body["detail"]["message"], "Request is too stale");
    let now = signer.clock.unix_millis();
    for body in [&b""[..], b"{}", b"{ }"] {
        assert_eq!(answer_of(signer.request("GET", "/healthcheck", body, now)).await.0, 200);
    }
}

#[tokio::test]
async fn another_version_is_told_which_one_is_wanted() {
    let (_folder, _orchestrator, signer) = one_stage().await;
    let now = signer.clock.unix_millis();
    let request = signer.request("GET", "/healthcheck", b"", now);
    let mut request = request.build().unwrap();
    request.headers_mut().insert(HEADER_SPEC_VERSION, "30016".parse().unwrap());
    let answer = signer.http.execute(request).await.unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    assert_eq!(body["error_name"], "SpecVersionError");
    assert_eq!(body["error_dict"]["expected_version"], VERSION);
    assert_eq!(body["error_dict"]["actual_version"], "30016");
}

#[tokio::test]
async fn garbage_is_refused_call_by_call() {
    let (_folder, _orchestrator, signer) = one_stage().await;
    signer.register().await;
    let now = signer.clock.unix_millis();
    let posts = [
        "register",
        "submit_activation",
        "report_loss",
        "initiate_file_upload",
        "complete_multipart_upload",
        "submit_weights",
        "submit_merged_partitions",
        "request_attestation_challenge",
        "submit_optimizer_state",
    ];
    for call in posts {
        let path = format!("/miner/{call}");
        for body in ["[1]", "\"x\"", "3", "{\"direction\": 7}", "{\"p2p_node_id\": \"zz\"}"] {
            let (status, _) = answer_of(signer.request("POST", &path, body.as_bytes(), now)).await;
            assert_eq!(status, 422, "{call} {body}");
        }
        for body in [&b"{"[..], b"\xff\xfe\x00", b"{\"a\":1}{\"b\":2}"] {
            let (status, _) = answer_of(signer.request("POST", &path, body, now)).await;
            assert_eq!(status, 400, "{call} {body:?}");
        }
    }
    let deep = "[".repeat(100_000);
    let (status, _) =
        answer_of(signer.request("POST", "/miner/report_loss", deep.as_bytes(), now)).await;
    assert_eq!(status, 400);
    for path in ["/", "/miner", "/miner/nothing", "/validator/fetch_task", "/miner/%2e%2e/x"] {
        assert_eq!(answer_of(signer.request("GET", path, b"", now)).await.0, 404, "{path}");
    }
    let odd = signer.request("GET", "/miner/heartbeat?expected_phase=sleeping", b"", now);
    assert_eq!(answer_of(odd).await.0, 400);
    for parts in [0_u64, 10_001, u64::MAX] {
        let body = json!({"num_parts": parts, "file_type": "weights"}).to_string();
        let request = signer.request("POST", "/miner/initiate_file_upload", body.as_bytes(), now);
        assert_eq!(answer_of(request).await.0, 400, "{parts}");
    }
    assert_eq!(signer.get("/healthcheck", "").await["status"], "healthy");
}

#[tokio::test]
async fn a_body_of_100_megabytes_is_not_read() {
    let (_folder, _orchestrator, signer) = one_stage().await;
    let now = signer.clock.unix_millis();
    for path in ["/miner/report_loss", "/bridge/set"] {
        let request = signer.request("POST", path, b"{}", now).body(vec![b' '; 100 << 20]);
        match request.send().await {
            Ok(answer) => assert_eq!(answer.status().as_u16(), 413),
            // The server closes the connection while the client still sends.
            Err(error) => assert!(error.is_request() || error.is_body(), "{error}"),
        }
    }
    assert_eq!(signer.get("/healthcheck", "").await["status"], "healthy");
}

#[tokio::test]
async fn calls_of_another_phase_say_which_phase_it_is() {
    let (_folder, _orchestrator, signer) = one_stage().await;
    signer.register().await;
    assert_eq!(signer.get("/miner/layer_state", "").await, "training");
    assert_eq!(signer.get("/miner/all_layers_training", "").await, true);
    let beat = signer.get("/miner/heartbeat", "{}").await;
    assert_eq!((&beat["phase"], &beat["epoch"]), (&json!("training"), &json!(1)));
    for path in [
        "/miner/heartbeat?expected_phase=merging_partitions",
        "/miner/get_partitions",
        "/miner/get_weight_path_per_layer",
    ] {
        let refused = signer.get(path, "").await;
        assert_eq!(refused["error_name"], "LayerStateError", "{path}");
        let dict = &refused["error_dict"];
        assert_eq!(dict["actual_status"], "training");
        assert_eq!(dict["expected_status"], "merging_partitions");
        assert_eq!(dict["layer"], 0);
    }
    let object = signer.upload("weights", b"early").await;
    let early = signer.post("/miner/submit_weights", &json!({ "weights_path": object })).await;
    assert_eq!(early["error_name"], "LayerStateError");
}

#[tokio::test]
async fn an_answer_repeats_the_requests_id() {
    let (_folder, _orchestrator, signer) = one_stage().await;
    let now = signer.clock.unix_millis();
    let request = signer.request("GET", "/healthcheck", b"", now).header(HEADER_REQUEST_ID, "r-1");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()[HEADER_REQUEST_ID], "r-1");
}

#[tokio::test]
async fn a_taken_port_is_told_plainly() {
    let (_folder, orchestrator, _) = one_stage().await;
    let port = orchestrator.address().port();
    let error = listen(port).await.unwrap_err();
    assert!(matches!(error, ListenError::PortTaken(p) if p == port));
    assert!(error.to_string().contains("choose another port"));
}
