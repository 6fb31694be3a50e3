//! The paths of the local API and what each answers. docs/api.md describes them.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Query, State as Of};
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::sse::{KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::refusal::{LARGEST_BODY, Refusal};
use super::{Served, events, gate, ready, watching};
use crate::config::settings::Key;
use crate::config::shown::Shown;
use crate::control::history::Told;
use crate::control::measures;
use crate::control::overview::Overview;
use crate::control::{Addressee, Order};
use crate::miner::{Command, State};
use crate::swarm::SwarmCommand;
use crate::telemetry::logs::{self, Level};

/// As Prometheus names the format.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The longest question that is answered with a proof.
const LONGEST_QUESTION: usize = 128;

/// All paths.
pub(super) fn router(served: Arc<Served>) -> Router {
    Router::new()
        .route(gate::OPEN, get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .route("/v1/snapshot", get(snapshot))
        .route("/v1/snapshots", get(snapshots))
        .route("/v1/events", get(events))
        .route("/v1/history", get(history))
        .route("/v1/commands", post(command))
        .route("/v1/swarm/commands", post(swarm_command))
        .route("/v1/config", get(config))
        .route("/v1/log-level", get(log_level).put(set_log_level))
        .method_not_allowed_fallback(async || Refusal::WrongMethod)
        .fallback(async || Refusal::UnknownPath)
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn_with_state(Arc::clone(&served), gate::guard))
        .with_state(served)
}

#[derive(Deserialize)]
struct Asked {
    question: Option<String>,
}

#[derive(Serialize)]
struct Alive {
    alive: bool,
    pid: u32,
    since: u64,
    /// Shows that this process has the token, to whom has it too.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<String>,
}

async fn health(Of(served): Of<Arc<Served>>, Query(asked): Query<Asked>) -> Json<Alive> {
    let question = asked.question.filter(|question| question.len() <= LONGEST_QUESTION);
    let proof = question.map(|question| served.token.proof(&question));
    Json(Alive { alive: true, pid: served.process.pid, since: served.process.since, proof })
}

async fn ready(Of(served): Of<Arc<Served>>) -> Result<Json<Value>, Refusal> {
    let miners = &served.offer.control.miners;
    let troubles: Vec<String> =
        miners.iter().filter_map(|miner| ready::trouble(&miner.borrow())).collect();
    if troubles.is_empty() {
        Ok(Json(json!({ "ready": true })))
    } else {
        Err(Refusal::NotReady(troubles.join(" ")))
    }
}

async fn metrics(Of(served): Of<Arc<Served>>) -> Response {
    let all = measures::all(&served.overview(), &served.counts.seen());
    let text = measures::open_metrics(&all);
    ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response()
}

async fn snapshot(Of(served): Of<Arc<Served>>) -> Json<Overview> {
    Json(served.overview())
}

async fn snapshots(Of(served): Of<Arc<Served>>) -> Response {
    Sse::new(watching::stream(&served)).keep_alive(KeepAlive::default()).into_response()
}

async fn events(Of(served): Of<Arc<Served>>) -> Response {
    Sse::new(events::stream(&served)).keep_alive(KeepAlive::default()).into_response()
}

async fn history(Of(served): Of<Arc<Served>>) -> Json<Told> {
    Json(served.offer.control.histories.tell())
}

async fn config(Of(served): Of<Arc<Served>>) -> Json<Value> {
    let settings = served.offer.settings.now();
    let all: Vec<Shown> = Key::ALL.into_iter().map(|key| Shown::of(&settings, key)).collect();
    Json(json!({ "file": settings.file(), "settings": all }))
}

async fn command(
    Of(served): Of<Arc<Served>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let order: Order = read(body, Refusal::UnknownCommand)?;
    let names = addressed(&served, &order)?;
    let now = served.offer.clock.unix().as_secs();
    match order.command {
        Command::Pause { until: Some(until) } | Command::RunAnyway { until } if until <= now => {
            return Err(Refusal::TimePassed);
        }
        _ => {}
    }
    tracing::info!("asked through the local API: {:?} for {}", order.command, names.join(", "));
    (served.offer.control.send)(order);
    Ok((StatusCode::ACCEPTED, Json(json!({ "accepted": names }))).into_response())
}

async fn swarm_command(
    Of(served): Of<Arc<Served>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let command: SwarmCommand = read(body, Refusal::UnknownSwarmCommand)?;
    let to_swarm = served.offer.control.to_swarm.as_ref().ok_or(Refusal::NoSwarm)?;
    tracing::info!("asked through the local API: {command:?} for the practice swarm");
    to_swarm(command.clone());
    Ok((StatusCode::ACCEPTED, Json(json!({ "accepted": command }))).into_response())
}

#[derive(Serialize)]
struct LevelNow {
    level: Level,
    /// `api`, `settings`, `default`; `RUST_LOG` where that decides instead of the level.
    origin: &'static str,
}

#[derive(Deserialize)]
struct LevelWanted {
    level: String,
}

fn level_now(served: &Served) -> LevelNow {
    if let Some(level) = logs::asked_level() {
        return LevelNow { level, origin: "api" };
    }
    let said = served.offer.settings.now().get::<Level>(Key::LogLevel).ok().flatten();
    let (level, origin) = said.map_or((Level::Info, "default"), |said| (said.value, "settings"));
    LevelNow { level, origin: if logs::is_told_by_environment() { "RUST_LOG" } else { origin } }
}

async fn log_level(Of(served): Of<Arc<Served>>) -> Json<LevelNow> {
    Json(level_now(&served))
}

async fn set_log_level(
    Of(served): Of<Arc<Served>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<LevelNow>, Refusal> {
    let wanted: LevelWanted = read(body, Refusal::UnknownLevel)?;
    let level = wanted.level.trim().parse::<Level>();
    logs::set_level(level.map_err(|error| Refusal::UnknownLevel(error.to_string()))?);
    Ok(Json(level_now(&served)))
}

/// A body that is small enough and makes sense.
fn read<T: serde::de::DeserializeOwned>(
    body: Result<Bytes, BytesRejection>,
    nonsense: fn(String) -> Refusal,
) -> Result<T, Refusal> {
    let body = body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Refusal::TooLarge,
        _ => nonsense(error.body_text()),
    })?;
    serde_json::from_slice(&body).map_err(|error| nonsense(error.to_string()))
}

