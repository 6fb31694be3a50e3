//! The card is lost, its driver takes a while, memory runs out: as a user meets it, with the real binary
//! and what `--faults` injects.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::recovered;

/// A demo with faults: every event with the time it came, and the exit code.
fn demo(home: &Path, backend: &str, flags: &[&str]) -> (Vec<(Instant, Value)>, Option<i32>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hearth"))
        .env("HEARTH_HOME", home)
        .env_remove("RUST_LOG")
        .args(["demo", "--json", "--preset", "nano", "--stages", "2", "--miners-per-stage", "1"])
        .args(["--backend", backend])
        .args(flags)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let events =
        lines.map(|line| (Instant::now(), serde_json::from_str(&line.unwrap()).unwrap())).collect();
    (events, child.wait().unwrap().code())
}

fn is_finding(event: &Value, code: &str) -> bool {
    event["event"] == "finding" && event["code"] == code
}

/// How long after the loss with this finding m0 had done a piece of work again; and the finding.
#[track_caller]
fn time_to_work(events: &[(Instant, Value)], code: &str) -> (Duration, Value) {
    let found = events.iter().position(|(_, event)| is_finding(event, code));
    let at = found.unwrap_or_else(|| panic!("no {code} in {events:#?}"));
    let lost =
        events[..at].iter().rfind(|(_, e)| e["reason"] == "stage-lost" && e["miner"] == "m0");
    let from = lost.map_or(events[at].0, |(when, _)| *when);
    let done = |event: &Value| event["event"] == "step" && event["miner"] == "m0";
    let works = events[at..].iter().find(|(_, event)| done(event));
    let (when, _) = works.unwrap_or_else(|| panic!("m0 does not work again: {events:#?}"));
    (when.duration_since(from), events[at].1.clone())
}

#[track_caller]
fn ended_well(events: &[(Instant, Value)], code: Option<i32>, epochs: u64) {
    assert_eq!(code, Some(0));
    let summary = &events.last().unwrap().1;
    assert_eq!(
        (summary["event"].as_str(), summary["epochs"].as_u64()),
        (Some("summary"), Some(epochs))
    );
    let losses: Vec<f64> = events
        .iter()
        .filter(|(_, e)| e["event"] == "loss")
        .map(|(_, e)| e["loss"].as_f64().unwrap())
        .collect();
    assert!(losses.iter().all(|loss| loss.is_finite()) && !losses.is_empty());
    assert!(summary["loss_last"].as_f64() < summary["loss_first"].as_f64(), "{summary}");
}

#[test]
fn a_lost_device_is_opened_again_and_the_demo_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let (events, code) =
        demo(home.path(), "cpu", &["--epochs", "8", "--faults", "device-lost=1500ms@m0"]);
    let (after, finding) = time_to_work(&events, "device-lost");
    assert!(finding["what"].as_str().unwrap().contains("was lost"), "{finding}");
    recovered("device lost (processor in its place)", after, Duration::from_secs(8));
    ended_well(&events, code, 8);
}

#[test]
fn memory_that_runs_out_makes_the_stage_smaller_and_the_demo_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let (events, code) =
        demo(home.path(), "cpu", &["--epochs", "8", "--faults", "out-of-memory=1500ms@m0"]);
    let (after, finding) = time_to_work(&events, "memory-stepped-down");
    assert!(
        finding["what"].as_str().unwrap().contains("one sequence at a time instead of 2 sequences"),
        "{finding}"
    );
    recovered("out of memory in a pass", after, Duration::from_secs(8));
    ended_well(&events, code, 8);
}

/// The network waits a minute for each activation that was lost with a stage.
#[test]
#[ignore = "takes more than two minutes: scripts/faults.sh runs it"]
fn memory_that_runs_out_twice_rounds_the_moments_and_the_demo_goes_on_learning() {
    let home = tempfile::tempdir().unwrap();
    let flags = ["--epochs", "8", "--faults", "out-of-memory=1500ms@m0,out-of-memory=5s@m0"];
    let (events, code) = demo(home.path(), "cpu", &flags);
    let again = events.iter().rposition(|(_, event)| is_finding(event, "memory-stepped-down"));
    let (second, finding) = time_to_work(&events[again.unwrap()..], "memory-stepped-down");
    let what = finding["what"].as_str().unwrap();
    assert!(what.contains("moments in bf16 instead of one sequence at a time"), "{finding}");
    recovered("out of memory again: moments in bf16", second, Duration::from_secs(8));
    ended_well(&events, code, 8);
}

/// A software adapter whose device is really destroyed. Needs a Vulkan driver.
#[test]
#[ignore = "tests the kernels of the adapter first: scripts/faults.sh runs it"]
fn an_adapter_whose_device_is_destroyed_is_opened_again() {
    let home = tempfile::tempdir().unwrap();
    let flags = ["--epochs", "6", "--faults", "device-lost=4s@m0,device-lost=12s@m0"];
    let (events, code) = demo(home.path(), "wgpu", &flags);
    let (after, finding) = time_to_work(&events, "device-lost");
    recovered("device destroyed (Vulkan)", after, Duration::from_secs(8));
    assert!(!finding["what"].as_str().unwrap().is_empty());
    ended_well(&events, code, 6);
}
