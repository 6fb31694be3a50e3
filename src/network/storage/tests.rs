//! The client against a real HTTP server that behaves as an object store, or misbehaves.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{post, put};

use super::*;
use crate::clock::Entropy;
use crate::config::constants::Constants;
use crate::network::orchestrator::Orchestrator;
use crate::network::test_server::{self, Scripted};
use crate::protocol::bf16::bf16;
use crate::protocol::blob::{encode_partition, encode_weights};
use crate::protocol::ids::{ChunkNumber, StageIndex};
use crate::protocol::messages::FileType;
use crate::wallet::HotkeyPair;

fn storage() -> Storage {
    let rules = StorageConstants {
        first_retry_pause: Duration::from_millis(5),
        timeout: Duration::from_secs(5),
        max_text_bytes: 100,
        ..StorageConstants::default()
    };
    Storage::new(test_server::client(), rules, Clock::system())
}

/// A store and orchestrator in one.
#[derive(Clone, Default)]
struct Store(Arc<StoreState>);

#[derive(Default)]
struct StoreState {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    parts: Mutex<BTreeMap<usize, Vec<u8>>>,
    requests: AtomicUsize,
    /// So many requests are answered with 503 first.
    outages: AtomicUsize,
    base: Mutex<String>,
    completed: Mutex<serde_json::Value>,
}

impl Store {
    async fn start(&self) -> String {
        let router = Router::new()
            .route("/o/{name}", put(put_object).get(get_object))
            .route("/p/{number}", put(put_part))
            .route("/miner/initiate_file_upload", post(initiate))
            .route("/miner/complete_multipart_upload", post(complete))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(self.clone());
        let base = test_server::start(router).await;
        self.0.base.lock().unwrap().clone_from(&base);
        base
    }

    fn put(&self, name: &str, bytes: Vec<u8>) {
        self.0.objects.lock().unwrap().insert(name.to_owned(), bytes);
    }

    /// Whether this request meets an outage.
    fn out(&self) -> bool {
        self.0.requests.fetch_add(1, Ordering::SeqCst);
        let left = |n: usize| n.checked_sub(1);
        self.0.outages.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left).is_ok()
    }
}

async fn initiate(State(store): State<Store>, body: Bytes) -> String {
    let request: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let count = request["num_parts"].as_u64().unwrap();
    let base = store.0.base.lock().unwrap().clone();
    if request["multipart"].as_bool().unwrap() {
        let urls: Vec<_> = (1..=count).map(|n| format!("{base}/p/{n}")).collect();
        serde_json::json!({"object_name": "big", "urls": urls, "upload_id": "u"}).to_string()
    } else {
        let urls = [format!("{base}/o/small")];
        serde_json::json!({"object_name": "small", "urls": urls, "upload_id": null}).to_string()
    }
}

async fn complete(State(store): State<Store>, body: Bytes) -> String {
    *store.0.completed.lock().unwrap() = serde_json::from_slice(&body).unwrap();
    let whole = store.0.parts.lock().unwrap().values().flatten().copied().collect();
    store.put("big", whole);
    r#"{"object_path": "big"}"#.to_owned()
}

async fn put_part(State(store): State<Store>, Path(n): Path<usize>, body: Bytes) -> Response {
    if store.out() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    store.0.parts.lock().unwrap().insert(n, body.to_vec());
    [("etag", format!("\"e{n}\""))].into_response()
}

async fn put_object(State(store): State<Store>, Path(name): Path<String>, body: Bytes) -> Response {
    if store.out() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    store.put(&name, body.to_vec());
    StatusCode::OK.into_response()
}

async fn get_object(
    State(store): State<Store>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Response {
    if store.out() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let Some(object) = store.0.objects.lock().unwrap().get(&name).cloned() else {
        return (StatusCode::NOT_FOUND, "NoSuchKey").into_response();
    };
    let Some(range) = headers.get("range") else { return object.into_response() };
    let range = range.to_str().unwrap().strip_prefix("bytes=").unwrap();
    let (start, end) = range.split_once('-').unwrap();
    let start: usize = start.parse().unwrap();
    let end = end.parse().map_or(object.len(), |last: usize| (last + 1).min(object.len()));
    (StatusCode::PARTIAL_CONTENT, object[start..end].to_vec()).into_response()
}

fn orchestrator(base: &str) -> Orchestrator {
    let hotkey = Arc::new(HotkeyPair::generate(&mut Entropy::seeded(1, "hotkey")));
    let (clock, entropy) = (Clock::system(), Entropy::seeded(2, "ids"));
    let constants = Constants::practice();
    let base = base.parse().unwrap();
    Orchestrator::new(test_server::client(), base, hotkey, &constants, clock, entropy)
}

async fn upload(
    orchestrator: &Orchestrator,
    file_type: FileType,
    source: &Vec<u8>,
) -> Result<String, UploadError> {
    let mut job = UploadJob::new();
    storage().upload(orchestrator, file_type, &mut job, source, Escort::none()).await
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n % 251) as u8).collect()
}

