//! The other side goes away and comes back: with its books, or without them.

use std::path::Path;
use std::time::{Duration, Instant};

use hearth::config::Constants;
use hearth::miner::{MinerSnapshot, Reason, State};
use hearth::swarm::Practice;

use crate::miner::{Choices, Running, start_at};
use crate::recovered;
use crate::world::{Plan, swarm_at};

const PLAN: Plan = Plan { stages: 1, miners_per_stage: 1, epochs: 1000, in_flight: 2, seed: 7 };

/// A swarm on this port (0 takes a free one), and that port.
async fn swarm(folder: &Path, port: u16) -> (Practice, u16) {
    let (practice, _events) = swarm_at(&PLAN, folder, port).await;
    let url: url::Url = practice.orchestrator_url().parse().unwrap();
    (practice, url.port().unwrap())
}

/// Until so many more backwards are done, and the miner says itself that it trains, with no trouble.
async fn work(miner: &Running, more: u64) {
    let done = miner.handle.snapshot.borrow().work.backwards;
    let mut snapshot = miner.handle.snapshot.clone();
    let trains = |s: &MinerSnapshot| {
        let trouble = matches!(s.status.reason, Reason::NetworkTrouble { .. });
        s.status.state == State::Training && !trouble
    };
    // Both at the same moment: right after its work it may be handing it in.
    let there = snapshot.wait_for(|s| s.work.backwards >= done + more && trains(s));
    let there = tokio::time::timeout(Duration::from_secs(60), there).await;
    assert!(there.is_ok(), "{:#?}", miner.handle.snapshot.borrow().status);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_orchestrator_that_restarts_gets_its_miner_back_with_its_books_and_without() {
    let folder = tempfile::tempdir().unwrap();
    let (practice, port) = swarm(folder.path(), 0).await;
    let choices = Choices { constants: Constants::practice(), ..Choices::default() };
    let miner = start_at(&practice.orchestrator_url(), folder.path(), choices);
    work(&miner, 20).await;
    let mut running = Some(practice);
    for (fault, keeps_books) in [
        ("orchestrator restarted, same books", true),
        ("orchestrator restarted, books lost", false),
    ] {
        running.take().unwrap().shutdown().await;
        let mut snapshot = miner.handle.snapshot.clone();
        let said = snapshot.wait_for(|s| matches!(s.status.reason, Reason::NetworkTrouble { .. }));
        tokio::time::timeout(Duration::from_secs(20), said).await.unwrap().unwrap();
        if !keeps_books {
            std::fs::remove_dir_all(folder.path().join("swarm")).unwrap();
        }
        let (practice, _) = swarm(folder.path(), port).await;
        let start = Instant::now();
        work(&miner, 1).await;
        recovered(fault, start.elapsed(), Duration::from_secs(15));
        running = Some(practice);
    }
    miner.stop().await.unwrap();
    running.unwrap().shutdown().await;
}
