//! The registration queue (spec 1.6): each of its states, and what goes wrong with it elsewhere.

use std::time::Duration;

use hearth::miner::{Joining, MinerSnapshot};
use hearth::telemetry::Event;
use serde_json::{Value, json};

use crate::miner::{Choices, start};
use crate::server::{Reply, Script, registration};

const REGISTER: &str = "/miner/register";
const STATUS: &str = "/miner/register/status/q-1";
const CONFIRM: &str = "/miner/register/confirm/q-1";

fn ticket(status: &str, place: Option<u64>) -> Value {
    json!({"queue_id": "q-1", "status": status, "position": place, "poll_after_seconds": 0.02,
           "confirmation_required": false, "selected_run_id": null, "reserved_until": null,
           "payload_mismatch": false, "detail": null, "response": null, "error": null})
}

fn with(mut ticket: Value, key: &str, value: Value) -> Reply {
    ticket[key] = value;
    Reply::Json(ticket)
}

#[tokio::test]
async fn a_place_is_waited_for_confirmed_and_used() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    let mut called = ticket("confirming", Some(0));
    called["confirmation_required"] = json!(true);
    called["selected_run_id"] = json!("run");
    script
        .play(REGISTER, 1, Reply::Json(ticket("queued", Some(3))))
        .play(STATUS, 1, Reply::Json(ticket("queued", Some(2))))
        .play(STATUS, 1, Reply::Json(called))
        .play(CONFIRM, 1, Reply::Json(ticket("confirmed", Some(0))))
        .play(STATUS, 1, Reply::Json(ticket("processing", None)))
        .play(STATUS, 1, with(ticket("succeeded", None), "response", registration(1)));
    let mut miner = start(&script, folder.path(), Choices::default());
    miner.state("registering", "queued").await;
    miner.state("registering", "confirming-place").await;
    miner.state("training", "no-activation").await;
    let challenges = script.seen("/miner/request_attestation_challenge");
    assert_eq!(challenges[0].json(), json!({"action": "registration", "run_id": null}));
    assert_eq!(challenges[1].json(), json!({"action": "registration", "run_id": "run"}));
    let confirmed = script.seen(CONFIRM);
    assert_eq!(&confirmed[0].body[..], br#"{"attestation": null, "enclave_payload": null}"#);
    assert_eq!(&script.seen(STATUS)[0].body[..], b"{}");
    assert_eq!(script.seen(REGISTER).len(), 1);
    let places: Vec<_> = miner
        .told
        .iter()
        .filter_map(|event| match event {
            Event::Queue { place, .. } => *place,
            _ => None,
        })
        .collect();
    assert_eq!(places[..2], [3, 2]);
    assert!(std::fs::read_dir(folder.path().join("state")).unwrap().next().is_none());
    miner.stop().await.unwrap();
}

#[tokio::test]
async fn a_restart_keeps_the_place() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    script.play(REGISTER, 1, Reply::Json(ticket("queued", Some(74))));
    script.always(STATUS, Reply::Json(ticket("queued", Some(70))));
    let mut miner = start(&script, folder.path(), Choices::default());
    miner.until("place 70", |e| matches!(e, Event::Queue { place: Some(70), .. })).await;
    miner.stop().await.unwrap();

    script.forget(STATUS);
    script.always(STATUS, with(ticket("succeeded", None), "response", registration(1)));
    let mut miner = start(&script, folder.path(), Choices::default());
    miner.state("training", "no-activation").await;
    assert_eq!(script.seen(REGISTER).len(), 1, "the ticket of before was used");
    assert!(script.seen("/miner/payout_coldkey").is_empty());
    miner.stop().await.unwrap();
}

