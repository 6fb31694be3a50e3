//! Loading merged weights: coverage is counted honestly, and a chunk is had from whichever copy is good.

use super::*;
use crate::protocol::bf16::{bf16, narrow};
use crate::protocol::blob::encode_partition;
use crate::training::test_world::{Fault, Server, world};

fn partition(chunk: usize, path: Option<&str>) -> Partition {
    let mut partition = Partition::new(StageIndex(0), ChunkNumber(chunk), "a", Some("b"));
    if let Some(path) = path {
        partition.set_blob_path(path);
    }
    partition
}

#[test]
fn the_last_listed_copy_comes_first_and_the_twin_second() {
    let listed = [
        partition(0, Some("first")),
        partition(1, Some("one")),
        partition(0, Some("last")),
        partition(2, None),
    ];
    let copies = copies(&listed);
    assert_eq!(copies[&ChunkNumber(0)], ["last", "first"]);
    assert_eq!(copies[&ChunkNumber(1)], ["one"]);
    assert!(!copies.contains_key(&ChunkNumber(2)));
}

#[test]
fn failures_count_against_the_coverage() {
    let failed = |n| Coverage {
        loaded: (0..10 - n).map(ChunkNumber).collect(),
        failed: (0..n).map(|c| (ChunkNumber(c), "gone".into())).collect(),
        unlisted: 3,
    };
    assert!(failed(0).is_enough() && failed(1).is_enough());
    assert!(!failed(2).is_enough());
    assert!(Coverage::default().is_enough());
    assert!(failed(2).summary().contains("8 of 10"));
}

#[test]
fn the_gate_refuses_strangers_and_what_cannot_be_compared() {
    let gate = Gate::Cosine(0.9);
    assert!(gate.admits(0.95) && gate.admits(0.9));
    assert!(!gate.admits(-1.0) && !gate.admits(0.89));
    assert!(!gate.admits(merge::cosine(&[0.0, 0.0], &[1.0, 2.0])));
    assert!(Gate::Open.admits(-1.0));
}

impl Server {
    /// A merged partition of these weights (of stage 1, in 2 chunks).
    fn put_merged(&self, chunk: usize, name: &str, weights: &[f32]) {
        let weights = narrow(weights);
        let state = vec![bf16::ZERO; weights.len()];
        let blob = encode_partition(&weights, &state, ChunkNumber(chunk), StageIndex(1)).unwrap();
        let mut shelf = self.shelf();
        shelf.objects.insert(name.to_owned(), blob);
        shelf.merged.push((chunk, name.to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chunk_whose_preferred_copy_fails_comes_from_its_twin() {
    let faults: [&[Fault]; 5] = [
        &[Fault::Status(404)],
        &[Fault::Status(503); 99],
        &[Fault::Silence; 99],
        &[Fault::Short; 99],
        &[Fault::Long; 99],
    ];
    for fault in faults {
        let (server, services, mut stage, _) = world().await;
        let half = stage.previous().unwrap().len() / 2;
        let rest = stage.previous().unwrap().len() - half;
        server.put_merged(0, "twin", &vec![0.25; half]);
        server.put_merged(0, "preferred", &vec![0.5; half]);
        server.put_merged(1, "other", &vec![1.0; rest]);
        server.fail("preferred", fault);
        let (epoch, coverage) = load_merged(&services, &mut stage, Synced::Never).await.unwrap();
        assert_eq!(epoch, Epoch(4));
        assert_eq!(coverage.loaded, [ChunkNumber(0), ChunkNumber(1)], "{fault:?}");
        assert!(coverage.failed.is_empty());
        let weights = stage.weights().await.unwrap();
        assert!(weights[..half].iter().all(|w| *w == 0.25), "{fault:?}");
        assert!(weights[half..].iter().all(|w| *w == 1.0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_waited_out_and_a_chunk_that_cannot_be_had_is_no_success() {
    let (server, services, mut stage, _) = world().await;
    let before = stage.weights().await.unwrap();
    let half = before.len() / 2;
    server.put_merged(0, "flaky", &vec![0.5; half]);
    server.put_merged(1, "gone", &vec![1.0; before.len() - half]);
    server.fail("flaky", &[Fault::Status(503), Fault::Short, Fault::Silence]);
    server.shelf().objects.remove("gone");
    let failed = load_merged(&services, &mut stage, Synced::Never).await.unwrap_err();
    let LoadError::Coverage(summary) = &failed else { panic!("{failed}") };
    assert!(summary.contains("1 of 2"), "{summary}");
    assert!(stage.weights().await.unwrap() == before, "half a load changes nothing");

    server.put_merged(1, "back", &vec![1.0; before.len() - half]);
    let (_, coverage) = load_merged(&services, &mut stage, Synced::Never).await.unwrap();
    assert_eq!(coverage.loaded.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_another_stage_or_chunk_is_not_taken() {
    let (server, services, mut stage, _) = world().await;
    let len = stage.previous().unwrap().len();
    let (half, rest) = (len / 2, len - len / 2);
    server.put_merged(1, "one", &vec![1.0; rest]);
    server.put_merged(0, "zero", &vec![0.5; half]);
    // Listed last, so it would be preferred.
    server.shelf().merged.push((0, "one".to_owned()));
    let (_, coverage) = load_merged(&services, &mut stage, Synced::Never).await.unwrap();
    assert_eq!(coverage.loaded.len(), 2);
    assert!(stage.weights().await.unwrap()[..half].iter().all(|w| *w == 0.5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_the_first_load_only_weights_near_the_own_ones_are_taken() {
    let (server, services, mut stage, _) = world().await;
    let own = stage.weights().await.unwrap();
    let half = own.len() / 2;
    let against: Vec<f32> = own[..half].iter().map(|w| -w).collect();
    let broken = vec![f32::INFINITY; half];
    server.put_merged(0, "near", &own[..half]);
    server.put_merged(0, "against", &against);
    server.put_merged(0, "broken", &broken);
    server.put_merged(1, "rest", &own[half..]);
    let (_, coverage) = load_merged(&services, &mut stage, Synced::Before).await.unwrap();
    assert_eq!(coverage.loaded.len(), 2);
    let near: Vec<f32> = own.iter().map(|w| bf16::from_f32(*w).to_f32()).collect();
    assert!(stage.weights().await.unwrap() == near);

    // Without a gate another direction may come, but never what is no number.
    server.shelf().merged.retain(|(_, name)| name != "near");
    load_merged(&services, &mut stage, Synced::Never).await.unwrap();
    let turned: Vec<f32> = near[..half].iter().map(|w| -w).collect();
    assert!(stage.weights().await.unwrap()[..half] == turned);
}
