//! The dashboard in front of what really happened: every screen at the moments of recorded runs, compared
//! with the pictures kept in `snapshots/`. The records lie in `records/`; those with trouble in them are made
//! anew by `HEARTH_WRITE_RECORDS=tests/records cargo test --release --test recorded -- --ignored`.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/events.rs"]
mod events;
#[path = "support/world.rs"]
#[allow(dead_code)]
mod world;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use hearth::cli::replay::standing;
use hearth::clock::Clock;
use hearth::control::Control;
use hearth::miner::State;
use hearth::telemetry::logs::Ring;
use hearth::telemetry::record::{Reader, What};
use hearth::tui::look::ScreenName;
use hearth::tui::still::{self, Window};
use hearth::tui::theme::Theme;
use serde_json::Value;

fn record(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/records").join(name)
}

/// So long after the beginning of a record the miner `m0` was in its `nth` stretch of that reason.
fn moment(record: &Path, reason: &str, nth: usize, later: Duration) -> Duration {
    let mut reader = Reader::open(record).unwrap();
    let mut seen = Vec::new();
    for frame in 0..reader.frames() {
        for line in reader.lines(frame).unwrap() {
            if let What::Event(event) = line.what {
                let event: Value = serde_json::from_str(event.get()).unwrap();
                if event["event"] == "state" && event["miner"] == "m0" {
                    seen.push((line.at, event["reason"].as_str().unwrap().to_owned()));
                }
            }
        }
    }
    let place = seen.iter().enumerate().filter(|(_, (_, was))| was == reason).nth(nth);
    let (place, (at, _)) = place.unwrap_or_else(|| panic!("no {reason} in {seen:?}"));
    let next = seen.get(place + 1).map_or(u64::MAX, |(at, _)| *at);
    let wanted = Duration::from_millis(*at) + later;
    assert!(wanted < Duration::from_millis(next), "{reason} was over by then: {seen:?}");
    wanted
}

/// What the dashboard is drawn in front of.
struct Ground {
    control: Control,
    log: Ring,
    unix: u64,
}

fn ground(record: &Path, at: Duration) -> Ground {
    let log = Ring::default();
    let (control, place) = standing(record, Some(at), &log).unwrap();
    Ground { control, log, unix: place.unix }
}

/// The moments: what is the matter, the reason that the status line gives, and what is seen.
fn moments() -> Vec<(&'static str, State, Ground)> {
    let seconds = Duration::from_secs;
    let (normal, trouble) = (record("practice.record"), record("trouble.record"));
    let lost = record("lost.record");
    let in_trouble =
        |reason, later| ground(&trouble, moment(&trouble, reason, 0, Duration::from_millis(later)));
    let mut outside = ground(&normal, seconds(60));
    outside.control.swarm = None;
    vec![
        (
            "normal, with the practice swarm's inside view",
            State::Training,
            ground(&normal, seconds(60)),
        ),
        ("normal, from the miner alone", State::Training, outside),
        ("the only peer was killed", State::Training, in_trouble("cache-full", 3_000)),
        ("a program of pause_for runs", State::Paused, in_trouble("program-running", 1_500)),
        ("the network is gone", State::Training, in_trouble("network-trouble", 4_000)),
        (
            "the driver has lost the device",
            State::Loading,
            ground(&lost, moment(&lost, "stage-lost", 0, Duration::from_millis(1_000))),
        ),
    ]
}

/// Runs this test again in a process that stands in Greenwich: some figures are of the local time. True
/// where that was done, and nothing is left to do.
fn elsewhere(test: &str) -> bool {
    if std::env::var_os("TZ").is_some_and(|zone| zone == "UTC") {
        return false;
    }
    let own = std::env::current_exe().unwrap();
    let output = Command::new(own).args(["--exact", test]).env("TZ", "UTC").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    true
}

#[test]
fn every_screen_looks_as_kept_at_the_moments_of_recorded_runs() {
    if elsewhere("every_screen_looks_as_kept_at_the_moments_of_recorded_runs") {
        return;
    }
    let moments = moments();
    let clock = Clock::system();
    for screen in ScreenName::ALL {
        for (columns, rows) in [(80, 24), (120, 40), (200, 60)] {
            let mut pictures = String::new();
            for (name, state, ground) in &moments {
                let Ground { control, log, unix } = ground;
                let picture = |theme| {
                    let window = Window { columns, rows };
                    let cells = still::still((control, log, &clock), *unix, screen, window, theme);
                    still::to_text(&cells)
                };
                let (dark, plain) = (picture(Theme::colourful()), picture(Theme::plain()));
                assert_eq!(dark, plain, "{name}: {screen:?} says something by colour alone");
                let word = state.word().to_uppercase();
                assert!(dark.contains(&format!(" {word}  for ")), "{name}: {dark}");
                pictures += &format!("== {name} ==\n{dark}\n");
            }
            insta::assert_snapshot!(format!("{}_{columns}x{rows}", screen.word()), pictures);
        }
    }
}

