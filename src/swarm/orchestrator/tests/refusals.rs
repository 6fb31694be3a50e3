//! What a live network would refuse: work of other stages and other miners, broken hash chains,
//! uploads that are not whole, not there, or not one's own.

use super::*;
use crate::protocol::ActivationHash;

const SUBMIT: &str = "/miner/submit_activation";
const COMPLETE: &str = "/miner/complete_multipart_upload";

/// A head and a tail, and an activation that the head holds.
async fn pair() -> (tempfile::TempDir, Orchestrator, Signer, Signer, String) {
    let folder = tempfile::tempdir().unwrap();
    let orchestrator = orchestrator(folder.path(), plan(2, 1, 4), Events::new()).await;
    let (head, tail) = (Signer::new(&orchestrator), Signer::new(&orchestrator));
    assert_eq!((head.register().await, tail.register().await), (0, 1));
    let id = head.handed().await.as_str().unwrap().to_owned();
    (folder, orchestrator, head, tail, id)
}

fn hash(text: &str) -> String {
    ActivationHash::of(text.as_bytes()).to_string()
}

fn pass(id: &str, direction: &str, input: Option<&str>, output: Option<&str>) -> Value {
    json!({
        "activation_id": id, "direction": direction, "input_activation_hash": input.map(hash),
        "output_activation_hash": output.map(hash),
    })
}

async fn name_of(signer: &Signer, path: &str, body: &Value) -> String {
    let answer = signer.post(path, body).await;
    assert!(answer["error_dict"]["message"].as_str().is_none_or(|text| !text.is_empty()));
    answer["error_name"].as_str().unwrap_or("none").to_owned()
}

#[tokio::test]
async fn the_hash_chain_must_hold_in_both_directions_whoever_reports_first() {
    let (_folder, _orchestrator, head, tail, id) = pair().await;
    let error = "ActivationHashError";
    let no_output = pass(&id, "forward", None, None);
    assert_eq!(name_of(&head, SUBMIT, &no_output).await, error);
    assert_eq!(name_of(&head, SUBMIT, &pass(&id, "forward", None, Some("a"))).await, "none");
    for wrong in [pass(&id, "forward", Some("b"), None), pass(&id, "forward", None, None)] {
        assert_eq!(name_of(&tail, SUBMIT, &wrong).await, error);
    }
    let mut odd = pass(&id, "forward", Some("a"), None);
    odd["input_activation_hash"] = json!("A".repeat(64_000));
    assert_eq!(name_of(&tail, SUBMIT, &odd).await, error);
    assert_eq!(name_of(&tail, SUBMIT, &pass(&id, "forward", Some("a"), None)).await, "none");
    // Backward: the head is quicker than the tail this time.
    assert_eq!(name_of(&head, SUBMIT, &pass(&id, "backward", Some("g"), None)).await, "none");
    let lie = pass(&id, "backward", Some("a"), Some("h"));
    assert_eq!(name_of(&tail, SUBMIT, &lie).await, error);
    let truth = pass(&id, "backward", Some("a"), Some("g"));
    assert_eq!(name_of(&tail, SUBMIT, &truth).await, "none");
}

