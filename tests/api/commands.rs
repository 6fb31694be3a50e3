//! The commands as a script uses them, against a miner that runs.

use serde_json::{Value, json};

use super::miner::{Miner, run};

#[test]
fn pause_snooze_resume_and_status_say_and_do_what_they_are_named_for() {
    let miner = Miner::start();
    let (code, said, _) = miner.hearth(&["status"]);
    assert!([0, 10].contains(&code), "{said}");
    for words in ["m0 is ", "next", "stage 0 of 3", "tokens", "Process "] {
        assert!(said.contains(words), "{words:?} is missing in: {said}");
    }

    let (code, said, _) = miner.hearth(&["pause", "30m"]);
    assert_eq!(code, 0);
    assert!(said.contains("m0: paused until 20"), "{said}");
    miner.until_own("a pause", |own| own["status"]["state"] == "paused");
    let (code, said, _) = miner.hearth(&["status"]);
    assert_eq!(code, 11, "{said}");
    assert!(said.contains("m0 is paused"), "{said}");
    let (code, said, _) = miner.hearth(&["status", "--json"]);
    let line: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &line["event"], &line["state"]), (11, &json!("state"), &json!("paused")));
    assert_eq!((&line["miner"], &line["exit"]), (&json!("m0"), &json!(11)));
    assert!(line["since"].is_number() && line["reason"].is_string());

    let (code, said, _) = miner.hearth(&["resume", "--device", "m0", "--json"]);
    let line: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &line["command"], &line["miners"]), (0, &json!("resume"), &json!(["m0"])));
    miner.until_own("work", |own| own["status"]["state"] != "paused");

    assert!(miner.hearth(&["snooze"]).1.contains("paused until 20"));
    miner.until_own("a pause", |own| own["status"]["state"] == "paused");
    assert!(miner.hearth(&["resume", "--anyway", "2h"]).1.contains("works until 20"));
    miner.until_own("work", |own| own["status"]["state"] != "paused");

    let (code, _, said) = miner.hearth(&["pause", "--device", "m5"]);
    assert_eq!(code, 1);
    assert!(said.contains("m5") && said.contains("m0"), "{said}");
    assert_eq!(miner.hearth(&["pause", "soon"]).0, 2);
    assert_eq!(miner.hearth(&["status", "--device", "m5"]).0, 2);

    // A process that is stopped by the system is there, but no miner.
    let id = miner.child.id().to_string();
    let signal =
        |name: &str| std::process::Command::new("kill").args([name, &id]).status().unwrap();
    assert!(signal("-STOP").success());
    let (code, said, _) = miner.hearth(&["status"]);
    assert!(signal("-CONT").success());
    assert_eq!(code, 30, "{said}");
    assert!(said.contains("does not answer"), "{said}");

    let (code, said, _) = miner.hearth(&["logs", "-n", "3"]);
    assert_eq!((code, said.lines().count()), (0, 3), "{said}");
    assert!(miner.hearth(&["logs"]).1.contains("asked through the local API"));
    let home = miner.home.path().to_owned();
    assert_eq!(miner.hearth(&["stop", "--wait"]).0, 0);
    // It has ended when that came back; nothing of it is left that would mislead.
    let (code, said, _) = run(&home, &["status"]);
    assert_eq!((code, said.lines().count()), (40, 1), "{said}");
    assert!(!home.join("state/api.json").exists());
    assert_eq!(run(&home, &["stop"]).0, 40);
    assert_eq!(run(&home, &["logs", "-n", "1"]).0, 0);
}

#[test]
fn where_nothing_ever_ran_that_is_said() {
    let home = tempfile::tempdir().unwrap();
    for command in ["pause", "snooze", "resume", "finish", "stop"] {
        let (code, said, error) = run(home.path(), &[command]);
        assert_eq!((code, said.as_str()), (40, ""), "{error}");
        assert!(error.contains("Hearth is not running here"), "{error}");
    }
    let (code, said, _) = run(home.path(), &["status"]);
    assert_eq!((code, said.lines().count()), (40, 1), "{said}");
    let (code, _, error) = run(home.path(), &["logs"]);
    assert_eq!(code, 1);
    assert!(error.contains("no log files"), "{error}");
}
