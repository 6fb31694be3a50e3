//! Rules as a user meets them: the real binary that pauses and says why, and whole swarms in which a
//! miner pauses, goes on, and ends with its epoch.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/events.rs"]
mod events;
#[path = "support/world.rs"]
#[allow(dead_code)]
mod world;

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use hearth::config::live::LiveSettings;
use hearth::config::settings::Settings;
use hearth::host::readings::{Known, Readings};
use hearth::miner::{Command as Order, MinerHandle, MinerSnapshot, RuleSource, State};
use hearth::swarm::Rules;
use tokio::sync::watch;

fn hearth(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.env("HEARTH_HOME", home).env("TZ", "UTC").env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

#[track_caller]
fn refused(output: &Output) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains("these rules leave 0 hours a week"), "{said}");
}

#[test]
fn rules_that_never_let_it_work_are_refused_before_anything_starts() {
    let home = tempfile::tempdir().unwrap();
    let run = |key: &str, value: &str, arguments: &[&str]| {
        hearth(home.path()).env(key, value).args(arguments).output().unwrap()
    };
    let practice = ["run", "--network", "practice", "--headless"];
    let server = ["run", "--network", "http://127.0.0.1:9", "--headless"];
    for (key, value) in [
        ("HEARTH_HOURS", "mon 10:00-10:00"),
        ("HEARTH_QUOTA", "0GB"),
        ("HEARTH_PAUSE_FOR", "[\"hearth\"]"),
    ] {
        refused(&run(key, value, &practice));
        refused(&run(key, value, &["config", "check"]));
    }
    refused(&run("HEARTH_HOURS", "sun 9:00-9:00", &server));
    let set = ["config", "set", "hours", "mon 10:00-10:00"];
    refused(&hearth(home.path()).args(set).output().unwrap());
    let fine = run("HEARTH_HOURS", "mon-fri 22:00-07:00", &["config", "check"]);
    assert_eq!(fine.status.code(), Some(0));
}

#[cfg(unix)]
mod binary {
    use super::*;
    use std::process::Child;
    use std::sync::mpsc;

    use serde_json::Value;

    /// A process that is ended with the test, however that ends.
    pub struct Process(pub Child);

    impl Process {
        pub fn signal(&self, name: &str) {
            let id = self.0.id().to_string();
            assert!(Command::new("kill").args([name, &id]).status().unwrap().success());
        }
    }

