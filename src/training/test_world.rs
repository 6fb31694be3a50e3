//! A stage and, over real HTTP, the servers behind it, for this module's tests: a store that fails as
//! it is told, and an orchestrator that answers what it is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use serde_json::{Value, json};

use super::local::LocalStage;
use super::record::Recorder;
use super::services::Services;
use super::terms::tests::answer;
use super::terms::{LearningRateRule, Terms};
use super::worker::Worker;
use crate::clock::{Clock, Entropy};
use crate::compute::cpu::CpuDevice;
use crate::config::Constants;
use crate::model::MomentPrecision;
use crate::network::attestation::{Attestor, Provider};
use crate::network::http::{HttpClient, Route};
use crate::network::storage::Storage;
use crate::network::{Orchestrator, Traffic};
use crate::protocol::{Epoch, Hotkey};
use crate::wallet::HotkeyPair;

/// How one request for an object goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// This status.
    Status(u16),
    /// No answer.
    Silence,
    /// Fewer bytes than were asked for.
    Short,
    /// More bytes than were asked for.
    Long,
}

/// Store and orchestrator in one.
#[derive(Clone, Default)]
pub(super) struct Server(Arc<Mutex<Shelf>>);

#[derive(Default)]
pub(super) struct Shelf {
    pub(super) base: String,
    pub(super) objects: HashMap<String, Vec<u8>>,
    /// The next requests for an object (read or written) fail like this.
    pub(super) faults: HashMap<String, Vec<Fault>>,
    /// How often each object was asked for.
    pub(super) asked: HashMap<String, usize>,
    /// Partitions that are this miner's.
    pub(super) assigned: Vec<Value>,
    pub(super) sources: Vec<(String, u64)>,
    /// Merged partitions: chunk and object.
    pub(super) merged: Vec<(usize, String)>,
    pub(super) epoch: u64,
    /// What heartbeats say.
    pub(super) phase: &'static str,
    /// Uploads begun, by file type.
    pub(super) begun: Vec<String>,
    /// Bodies that were submitted: path and body.
    pub(super) submitted: Vec<(String, Value)>,
    /// Answer to the next submissions of weights.
    pub(super) answers: Vec<Value>,
}

impl Server {
    pub(super) fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.0.lock().unwrap()
    }

    /// The next requests for `object` fail.
    pub(super) fn fail(&self, object: &str, faults: &[Fault]) {
        let faults = faults.iter().rev().copied().collect();
        self.shelf().faults.insert(object.to_owned(), faults);
    }
}

fn router(server: Server) -> Router {
    Router::new()
        .route("/blob/{name}", put(write).get(read))
        .route("/miner/heartbeat", get(heartbeat))
        .route("/miner/get_partitions", get(partitions))
        .route("/miner/get_weight_path_per_layer", get(sources))
        .route("/miner/get_previous_partitions", get(|| async { "[]" }))
        .route("/miner/notify_orchestrator_of_state_call", get(|| async { "{}" }))
        .route("/miner/initiate_file_upload", post(begin))
        .route("/miner/submit_merged_partitions", post(submit_merged))
        .route("/miner/submit_weights", post(submit_weights))
        .route("/miner/submit_optimizer_state", post(submit_optimizer))
        .route("/common/get_merged_partitions", get(merged))
        .route("/common/get_run_epoch", get(epoch))
        .with_state(server)
}

/// Takes note of a request for an object; gives its fault, if it has one.
async fn meet(server: &Server, name: &str) -> Option<Fault> {
    let fault = {
        let mut shelf = server.shelf();
        *shelf.asked.entry(name.to_owned()).or_default() += 1;
        shelf.faults.get_mut(name).and_then(Vec::pop)
    };
    if fault == Some(Fault::Silence) {
        std::future::pending::<()>().await;
    }
    fault
}

async fn read(
    State(server): State<Server>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let fault = meet(&server, &name).await;
    if let Some(Fault::Status(status)) = fault {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    let Some(object) = server.shelf().objects.get(&name).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let range = headers["range"].to_str().unwrap().strip_prefix("bytes=").unwrap();
    let (start, end) = range.split_once('-').unwrap();
    let start: usize = start.parse().unwrap();
    let end = end.parse().map_or(object.len(), |end: usize| end + 1);
    let mut bytes = object[start..end].to_vec();
    match fault {
        Some(Fault::Short) => bytes.truncate(bytes.len() / 2),
        Some(Fault::Long) => bytes.push(0),
        _ => {}
    }
    (StatusCode::PARTIAL_CONTENT, bytes).into_response()
}

async fn write(State(server): State<Server>, Path(name): Path<String>, body: Bytes) -> StatusCode {
    let fault = meet(&server, &name).await;
    if let Some(Fault::Status(status)) = fault {
        return StatusCode::from_u16(status).unwrap();
    }
    server.shelf().objects.insert(name, body.to_vec());
    StatusCode::OK
}

async fn heartbeat(State(server): State<Server>) -> String {
    let phase = server.shelf().phase;
    json!({"run_id": "r", "layer": 1, "epoch": 3, "phase": phase}).to_string()
}

async fn partitions(State(server): State<Server>) -> String {
    Value::from(server.shelf().assigned.clone()).to_string()
}

async fn sources(State(server): State<Server>) -> String {
    let shelf = server.shelf();
    let source = |(name, factor): &(String, u64)| {
        let url = format!("{}/blob/{name}", shelf.base);
        json!({"layer": 1, "weights_path_presigned": url, "weighting_factor": factor})
    };
    Value::from(shelf.sources.iter().map(source).collect::<Vec<_>>()).to_string()
}

async fn merged(State(server): State<Server>) -> String {
    let shelf = server.shelf();
    let partition = |(chunk, name): &(usize, String)| {
        json!({"layer": 1, "chunk_number": chunk, "miner_hotkey": "a", "other_miner_hotkey": "b",
               "blob_path": format!("{}/blob/{name}", shelf.base)})
    };
    Value::from(shelf.merged.iter().map(partition).collect::<Vec<_>>()).to_string()
}

async fn epoch(State(server): State<Server>) -> String {
    json!({"run_id": "r", "epoch": server.shelf().epoch}).to_string()
}

/// Objects are named by their type and the number of uploads of it before.
async fn begin(State(server): State<Server>, body: Bytes) -> String {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let file = request["file_type"].as_str().unwrap().to_owned();
    let mut shelf = server.shelf();
    let name = format!("{file}-{}", shelf.begun.iter().filter(|other| **other == file).count());
    shelf.begun.push(file);
    let url = format!("{}/blob/{name}", shelf.base);
    json!({"object_name": name, "urls": [url], "upload_id": null}).to_string()
}

fn submit(server: &Server, call: &str, body: &Bytes) {
    let body = serde_json::from_slice(body).unwrap();
    server.shelf().submitted.push((call.to_owned(), body));
}

async fn submit_merged(State(server): State<Server>, body: Bytes) -> &'static str {
    submit(&server, "merged", &body);
    "{}"
}

