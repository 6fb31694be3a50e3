//! What a dashboard shows is measured, has a source, and a network's public part is there for whoever
//! has no key.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "support/world.rs"]
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::process::{Command, Output};
use std::time::Duration;

use hearth::clock::Clock;
use hearth::control::{Histories, Miners};
use hearth::earnings::published::PublicPay;
use hearth::miner::board::Board;
use hearth::miner::snapshot::links::LinkWay;
use hearth::miner::snapshot::machine::Reading;
use hearth::miner::snapshot::time::{WHOLE, Window};
use hearth::miner::snapshot::{Measured, measured};
use hearth::miner::{DeviceView, MinerSnapshot, NeighbourView, QueueView, ReachView};
use hearth::protocol::{Hotkey, RunId};
use hearth::swarm::pay::{PayBook, PayRules, RestoredPay};
use hearth::swarm::public::{HeldUpBy, PublicNetwork};
use hearth::swarm::run::{Closed, ClosedMiner};
use hearth::swarm::{LossPoint, MinerView, StageView, SwarmSnapshot};
use hearth::telemetry::Events;
use serde_json::Value;
use world::Plan;

const PLAN: Plan = Plan { stages: 2, miners_per_stage: 1, epochs: 3, in_flight: 4, seed: 23 };

/// One of everything, so that every field is there.
fn full() -> MinerSnapshot {
    let board = Board::new("m0", "5x", DeviceView::default(), Clock::system(), Events::new());
    let empty = board.subscribe().borrow().clone();
    let queue =
        QueueView { since: 1.0, heard: 2.0, best: Some(3), places: vec![(1.0, 3)], losses: vec![] };
    let reach = ReachView { sentence: "Directly.".into(), advice: None };
    let neighbour = NeighbourView {
        hotkey: "5y".into(),
        stage: 1,
        status: "training".into(),
        heard: Some(1.0),
    };
    let measured = Measured {
        links: vec![measured::LinkView::default()],
        transfers: vec![measured::TransferView::default()],
        merges: vec![measured::MergeView::default()],
        ..Measured::default()
    };
    MinerSnapshot {
        queue: Some(queue),
        reach: Some(reach),
        neighbours: vec![neighbour],
        losses: vec![1.0],
        measured,
        ..empty
    }
}

fn public() -> PublicNetwork {
    let miner = MinerView {
        hotkey: "5x".into(),
        status: "training".into(),
        forwards: 0,
        backwards: 0,
        partitions: 0,
        score: 0.0,
    };
    let phase = || "training".to_owned();
    let stage =
        StageView { stage: 0, phase: phase(), epoch: 1, progress: 0.0, miners: vec![miner] };
    let loss = LossPoint { at: 0.0, tokens: 0, epoch: 1, loss: 1.0 };
    let swarm =
        SwarmSnapshot { stages: vec![stage], losses: vec![loss], ..SwarmSnapshot::default() };
    let held = HeldUpBy { stage: 0, phase: phase(), miners: vec!["5x".into()] };
    PublicNetwork { held_up_by: Some(held), ..PublicNetwork::of(&swarm, 1) }
}

fn pay() -> PublicPay {
    let run = RunId::from("r");
    let hotkey = Hotkey::from_public_key(&[1; 32]);
    let mut book = PayBook::new(run, PayRules::default(), RestoredPay::default());
    let miner = ClosedMiner {
        hotkey: hotkey.clone(),
        stage: 0,
        backwards: 1,
        partitions: 1,
        submitted: true,
        benched: false,
    };
    book.name_payee(&hotkey, hotkey.to_string());
    let closed = Closed { epoch: 1, loss: Some(1.0), miners: vec![miner] };
    book.close(closed, Duration::from_secs(1)).unwrap();
    book.public(0, Duration::from_secs(1))
}

/// Every field's path; those of a list's items are the list's.
fn paths(value: &Value, place: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let place = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
                found.insert(place.clone());
                paths(value, &place, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| paths(item, place, found)),
        _ => {}
    }
}

