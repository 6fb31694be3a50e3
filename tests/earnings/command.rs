//! `hearth earnings` as a user meets it: the real binary over a ledger that a miner wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use hearth::earnings::ledger::{
    Answer, AnswerKind, At, Energy, Ledger, Lost, Millijoules, PaidBy, Payment, Price, Reading,
    Submitted, Work,
};
use hearth::earnings::{Rao, Unit};
use serde_json::{Value, json};

/// 2 August 2026, 12:00 UTC.
const NOON: u64 = 1_785_672_000_000;
/// One hour in milliseconds.
const HOUR: u64 = 3_600_000;

fn hearth(home: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hearth"))
        .env("HEARTH_HOME", home)
        .env("TZ", "Europe/Berlin")
        .env_remove("RUST_LOG")
        .stdin(Stdio::null())
        .args(["earnings"].iter().chain(arguments))
        .output()
        .unwrap()
}

#[track_caller]
fn text(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(said, "");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The objects of this event.
fn events(output: &Output, name: &str) -> Vec<Value> {
    let lines = text(output);
    let all = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|event| event["event"] == name).collect()
}

fn settings(home: &Path) {
    std::fs::create_dir_all(home.join("config")).unwrap();
    let text = "kwh_price = \"0.30 EUR\"\nkwh_price_night = \"0.20 EUR\"\n\
                [earnings]\ntransfer_fee = 0.001\n";
    std::fs::write(home.join("config/config.toml"), text).unwrap();
}

fn file(home: &Path) -> PathBuf {
    home.join("data/ledger.sqlite")
}

/// An hour of work on a network.
fn work(network: &str, hotkey: &str, part: u64, since: u64) -> Work {
    Work {
        network: network.to_owned(),
        hotkey: hotkey.to_owned(),
        life: "first".to_owned(),
        part,
        since: At(since),
        until: At(since + HOUR),
        run: Some("iron".to_owned()),
        stage: Some(1),
        epoch: Some(part + 1),
        forwards: 52,
        backwards: 50,
        partitions: 2,
        uploads: 1,
        uploads_missed: 1,
        weights: Submitted::InTime,
        merges: 1,
        merges_missed: 0,
        tokens: 1_000_000,
        spent: BTreeMap::from([
            ("backward".to_owned(), 3_000_000),
            ("receive".to_owned(), 600_000),
        ]),
        energy: Energy::Measured {
            millijoules: Millijoules(Millijoules::KWH / 2),
            by: "NVML".into(),
        },
        validated: None,
        failed: None,
        payout_address: Some("cold".to_owned()),
        lost: vec![Lost { backwards: 3, to: "the line was cut".to_owned() }],
    }
}

/// One epoch of a practice swarm, below the minimum.
fn practice_pay() -> Answer {
    let body = json!({
        "version": 1, "at": NOON / 1000, "since": NOON / 1000 - 60, "run": "p", "unit": "points",
        "score": "backwards",
        "terms": {"emission": 1_000_000_000, "minimum": 400_000_000, "fee": 1000},
        "epochs": [{
            "epoch": 1, "closed_at": NOON / 1000, "loss": 3.5, "lowest_before": null,
            "period": "green", "burned": 900_000_000,
            "scores": {
                "miner_scores": [
                    {"hotkey": "hot-p", "run_id": "p", "raw_score": 1, "total_score": 1},
                    {"hotkey": "other", "run_id": "p", "raw_score": 9, "total_score": 9}],
                "runs": [{"run_id": "p", "incentive_weight": 1, "burn_factor": 0}],
                "burn_factor": 0,
            },
            "miners": [{
                "hotkey": "hot-p", "stage": 0, "backwards": 50, "partitions": 2, "submitted": true,
                "benched": false, "paid_to": "cold", "earned": 100_000_000,
                "account": {"pending": 100_000_000, "frozen": 0}, "payout": null,
            }],
        }],
    });
    Answer {
        at: At(NOON + 5),
        network: "practice".to_owned(),
        kind: AnswerKind::PublicPay,
        whose: BTreeSet::from(["hot-p".to_owned()]),
        body: body.to_string().into_bytes(),
    }
}

fn price(of: Unit, currency: &str, price: &str) -> Price {
    let source = format!("=source of {}", of.word());
    let (currency, price) = (currency.to_owned(), price.parse().unwrap());
    Price { at: At(NOON - HOUR), of, currency, price, source }
}