#[tokio::test]
async fn an_address_that_was_named_since_the_ticket_was_drawn_is_told() {
    let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    script.play(REGISTER, 1, Reply::Json(ticket("queued", Some(5))));
    script.always(STATUS, Reply::Json(ticket("queued", Some(4))));
    let unpaid = || Choices { joining: Joining::Pool(None), ..Choices::default() };
    let mut miner = start(&script, folder.path(), unpaid());
    miner.until("place 4", |e| matches!(e, Event::Queue { place: Some(4), .. })).await;
    miner.stop().await.unwrap();
    script.forget(STATUS);
    script.always(STATUS, with(ticket("succeeded", None), "response", registration(1)));
    let paid = Choices { joining: Joining::Pool(Some(alice.parse().unwrap())), ..unpaid() };
    let mut miner = start(&script, folder.path(), paid);
    miner.state("training", "no-activation").await;
    assert_eq!(script.seen("/miner/payout_coldkey")[0].json(), json!({"payout_coldkey": alice}));
    miner.stop().await.unwrap();
}

#[tokio::test]
async fn a_server_that_cannot_tell_the_place_does_not_cost_it() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    script.play(REGISTER, 1, Reply::Json(ticket("queued", Some(412))));
    script.play(STATUS, 1, Reply::Json(ticket("queued", Some(412))));
    script.play(STATUS, 3, Reply::Status(503, "No handler"));
    script.play(STATUS, 3, Reply::Status(422, "unprocessable"));
    script.always(STATUS, with(ticket("succeeded", None), "response", registration(1)));
    let mut miner = start(&script, folder.path(), Choices::default());
    miner.state("registering", "queue-silent").await;
    let snapshot: MinerSnapshot = miner.handle.snapshot.borrow().clone();
    assert!(snapshot.status.next.contains("last known place 412"), "{}", snapshot.status.next);
    miner.state("training", "no-activation").await;
    assert_eq!(script.seen(REGISTER).len(), 1);
    miner.stop().await.unwrap();
}

#[tokio::test]
async fn a_set_back_is_said_and_waited_through() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    script.play(REGISTER, 1, Reply::Json(ticket("queued", Some(3))));
    script.play(STATUS, 1, Reply::Json(ticket("queued", Some(1687))));
    script.always(STATUS, with(ticket("succeeded", None), "response", registration(1)));
    let mut miner = start(&script, folder.path(), Choices::default());
    let said = miner.finding("queue-set-back").await;
    assert!(said.contains("from place 3 to 1687"), "{said}");
    miner.state("training", "no-activation").await;
    miner.stop().await.unwrap();
}

#[tokio::test]
async fn a_confirmation_whose_answer_is_lost_is_looked_up_and_made_again_with_a_fresh_challenge() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    let mut called = ticket("confirming", Some(0));
    called["confirmation_required"] = json!(true);
    script.play(REGISTER, 1, Reply::Json(called.clone()));
    script.play(CONFIRM, 1, Reply::Hang);
    script.play(STATUS, 1, Reply::Json(called));
    script.play(CONFIRM, 1, with(ticket("succeeded", None), "response", registration(1)));
    let mut miner = start(&script, folder.path(), Choices::default());
    miner.state("training", "no-activation").await;
    let confirmations = script.seen(CONFIRM);
    assert_eq!(confirmations.len(), 2);
    let between = confirmations[1].at - confirmations[0].at;
    assert!(between < Duration::from_secs(5), "{between:?}");
    assert_eq!(script.seen("/miner/request_attestation_challenge").len(), 3);
    miner.stop().await.unwrap();
}

#[tokio::test]
async fn a_ticket_that_the_server_lost_expired_or_failed_is_drawn_again() {
    for reply in [
        Reply::Status(404, "no such ticket"),
        Reply::Error("QueueTicketNotFoundError", json!({"message": "unknown"})),
        Reply::Json(ticket("expired", None)),
        Reply::Json(ticket("failed", None)),
    ] {
        let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
        script.play(REGISTER, 1, Reply::Json(ticket("queued", Some(9))));
        script.always(STATUS, reply.clone());
        let mut miner = start(&script, folder.path(), Choices::default());
        miner.state("training", "no-activation").await;
        assert_eq!(script.seen(REGISTER).len(), 2, "{reply:?}");
        let said = miner.told.iter().any(
            |event| matches!(event, Event::State { reason, .. } if reason == "network-trouble"),
        );
        assert!(said, "{reply:?}: {:#?}", miner.told);
        miner.stop().await.unwrap();
    }
}
