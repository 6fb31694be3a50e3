//! What comes back from the disk, and from the store, is what went there.

use super::*;
use crate::protocol::bf16::narrow;
use crate::protocol::blob::encode_weights;
use crate::protocol::{ActivationId, Epoch};
use crate::training::local::Gradient;
use crate::training::queue::Input;
use crate::training::snapshot::Found;
use crate::training::test_world::{Fault, world};
use half::bf16;
use std::sync::Arc;

/// A stage that is some way into its run, and what identifies it.
async fn trained() -> (LocalStage, Hotkey) {
    let (_, _, mut stage, _) = world().await;
    let len = stage.terms().activation_shape().iter().product();
    let numbers: Vec<bf16> =
        (0..len).map(|i: usize| bf16::from_f32((i % 7) as f32 * 0.1)).collect();
    let id = ActivationId::from("a");
    let input = Arc::new(Input::Activation(numbers.clone()));
    stage.terms_mut().hyper.accumulation = 1;
    // As one that does not warm up: its weights move.
    stage.terms_mut().epoch = Epoch(1);
    stage.backward(&id, input, Gradient::Activation(numbers), None).await.unwrap();
    stage.step_if_due().await.unwrap().unwrap();
    stage.begin_epoch(Epoch(5), Vec::new()).await.unwrap();
    (stage, Hotkey::from_public_key(&[7; 32]))
}

async fn optimizer(stage: &LocalStage) -> Vec<f32> {
    stage.read_flat_optimizer(0..stage.flat_optimizer_len().await.unwrap()).await.unwrap()
}

fn store(stage: &LocalStage, hotkey: &Hotkey, folder: &tempfile::TempDir) -> SnapshotStore {
    let terms = stage.terms();
    SnapshotStore::new(folder.path(), hotkey, &terms.run, terms.stage)
}

fn newest(stage: &LocalStage, hotkey: &Hotkey, store: &SnapshotStore) -> Verified {
    let terms = stage.terms();
    match store.find(hotkey, &terms.run, terms.stage) {
        Found::Newest(snapshot) => snapshot,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stage_comes_back_from_the_disk_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let (stage, hotkey) = trained().await;
    let store = store(&stage, &hotkey, &folder);
    save_stage(&stage, store.clone(), &hotkey).await.unwrap();
    let (_, _, fresh, _) = world().await;
    assert!(fresh.weights().await.unwrap() != stage.weights().await.unwrap());
    let snapshot = newest(&stage, &hotkey, &store);
    assert_eq!(snapshot.meta.epoch, Epoch(5));
    assert_eq!(take_over(&fresh, snapshot).await.unwrap(), Taken::All);
    assert!(fresh.weights().await.unwrap() == stage.weights().await.unwrap());
    assert!(optimizer(&fresh).await == optimizer(&stage).await);
    assert_eq!(
        fresh.optimizer_progress().await.unwrap(),
        stage.optimizer_progress().await.unwrap()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_snapshot_with_an_impossible_optimizer_only_the_weights_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (stage, hotkey) = trained().await;
    let store = store(&stage, &hotkey, &folder);
    save_stage(&stage, store.clone(), &hotkey).await.unwrap();
    let mut good = newest(&stage, &hotkey, &store);
    let count = good.meta.weights;
    let meta = good.meta.clone();
    let mut numbers = good.next(3 * count).unwrap();
    // The last second moment.
    numbers[3 * count - 1] = -1.0;
    let mut new = store.begin(&meta).unwrap();
    new.put(&numbers).unwrap();
    new.finish().unwrap();
    let (_, _, fresh, _) = world().await;
    let before = optimizer(&fresh).await;
    let snapshot = newest(&stage, &hotkey, &store);
    assert_eq!(take_over(&fresh, snapshot).await.unwrap(), Taken::Weights);
    assert!(fresh.weights().await.unwrap() == stage.weights().await.unwrap());
    assert!(optimizer(&fresh).await == before);

    let other = SnapshotMeta { weights: 3, optimizer: 6, ..meta };
    let mut new = store.begin(&other).unwrap();
    new.put(&[1.0; 9]).unwrap();
    new.finish().unwrap();
    let snapshot = newest(&stage, &hotkey, &store);
    assert_eq!(take_over(&fresh, snapshot).await.unwrap(), Taken::Nothing);
    assert!(fresh.weights().await.unwrap() == stage.weights().await.unwrap());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_takes_over_an_optimizer_state_or_starts_afresh() {
    let (stage, _) = trained().await;
    let (server, services, fresh, _) = world().await;
    let before = optimizer(&fresh).await;
    let wire = narrow(&optimizer(&stage).await);
    let blob = encode_weights(&wire, 1, 0).unwrap();
    let url = format!("{}/blob/state", server.shelf().base);
    server.shelf().objects.insert("state".to_owned(), blob);
    exchange_optimizer(&services, &fresh, &url).await.unwrap();
    assert!(narrow(&optimizer(&fresh).await) == wire);

    let mut bad = wire.clone();
    *bad.last_mut().unwrap() = bf16::from_f32(-1.0);
    for (name, wire) in [("impossible", &bad[..]), ("short", &wire[1..])] {
        let blob = encode_weights(wire, 1, 0).unwrap();
        server.shelf().objects.insert(name.to_owned(), blob);
        let url = format!("{}/blob/{name}", server.shelf().base);
        assert!(exchange_optimizer(&services, &fresh, &url).await.is_err(), "{name}");
    }
    assert!(optimizer(&fresh).await == before, "half of a state is none");
    server.fail("state", &[Fault::Status(404)]);
    assert!(exchange_optimizer(&services, &fresh, &url).await.is_err());
}