/// What a miner left: two hours on mainnet (one by day, one by night), two miners of one address to which
/// two alpha came, and a practice epoch.
async fn write(ledger: &mut Ledger) {
    ledger.record_work(&work("mainnet", "hot-a", 0, NOON)).await.unwrap();
    // 23:00 in Berlin.
    ledger.record_work(&work("mainnet", "hot-a", 1, NOON + 9 * HOUR)).await.unwrap();
    ledger.record_work(&work("mainnet", "hot-b", 0, NOON)).await.unwrap();
    ledger.record_work(&work("practice", "hot-p", 0, NOON - HOUR)).await.unwrap();
    ledger.record_price(&price(Unit::Alpha, "tao", "0.05")).await.unwrap();
    ledger.record_price(&price(Unit::Tao, "EUR", "300")).await.unwrap();
    let (network, what, body) = ("mainnet".to_owned(), "stake".to_owned(), "{}".to_owned());
    let reading = Reading { at: At(NOON + HOUR), network, what, body };
    let id = ledger.record_reading(&reading).await.unwrap();
    let payment = Payment {
        at: At(NOON + HOUR),
        network: "mainnet".to_owned(),
        name: "stake, block 7".to_owned(),
        hotkey: None,
        address: Some("cold".to_owned()),
        gross: Rao(2_000_000_000),
        fee: None,
        net: Rao(2_000_000_000),
        unit: Unit::Alpha,
        by: PaidBy::Stake(id),
    };
    ledger.record_payment(&payment).await.unwrap();
    assert_eq!(ledger.record_answer(&practice_pay()).await.unwrap().trouble, None);
}

/// A home with that ledger, and the writer that still has it open.
fn home() -> (tempfile::TempDir, tokio::runtime::Runtime, Ledger) {
    let home = tempfile::tempdir().unwrap();
    settings(home.path());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let ledger = runtime.block_on(async {
        let (mut ledger, _) = Ledger::open(&file(home.path()), At(NOON)).await.unwrap();
        write(&mut ledger).await;
        ledger
    });
    (home, runtime, ledger)
}

#[test]
fn without_a_ledger_one_line_says_so() {
    let home = tempfile::tempdir().unwrap();
    for arguments in [&[][..], &["--why"], &["report"], &["verify"]] {
        let said = text(&hearth(home.path(), arguments));
        assert_eq!(said, "Nothing was earned here yet: `hearth run` begins the ledger.\n");
    }
    let table = text(&hearth(home.path(), &["--csv"]));
    assert!(
        table.starts_with("date,time,kind,") && table.ends_with("answer_digest\r\n"),
        "{table}"
    );
    assert_eq!(table.lines().count(), 1);
    assert!(!file(home.path()).exists(), "reading begins no ledger");
    let named = hearth(home.path(), &["--ledger", "nowhere.sqlite"]);
    assert_eq!(named.status.code(), Some(2));
}

#[test]
fn beside_a_writer_sums_keep_money_and_points_apart() {
    let (home, _runtime, _writer) = home();
    let all = hearth(home.path(), &["--json"]);
    let sums = events(&all, "earnings");
    let times: Vec<_> = sums.iter().map(|sum| sum["time"].as_str().unwrap()).collect();
    assert_eq!(times, ["today", "24h", "7d", "30d", "all"]);
    let whole = sums.last().unwrap();
    let (money, practice) = (&whole["money"], &whole["practice"]);
    assert_eq!(money["paid"], json!([{"rao": 2_000_000_000_u64, "unit": "alpha"}]));
    assert_eq!(practice["earned"], json!([{"rao": 100_000_000, "unit": "points"}]));
    // 2 x 0.05 x 300; half a kWh three times, one of them by night: 0.15 + 0.15 + 0.10.
    let net = &money["net"];
    assert_eq!(
        (&net["earned"], &net["electricity"], &net["net"], &net["net_per_hour"]),
        (
            &json!("30.000000000"),
            &json!("0.400000000"),
            &json!("29.600000000"),
            &json!("9.866666667")
        ),
    );
    assert_eq!(
        (&net["kwh"], &net["tokens_per_kwh"]),
        (&json!("1.500000000"), &json!("2000000.000000000"))
    );
    assert_eq!((&practice["net"]["earned"], &practice["net"]["net"]), (&Value::Null, &Value::Null));
    let walks = events(&all, "walk");
    assert_eq!(walks.len(), 3);
    let fee = walks[0]["steps"].as_array().unwrap().iter().find(|s| s["label"] == "transfer fee");
    assert_eq!(fee.unwrap()["value"], "0.001000000 alpha", "by the [earnings] table");

    let shown = text(&hearth(home.path(), &[]));
    assert!(shown.contains("Practice swarms; points are no money"), "{shown}");
    assert!(shown.contains("a change of stake at the payout address"), "{shown}");
    assert!(shown.contains("left 29.6000 EUR: 9.8667 an hour of work"), "{shown}");
    assert!(!shown.contains("alpha + "), "points and alpha in one sum: {shown}");
}

#[test]
fn why_has_one_deciding_cause_for_each_miner() {
    let (home, _runtime, _writer) = home();
    let all = events(&hearth(home.path(), &["--why", "all", "--json"]), "why");
    let of = |hotkey: &str| {
        all.iter()
            .find(|why| why["explained"]["hotkey"] == hotkey)
            .unwrap_or_else(|| panic!("{hotkey}"))
    };
    assert_eq!(of("hot-p")["code"], "zero-below-minimum");
    assert_eq!(of("hot-a")["explained"]["paid"], "together");
    assert_eq!(of("hot-b")["explained"]["miners"], 2);
    // Before anything was there.
    let early = ["--why", "all", "--json", "--until", "2026-07-01"];
    let early = events(&hearth(home.path(), &early), "why");
    assert!(early.iter().all(|why| why["code"] == "zero-not-running"), "{early:?}");
    let said = text(&hearth(home.path(), &["--why", "all"]));
    assert!(said.contains("0.300000000 are missing"), "{said}");
    assert!(said.contains("hearth explain zero-below-minimum"), "{said}");
    assert!(said.contains("an address that 2 miners share"), "{said}");
}