/// `hearth replay --plain` tells the same lines at any pace, each with its time of the record.
#[test]
fn a_record_is_told_in_lines_as_it_was() {
    let home = tempfile::tempdir().unwrap();
    let told = |more: &[&str]| {
        let mut command = hearth(home.path());
        command.args(["replay", "--plain"]).arg(record("trouble.record")).args(more);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let all = told(&[]);
    assert!(!all.contains('\u{1b}'), "{all}");
    insta::assert_snapshot!("told_in_lines", all);
    assert_eq!(told(&["--speed", "1024"]), all, "the pace changes nothing");
    // A later beginning tells what holds then, and what follows is the same.
    let later = told(&["--from", "20s"]);
    let tail = |text: &str| text.lines().rev().take(6).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(tail(&later), tail(&all));
    assert!(later.lines().count() < all.lines().count(), "{later}");
}

/// A miner of its own process that is recorded, or a peer of it.
struct Running {
    child: Child,
    home: tempfile::TempDir,
    events: mpsc::Receiver<Value>,
}

fn hearth(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.env("HEARTH_HOME", home).env("TZ", "UTC").env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// A home with a hotkey and the live network's pauses, shortened.
fn home(seed: u8, rules: &str) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("key"), format!("0x{}", hex::encode([seed; 32]))).unwrap();
    let config = home.path().join("config");
    std::fs::create_dir_all(&config).unwrap();
    let settings = "join = \"metagraph\"\n[constants]\nheartbeat = 1\nall_layers_cache = 0.2\n\
                    wait_for_phase_poll = 0.1\nregistration_pause = 0.5\n\
                    [constants.registry]\npull = 0.2\nkeep_alive = 0.5\n\
                    [constants.training]\nmin_cosine_similarity_download = 0.0\n";
    std::fs::write(config.join("config.toml"), format!("{rules}{settings}")).unwrap();
    home
}

impl Running {
    fn start(home: tempfile::TempDir, network: &str) -> Self {
        let key = format!("cpu={}", home.path().join("key").display());
        let (child, events) = events::started(hearth(home.path()).args([
            "run",
            "--network",
            network,
            "--device",
            &key,
            "--headless",
            "--json",
        ]));
        Self { child, home, events }
    }

    #[track_caller]
    fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left).unwrap_or_else(|_| panic!("no {what}"));
            if wanted(&event) {
                return;
            }
        }
    }

    fn until_reason(&self, reason: &str) {
        self.until(reason, |event| event["event"] == "state" && event["reason"] == reason);
    }

    /// Ends it in order and keeps its record.
    fn record(mut self, name: &str) {
        let id = self.child.id().to_string();
        // One that has ended already needs no word.
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        self.child.wait().unwrap();
        let records = std::fs::read_dir(self.home.path().join("state/records")).unwrap();
        let records: Vec<_> = records.map(|entry| entry.unwrap().path()).collect();
        let [made] = &records[..] else { panic!("{records:?}") };
        let folder = PathBuf::from(std::env::var_os("HEARTH_WRITE_RECORDS").unwrap());
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::copy(made, root.join(folder).join(name)).unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A kept practice swarm in which the driver loses the own miner's device.
#[test]
#[ignore = "makes a record anew: HEARTH_WRITE_RECORDS says where"]
fn the_record_of_a_lost_device() {
    let home = tempfile::tempdir().unwrap();
    let faults = ["--faults", "device-lost=7s@m0", "--preset", "nano", "--backend", "cpu"];
    let (child, events) = events::started(
        hearth(home.path())
            .args(["run", "--network", "practice", "--headless", "--json"])
            .args(faults),
    );
    let own = Running { child, home, events };
    own.until_reason("stage-lost");
    own.until("work again", |event| event["miner"] == "m0" && event["state"] == "training");
    std::thread::sleep(Duration::from_secs(3));
    own.record("lost.record");
}

/// A run in which the only peer is killed and comes back, a program makes the miner pause, and the network
/// goes away.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes a record anew: HEARTH_WRITE_RECORDS says where"]
async fn the_record_of_trouble() {
    let folder = tempfile::tempdir().unwrap();
    let plan =
        world::Plan { stages: 2, miners_per_stage: 1, epochs: 1_000, in_flight: 4, seed: 11 };
    let (practice, _events) = world::swarm(&plan, folder.path()).await;
    let network = practice.orchestrator_url();
    let program = folder.path().join("hearth-probe");
    std::fs::copy("/bin/sleep", &program).unwrap();
    let own = tokio::task::spawn_blocking(move || {
        let own = Running::start(home(1, "pause_for = [\"hearth-probe\"]\n"), &network);
        own.until("its stage", |event| event["state"] == "training");
        let mut peer = Running::start(home(2, ""), &network);
        let step = |event: &Value| event["event"] == "step";
        (0..6).for_each(|_| own.until("a step", step));
        peer.child.kill().unwrap();
        own.until_reason("cache-full");
        std::thread::sleep(Duration::from_secs(9));
        let home_of_peer = std::mem::replace(&mut peer.home, tempfile::tempdir().unwrap());
        drop(peer);
        let peer = Running::start(home_of_peer, &network);
        (0..3).for_each(|_| own.until("a step", step));
        let mut probe = Command::new(program).arg("30").spawn().unwrap();
        own.until_reason("program-running");
        std::thread::sleep(Duration::from_secs(4));
        probe.kill().unwrap();
        probe.wait().unwrap();
        // The user does not wait for the minute that the rule would.
        std::thread::sleep(Duration::from_secs(2));
        assert!(hearth(own.home.path()).arg("resume").status().unwrap().success());
        (0..2).for_each(|_| own.until("a step", step));
        (own, peer)
    });
    let (own, peer) = own.await.unwrap();
    practice.shutdown().await;
    tokio::task::spawn_blocking(move || {
        own.until_reason("network-trouble");
        std::thread::sleep(Duration::from_secs(7));
        drop(peer);
        own.record("trouble.record");
    })
    .await
    .unwrap();
}
