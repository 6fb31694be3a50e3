//! Measurements for the network's operator (spec 11.1). Sent only where the user switched it on.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Body of `POST /miner/fleet-telemetry`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FleetTelemetryPayload {
    /// Measurements of the training itself.
    pub training_metrics: Vec<Value>,
    /// What happened to the miner.
    pub lifecycle_events: Vec<Value>,
    /// Counters and gauges.
    pub prometheus_snapshots: Vec<PrometheusSnapshot>,
    /// The wallet's name of the hotkey; null keeps it to the user.
    pub hotkey_name: Option<String>,
}

/// One counter or gauge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PrometheusSnapshot {
    /// Its name.
    pub name: String,
    /// `counter`, `gauge`, `histogram` or `summary`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its labels, texts by name.
    pub labels: serde_json::Map<String, Value>,
    /// Its value.
    pub value: f64,
    /// When, ISO 8601.
    pub timestamp: String,
}

/// Answer to [`FleetTelemetryPayload`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FleetTelemetryResponse {
    /// Events taken.
    pub accepted_snowpipe: u64,
    /// Snapshots taken.
    pub accepted_prometheus: u64,
    /// What was wrong with the others.
    pub errors: Vec<String>,
}
