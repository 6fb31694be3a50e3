//! Measurements for the network's operator (spec 11.1), where the user switched that on. They are
//! counters that the dashboard shows too; nothing about the machine, the place or the wallet.

use super::board::Board;
use super::life::FleetTelemetry;
use super::snapshot::MinerSnapshot;
use crate::protocol::messages::{FleetTelemetryPayload, PrometheusSnapshot};
use crate::training::services::Services;

/// Reports for ever, or waits for ever where the user did not switch it on.
pub(super) async fn report(choice: FleetTelemetry, services: &Services, board: &Board) {
    if choice == FleetTelemetry::Off {
        return std::future::pending().await;
    }
    loop {
        services.clock.sleep(services.constants.fleet_telemetry).await;
        // Before registration the network knows nobody here.
        if board.read(|snapshot| snapshot.stage.is_none()) {
            continue;
        }
        let payload = board.read(|snapshot| payload(snapshot, &services.clock.iso8601()));
        if let Err(error) = services.orchestrator.fleet_telemetry(&payload).await {
            tracing::debug!("fleet telemetry: {error}");
        }
    }
}

fn payload(snapshot: &MinerSnapshot, now: &str) -> FleetTelemetryPayload {
    let stage = snapshot.stage.unwrap_or_default().to_string();
    let metric = |name: &str, kind: &str, direction: Option<&str>, value: f64| {
        let mut labels = serde_json::Map::new();
        labels.insert("layer_idx".to_owned(), stage.clone().into());
        if let Some(direction) = direction {
            labels.insert("direction".to_owned(), direction.into());
        }
        let (name, kind, timestamp) = (name.to_owned(), kind.to_owned(), now.to_owned());
        PrometheusSnapshot { name, kind, labels, value, timestamp }
    };
    #[allow(clippy::cast_precision_loss)]
    let count = |n: u64| n as f64;
    let work = &snapshot.work;
    let processed = "activations_processed_total";
    let mut all = vec![
        metric(processed, "counter", Some("forward"), count(work.forwards)),
        metric(processed, "counter", Some("backward"), count(work.backwards)),
    ];
    if let Some(loss) = snapshot.losses.last() {
        all.push(metric("training_loss", "gauge", None, *loss));
    }
    FleetTelemetryPayload { prometheus_snapshots: all, ..FleetTelemetryPayload::default() }
}