async fn submit_weights(State(server): State<Server>, body: Bytes) -> String {
    submit(&server, "weights", &body);
    let answer = server.shelf().answers.pop();
    answer
        .unwrap_or_else(|| json!({"message": "", "should_upload_optimizer_state": false}))
        .to_string()
}

async fn submit_optimizer(State(server): State<Server>, body: Bytes) -> &'static str {
    submit(&server, "optimizer", &body);
    "{}"
}

/// A stage that has begun epoch 3, the servers behind it, and the record.
pub(super) async fn world() -> (Server, Services, LocalStage, Recorder) {
    let server = Server::default();
    let base = crate::network::test_server::start(router(server.clone())).await;
    server.shelf().base.clone_from(&base);
    server.shelf().epoch = 4;
    server.shelf().phase = "weights_uploading";
    let clock = Clock::system();
    let mut constants = Constants::practice();
    constants.heartbeat = Duration::from_millis(200);
    constants.storage.first_retry_pause = Duration::from_millis(1);
    let limit = Duration::from_millis(500);
    constants.storage.timeout = Duration::from_secs(5);
    constants.storage.part_timeout = limit;
    constants.storage.part_stall = limit;
    let hotkey = Arc::new(HotkeyPair::generate(&mut Entropy::seeded(1, "training test")));
    let limit = Duration::from_secs(5);
    let http = HttpClient::new(Route::Loopback, limit, clock.clone(), Traffic::default()).unwrap();
    let orchestrator = Orchestrator::new(
        http.clone(),
        base.parse().unwrap(),
        Arc::clone(&hotkey),
        &constants,
        clock.clone(),
        Entropy::seeded(2, "training test"),
    );
    let storage = Storage::new(http, constants.storage.clone(), clock.clone());
    let attestor = Attestor::new(Provider::Nobody, Duration::from_secs(1), clock.clone());
    let constants = Arc::new(constants);
    let time = crate::telemetry::spent::TimeSheet::new(clock.clone());
    let services = Services { orchestrator, storage, attestor, clock, constants, time };
    let recorder = Recorder::in_memory();
    let name = hotkey.address().clone();
    let stage = stage_of(name, recorder.clone(), MomentPrecision::F32).await;
    (server, services, stage, recorder)
}

async fn stage_of(name: Hotkey, recorder: Recorder, moments: MomentPrecision) -> LocalStage {
    let mut terms = Terms::read(&answer(), LearningRateRule::FromRun).unwrap();
    terms.spec.moments = moments;
    let worker = Worker::start("test").unwrap();
    let device = Arc::new(CpuDevice::new(Some(1)));
    let mut stage = LocalStage::build(&worker, device, terms, 7, name, recorder).await.unwrap();
    stage.begin_epoch(Epoch(3), Vec::new()).await.unwrap();
    stage
}

/// The stage alone, with its moments kept like this.
pub(super) async fn built(moments: MomentPrecision) -> LocalStage {
    stage_of(Hotkey::from_public_key(&[7; 32]), Recorder::in_memory(), moments).await
}

/// Numbers of an activation that is not quite any other.
pub(super) fn numbers(stage: &LocalStage, salt: usize) -> Vec<half::bf16> {
    let len = stage.terms().activation_shape().iter().product();
    let number = |i: usize| half::bf16::from_f32(((i + salt * 3) % 7) as f32 * 0.1 - 0.2);
    (0..len).map(number).collect()
}

/// One backward of activation `salt`.
pub(super) async fn work(stage: &mut LocalStage, salt: usize) {
    let (input, gradient) = (numbers(stage, salt), numbers(stage, salt + 1));
    let id = crate::protocol::ActivationId(format!("a{salt}"));
    let input = Arc::new(super::queue::Input::Activation(input));
    let gradient = super::local::Gradient::Activation(gradient.into());
    stage.backward(&id, input, gradient, None).await.unwrap();
}

/// A stage that is some way into its run, at the start of epoch 5.
pub(super) async fn trained() -> LocalStage {
    let (_, _, mut stage, _) = world().await;
    stage.terms_mut().hyper.accumulation = 1;
    // As one that does not warm up: its weights move.
    stage.terms_mut().epoch = Epoch(1);
    work(&mut stage, 1).await;
    stage.step_if_due().await.unwrap().unwrap();
    stage.begin_epoch(Epoch(5), Vec::new()).await.unwrap();
    stage.terms_mut().hyper.accumulation = 3;
    stage
}
