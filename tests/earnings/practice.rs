//! A practice swarm that pays: three epochs through the real binary, then every figure once more by a
//! script that shares no code with Hearth, from the recorded answers alone.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::events;

/// An epoch of the nano preset takes seconds; a loaded machine is given time.
const PATIENCE: Duration = Duration::from_secs(120);

fn hearth(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.env("HEARTH_HOME", home);
    command
}

/// What a command prints, one JSON value a line.
fn told(home: &Path, arguments: &[&str]) -> Vec<Value> {
    let output = hearth(home).args(arguments).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{arguments:?}: {text}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Lets the kept practice swarm train so many epochs from where it is, then stops it in order.
fn run(home: &Path, epochs: u64) {
    let mut command = hearth(home);
    command.args(["run", "--network", "practice", "--preset", "nano", "--backend", "cpu"]);
    command.args(["--headless", "--json"]).stdin(Stdio::null());
    let (mut child, events) = events::started(&mut command);
    let mut first = None;
    loop {
        let event = events.recv_timeout(PATIENCE).expect("the swarm goes on");
        if event["event"] == "phase" && event["phase"] == "training" {
            let epoch = event["epoch"].as_u64().expect("a phase has an epoch");
            if epoch >= *first.get_or_insert(epoch) + epochs {
                break;
            }
        }
    }
    let stop = hearth(home).arg("stop").stdout(Stdio::null()).status().unwrap();
    assert!(stop.success());
    assert!(child.wait().unwrap().success());
}

#[test]
fn an_independent_script_reckons_three_epochs_to_the_rao() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    run(home, 4);
    let ledger = home.join("data/ledger.sqlite");
    let books = home.join("data/practice/swarm/books.sqlite");
    assert!(ledger.is_file() && books.is_file());

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/earnings.py");
    let python = std::env::var("HEARTH_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    match Command::new(&python).arg(script).arg(&ledger).arg(&books).output() {
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stdout);
            let sums: Value = serde_json::from_str(&said)
                .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
            assert_eq!(sums["different"], serde_json::json!([]));
            assert!(output.status.success());
            assert!(sums["epochs"].as_u64() >= Some(3), "{sums}");
        }
        Err(error) => eprintln!("no {python} here ({error}): the sums were not done again by it"),
    }
    let verified = told(home, &["earnings", "verify", "--json"]);
    assert!(verified.iter().all(|line| line["severity"] != "error"), "{verified:?}");

    // The same epochs are not entered again by the next start, and new ones go on from them.
    let epochs = |home: &Path| -> u64 {
        let all = told(home, &["earnings", "--json", "--since", "2000-01-01"]);
        let text = serde_json::to_string(&all).unwrap();
        assert!(text.contains("points"), "{text}");
        let csv = hearth(home).args(["earnings", "--csv"]).output().unwrap();
        let csv = String::from_utf8(csv.stdout).unwrap();
        csv.lines().filter(|line| line.contains("epoch")).count() as u64
    };
    let before = epochs(home);
    run(home, 4);
    assert!(epochs(home) > before);
    let verified = told(home, &["earnings", "verify", "--json"]);
    assert!(verified.iter().all(|line| line["severity"] != "error"), "{verified:?}");
}
