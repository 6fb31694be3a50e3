//! `POST /miner/fleet-telemetry` (spec 11.1): counts what comes, keeps the newest batch of each miner,
//! and says what is wrong with the rest.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::Refused;
use super::desk::Desk;
use super::request::Signed;
use crate::swarm::run::Entry;

/// Most errors that one answer lists.
const MOST_ERRORS: usize = 16;
/// Most bytes of a batch that are kept.
const MOST_KEPT: usize = 64 << 10;

/// What is sent. Everything may be missing.
#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Batch {
    training_metrics: Vec<Value>,
    lifecycle_events: Vec<Value>,
    prometheus_snapshots: Vec<Value>,
    hotkey_name: Option<String>,
}

/// One measured value.
#[derive(Deserialize)]
#[allow(dead_code)] // Read for its shape.
struct Sample {
    name: String,
    #[serde(rename = "type")]
    kind: Kind,
    labels: BTreeMap<String, Value>,
    value: f64,
    timestamp: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Counter,
    Gauge,
    Histogram,
    Summary,
}

/// Takes a batch.
pub(super) async fn take(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let batch: Batch = call.read()?;
    desk.with(|run, _| run.place(&call.hotkey)).await??;
    let mut errors = Vec::new();
    let messages = [
        ("training_metrics", &batch.training_metrics),
        ("lifecycle_events", &batch.lifecycle_events),
    ];
    let mut metrics = 0_u64;
    for (what, list) in messages {
        for (index, message) in list.iter().enumerate() {
            if message.is_object() {
                metrics += 1;
            } else {
                errors.push(format!("{what}[{index}] is not an object"));
            }
        }
    }
    let mut samples = 0_u64;
    for (index, sample) in batch.prometheus_snapshots.iter().enumerate() {
        match Sample::deserialize(sample) {
            Ok(_) => samples += 1,
            Err(error) => errors.push(format!("prometheus_snapshots[{index}]: {error}")),
        }
    }
    errors.truncate(MOST_ERRORS);
    let newest = json!({
        "hotkey_name": batch.hotkey_name, "training_metrics": batch.training_metrics,
        "lifecycle_events": batch.lifecycle_events,
        "prometheus_snapshots": batch.prometheus_snapshots,
    });
    let newest = Some(newest.to_string()).filter(|text| text.len() <= MOST_KEPT);
    let entry = Entry::Telemetry {
        hotkey: call.hotkey.clone(),
        unix: desk.clock.unix_seconds(),
        metrics,
        samples,
        newest: newest.unwrap_or_default(),
    };
    desk.write(&[entry]).await?;
    Ok(json!({
        "accepted_snowpipe": metrics, "accepted_prometheus": samples, "errors": errors,
    }))
}
