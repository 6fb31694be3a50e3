//! Every application error of spec 1.11 and every transport rule of 1.12: what the miner does next.

use std::time::Duration;

use hearth::miner::{Joining, MinerError};
use serde_json::json;

use crate::miner::{Choices, start};
use crate::server::{Reply, Script, layer_state};

const HEARTBEAT: &str = "/miner/heartbeat";
const REGISTER: &str = "/miner/register";

#[tokio::test]
async fn a_phase_change_is_followed_wherever_it_is_heard() {
    for path in [HEARTBEAT, "/miner/all_layers_training", "/miner/get_run_config"] {
        let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
        let mut miner = start(&script, folder.path(), Choices::default());
        miner.state("training", "no-activation").await;
        script.phase("weights_uploading");
        script.always(path, layer_state("training", "weights_uploading"));
        miner.state("uploading", "uploading-weights").await;
        script.forget(path);
        // Nothing was learned: nothing is submitted, and the next phase is awaited.
        miner.state("waiting", "others-uploading").await;
        assert!(script.seen("/miner/submit_weights").is_empty());
        script.phase("merging_partitions");
        miner.state("merging", "merging-partitions").await;
        script.phase("training");
        miner.state("training", "no-activation").await;
        miner.stop().await.unwrap();
    }
}

#[tokio::test]
async fn being_dropped_means_registering_again_with_the_stage_kept() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    let mut miner = start(&script, folder.path(), Choices::default());
    miner.state("training", "no-activation").await;
    let dropped = json!({"message": "Entity not registered", "name": "m0"});
    script.play(HEARTBEAT, 1, Reply::Error("EntityNotRegisteredError", dropped));
    miner.state("registering", "not-registered").await;
    miner.state("training", "no-activation").await;
    assert_eq!(script.seen(REGISTER).len(), 2);
    miner.stop().await.unwrap();
}

#[tokio::test]
async fn a_hotkey_that_is_not_on_the_subnet_is_told_what_to_do() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    let unknown = json!({"message": "Entity not registered", "name": "m0"});
    script.play(REGISTER, 2, Reply::Error("EntityNotRegisteredError", unknown));
    let choices = Choices { joining: Joining::Metagraph, ..Choices::default() };
    let mut miner = start(&script, folder.path(), choices);
    miner.state("registering", "not-registered").await;
    let next = miner.handle.snapshot.borrow().status.next.clone();
    assert!(next.contains("registered on the subnet") && next.contains("pool"), "{next}");
    miner.state("training", "no-activation").await;
    miner.stop().await.unwrap();
}

#[tokio::test]
async fn another_version_ends_the_miner_with_both_versions_named() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    let dict = json!({"expected_version": 30018, "actual_version": "30017", "message": "old"});
    script.always(REGISTER, Reply::Error("SpecVersionError", dict));
    let miner = start(&script, folder.path(), Choices::default());
    let error = miner.ended().await.unwrap_err();
    assert!(matches!(error, MinerError::Version(_)), "{error}");
    let text = error.to_string();
    assert!(text.contains("30018") && text.contains("30017"), "{text}");
    assert_eq!(script.seen(REGISTER).len(), 1);
}

#[tokio::test]
async fn a_full_run_is_waited_for() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    script.play(REGISTER, 1, Reply::Error("RunFullError", json!({"message": "full"})));
    let mut miner = start(&script, folder.path(), Choices::default());
    miner.state("waiting", "run-full").await;
    miner.state("training", "no-activation").await;
    let asked = script.seen(REGISTER);
    assert!(asked[1].at - asked[0].at >= Duration::from_millis(600));
    miner.stop().await.unwrap();
}

