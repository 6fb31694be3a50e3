//! What is written down while nobody watches.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::server::{Server, practice};

fn written(home: &Path) -> String {
    let files = hearth::telemetry::logs::list(&home.join("state/logs"));
    files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect()
}

#[track_caller]
fn wait_for(home: &Path, what: &str) -> String {
    let started = Instant::now();
    loop {
        let text = written(home);
        if text.contains(what) {
            return text;
        }
        assert!(started.elapsed() < Duration::from_secs(30), "{what:?} is not in:\n{text}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_happens_is_in_the_files_and_standard_error_stays_quiet() {
    let home = tempfile::tempdir().unwrap();
    let mut server = Server::start(practice(home.path(), &[]), home.path());
    server.until_state("training");
    wait_for(home.path(), "m0 is training");
    server.signal("TERM");
    assert_eq!(server.ended().0.code(), Some(0));
    let text = written(home.path());
    assert!(text.contains("INFO") && text.contains("begins"), "{text}");
    let before_the_summary = text.split("is stopping").next().unwrap();
    assert!(!before_the_summary.contains("loss"), "losses belong to level debug: {text}");
    assert_eq!(server.stderr(), "", "nothing was wrong");
}

#[test]
fn level_and_form_go_by_the_settings_and_rust_log_beats_them() {
    let home = tempfile::tempdir().unwrap();
    let set = ["--set", "log_level=debug", "--set", "log_format=json"];
    let mut server = Server::start(practice(home.path(), &set), home.path());
    server.until("a loss", |event| event["event"] == "loss");
    let text = wait_for(home.path(), "\"DEBUG\"");
    server.signal("TERM");
    server.ended();
    for line in text.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap_or_else(|_| panic!("{line:?}"));
    }

    let home = tempfile::tempdir().unwrap();
    let mut command = practice(home.path(), &["--set", "log_level=trace"]);
    command.env("RUST_LOG", "error");
    let mut server = Server::start(command, home.path());
    server.until_state("training");
    server.signal("TERM");
    server.ended();
    let text = written(home.path());
    assert!(!text.contains("INFO") && !text.contains("begins"), "{text}");
}
