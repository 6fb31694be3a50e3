//! Alerts through every channel, from a test by hand and from a run that needs somebody.

#![cfg(target_os = "linux")]

use std::fs;
use std::io::{ErrorKind, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use serde_json::Value;

use crate::listeners::{Desktop, Server, Silent};
use crate::runs::{Run, done, hearth};

const SECRET: &str = "t0ps3cretPart";

#[test]
fn a_test_goes_through_every_channel_and_says_what_came_of_each() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (output, _, err) = done(hearth(home).args(["alerts", "test"]));
    assert_eq!(output.status.code(), Some(3), "{err}");
    assert!(err.contains("hearth explain alerts"), "{err}");
    let (output, out, _) = done(hearth(home).args(["explain", "alerts"]));
    assert!(output.status.success() && out.contains("paused-by-rule"), "{out}");

    let (server, desktop) = (Server::start(200), Desktop::start());
    let program = home.join("told.sh");
    let (told, seen) = (home.join("told.json"), home.join("told.env"));
    fs::write(&program, format!("#!/bin/sh\ncat > {}\nenv > {}\n", told.display(), seen.display()))
        .unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let at = |path: &str| format!("{}/{path}/{SECRET}", server.address);
    let command = |command: &mut std::process::Command| {
        command
            .args(["alerts", "test"])
            .env("HEARTH_ALERT_DESKTOP", "true")
            .env("HEARTH_ALERT_WEBHOOK", at("hook"))
            .env("HEARTH_ALERT_NTFY", at("ntfy"))
            .env("HEARTH_ALERT_KUMA", format!("{}?status=up&msg=OK&ping=", at("push")))
            .env(
                "HEARTH_ALERT_COMMAND",
                format!("[\"{}\", \"$(touch {}/shell)\"]", program.display(), home.display()),
            )
            .env("DBUS_SESSION_BUS_ADDRESS", &desktop.address);
    };
    let mut all = hearth(home);
    command(&mut all);
    let (output, out, err) = done(&mut all);
    assert!(output.status.success(), "{out}{err}");
    for channel in ["desktop", "webhook", "ntfy", "kuma", "command"] {
        assert!(out.contains(&format!("{channel}: sent")), "{out}");
    }
    assert!(!out.contains(SECRET) && !err.contains(SECRET));

    // They are sent at the same time and arrive in any order.
    let mut got: Vec<_> = (0..3).map(|_| server.until("request", |_| true)).collect();
    got.sort_by(|a, b| a.line.cmp(&b.line));
    let [kuma, hook, ntfy] = &got[..] else { panic!("{got:?}") };
    assert!(kuma.line.starts_with(&format!("GET /push/{SECRET}?status=up&msg=")), "{kuma:?}");
    assert_eq!(kuma.line.matches("status=").count(), 1, "{kuma:?}");
    assert!(hook.line.starts_with(&format!("POST /hook/{SECRET} ")), "{hook:?}");
    let body: Value = serde_json::from_str(&hook.body).unwrap();
    assert_eq!((&body["app"], &body["test"]), (&"hearth".into(), &true.into()));
    assert!(body["text"].as_str().unwrap().contains("it came through"), "{body}");
    assert!(ntfy.body.contains("it came through"), "{ntfy:?}");
    assert_eq!(ntfy.headers["title"], "Hearth: a test");
    assert_eq!(ntfy.headers["priority"], "default");
    assert!(ntfy.headers["tags"].contains("recovered"));
    let (title, text) = desktop.shown();
    assert!(title == "Hearth: a test" && text.contains("came through"), "{title} {text}");
    let body: Value = serde_json::from_str(&fs::read_to_string(told).unwrap()).unwrap();
    assert_eq!(body["event"], "recovered");
    assert!(fs::read_to_string(seen).unwrap().contains("HEARTH_ALERT_TITLE=Hearth: a test"));
    assert!(!home.join("shell").exists(), "an argument went through a shell");

    // One that refuses is said, the others go through; no address is repeated.
    let refusing = Server::start(403);
    let mut some = hearth(home);
    command(&mut some);
    some.env("HEARTH_ALERT_WEBHOOK", format!("{}/{SECRET}", refusing.address));
    some.env("HEARTH_ALERT_NTFY", format!("http://127.0.0.1:9/{SECRET}"));
    some.env("HEARTH_ALERT_COMMAND", "[\"/nowhere/program\"]");
    let (output, out, err) = done(&mut some);
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    assert!(out.contains("webhook: FAILED: the server answered 403"), "{out}");
    assert!(out.contains("ntfy: FAILED") && out.contains("command: FAILED"), "{out}");
    assert!(out.contains("desktop: sent") && out.contains("kuma: sent"), "{out}");
    assert!(err.contains("3 of the channels"), "{err}");
    assert!(!out.contains(SECRET) && !err.contains(SECRET), "{out}{err}");

    let (output, _, err) = done(hearth(home).arg("alerts").env("HEARTH_ALERT_ON", "[\"fualt\"]"));
    assert_eq!(output.status.code(), Some(3), "{err}");
    assert!(err.contains("alert_on") && err.contains("fualt"), "{err}");
}

