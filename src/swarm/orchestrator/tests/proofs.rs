//! What is asked for besides the request itself: attestation, payout addresses, versions, rates.

use super::*;
use crate::protocol::messages::Flag;
use crate::swarm::rules::{Pool, Proof, Rate, Versions};

async fn start(rules: Rules) -> (tempfile::TempDir, Orchestrator, Signer) {
    let folder = tempfile::tempdir().unwrap();
    let plan = RunPlan { rules, ..plan(1, 1, 1) };
    let orchestrator = orchestrator(folder.path(), plan, Events::new()).await;
    let signer = Signer::new(&orchestrator);
    (folder, orchestrator, signer)
}

impl Signer {
    async fn challenge(&self, action: &str) -> Value {
        let request = json!({"action": action, "run_id": null});
        let answer = self.post("/miner/request_attestation_challenge", &request).await;
        assert_eq!(answer["action"], action, "{answer}");
        answer
    }
}

fn asking(registration: Proof, work: Proof) -> Rules {
    let mut rules = Rules::lenient();
    (rules.attestation.registration, rules.attestation.work) = (registration, work);
    rules.flags.insert(Flag::Attest.as_str().to_owned(), true);
    rules
}

#[tokio::test]
async fn a_challenge_has_an_id_an_end_and_is_for_this_run() {
    let (_folder, _orchestrator, signer) = start(Rules::lenient()).await;
    let answer = signer.challenge("registration").await;
    let blob = answer["attestation_challenge_blob"].as_str().unwrap();
    let blob: Value = serde_json::from_str(blob).unwrap();
    assert!(blob["challenge_id"].is_string());
    assert!(answer["self_checks"].is_array() && answer["crypto"].is_string());
    let left = answer["expires_at"].as_f64().unwrap() - signer.clock.unix_seconds();
    assert!((290.0..=300.0).contains(&left), "{left}");
    let other = json!({"action": "weights", "run_id": "elsewhere"});
    let refused = signer.post("/miner/request_attestation_challenge", &other).await;
    assert_eq!(refused["error_name"], "RunNotFoundError");
    let known = json!({"action": "weights", "run_id": "test"});
    let good = signer.post("/miner/request_attestation_challenge", &known).await;
    assert_eq!(good["action"], "weights");
}

#[tokio::test]
async fn a_registration_needs_a_fresh_challenge_where_the_rules_say_so() {
    let (_folder, _orchestrator, signer) = start(asking(Proof::Challenge, Proof::Nothing)).await;
    let bare = signer.post("/miner/register", &registration()).await;
    assert_eq!(bare["error_name"], "AttestationError");
    signer.challenge("weights").await;
    let other = signer.post("/miner/register", &registration()).await;
    assert_eq!(other["error_name"], "AttestationError", "a challenge for something else");
    signer.challenge("registration").await;
    assert_eq!(signer.register().await, 0, "a null payload is fine");
    let again = signer.post("/miner/register", &registration()).await;
    assert_eq!(again["error_name"], "AttestationError", "a challenge is good once");
}

#[tokio::test]
async fn a_null_payload_is_refused_in_plain_words_and_a_payload_is_taken() {
    let (_folder, _orchestrator, signer) = start(asking(Proof::Payload, Proof::Nothing)).await;
    signer.challenge("registration").await;
    let refused = signer.post("/miner/register", &registration()).await;
    assert_eq!(refused["error_name"], "AttestationError");
    let message = refused["error_dict"]["message"].as_str().unwrap();
    assert!(message.contains("payload was null"), "{message}");
    signer.challenge("registration").await;
    let mut with = registration();
    with["attestation"] = json!({"payload_blob": "evidence", "encrypted_attestation": null});
    assert_eq!(signer.post("/miner/register", &with).await["layer"], 0);
}

#[tokio::test]
async fn an_expired_challenge_is_none() {
    let mut rules = asking(Proof::Challenge, Proof::Nothing);
    rules.attestation.lifetime = Duration::from_millis(50);
    let (_folder, _orchestrator, signer) = start(rules).await;
    let challenge = signer.challenge("registration").await;
    while signer.clock.unix_seconds() <= challenge["expires_at"].as_f64().unwrap() {
        signer.clock.sleep(Duration::from_millis(10)).await;
    }
    let late = signer.post("/miner/register", &registration()).await;
    assert_eq!(late["error_name"], "AttestationError");
}

