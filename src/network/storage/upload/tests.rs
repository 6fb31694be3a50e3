//! Uploads against a real HTTP server that hangs, refuses, breaks and forgets.

mod limited;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{post, put};
use futures::StreamExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};

use super::*;
use crate::clock::{Clock, Entropy};
use crate::config::Constants;
use crate::config::constants::StorageConstants;
use crate::network::test_server;
use crate::wallet::HotkeyPair;

/// What the server does with one try of a part.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Answers with this status after it has read everything.
    Status(u16),
    /// Reads nothing and never answers.
    Deaf,
    /// Reads everything and never answers.
    Mute,
    /// Reads a little, then breaks the connection.
    Break,
    /// Reads, and takes it, but no more than about so many bytes a second.
    Slow(usize),
}

#[derive(Default)]
struct Books {
    base: String,
    /// The next tries of a part, by its number from 1; without an entry they are taken.
    faults: HashMap<usize, VecDeque<Fault>>,
    /// Parts of the upload under way.
    parts: BTreeMap<usize, Vec<u8>>,
    /// How often each part was begun, and stored.
    begun: BTreeMap<usize, usize>,
    stored: BTreeMap<usize, usize>,
    initiated: usize,
    /// The next completions are answered like this.
    refusals: VecDeque<Value>,
    object: Option<Vec<u8>>,
    /// Only lengths are kept.
    careless: bool,
}

/// A store and orchestrator in one.
#[derive(Clone, Default)]
struct Server(Arc<Mutex<Books>>);

impl Server {
    async fn start() -> Self {
        let server = Self::default();
        let router = Router::new()
            .route("/p/{upload}/{number}", put(put_part))
            .route("/miner/initiate_file_upload", post(initiate))
            .route("/miner/complete_multipart_upload", post(complete))
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(server.clone());
        let base = test_server::start(router).await;
        server.books().base = base;
        server
    }

    fn books(&self) -> std::sync::MutexGuard<'_, Books> {
        self.0.lock().unwrap()
    }

    fn fail(&self, part: usize, faults: &[Fault]) {
        self.books().faults.insert(part, faults.iter().copied().collect());
    }

    fn orchestrator(&self) -> Orchestrator {
        let hotkey = Arc::new(HotkeyPair::generate(&mut Entropy::seeded(1, "hotkey")));
        let base = self.books().base.parse().unwrap();
        let (clock, entropy) = (Clock::system(), Entropy::seeded(2, "ids"));
        let constants = Constants::practice();
        Orchestrator::new(test_server::client(), base, hotkey, &constants, clock, entropy)
    }
}

async fn initiate(State(server): State<Server>, body: Bytes) -> String {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let mut books = server.books();
    books.initiated += 1;
    books.parts.clear();
    let upload = books.initiated;
    let count = request["num_parts"].as_u64().unwrap();
    let urls: Vec<_> = (1..=count).map(|n| format!("{}/p/{upload}/{n}", books.base)).collect();
    json!({"object_name": format!("object-{upload}"), "urls": urls, "upload_id": upload.to_string()})
        .to_string()
}

