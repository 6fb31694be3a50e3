//! Weights on a line with a limit, over real HTTP: as fast as they may be, and never in the way of an
//! activation.

use axum::routing::get;

use super::*;
use crate::config::constants::PeerConstants;
use crate::network::line::{Line, LineLimits, Speed};
use crate::network::peers::test_nodes::{Node, introduce};

/// 8 MB a second.
const LIMIT: f64 = 64.0;

fn limited(rules: StorageConstants) -> (Storage, Line) {
    let clock = Clock::system();
    let line = Line::new(clock.clone());
    let limit = Some(Speed::of_megabits(LIMIT));
    line.set(LineLimits { up: limit, down: limit });
    (Storage::over(line.clone(), test_server::client(), rules, clock), line)
}

#[track_caller]
fn at_the_limit(bytes: usize, took: Duration) {
    #[allow(clippy::cast_precision_loss)]
    let megabits = bytes as f64 / 125_000.0 / took.as_secs_f64();
    // Never above it; how far below is the machine's business where others use it too.
    let share = megabits / LIMIT;
    assert!((0.3..=1.1).contains(&share), "{megabits:.1} Mbit/s in {took:?}");
}

#[tokio::test]
async fn an_upload_in_parts_goes_at_the_limit_and_no_part_twice() {
    let impatient = StorageConstants {
        // Every part would be called late, and would stand still for too long.
        race_after: Duration::from_millis(10),
        race_factor: 0.01,
        part_stall: Duration::from_millis(300),
        ..rules()
    };
    let mut world = World::new(impatient.clone()).await;
    world.storage = limited(impatient).0;
    let source = object(3);
    let began = Instant::now();
    world.upload(&source).await.unwrap();
    at_the_limit(source.len(), began.elapsed());
    let books = world.server.books();
    assert!(books.object.as_ref().unwrap() == &source);
    assert_eq!(counts(&books.begun), [1, 1, 1]);
}

#[tokio::test]
async fn a_range_is_fetched_at_the_limit_however_long_that_takes() {
    let object = pattern(20 << 20, 1);
    let served = object.clone();
    let answer = move || async move { (StatusCode::PARTIAL_CONTENT, served.clone()) };
    let base = test_server::start(Router::new().route("/o", get(answer))).await;
    let hasty =
        StorageConstants { timeout: Duration::from_secs(1), slowest_range: 1 << 30, ..rules() };
    let (storage, _line) = limited(hasty);
    let began = Instant::now();
    let got = storage.get_range(&format!("{base}/o"), 0..20 << 20).await.unwrap();
    at_the_limit(object.len(), began.elapsed());
    assert!(got == object);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_activation_is_not_held_up_by_weights_that_step_back_for_it() {
    let mut world = World::new(rules()).await;
    let (storage, line) = limited(rules());
    world.storage = storage;
    let own = Node::start_on(line, 1, 0, PeerConstants::default()).await;
    let other = Node::start(2, 1, PeerConstants::default()).await;
    introduce(&[&own, &other]);
    // Long enough to be under way all the time.
    let source = pattern(64 << 20, 5);
    let uploading = tokio::spawn(async move { world.upload(&source).await.map(drop) });
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut worst = Duration::ZERO;
    for _ in 0..20 {
        // Signed by nobody that is expected: refused, after all of it has arrived and was read.
        let began = Instant::now();
        let answer = own.peers.push(other.id(), &vec![7; 512 << 10]).await;
        worst = worst.max(began.elapsed());
        assert_eq!(answer, Err(crate::network::peers::PushError::Refused));
    }
    assert!(!uploading.is_finished(), "the upload was over too soon to be in the way");
    uploading.abort();
    // The limit would have let 512 KiB through in 65 ms; they had to wait for nothing of that.
    assert!(worst < Duration::from_millis(500), "{worst:?}");
}
