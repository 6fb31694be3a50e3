//! `hearth run` as a user meets it: the real binary as a miner of a swarm that is only known by its
//! address, and what it says when something is wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/events.rs"]
mod events;
#[path = "support/world.rs"]
#[allow(dead_code)]
mod world;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

const ALICE_SEED: &str = "0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";

fn hearth(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.env("HEARTH_HOME", home).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// A home with a hotkey file; the live network's pauses, shortened.
fn home(seed: &str) -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let key = home.path().join("hot");
    std::fs::write(&key, seed).unwrap();
    let config = home.path().join("config");
    std::fs::create_dir_all(&config).unwrap();
    let constants = "join = \"metagraph\"\n[constants]\nheartbeat = 1\nall_layers_cache = 0.2\n\
                     wait_for_phase_poll = 0.1\nregistration_pause = 0.5\n\
                     [constants.registry]\npull = 0.2\nkeep_alive = 0.5\n\
                     [constants.training]\nmin_cosine_similarity_download = 0.0\n";
    std::fs::write(config.join("config.toml"), constants).unwrap();
    (home, key)
}

#[track_caller]
fn refused(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in: {said}");
    }
}

/// A running miner; its events come out of the receiver.
struct Running {
    child: Child,
    events: mpsc::Receiver<Value>,
}

impl Running {
    fn start(home: &Path, key: &Path, network: &str) -> Self {
        Self::run(hearth(home).args(["run", "--network", network, "--hotkey-file"]).arg(key))
    }

    /// The practice swarm that is kept under `home`.
    fn practice(home: &Path) -> Self {
        Self::run(hearth(home).args(["run", "--network", "practice", "--preset", "nano"]))
    }

    fn run(command: &mut Command) -> Self {
        let (child, events) =
            events::started(command.args(["--headless", "--json", "--backend", "cpu"]));
        Self { child, events }
    }

