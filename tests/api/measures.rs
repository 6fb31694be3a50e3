//! What Prometheus reads.

use std::collections::{BTreeMap, BTreeSet};

use super::miner::{Ask, Miner};
use prometheus_parse::{Sample, Scrape, Value};

fn scrape(miner: &Miner) -> Vec<Sample> {
    let answer = Ask::get("/metrics").to(miner);
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("content-type: application/openmetrics-text; version=1.0.0"));
    assert!(answer.body.ends_with("# EOF\n"), "{}", answer.body);
    let lines = answer.body.lines().map(|line| Ok(line.to_owned()));
    Scrape::parse(lines).unwrap().samples
}

fn number(sample: &Sample) -> f64 {
    match &sample.value {
        Value::Counter(n) | Value::Gauge(n) | Value::Untyped(n) => *n,
        other => panic!("{other:?}"),
    }
}

fn value(samples: &[Sample], name: &str, labels: &[(&str, &str)]) -> f64 {
    let is_it = |sample: &&Sample| {
        sample.metric == name && labels.iter().all(|(key, of)| sample.labels.get(key) == Some(*of))
    };
    number(samples.iter().find(is_it).unwrap_or_else(|| panic!("no {name} with {labels:?}")))
}

#[test]
fn the_numbers_are_read_by_a_prometheus_parser_and_are_those_of_the_snapshot() {
    let miner = Miner::start();
    miner.until("a merge", |event| event["event"] == "merge");
    // What it measures is told once a second: a fast epoch is over before the first time.
    miner.until_own("measured time", |own| {
        let time = &own["measured"]["time"];
        let parts = time["minute"]["parts"].as_object();
        parts.is_some_and(|parts| !parts.is_empty()) && time["waterfall"]["forward"].is_number()
    });
    let own = [("miner", "m0")];
    let before = miner.own();
    let first = scrape(&miner);
    let between = |name: &str, of: &str| {
        let (low, high) = (before["work"][of].as_f64().unwrap(), f64::MAX);
        let seen = value(&first, name, &own);
        assert!((low..high).contains(&seen), "{name}: {seen}, the snapshot said {low}");
        seen
    };
    let backwards = between("hearth_backwards_total", "backwards");
    between("hearth_forwards_total", "forwards");
    between("hearth_tokens_total", "tokens");
    between("hearth_sent_bytes_total", "bytes_sent");
    assert!(between("hearth_received_bytes_total", "bytes_received") > 0.0);
    assert!(value(&first, "hearth_epoch", &own) >= 1.0);
    assert_eq!(value(&first, "hearth_stage", &own), 0.0);
    let states: Vec<f64> =
        first.iter().filter(|s| s.metric == "hearth_state").map(number).collect();
    assert_eq!((states.len(), states.iter().sum::<f64>()), (12, 1.0));
    assert!(value(&first, "hearth_tokens_per_second", &[("miner", "m0"), ("window", "1m")]) > 0.0);
    assert_eq!(value(&first, "hearth_swarm_miners", &[]), 6.0);
    let minute =
        |s: &&Sample| s.metric == "hearth_time_share" && s.labels.get("window") == Some("1m");
    let parts: Vec<f64> = first.iter().filter(minute).map(number).collect();
    assert!((parts.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{parts:?}");
    assert!(value(&first, "hearth_leg_seconds", &[("leg", "forward")]) > 0.0);

    miner.until_own("more work", |own| own["work"]["backwards"].as_f64() > Some(backwards));
    assert!(value(&scrape(&miner), "hearth_backwards_total", &own) > backwards);

    let (code, ..) = miner.hearth(&["pause"]);
    assert_eq!(code, 0);
    miner.until_own("a pause", |own| own["status"]["state"] == "paused");
    let paused = [("miner", "m0"), ("state", "paused")];
    assert_eq!(value(&scrape(&miner), "hearth_state", &paused), 1.0);
    assert_eq!(value(&scrape(&miner), "hearth_reason", &[("reason", "user-paused")]), 1.0);
    // A pause is no fault.
    assert_eq!(Ask::get("/ready").to(&miner).status, 200);
    assert_eq!(miner.stop(), 0);
}

/// The names in the table of docs/api.md.
fn documented() -> BTreeSet<String> {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/api.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `hearth_"));
    rows.map(|row| format!("hearth_{}", row.split('`').next().unwrap())).collect()
}

/// Everything that a miner can measure of itself.
fn measured() -> serde_json::Value {
    let is = |value: serde_json::Value| serde_json::json!({ "known": "is", "value": value });
    let window = serde_json::json!({ "seconds": 60, "parts": { "forward": 2500, "rest": 7500 } });
    let link = |node: &str, way: &str, silent: u64| {
        let failures = serde_json::json!({ "silent": silent });
        serde_json::json!({
            "node": node, "way": way, "round_trip": 25.0, "push_speed": 4e6, "failures": failures,
        })
    };
    let upload = |ended: Option<f64>, verdict: &str, by: f64| {
        let verdict = serde_json::json!({ "deadline": verdict, "by": by });
        serde_json::json!({ "ended": ended, "bytes_per_second": 1e6, "verdict": verdict })
    };
    serde_json::json!({
        "time": {
            "minute": window, "quarter": window, "epoch": window,
            "waterfall": { "forward": 125.0, "send_back": 2.0 },
        },
        "utilisation": { "peak": 4e12, "share": [0.5, 0.25, 0.125] },
        "links": [link("a", "direct", 1), link("b", "relayed", 2), link("c", "relayed", 0)],
        "machine": {
            "device": {
                "temperature": is(67.5.into()), "temperature_limit": [80.0, 70.0],
                "watts": is(210.0.into()), "watts_limit": 250.0,
                "memory": is(9.into()), "memory_total": is(24.into()),
            },
            "load": { "others": is(3.0.into()) },
            "memory": is(serde_json::json!([11, 32])), "disk_free": is(80.into()), "disk_reserve": 5,
        },
        "transfers": [
            upload(None, "fits", 40.0), upload(None, "misses", 7.0), upload(Some(1.0), "misses", 99.0),
        ],
        "merges": [
            { "epoch": 1, "began": 900.0, "ended": 912.0 }, { "epoch": 2, "began": 950.0 },
        ],
    })
}

#[test]
fn every_number_is_documented_and_none_that_is_not_there() {
    use hearth::control::Progress;
    use hearth::control::measures::{ApiCounts, all, open_metrics};
    use hearth::control::overview::{Overview, ProcessView};
    use hearth::host::rules::Ruling;
    use hearth::miner::{
        DeviceView, Eta, MinerSnapshot, QueueView, Reason, State, Status, Who, Work,
    };
    use hearth::swarm::{LossPoint, SwarmSnapshot};

    let status = Status {
        state: State::Training,
        reason: Reason::WorkAvailable,
        since: 1.5,
        next: "work".into(),
        who: Who::Machine,
        eta: Eta::Unknown,
    };
    let places = vec![(1.0, 90), (2.0, 70)];
    let queue = QueueView { since: 1.0, heard: 2.0, best: Some(70), places, losses: vec![] };
    let miner: MinerSnapshot = serde_json::from_value(serde_json::json!({
        "name": "a \"name\" \\ of\nits own", "hotkey": "5x", "run": "r", "stage": 1, "stages": 3,
        "epoch": 4, "recovered": null, "queue": queue, "phase": null, "status": status,
        "work": Work { backwards: u64::MAX, ..Work::default() }, "tokens_per_second": [1.0, 2.0, 3.0],
        "forward_queue": 1, "backward_queue": 2, "cache": 3, "cache_capacity": 4,
        "device": DeviceView::default(), "ruling": Ruling::free(1.0), "reach": null, "neighbours": [], "losses": [2.5],
        "measured": measured(),
    }))
    .unwrap();
    let loss = LossPoint { at: 0.0, tokens: 1, epoch: 1, loss: 3.5 };
    let overview = Overview {
        process: ProcessView { pid: 1, since: 2, version: "1.2.3".into() },
        miners: vec![miner],
        swarm: Some(SwarmSnapshot { losses: vec![loss], ..SwarmSnapshot::default() }),
        names: BTreeMap::new(),
        epochs: None,
        progress: Progress::Running,
    };
    let all = all(&overview, &ApiCounts { readers: 1, lost: 5 });
    let names: BTreeSet<String> = all.iter().map(|measure| measure.full_name()).collect();
    assert_eq!(names.len(), all.len(), "a name is there twice");
    assert_eq!(documented(), names);
    let text = open_metrics(&all);
    let lines = text.lines().map(|line| Ok(line.to_owned()));
    let samples = Scrape::parse(lines).unwrap().samples;
    let read: BTreeSet<String> = samples.iter().map(|sample| sample.metric.clone()).collect();
    assert_eq!(read, names, "{text}");
    assert_eq!(value(&samples, "hearth_registration_place", &[]), 70.0);
    for (name, labels, expected) in [
        ("hearth_time_share", &[("window", "15m"), ("activity", "forward")][..], 0.25),
        ("hearth_leg_seconds", &[("leg", "forward")], 0.125),
        ("hearth_flops_share", &[("window", "1m")], 0.25),
        ("hearth_device_celsius", &[], 67.5),
        ("hearth_device_celsius_limit", &[], 80.0),
        ("hearth_others_load_share", &[], 0.03),
        ("hearth_machine_memory_bytes", &[], 32.0),
        ("hearth_links", &[("way", "relayed")], 2.0),
        ("hearth_links", &[("way", "closed")], 0.0),
        ("hearth_link_round_trip_seconds", &[("peer", "b")], 0.025),
        ("hearth_link_failures", &[("fault", "silent")], 3.0),
        ("hearth_uploads", &[], 2.0),
        ("hearth_upload_bytes_per_second", &[], 2e6),
        ("hearth_upload_spare_seconds", &[], -7.0),
        ("hearth_merge_seconds", &[], 12.0),
    ] {
        assert_eq!(value(&samples, name, labels), expected, "{name} {labels:?}");
    }
    let legs = samples.iter().filter(|sample| sample.metric == "hearth_leg_seconds");
    assert_eq!(legs.count(), 2, "what is not known is left out");
    assert_eq!(value(&samples, "hearth_api_events_lost_total", &[]), 5.0);
    assert!(text.contains(r#"miner="a \"name\" \\ of\nits own""#), "{text}");
}
