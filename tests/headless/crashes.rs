//! A program that crashes again and again is stopped, and says so.

use std::process::Output;

use serde_json::Value;

use crate::server::{Server, practice};

/// Starts it, and crashes it as soon as it says something.
fn crash(home: &std::path::Path, signal: &str) {
    let mut server = Server::start(practice(home, &[]), home);
    server.until("a word", |_| true);
    server.signal(signal);
    assert_eq!(server.ended().0.code(), None, "it was killed");
}

fn start(home: &std::path::Path, more: &[&str]) -> Output {
    practice(home, more).output().unwrap()
}

#[test]
fn the_fourth_start_after_three_crashes_does_not_mine_and_says_why() {
    let home = tempfile::tempdir().unwrap();
    crash(home.path(), "KILL");
    // An orderly end between them makes the others single events.
    let mut orderly = Server::start(practice(home.path(), &[]), home.path());
    orderly.until("a word", |_| true);
    orderly.signal("TERM");
    assert_eq!(orderly.ended().0.code(), Some(0));
    for signal in ["KILL", "ABRT", "KILL"] {
        crash(home.path(), signal);
    }
    let refused = start(home.path(), &[]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(1), "{said}");
    for words in ["3 times", "hearth doctor", "hearth run --again", "hearth explain crash-loop"] {
        assert!(said.contains(words), "{words:?} is missing: {said}");
    }
    let told: Vec<Value> = String::from_utf8_lossy(&refused.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let finding = told.iter().find(|event| event["code"] == "crash-loop").unwrap();
    assert_eq!(finding["severity"], "error");
    let files = hearth::telemetry::logs::list(&home.path().join("state/logs"));
    let log: String = files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(log.contains("does not start again by itself"), "{log}");

    // It stays refused, and starts when somebody says so.
    assert_eq!(start(home.path(), &[]).status.code(), Some(1));
    let mut again = Server::start(practice(home.path(), &["--again"]), home.path());
    again.until_state("training");
    again.signal("TERM");
    assert_eq!(again.ended().0.code(), Some(0));
    crash(home.path(), "KILL");
    let mut after = Server::start(practice(home.path(), &[]), home.path());
    after.until("a word", |_| true);
    after.signal("TERM");
    assert_eq!(after.ended().0.code(), Some(0), "the count began anew");
}

#[test]
fn a_stop_that_was_asked_for_is_no_crash_however_it_ends() {
    let home = tempfile::tempdir().unwrap();
    for _ in 0..4 {
        let mut server = Server::start(practice(home.path(), &[]), home.path());
        server.until("a word", |_| true);
        server.signal("STOP");
        server.signal("TERM");
        server.signal("INT");
        server.signal("CONT");
        assert_eq!(server.ended().0.code(), Some(130));
    }
    let mut server = Server::start(practice(home.path(), &[]), home.path());
    server.until("a word", |_| true);
    server.signal("TERM");
    assert_eq!(server.ended().0.code(), Some(0), "{}", server.stderr());
}

#[test]
fn a_panic_becomes_a_report_that_the_log_names() {
    const FOLDER: &str = "HEARTH_TEST_CRASHES";
    // In a process of its own: the hook is the whole process's.
    let Some(folder) = std::env::var_os(FOLDER) else {
        let home = tempfile::tempdir().unwrap();
        let own = std::env::current_exe().unwrap();
        let mut command = std::process::Command::new(own);
        command.args(["--exact", "crashes::a_panic_becomes_a_report_that_the_log_names"]);
        let output = command.env(FOLDER, home.path()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    };
    let clock = hearth::clock::Clock::system();
    hearth::telemetry::crash::report_to(std::path::Path::new(&folder), &clock);
    let broke = std::thread::Builder::new()
        .name("worker 7".into())
        .spawn(|| panic!("the answer was 43"))
        .unwrap();
    assert!(broke.join().is_err());
    let report = hearth::telemetry::crash::last().unwrap();
    let text = std::fs::read_to_string(report).unwrap();
    for words in ["the answer was 43", "worker 7", "crashes.rs", env!("CARGO_PKG_VERSION")] {
        assert!(text.contains(words), "{words:?} is missing: {text}");
    }
}
