//! The outer optimizer, bit by bit, and gradient clipping.

use hearth::protocol::merge::{
    OUTER_LEARNING_RATE, Source, average, clip_coefficient, clip_pseudo_gradient, norm,
    outer_momentum, outer_step, pseudo_gradient, stage_max_norm,
};
use serde_json::{Value, json};

use crate::storage::{bf16_hex, hex_of, rounded};
use crate::vector::{Check, Json, PROSE, ascending, close};

pub const CHECKS: &[(&str, Check)] = &[
    ("outer_momentum", momentum),
    ("merge_nesterov", nesterov),
    ("pseudo_gradient", pseudo_gradients),
    ("grad_clip", gradient_clipping),
];

fn momentum(file: &Json) {
    let pair = |epoch| json!([epoch, outer_momentum(epoch)]);
    let expected: Vec<Value> = ascending(file).into_iter().map(pair).collect();
    close(file, &json!(expected), 1e-15);
}

fn nesterov(file: &Json) {
    let vectors: Vec<Value> = file.get("vectors").items().iter().map(merged).collect();
    close(file, &json!({"note": PROSE, "vectors": vectors}), 1e-15);
}

fn merged(vector: &Json) -> Value {
    let epoch = vector.get("epoch").u64();
    let old = bf16_hex(vector.get("old_weights_bf16_le_hex"));
    let gradients: Vec<_> =
        vector.get("pseudograds_bf16_le_hex").items().iter().map(bf16_hex).collect();
    let weights: Vec<f64> = vector.get("weights").items().iter().map(Json::f64).collect();
    assert_eq!(gradients.len(), weights.len());
    let sources: Vec<Source<'_>> = gradients
        .iter()
        .zip(&weights)
        .map(|(gradient, weight)| Source { gradient, weight: *weight })
        .collect();
    let gradient = average(&sources).unwrap();
    let buffer = vector.get("old_buffer_hex");
    let buffer = (!buffer.is_null()).then(|| bf16_hex(buffer));
    let step = outer_step(&old, &gradient, buffer.as_deref(), epoch).unwrap();
    json!({
        "name": name(epoch, &weights, buffer.is_some()),
        "n": old.len(),
        "epoch": epoch,
        "momentum": outer_momentum(epoch),
        "momentum_bf16": rounded(outer_momentum(epoch)),
        "lr": OUTER_LEARNING_RATE,
        "lr_bf16": rounded(OUTER_LEARNING_RATE),
        "weights": weights,
        "old_weights_bf16_le_hex": hex_of(&old),
        "pseudograds_bf16_le_hex": gradients.iter().map(|g| hex_of(g)).collect::<Vec<_>>(),
        "old_buffer_hex": buffer.as_deref().map(hex_of),
        "avg_grad_hex": hex_of(&gradient),
        "new_buffer_hex": hex_of(&step.buffer),
        "update_hex": hex_of(&step.update),
        "new_weights_hex": hex_of(&step.weights),
    })
}

/// The vectors' names say what is special about them.
#[allow(clippy::float_cmp)] // An exact 1 is what "unweighted" means.
fn name(epoch: u64, weights: &[f64], has_buffer: bool) -> String {
    let unweighted = weights.iter().all(|weight| *weight == 1.0);
    match (has_buffer, unweighted) {
        (false, _) => "first_epoch_no_buffer".to_owned(),
        (true, true) => format!("epoch{epoch}_unweighted"),
        (true, false) => format!("epoch{epoch}_weighted"),
    }
}

fn max_norm(vector: &Json) -> f64 {
    stage_max_norm(
        vector.get("grad_clip_norm").f64(),
        vector.get("stage_params").u64(),
        vector.get("total_global_params").u64(),
    )
}

fn pseudo_gradients(file: &Json) {
    let old = bf16_hex(file.get("previous_hex"));
    let new = bf16_hex(file.get("current_hex"));
    let gradient = pseudo_gradient(&old, &new).unwrap();
    let clip = file.get("clip");
    // The clip applies to this very vector: below its limit it stays, above it shrinks to it.
    let limit = max_norm(clip);
    let mut clipped = gradient.clone();
    assert_eq!(clip_pseudo_gradient(&mut clipped, limit), norm(&gradient) > limit);
    assert!(norm(&clipped) <= limit * 1.01);
    let expected = json!({
        "previous_hex": hex_of(&old),
        "current_hex": hex_of(&new),
        "pseudo_gradient_hex": hex_of(&gradient),
        "clip": {
            "note": PROSE,
            "grad_clip_norm": clip.get("grad_clip_norm").f64(),
            "stage_params": gradient.len(),
            "total_global_params": clip.get("total_global_params").u64(),
            "max_norm": limit,
        },
    });
    close(file, &expected, 1e-15);
}

fn gradient_clipping(file: &Json) {
    let tensors: Vec<Vec<f64>> = file
        .get("grads")
        .items()
        .iter()
        .map(|tensor| tensor.items().iter().map(Json::f64).collect())
        .collect();
    let norms = tensors.iter().map(|tensor| tensor.iter().map(|g| g * g).sum::<f64>().sqrt());
    let total = norms.map(|norm| norm * norm).sum::<f64>().sqrt();
    let limit = max_norm(file);
    let expected = json!({
        "rule": PROSE,
        "grad_clip_norm": file.get("grad_clip_norm").f64(),
        "stage_params": file.get("stage_params").u64(),
        "total_global_params": file.get("total_global_params").u64(),
        "max_norm": limit,
        "grads": tensors,
        "total_norm": total,
        "coef": clip_coefficient(total, limit),
    });
    close(file, &expected, 1e-12);
}
