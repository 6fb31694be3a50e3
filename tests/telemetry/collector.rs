//! Measurements for an OpenTelemetry collector, read by a server that takes the JSON apart.

#![cfg(unix)]

use std::collections::BTreeMap;

use serde_json::Value;

use crate::listeners::Server;
use crate::runs::Run;

/// The points of each metric, as (attributes, value).
fn metrics(body: &Value) -> BTreeMap<String, Vec<(BTreeMap<String, String>, f64)>> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut found = BTreeMap::new();
    for metric in body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array().unwrap() {
        let data = if metric["sum"].is_object() { &metric["sum"] } else { &metric["gauge"] };
        let points = data["dataPoints"].as_array().unwrap().iter().map(|point| {
            let attributes = point["attributes"].as_array().unwrap().iter();
            let attributes = attributes
                .map(|one| (text(&one["key"]), text(&one["value"]["stringValue"])))
                .collect();
            // Whole numbers of 64 bits are texts in this format.
            let value = match point.get("asInt") {
                Some(number) => text(number).parse().unwrap(),
                None => point["asDouble"].as_f64().unwrap(),
            };
            (attributes, value)
        });
        found.insert(text(&metric["name"]), points.collect());
    }
    found
}

#[test]
fn measurements_arrive_at_the_start_and_at_the_end() {
    let home = tempfile::tempdir().unwrap();
    let server = Server::start(200);
    let mut run = Run::practice(home.path(), &[("HEARTH_OTEL_ENDPOINT", &server.address)]);
    let first = server.until("first report", |got| got.line.starts_with("POST /v1/metrics "));
    assert_eq!(first.headers["content-type"], "application/json");
    let first: Value = serde_json::from_str(&first.body).unwrap();
    let resource = first["resourceMetrics"][0]["resource"]["attributes"].to_string();
    assert!(resource.contains("service.name") && resource.contains("hearth"), "{resource}");
    assert!(!resource.contains("host"), "{resource}");
    run.until("own step", |event| event["event"] == "step" && event["miner"] == "m0");
    run.until("merge", |event| event["event"] == "merge");
    assert_eq!(run.stop(), 0);
    let last = server.until("last report", |got| got.line.starts_with("POST /v1/metrics "));
    let last = metrics(&serde_json::from_str(&last.body).unwrap());
    let work = &last["hearth.backwards"];
    assert_eq!(work.len(), 1);
    assert_eq!(work[0].0["miner"], "m0");
    assert!(work[0].1 >= 1.0, "{work:?}");
    assert!(last["hearth.bytes_sent"][0].1 > 1000.0);
    assert!(last.contains_key("hearth.forward_queue") && last.contains_key("hearth.epoch"));
    let states = &last["hearth.state_seconds"];
    let spent: f64 = states.iter().map(|(_, seconds)| seconds).sum();
    assert!(states.iter().any(|(of, _)| of["state"] == "training"), "{states:?}");
    assert!(spent > 1.0 && spent < 600.0, "{states:?}");
}
