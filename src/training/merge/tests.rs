//! Merging against real HTTP: what comes out is the outer step over the sources that could be read.

use std::sync::Mutex;

use serde_json::json;

use super::*;
use crate::protocol::blob::{encode_weights, parse_partition_trailer, split_object, values_at};
use crate::training::test_world::{Fault, Server, world};

fn gradient(len: usize, factor: f32) -> Vec<bf16> {
    #[allow(clippy::cast_precision_loss)]
    let at = |i: usize| bf16::from_f32((i % 17) as f32 * factor);
    (0..len).map(at).collect()
}

impl Server {
    fn assign(&self, chunks: &[usize]) {
        let mine =
            |c: &usize| json!(Partition::new(StageIndex(1), ChunkNumber(*c), "me", Some("you")));
        self.shelf().assigned = chunks.iter().map(mine).collect();
    }

    fn put_source(&self, name: &str, factor: u64, values: Option<&[bf16]>) {
        let mut shelf = self.shelf();
        shelf.sources.push((name.to_owned(), factor));
        if let Some(values) = values {
            let blob = encode_weights(values, 2, 9).unwrap();
            shelf.objects.insert(name.to_owned(), blob);
        }
    }
}

async fn merge(
    services: &Services,
    stage: &LocalStage,
    memory: &mut MergeMemory,
) -> Result<MergeDone, MergeFailure> {
    merge_partitions(services, stage, memory, &|_, _| (), Escort::none()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unreadable_sources_are_left_out_and_flaky_ones_are_retried() {
    let (server, services, stage, recorder) = world().await;
    server.assign(&[1]);
    let previous = stage.previous().cloned().unwrap();
    let (a, b) = (gradient(previous.len(), 1e-3), gradient(previous.len(), -2e-3));
    server.put_source("a", 3, Some(&a));
    server.put_source("gone", 50, None);
    server.put_source("b", 1, Some(&b));
    server.put_source("other-model", 50, Some(&a[1..]));
    server.put_source("no-trailer", 50, Some(&a));
    server.fail("no-trailer", &[Fault::Status(503); 99]);
    server.put_source("always-short", 50, Some(&a));
    server.fail("always-short", &[Fault::Short; 99]);
    let mut broken = a.clone();
    broken[previous.len() - 1] = bf16::NAN;
    server.put_source("broken", 50, Some(&broken));
    server.fail("b", &[Fault::Status(500), Fault::Silence, Fault::Short]);

    let seen = Mutex::new(Vec::new());
    let progress = |done: usize, of: usize| seen.lock().unwrap().push((done, of));
    let mut memory = MergeMemory::default();
    let done =
        merge_partitions(&services, &stage, &mut memory, &progress, Escort::none()).await.unwrap();

    assert_eq!(done, MergeDone::Merged(1));
    assert_eq!(*seen.lock().unwrap(), [(1, 1)]);
    let range = previous.len() / 2..previous.len();
    let sources = [
        Source { gradient: &a[range.clone()], weight: 3.0 },
        Source { gradient: &b[range.clone()], weight: 1.0 },
    ];
    let average = merge::average(&sources).unwrap();
    let expected = merge::outer_step(&narrow(&previous[range]), &average, None, 3).unwrap();
    let shelf = server.shelf();
    let object = &shelf.objects["partition-0"];
    let (offset, trailer) = split_object(object).unwrap();
    let trailer = parse_partition_trailer(trailer, offset).unwrap();
    assert_eq!((trailer.chunk, trailer.layer), (ChunkNumber(1), StageIndex(1)));
    assert_eq!(values_at(object, &trailer.weights.bytes).unwrap(), expected.weights);
    let state = trailer.optimizer_state.unwrap();
    assert_eq!(values_at(object, &state.bytes).unwrap(), expected.buffer);
    let sent = &shelf.submitted[0].1["partitions"][0];
    assert_eq!(
        (&sent["blob_path"], &sent["other_miner_hotkey"]),
        (&json!("partition-0"), &json!("you"))
    );
    assert_eq!(shelf.asked["gone"], 1, "a refusal is final");
    let used = recorder.entries().into_iter().find_map(|entry| match entry.deed {
        Deed::Merge { sources, .. } => Some(sources),
        _ => None,
    });
    assert_eq!(used.unwrap(), [("/blob/a".to_owned(), 3.0), ("/blob/b".to_owned(), 1.0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_single_source_nothing_is_handed_in() {
    let (server, services, stage, _) = world().await;
    let mut memory = MergeMemory::default();
    assert_eq!(merge(&services, &stage, &mut memory).await.unwrap(), MergeDone::NotYet);
    server.assign(&[1]);
    assert_eq!(merge(&services, &stage, &mut memory).await.unwrap(), MergeDone::NotYet);
    server.put_source("gone", 1, None);
    let failed = merge(&services, &stage, &mut memory).await.unwrap_err();
    assert!(matches!(failed, MergeFailure::NoSource { chunk: ChunkNumber(1), .. }), "{failed}");
    assert!(server.shelf().submitted.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_partition_that_fails_keeps_no_other_back_and_is_taken_up_again_alone() {
    let (server, services, stage, _) = world().await;
    server.assign(&[0, 1]);
    let a = gradient(stage.previous().unwrap().len(), 1e-3);
    server.put_source("a", 1, Some(&a));
    // The store takes the second partition on no attempt, but the first.
    server.fail("partition-0", &[Fault::Status(500); 4]);
    let mut memory = MergeMemory::default();
    let failed = merge(&services, &stage, &mut memory).await.unwrap_err();
    assert!(matches!(failed, MergeFailure::Upload(_)), "{failed}");
    assert_eq!(server.shelf().submitted.len(), 1);
    assert_eq!(server.shelf().submitted[0].1["partitions"][0]["chunk_number"], 1);

    assert_eq!(merge(&services, &stage, &mut memory).await.unwrap(), MergeDone::Merged(2));
    // And a third time, as after an answer that was lost.
    assert_eq!(merge(&services, &stage, &mut memory).await.unwrap(), MergeDone::Merged(0));
    let shelf = server.shelf();
    assert_eq!(shelf.submitted.len(), 2);
    assert_eq!(shelf.submitted[1].1["partitions"][0]["chunk_number"], 0);
    assert_eq!(shelf.begun.len(), 2, "the upload that failed went on");
}

#[test]
fn an_objects_name_carries_no_signature() {
    let name = object_of("http://127.0.0.1:9/bucket/run/a.bin?X-Amz-Signature=secret");
    assert_eq!(name, "/bucket/run/a.bin");
    assert_eq!(object_of("not an address"), "");
}
