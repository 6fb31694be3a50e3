//! Several devices in one process, as a user meets them: each with a hotkey, a stage and files of its
//! own, each switched off and on by itself. The devices are the processor and the software adapter.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/events.rs"]
mod events;
#[path = "support/world.rs"]
#[allow(dead_code)]
mod world;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, Weak, mpsc};
use std::time::{Duration, Instant};

use hearth::cli::devices::verdicts::{self, Verdict, VerdictKey};
use hearth::clock::{Clock, Entropy};
use hearth::compute::Device;
use hearth::compute::cpu::CpuDevice;
use hearth::compute::wgpu::{AdapterChoice, WgpuDevice, adapters};
use hearth::config::Constants;
use hearth::config::folders::Folders;
use hearth::miner::text_source::TokenizerSource;
use hearth::miner::{
    Command as MinerCommand, DeviceSource, DeviceWorker, Disclosure, FleetTelemetry, Joining,
    Miner, MinerHandle, MinerSettings, MinerSnapshot, RuleSource, State,
};
use hearth::model::tokenizer::Tokenizer;
use hearth::network::attestation::Provider;
use hearth::network::peers::{PeerIdentity, PeerReach};
use hearth::network::{Line, Route};
use hearth::swarm::Practice;
use hearth::telemetry::Events;
use hearth::training::record::Recorder;
use hearth::training::terms::LearningRateRule;
use hearth::wallet::HotkeyPair;
use serde_json::Value;

fn hearth(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.env("HEARTH_HOME", home).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// A home with two hotkey files, `a` and `b`; the live network's pauses, shortened. Its software
/// adapter counts as tested: that its kernels are right is what `tests/kernels.rs` shows.
fn home() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    for (name, seed) in [("a", 1), ("b", 2)] {
        std::fs::write(home.path().join(name), format!("0x{}", hex::encode([seed; 32]))).unwrap();
    }
    let config = home.path().join("config");
    std::fs::create_dir_all(&config).unwrap();
    let constants = "join = \"metagraph\"\n[constants]\nheartbeat = 1\nall_layers_cache = 0.2\n\
                     wait_for_phase_poll = 0.1\nregistration_pause = 0.5\n\
                     [constants.registry]\npull = 0.2\nkeep_alive = 0.5\n\
                     [constants.training]\nmin_cosine_similarity_download = 0.0\n";
    std::fs::write(config.join("config.toml"), constants).unwrap();
    for report in adapters() {
        let verdict = Verdict {
            key: VerdictKey::of(&report),
            tested: "2026-01-01T00:00:00Z".to_owned(),
            seconds: 0.0,
            cases: 0,
            complete: true,
            refusal: None,
            kinds: Vec::new(),
        };
        verdicts::write(&Folders::under(home.path()), &verdict).unwrap();
    }
    home
}

/// `DEVICE=` and the file of a key in `home`.
fn device(home: &Path, device: &str, key: &str) -> [String; 2] {
    ["--device".to_owned(), format!("{device}={}", home.join(key).display())]
}

/// A running process; its events come out of the receiver.
struct Running {
    child: Child,
    events: mpsc::Receiver<Value>,
}

impl Running {
    fn start(home: &Path, network: &str, devices: &[[String; 2]]) -> Self {
        let (child, events) = events::started(
            hearth(home)
                .args(["run", "--network", network, "--headless", "--json"])
                .args(devices.iter().flatten()),
        );
        Self { child, events }
    }

