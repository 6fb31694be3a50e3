//! Waits and learning rates.

use std::ops::RangeInclusive;

use hearth::protocol::backoff;
use hearth::protocol::lr_schedule::LearningRateSchedule;
use serde_json::{Value, json};

use crate::vector::{Check, Json, PROSE, ascending, close};

pub const CHECKS: &[(&str, Check)] = &[("backoff", waits), ("lr_schedule", learning_rates)];

fn waits(file: &Json) {
    let ends = |range: RangeInclusive<f64>| json!([range.start(), range.end()]);
    let pairs = |name: &str, wait: fn(u32) -> f64| -> Vec<Value> {
        let counts = ascending(file.get(name));
        counts
            .into_iter()
            .map(|count| json!([count, wait(u32::try_from(count).unwrap())]))
            .collect()
    };
    let reset = |vector: &Json| {
        let count = u32::try_from(vector.get("consecutive_reset_count_before").u64()).unwrap();
        json!({
            "consecutive_reset_count_before": count,
            "base_wait": backoff::reset_wait(count),
            "jitter_range": ends(backoff::reset_wait_range(count)),
        })
    };
    let cache = |vector: &Json| {
        let (stages, stage) = (vector.get("n_splits").usize(), vector.get("layer").usize());
        let seconds = backoff::activation_cache_timeout(stages, stage);
        json!({"n_splits": stages, "layer": stage, "seconds": seconds})
    };
    let poll = file.get("queue_poll_jitter").get("poll_after_seconds").f64();
    let expected = json!({
        "reset": file.get("reset").items().iter().map(reset).collect::<Vec<_>>(),
        "publish_retry_after_try": pairs("publish_retry_after_try", backoff::publish_retry),
        "p2p_retry": pairs("p2p_retry", backoff::p2p_retry),
        "s3_retry": pairs("s3_retry", backoff::storage_retry),
        "orchestrator_429": pairs("orchestrator_429", backoff::rate_limit_retry),
        "bridge_retry": pairs("bridge_retry", backoff::bridge_retry),
        "queue_poll_jitter": {
            "poll_after_seconds": poll, "range": ends(backoff::queue_poll_range(poll)),
        },
        "activation_cache_timeout":
            file.get("activation_cache_timeout").items().iter().map(cache).collect::<Vec<_>>(),
    });
    close(file, &expected, 1e-15);
}

fn learning_rates(file: &Json) {
    for vector in file.items() {
        let settings = vector.get("settings");
        let (real, count) =
            (|key: &str| settings.get(key).f64(), |key: &str| settings.get(key).u64());
        let schedule = LearningRateSchedule {
            peak: real("LEARNING_RATE"),
            warmup_start_factor: real("LR_WARMUP_START_FACTOR"),
            warmup_steps: count("LR_WARMUP_STEPS"),
            const_steps: count("LR_CONST_STEPS"),
            tail_steps_frac: real("LR_TAIL_STEPS_FRAC"),
            final_factor: real("LR_FINAL_FACTOR"),
            saw_cycle_length: count("LR_SAW_CYCLE_LENGTH"),
            total_steps: count("TOTAL_TRAIN_STEPS"),
        };
        let rate = |step: u64| json!([step, schedule.at(step).unwrap()]);
        let values: Vec<Value> = ascending(vector.get("values")).into_iter().map(rate).collect();
        let expected = json!({
            "name": PROSE,
            "settings": {
                "LEARNING_RATE": schedule.peak,
                "LR_WARMUP_START_FACTOR": schedule.warmup_start_factor,
                "LR_WARMUP_STEPS": schedule.warmup_steps,
                "LR_CONST_STEPS": schedule.const_steps,
                "LR_TAIL_STEPS_FRAC": schedule.tail_steps_frac,
                "LR_FINAL_FACTOR": schedule.final_factor,
                "LR_SAW_CYCLE_LENGTH": schedule.saw_cycle_length,
                "TOTAL_TRAIN_STEPS": schedule.total_steps,
            },
            "values": values,
        });
        close(vector, &expected, 1e-15);
    }
}