#[tokio::test]
async fn nobody_reports_what_is_not_theirs() {
    let (_folder, orchestrator, head, tail, id) = pair().await;
    let unknown = pass("no-such-id", "forward", None, Some("a"));
    assert_eq!(name_of(&head, SUBMIT, &unknown).await, "UnknownActivationError");
    let mut nameless = unknown.clone();
    nameless["activation_id"] = Value::Null;
    assert_eq!(name_of(&head, SUBMIT, &nameless).await, "UnknownActivationError");
    let rival = Signer::new(&orchestrator);
    assert_eq!(rival.register().await, 0);
    let stolen = pass(&id, "forward", None, Some("a"));
    assert_eq!(name_of(&rival, SUBMIT, &stolen).await, "NotYourActivationError");
    let stranger = Signer::new(&orchestrator);
    assert_eq!(name_of(&stranger, SUBMIT, &stolen).await, "EntityNotRegisteredError");
    let loss =
        |layer: Value, loss: f64| json!({"activation_id": id, "loss": loss, "layer_idx": layer});
    let report = "/miner/report_loss";
    assert_eq!(name_of(&head, report, &loss(json!(0), 3.0)).await, "WrongLayerError");
    assert_eq!(name_of(&head, report, &loss(Value::Null, 3.0)).await, "WrongLayerError");
    assert_eq!(name_of(&tail, report, &loss(json!(0), 3.0)).await, "WrongLayerError");
    assert_eq!(name_of(&tail, report, &loss(json!(1), -3.0)).await, "LossError");
    assert_eq!(name_of(&tail, report, &loss(json!(1), 3.0)).await, "none");
    assert_eq!(tail.get("/miner/get_activations", "").await, json!([]), "only the first stage");
}

#[tokio::test]
async fn an_upload_in_parts_must_be_whole() {
    let (_folder, _orchestrator, signer, other, _) = pair().await;
    let wanted = json!({"num_parts": 3, "file_type": "weights", "multipart": true});
    let place = signer.post("/miner/initiate_file_upload", &wanted).await;
    let mut parts = Vec::new();
    for (index, bytes) in [vec![1_u8; 5 << 20], vec![2; 10]].into_iter().enumerate() {
        let url = place["urls"][index].as_str().unwrap();
        let put = signer.http.put(url).body(bytes).send().await.unwrap();
        let etag = put.headers()["etag"].to_str().unwrap().trim_matches('"').to_owned();
        parts.push(json!({"PartNumber": index + 1, "ETag": etag}));
    }
    let third = json!({"PartNumber": 3, "ETag": "0".repeat(32)});
    let nameless = json!({"PartNumber": 2, "ETag": ""});
    let body = |parts: Value| {
        json!({"object_name": place["object_name"], "upload_id": place["upload_id"],
            "parts": parts})
    };
    let status = async |signer: &Signer, body: &Value| {
        let now = signer.clock.unix_millis();
        let request = signer.request("POST", COMPLETE, body.to_string().as_bytes(), now);
        answer_of(request).await
    };
    for (parts, words) in [
        (json!([]), "parts 1, 2"),
        (Value::Null, "parts 1, 2"),
        (json!([parts[1]]), "parts 1, 2"),
        (json!([parts[0]]), "part 2 was uploaded"),
        (json!([parts[0], parts[1], third]), "part 3 was not uploaded"),
        (json!([parts[0], nameless]), "no ETag"),
        (json!([parts[0], parts[0]]), "parts 1, 2"),
    ] {
        let (code, answer) = status(&signer, &body(parts.clone())).await;
        assert_eq!(code, 400, "{parts}");
        assert!(answer["detail"].as_str().unwrap().contains(words), "{parts}: {answer}");
    }
    let mut wrong = body(json!(parts));
    wrong["upload_id"] = json!("other");
    assert_eq!(status(&signer, &wrong).await.0, 400);
    assert_eq!(status(&other, &body(json!(parts))).await.1["error_name"], "UploadError");
    // Not before it is whole may it be submitted: see below. Now it is, and twice is once.
    for _ in 0..2 {
        let (code, answer) = status(&signer, &body(json!(parts))).await;
        assert_eq!((code, &answer["object_path"]), (200, &place["object_name"]), "{answer}");
    }
    let single = json!({"num_parts": 1, "file_type": "weights", "multipart": false});
    let single = signer.post("/miner/initiate_file_upload", &single).await;
    let needless = json!({"object_name": single["object_name"], "upload_id": null, "parts": []});
    assert_eq!(status(&signer, &needless).await.0, 400);
}

