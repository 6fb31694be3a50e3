//! The network is gone for long, answers nonsense, or the clock jumps: the miner says so in one line
//! that stays, asks at a steady pace, and goes on by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hearth::clock::Clock;
use hearth::miner::{MinerSnapshot, Reason, State, Who};
use hearth::telemetry::Event;

use crate::gate::{Gate, Line};
use crate::miner::{Choices, Running, start_at, start_with};
use crate::recovered;
use crate::server::Script;

/// An outage in these tests. Every pause of the live network is a hundredth and less, so that there are
/// as many tries as in an hour of it.
const OUTAGE: Duration = Duration::from_secs(4);

const HOUR: u64 = 3600;

/// A clock whose hands somebody may turn: an hour more than what is added is right.
fn turned(added: u64) -> (Arc<AtomicU64>, Clock) {
    let wall = Arc::new(AtomicU64::new(added));
    let read = Arc::clone(&wall);
    let clock = Clock::with_wall(move || {
        let right = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        right + Duration::from_secs(read.load(Ordering::Relaxed)) - Duration::from_secs(HOUR)
    });
    (wall, clock)
}

/// Waits until the snapshot is as wanted; gives how long that took.
async fn until(miner: &Running, wanted: impl Fn(&MinerSnapshot) -> bool) -> Duration {
    let start = Instant::now();
    let mut snapshot = miner.handle.snapshot.clone();
    let there =
        tokio::time::timeout(Duration::from_secs(30), snapshot.wait_for(|s| wanted(s))).await;
    assert!(there.is_ok(), "{:#?}", miner.handle.snapshot.borrow().status);
    start.elapsed()
}

fn in_trouble(snapshot: &MinerSnapshot) -> bool {
    matches!(snapshot.status.reason, Reason::NetworkTrouble { .. })
}

fn trains(snapshot: &MinerSnapshot) -> bool {
    snapshot.status.state == State::Training && !in_trouble(snapshot)
}

/// The name of the threads that the miner of the test below works on; other tests share the process.
const THREADS: &str = "outage";

/// Processor time of those threads so far.
fn processor_time() -> Duration {
    let Ok(tasks) = std::fs::read_dir("/proc/self/task") else { return Duration::ZERO };
    let stats =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("stat")).ok());
    let ticks = stats.filter_map(|stat| {
        let (before, after) = stat.rsplit_once(')')?;
        let numbers = after.split_whitespace().skip(11).take(2);
        before
            .ends_with(&format!("({THREADS}"))
            .then(|| numbers.map(|number| number.parse::<u64>().unwrap()).sum::<u64>())
    });
    let ticks: Vec<u64> = ticks.collect();
    assert!(ticks.len() >= 2, "the miner's threads are not found");
    Duration::from_millis(10 * ticks.into_iter().sum::<u64>())
}

#[test]
fn a_network_that_is_gone_is_said_once_and_training_goes_on_when_it_is_back() {
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    let runtime = threads.worker_threads(2).thread_name(THREADS).enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::spawn(gone_and_back()).await.unwrap();
    });
}