    /// Waits for an event of which `wanted` is true.
    #[track_caller]
    fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = std::time::Instant::now() + Duration::from_secs(120);
        loop {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            let event = self.events.recv_timeout(left).unwrap_or_else(|_| panic!("no {what}"));
            if wanted(&event) {
                return event;
            }
        }
    }

    fn interrupt(&mut self) -> i32 {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn miners_of_two_processes_train_an_epoch_of_a_swarm_they_only_know_by_its_address() {
    let folder = tempfile::tempdir().unwrap();
    let plan = world::Plan { stages: 2, miners_per_stage: 1, epochs: 1, in_flight: 2, seed: 3 };
    let (practice, _events) = world::swarm(&plan, folder.path()).await;
    let network = practice.orchestrator_url();
    let homes: Vec<_> = (1..=2).map(|n| home(&format!("0x{}", hex::encode([n; 32])))).collect();
    let mut miners: Vec<Running> =
        homes.iter().map(|(home, key)| Running::start(home.path(), key, &network)).collect();
    tokio::time::timeout(Duration::from_secs(180), practice.finished()).await.unwrap().unwrap();
    tokio::task::spawn_blocking(move || {
        for miner in &mut miners {
            miner.until("training", |e| e["event"] == "state" && e["state"] == "training");
            miner.until("merging", |e| e["event"] == "state" && e["state"] == "merging");
            assert_eq!(miner.interrupt(), 0);
        }
    })
    .await
    .unwrap();
    // The identity on the network outlives the process; a place in a queue would too.
    for (home, _) in &homes {
        let identity = home.path().join("data").join("peer-identity");
        assert_eq!(std::fs::read(identity).map(|bytes| bytes.is_empty()).ok(), Some(false));
    }
    practice.shutdown().await;
}

/// The epoch of the first event that tells one.
#[cfg(unix)]
fn first_epoch(running: &Running) -> u64 {
    running.until("a phase", |e| e["event"] == "phase")["epoch"].as_u64().unwrap()
}

#[cfg(unix)]
#[test]
fn the_practice_swarm_is_kept_and_goes_on_where_it_stopped_or_was_killed() {
    let home = tempfile::tempdir().unwrap();
    let merged = |running: &Running, epoch: u64| {
        running.until("a merge", |e| e["event"] == "merge" && e["epoch"] == epoch);
        running.until("a loss", |e| e["event"] == "loss" && e["epoch"] == epoch + 1)
    };
    let mut first = Running::practice(home.path());
    assert_eq!(first_epoch(&first), 1);
    let early = first.until("a loss", |e| e["event"] == "loss")["loss"].as_f64().unwrap();
    merged(&first, 2);
    assert_eq!(first.interrupt(), 0);

    let mut second = Running::practice(home.path());
    let resumed = first_epoch(&second);
    assert!(resumed >= 3, "{resumed}");
    let late = second.until("a loss", |e| e["event"] == "loss")["loss"].as_f64().unwrap();
    assert!(late < early - 0.5, "{early} -> {late}: it began anew");
    merged(&second, resumed);
    second.child.kill().unwrap();
    second.child.wait().unwrap();

    let mut third = Running::practice(home.path());
    assert!(first_epoch(&third) > resumed);
    third.until("a loss", |e| e["event"] == "loss");
    let beside = hearth(home.path()).args(["run", "--network", "practice"]).output().unwrap();
    refused(&beside, 9, &["already runs here", "hearth stop"]);
    assert_eq!(third.interrupt(), 0);
    let other = hearth(home.path())
        .args(["run", "--network", "practice", "--preset", "demo"])
        .output()
        .unwrap();
    refused(&other, 3, &["nano", "--preset"]);
}

/// Every file below `folder`.
#[cfg(unix)]
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[cfg(unix)]
#[test]
fn damaged_snapshots_are_said_and_training_goes_on_from_the_merged_weights() {
    let home = tempfile::tempdir().unwrap();
    let mut first = Running::practice(home.path());
    first.until("a merge", |e| e["event"] == "merge" && e["epoch"] == 2);
    first.until("a loss", |e| e["event"] == "loss" && e["epoch"] == 3);
    assert_eq!(first.interrupt(), 0);
    let snapshots = files(&home.path().join("data/practice/miners/m0/snapshots"));
    assert!(!snapshots.is_empty());
    for snapshot in snapshots {
        std::fs::write(snapshot, b"no snapshot at all").unwrap();
    }
    let mut second = Running::practice(home.path());
    let damaged = second.until("a word on it", |e| e["code"] == "snapshot-damaged");
    assert_eq!(damaged["severity"], "warning");
    assert!(damaged["fix"].as_str().is_some_and(|fix| !fix.is_empty()));
    second.until("a loss", |e| e["event"] == "loss");
    assert_eq!(second.interrupt(), 0);
}

#[test]
fn keys_that_cannot_be_used_are_refused_with_exit_code_4() {
    let (home, key) = home("$NACL-not-a-hotkey");
    let run = |arguments: &[&str]| {
        hearth(home.path())
            .args(["run", "--headless", "--network", "http://127.0.0.1:9"])
            .args(arguments)
            .output()
            .unwrap()
    };
    refused(&run(&[]), 4, &["no hotkey", "--hotkey-file"]);
    refused(&run(&["--hotkey-file", key.to_str().unwrap()]), 4, &["encrypted", "coldkey"]);
    refused(&run(&["--hotkey-file", "/nowhere/hot"]), 4, &["/nowhere/hot"]);
}

#[test]
fn settings_that_make_no_sense_are_refused_with_exit_code_3() {
    let (home, key) = home(ALICE_SEED);
    let key = key.to_str().unwrap().to_owned();
    let run = |arguments: &[&str]| {
        hearth(home.path())
            .args(["run", "--headless", "--hotkey-file", &key])
            .args(arguments)
            .output()
            .unwrap()
    };
    refused(&run(&["--network", "moonnet"]), 3, &["moonnet", "testnet"]);
    refused(&run(&["--join", "club"]), 3, &["club", "pool or metagraph"]);
    refused(&run(&["--payout-address", "5abc"]), 3, &["payout_address", "5abc"]);
    refused(&run(&["--join", "pool"]), 3, &["No payout address", "--accept-unpaid"]);
    refused(&run(&["--config", "/nowhere.toml"]), 3, &["/nowhere.toml"]);
    let config = home.path().join("config").join("config.toml");
    std::fs::write(config, "netwrok = \"mainnet\"\n").unwrap();
    refused(&run(&[]), 3, &["netwrok", "did you mean \"network\""]);
}

#[cfg(unix)]
#[test]
fn a_hotkey_mines_once_on_a_machine_and_a_server_that_is_away_is_waited_for() {
    let (home, key) = home(ALICE_SEED);
    let first = Running::start(home.path(), &key, "http://127.0.0.1:9");
    let state = first.until("trouble", |e| e["reason"] == "network-trouble");
    assert_eq!(state["state"], "registering");
    let second = hearth(home.path())
        .args(["run", "--headless", "--network", "http://127.0.0.1:9", "--hotkey-file"])
        .arg(&key)
        .output()
        .unwrap();
    refused(&second, 9, &["already runs here", "hearth stop"]);
    let mut first = first;
    assert_eq!(first.interrupt(), 0);
}

#[test]
fn privacy_lists_the_hosts_of_the_chosen_network_and_needs_no_key() {
    let home = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let output = hearth(home.path()).arg("privacy").args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = run(&["--network", "https://swarm.example:8443"]);
    assert!(text.contains("swarm.example:8443/bridge"), "{text}");
    assert!(text.contains("fleet-telemetry [off]"), "{text}");
    assert!(text.contains("Nothing else"), "{text}");
    for line in run(&["--json"]).lines() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["event"], "disclosure");
        assert!(event["call"].is_string() && event["sent"].is_boolean());
    }
}
