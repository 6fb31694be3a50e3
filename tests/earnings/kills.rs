//! A process that writes into the ledger is killed at any moment, again and again: what it was told is
//! there is there, once and whole, and the next one goes on.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use hearth::earnings::ledger::{
    Answer, AnswerKind, At, Energy, Ledger, Millijoules, News, Opened, PaidBy, Payment, Reader,
    Reading, RowId, Span, Submitted, Work,
};
use hearth::earnings::{Rao, Unit};

/// Names the folder of the ledger to the other process.
const FOLDER: &str = "HEARTH_TEST_LEDGER";
/// How often it is killed.
const KILLS: u64 = 20;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

/// What a network publishes after so many epochs: each earned and paid a million rao.
fn answer(epochs: u64) -> Answer {
    let epoch = |epoch: u64| {
        serde_json::json!({
            "epoch": epoch, "closed_at": 1_800_000_000 + epoch, "loss": 1.0 / epoch as f64,
            "lowest_before": null, "period": "green", "burned": 0,
            "scores": {
                "miner_scores": [
                    {"hotkey": "m0", "run_id": "r", "raw_score": epoch, "total_score": epoch}],
                "runs": [{"run_id": "r", "incentive_weight": 1, "burn_factor": 0}],
                "burn_factor": 0,
            },
            "miners": [{
                "hotkey": "m0", "stage": 0, "backwards": epoch, "partitions": 1, "submitted": true,
                "benched": false, "paid_to": "coldkey", "earned": 1_000_000,
                "account": {"pending": 0, "frozen": 0},
                "payout": {"gross": 1_000_000, "fee": 10, "net": 999_990},
            }],
        })
    };
    // The last few, as a miner asks for them.
    let epochs: Vec<_> = (epochs.saturating_sub(3).max(1)..=epochs).map(epoch).collect();
    let body = serde_json::json!({
        "version": 1, "at": 1_800_000_000, "since": 1_700_000_000, "run": "r", "unit": "points", "score": "backwards",
        "terms": {"emission": 1_000_000, "minimum": 0, "fee": 10}, "epochs": epochs,
    });
    Answer {
        at: At(epochs.len() as u64),
        network: "practice".to_owned(),
        kind: AnswerKind::PublicPay,
        whose: BTreeSet::from(["m0".to_owned()]),
        body: serde_json::to_vec(&body).unwrap(),
    }
}

fn work(part: u64) -> Work {
    Work {
        network: "practice".to_owned(),
        hotkey: "m0".to_owned(),
        life: "l".to_owned(),
        part,
        since: At(part * 1000),
        until: At(part * 1000 + 1000),
        run: None,
        stage: None,
        epoch: Some(part),
        forwards: 1,
        backwards: 1,
        partitions: 0,
        uploads: 0,
        uploads_missed: 0,
        weights: Submitted::NotAsked,
        merges: 0,
        merges_missed: 0,
        tokens: 64,
        spent: [("backward".to_owned(), 1000)].into(),
        energy: Energy::Measured { millijoules: Millijoules(100_000), by: "RAPL".to_owned() },
        validated: None,
        failed: None,
        payout_address: None,
        lost: Vec::new(),
    }
}

fn reading(n: u64) -> Reading {
    let (network, what) = ("mainnet".to_owned(), "stake".to_owned());
    Reading { at: At(n), network, what, body: format!("{{\"block\":{n}}}") }
}

fn payment(n: u64, reading: RowId) -> Payment {
    Payment {
        at: At(n),
        network: "mainnet".to_owned(),
        name: format!("block {n}"),
        hotkey: None,
        address: Some("coldkey".to_owned()),
        gross: Rao(1),
        fee: None,
        net: Rao(1),
        unit: Unit::Alpha,
        by: PaidBy::Stake(reading),
    }
}

/// Everything that belongs to one step.
async fn step(ledger: &mut Ledger, n: u64) -> News {
    assert_eq!(ledger.record_answer(&answer(n)).await.unwrap().trouble, None);
    let reading = ledger.record_reading(&reading(n)).await.unwrap();
    ledger.record_payment(&payment(n, reading)).await.unwrap();
    ledger.record_work(&work(n)).await.unwrap()
}

#[test]
#[ignore = "the other process of the test below"]
fn writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let path = Path::new(&folder).join("ledger.sqlite");
    runtime().block_on(async {
        let (mut ledger, opened) = Ledger::open(&path, At(1)).await.unwrap();
        assert!(!matches!(opened, Opened::PutAside(_)), "{opened:?}");
        let done = ledger.read().rows(Span::ALL).await.unwrap().work.len() as u64;
        // The last step once more, as somebody does who does not know whether it was entered.
        for n in done.max(1).. {
            step(&mut ledger, n).await;
            let mut out = std::io::stdout().lock();
            writeln!(out, "\nstep {n}").and_then(|()| out.flush()).unwrap();
        }
    });
}

/// Lets it write so many steps, and kills it in the middle of the next one. Gives the last that it told.
fn killed_after(steps: usize, folder: &Path) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["kills::writes_until_it_is_killed", "--exact", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let told = lines.filter_map(|line| line.strip_prefix("step ")?.parse::<u64>().ok());
    let last = told.take(steps).last();
    child.kill().unwrap();
    child.wait().unwrap();
    last.expect("it never wrote")
}

#[test]
fn a_writer_that_is_killed_leaves_whole_rows_and_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    let runtime = runtime();
    for kill in 0..KILLS {
        let told = killed_after(1 + (kill as usize % 4), folder.path());
        let rows = runtime.block_on(async {
            let mut reader = Reader::open(&path).await.unwrap();
            assert_eq!(reader.verify().await.unwrap().differences, []);
            reader.rows(Span::ALL).await.unwrap()
        });
        let steps = rows.work.len() as u64;
        // What was told is there, and what it did until it was killed; of its last step there may be a
        // part, in whole rows.
        assert!(steps >= told, "{told} told, {steps} there");
        assert_eq!(rows.work, (1..=steps).map(work).collect::<Vec<_>>());
        let epochs: Vec<u64> = rows.epochs.iter().map(|row| row.epoch).collect();
        let count = epochs.len() as u64;
        assert!((steps..=steps + 1).contains(&count), "{steps} steps, {count} epochs there");
        assert_eq!(epochs, (1..=count).collect::<Vec<_>>());
        let of = |unit| rows.payouts.iter().filter(move |row| row.unit == unit);
        assert_eq!(of(Unit::Points).count() as u64, count, "an epoch and its payout are one");
        let points: u64 = of(Unit::Points).map(|row| row.net.0).sum();
        assert_eq!(points, count * 999_990);
        let alpha: u64 = of(Unit::Alpha).map(|row| row.net.0).sum();
        assert!((steps..=count).contains(&alpha), "{steps} steps, {alpha} there");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| {
            !["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"].contains(&&**name)
        })
        .collect();
    assert_eq!(left, [""; 0], "nothing else lies about");
}
