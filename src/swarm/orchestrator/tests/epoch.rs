//! A whole epoch of signed calls: two stages, two miners each, real uploads and downloads.

use super::*;
use crate::protocol::ActivationHash;
use crate::protocol::messages::Direction;
use crate::telemetry::Event;

/// Four miners: 0 and 2 in stage 0, 1 and 3 in stage 1.
async fn swarm() -> (tempfile::TempDir, Orchestrator, Vec<Signer>, Events) {
    let folder = tempfile::tempdir().unwrap();
    let events = Events::new();
    let orchestrator = orchestrator(folder.path(), plan(2, 2, 2), events.clone()).await;
    let miners: Vec<Signer> = (0..4).map(|_| Signer::new(&orchestrator)).collect();
    for (index, miner) in miners.iter().enumerate() {
        assert_eq!(miner.register().await, index as u64 % 2);
    }
    (folder, orchestrator, miners, events)
}

fn hash(id: &str, stage: usize, direction: &str) -> String {
    ActivationHash::of(format!("{id}{stage}{direction}").as_bytes()).to_string()
}

fn report(id: &str, stage: usize, direction: Direction) -> Value {
    let word = direction.as_str();
    let input = match (direction, stage) {
        (Direction::Forward, 1) => json!(hash(id, 0, word)),
        (Direction::Backward, 0) => json!(hash(id, 1, word)),
        _ => Value::Null,
    };
    json!({
        "activation_id": id, "direction": word, "activation_path": null, "attestation": null,
        "activation_stats": null, "input_activation_hash": input,
        "output_activation_hash": hash(id, stage, word),
    })
}