#[tokio::test]
async fn work_is_attested_only_while_the_flag_is_on() {
    let mut rules = asking(Proof::Nothing, Proof::Payload);
    let (_folder, orchestrator, signer) = start(rules.clone()).await;
    signer.register().await;
    let handed = signer.handed().await;
    let hash = "ab".repeat(32);
    let mut report = json!({
        "activation_id": handed, "direction": "forward", "output_activation_hash": hash,
    });
    let submit = "/miner/submit_activation";
    let refused = signer.post(submit, &report).await;
    assert_eq!(refused["error_name"], "AttestationError");
    signer.challenge("submit_activation").await;
    report["attestation"] = json!({"payload_blob": "evidence"});
    assert_eq!(signer.post(submit, &report).await["message"], "recorded");
    report["direction"] = json!("backward");
    report["attestation"] = Value::Null;
    assert_eq!(signer.post(submit, &report).await["error_name"], "AttestationError");
    rules.flags.remove(Flag::Attest.as_str());
    orchestrator.desk().set_rules(rules).await;
    assert_eq!(signer.post(submit, &report).await["message"], "recorded");
    // The same with weights: now the flag is off, later it is on.
    let object = signer.upload("weights", b"gradient").await;
    orchestrator.desk().set_rules(asking(Proof::Nothing, Proof::Challenge)).await;
    let weights = json!({"weights_path": object, "attestation": null});
    let refused = signer.post("/miner/submit_weights", &weights).await;
    assert_eq!(refused["error_name"], "AttestationError");
    signer.challenge("weights").await;
    assert_eq!(signer.post("/miner/submit_weights", &weights).await["message"], "recorded");
    let mut partitions = signer.get("/miner/get_partitions", "").await;
    for partition in partitions.as_array_mut().unwrap() {
        partition["blob_path"] = json!(signer.upload("partition", b"merged").await);
    }
    let body = json!({"partitions": partitions, "attestation": null});
    let refused = signer.post("/miner/submit_merged_partitions", &body).await;
    assert_eq!(refused["error_name"], "AttestationError");
    signer.challenge("merged_partitions").await;
    let done = signer.post("/miner/submit_merged_partitions", &body).await;
    assert_eq!(done["message"], "recorded");
}

#[tokio::test]
async fn pool_miners_name_whom_to_pay_and_may_change_it() {
    let rules = Rules { pool: Pool::WithColdkey, ..Rules::lenient() };
    let (_folder, orchestrator, signer) = start(rules).await;
    let early = json!({"payout_coldkey": signer.pair.address()});
    let stranger = signer.post("/miner/payout_coldkey", &early).await;
    assert_eq!(stranger["error_name"], "EntityNotRegisteredError");
    let mut pool = registration();
    pool["register_as_metagraph_miner"] = json!(false);
    let unpaid = signer.post("/miner/register", &pool).await;
    assert_eq!(unpaid["error_name"], "ColdkeyError");
    pool["coldkey"] = json!("5GrwvaEF");
    assert_eq!(signer.post("/miner/register", &pool).await["error_name"], "ColdkeyError");
    let first = Signer::new(&orchestrator).pair.address().to_string();
    pool["coldkey"] = json!(first);
    assert_eq!(signer.post("/miner/register", &pool).await["layer"], 0);
    let paid = "SELECT COUNT(*) FROM payouts WHERE coldkey LIKE '5%'";
    assert_eq!(orchestrator.desk().count(paid).await, 1);
    let wrong = signer.post("/miner/payout_coldkey", &json!({"payout_coldkey": "me"})).await;
    assert_eq!(wrong["error_name"], "ColdkeyError");
    let done = signer.post("/miner/payout_coldkey", &early).await;
    assert_eq!(done["message"], "recorded");
    let own = "SELECT COUNT(*) FROM payouts WHERE coldkey = hotkey";
    assert_eq!(orchestrator.desk().count(own).await, 1);
}

#[tokio::test]
async fn a_closed_pool_and_a_list_of_the_chain_keep_others_out() {
    let mut rules = Rules { pool: Pool::Closed, ..Rules::lenient() };
    let (_folder, orchestrator, signer) = start(rules.clone()).await;
    let mut pool = registration();
    pool["register_as_metagraph_miner"] = json!(false);
    assert_eq!(signer.post("/miner/register", &pool).await["error_name"], "PoolClosedError");
    let listed = Signer::new(&orchestrator);
    rules.metagraph.insert(listed.pair.address().clone());
    orchestrator.desk().set_rules(rules).await;
    let stranger = signer.post("/miner/register", &registration()).await;
    assert_eq!(stranger["error_name"], "EntityNotRegisteredError");
    assert_eq!(stranger["error_dict"]["name"], signer.pair.address().as_str());
    assert_eq!(listed.register().await, 0);
}

