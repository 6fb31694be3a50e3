//! The demo as a user meets it: the real binary, its lines, its exit codes, and what it says when
//! something is wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

fn hearth(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.env("HEARTH_HOME", home).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn demo(home: &Path, flags: &[&str]) -> Output {
    hearth(home).args(["demo", "--headless", "--backend", "cpu"]).args(flags).output().unwrap()
}

fn events(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

/// One clear line on standard error, the exit code, and no panic.
#[track_caller]
fn refused(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    let lines: Vec<_> = said.lines().filter(|line| line.starts_with("hearth: ")).collect();
    assert_eq!(lines.len(), 1, "{said}");
    for word in words {
        assert!(lines[0].contains(word), "{word:?} is missing in: {}", lines[0]);
    }
}

#[test]
fn a_nano_demo_trains_merges_and_sums_up() {
    let home = tempfile::tempdir().unwrap();
    let output = demo(home.path(), &["--json", "--preset", "nano", "--epochs", "2", "--seed", "1"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let events = events(&output);
    let summary = events.last().unwrap();
    assert_eq!(summary["event"], "summary");
    assert_eq!(summary["epochs"], 2);
    assert_eq!((summary["stages"].as_u64(), summary["miners"].as_u64()), (Some(3), Some(6)));
    assert_eq!(summary["partitions_merged"], 24);
    assert_eq!(summary["backend"], "cpu");
    assert_eq!(of(&events, "merge").len(), 6);
    assert_eq!(of(&events, "sample").len(), 2);
    let losses = of(&events, "loss");
    assert_eq!(losses.len() as u64, summary["tokens"].as_u64().unwrap() / 64);
    assert!(losses.iter().all(|event| event["loss"].as_f64().unwrap().is_finite()));
    assert_eq!(summary["backwards"].as_u64(), Some(3 * losses.len() as u64));
    assert!(summary["loss_last"].as_f64() < summary["loss_first"].as_f64());
    assert!(summary["loss_unigram"].as_f64() > summary["loss_bigram"].as_f64());
    assert!(of(&events, "evidence").is_empty(), "honest twins merge to the same bits");
    let phases: Vec<_> =
        of(&events, "phase").iter().map(|e| e["phase"].as_str().unwrap().to_owned()).collect();
    for phase in ["training", "weights_uploading", "merging_partitions"] {
        assert!(phases.iter().any(|p| p == phase), "{phases:?}");
    }
    // The demo's own folder is gone.
    let left: Vec<_> = fs::read_dir(home.path().join("state")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn readable_lines_are_few_and_end_with_the_summary() {
    let home = tempfile::tempdir().unwrap();
    let output = demo(
        home.path(),
        &["--preset", "nano", "--epochs", "1", "--stages", "2", "--say", "Once "],
    );
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        text.contains("Done in ") && text.contains("After training, the model writes:"),
        "{text}"
    );
    assert_eq!(text.matches("Once[…]").count(), 2, "{text}");
    assert!(text.lines().count() < 60, "{text}");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn your_own_text_is_trained_on() {
    let home = tempfile::tempdir().unwrap();
    let corpus = home.path().join("notes");
    fs::create_dir(&corpus).unwrap();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    for name in ["README.md", "ARCHITECTURE.md"] {
        fs::copy(here.join(name), corpus.join(name)).unwrap();
    }
    let corpus = corpus.to_str().unwrap();
    let flags =
        ["--json", "--preset", "nano", "--epochs", "2", "--corpus", corpus, "--tokenizer", "train"];
    let output = demo(home.path(), &flags);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let events = events(&output);
    let summary = events.last().unwrap();
    assert!(summary["loss_last"].as_f64() < summary["loss_first"].as_f64(), "{summary}");
}

#[test]
fn impossible_numbers_are_usage_errors() {
    let home = tempfile::tempdir().unwrap();
    let refuse = |flags: &[&str], words: &[&str]| refused(&demo(home.path(), flags), 2, words);
    refuse(&["--stages", "0"], &["--stages 0", "at least 1"]);
    refuse(&["--stages", "7"], &["--stages 7", "6 layers", "at most 6"]);
    refuse(&["--miners-per-stage", "0"], &["--miners-per-stage 0"]);
    refuse(&["--in-flight", "0"], &["--in-flight 0"]);
    refuse(&["--epochs", "0"], &["--epochs 0"]);
    refuse(&["--minutes", "0"], &["--minutes"]);
    refuse(&["--preset", "giant"], &["giant", "demo", "nano"]);
    refuse(&["--miners-per-stage", "1000"], &["3000 miners", "64"]);
}

#[test]
fn an_unknown_backend_or_flag_is_a_usage_error() {
    let home = tempfile::tempdir().unwrap();
    for flags in [["--backend", "abacus"], ["--faults", "cheat=noise@m2"]] {
        let output = hearth(home.path()).args(["demo", "--headless"]).args(flags).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(flags[0]), "{said}");
    }
}

#[test]
fn no_adapter_is_said_with_what_to_install() {
    let home = tempfile::tempdir().unwrap();
    let nowhere = home.path().join("no-driver.json");
    let output = hearth(home.path())
        .args(["demo", "--headless", "--backend", "wgpu", "--preset", "nano"])
        .env("VK_ICD_FILENAMES", &nowhere)
        .env("VK_DRIVER_FILES", &nowhere)
        .output()
        .unwrap();
    refused(&output, 7, &["no usable GPU", "--backend cpu"]);
}

#[test]
fn a_corpus_that_is_no_text_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    fs::write(path("empty.txt"), "").unwrap();
    fs::write(path("short.txt"), "too short").unwrap();
    fs::write(path("binary.bin"), [0_u8, 159, 146, 150, 255, 0, 1]).unwrap();
    for (name, word) in [
        ("missing.txt", "does not exist"),
        ("empty.txt", "no text"),
        ("short.txt", "too short"),
        ("binary.bin", "not UTF-8"),
    ] {
        let output = demo(home.path(), &["--corpus", path(name).to_str().unwrap()]);
        refused(&output, 3, &[name, word]);
    }
}

#[test]
fn a_tokenizer_that_is_none_is_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = |name: &str| home.path().join(name);
    fs::write(path("empty.json"), "").unwrap();
    fs::write(path("broken.json"), "{\"version\": 1").unwrap();
    for name in ["missing.json", "empty.json", "broken.json"] {
        let output = demo(home.path(), &["--tokenizer", path(name).to_str().unwrap()]);
        refused(&output, 3, &[name]);
    }
}

#[test]
fn a_taken_port_is_named() {
    let home = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = demo(home.path(), &["--preset", "nano", "--port", &port]);
    refused(&output, 3, &[&port]);
}

#[test]
fn a_home_that_is_no_folder_is_a_disk_error() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("file");
    fs::write(&file, "").unwrap();
    let output = demo(&file, &["--preset", "nano"]);
    refused(&output, 8, &["file", "HEARTH_HOME"]);
}

/// A small disk of its own: a memory file system, which only root can mount.
#[cfg(target_os = "linux")]
mod disk {
    use super::*;

    struct Disk(tempfile::TempDir);

    impl Disk {
        fn mount(options: &str) -> Option<Self> {
            let folder = tempfile::tempdir().unwrap();
            let mounted = Command::new("mount")
                .args(["-t", "tmpfs", "-o", options, "tmpfs"])
                .arg(folder.path())
                .stderr(Stdio::null())
                .status();
            if mounted.is_ok_and(|status| status.success()) {
                return Some(Self(folder));
            }
            eprintln!("skipped: a small disk can only be mounted by root");
            None
        }
    }

    impl Drop for Disk {
        fn drop(&mut self) {
            let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
        }
    }

    #[test]
    fn a_full_disk_ends_the_demo_with_one_clear_line() {
        let Some(disk) = Disk::mount("size=300k") else { return };
        let output = demo(disk.0.path(), &["--preset", "nano", "--epochs", "1"]);
        refused(&output, 8, &["full"]);
    }

    #[test]
    fn a_read_only_disk_ends_the_demo_with_one_clear_line() {
        let Some(disk) = Disk::mount("size=300k,ro") else { return };
        let output = demo(disk.0.path(), &["--preset", "nano", "--epochs", "1"]);
        refused(&output, 8, &["HEARTH_HOME"]);
    }
}

#[cfg(unix)]
mod signals {
    use super::*;
    use std::io::{BufRead, BufReader};

    fn send(process: u32, signal: &str) {
        let sent = Command::new("kill").args([signal, &process.to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// A demo that has begun to train.
    fn training(home: &Path) -> std::process::Child {
        let mut child = hearth(home)
            .args(["demo", "--headless", "--json", "--preset", "nano", "--minutes", "30"])
            .args(["--backend", "cpu"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains(r#""event":"loss""#)));
        std::thread::spawn(move || lines.for_each(drop));
        child
    }

    #[test]
    fn the_first_ctrl_c_and_sigterm_stop_in_order() {
        for signal in ["-INT", "-TERM"] {
            let home = tempfile::tempdir().unwrap();
            let mut child = training(home.path());
            let asked = Instant::now();
            send(child.id(), signal);
            let status = child.wait().unwrap();
            assert_eq!(status.code(), Some(0), "{signal}");
            assert!(asked.elapsed() < Duration::from_secs(20), "{signal}: {:?}", asked.elapsed());
            let left = fs::read_dir(home.path().join("state")).unwrap().count();
            assert_eq!(left, 0, "{signal} leaves files behind");
        }
    }

    #[test]
    fn the_second_ctrl_c_ends_at_once() {
        let home = tempfile::tempdir().unwrap();
        let mut child = training(home.path());
        let deadline = Instant::now() + Duration::from_secs(20);
        let status = loop {
            assert!(Instant::now() < deadline, "two signals did not end it");
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            // It may have ended since it was looked at.
            let _ = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
            std::thread::sleep(Duration::from_millis(5));
        };
        assert_eq!(status.code(), Some(130));
    }

    #[test]
    fn a_closed_pipe_ends_quietly() {
        let home = tempfile::tempdir().unwrap();
        let mut child = hearth(home.path())
            .args(["demo", "--headless", "--json", "--preset", "nano", "--minutes", "30"])
            .args(["--backend", "cpu"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
        assert!(first.contains("event"), "{first}");
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}
