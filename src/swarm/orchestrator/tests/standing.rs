//! Benched newcomers, frozen miners, flags, thresholds, spot checks and shared optimizer states.

use super::*;
use crate::protocol::ActivationHash;
use crate::protocol::messages::Flag;
use crate::swarm::rules::{Newcomers, Thresholds};
use crate::telemetry::Event;

async fn start(rules: Rules, plan: RunPlan, events: &Events) -> (tempfile::TempDir, Orchestrator) {
    let folder = tempfile::tempdir().unwrap();
    let plan = RunPlan { rules, ..plan };
    let orchestrator = orchestrator(folder.path(), plan, events.clone()).await;
    (folder, orchestrator)
}

fn report(id: &Value, direction: &str) -> Value {
    json!({
        "activation_id": id, "direction": direction,
        "output_activation_hash": ActivationHash::of(direction.as_bytes()).to_string(),
    })
}

impl Signer {
    async fn refusal(&self, method: &str, path: &str, body: &Value) -> String {
        let answer = self.good(method, path, &body.to_string()).await;
        answer["error_name"].as_str().unwrap_or("none").to_owned()
    }

    /// One activation of a swarm with a single stage.
    async fn train(&self) {
        let id = self.handed().await;
        for direction in ["forward", "backward"] {
            let done = self.post("/miner/submit_activation", &report(&id, direction)).await;
            assert_eq!(done["message"], "recorded", "{done}");
        }
    }

    async fn submit(&self) -> Value {
        let object = self.upload("weights", b"gradient").await;
        let answer = self.post("/miner/submit_weights", &json!({ "weights_path": object })).await;
        assert_eq!(answer["message"], "recorded", "{answer}");
        answer
    }

    async fn merge(&self) {
        let mut partitions = self.get("/miner/get_partitions", "").await;
        for partition in partitions.as_array_mut().unwrap_or_else(|| panic!("no list")) {
            partition["blob_path"] = json!(self.upload("partition", b"merged").await);
        }
        let body = json!({ "partitions": partitions });
        self.post("/miner/submit_merged_partitions", &body).await;
    }

    async fn phase(&self) -> Value {
        self.get("/miner/layer_state", "").await
    }
}

#[tokio::test]
async fn a_newcomer_waits_on_the_bench_until_the_next_epoch() {
    let rules = Rules { newcomers: Newcomers::Benched, ..Rules::lenient() };
    let (_folder, orchestrator) = start(rules, plan(1, 1, 1), &Events::new()).await;
    let (founder, late) = (Signer::new(&orchestrator), Signer::new(&orchestrator));
    let told = founder.post("/miner/register", &registration()).await;
    assert_eq!(told["status"], Value::Null, "who was there at the start works at once");
    let told = late.post("/miner/register", &registration()).await;
    assert_eq!((&told["status"], &told["layer"]), (&json!("initializing"), &json!(0)));
    let beat = late.get("/miner/heartbeat?expected_phase=training", "{}").await;
    assert_eq!(beat["status"], "initializing");
    assert_eq!(founder.get("/miner/heartbeat", "{}").await["status"], Value::Null);
    let work = json!({"n_fwd_activations": 1});
    let name = "MinerInitializingError";
    assert_eq!(late.refusal("GET", "/miner/get_activations", &work).await, name);
    let report = report(&json!("a"), "forward");
    assert_eq!(late.refusal("POST", "/miner/submit_activation", &report).await, name);
    assert_eq!(late.get("/common/get_merged_partitions", "").await.as_array().unwrap().len(), 2);
    founder.train().await;
    assert_eq!(late.phase().await, "weights_uploading", "nobody waits for the bench");
    let object = late.upload("weights", b"nothing").await;
    let weights = json!({ "weights_path": object });
    assert_eq!(late.refusal("POST", "/miner/submit_weights", &weights).await, name);
    founder.submit().await;
    assert_eq!(late.get("/miner/get_partitions", "").await, json!([]));
    founder.merge().await;
    assert_eq!(late.phase().await, "training");
    let beat = late.get("/miner/heartbeat", "{}").await;
    assert_eq!((&beat["status"], &beat["epoch"]), (&Value::Null, &json!(2)));
    late.train().await;
}

#[tokio::test]
async fn a_stage_without_others_takes_a_newcomer_from_the_bench() {
    let rules = Rules { newcomers: Newcomers::Benched, ..Rules::lenient() };
    let (_folder, orchestrator) = start(rules, plan(1, 1, 2), &Events::new()).await;
    let (founder, late) = (Signer::new(&orchestrator), Signer::new(&orchestrator));
    founder.register().await;
    late.register().await;
    let gone = founder.pair.address().clone();
    orchestrator.desk().with(|run, now| run.drop_miner(&gone, now)).await.unwrap();
    assert_eq!(late.get("/miner/heartbeat", "{}").await["status"], Value::Null);
    late.train().await;
    let back = founder.post("/miner/register", &registration()).await;
    assert_eq!(back["status"], "initializing", "now it is the newcomer");
}

