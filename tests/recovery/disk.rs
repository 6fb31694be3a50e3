//! Full disks, damaged files, and what is removed to make room.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::process::{Running, hearth};
use crate::world;

/// A home with a hotkey file; the live network's pauses, shortened.
fn home(number: u8) -> (tempfile::TempDir, PathBuf) {
    let home = tempfile::tempdir().unwrap();
    let key = home.path().join("hot");
    fs::write(&key, format!("0x{}", hex::encode([number; 32]))).unwrap();
    let config = home.path().join("config");
    fs::create_dir_all(&config).unwrap();
    fs::create_dir_all(home.path().join("data")).unwrap();
    let constants = "join = \"metagraph\"\n[constants]\nheartbeat = 1\nall_layers_cache = 0.2\n\
                     wait_for_phase_poll = 0.1\nregistration_pause = 0.5\n\
                     [constants.registry]\npull = 0.2\nkeep_alive = 0.5\n\
                     [constants.training]\nmin_cosine_similarity_download = 0.0\n";
    fs::write(config.join("config.toml"), constants).unwrap();
    (home, key)
}

/// The miner of `home` after `before`, words of a shell.
fn miner(before: &str, home: &Path, key: &Path, network: &str) -> Command {
    let mut command = Command::new("sh");
    let script = format!("{before} exec \"$@\"");
    command.env("HEARTH_HOME", home).env_remove("RUST_LOG").stdin(Stdio::null());
    command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_hearth"), "run", "--network", network]);
    command.arg("--hotkey-file").arg(key).args(["--headless", "--json", "--backend", "cpu"]);
    command
}

fn is_finding(event: &serde_json::Value, code: &str) -> bool {
    event["event"] == "finding" && event["code"] == code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_first_snapshot_that_does_not_fit_ends_the_miner_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let plan = world::Plan { stages: 2, miners_per_stage: 1, epochs: 1, in_flight: 2, seed: 3 };
    let (practice, _events) = world::swarm(&plan, folder.path()).await;
    let (home, key) = home(1);
    // No file may be larger than a part of the snapshot.
    let mut command =
        miner("trap '' XFSZ; ulimit -f 400;", home.path(), &key, &practice.orchestrator_url());
    let output: Output =
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(8), "{said}");
    assert!(said.contains("is full") && said.contains("snapshot"), "{said}");
    let snapshots = home.path().join("data/snapshots");
    let left: Vec<PathBuf> = fs::read_dir(snapshots)
        .unwrap()
        .flat_map(|stage| fs::read_dir(stage.unwrap().path()).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "snapshot"))
        .collect();
    assert!(left.is_empty(), "torn files are left: {left:?}");
    practice.shutdown().await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn training_goes_on_while_the_disk_is_full_and_is_safe_again_when_there_is_room() {
    let may = Command::new("unshare").args(["-m", "true"]).stderr(Stdio::null()).status();
    if !may.is_ok_and(|status| status.success()) {
        println!("left out: no small disk can be mounted here (unshare -m is not allowed)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let plan = world::Plan { stages: 2, miners_per_stage: 1, epochs: 500, in_flight: 2, seed: 3 };
    let (practice, _events) = world::swarm(&plan, folder.path()).await;
    let network = practice.orchestrator_url();
    let (first, second) = (home(1), home(2));
    tokio::task::spawn_blocking(move || {
        let data = first.0.path().join("data");
        let mount = format!("mount -t tmpfs -o size=32m none {} &&", data.display());
        let small = miner(&mount, first.0.path(), &first.1, &network);
        let mut small = Running::start(
            Command::new("unshare")
                .arg("-m")
                .arg("--")
                .args(
                    std::iter::once(small.get_program().to_owned())
                        .chain(small.get_args().map(ToOwned::to_owned))
                        .collect::<Vec<_>>(),
                )
                .env("HEARTH_HOME", first.0.path())
                .env("HEARTH_DISK_RESERVE", "0B")
                .stdin(Stdio::null()),
        );
        let mut other = Running::start(&mut miner("", second.0.path(), &second.1, &network));
        small.until("a step", |event| event["event"] == "step");
        // The mount is in the miner's own world.
        let inside = PathBuf::from(format!("/proc/{}/root", small.child.id()));
        let filler = inside.join(data.strip_prefix("/").unwrap()).join("filler");
        fill(&filler);
        small.until("the warning", |event| is_finding(event, "snapshot-not-written"));
        for _ in 0..3 {
            small.until("a step on a full disk", |event| event["event"] == "step");
        }
        fs::remove_file(&filler).unwrap();
        small.until("the relief", |event| is_finding(event, "snapshot-written-again"));
        // What is there is whole: the next process goes on with it.
        assert_eq!(small.terminate(), 0);
        assert_eq!(other.terminate(), 0);
    })
    .await
    .unwrap();
    practice.shutdown().await;
}

/// Writes until nothing fits any more.
fn fill(path: &Path) {
    use std::io::Write as _;
    let mut file = fs::File::create(path).unwrap();
    for size in [1 << 20, 1 << 12, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
}

#[test]
fn damaged_journals_and_old_snapshots_do_not_get_in_the_way() {
    let home = tempfile::tempdir().unwrap();
    let mut first = Running::practice(home.path());
    first.until("a merge", |event| event["event"] == "merge" && event["epoch"] == 1);
    for _ in 0..4 {
        first.until("a loss", |event| event["event"] == "loss");
    }
    first.kill();
    let miners = home.path().join("data/practice/miners");
    let journals = |miner: &str| -> Vec<PathBuf> {
        let stages = fs::read_dir(miners.join(miner).join("snapshots")).unwrap();
        stages
            .flat_map(|stage| fs::read_dir(stage.unwrap().path()).unwrap())
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|end| end == "journal"))
            .collect()
    };
    for path in journals("m0") {
        fs::write(path, b"nothing of sense").unwrap();
    }
    for path in journals("m1") {
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 8;
        fs::write(path, bytes).unwrap();
    }
    // A stage of long ago, larger than all that is allowed.
    let old = miners.join("m2/snapshots/5Old-0123456789abcdef-1");
    fs::create_dir_all(&old).unwrap();
    let file = fs::File::create(old.join("current.snapshot")).unwrap();
    file.set_len(3 << 30).unwrap();
    let long_ago = std::time::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    file.set_modified(long_ago).unwrap();

    let mut command = hearth(home.path());
    command.env("HEARTH_DISK_CAP", "1GB").args(["run", "--network", "practice"]);
    let mut second = Running::start(command.args(["--headless", "--json", "--backend", "cpu"]));
    second.until("the warning", |event| is_finding(event, "snapshot-damaged"));
    second.until("a loss", |event| event["event"] == "loss");
    second.until("a merge", |event| event["event"] == "merge");
    let deadline = Instant::now() + Duration::from_secs(20);
    while old.exists() {
        assert!(Instant::now() < deadline, "the old snapshots are still there");
        second.until("anything", |_| true);
    }
    assert_eq!(second.terminate(), 0);
}