/// Whether a miner in this state takes the command: one in fault waits for its switch only.
fn takes(state: State, command: Command) -> bool {
    match state {
        State::Stopped => false,
        State::Fault => matches!(command, Command::Enable | Command::Disable),
        _ => true,
    }
}

/// The names of the miners that a command is for, if they still take it.
fn addressed(served: &Served, order: &Order) -> Result<Vec<String>, Refusal> {
    let to = &order.to;
    let miners = &served.offer.control.miners;
    let all: Vec<(String, State)> = miners
        .iter()
        .map(|miner| (miner.borrow().name.clone(), miner.borrow().status.state))
        .collect();
    let meant = all.iter().filter(|(name, _)| match to {
        Addressee::All => true,
        Addressee::One(wanted) => wanted == name,
    });
    let (able, ended): (Vec<_>, Vec<_>) =
        meant.partition(|(_, state)| takes(*state, order.command));
    let names = |some: &[&(String, State)]| -> Vec<String> {
        some.iter().map(|(name, _)| name.clone()).collect()
    };
    match (to, able.is_empty(), ended.is_empty()) {
        (_, false, _) => Ok(names(&able)),
        (_, true, false) => Err(Refusal::MinerEnded(names(&ended).join(", "))),
        (Addressee::One(wanted), true, true) => Err(Refusal::UnknownMiner {
            wanted: wanted.chars().filter(|c| !c.is_control()).take(60).collect(),
            there: names(&all.iter().collect::<Vec<_>>()).join(", "),
        }),
        (Addressee::All, true, true) => Err(Refusal::MinerEnded("every miner".into())),
    }
}
