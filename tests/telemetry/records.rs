//! The record of a run, from the run itself to the screen that plays it.

#![cfg(unix)]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::pty::Terminal;
use crate::runs::{Run, done, hearth};

fn records(home: &Path) -> Vec<PathBuf> {
    let found = fs::read_dir(home.join("state/records")).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = found.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn list(home: &Path) -> Vec<Value> {
    let (output, out, err) = done(hearth(home).args(["replay", "--json"]));
    assert!(output.status.success(), "{err}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// One run for all that can be asked of its record: a run takes seconds.
#[test]
fn a_run_is_recorded_listed_printed_and_played() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let (_, out, _) = done(hearth(home).arg("replay"));
    assert!(out.contains("no records"), "{out}");

    let mut run = Run::practice(home, &[]);
    run.until("first merge", |event| event["event"] == "merge");
    let living = list(home);
    assert_eq!(living.len(), 1);
    assert!(living[0]["ended"].as_str().unwrap().contains("being written"), "{living:?}");
    run.until("second epoch", |event| event["event"] == "loss" && event["epoch"] == 2);
    assert_eq!(run.stop(), 0);

    let all = list(home);
    assert_eq!(all.len(), 1);
    assert_eq!(all[0]["ended"], "stopped in order");
    assert!(all[0]["seconds"].as_f64().unwrap() > 0.5, "{all:?}");
    let name = all[0]["name"].as_str().unwrap();
    let file = PathBuf::from(all[0]["file"].as_str().unwrap());
    assert_eq!(records(home), vec![file.clone()]);
    use std::os::unix::fs::PermissionsExt as _;
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    // Letter for letter what the run printed, in the same order.
    let (_, out, err) = done(hearth(home).args(["replay", name, "--json"]));
    let replayed: Vec<&str> = out.lines().collect();
    let from = run.seen.iter().position(|line| line == replayed[0]).expect(&err);
    assert!(from < 10, "{from} events were lost at the start");
    assert_eq!(replayed, run.seen[from..]);
    assert!(replayed.len() > 50, "{}", replayed.len());
    // It is compact.
    let raw: usize = replayed.iter().map(|line| line.len()).sum();
    assert!(all[0]["bytes"].as_u64().unwrap() < raw as u64, "{raw} {all:?}");

    // A later beginning leaves the earlier ones out; for a person there are times.
    let half = format!("{:.0}ms", all[0]["seconds"].as_f64().unwrap() * 500.0);
    let (_, later, _) = done(hearth(home).args(["replay", "last", "--json", "--from", &half]));
    assert!(later.lines().count() < replayed.len());
    assert!(later.lines().all(|line| replayed.contains(&line)));
    let (_, lines, _) = done(hearth(home).args(["replay", "last"]));
    assert!(lines.contains("0:0") && lines.contains("partitions merged"), "{lines}");
    let (output, _, err) = done(hearth(home).args(["replay", "last", "--from", "5h"]));
    assert_eq!(output.status.code(), Some(2), "{err}");

    plays_on_the_screen(home);
}

fn plays_on_the_screen(home: &Path) {
    let home = home.to_str().unwrap();
    let arguments = ["replay", "last", "--speed", "8x"];
    let mut screen = Terminal::start(24, 80, &arguments, &[("HEARTH_HOME", home)]);
    screen.wait_for("the mark of a replay", |text| {
        // The record is of seconds: it may be over before the first look.
        let plays = text.contains(" REPLAY 8x") || text.contains("at its end");
        text.contains("REPLAY of 20") && text.contains("not live") && plays
    });
    screen.wait_for("the curve", |text| text.contains("Loss"));
    screen.wait_for("the end", |text| text.contains("at its end"));
    screen.wait_for("the epoch it came to", |text| text.contains("epoch "));
    // Held, and back to the beginning.
    screen.press(" ");
    screen.press("\x1b[H");
    screen.wait_for("the beginning, held", |text| {
        text.contains("REPLAY held") && text.contains("0:00 of")
    });
    assert!(!screen.text().contains("epoch 2,"), "{}", screen.text());
    screen.press("+");
    screen.press(" ");
    screen.wait_for("twice the speed", |text| {
        text.contains("REPLAY 16x") || text.contains("at its end")
    });
    screen.press("p");
    screen.press("?");
    screen.wait_for("its own keys", |text| text.contains("A tenth of the record"));
    screen.press("q");
    assert_eq!(screen.ended(), 0);
}

/// With a record that is longer than what is written at once: damage in the last piece looks like a cut.
#[test]
fn a_damaged_record_is_told_apart_from_one_that_breaks_off() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records/practice.record");
    let whole = fs::read(kept).unwrap();
    let refused = |bytes: &[u8], code: &str| {
        let path = home.join("other.record");
        fs::write(&path, bytes).unwrap();
        let (output, _, err) = done(hearth(home).arg("replay").arg(&path).arg("--json"));
        assert!(!output.status.success());
        assert!(err.contains(&format!("hearth explain {code}")), "{err}");
        assert_eq!(err.lines().count(), 2, "{err}");
    };
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    refused(&changed, "record-damaged");
    let mut newer = whole.clone();
    newer[8] = 7;
    refused(&newer, "record-newer");
    refused(b"a text", "record-foreign");
    // Cut in its last frame, as by a power cut: what is before plays.
    let path = home.join("cut.record");
    fs::write(&path, &whole[..whole.len() - 20]).unwrap();
    let (output, out, err) = done(hearth(home).arg("replay").arg(&path).arg("--json"));
    assert!(output.status.success() && err.contains("breaks off"), "{err}");
    assert!(out.lines().count() > 10, "{out}");
}

#[test]
fn a_kill_costs_the_last_seconds_and_off_means_off() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let mut run = Run::practice(home, &[]);
    run.until("first loss", |event| event["event"] == "loss");
    // The writer puts everything into the file every five seconds.
    let started = std::time::Instant::now();
    while !done(hearth(home).args(["replay", "last", "--json"])).1.contains(r#""event":"loss""#) {
        assert!(started.elapsed().as_secs() < 60, "{:?}", list(home));
        run.until("another event", |_| true);
    }
    run.child.kill().unwrap();
    run.child.wait().unwrap();
    let all = list(home);
    assert_eq!(all[0]["ended"], "broke off");
    let (output, out, _) = done(hearth(home).args(["replay", "last", "--json"]));
    assert!(output.status.success());
    assert!(out.contains(r#""event":"loss""#), "{out}");

    let mut run = Run::practice(home, &[("HEARTH_RECORD_KEEP", "off")]);
    run.until("first loss", |event| event["event"] == "loss");
    assert_eq!(run.stop(), 0);
    assert_eq!(records(home).len(), 1);
}
