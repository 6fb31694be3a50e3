//! Settings without anybody at the keyboard: as flags, and read again while it runs.

use std::path::Path;

use crate::server::{Server, bare, practice};

fn write(home: &Path, text: &str) {
    std::fs::create_dir_all(home.join("config")).unwrap();
    std::fs::write(home.join("config/config.toml"), text).unwrap();
}

#[test]
fn a_hang_up_has_them_read_again_and_nonsense_changes_nothing() {
    let home = tempfile::tempdir().unwrap();
    write(home.path(), "duty = \"90%\"\n");
    let mut server =
        Server::start(practice(home.path(), &["--set", "load_limit=off"]), home.path());
    server.until_state("training");
    let finding = |code: &str| {
        server.until(code, |event| event["event"] == "finding" && event["code"] == code)
    };

    write(home.path(), "duty = \"100%\"\nlog_level = \"debug\"\ncpu_threads = 1\n");
    server.signal("HUP");
    let told: Vec<String> =
        (0..3).map(|_| finding("settings-changed")["what"].as_str().unwrap().to_owned()).collect();
    assert!(told.iter().any(|what| what.contains("duty is 100%") && what.contains("from now on")));
    assert!(told.iter().any(|what| what.contains("log_level is debug")), "{told:?}");
    let later = told.iter().find(|what| what.contains("cpu_threads")).unwrap();
    assert!(later.contains("next start"), "{later}");

    write(home.path(), "duty = \"lots\"\n");
    server.signal("HUP");
    let refused = finding("config-value");
    assert!(refused["what"].as_str().unwrap().contains("duty"), "{refused}");
    assert!(refused["fix"].as_str().unwrap().contains("stay as they were"), "{refused}");

    write(home.path(), "alert_webhook = \"https://example.com/hidden-word\" oops\n");
    server.signal("HUP");
    let refused = finding("config-broken")["what"].as_str().unwrap().to_owned();
    assert!(refused.contains("line 1") && !refused.contains("hidden-word"), "{refused}");

    write(home.path(), "duty = \"100%\"\nlog_level = \"debug\"\ncpu_threads = 1\n");
    server.signal("HUP");
    finding("settings-unchanged");
    // Level debug counts: losses are written down now.
    server.until("a loss", |event| event["event"] == "loss");
    server.signal("TERM");
    assert_eq!(server.ended().0.code(), Some(0));
    let files = hearth::telemetry::logs::list(&home.path().join("state/logs"));
    let log: String = files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(log.contains("DEBUG") && log.contains("duty is 100%"), "{log}");
    assert!(!log.contains("hidden-word"), "{log}");
}

#[test]
fn any_setting_is_a_flag_and_what_is_none_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let run = |given: &str| {
        let output = practice(home.path(), &["--set", given]).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said) = run("dutty=50%");
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("did you mean \"duty\""), "{said}");
    let (code, said) = run("duty");
    assert_eq!(code, Some(2), "{said}");
    let (code, said) = run("duty=lots");
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("from the flag"), "{said}");

    let mut setup = bare(home.path());
    setup.args(["setup", "--non-interactive", "--network", "practice", "--set", "duty=60%"]);
    let output = setup.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let saved = std::fs::read_to_string(home.path().join("config/config.toml")).unwrap();
    assert!(saved.contains("duty = \"60%\""), "{saved}");
}