#[tokio::test]
async fn too_many_calls_of_one_kind_get_429_and_other_kinds_do_not() {
    let mut rules = Rules::lenient();
    rules.rates.calls.insert("heartbeat".into(), Rate { per_second: 0.5, burst: 2.0 });
    rules.rates.calls.insert("register/status".into(), Rate { per_second: 0.5, burst: 1.0 });
    let (_folder, orchestrator, signer) = start(rules).await;
    signer.register().await;
    let beat = |signer: &Signer, path: &str| {
        signer.request("GET", path, b"{}", signer.clock.unix_millis())
    };
    let path = "/miner/heartbeat";
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(answer_of(beat(&signer, path)).await.0);
    }
    assert_eq!(statuses, [200, 200, 429, 429]);
    let (status, body) = answer_of(beat(&signer, "/miner/heartbeat?expected_phase=training")).await;
    assert_eq!(status, 429, "the query makes no other call of it: {body}");
    assert!(body["detail"].as_str().unwrap().contains("times a second"));
    assert_eq!(answer_of(beat(&signer, "/miner/layer_state")).await.0, 200);
    let other = Signer::new(&orchestrator);
    assert_eq!(answer_of(beat(&other, path)).await.0, 200);
    assert_eq!(answer_of(beat(&other, "/miner/register/status/a")).await.0, 200);
    assert_eq!(answer_of(beat(&other, "/miner/register/status/b")).await.0, 429);
    // It fills up again.
    signer.clock.sleep(Duration::from_millis(2100)).await;
    assert_eq!(answer_of(beat(&signer, path)).await.0, 200);
}

#[tokio::test]
async fn how_old_a_request_may_be_and_which_versions_pass_are_rules() {
    let mut rules = Rules { signature_age: Duration::from_secs(10), ..Rules::lenient() };
    let (_folder, orchestrator, signer) = start(rules.clone()).await;
    let old = signer.clock.unix_millis() - 12_000;
    let (status, body) = answer_of(signer.request("GET", "/healthcheck", b"", old)).await;
    assert_eq!((status, &body["detail"]["name"]), (400, &json!("EpistulaError")));
    let recent = signer.clock.unix_millis() - 7_000;
    assert_eq!(answer_of(signer.request("GET", "/healthcheck", b"", recent)).await.0, 200);
    let request = |signer: &Signer| {
        let now = signer.clock.unix_millis();
        let request = signer.request("GET", "/healthcheck", b"", now);
        let (client, request) = request.build_split();
        let mut request = request.unwrap();
        request.headers_mut().insert(HEADER_SPEC_VERSION, "1".parse().unwrap());
        reqwest::RequestBuilder::from_parts(client, request)
    };
    assert_eq!(answer_of(request(&signer)).await.1["error_name"], "SpecVersionError");
    rules.versions = Versions::Any;
    orchestrator.desk().set_rules(rules).await;
    assert_eq!(answer_of(request(&signer)).await.1["status"], "healthy");
}

#[tokio::test]
async fn telemetry_is_counted_and_what_is_wrong_with_it_told() {
    let (_folder, orchestrator, signer) = start(Rules::lenient()).await;
    let path = "/miner/fleet-telemetry";
    let refused = signer.post(path, &json!({})).await;
    assert_eq!(refused["error_name"], "EntityNotRegisteredError");
    signer.register().await;
    let good = json!({"name": "x", "type": "gauge", "labels": {"layer_idx": "0"}, "value": 1.5,
        "timestamp": "2026-07-16T12:00:00+00:00"});
    let mut bad = good.clone();
    bad["type"] = json!("rumour");
    let batch = json!({"training_metrics": [{"a": 1}, 3], "lifecycle_events": [{"event": "start"}],
        "prometheus_snapshots": [good, bad], "hotkey_name": "default"});
    let answer = signer.post(path, &batch).await;
    assert_eq!(
        (&answer["accepted_snowpipe"], &answer["accepted_prometheus"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(answer["errors"].as_array().unwrap().len(), 2, "{answer}");
    let empty = signer.post(path, &json!({"training_metrics": []})).await;
    assert_eq!(empty, json!({"accepted_snowpipe": 0, "accepted_prometheus": 0, "errors": []}));
    let desk = orchestrator.desk();
    assert_eq!(desk.count("SELECT metrics * 10 + samples FROM telemetry").await, 21);
    assert_eq!(desk.count("SELECT batches FROM telemetry").await, 2);
}