    /// Waits for an event of which `wanted` is true; gives all up to it.
    #[track_caller]
    fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
        let deadline = Instant::now() + Duration::from_secs(60);
        let mut seen = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.events.recv_timeout(left) {
                Ok(event) => seen.push(event),
                Err(_) => panic!("no {what} in {seen:#?}"),
            }
            if seen.last().is_some_and(&wanted) {
                return seen;
            }
        }
    }

    /// Waits until each miner has taken an optimizer step.
    #[track_caller]
    fn until_all_step(&self, miners: &[&str]) -> BTreeSet<(String, u64)> {
        let mut missing: BTreeSet<&str> = miners.iter().copied().collect();
        let mut stages = BTreeSet::new();
        while !missing.is_empty() {
            let seen = self.until(&format!("step of {missing:?}"), |e| e["event"] == "step");
            let step = seen.last().unwrap();
            let miner = step["miner"].as_str().unwrap();
            missing.remove(miner);
            stages.insert((miner.to_owned(), step["stage"].as_u64().unwrap()));
        }
        stages
    }

    fn interrupt(&mut self) -> i32 {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn plan(stages: usize, miners_per_stage: usize) -> world::Plan {
    world::Plan { stages, miners_per_stage, epochs: 1000, in_flight: 2, seed: 5 }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_of_one_process_train_the_two_stages_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let (practice, _events) = world::swarm(&plan(2, 1), folder.path()).await;
    let network = practice.orchestrator_url();
    let home = home();
    let path = home.path().to_owned();
    tokio::task::spawn_blocking(move || {
        let devices = [device(&path, "cpu", "a"), device(&path, "wgpu", "b")];
        let mut run = Running::start(&path, &network, &devices);
        let said = run.until("threads", |e| e["code"] == "cpu-threads");
        assert!(said.last().unwrap()["what"].as_str().unwrap().contains("one core is left"));
        let stages = run.until_all_step(&["m0", "m1"]);
        let numbers: BTreeSet<u64> = stages.iter().map(|(_, stage)| *stage).collect();
        assert_eq!((stages.len(), numbers), (2, BTreeSet::from([0, 1])), "{stages:?}");
        assert_eq!(run.interrupt(), 0);
        // Each has an identity, and a snapshot, of its own.
        let data = path.join("data");
        let names = |folder: &Path, start: &str| -> Vec<String> {
            let entries = std::fs::read_dir(folder).unwrap();
            let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
            names.filter(|name| name.starts_with(start)).collect()
        };
        assert_eq!(names(&data, "peer-identity-5").len(), 2);
    })
    .await
    .unwrap();
    practice.shutdown().await;
}

/// A miner's settings as a run has them, with constants of practice.
fn settings(practice: &Practice, folder: &Path, name: &str, seed: u8) -> MinerSettings {
    MinerSettings {
        name: name.to_owned(),
        orchestrator: practice.orchestrator_url().parse().unwrap(),
        bridge: practice.bridge_url().parse().unwrap(),
        route: Route::Loopback,
        reach: PeerReach::Loopback,
        peer_identity: PeerIdentity::ThrowAway,
        hotkey: Arc::new(HotkeyPair::from_mini_secret(&[seed; 32]).unwrap()),
        constants: Arc::new(Constants::practice()),
        learning_rate: LearningRateRule::FromRun,
        data: folder.join("data"),
        joining: Joining::Metagraph,
        disclosure: Disclosure::default(),
        line: Line::new(Clock::system()),
        attestation: Provider::Nobody,
        telemetry: FleetTelemetry::Off,
        state: folder.join("state"),
        tokenizer: TokenizerSource::Given(Arc::new(Tokenizer::shipped().unwrap())),
        in_flight: Some(2),
        recorder: Recorder::off(),
        weights_seed: 42,
        rules: RuleSource::Off,
    }
}

/// A device that is opened when it is wanted, and who holds it.
struct Lent {
    source: DeviceSource,
    held: Arc<Mutex<Weak<dyn Device>>>,
}

fn lent(open: impl Fn() -> Arc<dyn Device> + Send + Sync + 'static) -> Lent {
    let held: Arc<Mutex<Weak<dyn Device>>> = Arc::new(Mutex::new(Weak::<CpuDevice>::new()));
    let note = Arc::clone(&held);
    let view = DeviceWorker::start(open()).unwrap().view();
    let source = DeviceSource::new(
        view,
        None,
        Arc::new(move || {
            let device = open();
            *note.lock().unwrap() = Arc::downgrade(&device);
            Ok(DeviceWorker::start(device).unwrap())
        }),
    );
    Lent { source, held }
}

async fn until(miner: &MinerHandle, what: &str, wanted: impl Fn(&MinerSnapshot) -> bool) {
    let mut snapshot = miner.snapshot.clone();
    let there = tokio::time::timeout(Duration::from_secs(60), snapshot.wait_for(wanted)).await;
    assert!(there.is_ok(), "no {what}: {:?}", miner.snapshot.borrow().status);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_switched_off_and_on_while_the_other_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    // Both can hold the one stage, so that either can go on alone.
    let (practice, _events) = world::swarm(&plan(1, 2), folder.path()).await;
    let software = || WgpuDevice::open(&AdapterChoice::AllowSoftware).map(Arc::new);
    let (first, second) =
        (lent(|| Arc::new(CpuDevice::new(Some(1)))), lent(move || software().unwrap()));
    let start = |lent: DeviceSource, name: &str, seed| {
        let settings = settings(&practice, folder.path(), name, seed);
        Miner::start(settings, lent, Clock::system(), Entropy::system(), Events::new())
    };
    let m0 = start(first.source, "m0", 1);
    let m1 = start(second.source.clone(), "m1", 2);
    for miner in [&m0, &m1] {
        until(miner, "work", |s| s.work.optimizer_steps > 0).await;
    }

    m1.commands.send(MinerCommand::Disable).unwrap();
    until(&m1, "end of its work", |s| s.status.state == State::Disabled).await;
    assert!(second.held.lock().unwrap().upgrade().is_none(), "the device is still held");
    let off = m1.snapshot.borrow().clone();
    assert_eq!((off.stage, off.status.reason.code()), (None, "switched-off"));
    assert!(off.work.optimizer_steps > 0, "what it has done still counts");
    let done = m0.snapshot.borrow().work.optimizer_steps;
    until(&m0, "more work of the other", |s| s.work.optimizer_steps > done + 2).await;
    assert_eq!(m1.snapshot.borrow().work, off.work);

    // It stays off over a restart, which opens no device for it.
    m1.commands.send(MinerCommand::Stop).unwrap();
    m1.ended().await.unwrap();
    let again = start(second.source, "m1", 2);
    until(&again, "switch", |s| s.status.state == State::Disabled).await;
    assert!(second.held.lock().unwrap().upgrade().is_none());
    again.commands.send(MinerCommand::Enable).unwrap();
    until(&again, "work again", |s| s.work.optimizer_steps > 0).await;
    for miner in [m0, again] {
        miner.commands.send(MinerCommand::Stop).unwrap();
        tokio::time::timeout(Duration::from_secs(40), miner.ended()).await.unwrap().unwrap();
    }
    practice.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_go_to_the_store_at_the_limit_and_a_limit_that_is_too_low_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let (practice, _events) = world::swarm(&plan(1, 1), folder.path()).await;
    let network = practice.orchestrator_url();
    let home = home();
    let path = home.path().to_owned();
    tokio::task::spawn_blocking(move || {
        let config = path.join("config").join("config.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, format!("upload_limit = 1\n{text}hand_in_limit = 2\n")).unwrap();
        let mut run = Running::start(&path, &network, &[device(&path, "cpu", "a")]);
        run.until("an upload's begin", |e| e["event"] == "upload" && e["sent"] == 0);
        let began = Instant::now();
        // Said at once: at 125,000 bytes a second it takes longer than the two seconds there are.
        let early = run.until("the upload's end", |e| {
            e["event"] == "upload" && e["sent"] == e["total"] && e["parts_done"] == e["parts"]
        });
        let took = began.elapsed().as_secs_f64();
        let total = early.last().unwrap()["total"].as_f64().unwrap();
        let rate = total / took;
        // Never above it; how far below is the machine's business where others use it too.
        assert!(
            (0.3..1.1).contains(&(rate / 125_000.0)),
            "{rate:.0} bytes/s: {total} in {took:.2} s"
        );
        let said = early.iter().find(|e| e["code"] == "upload-limit-too-low").unwrap();
        let what = said["what"].as_str().unwrap();
        assert!(what.contains("upload_limit is 1.0 Mbit/s"), "{what}");
        assert_eq!(run.interrupt(), 0);
    })
    .await
    .unwrap();
    practice.shutdown().await;
}

#[track_caller]
fn refused(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(!said.contains("panicked"), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in: {said}");
    }
}

#[test]
fn devices_and_keys_that_do_not_fit_are_refused_in_one_line_each() {
    let home = home();
    let (a, b) = (home.path().join("a"), home.path().join("b"));
    std::fs::copy(&a, home.path().join("c")).unwrap();
    let file = |path: &Path| path.display().to_string();
    let run = |devices: &[String]| {
        let mut command = hearth(home.path());
        command.args(["run", "--headless", "--network", "http://127.0.0.1:9"]);
        for device in devices {
            command.args(["--device", device]);
        }
        command.output().unwrap()
    };
    let of = |device: &str, key: &Path| format!("{device}={}", file(key));
    refused(&run(&[of("cpu", &a), of("cpu", &b)]), 3, &["the same device", "the processor"]);
    refused(&run(&[of("cpu", &a), of("wgpu", &a)]), 3, &["the same hotkey", "keys new --from"]);
    // The same key in two files.
    let c = home.path().join("c");
    refused(&run(&[of("cpu", &a), of("wgpu", &c)]), 3, &["the same hotkey"]);
    refused(&run(&[of("wgpu:77", &a)]), 7, &["no device wgpu:77", "cpu", "hearth devices"]);
    refused(&run(&[of("wgpu:Voodoo", &a), of("cpu", &b)]), 7, &["wgpu:Voodoo"]);
    refused(&run(&["cpu=nobody".to_owned()]), 4, &["nobody"]);
    refused(&run(&[of("cpu", &home.path().join("nowhere"))]), 4, &["nowhere"]);
    refused(&run(&[of("abacus", &a)]), 3, &["abacus", "wgpu or cpu"]);
    refused(&run(&["cpu".to_owned()]), 3, &["devices", "="]);
    let both = hearth(home.path()).args(["run", "--device", "cpu=a", "--backend", "cpu"]).output();
    refused(&both.unwrap(), 2, &["--device", "--backend"]);
    let practice =
        hearth(home.path()).args(["run", "--network", "practice", "--device", "cpu=a"]).output();
    refused(&practice.unwrap(), 2, &["practice", "--device"]);
}

#[test]
fn a_fault_of_one_device_is_told_and_the_other_goes_on() {
    let home = home();
    // A folder where the second miner's identity must go.
    let identity = "peer-identity-5";
    let started =
        |devices: &[[String; 2]]| Running::start(home.path(), "http://127.0.0.1:9", devices);
    let devices = [device(home.path(), "cpu", "a"), device(home.path(), "wgpu", "b")];
    let mut first = started(&devices);
    first.until("trouble", |e| e["miner"] == "m1" && e["reason"] == "network-trouble");
    assert_eq!(first.interrupt(), 0);
    let hotkeys: Vec<_> = std::fs::read_dir(home.path().join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(identity))
        .collect();
    assert_eq!(hotkeys.len(), 2, "{hotkeys:?}");
    let second = first_address(home.path(), "b");
    let path = home.path().join("data").join(format!("peer-identity-{second}"));
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();

    let mut run = started(&devices);
    let seen = run.until("the fault", |e| e["event"] == "finding" && e["severity"] == "error");
    let fault = seen.last().unwrap();
    assert_eq!(fault["code"], "peer-key");
    assert!(fault["what"].as_str().unwrap().starts_with("m1:"), "{fault}");
    run.until("the other at work", |e| e["miner"] == "m0" && e["reason"] == "network-trouble");
    // What went wrong is how the run ends, although the other one ended in order.
    assert_eq!(run.interrupt(), 1);

    // Act on the message, then enable it: no restart.
    let mut run = started(&devices);
    let is_fault = |e: &Value| e["event"] == "finding" && e["severity"] == "error";
    run.until("the fault", is_fault);
    order(home.path(), "enable", "m1");
    run.until("the same fault, which is not over", is_fault);
    std::fs::remove_dir(&path).unwrap();
    order(home.path(), "enable", "m1");
    let works = |e: &Value| e["miner"] == "m1" && e["reason"] == "network-trouble";
    run.until("the miner at work", works);
    // Off and on like any other.
    order(home.path(), "disable", "m1");
    run.until("the switch", |e| e["miner"] == "m1" && e["reason"] == "switched-off");
    order(home.path(), "enable", "m1");
    run.until("the miner at work again", works);
    assert_eq!(run.interrupt(), 0, "all faults are over");
}

/// Gives an order to one miner of the running process, as a user does.
#[track_caller]
fn order(home: &Path, command: &str, miner: &str) {
    let output = hearth(home).args([command, miner]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && said.contains(miner), "{said} {output:?}");
}

/// The address of a key file in `home`.
fn first_address(home: &Path, key: &str) -> String {
    let (pair, _) = hearth::wallet::bittensor::read_hotkey(&home.join(key)).unwrap();
    pair.address().to_string()
}