#[tokio::test]
async fn objects_that_were_not_granted_or_not_uploaded_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let orchestrator = orchestrator(folder.path(), plan(1, 2, 1), Events::new()).await;
    let miners = [Signer::new(&orchestrator), Signer::new(&orchestrator)];
    for miner in &miners {
        miner.register().await;
    }
    for miner in &miners {
        let id = miner.handed().await.as_str().unwrap().to_owned();
        for direction in ["forward", "backward"] {
            let done = name_of(miner, SUBMIT, &pass(&id, direction, None, Some("x"))).await;
            assert_eq!(done, "none");
        }
    }
    let weights = "/miner/submit_weights";
    let begun = json!({"num_parts": 2, "file_type": "weights", "multipart": true});
    let begun = miners[0].post("/miner/initiate_file_upload", &begun).await["object_name"].clone();
    let theirs = miners[1].upload("weights", b"gradient").await;
    let kind = miners[0].upload("partition", b"gradient").await;
    for path in [begun, json!(theirs), json!(kind), json!("../../etc/passwd"), json!("")] {
        let name = name_of(&miners[0], weights, &json!({ "weights_path": path })).await;
        assert_eq!(name, "UploadError", "{path}");
    }
    for miner in &miners {
        let object = miner.upload("weights", b"gradient").await;
        assert_eq!(name_of(miner, weights, &json!({ "weights_path": object })).await, "none");
    }
    let submit = "/miner/submit_merged_partitions";
    let mine = miners[0].get("/miner/get_partitions", "").await;
    let mut partition = mine[0].clone();
    let one = |partition: &Value| json!({"partitions": [partition], "attestation": null});
    assert_eq!(name_of(&miners[0], submit, &one(&partition)).await, "PartitionError", "no path");
    partition["blob_path"] = json!(miners[1].upload("partition", b"p").await);
    assert_eq!(name_of(&miners[0], submit, &one(&partition)).await, "UploadError");
    partition["blob_path"] = json!(miners[0].upload("partition", b"p").await);
    for (key, value) in
        [("chunk_number", json!(99)), ("chunk_number", json!("all")), ("layer", json!(7))]
    {
        let mut other = partition.clone();
        other[key] = value;
        assert_eq!(name_of(&miners[0], submit, &one(&other)).await, "PartitionError", "{other}");
    }
    assert_eq!(name_of(&miners[0], submit, &one(&partition)).await, "none");
}

#[tokio::test]
async fn partitions_of_others_are_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    // Three miners: each chunk is given to two, so that one has none of it.
    let plan = RunPlan { num_partitions: 3, ..plan(1, 3, 1) };
    let orchestrator = orchestrator(folder.path(), plan, Events::new()).await;
    let miners: Vec<Signer> = (0..3).map(|_| Signer::new(&orchestrator)).collect();
    for miner in &miners {
        miner.register().await;
    }
    for miner in &miners {
        let id = miner.handed().await.as_str().unwrap().to_owned();
        for direction in ["forward", "backward"] {
            name_of(miner, SUBMIT, &pass(&id, direction, None, Some("x"))).await;
        }
    }
    for miner in &miners {
        let object = miner.upload("weights", b"gradient").await;
        miner.post("/miner/submit_weights", &json!({ "weights_path": object })).await;
    }
    let mut refused = 0;
    for miner in &miners {
        let mine = miner.get("/miner/get_partitions", "").await;
        let held: Vec<u64> =
            mine.as_array().unwrap().iter().map(|p| p["chunk_number"].as_u64().unwrap()).collect();
        assert_eq!(held.len(), 2);
        let other = (0..3).find(|chunk| !held.contains(chunk)).unwrap();
        let mut partition = mine[0].clone();
        partition["chunk_number"] = json!(other);
        partition["blob_path"] = json!(miner.upload("partition", b"p").await);
        let body = json!({"partitions": [partition], "attestation": null});
        let name = name_of(miner, "/miner/submit_merged_partitions", &body).await;
        refused += usize::from(name == "PartitionError");
    }
    assert_eq!(refused, 3);
}