#[test]
fn the_table_has_a_row_for_each_event_with_price_and_source() {
    let (home, _runtime, _writer) = home();
    let table = text(&hearth(home.path(), &["--csv"]));
    assert!(table.lines().count() == 7 && table.matches("\r\n").count() == 7, "{table}");
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let columns = reader.headers().unwrap().clone();
    let rows: Vec<BTreeMap<String, String>> = reader
        .records()
        .map(|row| {
            columns.iter().zip(row.unwrap().iter()).map(|(c, v)| (c.into(), v.into())).collect()
        })
        .collect();
    let kinds: Vec<&str> = rows.iter().map(|row| row["kind"].as_str()).collect();
    assert_eq!(kinds, ["practice-work", "practice-epoch", "work", "work", "payout", "work"]);
    let cells = |row: usize, names: &[&str]| -> Vec<String> {
        names.iter().map(|name| rows[row][*name].clone()).collect()
    };
    let payout =
        ["date", "time", "amount", "unit", "fee", "price", "value", "currency", "price_source"];
    assert_eq!(
        cells(4, &payout),
        [
            "2026-08-02",
            "15:00:00+02:00",
            "2.000000000",
            "alpha",
            "",
            "15.000000000",
            "30.000000000",
            "EUR",
            "'=source of alpha; =source of tao",
        ]
    );
    let night = ["date", "time", "kwh", "kwh_price", "electricity_cost", "source"];
    assert_eq!(
        cells(5, &night),
        [
            "2026-08-02",
            "23:00:00+02:00",
            "0.500000000",
            "0.200000000",
            "0.100000000",
            "energy measured by NVML"
        ]
    );
    let epoch = ["amount", "unit", "value", "currency", "epoch"];
    assert_eq!(cells(1, &epoch), ["0.100000000", "points", "", "", "1"]);
    let digest = blake3::hash(&practice_pay().body).to_hex().to_string();
    assert_eq!(rows[1]["answer_digest"], digest);
    // One day less.
    let none = text(&hearth(home.path(), &["--csv", "--since", "2026-08-03"]));
    assert_eq!(none.lines().count(), 1);
}

#[test]
fn the_report_of_a_day_tells_time_work_energy_and_what_was_lost() {
    let (home, _runtime, _writer) = home();
    let days = events(&hearth(home.path(), &["report", "--day", "2026-08-02", "--json"]), "day");
    assert_eq!(days.len(), 3);
    let a = days.iter().find(|day| day["hotkey"] == "hot-a").unwrap();
    assert_eq!(a["spent_ms"], json!({"backward": 6_000_000, "receive": 1_200_000}));
    assert_eq!((&a["backwards"], &a["uploads_missed"]), (&json!(100), &json!(2)));
    assert_eq!((&a["net"]["kwh"], &a["net"]["tokens"]), (&json!("1.000000000"), &json!(2_000_000)));
    assert_eq!(a["lost"].as_array().unwrap().len(), 2);
    let said = text(&hearth(home.path(), &["report", "--day", "2026-08-02"]));
    assert!(said.contains("time      2h in all: backward 1h 40m, receive 20m"), "{said}");
    assert!(said.contains("lost      3 backwards: the line was cut"), "{said}");
    let empty = text(&hearth(home.path(), &["report", "--day", "2020-01-01"]));
    assert!(empty.contains("No miner worked on this day."), "{empty}");
}

#[test]
fn a_copy_tells_the_same_and_a_newer_ledger_is_refused_untouched() {
    let (home, runtime, writer) = home();
    let here = text(&hearth(home.path(), &["--csv"]));
    runtime.block_on(async { drop(writer) });
    assert!(text(&hearth(home.path(), &["verify"])).starts_with("All 2 rows"));
    let elsewhere = tempfile::tempdir().unwrap();
    let copy = elsewhere.path().join("old.sqlite");
    for end in ["", "-wal"] {
        let from = PathBuf::from(format!("{}{end}", file(home.path()).display()));
        if from.exists() {
            std::fs::copy(from, format!("{}{end}", copy.display())).unwrap();
        }
    }
    let copied = hearth(home.path(), &["--csv", "--ledger", copy.to_str().unwrap()]);
    assert_eq!(text(&copied), here);

    let newer = elsewhere.path().join("newer.sqlite");
    let mut bytes = std::fs::read(&copy).unwrap();
    bytes[60..64].copy_from_slice(&9_u32.to_be_bytes());
    std::fs::write(&newer, &bytes).unwrap();
    let refused = hearth(home.path(), &["--ledger", newer.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("version 9") && said.contains("update Hearth"), "{said}");
    assert_eq!(std::fs::read(&newer).unwrap(), bytes);
}
