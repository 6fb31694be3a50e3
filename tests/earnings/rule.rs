//! The rule that stops when work would leave too little, in the real binary: it reads the ledger, pauses and
//! gives its reason, and does nothing in practice, where points have no price.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hearth::earnings::Unit;
use hearth::earnings::ledger::{
    Answer, AnswerKind, At, Energy, Ledger, Millijoules, Price, Submitted, Work,
};
use serde_json::Value;

/// A process that is ended with the test, however that ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(home: &Path, more: &[&str]) -> (Process, mpsc::Receiver<Value>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.env("HEARTH_HOME", home).env_remove("RUST_LOG").stdin(Stdio::null());
    command.args(["run", "--headless", "--json", "--backend", "cpu", "--set", "minimum_net=0"]);
    command.args(["--set", "kwh_price=0.30 EUR"]).args(more);
    let (child, events) = crate::events::started(&mut command);
    (Process(child), events)
}

#[track_caller]
fn until(events: &mpsc::Receiver<Value>, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    loop {
        match events.recv_timeout(Duration::from_secs(60)) {
            Ok(event) if wanted(&event) => return event,
            Ok(_) => {}
            Err(_) => panic!("no {what}"),
        }
    }
}

/// An hour of work that took half a kWh, and a weight of a millionth.
async fn write(ledger: &mut Ledger, now: u64) {
    let work = Work {
        network: "mainnet".to_owned(),
        hotkey: "hot".to_owned(),
        life: "l".to_owned(),
        part: 0,
        since: At(now - 3_600_000),
        until: At(now),
        run: None,
        stage: None,
        epoch: None,
        forwards: 1,
        backwards: 1,
        partitions: 0,
        uploads: 0,
        uploads_missed: 0,
        weights: Submitted::NotAsked,
        merges: 0,
        merges_missed: 0,
        tokens: 64,
        spent: BTreeMap::from([("backward".to_owned(), 3_600_000)]),
        energy: Energy::Measured { millijoules: Millijoules(Millijoules::KWH / 2), by: "x".into() },
        validated: None,
        failed: None,
        payout_address: None,
        lost: Vec::new(),
    };
    ledger.record_work(&work).await.unwrap();
    let scores = r#"{"miner_scores": [
            {"hotkey": "hot", "run_id": "r", "raw_score": 1, "total_score": 1},
            {"hotkey": "other", "run_id": "r", "raw_score": 999999, "total_score": 999999}],
        "runs": [{"run_id": "r", "incentive_weight": 1, "burn_factor": 0}], "burn_factor": 0}"#;
    let (kind, whose) = (AnswerKind::SubnetScores, BTreeSet::from(["hot".to_owned()]));
    let network = "mainnet".to_owned();
    let answer = Answer { at: At(now), network, kind, whose, body: scores.into() };
    assert_eq!(ledger.record_answer(&answer).await.unwrap().trouble, None);
    for (of, currency, price) in [(Unit::Alpha, "tao", "0.05"), (Unit::Tao, "EUR", "300")] {
        let (currency, price) = (currency.to_owned(), price.parse().unwrap());
        let price = Price { at: At(now - 1), of, currency, price, source: "s".to_owned() };
        ledger.record_price(&price).await.unwrap();
    }
}

#[test]
fn a_miner_whose_work_would_cost_more_than_it_earns_pauses_and_says_so() {
    let home = tempfile::tempdir().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let path = home.path().join("data/ledger.sqlite");
        let (mut ledger, _) = Ledger::open(&path, At(1)).await.unwrap();
        write(&mut ledger, u64::try_from(now).unwrap()).await;
    });
    let key = home.path().join("hot");
    std::fs::write(&key, format!("0x{}", hex::encode([7; 32]))).unwrap();
    let key = key.to_str().unwrap();
    // Nobody answers there: it pauses all the same.
    let at = ["--network", "http://127.0.0.1:9", "--join", "metagraph", "--hotkey-file", key];
    let (_process, events) = start(home.path(), &at);
    let paused = until(&events, "pause", |e| e["event"] == "state" && e["state"] == "paused");
    assert_eq!(paused["reason"], "net-too-low", "{paused}");
}

#[test]
fn in_practice_the_rule_says_that_points_have_no_price_and_it_trains() {
    let home = tempfile::tempdir().unwrap();
    let (_process, events) = start(home.path(), &["--network", "practice", "--preset", "nano"]);
    let mut unknown = None;
    let trains = |event: &Value| event["event"] == "step" || event["event"] == "merge";
    while unknown.is_none() {
        let event = until(&events, "word of the rule", |e| {
            e["code"] == "rule-unknown" || (e["event"] == "state" && e["state"] == "paused")
        });
        assert_eq!(event["code"], "rule-unknown", "{event}");
        unknown = event.to_string().contains("practice points have no price").then_some(());
    }
    until(&events, "training", trains);
}