/// The fields of a table of docs/sources.md, each with its source.
fn table(heading: &str) -> BTreeMap<String, String> {
    let text = include_str!("../docs/sources.md");
    let (_, after) = text.split_once(&format!("## {heading}\n")).expect(heading);
    let section = after.split("\n## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let mut told = BTreeMap::new();
    for row in rows {
        let cells: Vec<&str> = row.split(" | ").collect();
        assert_eq!(cells.len(), 3, "{row}");
        for field in cells[0].split('`').skip(1).step_by(2) {
            let before = told.insert(field.to_owned(), cells[1].to_owned());
            assert!(before.is_none(), "{field} is there twice");
        }
    }
    told
}

#[test]
fn every_figure_has_its_source_and_no_source_is_without_its_figure() {
    const SOURCES: [&str; 9] = [
        "own measurement",
        "endpoint",
        "peer",
        "registry",
        "orchestrator",
        "host",
        "settings",
        "benchmark",
        "ledger",
    ];
    for (heading, value) in [
        ("A miner", serde_json::to_value(full()).unwrap()),
        ("A network's pay", serde_json::to_value(pay()).unwrap()),
        ("A network's public part", serde_json::to_value(public()).unwrap()),
    ] {
        let mut fields = BTreeSet::new();
        paths(&value, "", &mut fields);
        let told = table(heading);
        for (field, source) in &told {
            assert!(fields.contains(field), "{heading}: there is no field {field}");
            assert!(SOURCES.contains(&source.as_str()), "{field}: {source} is no source");
        }
        let covered = |field: &String| {
            let below = |row: &&String| field == *row || field.starts_with(&format!("{row}."));
            told.keys().any(|row| below(&row))
        };
        // `measured` itself is no figure; each of its parts is.
        let missing: Vec<&String> = fields
            .iter()
            .filter(|field| !covered(field))
            .filter(|field| !told.keys().any(|row| row.starts_with(&format!("{field}."))))
            .collect();
        assert!(missing.is_empty(), "{heading}: no source is told of {missing:?}");
    }
}

fn whole(window: &Window) -> u32 {
    window.parts.values().map(|part| u32::from(*part)).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_miner_measures_its_time_its_links_its_uploads_and_its_merges() {
    let folder = tempfile::tempdir().unwrap();
    let world = world::start(&PLAN, folder.path()).await;
    let watched: Vec<_> = world.miners.iter().map(|miner| miner.snapshot.clone()).collect();
    let miners = Miners::new(watched[0].clone(), vec![watched[1].clone()]);
    let histories = Histories::begin(miners, Clock::system());
    for mut own in watched.clone() {
        let seen =
            own.wait_for(|s| s.measured.merges.len() > 1 && s.measured.time.quarter.seconds > 3);
        let seen = tokio::time::timeout(Duration::from_secs(60), seen).await;
        let seen = seen.expect("no epoch ended within a minute").unwrap().clone();
        let Measured { time, utilisation, links, transfers, merges, .. } = &seen.measured;
        for window in [&time.minute, &time.quarter, &time.epoch] {
            if window.seconds > 0 {
                assert_eq!(whole(window), u32::from(WHOLE), "{window:?}");
            }
        }
        assert!(time.quarter.computing() > 0.0, "{time:?}");
        let legs = &time.waterfall;
        assert!(legs.queue.is_some() && legs.backward.is_some(), "{legs:?}");
        let first = seen.stage == Some(0);
        let sent = if first { legs.send.and(legs.wait) } else { legs.receive.and(legs.send_back) };
        assert!(sent.is_some(), "{legs:?}");
        // Nobody ran a benchmark: the peak is unknown, and so is the share of it.
        assert!(utilisation.flops_per_token.is_some_and(|flops| flops > 1e3), "{utilisation:?}");
        assert_eq!((utilisation.peak, utilisation.share), (None, None));
        let [link] = &links[..] else { panic!("{links:?}") };
        assert_eq!(link.way, Some(LinkWay::Nearby));
        assert!(link.round_trip.is_some_and(|millis| millis < 1e3), "{link:?}");
        assert!(link.sent > 10_000 && link.received > 10_000 && link.answered > 0, "{link:?}");
        assert_eq!(link.stage, Some(usize::from(first)));
        assert_eq!(link.failures.relay, 0, "{link:?}");
        let weights = transfers.iter().find(|one| one.file == "weights").expect("no upload");
        assert!(weights.ended.is_some() && weights.sent == weights.total && weights.parts > 0);
        assert!(weights.deadline_at.is_some_and(|at| at > weights.began), "{weights:?}");
        assert_eq!((merges[0].done, merges[0].ended.is_some()), (merges[0].of, true));
        let past = histories.of(&seen.name);
        assert!(past.iter().any(|point| point.tokens_per_second.is_some_and(|s| s.max > 0.0)));
        assert_eq!(past.iter().any(|point| point.loss.is_some()), !first);
        assert_eq!(seen.measured.machine.device.temperature, Reading::NotAsked);
    }
    world.finish(PLAN.epochs).await;
}

fn hearth(home: &std::path::Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.args(arguments).env("HEARTH_HOME", home).env_remove("RUST_LOG");
    command.output().unwrap()
}

/// Answers every request with this status, and a body that is no network.
fn server_of_something_else(status: &'static str) -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = [0; 4096];
            let read = stream.read(&mut asked).unwrap();
            let asked = String::from_utf8_lossy(&asked[..read]).to_lowercase();
            assert!(asked.starts_with("get /public/network "), "{asked}");
            assert!(!asked.contains("epistula"), "no key is needed, and none is used: {asked}");
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-length: 15\r\nconnection: close\r\n\r\n{{\"version\":true}}"
            );
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_is_watched_without_a_key_and_one_that_publishes_nothing_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path().join("home");
    let world = world::start(&PLAN, folder.path()).await;
    let server = world.practice.orchestrator_url();
    let watch = |more: &[&str], server: &str| {
        let mut all = vec!["watch", server];
        all.extend(more);
        hearth(&home, &all)
    };
    // The swarm looks at itself a few times a second.
    let clock = Clock::system();
    let deadline = clock.now() + Duration::from_secs(20);
    let network = loop {
        let told = tokio::task::block_in_place(|| watch(&["--json", "--once"], &server));
        assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
        let line: Value = serde_json::from_slice(&told.stdout).unwrap();
        assert_eq!(line["event"], "network");
        let network: PublicNetwork = serde_json::from_value(line).unwrap();
        if network.stages.len() == 2 && network.stages.iter().all(|stage| stage.miners.len() == 1) {
            break network;
        }
        assert!(clock.now() < deadline, "{network:?}");
    };
    let keys: Vec<&str> = network.stages.iter().map(|s| s.miners[0].hotkey.as_str()).collect();
    assert!(keys.iter().all(|key| key.starts_with('5')), "{keys:?}");
    let told = tokio::task::block_in_place(|| watch(&["--plain", "--once"], &server));
    let text = String::from_utf8(told.stdout).unwrap();
    assert!(text.contains(&format!("run {}, epoch", network.run)), "{text}");
    assert!(text.contains("Stage 1: "), "{text}");
    drop(world);
    for (status, words, code) in [
        ("404 Not Found", "publishes nothing of itself", "watch-not-published"),
        ("200 OK", "publishes nothing of itself", "watch-not-published"),
        ("503 Busy", "does not answer (503", "watch-silent"),
    ] {
        let server = format!("http://127.0.0.1:{}", server_of_something_else(status));
        let told = watch(&["--once"], &server);
        assert_eq!(told.status.code(), Some(1));
        let said = String::from_utf8(told.stderr).unwrap();
        assert!(said.contains(words) && said.contains(code), "{said}");
    }
    let told = watch(&["--once"], "practice");
    assert_eq!(told.status.code(), Some(2), "{told:?}");
}
