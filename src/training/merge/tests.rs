//! Merging against real HTTP: what comes out is the outer step over the sources that could be read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use serde_json::{Value, json};

use super::*;
use crate::clock::{Clock, Entropy};
use crate::compute::cpu::CpuDevice;
use crate::config::Constants;
use crate::network::http::{HttpClient, Route};
use crate::network::storage::Storage;
use crate::network::{Orchestrator, Traffic};
use crate::protocol::StageIndex;
use crate::protocol::blob::{encode_weights, parse_partition_trailer, split_object, values_at};
use crate::training::record::Recorder;
use crate::training::terms::tests::answer;
use crate::training::terms::{LearningRateRule, Terms};
use crate::training::worker::Worker;
use crate::wallet::HotkeyPair;

/// Store and orchestrator in one.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Shelf>>);

#[derive(Default)]
struct Shelf {
    base: String,
    objects: HashMap<String, Vec<u8>>,
    /// Objects whose next so many reads fail with status 500.
    failing: HashMap<String, usize>,
    sources: Vec<(String, u64)>,
    submitted: Vec<Value>,
}

fn router(server: Server) -> Router {
    Router::new()
        .route("/blob/{name}", get(read))
        .route("/blob/{name}", put(write))
        .route("/miner/get_partitions", get(partitions))
        .route("/miner/get_weight_path_per_layer", get(sources))
        .route("/miner/get_previous_partitions", get(|| async { "[]" }))
        .route("/miner/initiate_file_upload", post(begin))
        .route("/miner/submit_merged_partitions", post(submit))
        .with_state(server)
}