async fn complete(State(server): State<Server>, body: Bytes) -> String {
    let request: Value = serde_json::from_slice(&body).unwrap();
    let mut books = server.books();
    if let Some(refusal) = books.refusals.pop_front() {
        return refusal.to_string();
    }
    let numbers: Vec<u64> = request["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["PartNumber"].as_u64().unwrap())
        .collect();
    assert!(numbers.iter().copied().eq(1..=books.parts.len() as u64), "{numbers:?}");
    assert_eq!(request["upload_id"], books.initiated.to_string());
    books.object = Some(books.parts.values().flatten().copied().collect());
    json!({"object_path": request["object_name"]}).to_string()
}

async fn put_part(
    State(server): State<Server>,
    Path((upload, number)): Path<(usize, usize)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let fault = {
        let mut books = server.books();
        if upload != books.initiated {
            return (StatusCode::NOT_FOUND, "NoSuchUpload").into_response();
        }
        *books.begun.entry(number).or_default() += 1;
        books.faults.get_mut(&number).and_then(VecDeque::pop_front)
    };
    let length: usize = headers["content-length"].to_str().unwrap().parse().unwrap();
    assert!(!headers.contains_key("transfer-encoding"), "a presigned PUT must say its length");
    if matches!(fault, Some(Fault::Deaf)) {
        std::future::pending::<()>().await;
    }
    let mut stream = body.into_data_stream();
    let (mut bytes, mut count) = (Vec::new(), 0);
    let careless = server.books().careless;
    while let Some(piece) = stream.next().await {
        if let (Some(Fault::Slow(speed)), Ok(piece)) = (fault, &piece) {
            #[allow(clippy::cast_precision_loss)]
            let pause = piece.len() as f64 / speed as f64;
            tokio::time::sleep(Duration::from_secs_f64(pause)).await;
        }
        let Ok(piece) = piece else { return StatusCode::BAD_REQUEST.into_response() };
        count += piece.len();
        if !careless {
            bytes.extend_from_slice(&piece);
        }
        if matches!(fault, Some(Fault::Break)) {
            // Hyper closes a connection whose request was not read to its end.
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
    }
    assert_eq!(count, length);
    match fault {
        Some(Fault::Status(status)) => StatusCode::from_u16(status).unwrap().into_response(),
        Some(Fault::Mute) => std::future::pending().await,
        _ => {
            let mut books = server.books();
            *books.stored.entry(number).or_default() += 1;
            books.parts.insert(number, bytes);
            [("etag", format!("\"e{number}\""))].into_response()
        }
    }
}

fn rules() -> StorageConstants {
    StorageConstants {
        attempts: 2,
        first_retry_pause: Duration::from_millis(5),
        part_stall: Duration::from_millis(1500),
        part_timeout: Duration::from_millis(1500),
        slowest_part: 64 << 20,
        ..StorageConstants::default()
    }
}

fn storage(rules: StorageConstants) -> Storage {
    Storage::new(test_server::client(), rules, Clock::system())
}

fn pattern(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|n| ((n + seed) % 251) as u8).collect()
}

/// Three parts.
fn object(seed: usize) -> Vec<u8> {
    pattern((22 << 20) + 5, seed)
}

struct World {
    server: Server,
    orchestrator: Orchestrator,
    storage: Storage,
    job: UploadJob,
}

impl World {
    async fn new(rules: StorageConstants) -> Self {
        let server = Server::start().await;
        let orchestrator = server.orchestrator();
        Self { server, orchestrator, storage: storage(rules), job: UploadJob::new() }
    }

    async fn upload(&mut self, source: &dyn BlobSource) -> Result<String, UploadError> {
        self.upload_to(source, Escort::none()).await
    }

    async fn upload_to(
        &mut self,
        source: &dyn BlobSource,
        escort: Escort<'_>,
    ) -> Result<String, UploadError> {
        let (orchestrator, job) = (&self.orchestrator, &mut self.job);
        self.storage.upload(orchestrator, FileType::Weights, job, source, escort).await
    }
}

fn counts(of: &BTreeMap<usize, usize>) -> Vec<usize> {
    of.values().copied().collect()
}

#[tokio::test]
async fn a_failed_upload_goes_on_with_the_parts_that_are_missing() {
    let mut world = World::new(rules()).await;
    world.server.fail(2, &[Fault::Status(500), Fault::Break]);
    let source = object(0);
    let failed = world.upload(&source).await.unwrap_err();
    assert!(matches!(failed, UploadError::Part { part: 2, attempts: 2, .. }), "{failed}");
    assert!(world.job.has_begun());
    assert_eq!(world.upload(&source).await.unwrap(), "object-1");
    // And once more, as when the submission after it failed.
    assert_eq!(world.upload(&source).await.unwrap(), "object-1");
    let books = world.server.books();
    assert!(books.object.as_ref().unwrap() == &source);
    assert_eq!((books.initiated, counts(&books.begun)), (1, vec![1, 3, 1]));
}

#[tokio::test]
async fn an_upload_that_was_broken_off_goes_on_later() {
    let patient = StorageConstants { part_stall: Duration::from_secs(60), ..rules() };
    let mut world = World::new(patient).await;
    world.server.fail(3, &[Fault::Deaf]);
    let source = object(0);
    let server = world.server.clone();
    let two_stored = async {
        while server.books().stored.len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // The client must hear of it as well.
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    tokio::select! {
        done = world.upload(&source) => panic!("{done:?}"),
        () = two_stored => {}
    }
    assert_eq!(world.upload(&source).await.unwrap(), "object-1");
    let books = world.server.books();
    assert!(books.object.as_ref().unwrap() == &source);
    assert_eq!((books.initiated, counts(&books.begun)), (1, vec![1, 1, 2]));
}

#[tokio::test]
async fn other_bytes_are_another_upload() {
    let mut world = World::new(rules()).await;
    world.server.fail(1, &[Fault::Status(500), Fault::Status(500)]);
    world.upload(&object(0)).await.unwrap_err();
    let other = object(1);
    assert_eq!(world.upload(&other).await.unwrap(), "object-2");
    let books = world.server.books();
    assert!(books.object.as_ref().unwrap() == &other);
    assert_eq!(counts(&books.begun), [3, 2, 2]);
}

#[tokio::test]
async fn a_refused_completion_or_an_expired_address_starts_afresh() {
    let mut world = World::new(rules()).await;
    let refusal = json!({"error_name": "UploadError", "error_dict": {"message": "no such upload"}});
    world.server.books().refusals.push_back(refusal);
    let source = object(0);
    let refused = world.upload(&source).await.unwrap_err();
    assert!(matches!(refused, UploadError::Completion(_)), "{refused}");
    assert!(!world.job.has_begun(), "there is nothing to go on with");
    assert_eq!(world.upload(&source).await.unwrap(), "object-2");

    world.job.forget();
    world.server.fail(3, &[Fault::Status(503), Fault::Status(503)]);
    world.upload(&source).await.unwrap_err();
    // The store forgets the upload meanwhile, as when its addresses expire.
    world.server.books().initiated += 1;
    world.server.books().object = None;
    assert_eq!(world.upload(&source).await.unwrap(), "object-5");
    assert!(world.server.books().object.as_ref().unwrap() == &source);
}

#[tokio::test]
async fn parts_that_stand_still_or_get_no_answer_are_sent_again() {
    let mut world = World::new(rules()).await;
    world.server.fail(1, &[Fault::Deaf]);
    world.server.fail(2, &[Fault::Mute]);
    let source = object(0);
    assert_eq!(world.upload(&source).await.unwrap(), "object-1");
    let books = world.server.books();
    assert!(books.object.as_ref().unwrap() == &source);
    assert_eq!(counts(&books.begun), [2, 2, 1]);
}

#[tokio::test]
async fn a_part_much_slower_than_its_siblings_is_raced_by_a_second_try() {
    let rules = StorageConstants {
        part_stall: Duration::from_secs(60),
        part_timeout: Duration::from_secs(60),
        race_after: Duration::from_millis(300),
        attempts: 1,
        ..rules()
    };
    let mut world = World::new(rules).await;
    world.server.fail(2, &[Fault::Deaf]);
    let source = object(0);
    let began = Instant::now();
    assert_eq!(world.upload(&source).await.unwrap(), "object-1");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let books = world.server.books();
    assert!(books.object.as_ref().unwrap() == &source);
    assert_eq!(counts(&books.begun), [1, 2, 1]);
}

/// Bytes of parts that are alive, and the most there ever were.
#[derive(Default)]
struct Alive {
    now: AtomicUsize,
    most: AtomicUsize,
}

struct Counted {
    bytes: Vec<u8>,
    alive: Arc<Alive>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.alive.now.fetch_sub(self.bytes.len(), Ordering::SeqCst);
    }
}

/// Zeros, made on demand and counted while they are alive.
struct Zeros {
    len: u64,
    alive: Arc<Alive>,
}

impl BlobSource for Zeros {
    fn byte_len(&self) -> u64 {
        self.len
    }

    fn digest(&self) -> Digest {
        [0; 32]
    }

    fn read(&self, range: Range<u64>) -> BoxFuture<'_, io::Result<PartBytes>> {
        Box::pin(async move {
            let len = usize::try_from(range.end - range.start).unwrap();
            let now = self.alive.now.fetch_add(len, Ordering::SeqCst) + len;
            self.alive.most.fetch_max(now, Ordering::SeqCst);
            let alive = Arc::clone(&self.alive);
            Ok(Arc::new(Counted { bytes: vec![0; len], alive }) as PartBytes)
        })
    }
}

