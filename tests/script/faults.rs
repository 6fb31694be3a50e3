//! What users of the network have met (weights that are not there, a stage that never leaves merging,
//! uploads that are refused): the miner says what is the matter and loses nothing by it.

use std::time::Duration;

use hearth::miner::{Disclosure, FleetTelemetry, Joining, MinerError};
use hearth::network::hub::{Download, Hub};
use serde_json::json;

use crate::miner::{Choices, start};
use crate::server::{Reply, Script, registration};

#[tokio::test]
async fn weights_that_are_not_there_lead_to_another_registration_and_no_training() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    let gone = format!("{}/store/gone", script.base);
    script.always(
        "/common/get_merged_partitions",
        Reply::Json(json!([
            {"layer": 1, "chunk_number": 0, "miner_hotkey": "a", "blob_path": gone},
            {"layer": 1, "chunk_number": 1, "miner_hotkey": "a", "blob_path": gone},
        ])),
    );
    script.always("/store/gone", Reply::Status(404, "NoSuchKey"));
    let mut miner = start(&script, folder.path(), Choices::default());
    let registrations = script.asked("/miner/register", 3).await;
    // The first start-over is at once, the next waits.
    assert!(registrations[2].at - registrations[1].at >= Duration::from_secs(3));
    assert!(script.seen("/common/get_merged_partitions").len() >= 6, "three tries each time");
    miner.state("loading", "network-trouble").await;
    let mut snapshot = miner.handle.snapshot.clone();
    let said = snapshot.wait_for(|snapshot| {
        let sentence = snapshot.status.reason.sentence();
        matches!(snapshot.status.reason, hearth::miner::Reason::NetworkTrouble { .. })
            && sentence.contains(" of 2")
    });
    drop(tokio::time::timeout(Duration::from_secs(60), said).await.unwrap().unwrap());
    miner.stop().await.unwrap();
}

#[tokio::test]
async fn a_stage_that_never_leaves_merging_is_named_with_the_time_it_takes() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    script.phase("merging_partitions");
    let mut miner = start(&script, folder.path(), Choices::default());
    let said = miner.finding("stage-stuck").await;
    assert!(said.contains("Stage 1") && said.contains("merging"), "{said}");
    let next = miner.handle.snapshot.borrow().status.next.clone();
    assert!(next.contains("stage 1 must finish merging"), "{next}");
    assert_eq!(script.seen("/miner/register").len(), 1, "its place is kept");
    script.phase("training");
    miner.state("training", "no-activation").await;
    miner.stop().await.unwrap();
}