#[tokio::test]
async fn a_small_object_goes_up_in_one_piece_through_an_outage() {
    let store = Store::default();
    let base = store.start().await;
    store.0.outages.store(2, Ordering::SeqCst);
    let source = pattern(1000);
    let upload = upload(&orchestrator(&base), FileType::Weights, &source).await;
    assert_eq!(upload.unwrap(), "small");
    assert_eq!(store.0.objects.lock().unwrap()["small"], source);
    assert_eq!(store.0.requests.load(Ordering::SeqCst), 3);
    assert!(store.0.completed.lock().unwrap().is_null(), "one part needs no completion");
}

#[tokio::test]
async fn a_large_object_goes_up_in_parts_and_is_completed_in_order() {
    let store = Store::default();
    let base = store.start().await;
    store.0.outages.store(1, Ordering::SeqCst);
    let source = pattern((21 << 20) + 5);
    let upload = upload(&orchestrator(&base), FileType::Partition, &source).await;
    assert_eq!(upload.unwrap(), "big");
    assert!(store.0.objects.lock().unwrap()["big"] == source);
    let completed = store.0.completed.lock().unwrap().clone();
    assert_eq!(completed["upload_id"], "u");
    let parts = serde_json::json!([
        {"PartNumber": 1, "ETag": "e1"}, {"PartNumber": 2, "ETag": "e2"},
        {"PartNumber": 3, "ETag": "e3"},
    ]);
    assert_eq!(completed["parts"], parts);
}

#[tokio::test]
async fn uploads_that_cannot_work_say_why() {
    let store = Store::default();
    let base = store.start().await;
    let orchestrator = orchestrator(&base);
    let empty = upload(&orchestrator, FileType::Weights, &Vec::new()).await;
    assert!(matches!(empty, Err(UploadError::Empty)));
    store.0.outages.store(100, Ordering::SeqCst);
    let failed = upload(&orchestrator, FileType::Weights, &pattern(9)).await;
    let Err(UploadError::Part { part: 1, attempts: 4, status: Some(503), why }) = failed else {
        panic!("{failed:?}")
    };
    assert!(why.contains("503"), "{why}");
}

#[tokio::test]
async fn blobs_are_read_by_header_trailer_and_region_and_trailers_remembered() {
    let store = Store::default();
    let base = store.start().await;
    let values: Vec<bf16> = (0..100_u8).map(|n| bf16::from_f32(f32::from(n))).collect();
    store.put("w", encode_weights(&values, 3, 7).unwrap());
    let (chunk, layer) = (ChunkNumber(2), StageIndex(1));
    store.put("p", encode_partition(&values[..40], &values[60..], chunk, layer).unwrap());
    let storage = storage();
    let (w, p) = (format!("{base}/o/w"), format!("{base}/o/p"));

    let trailer = storage.weights_trailer(&w).await.unwrap();
    assert_eq!((trailer.len, trailer.num_sections, trailer.local_optimization_steps), (100, 3, 7));
    let range = trailer.section_bytes(ChunkNumber(2)).unwrap();
    assert_eq!(storage.get_values(&w, range).await.unwrap(), values[66..]);
    let before = store.0.requests.load(Ordering::SeqCst);
    storage.weights_trailer(&w).await.unwrap();
    assert_eq!(store.0.requests.load(Ordering::SeqCst), before);

    let trailer = storage.partition_trailer(&p).await.unwrap();
    assert_eq!((trailer.chunk, trailer.layer), (chunk, layer));
    let weights = storage.get_values(&p, trailer.weights.bytes).await.unwrap();
    assert_eq!(weights, values[..40]);
    let state = trailer.optimizer_state.unwrap().bytes;
    assert_eq!(storage.get_values(&p, state).await.unwrap(), values[60..]);

    let wrong = storage.partition_trailer(&w).await.unwrap_err();
    assert!(matches!(wrong, DownloadError::Blob(_)), "{wrong}");
}

#[tokio::test]
async fn outages_are_waited_out_and_refusals_are_final() {
    let store = Store::default();
    let base = store.start().await;
    store.put("x", pattern(50));
    store.0.outages.store(3, Ordering::SeqCst);
    let url = format!("{base}/o/x");
    assert_eq!(storage().get_range(&url, 10..20).await.unwrap(), pattern(50)[10..20]);
    assert_eq!(store.0.requests.load(Ordering::SeqCst), 4);
    assert_eq!(storage().get_range(&url, 7..7).await.unwrap(), b"");
    let gone = storage().get_range(&format!("{base}/o/y"), 0..1).await.unwrap_err();
    assert!(matches!(gone, DownloadError::Refused { status: 404, .. }));
    assert_eq!(store.0.requests.load(Ordering::SeqCst), 5, "a refusal is not retried");
    let message = gone.to_string();
    assert!(!message.contains("127.0.0.1"), "addresses are secret: {message}");
}