#[derive(Default)]
struct Heard(Mutex<Vec<UploadProgress>>);

impl UploadWatch for Heard {
    fn note(&self, progress: &UploadProgress) {
        self.0.lock().unwrap().push(*progress);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_object_holds_little_memory_and_tells_how_far_it_is() {
    let rules = StorageConstants { upload_memory_bytes: 50 << 20, ..rules() };
    let mut world = World::new(rules).await;
    world.server.books().careless = true;
    let alive = Arc::new(Alive::default());
    let source = Zeros { len: 400 << 20, alive: Arc::clone(&alive) };
    let heard = Heard::default();
    let deadline = Deadline::At(Clock::system().now() + Duration::from_secs(3600));
    world.upload_to(&source, Escort { watch: &heard, deadline }).await.unwrap();
    let most = alive.most.load(Ordering::SeqCst);
    assert!(most > 10 << 20, "parts go side by side: {most}");
    // A part that is through may be dropped by its connection a moment later than by its task.
    assert!(most <= 60 << 20, "{most} bytes of parts were alive");
    let heard = heard.0.into_inner().unwrap();
    assert_eq!((heard[0].sent, heard[0].parts_done, heard[0].parts), (0, 0, 40));
    let last = heard.last().unwrap();
    assert_eq!((last.sent, last.total, last.parts_done), (400 << 20, 400 << 20, 40));
    assert!(last.bytes_per_second > 0.0);
    assert!(matches!(last.verdict, Verdict::Fits { by } if by > 3000.0), "{last:?}");
    assert!(heard.windows(2).all(|pair| pair[0].sent <= pair[1].sent));
}

#[tokio::test]
async fn a_slow_line_is_no_stall_and_its_deadline_is_foretold() {
    // Far less than what the system takes without sending it.
    let rules = StorageConstants { slowest_part: 1 << 20, ..rules() };
    let mut world = World::new(rules).await;
    for part in 1..=3 {
        world.server.fail(part, &[Fault::Slow(1500 << 10)]);
    }
    let source = object(0);
    let heard = Heard::default();
    // Of the test's own clock: about a second from now.
    let deadline = Deadline::At(world.storage.0.clock.now() + Duration::from_secs(1));
    let began = Instant::now();
    world.upload_to(&source, Escort { watch: &heard, deadline }).await.unwrap();
    assert!(began.elapsed() > Duration::from_secs(3), "slower than any limit on standing still");
    let books = world.server.books();
    assert!(books.object.as_ref().unwrap() == &source);
    assert_eq!(counts(&books.begun), [1, 1, 1]);
    let heard = heard.0.into_inner().unwrap();
    let late = |p: &UploadProgress| matches!(p.verdict, Verdict::Misses { by } if by > 0.5);
    assert!(heard.iter().any(late), "{heard:?}");
}

#[tokio::test]
async fn a_device_that_does_not_give_its_numbers_is_no_fault_of_the_store() {
    struct Broken;
    impl BlobSource for Broken {
        fn byte_len(&self) -> u64 {
            100
        }
        fn digest(&self) -> Digest {
            [1; 32]
        }
        fn read(&self, _: Range<u64>) -> BoxFuture<'_, io::Result<PartBytes>> {
            Box::pin(async { Err(io::Error::other("device lost")) })
        }
    }
    let mut world = World::new(rules()).await;
    let failed = world.upload(&Broken).await.unwrap_err();
    assert!(matches!(failed, UploadError::Source(_)), "{failed}");
    assert!(world.server.books().begun.is_empty());
}