#[tokio::test]
async fn a_frozen_miner_is_told_so_by_every_call_for_work() {
    let rules = Rules::lenient();
    let (_folder, orchestrator) = start(rules.clone(), plan(1, 2, 1), &Events::new()).await;
    let (cold, warm) = (Signer::new(&orchestrator), Signer::new(&orchestrator));
    cold.register().await;
    warm.register().await;
    let lost = cold.handed().await;
    let mut frozen = rules.clone();
    frozen.frozen.insert(cold.pair.address().clone());
    orchestrator.desk().set_rules(frozen).await;
    let beat = cold.get("/miner/heartbeat?expected_phase=training", "{}").await;
    assert_eq!(beat["status"], "frozen");
    let name = "MinerFrozenError";
    let (none, weights) = (json!({}), json!({"weights_path": "w"}));
    let forward = report(&lost, "forward");
    for (method, path, body) in [
        ("GET", "/miner/get_activations", &none),
        ("POST", "/miner/submit_activation", &forward),
        ("GET", "/common/get_merged_partitions", &none),
    ] {
        assert_eq!(cold.refusal(method, path, body).await, name, "{path}");
    }
    assert_eq!(cold.post("/miner/register", &registration()).await["status"], "frozen");
    // The other does all the work, also what the frozen one had begun.
    warm.train().await;
    warm.train().await;
    assert_eq!(cold.refusal("POST", "/miner/submit_weights", &weights).await, name);
    warm.submit().await;
    assert_eq!(cold.phase().await, "merging_partitions", "nobody waits for the frozen");
    warm.merge().await;
    orchestrator.desk().set_rules(rules).await;
    assert_eq!(cold.get("/miner/heartbeat", "{}").await["status"], Value::Null);
    cold.train().await;
}

#[tokio::test]
async fn flags_are_the_rules_in_every_answer_and_may_change() {
    let mut rules = Rules::lenient();
    rules.flags.insert("brand_new_flag".into(), true);
    let (_folder, orchestrator) = start(rules.clone(), plan(1, 1, 1), &Events::new()).await;
    let signer = Signer::new(&orchestrator);
    let told = signer.post("/miner/register", &registration()).await;
    for flag in Flag::ALL {
        let on = rules.is_on(flag);
        assert_eq!(told["run_flags"][flag.as_str()], json!({"enabled": on, "version": 1.0}));
    }
    assert_eq!(told["run_flags"]["brand_new_flag"]["enabled"], true);
    let info = signer.get("/common/get_run_info", "").await;
    assert_eq!(info[0]["run_flags"], told["run_flags"]);
    assert_eq!((&info[0]["max_miners"], &info[0]["num_miners"]), (&json!(256), &json!(1)));
    rules.flags.insert(Flag::UseAdamW.as_str().into(), true);
    orchestrator.desk().set_rules(rules).await;
    let config = signer.get("/miner/get_run_config", "{}").await;
    assert_eq!(config["run_flags"]["use_AdamW"]["enabled"], true);
}

#[tokio::test]
async fn texts_are_packed_when_the_flag_says_so() {
    let mut rules = Rules::lenient();
    rules.flags.insert(Flag::CompressS3Files.as_str().into(), true);
    let (_folder, orchestrator) = start(rules, plan(1, 1, 1), &Events::new()).await;
    let signer = Signer::new(&orchestrator);
    signer.register().await;
    let work = signer.work().await;
    let bytes = signer.fetch(&work["presigned_download_url"]).await;
    assert_eq!(bytes[..2], [0x1f, 0x8b]);
    let mut text = String::new();
    let mut unpacked = flate2::read::GzDecoder::new(&bytes[..]);
    std::io::Read::read_to_string(&mut unpacked, &mut text).unwrap();
    assert_eq!(text, "Once upon a time.");
}

#[tokio::test]
async fn phases_end_at_their_thresholds() {
    let thresholds = Thresholds { training: 50, uploading: 50, merging: 30 };
    let rules = Rules { thresholds, ..Rules::lenient() };
    let (_folder, orchestrator) = start(rules, plan(1, 2, 2), &Events::new()).await;
    let (quick, slow) = (Signer::new(&orchestrator), Signer::new(&orchestrator));
    quick.register().await;
    slow.register().await;
    let stranded = slow.handed().await;
    quick.train().await;
    assert_eq!(quick.phase().await, "training");
    slow.post("/miner/submit_activation", &report(&stranded, "forward")).await;
    slow.post("/miner/submit_activation", &report(&stranded, "backward")).await;
    assert_eq!(quick.phase().await, "weights_uploading", "2 of 4 backwards");
    quick.submit().await;
    assert_eq!(slow.phase().await, "merging_partitions", "1 of 2 submissions");
    let object = slow.upload("weights", b"late").await;
    let late = json!({ "weights_path": object });
    assert_eq!(slow.refusal("POST", "/miner/submit_weights", &late).await, "LayerStateError");
    quick.merge().await;
    assert_eq!(slow.phase().await, "training");
}