#[test]
fn a_run_that_a_rule_pauses_tells_so_and_its_heart_beats() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let server = Server::start(200);
    let hook = format!("{}/hook/{SECRET}", server.address);
    let kuma = format!("{}/push/{SECRET}", server.address);
    let mut run = Run::practice(
        home,
        &[
            ("HEARTH_ALERT_ON", "[\"paused-by-rule\"]"),
            ("HEARTH_ALERT_WEBHOOK", &hook),
            ("HEARTH_ALERT_KUMA", &kuma),
            // Nobody listens there.
            ("HEARTH_ALERT_NTFY", &format!("http://127.0.0.1:9/{SECRET}")),
            ("HEARTH_HOURS", &never_now()),
        ],
    );
    let beat = server.until("heartbeat", |got| got.line.contains("/push/"));
    assert!(beat.line.contains("status=up") && beat.line.contains("m0"), "{beat:?}");
    let got = server.until("alert", |got| got.line.contains("/hook/"));
    let body: Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!((&body["event"], &body["miner"]), (&"paused-by-rule".into(), &"m0".into()));
    assert_eq!(body["code"], "outside-hours");
    assert!(body["title"].as_str().unwrap().contains("paused by a rule"), "{body}");
    assert_eq!(body["held_back"], 0);
    assert_eq!(run.stop(), 0);
    // What failed is said once, without the address.
    let logs: String = fs::read_dir(home.join("state/logs"))
        .unwrap()
        .map(|entry| fs::read_to_string(entry.unwrap().path()).unwrap())
        .collect();
    assert_eq!(logs.matches("alerts do not go through ntfy").count(), 1, "{logs}");
    assert!(!logs.contains(SECRET));
}

#[test]
fn a_monitor_that_hangs_delays_no_other_channel() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (silent, server) = (Silent::start(), Server::start(200));
    let mut run = Run::practice(
        home,
        &[
            ("HEARTH_ALERT_ON", "[\"paused-by-rule\"]"),
            ("HEARTH_ALERT_WEBHOOK", &format!("{}/hook", server.address)),
            ("HEARTH_ALERT_KUMA", &format!("{}/push", silent.address)),
        ],
    );
    let held = silent.waiting();
    fs::create_dir_all(home.join("config")).unwrap();
    fs::write(home.join("config/config.toml"), format!("hours = {:?}\n", never_now())).unwrap();
    let id = run.child.id().to_string();
    assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
    server.until("alert", |got| got.line.contains("/hook") && got.body.contains("outside-hours"));
    // The monitor's request still waits for its answer: nothing but a time limit ends it.
    held.set_nonblocking(true).unwrap();
    let still = (&held).read(&mut [0]).map_err(|error| error.kind());
    assert_eq!(still, Err(ErrorKind::WouldBlock));
    assert_eq!(run.stop(), 0);
}

/// Hours of the week in which it is not now, in any time zone: one minute, three days away.
pub fn never_now() -> String {
    let days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    // The first of January 1970 was a Thursday.
    let today = (since.as_secs() / 86_400 + 3) % 7;
    format!("{} 12:00-12:01", days[usize::try_from((today + 3) % 7).unwrap()])
}