#[tokio::test]
async fn a_damaged_snapshot_is_said_and_the_one_before_it_used() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    // Two loads, two generations.
    let mut miner = start(&script, folder.path(), Choices::default());
    miner.state("training", "no-activation").await;
    script.phase("merging_partitions");
    miner.state("merging", "merging-partitions").await;
    script.phase("training");
    miner.state("training", "no-activation").await;
    miner.stop().await.unwrap();
    let snapshots = std::fs::read_dir(folder.path().join("data").join("snapshots")).unwrap();
    let place = snapshots.map(|entry| entry.unwrap().path()).next().unwrap();
    let current = place.join("current.snapshot");
    let mut bytes = std::fs::read(&current).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&current, &bytes).unwrap();

    let mut miner = start(&script, folder.path(), Choices::default());
    let said = miner.finding("snapshot-damaged").await;
    assert!(said.contains("checksum") && said.contains("of epoch 1 is used"), "{said}");
    miner.state("training", "no-activation").await;
    miner.stop().await.unwrap();
    for generation in ["current.snapshot", "previous.snapshot"] {
        std::fs::write(place.join(generation), b"torn").unwrap();
    }
    let mut miner = start(&script, folder.path(), Choices::default());
    let said = miner.finding("snapshot-damaged").await;
    assert!(said.contains("downloaded from the network"), "{said}");
    miner.state("training", "no-activation").await;
    miner.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_told_of_the_machine_is_what_the_user_typed_in() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    let mut miner = start(&script, folder.path(), Choices::default());
    miner.state("training", "no-activation").await;
    let told = script.seen("/miner/register")[0].json();
    let node = told["p2p_node_id"].as_str().unwrap().to_owned();
    let mut keys: Vec<_> = told.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    assert_eq!(
        keys,
        [
            "attestation",
            "coldkey",
            "enclave_payload",
            "location",
            "p2p_node_id",
            "register_as_metagraph_miner",
            "system_data"
        ]
    );
    assert_eq!(told["register_as_metagraph_miner"], true);
    for null in ["attestation", "coldkey", "enclave_payload", "location"] {
        assert!(told[null].is_null(), "{null}");
    }
    assert_eq!(node.len(), 64);
    let system: serde_json::Value =
        serde_json::from_str(told["system_data"].as_str().unwrap()).unwrap();
    assert!(system.get("bandwidth").is_none(), "{system}");
    assert!(script.seen("/miner/fleet-telemetry").is_empty());
    miner.stop().await.unwrap();

    let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    let script = Script::start().await;
    let mut constants = crate::miner::quick();
    constants.fleet_telemetry = Duration::from_millis(50);
    let choices = Choices {
        constants,
        joining: Joining::Pool(Some(alice.parse().unwrap())),
        disclosure: Disclosure {
            location: Some(hearth::protocol::messages::NodeLocation {
                country: Some("Iceland".into()),
                ..Default::default()
            }),
            bandwidth: Some(hearth::config::values::link_speed("100/40").unwrap()),
        },
        telemetry: FleetTelemetry::On,
        ..Choices::default()
    };
    let mut miner = start(&script, folder.path(), choices);
    miner.state("training", "no-activation").await;
    let told = script.seen("/miner/register")[0].json();
    assert_eq!(told["register_as_metagraph_miner"], false);
    assert_eq!(told["coldkey"], alice);
    assert_eq!(told["location"]["country"], "Iceland");
    assert!(told["location"]["city"].is_null() && told["location"]["ip"].is_null());
    assert!(told["system_data"].as_str().unwrap().contains("\"upload_mbps\":40.0"));
    let telemetry = script.asked("/miner/fleet-telemetry", 1).await[0].json();
    assert!(telemetry["hotkey_name"].is_null());
    assert_eq!(telemetry["prometheus_snapshots"][0]["labels"]["layer_idx"], "1");
    miner.stop().await.unwrap();
}

#[tokio::test]
async fn a_pool_miner_without_an_address_names_nobody() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    let choices = Choices { joining: Joining::Pool(None), ..Choices::default() };
    let mut miner = start(&script, folder.path(), choices);
    miner.state("training", "no-activation").await;
    let told = script.seen("/miner/register")[0].json();
    assert_eq!(told["register_as_metagraph_miner"], false);
    assert!(told["coldkey"].is_null());
    miner.stop().await.unwrap();
}

#[tokio::test]
async fn a_stage_that_reads_text_needs_the_runs_tokenizer_and_says_how_to_get_it() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    let mut first = registration(0);
    first["model_metadata"]["tokenizer_name"] = json!("meta-llama/Tokens-1B");
    script.always("/miner/register", Reply::Json(first));
    let hub = Hub {
        cache: Some(folder.path().join("cache")),
        shelf: folder.path().join("shelf"),
        base: script.base.clone(),
        download: Download::Forbidden,
    };
    let asking = Choices { hub: Some(hub.clone()), ..Choices::default() };
    let error = start(&script, folder.path(), asking).ended().await.unwrap_err();
    assert!(matches!(error, MinerError::Settings(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("Tokens-1B") && text.contains("tokenizer_download"), "{text}");
    assert!(script.seen("/meta-llama/Tokens-1B/resolve/main/tokenizer.json").is_empty());

    // The hub may be asked now, and wants a licence accepted.
    script.always("/meta-llama/Tokens-1B/resolve/main/tokenizer.json", Reply::Status(403, "no"));
    let hub = Hub { download: Download::Allowed(None), ..hub };
    let asking = Choices { hub: Some(hub.clone()), ..Choices::default() };
    let error = start(&script, folder.path(), asking).ended().await.unwrap_err().to_string();
    assert!(error.contains("licence") && error.contains("HF_TOKEN"), "{error}");

    // A body stage does not need one.
    script.forget("/miner/register");
    let asking = Choices { hub: Some(hub), ..Choices::default() };
    let mut miner = start(&script, folder.path(), asking);
    miner.state("training", "no-activation").await;
    miner.stop().await.unwrap();
}
