//! What leaves this machine is what `hearth privacy` lists: the traffic of a miner is captured and
//! each call, header and field is looked up in the list.

use std::collections::BTreeSet;
use std::time::Duration;

use hearth::miner::{Disclosure, FleetTelemetry, Joining};
use hearth::network::disclosed::{HEADERS, fields_of};
use serde_json::{Value, json};

use crate::miner::{Choices, quick, start, start_at};
use crate::server::{Reply, Script, Seen, overheard, registration};
use crate::world;

/// The fields of a body, nested ones with a dot, lists looked into.
fn fields(value: &Value, prefix: &str, into: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                into.insert(name.clone());
                fields(inner, &name, into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| fields(item, prefix, into)),
        _ => {}
    }
}

/// A call as the list names it.
fn call(seen: &Seen) -> String {
    let path = match seen.path.as_str() {
        path if path.starts_with("/miner/register/status/") => "/miner/register/status",
        path if path.starts_with("/miner/register/confirm/") => "/miner/register/confirm",
        path => path,
    };
    format!("{} {path}", seen.method)
}

#[track_caller]
fn everything_is_listed(traffic: &[Seen]) -> BTreeSet<String> {
    let mut calls = BTreeSet::new();
    for seen in traffic {
        let call = call(seen);
        let listed = fields_of(&call).unwrap_or_else(|| panic!("{call} is not listed"));
        let mut sent = BTreeSet::new();
        fields(&seen.json(), "", &mut sent);
        for field in &sent {
            assert!(listed.contains(&field.as_str()), "{call} sends {field}, which is not listed");
        }
        if !call.contains("/bridge/") {
            for header in seen.headers.keys() {
                assert!(HEADERS.contains(&header.as_str()), "{call} sends the header {header}");
            }
        }
        calls.insert(call);
    }
    calls
}

#[tokio::test]
async fn no_call_header_or_field_leaves_that_is_not_listed() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    let ticket = |extra: Value| {
        let mut ticket = json!({"queue_id": "q", "status": "queued", "poll_after_seconds": 0.01});
        for (key, value) in extra.as_object().unwrap() {
            ticket[key] = value.clone();
        }
        Reply::Json(ticket)
    };
    script
        .play("/miner/register", 1, ticket(json!({})))
        .play("/miner/register/status/q", 1, ticket(json!({"confirmation_required": true})))
        .play("/miner/register/confirm/q", 1, ticket(json!({"response": registration(1)})));
    let mut constants = quick();
    constants.fleet_telemetry = Duration::from_millis(50);
    let choices = Choices {
        constants,
        joining: Joining::Pool(None),
        disclosure: Disclosure {
            location: Some(Default::default()),
            bandwidth: Some(hearth::config::values::link_speed("1/1").unwrap()),
        },
        telemetry: FleetTelemetry::On,
        ..Choices::default()
    };
    let mut miner = start(&script, folder.path(), choices);
    miner.state("training", "no-activation").await;
    script.asked("/miner/get_run_config", 1).await;
    script.asked("/miner/fleet-telemetry", 1).await;
    script.phase("weights_uploading");
    miner.state("waiting", "others-uploading").await;
    script.phase("merging_partitions");
    miner.state("merging", "merging-partitions").await;
    script.asked("/miner/get_partitions", 1).await;
    miner.stop().await.unwrap();
    let calls = everything_is_listed(&script.all());
    for call in ["POST /miner/register", "GET /miner/heartbeat", "POST /bridge/set"] {
        assert!(calls.contains(call), "{call} was not captured: {calls:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_epoch_of_a_swarm_sends_nothing_that_is_not_listed() {
    let folder = tempfile::tempdir().unwrap();
    let plan = world::Plan { stages: 2, miners_per_stage: 1, epochs: 1, in_flight: 2, seed: 4 };
    let (practice, _events) = world::swarm(&plan, folder.path()).await;
    let (base, traffic) = overheard(&practice.orchestrator_url()).await;
    let mut miners = Vec::new();
    for key in [1, 2] {
        let mut constants = hearth::config::Constants::practice();
        constants.registration_pause = Duration::from_millis(100);
        let home = folder.path().join(format!("miner{key}"));
        let mut miner = start_at(&base, &home, Choices { key, constants, ..Choices::default() });
        miner.state("loading", "building-stage").await;
        miners.push(miner);
    }
    let finished = tokio::time::timeout(Duration::from_secs(180), practice.finished()).await;
    finished.unwrap().unwrap();
    for miner in miners {
        miner.stop().await.unwrap();
    }
    practice.shutdown().await;
    let calls = everything_is_listed(&traffic.lock().unwrap());
    for call in [
        "GET /miner/get_activations",
        "POST /miner/submit_activation",
        "POST /miner/report_loss",
        "POST /miner/submit_weights",
        "POST /miner/submit_merged_partitions",
        "GET /common/get_merged_partitions",
    ] {
        assert!(calls.contains(call), "{call} was not overheard: {calls:?}");
    }
}
