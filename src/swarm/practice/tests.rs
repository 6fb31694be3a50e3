//! A whole practice swarm: real text, real first weights, a lone miner that goes through an epoch.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::feed::Source;
use super::super::orchestrator::tests::Signer;
use super::*;
use crate::model::presets::PRESETS;
use crate::model::tokenizer::Tokenizer;
use crate::protocol::ActivationHash;
use crate::protocol::blob::{parse_partition_trailer, split_object};

fn config(folder: &std::path::Path) -> PracticeConfig {
    let preset = *PRESETS.iter().find(|preset| preset.name == "nano").unwrap();
    let tokenizer = Arc::new(Tokenizer::shipped().unwrap());
    let source = Source::Stories { seed: 4 };
    let feed = Feed::new(source, tokenizer, preset.seq * preset.batch).unwrap();
    PracticeConfig {
        stages: 1,
        miners_per_stage: 1,
        epochs: Some(1),
        backwards_per_miner: 2,
        ..PracticeConfig::new(preset, Arc::new(feed), folder.to_owned())
    }
}

async fn start(config: PracticeConfig) -> Result<Practice, PracticeError> {
    Practice::start(config, Clock::system(), Events::new()).await
}

/// One activation of a swarm with one stage: the text comes, both reports go.
async fn train(miner: &Signer, feed: &Feed) {
    let work = loop {
        let handed = miner.get("/miner/get_activations", "{}").await;
        if let Some(work) = handed.as_array().unwrap().first() {
            break work.clone();
        }
        miner.clock.sleep(Duration::from_millis(5)).await;
    };
    let text = String::from_utf8(miner.fetch(&work["presigned_download_url"]).await).unwrap();
    let tokens = feed.tokenizer().encode(&text).unwrap().len();
    assert!(tokens >= feed.tokens_per_sample(), "{tokens}");
    let id = &work["activation_id"];
    miner.post("/miner/report_loss", &json!({"activation_id": id, "loss": 8.3})).await;
    for direction in ["forward", "backward"] {
        let hash = ActivationHash::of(direction.as_bytes()).to_string();
        let report = json!({
            "activation_id": id, "direction": direction, "output_activation_hash": hash,
        });
        let answer = miner.post("/miner/submit_activation", &report).await;
        assert_eq!(answer["message"], "recorded", "{answer}");
    }
}

/// Uploads weights, merges all chunks with what was there before.
async fn merge(miner: &Signer) {
    let object = miner.upload("weights", b"gradient").await;
    miner.post("/miner/submit_weights", &json!({ "weights_path": object })).await;
    let mut partitions = miner.get("/miner/get_partitions", "").await;
    for partition in partitions.as_array_mut().unwrap() {
        assert_eq!(partition["other_miner_hotkey"], Value::Null, "a lone miner merges alone");
        partition["blob_path"] = json!(miner.upload("partition", b"merged").await);
    }
    let body = json!({ "partitions": partitions });
    miner.post("/miner/submit_merged_partitions", &body).await;
}

#[tokio::test]
async fn a_lone_miner_takes_the_swarm_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path());
    let feed = Arc::clone(&config.feed);
    let practice = start(config).await.unwrap();
    assert!(practice.bridge_url().ends_with("/bridge"));
    let finished = tokio::spawn(practice.finished());
    let miner = Signer::new(&practice.orchestrator);
    let told = miner.post("/miner/register", &json!({"p2p_node_id": "ab".repeat(32)})).await;
    assert_eq!(told["num_partitions"], 2);
    assert_eq!(told["run_flags"]["keep_cache_on_local_step"]["enabled"], true);
    assert_eq!(told["model_metadata"]["opt"]["learning_rate"], 0.002);
    assert_eq!(told["model_metadata"]["model_splits"], json!([[-1, -1]]));
    check_first_weights(&miner).await;
    train(&miner, &feed).await;
    train(&miner, &feed).await;
    assert!(!finished.is_finished());
    merge(&miner).await;
    finished.await.unwrap().unwrap();
    let none = miner.get("/miner/get_activations", "{}").await;
    assert_eq!(none, json!([]), "a finished swarm hands out nothing");
    let seen = practice.snapshot().borrow().clone();
    assert_eq!((seen.epochs_done, seen.epoch, seen.losses.len()), (1, 2, 2));
    let port = practice.orchestrator.address().port();
    practice.shutdown().await;
    let again = PracticeConfig { port, ..self::config(&folder.path().join("other")) };
    start(again).await.expect("the port is free again");
}

async fn check_first_weights(miner: &Signer) {
    let listed = miner.get("/common/get_merged_partitions", "").await;
    let preset = PRESETS.iter().find(|preset| preset.name == "nano").unwrap();
    let mut weights = 0;
    for partition in listed.as_array().unwrap() {
        let blob = miner.fetch(&partition["blob_path"]).await;
        let (offset, trailer) = split_object(&blob).unwrap();
        weights += parse_partition_trailer(trailer, offset).unwrap().weights.len;
    }
    assert_eq!(weights as u64, preset.total_params());
}

#[tokio::test]
async fn two_swarms_live_in_one_process_and_a_taken_port_is_refused() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = start(config(a.path())).await.unwrap();
    let second = start(config(b.path())).await.unwrap();
    assert_ne!(first.orchestrator_url(), second.orchestrator_url());
    let port = first.orchestrator.address().port();
    let taken = start(PracticeConfig { port, ..config(b.path()) }).await.unwrap_err();
    assert!(matches!(taken, PracticeError::Listen(ListenError::PortTaken(p)) if p == port));
    assert_eq!(taken.trouble(), Trouble::Configuration);
}

#[tokio::test]
async fn impossible_swarms_are_refused_in_plain_words() {
    let folder = tempfile::tempdir().unwrap();
    let base = || config(folder.path());
    let none = start(PracticeConfig { stages: 0, ..base() }).await.unwrap_err();
    assert_eq!(none.to_string(), "a practice swarm needs at least 1 stage");
    let idle = start(PracticeConfig { backwards_per_miner: 0, ..base() }).await.unwrap_err();
    assert!(idle.to_string().contains("backward"), "{idle}");
    let many = start(PracticeConfig { stages: 99, ..base() }).await.unwrap_err();
    assert!(many.to_string().contains("--stages"), "{many}");
    let file = folder.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let blocked = start(PracticeConfig { folder: file, ..base() }).await.unwrap_err();
    assert_eq!(blocked.trouble(), Trouble::Disk);
    assert!(blocked.to_string().contains("choose another folder"), "{blocked}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_read_only_folder_is_told_before_anything_starts() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let locked = folder.path().join("locked");
    std::fs::create_dir(&locked).unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o500)).unwrap();
    let started = start(config(&locked)).await;
    // The superuser may write anywhere: then there is nothing to be told.
    if std::fs::write(locked.join("probe"), b"").is_err() {
        let error = started.unwrap_err();
        assert_eq!(error.trouble(), Trouble::Disk);
        assert!(error.to_string().contains("locked"), "{error}");
    } else {
        started.unwrap();
    }
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o700)).unwrap();
}
