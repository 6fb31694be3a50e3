//! Whoever asks for the end gets it, in order and within ten seconds, whatever the miner is at; and at
//! once, if asked twice.

use std::time::Duration;

use serde_json::{Value, json};

use crate::script::{Reply, Script};
use crate::server::{Server, miner, practice};

const LIMIT: Duration = Duration::from_secs(10);

/// Stops `server` with a signal, and proves that it ended in order and in time.
#[track_caller]
fn ends_in_order(mut server: Server, signal: &str) {
    server.signal(signal);
    let (status, took) = server.ended();
    assert_eq!(status.code(), Some(0), "{}", server.stderr());
    assert!(took < LIMIT, "it took {took:?}");
    for line in server.lines.iter() {
        assert!(!line.contains('\u{1b}'), "{line:?}");
        serde_json::from_str::<Value>(&line).unwrap_or_else(|_| panic!("{line:?}"));
    }
}

fn practice_stopped_at(state: &str, signal: &str) {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(practice(home.path(), &[]), home.path());
    server.until_state(state);
    ends_in_order(server, signal);
    // The next start finds all in order.
    let server = Server::start(practice(home.path(), &[]), home.path());
    server.until("a loss", |event| event["event"] == "loss");
    ends_in_order(server, "INT");
}

#[test]
fn while_it_loads() {
    practice_stopped_at("loading", "TERM");
}

#[test]
fn while_it_trains() {
    practice_stopped_at("training", "INT");
}

#[test]
fn while_it_uploads() {
    practice_stopped_at("uploading", "TERM");
}

#[test]
fn while_it_merges() {
    practice_stopped_at("merging", "TERM");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_it_holds_a_place_in_the_queue_which_it_keeps() {
    let script = Script::start().await;
    let ticket = json!({"queue_id": "q-1", "status": "queued", "position": 7,
                        "poll_after_seconds": 0.05, "confirmation_required": false});
    script.play("/miner/register", 1, Reply::Json(ticket.clone()));
    script.always("/miner/register/status/q-1", Reply::Json(ticket));
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(miner(home.path(), &script.base, &[]), home.path());
    let held = tokio::task::spawn_blocking(move || {
        server.until("a place", |event| event["event"] == "queue" && event["place"] == 7);
        ends_in_order(server, "TERM");
        home
    });
    let home = held.await.unwrap();
    // The place outlives the process.
    let files = std::fs::read_dir(home.path().join("state")).unwrap();
    let names: Vec<String> =
        files.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    let is_ticket = |name: &String| {
        std::fs::read_to_string(home.path().join("state").join(name))
            .is_ok_and(|text| text.contains("q-1"))
    };
    assert!(names.iter().any(is_ticket), "no ticket in {names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_answers_nothing() {
    let script = Script::start().await;
    script.always("/miner/register", Reply::Hang);
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(miner(home.path(), &script.base, &[]), home.path());
    script.asked("/miner/register", 1).await;
    tokio::task::spawn_blocking(move || ends_in_order(server, "TERM")).await.unwrap();
}

#[test]
fn a_second_signal_of_either_kind_ends_it_at_once() {
    for (first, second) in [("TERM", "INT"), ("INT", "TERM")] {
        let home = tempfile::tempdir().unwrap();
        let mut server = Server::start(practice(home.path(), &[]), home.path());
        server.until_state("training");
        // Both wait for it when it goes on, so that none of its work comes between them.
        server.signal("STOP");
        server.signal(first);
        server.signal(second);
        server.signal("CONT");
        let (status, took) = server.ended();
        assert_eq!(status.code(), Some(130), "{}", server.stderr());
        assert!(took < Duration::from_secs(2), "{took:?}");
        for line in server.lines.iter() {
            assert!(!line.contains('\u{1b}'), "{line:?}");
        }
    }
}