/// Takes one activation through both stages and back.
async fn train(head: &Signer, tail: &Signer) {
    let id = loop {
        let handed = head.get("/miner/get_activations", r#"{"n_fwd_activations": 1}"#).await;
        if let Some(work) = handed.as_array().unwrap().first() {
            assert_eq!(work["direction"], "forward");
            let text = head.fetch(&work["presigned_download_url"]).await;
            assert_eq!(text, b"Once upon a time.");
            break work["activation_id"].as_str().unwrap().to_owned();
        }
        // Samples are made ahead, but not before the first moment.
        head.clock.sleep(Duration::from_millis(5)).await;
    };
    let submit = "/miner/submit_activation";
    head.post(submit, &report(&id, 0, Direction::Forward)).await;
    let wrong = tail.post(submit, &lie(&id)).await;
    assert_eq!(wrong["error_name"], "ActivationHashError");
    tail.post(submit, &report(&id, 1, Direction::Forward)).await;
    let loss = json!({"activation_id": id, "loss": 3.5, "layer_idx": 1});
    assert_eq!(tail.post("/miner/report_loss", &loss).await["message"], "recorded");
    tail.post(submit, &report(&id, 1, Direction::Backward)).await;
    let done = head.post(submit, &report(&id, 0, Direction::Backward)).await;
    assert_eq!(done["message"], "recorded", "{done}");
}

fn lie(id: &str) -> Value {
    let mut lie = report(id, 1, Direction::Forward);
    lie["input_activation_hash"] = json!("00".repeat(32));
    lie
}

async fn phase(miner: &Signer) -> Value {
    miner.get("/miner/layer_state", "").await
}

/// Merges a miner's chunks; `content` is what it claims they are.
async fn merge(miner: &Signer, content: &[u8]) -> usize {
    let sources = miner.get("/miner/get_weight_path_per_layer", "").await;
    let sources = sources.as_array().unwrap();
    assert_eq!(sources.len(), 2);
    for source in sources {
        assert_eq!(source["weighting_factor"], 3);
        miner.fetch(&source["weights_path_presigned"]).await;
    }
    let mut partitions = miner.get("/miner/get_partitions", "").await;
    let chunks: Vec<Value> =
        partitions.as_array().unwrap().iter().map(|p| p["chunk_number"].clone()).collect();
    let previous = miner.get("/miner/get_previous_partitions", &json!(chunks).to_string()).await;
    assert_eq!(previous.as_array().unwrap().len(), chunks.len());
    assert_eq!(miner.fetch(&previous[0]["blob_path"]).await, b"w");
    for partition in partitions.as_array_mut().unwrap() {
        assert_ne!(partition["miner_hotkey"], partition["other_miner_hotkey"]);
        partition["blob_path"] = json!(miner.upload("partition", content).await);
    }
    let body = json!({"partitions": partitions, "attestation": null});
    let answer = miner.post("/miner/submit_merged_partitions", &body).await;
    assert_eq!(answer["message"], "recorded", "{answer}");
    chunks.len()
}

#[tokio::test]
async fn an_epoch_goes_through_all_phases_by_work_alone() {
    let (_folder, orchestrator, miners, events) = swarm().await;
    let mut told = events.subscribe();
    let strange = report("x", 0, Direction::Forward);
    let unknown = miners[0].post("/miner/submit_activation", &strange).await;
    assert_eq!(unknown["error_name"], "UnknownActivationError");
    for _ in 0..2 {
        train(&miners[0], &miners[1]).await;
        train(&miners[2], &miners[3]).await;
    }
    for miner in &miners {
        assert_eq!(phase(miner).await, "weights_uploading");
        assert_eq!(miner.get("/miner/all_layers_training", "").await, false);
        let refused = miner.get("/miner/get_activations", "").await;
        assert_eq!(refused["error_dict"]["actual_status"], "weights_uploading");
    }
    submit_weights(&miners).await;
    let mut merged = 0;
    for (index, miner) in miners.iter().enumerate() {
        assert_eq!(phase(miner).await, "merging_partitions");
        // The last one of stage 1 claims something else than its twin.
        merged += merge(miner, if index == 3 { b"odd" } else { b"even" }).await;
    }
    assert_eq!(merged, 16, "4 chunks of 2 stages, each twice");
    for miner in &miners {
        let beat = miner.get("/miner/heartbeat?expected_phase=training", "{}").await;
        assert_eq!(beat["epoch"], 2);
        let listed = miner.get("/common/get_merged_partitions", "").await;
        assert_eq!(listed.as_array().unwrap().len(), 4);
        assert_eq!(miner.fetch(&listed[3]["blob_path"]).await, b"even");
    }
    let epoch = miners[0].get("/common/get_run_epoch?run_id=test", "").await;
    assert_eq!(epoch, json!({"run_id": "test", "epoch": 2}));
    check_news(&mut told, &miners[3]).await;
    check_books(&orchestrator).await;
    check_snapshot(&orchestrator).await;
}

/// Weights must be there, one's own, and uploaded in one piece or many.
async fn submit_weights(miners: &[Signer]) {
    let wanted = json!({"num_parts": 1, "file_type": "weights", "multipart": false});
    let place = miners[0].post("/miner/initiate_file_upload", &wanted).await;
    let missing = json!({"weights_path": place["object_name"]});
    let refused = miners[0].post("/miner/submit_weights", &missing).await;
    assert_eq!(refused["error_name"], "UploadError");
    for miner in &miners[..3] {
        let object = miner.upload("weights", b"gradient").await;
        let body = json!({"weights_path": object, "attestation": null});
        let stolen = miners[3].post("/miner/submit_weights", &body).await;
        assert_eq!(stolen["error_name"], "UploadError");
        let answer = miner.post("/miner/submit_weights", &body).await;
        assert_eq!(answer["should_upload_optimizer_state"], false, "{answer}");
    }
    let object = upload_in_parts(&miners[3]).await;
    miners[3].post("/miner/submit_weights", &json!({ "weights_path": object })).await;
}

async fn upload_in_parts(miner: &Signer) -> String {
    let wanted = json!({"num_parts": 2, "file_type": "weights", "multipart": true});
    let place = miner.post("/miner/initiate_file_upload", &wanted).await;
    let mut parts = Vec::new();
    for (index, bytes) in [vec![1_u8; 5 << 20], vec![2; 10]].into_iter().enumerate() {
        let url = place["urls"][index].as_str().unwrap();
        let put = miner.http.put(url).body(bytes).send().await.unwrap();
        let etag = put.headers()["etag"].to_str().unwrap().trim_matches('"').to_owned();
        parts.push(json!({"PartNumber": index + 1, "ETag": etag}));
    }
    let mut body = json!({"object_name": place["object_name"], "upload_id": place["upload_id"]});
    body["parts"] = json!([parts[1]]);
    let now = miner.clock.unix_millis();
    let complete = "/miner/complete_multipart_upload";
    let gap = miner.request("POST", complete, body.to_string().as_bytes(), now);
    assert_eq!(answer_of(gap).await.0, 400);
    body["parts"] = json!(parts);
    let answer = miner.post(complete, &body).await;
    assert_eq!(answer["object_path"], place["object_name"]);
    place["object_name"].as_str().unwrap().to_owned()
}

async fn check_news(told: &mut mpsc::UnboundedReceiver<Event>, liar: &Signer) {
    let (mut losses, mut merges, mut accused) = (0, 0, Vec::new());
    // The comparison of the copies runs beside the calls: wait for its last word.
    while accused.len() < 8 {
        match told.recv().await.unwrap() {
            Event::Loss { loss, .. } => {
                assert!((loss - 3.5).abs() < 1e-9);
                losses += 1;
            }
            Event::Merge { partitions, epoch, .. } => {
                assert_eq!((partitions, epoch), (4, 1));
                merges += 1;
            }
            Event::Evidence { miner, check, .. } if check == "merged_partition" => {
                accused.push(miner);
            }
            _ => {}
        }
    }
    assert_eq!((losses, merges), (4, 2));
    // All four chunks of stage 1 differ; both holders are named, because who lies is not known yet.
    let liar = liar.pair.address().to_string();
    assert_eq!(accused.iter().filter(|name| **name == liar).count(), 4);
}

async fn check_books(orchestrator: &Orchestrator) {
    let desk = orchestrator.desk();
    for (query, expected) in [
        ("SELECT COUNT(*) FROM miners WHERE live = 1", 4),
        ("SELECT COUNT(*) FROM activations WHERE state = 'done'", 4),
        ("SELECT COUNT(*) FROM activations WHERE state <> 'done'", 0),
        ("SELECT COUNT(*) FROM passes", 16),
        ("SELECT COUNT(*) FROM passes WHERE output_hash IS NULL", 0),
        ("SELECT SUM(tokens) FROM losses", 40),
        ("SELECT SUM(factor) FROM submissions", 12),
        ("SELECT COUNT(*) FROM copies WHERE object IS NOT NULL", 16),
        ("SELECT COUNT(*) FROM merged WHERE epoch = 1", 8),
        ("SELECT SUM(backwards) FROM scores", 8),
        ("SELECT SUM(partitions) FROM scores", 16),
        ("SELECT SUM(score) FROM miners", 24),
        ("SELECT MIN(epoch) FROM stages", 2),
    ] {
        assert_eq!(desk.count(query).await, expected, "{query}");
    }
}

async fn check_snapshot(orchestrator: &Orchestrator) {
    let mut snapshots = orchestrator.snapshots();
    let snapshot = snapshots.wait_for(|s| s.epochs_done == 1).await.unwrap().clone();
    assert_eq!((snapshot.epoch, snapshot.tokens, snapshot.losses.len()), (2, 40, 4));
    assert_eq!(snapshot.stages.len(), 2);
    assert!(snapshot.stages.iter().all(|s| s.phase == "training" && s.miners.len() == 2));
    let score: f64 = snapshot.stages.iter().flat_map(|s| &s.miners).map(|m| m.score).sum();
    assert!((score - 24.0).abs() < 1e-9);
    assert_eq!(snapshot.address, format!("http://{}", orchestrator.address()));
}