    impl Drop for Process {
        fn drop(&mut self) {
            // It may have ended already.
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// An hour of the week that is days away.
    pub fn another_day() -> String {
        let day = jiff::Zoned::now().weekday().wrapping_add(3);
        let names = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
        let name = names[usize::try_from(day.to_monday_zero_offset()).unwrap()];
        format!("{name} 10:00-11:00")
    }

    /// A miner of its own process, and what it says.
    struct Miner {
        process: Process,
        events: mpsc::Receiver<Value>,
    }

    impl Miner {
        /// With the key of this number, at the network given.
        fn start(home: &Path, network: &str, number: u8) -> Self {
            let (config, key) = (home.join("config"), home.join("hot"));
            std::fs::create_dir_all(&config).unwrap();
            let settings = "join = \"metagraph\"\n[constants]\nheartbeat = 0.5\n\
                            all_layers_cache = 0.2\nwait_for_phase_poll = 0.1\n\
                            registration_pause = 0.5\n[constants.registry]\npull = 0.2\n\
                            [constants.training]\nmin_cosine_similarity_download = 0.0\n";
            std::fs::write(config.join("config.toml"), settings).unwrap();
            std::fs::write(&key, format!("0x{}", hex::encode([number; 32]))).unwrap();
            let (child, events) = events::started(
                hearth(home)
                    .args(["run", "--headless", "--json", "--backend", "cpu", "--network", network])
                    .arg("--hotkey-file")
                    .arg(&key),
            );
            Self { process: Process(child), events }
        }

        /// Waits for an event of which `wanted` is true; gives all up to it.
        #[track_caller]
        fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
            let mut seen = Vec::new();
            loop {
                match self.events.recv_timeout(Duration::from_secs(60)) {
                    Ok(event) => seen.push(event),
                    Err(_) => panic!("no {what} in {seen:#?}"),
                }
                if seen.last().is_some_and(&wanted) {
                    return seen;
                }
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn work_of_an_epoch_is_handed_in_though_the_miner_was_killed_in_its_pause() {
        let folder = tempfile::tempdir().unwrap();
        // A miner asks for four activations a second: the epoch does not end before the pause.
        let plan = world::Plan { stages: 1, miners_per_stage: 1, ..PLAN };
        let preset = hearth::model::presets::Preset { backwards_per_epoch: 36, ..world::nano() };
        let (practice, _events) = world::swarm_of(&plan, folder.path(), preset).await;
        let network = practice.orchestrator_url();
        tokio::task::spawn_blocking(move || {
            let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let is_paused = |e: &Value| e["event"] == "state" && e["reason"] == "user-paused";
            let mut miner = Miner::start(home.path(), &network, 1);
            for _ in 0..3 {
                miner.until("a step", |e| e["event"] == "step");
            }
            assert!(hearth(home.path()).arg("pause").output().unwrap().status.success());
            miner.until("the pause", is_paused);
            miner.process.0.kill().unwrap();
            miner.process.0.wait().unwrap();

            let miner = Miner::start(home.path(), &network, 1);
            miner.until("the same pause", is_paused);
            // Somebody else finishes the epoch.
            let second = Miner::start(other.path(), &network, 2);
            second.until("work of the other", |e| e["event"] == "step");
            let seen = miner.until("its work in the store", |e| {
                e["event"] == "upload" && e["sent"] == e["total"]
            });
            let resumed = seen.iter().find(|e| e["code"] == "epoch-resumed");
            let what = resumed.unwrap_or_else(|| panic!("{seen:#?}"))["what"].to_string();
            assert!(what.contains("Going on with epoch") && !what.contains(" 0 steps"), "{what}");
            assert!(!seen.iter().any(|e| e["event"] == "step"), "it works in its pause");
        })
        .await
        .unwrap();
        practice.shutdown().await;
    }

    #[test]
    fn outside_its_hours_it_says_why_and_until_when_and_the_swarm_goes_on_without_it() {
        let home = tempfile::tempdir().unwrap();
        let (child, events) = events::started(
            hearth(home.path())
                .env("HEARTH_HOURS", another_day())
                .args(["run", "--network", "practice", "--preset", "nano"])
                .args(["--headless", "--json", "--backend", "cpu"]),
        );
        let mut process = Process(child);
        let (mut paused, mut merged) = (false, false);
        for event in events {
            if event["event"] == "state" && event["miner"] == "m0" {
                let worked = event["state"] == "training" || event["state"] == "loading";
                assert!(!worked, "it works outside its hours: {event}");
                paused |= event["state"] == "paused" && event["reason"] == "outside-hours";
            }
            merged |= event["event"] == "merge";
            if paused && merged {
                break;
            }
        }
        assert!(paused && merged);
        process.signal("-TERM");
        assert_eq!(process.0.wait().unwrap().code(), Some(0));
        let explained = hearth(home.path()).args(["explain", "outside-hours"]).output().unwrap();
        assert!(String::from_utf8_lossy(&explained.stdout).contains("hours"));
    }
}

async fn until(miner: &MinerHandle, what: &str, wanted: impl FnMut(&MinerSnapshot) -> bool) {
    let mut snapshot = miner.snapshot.clone();
    let waited = tokio::time::timeout(Duration::from_secs(60), snapshot.wait_for(wanted)).await;
    let there = waited.is_ok_and(|seen| seen.is_ok());
    let status = miner.snapshot.borrow().status.clone();
    assert!(there, "no {what}; {status:?}");
}

fn settings(text: &str) -> LiveSettings {
    LiveSettings::fixed(Settings::of_text(Path::new("config.toml"), text).unwrap())
}

const PLAN: world::Plan =
    world::Plan { stages: 2, miners_per_stage: 2, epochs: 1000, in_flight: 2, seed: 5 };

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_miner_takes_no_work_hands_in_what_it_learned_and_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut world = world::start(&PLAN, folder.path()).await;
    let own = &world.miners[0];
    until(own, "work", |s| s.work.backwards_this_epoch > 2).await;
    let cost = own.snapshot.borrow().pause_cost();
    assert!(cost.pause.starts_with("Nothing is lost"), "{cost:?}");
    own.commands.send(Order::Pause { until: None }).unwrap();
    until(own, "pause", |s| s.status.state == State::Paused).await;
    let epoch = own.snapshot.borrow().epoch;
    // The others are told to send nothing, and finish the epoch; what was learned is in it.
    let hotkey = own.snapshot.borrow().hotkey.clone();
    let neighbour = world.miners.iter().find(|miner| miner.snapshot.borrow().stage == Some(1));
    until(neighbour.unwrap(), "word of the pause", |s| {
        let of_own = |n: &hearth::miner::NeighbourView| n.hotkey == hotkey;
        s.neighbours.iter().any(|n| of_own(n) && n.status == "initializing")
    })
    .await;
    until(own, "merging", |s| s.work.partitions_merged > 0).await;
    let mut swarm = world.practice.snapshot();
    let gone_on = swarm.wait_for(|s| s.epoch > epoch + 1);
    tokio::time::timeout(Duration::from_secs(60), gone_on).await.unwrap().unwrap();
    let (state, done) = {
        let snapshot = own.snapshot.borrow();
        (snapshot.status.state, snapshot.work)
    };
    assert_eq!(state, State::Paused);
    assert_eq!(own.snapshot.borrow().cache, 0, "work in hand was finished");
    own.commands.send(Order::Resume).unwrap();
    until(own, "work again", |s| s.work.backwards > done.backwards).await;

    // Ends with its epoch, handed in and merged.
    own.commands.send(Order::Finish).unwrap();
    until(own, "a word on the end", |s| s.status.next.contains("as you asked")).await;
    let merged = own.snapshot.borrow().work.partitions_merged;
    let own = world.miners.remove(0);
    let snapshot = own.snapshot.clone();
    let ended = tokio::time::timeout(Duration::from_secs(60), own.ended()).await;
    ended.unwrap().unwrap();
    let last = snapshot.borrow().clone();
    assert_eq!(last.status.state, State::Stopped);
    assert!(last.work.partitions_merged > merged, "{:?}", last.work);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_that_forbids_it_keeps_weights_back_and_the_users_word_ends_the_wait() {
    let folder = tempfile::tempdir().unwrap();
    let (sensed, readings) = watch::channel(Readings::none());
    let source = RuleSource::Live { settings: settings("temperature = \"85/75\""), readings };
    let of_own = |name: &str| if name == "m0" { source.clone() } else { RuleSource::Off };
    let world = world::start_ruled(&PLAN, folder.path(), Rules::lenient(), of_own).await;
    let own = &world.miners[0];
    until(own, "work", |s| s.work.backwards_this_epoch > 0).await;
    sensed.send_modify(|r| r.metered = Known::Is(true));
    until(own, "pause", |s| s.status.reason.code() == "metered").await;
    let merged = own.snapshot.borrow().work.partitions_merged;
    until(own, "uploading phase", |s| s.phase.as_deref() == Some("weights_uploading")).await;
    // The others are through with it by then.
    tokio::time::sleep(Duration::from_secs(3)).await;
    let held = own.snapshot.borrow().clone();
    assert_eq!((held.status.state, held.work.partitions_merged), (State::Paused, merged));
    assert_eq!(held.phase.as_deref(), Some("weights_uploading"), "the swarm waits for its part");
    // What was kept back is handed in as soon as it may be, though the reading has not changed.
    own.commands.send(Order::RunAnyway { until: u64::MAX }).unwrap();
    until(own, "merging", |s| s.work.partitions_merged > merged).await;
    until(own, "work again", |s| s.work.backwards_this_epoch > 0).await;
    // Heat beats everything, the user's word too, and one reason is shown.
    sensed.send_modify(|r| r.temperature = Known::Is(99.0));
    until(own, "heat", |s| s.status.reason.code() == "too-hot").await;
    sensed.send_modify(|r| {
        r.temperature = Known::No("the sensor is gone".to_owned());
        r.metered = Known::Is(false);
    });
    until(own, "a word on the sensor", |s| !s.ruling.unknown.is_empty()).await;
    assert_eq!(own.snapshot.borrow().status.reason.code(), "too-hot");
}

/// What a paused miner costs, with the live network's own timing. It takes minutes and is run by hand:
/// `cargo test --release --test rules -- --ignored --nocapture`.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes four minutes"]
async fn paused_and_connected_costs_next_to_nothing() {
    use std::fmt::Write as _;

    /// Processor time in seconds and resident bytes.
    fn usage(id: u32) -> (f64, u64) {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let resident = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
        let kilobytes: u64 = resident.split_whitespace().nth(1).unwrap().parse().unwrap();
        (ticks / 100.0, kilobytes * 1024)
    }

    let seconds = std::env::var("HEARTH_MEASURE_SECONDS").ok();
    let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(120);
    let folder = tempfile::tempdir().unwrap();
    let plan = world::Plan { stages: 1, miners_per_stage: 2, ..PLAN };
    let (practice, _events) = world::swarm(&plan, folder.path()).await;
    let mut report = String::new();
    for when in ["from the start", "after training"] {
        // Each begins with another hotkey: the first one still has its place.
        let number = if when == "from the start" { "41" } else { "42" };
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("config");
        std::fs::create_dir_all(&config).unwrap();
        let file = config.join("config.toml");
        // A program of that name makes it pause.
        let busy = home.path().join("hearthbusy");
        std::fs::copy("/bin/sleep", &busy).unwrap();
        std::fs::write(&file, "join = \"metagraph\"\npause_for = [\"hearthbusy\"]\n").unwrap();
        let make_busy = || binary::Process(Command::new(&busy).arg("1000").spawn().unwrap());
        let mut busy_one = (when == "from the start").then(make_busy);
        let key = home.path().join("hot");
        std::fs::write(&key, format!("0x{}", number.repeat(32))).unwrap();
        let child = hearth(home.path())
            .args(["run", "--headless", "--json", "--backend", "cpu", "--network"])
            .arg(practice.orchestrator_url())
            .arg("--hotkey-file")
            .arg(&key)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let process = binary::Process(child);
        tokio::time::sleep(Duration::from_secs(20)).await;
        if when == "after training" {
            busy_one = Some(make_busy());
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
        let (before, _) = usage(process.0.id());
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let (after, resident) = usage(process.0.id());
        #[allow(clippy::cast_precision_loss)]
        let (share, megabytes) = ((after - before) / seconds as f64 * 100.0, resident as f64 / 1e6);
        writeln!(report, "{when}: {share:.3} % of a core, {megabytes:.1} MB").unwrap();
        process.signal("-TERM");
        drop(busy_one);
    }
    println!("{report}");
    practice.shutdown().await;
}
