//! A state from the store is taken over whole, or not at all.

use super::*;
use crate::protocol::bf16::narrow;
use crate::protocol::blob::encode_weights;
use crate::training::test_world::{Fault, trained, world};
use half::bf16;

async fn optimizer(stage: &LocalStage) -> Vec<f32> {
    stage.read_flat_optimizer(0..stage.flat_optimizer_len().await.unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_takes_over_an_optimizer_state_or_starts_afresh() {
    let stage = trained().await;
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
