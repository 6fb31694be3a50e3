//! The plan adds up, and a stage that does not fit is refused or made smaller.

use super::ladder::{Rung, below, fit};
use super::*;
use crate::compute::Device;
use crate::compute::cpu::CpuDevice;
use crate::protocol::messages::Flag;
use crate::training::terms::LearningRateRule;
use crate::training::terms::tests::answer;

fn terms() -> Terms {
    Terms::read(&answer(), LearningRateRule::FromRun).unwrap()
}

fn cpu() -> DeviceInfo {
    CpuDevice::new(Some(1)).info().clone()
}

fn plan(terms: &Terms) -> MemoryPlan {
    MemoryPlan::of(terms, &cpu(), &StorageConstants::default()).unwrap()
}

/// The real 1B model's stage (spec 8.1).
fn billion(stage: usize) -> Terms {
    let mut answer = answer();
    let cfg = answer.model_cfg.as_mut().unwrap();
    *cfg = serde_json::from_value(serde_json::json!({
        "total_global_params": 1_500_055_552_u64, "vocab_size": 128_256, "context_length": 8192,
        "orig_context_length": 131_072, "emb_dim": 2048, "bottleneck_dim": 32, "n_heads": 32,
        "n_layers": 16, "hidden_dim": 8192, "n_kv_groups": 8, "rope_base": 500_000.0,
        "rope_freq": {"factor": 32.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                      "original_context_length": 8192.0}
    }))
    .unwrap();
    let metadata = answer.model_metadata.as_mut().unwrap();
    metadata.model_splits =
        serde_json::from_value(serde_json::json!([[-1, 4], [4, 12], [12, -1]])).unwrap();
    let dataset = metadata.dataset.as_mut().unwrap();
    (dataset.sequence_length, dataset.mini_batch_size) = (Some(800), Some(4));
    answer.layer = Some(crate::protocol::StageIndex(stage));
    Terms::read(&answer, LearningRateRule::Constant).unwrap()
}

#[test]
fn the_parts_add_up_and_the_devices_are_to_the_byte() {
    let terms = terms();
    let plan = plan(&terms);
    let stage = terms.spec.plan().unwrap();
    assert_eq!(plan.state + plan.work, stage.bytes() as u64);
    assert_eq!(plan.epoch_start, 4 * stage.param_count() as u64);
    assert_eq!((plan.host(), plan.device()), (plan.total(), 0));
    let gpu = MemoryPlan { place: Place::Device, ..plan };
    assert_eq!(gpu.device(), stage.bytes() as u64);
    assert_eq!(gpu.host() + gpu.device(), plan.total());
}

#[test]
fn a_real_stage_is_stated_in_one_line() {
    for (stage, numbers) in [(1, 486_768_640_u64), (2, 506_021_888)] {
        let terms = billion(stage);
        let plan = plan(&terms);
        assert_eq!(plan.epoch_start, 4 * numbers);
        // The unused decoder of a body has neither gradient nor moments.
        assert!(plan.state > 15 * numbers && plan.state <= 16 * numbers);
        assert!(plan.total() > 12_000_000_000 && plan.total() < 19_000_000_000, "{plan}");
        let line = plan.to_string();
        assert!(line.starts_with("this stage takes 1") && !line.contains('\n'), "{line}");
    }
}

#[test]
fn a_stage_that_does_not_fit_is_refused_with_both_numbers() {
    let terms = terms();
    let rules = StorageConstants::default();
    let room = Room { host: Some(1000), device: None };
    let error = fit(&terms, &cpu(), &rules, room, None).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("1.0 kB left") && text.contains("this stage takes"), "{text}");
    let gpu = DeviceInfo { kind: DeviceKind::Gpu, ..cpu() };
    let room = Room { host: None, device: Some(1000) };
    let text = fit(&terms, &gpu, &rules, room, None).unwrap_err().to_string();
    assert!(text.starts_with("the device's memory"), "{text}");
    // Nobody can say: it is tried.
    assert!(fit(&terms, &gpu, &rules, Room::default(), None).is_ok());
}

/// Weights that have moments.
fn terms_trained(terms: &Terms) -> u64 {
    terms.spec.plan().unwrap().bytes_of(Role::Gradient) as u64 / 4
}

#[test]
fn as_many_sequences_are_computed_at_once_as_have_room() {
    let rules = StorageConstants::default();
    let need = |local_batch: usize| {
        let mut terms = billion(1);
        terms.spec.local_batch = local_batch;
        plan(&terms).total()
    };
    let fitted = |room: u64, change: fn(&mut Terms)| {
        let mut terms = billion(1);
        change(&mut terms);
        let room = Room { host: Some(room), device: None };
        fit(&terms, &cpu(), &rules, room, None).map(|(rung, _)| rung.local_batch).ok()
    };
    let as_it_is = |_: &mut Terms| {};
    assert_eq!(fitted(need(4), as_it_is), Some(4));
    assert_eq!(fitted(need(4) - 1, as_it_is), Some(2));
    assert_eq!(fitted(need(2) - 1, as_it_is), Some(1));
    // Where not one has room, the moments give way, and then there is room for more than one again.
    let least = need(1) - 4 * terms_trained(&billion(1));
    assert_eq!(fitted(need(1) - 1, as_it_is), Some(2));
    assert_eq!(fitted(least, as_it_is), Some(1));
    assert_eq!(fitted(least - 1, as_it_is), None);
    let fixed = |terms: &mut Terms| {
        terms.flags = terms.flags.clone().with_off(Flag::AutoLocalBatchSize);
    };
    assert_eq!(fitted(need(4) - 1, fixed), Some(2));
    assert_eq!(fitted(need(4), fixed), Some(4));
}

#[test]
fn a_plan_that_ran_out_of_memory_steps_down_until_nothing_is_left() {
    let terms = billion(1);
    let rules = StorageConstants::default();
    let from = |rung| fit(&terms, &cpu(), &rules, Room::default(), Some(rung)).unwrap();
    let mut rung = fit(&terms, &cpu(), &rules, Room::default(), None).unwrap().0;
    let mut seen = vec![(rung.local_batch, rung.moments)];
    while let Some(lower) = below(&terms, rung).unwrap() {
        let bytes = |rung: Rung| plan(&rung.applied_to(&terms)).total();
        assert!(bytes(lower) < bytes(rung), "{lower:?} below {rung:?}");
        assert_eq!(from(lower).0, lower);
        seen.push((lower.local_batch, lower.moments));
        rung = lower;
    }
    let (wide, narrow) = (MomentPrecision::F32, MomentPrecision::Bf16);
    // With the bytes that rounded moments leave free there is room for more sequences again.
    assert_eq!(seen, [(4, wide), (2, wide), (1, wide), (2, narrow), (1, narrow)]);
}

#[test]
fn moments_in_bf16_save_four_bytes_a_weight_and_the_line_says_so() {
    let terms = billion(1);
    let of = |moments| plan(&Rung { local_batch: 1, moments }.applied_to(&terms));
    let (wide, narrow) = (of(MomentPrecision::F32), of(MomentPrecision::Bf16));
    assert_eq!(wide.total() - narrow.total(), 4 * terms_trained(&terms));
    assert_eq!((wide.work, wide.host() - wide.state), (narrow.work, narrow.host() - narrow.state));
    assert!(narrow.to_string().contains("optimizer (its moments in bf16) and"), "{narrow}");
    assert!(!wide.to_string().contains("bf16"), "{wide}");
}