#[tokio::test]
async fn spot_checked_forwards_are_compared_with_their_hash() {
    let events = Events::new();
    let mut told = events.subscribe();
    let rules = Rules { spot_check_rate: 1.0, ..Rules::lenient() };
    let (_folder, orchestrator) = start(rules, plan(1, 1, 4), &events).await;
    let signer = Signer::new(&orchestrator);
    signer.register().await;
    for uploaded in [&b"forward"[..], b"something else"] {
        let work = signer.work().await;
        let url = work["presigned_upload_url"][0].as_str().unwrap();
        let put = signer.http.put(url).body(uploaded.to_vec()).send().await.unwrap();
        assert_eq!(put.status().as_u16(), 200);
        let mut forward = report(&work["activation_id"], "forward");
        forward["activation_path"] = json!("elsewhere");
        let wrong = signer.post("/miner/submit_activation", &forward).await;
        assert_eq!(wrong["error_name"], "UploadError");
        forward["activation_path"] = work["activation_upload_path"].clone();
        let done = signer.post("/miner/submit_activation", &forward).await;
        assert_eq!(done["message"], "recorded");
    }
    // One is claimed to be uploaded and is not; one is not even claimed.
    for claimed in [true, false] {
        let work = signer.work().await;
        let mut forward = report(&work["activation_id"], "forward");
        if claimed {
            forward["activation_path"] = work["activation_upload_path"].clone();
        }
        signer.post("/miner/submit_activation", &forward).await;
    }
    let mut evidence = Vec::new();
    while evidence.len() < 3 {
        if let Event::Evidence { check, detail, .. } = told.recv().await.unwrap() {
            assert_eq!(check, "spot_check");
            evidence.push(detail);
        }
    }
    for words in ["not those that were reported", "is not there", "was not"] {
        assert!(evidence.iter().any(|detail| detail.contains(words)), "{words}: {evidence:?}");
    }
}

#[tokio::test]
async fn one_miner_of_a_stage_shares_its_optimizer_state_with_newcomers() {
    let mut rules = Rules::lenient();
    rules.flags.insert(Flag::UploadOptimizerState.as_str().into(), true);
    let folder = tempfile::tempdir().unwrap();
    let plan = RunPlan { rules, ..plan(1, 2, 1) };
    let first = orchestrator(folder.path(), plan.clone(), Events::new()).await;
    let mut miners = [Signer::new(&first), Signer::new(&first)];
    for miner in &miners {
        miner.register().await;
    }
    let state = "/miner/get_layer_optimizer_state";
    let none = miners[0].get(state, "").await;
    assert_eq!(none, json!({"optimizer_state_url": null, "available": false}));
    for miner in &miners {
        miner.train().await;
    }
    let asked = [miners[0].submit().await, {
        let object = miners[1].upload("optimizer_state", b"early").await;
        let path = json!({ "optimizer_state_path": object });
        let call = "/miner/submit_optimizer_state";
        assert_eq!(miners[1].refusal("POST", call, &path).await, "OptimizerStateError");
        miners[1].submit().await
    }];
    let asked = asked.map(|answer| answer["should_upload_optimizer_state"].clone());
    assert_eq!(asked, [json!(true), json!(false)], "one of each stage");
    let wrong = miners[0].upload("partition", b"state").await;
    let call = "/miner/submit_optimizer_state";
    let path = json!({ "optimizer_state_path": wrong });
    assert_eq!(miners[0].refusal("POST", call, &path).await, "UploadError");
    let object = miners[0].upload("optimizer_state", b"state").await;
    let path = json!({ "optimizer_state_path": object });
    assert_eq!(miners[0].post(call, &path).await["message"], "recorded");
    let found = miners[1].get(state, "").await;
    assert_eq!(found["available"], true);
    assert_eq!(miners[1].fetch(&found["optimizer_state_url"]).await, b"state");
    first.shutdown(&Clock::system()).await;
    // It is still there after a restart.
    let second = orchestrator(folder.path(), plan, Events::new()).await;
    miners[1].base = format!("http://{}", second.address());
    miners[1].register().await;
    let found = miners[1].get(state, "").await;
    assert_eq!(miners[1].fetch(&found["optimizer_state_url"]).await, b"state");
}