#[tokio::test]
async fn short_long_and_unranged_answers_are_caught() {
    let server = Scripted::start(&[(206, "12345")]).await;
    let short = storage().get_range(&server.base, 0..9).await.unwrap_err();
    assert_eq!(short, DownloadError::Truncated { expected: 9, got: 5 });
    assert_eq!(server.seen().len(), 4, "truncation may pass");
    assert_eq!(server.seen()[0].header("range"), "bytes=0-8");
    let long = storage().get_range(&server.base, 0..4).await.unwrap_err();
    assert_eq!(long, DownloadError::TooLarge(4));
    let server = Scripted::start(&[(200, "12345")]).await;
    let whole = storage().get_range(&server.base, 0..5).await.unwrap_err();
    assert_eq!(whole, DownloadError::NotAsAsked { status: 200 });
}

fn zipped(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut writer, bytes).unwrap();
    writer.finish().unwrap()
}

/// Answers one connection after the other by writing raw bytes, then closes it or keeps silent.
/// Gives its address, and what it was asked.
async fn raw_server(answers: &'static [(&'static str, bool)]) -> (String, Arc<Mutex<Vec<String>>>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let record = Arc::clone(&asked);
    tokio::spawn(async move {
        let mut open = Vec::new();
        for (answer, closes) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4096];
            let len = stream.read(&mut request).await.unwrap();
            record.lock().unwrap().push(String::from_utf8_lossy(&request[..len]).into_owned());
            stream.write_all(answer.as_bytes()).await.unwrap();
            if !closes {
                open.push(stream);
            }
        }
    });
    (format!("http://{address}/"), asked)
}

#[tokio::test]
async fn a_download_that_stalls_or_breaks_off_goes_on_where_it_was() {
    const BREAKS: &str = "HTTP/1.1 206 Partial Content\r\ncontent-length: 9\r\n\r\n12345";
    const STALLS: &str = "HTTP/1.1 206 Partial Content\r\ncontent-length: 4\r\n\r\n67";
    const ENDS: &str = "HTTP/1.1 206 Partial Content\r\ncontent-length: 2\r\n\r\n89";
    let (url, asked) =
        raw_server(&[(BREAKS, true), (STALLS, false), ("", false), (ENDS, true)]).await;
    let rules = StorageConstants {
        first_retry_pause: Duration::from_millis(5),
        part_timeout: Duration::from_millis(300),
        part_stall: Duration::from_millis(300),
        ..StorageConstants::default()
    };
    let storage = Storage::new(test_server::client(), rules, Clock::system());
    assert_eq!(storage.get_range(&url, 0..9).await.unwrap(), b"123456789");
    let ranges: Vec<_> = asked.lock().unwrap().iter().map(|r| range_of(r)).collect();
    assert_eq!(ranges, ["bytes=0-8", "bytes=5-8", "bytes=7-8", "bytes=7-8"], "it goes on");
}

/// The range that a raw request asks for.
fn range_of(request: &str) -> String {
    let line = request.lines().find_map(|line| line.strip_prefix("range: ")).unwrap();
    line.to_owned()
}

#[tokio::test]
async fn samples_must_be_text_of_bounded_size() {
    let store = Store::default();
    let base = store.start().await;
    store.put("t", "Once upon a time é".as_bytes().to_vec());
    store.put("b", b"ab\xff".to_vec());
    store.put("g", b"\x1f\x8b\x08\x00".to_vec());
    store.put("z", zipped("Packed é".as_bytes()));
    store.put("full", zipped(&[b'x'; 100]));
    // What is sent is small; what it would become is not allowed.
    store.put("bomb", zipped(&[b'x'; 101]));
    store.put("zb", zipped(b"ab\xff"));
    store.put("l", vec![b'x'; 101]);
    let get = async |name: &str| storage().get_text(&format!("{base}/o/{name}")).await;
    assert_eq!(get("t").await.unwrap(), "Once upon a time é");
    assert_eq!(get("b").await.unwrap_err(), DownloadError::NotText { valid_up_to: 2 });
    assert!(matches!(get("g").await.unwrap_err(), DownloadError::Compressed(_)));
    assert_eq!(get("z").await.unwrap(), "Packed é");
    assert_eq!(get("full").await.unwrap().len(), 100);
    assert_eq!(get("bomb").await.unwrap_err(), DownloadError::TooLarge(100));
    assert_eq!(get("zb").await.unwrap_err(), DownloadError::NotText { valid_up_to: 2 });
    assert_eq!(get("l").await.unwrap_err(), DownloadError::TooLarge(100));
    let nowhere = storage().get_text("not a url").await.unwrap_err();
    assert!(matches!(nowhere, DownloadError::Address(_)), "{nowhere}");
}