async fn read(
    State(server): State<Server>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    let mut shelf = server.0.lock().unwrap();
    if let Some(left) = shelf.failing.get_mut(&name).filter(|left| **left > 0) {
        *left -= 1;
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    let Some(object) = shelf.objects.get(&name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let range = headers["range"].to_str().unwrap().strip_prefix("bytes=").unwrap();
    let (start, end) = range.split_once('-').unwrap();
    let start: usize = start.parse().unwrap();
    let end = end.parse().map_or(object.len(), |end: usize| end + 1);
    (StatusCode::PARTIAL_CONTENT, object[start..end].to_vec()).into_response()
}

async fn write(State(server): State<Server>, Path(name): Path<String>, body: Bytes) {
    server.0.lock().unwrap().objects.insert(name, body.to_vec());
}

async fn partitions() -> String {
    json!([Partition::new(StageIndex(1), ChunkNumber(1), "me", Some("you"))]).to_string()
}

async fn sources(State(server): State<Server>) -> String {
    let shelf = server.0.lock().unwrap();
    let source = |(name, factor): &(String, u64)| {
        let url = format!("{}/blob/{name}", shelf.base);
        json!({"layer": 1, "weights_path_presigned": url, "weighting_factor": factor})
    };
    Value::from(shelf.sources.iter().map(source).collect::<Vec<_>>()).to_string()
}

async fn begin(State(server): State<Server>) -> String {
    let base = server.0.lock().unwrap().base.clone();
    json!({"object_name": "merged", "urls": [format!("{base}/blob/merged")], "upload_id": null})
        .to_string()
}

async fn submit(State(server): State<Server>, body: Bytes) -> &'static str {
    server.0.lock().unwrap().submitted.push(serde_json::from_slice(&body).unwrap());
    "{}"
}

/// A stage that has begun epoch 3, the servers behind it, and the record.
async fn world() -> (Server, Services, LocalStage, Recorder) {
    let server = Server::default();
    let base = crate::network::test_server::start(router(server.clone())).await;
    server.0.lock().unwrap().base.clone_from(&base);
    let clock = Clock::system();
    let mut constants = Constants::practice();
    constants.storage.first_retry_pause = Duration::from_millis(1);
    let hotkey = Arc::new(HotkeyPair::generate(&mut Entropy::seeded(1, "merge test")));
    let limit = Duration::from_secs(5);
    let http = HttpClient::new(Route::Loopback, limit, clock.clone(), Traffic::default()).unwrap();
    let orchestrator = Orchestrator::new(
        http.clone(),
        base.parse().unwrap(),
        Arc::clone(&hotkey),
        &constants,
        clock.clone(),
        Entropy::seeded(2, "merge test"),
    );
    let storage = Storage::new(http, constants.storage.clone(), clock.clone());
    let attestor = Attestor::new(Provider::Nobody, Duration::from_secs(1), clock.clone());
    let constants = Arc::new(constants);
    let services = Services { orchestrator, storage, attestor, clock, constants };
    let terms = Terms::read(&answer(), LearningRateRule::FromRun).unwrap();
    let worker = Worker::start("test").unwrap();
    let device = Arc::new(CpuDevice::new(Some(1)));
    let recorder = Recorder::in_memory();
    let name = hotkey.address().clone();
    let mut stage =
        LocalStage::build(&worker, device, terms, 7, name, recorder.clone()).await.unwrap();
    stage.begin_epoch(Epoch(3), Vec::new()).await.unwrap();
    (server, services, stage, recorder)
}

fn gradient(len: usize, factor: f32) -> Vec<bf16> {
    #[allow(clippy::cast_precision_loss)]
    let at = |i: usize| bf16::from_f32((i % 17) as f32 * factor);
    (0..len).map(at).collect()
}

impl Server {
    fn put_source(&self, name: &str, factor: u64, values: Option<&[bf16]>) {
        let mut shelf = self.0.lock().unwrap();
        shelf.sources.push((name.to_owned(), factor));
        if let Some(values) = values {
            let blob = encode_weights(values, 2, 9).unwrap();
            shelf.objects.insert(name.to_owned(), blob);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreadable_sources_are_left_out_and_flaky_ones_are_retried() {
    let (server, services, stage, recorder) = world().await;
    let previous = stage.previous().cloned().unwrap();
    let (a, b) = (gradient(previous.len(), 1e-3), gradient(previous.len(), -2e-3));
    server.put_source("a", 3, Some(&a));
    server.put_source("gone", 50, None);
    server.put_source("b", 1, Some(&b));
    server.put_source("other-model", 50, Some(&a[1..]));
    let mut broken = a.clone();
    broken[previous.len() - 1] = bf16::NAN;
    server.put_source("broken", 50, Some(&broken));
    server.0.lock().unwrap().failing.insert("b".into(), 3);

    let seen = Mutex::new(Vec::new());
    let progress = |done: usize, of: usize| seen.lock().unwrap().push((done, of));
    let done = merge_partitions(&services, &stage, &progress).await.unwrap();

    assert_eq!(done, MergeDone::Merged(1));
    assert_eq!(*seen.lock().unwrap(), [(1, 1)]);
    let range = previous.len() / 2..previous.len();
    let sources = [
        Source { gradient: &a[range.clone()], weight: 3.0 },
        Source { gradient: &b[range.clone()], weight: 1.0 },
    ];
    let average = merge::average(&sources).unwrap();
    let expected = merge::outer_step(&narrow(&previous[range]), &average, None, 3).unwrap();
    let shelf = server.0.lock().unwrap();
    let object = &shelf.objects["merged"];
    let (offset, trailer) = split_object(object).unwrap();
    let trailer = parse_partition_trailer(trailer, offset).unwrap();
    assert_eq!((trailer.chunk, trailer.layer), (ChunkNumber(1), StageIndex(1)));
    assert_eq!(values_at(object, &trailer.weights.bytes).unwrap(), expected.weights);
    let state = trailer.optimizer_state.unwrap();
    assert_eq!(values_at(object, &state.bytes).unwrap(), expected.buffer);
    let sent = &shelf.submitted[0]["partitions"][0];
    assert_eq!(
        (&sent["blob_path"], &sent["other_miner_hotkey"]),
        (&json!("merged"), &json!("you"))
    );
    let used = recorder.entries().into_iter().find_map(|entry| match entry.deed {
        Deed::Merge { sources, .. } => Some(sources),
        _ => None,
    });
    assert_eq!(used.unwrap(), [("/blob/a".to_owned(), 3.0), ("/blob/b".to_owned(), 1.0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_single_source_nothing_is_handed_in() {
    let (server, services, stage, _) = world().await;
    assert_eq!(merge_partitions(&services, &stage, &|_, _| ()).await.unwrap(), MergeDone::NotYet);
    server.put_source("gone", 1, None);
    let failed = merge_partitions(&services, &stage, &|_, _| ()).await.unwrap_err();
    assert!(matches!(failed, MergeFailure::NoSource { chunk: ChunkNumber(1), .. }), "{failed}");
    assert!(server.0.lock().unwrap().submitted.is_empty());
}

#[test]
fn an_objects_name_carries_no_signature() {
    let name = object_of("http://127.0.0.1:9/bucket/run/a.bin?X-Amz-Signature=secret");
    assert_eq!(name, "/bucket/run/a.bin");
    assert_eq!(object_of("not an address"), "");
}