#[tokio::test]
async fn a_benched_miner_says_so_waits_and_comes_back() {
    for (name, reason, status) in [
        ("MinerFrozenError", "frozen", "frozen"),
        ("MinerInitializingError", "next-epoch", "initializing"),
    ] {
        let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
        let mut miner = start(&script, folder.path(), Choices::default());
        miner.state("training", "no-activation").await;
        script.play(HEARTBEAT, 1, Reply::Error(name, json!({"message": "wait"})));
        miner.state("waiting", reason).await;
        // Peers read it in the registry.
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while !script
            .seen("/bridge/set")
            .iter()
            .any(|set| String::from_utf8_lossy(&set.body).contains(&format!("\"{status}\"")))
        {
            assert!(std::time::Instant::now() < deadline, "{status} was not published");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        miner.state("training", "no-activation").await;
        miner.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_status_in_the_heartbeat_benches_without_ending_the_phase() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    script.status(json!("initializing"));
    let mut miner = start(&script, folder.path(), Choices::default());
    miner.state("training", "next-epoch").await;
    script.status(json!(null));
    miner.state("training", "no-activation").await;
    miner.stop().await.unwrap();
}

#[tokio::test]
async fn unknown_errors_and_broken_answers_are_lived_through() {
    for reply in [
        Reply::Error("BankError", json!({"message": "odd"})),
        Reply::Status(500, "broken"),
        Reply::Status(503, "away"),
        Reply::Status(302, "elsewhere"),
        Reply::Json(json!({"phase": 7})),
        Reply::Json(json!("what?")),
    ] {
        let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
        let mut miner = start(&script, folder.path(), Choices::default());
        miner.state("training", "no-activation").await;
        script.play(HEARTBEAT, 4, reply.clone());
        script.play("/miner/all_layers_training", 4, reply);
        let before = script.seen(HEARTBEAT).len();
        script.asked(HEARTBEAT, before + 8).await;
        assert_eq!(script.seen(REGISTER).len(), 1);
        script.phase("weights_uploading");
        miner.state("uploading", "uploading-weights").await;
        miner.stop().await.unwrap();
    }
}

#[tokio::test]
async fn rate_limits_pace_down_and_each_attempt_is_signed_afresh() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    script.play("/common/get_run_epoch", 1, Reply::Status(429, "slow down"));
    let mut miner = start(&script, folder.path(), Choices::default());
    miner.state("training", "no-activation").await;
    let asked = script.seen("/common/get_run_epoch");
    assert!(asked[1].at - asked[0].at >= Duration::from_secs(1));
    assert_eq!(asked[0].header("x-request-id"), asked[1].header("x-request-id"));
    assert_ne!(asked[0].header("epistula-timestamp"), asked[1].header("epistula-timestamp"));
    miner.stop().await.unwrap();
}

#[tokio::test]
async fn a_registration_is_attempted_once_and_tried_again_from_the_start() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    script.play(REGISTER, 1, Reply::Status(503, "away"));
    script.play(REGISTER, 1, Reply::Hang);
    let mut miner = start(&script, folder.path(), Choices::default());
    miner.state("training", "no-activation").await;
    let (asked, challenges) =
        (script.seen(REGISTER), script.seen("/miner/request_attestation_challenge"));
    assert_eq!((asked.len(), challenges.len()), (3, 3), "each try has its own challenge");
    let ids: std::collections::BTreeSet<_> =
        asked.iter().map(|seen| seen.header("x-request-id").to_owned()).collect();
    assert_eq!(ids.len(), 3);
    miner.stop().await.unwrap();
}

#[tokio::test]
async fn new_flags_and_numbers_of_the_run_are_taken_over_while_it_trains() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    let mut miner = start(&script, folder.path(), Choices::default());
    miner.state("training", "no-activation").await;
    script.always(
        "/miner/get_run_config",
        Reply::Json(json!({
            "run_id": "run", "run_flags": {"flag_of_tomorrow": {"enabled": true, "version": 2.5}},
            "model_metadata": {"activation": {"max_activation_cache_size": 9}, "news": [1]}
        })),
    );
    let asked = script.seen("/miner/get_run_config").len();
    script.asked("/miner/get_run_config", asked + 3).await;
    let mut snapshot = miner.handle.snapshot.clone();
    let grown = snapshot.wait_for(|snapshot| snapshot.cache_capacity == 9);
    tokio::time::timeout(Duration::from_secs(20), grown).await.unwrap().unwrap();
    miner.stop().await.unwrap();
}