async fn gone_and_back() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    let gate = Gate::before(&script.base).await;
    let mut miner = start_at(&gate.base, folder.path(), Choices::default());
    miner.state("training", "no-activation").await;
    for (line, fault) in [
        (Line::Cut, "network gone (connections refused)"),
        (Line::Silent, "network gone (nothing answers)"),
        (Line::Broken, "orchestrator answers with status 500"),
        (Line::Garbage, "orchestrator answers garbage"),
    ] {
        gate.set(line);
        miner.state("training", "network-trouble").await;
        let at_first = miner.handle.snapshot.borrow().status.clone();
        assert_eq!(at_first.who, Who::Network, "{line:?}");
        assert!(!at_first.next.is_empty());
        let (tries, worked) = (gate.tries(), processor_time());
        tokio::time::sleep(OUTAGE).await;
        let status = miner.handle.snapshot.borrow().status.clone();
        assert_eq!((status.reason, status.since), (at_first.reason, at_first.since), "{line:?}");
        // Nothing changed, so that nothing is told.
        assert_eq!(miner.try_event(), None, "{line:?}");
        let (tries, worked) = (gate.tries() - tries, processor_time() - worked);
        let per_second = tries as f64 / OUTAGE.as_secs_f64();
        assert!(per_second < 150.0, "{line:?}: {per_second} tries a second");
        assert!(worked < OUTAGE.mul_f64(0.3), "{line:?}: {worked:?} of processor time");
        gate.set(Line::Open);
        recovered(fault, until(&miner, trains).await, Duration::from_secs(3));
    }
    assert_eq!(script.seen("/miner/register").len(), 1, "its place is kept");
    miner.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_is_gone_in_any_phase_is_waited_for() {
    let (script, folder) = (Script::start().await, tempfile::tempdir().unwrap());
    let gate = Gate::before(&script.base).await;
    gate.set(Line::Cut);
    let miner = start_at(&gate.base, folder.path(), Choices::default());
    until(&miner, |s| s.status.state == State::Registering && in_trouble(s)).await;
    let since = miner.handle.snapshot.borrow().status.since;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(miner.handle.snapshot.borrow().status.since, since, "it says since when");
    gate.set(Line::Open);
    recovered(
        "network gone before registration",
        until(&miner, trains).await,
        Duration::from_secs(3),
    );
    script.phase("merging_partitions");
    until(&miner, |s| s.phase.as_deref() == Some("merging_partitions")).await;
    gate.set(Line::Cut);
    until(&miner, in_trouble).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(in_trouble(&miner.handle.snapshot.borrow()));
    script.phase("training");
    gate.set(Line::Open);
    recovered("network gone while merging", until(&miner, trains).await, Duration::from_secs(5));
    miner.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_an_hour_behind_is_named_and_set_right_it_is_followed() {
    let plan =
        crate::world::Plan { stages: 1, miners_per_stage: 1, epochs: 1000, in_flight: 2, seed: 6 };
    let folder = tempfile::tempdir().unwrap();
    let (practice, _events) = crate::world::swarm(&plan, folder.path()).await;
    let (wall, clock) = turned(0);
    let choices =
        Choices { constants: hearth::config::Constants::practice(), ..Choices::default() };
    let miner = start_with(&practice.orchestrator_url(), folder.path(), choices, clock);
    let named =
        |s: &MinerSnapshot| s.status.reason.sentence().contains("behind the network's: set it");
    until(&miner, |s| in_trouble(s) && named(s)).await;
    wall.store(HOUR, Ordering::Relaxed);
    recovered(
        "clock an hour behind, then set",
        until(&miner, trains).await,
        Duration::from_secs(20),
    );
    miner.stop().await.unwrap();
    practice.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_jumps_an_hour_does_not_stop_the_training() {
    let plan =
        crate::world::Plan { stages: 1, miners_per_stage: 1, epochs: 1000, in_flight: 2, seed: 5 };
    let folder = tempfile::tempdir().unwrap();
    let (practice, _events) = crate::world::swarm(&plan, folder.path()).await;
    let (wall, clock) = turned(HOUR);
    let choices =
        Choices { constants: hearth::config::Constants::practice(), ..Choices::default() };
    let mut miner = start_with(&practice.orchestrator_url(), folder.path(), choices, clock);
    for (jump, fault) in
        [(2 * HOUR, "clock an hour ahead"), (0, "clock an hour back"), (HOUR, "clock right again")]
    {
        let done = miner.handle.snapshot.borrow().work.backwards;
        let start = Instant::now();
        wall.store(jump, Ordering::Relaxed);
        until(&miner, |s| s.work.backwards >= done + 20).await;
        recovered(fault, start.elapsed(), Duration::from_secs(20));
    }
    while let Some(event) = miner.try_event() {
        if let Event::State { reason, .. } = &event {
            assert_ne!(reason, "network-trouble");
            assert_ne!(reason, "not-registered");
        }
    }
    miner.stop().await.unwrap();
    practice.shutdown().await;
}
