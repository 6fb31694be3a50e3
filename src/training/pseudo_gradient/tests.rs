//! Handing in against real HTTP: the object is exactly the blob of old minus new, whatever happens on
//! the way.

use std::sync::Arc;

use half::bf16;
use serde_json::json;

use super::*;
use crate::protocol::blob::encode_weights;
use crate::protocol::merge::pseudo_gradient_f32;
use crate::training::local::Gradient;
use crate::training::queue::Input;
use crate::training::test_world::{Fault, world};

/// Does one backward, and turns the weights by a little.
async fn learn(stage: &mut LocalStage) -> Vec<f32> {
    let len: usize = stage.terms().activation_shape().iter().product();
    let input = Arc::new(Input::Activation(vec![bf16::from_f32(0.5); len]));
    let gradient = Gradient::Activation(vec![bf16::from_f32(0.01); len].into());
    stage.backward(&"a".into(), input, gradient, None).await.unwrap();
    #[allow(clippy::cast_precision_loss)]
    let turn = |(i, w): (usize, &f32)| w + ((i % 23) as f32 - 11.0) * 1e-3;
    let weights: Vec<f32> = stage.previous().unwrap().iter().enumerate().map(turn).collect();
    stage.write_weights(Arc::new(weights.clone())).await.unwrap();
    weights
}

async fn give(
    services: &Services,
    stage: &mut LocalStage,
    memory: &mut HandInMemory,
) -> Result<HandIn, HandInError> {
    hand_in(services, stage, memory, Escort::none()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_object_is_old_minus_new_and_an_outage_costs_no_second_upload() {
    let (server, services, mut stage, _) = world().await;
    let mut memory = HandInMemory::default();
    let idle = give(&services, &mut stage, &mut memory).await.unwrap();
    assert_eq!(idle, HandIn::NothingToGive);

    let current = learn(&mut stage).await;
    server.fail("weights-0", &[Fault::Status(503); 4]);
    let failed = give(&services, &mut stage, &mut memory).await.unwrap_err();
    assert!(matches!(failed, HandInError::Upload(UploadError::Part { .. })), "{failed}");
    assert_eq!(stage.count().backwards, 1, "nothing is lost");

    // Then the upload works, but the orchestrator does not answer its submission.
    server.shelf().answers = vec![
        json!({"message": "", "should_upload_optimizer_state": true}),
        json!({"error_name": "RunFullError", "error_dict": {"message": "later"}}),
    ];
    let failed = give(&services, &mut stage, &mut memory).await.unwrap_err();
    assert!(failed.call().is_some(), "{failed}");
    assert_eq!(server.shelf().asked["weights-0"], 5);
    let done = give(&services, &mut stage, &mut memory).await.unwrap();
    assert_eq!(done, HandIn::Submitted);

    let previous = stage.previous().unwrap();
    let gradient = pseudo_gradient_f32(previous, &current).unwrap();
    let state = stage.read_flat_optimizer(0..stage.flat_optimizer_len().await.unwrap()).await;
    let state = crate::protocol::bf16::narrow(&state.unwrap());
    let shelf = server.shelf();
    assert!(shelf.objects["weights-0"] == encode_weights(&gradient, 2, 0).unwrap());
    assert_eq!(shelf.asked["weights-0"], 5, "what is stored is not sent again");
    assert!(shelf.objects["optimizer_state-0"] == encode_weights(&state, 1, 0).unwrap());
    assert_eq!(shelf.begun, ["weights", "optimizer_state"]);
    let calls: Vec<_> = shelf.submitted.iter().map(|(call, _)| call.as_str()).collect();
    assert_eq!(calls, ["weights", "weights", "optimizer"]);
    assert_eq!(shelf.submitted[1].1["weights_path"], "weights-0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_bytes_of_another_epoch_are_another_object() {
    let (server, services, mut stage, _) = world().await;
    let mut memory = HandInMemory::default();
    learn(&mut stage).await;
    server.shelf().answers =
        vec![json!({"error_name": "RunFullError", "error_dict": {"message": "later"}})];
    give(&services, &mut stage, &mut memory).await.unwrap_err();
    let previous = stage.previous().cloned().unwrap();
    stage.write_weights(previous).await.unwrap();
    stage.begin_epoch(Epoch(4), Vec::new()).await.unwrap();
    learn(&mut stage).await;
    give(&services, &mut stage, &mut memory).await.unwrap();
    assert_eq!(server.shelf().submitted[1].1["weights_path"], "weights-1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn numbers_that_are_not_finite_never_leave_this_machine() {
    let (server, services, mut stage, _) = world().await;
    let mut weights = learn(&mut stage).await;
    weights[7] = f32::NAN;
    stage.write_weights(Arc::new(weights)).await.unwrap();
    let mut memory = HandInMemory::default();
    let failed = give(&services, &mut stage, &mut memory).await.unwrap_err();
    assert!(
        matches!(failed, HandInError::Numbers(PseudoGradientError::NotFinite { index: 7 })),
        "{failed}"
    );
    assert!(server.shelf().begun.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_ends_with_its_phase() {
    let (server, services, mut stage, _) = world().await;
    learn(&mut stage).await;
    server.fail("weights-0", &[Fault::Silence; 99]);
    server.shelf().phase = "merging_partitions";
    let failed = give(&services, &mut stage, &mut HandInMemory::default()).await.unwrap_err();
    assert!(matches!(failed, HandInError::Over(Phase::MergingPartitions)), "{failed}");
    assert!(server.shelf().submitted.is_empty());
}
