//! What a plan says before it is built.

use std::sync::Mutex;

use half::bf16;

use super::*;
use crate::compute::{BuildError, DeviceInfo, Executor, Layout, Program, Role};
use crate::model::{PlanError, StageError, StageGradient, StageInput};

/// Counts the bytes that a device is asked for.
#[derive(Debug)]
struct Counting {
    inner: CpuDevice,
    asked: Mutex<Vec<usize>>,
}

impl Device for Counting {
    fn info(&self) -> &DeviceInfo {
        self.inner.info()
    }

    fn build(
        &self,
        layout: &Layout,
        programs: &[Program],
    ) -> Result<Box<dyn Executor>, BuildError> {
        self.asked.lock().unwrap().extend(layout.slots().iter().map(|slot| slot.bytes()));
        self.inner.build(layout, programs)
    }
}

#[test]
fn the_plan_knows_its_bytes_and_work_asks_for_no_more() {
    for (name, spec) in all_kinds() {
        let device = Counting { inner: CpuDevice::oracle(), asked: Mutex::default() };
        let plan = spec.plan().unwrap();
        let planned = plan.bytes();
        let mut stage = Stage::build(&device, plan).unwrap();
        let asked = |device: &Counting| device.asked.lock().unwrap().iter().sum::<usize>();
        assert_eq!(asked(&device), planned, "{name}");
        stage.initialise(1).unwrap();
        work(&mut stage);
        assert_eq!(asked(&device), planned, "{name}");
    }
}

/// One activation there and back, and a step.
fn work(stage: &mut Stage) {
    let spec = stage.plan().spec().clone();
    let kind = stage.plan().kind();
    let tokens = tokens(&spec, "work");
    let numbers = vec![bf16::from_f32(0.5); tokens.len() * spec.config.boundary_dim()];
    let input = if kind.has_embedding() {
        StageInput::Tokens(&tokens)
    } else {
        StageInput::Activation(&numbers)
    };
    let gradient = if kind.has_output_head() {
        StageGradient::Targets(&tokens)
    } else {
        let mut out = numbers.clone();
        stage.forward(input, &mut out).unwrap();
        StageGradient::Activation(&numbers)
    };
    let mut back = Vec::new();
    let report = stage.backward(input, gradient, &mut back).unwrap();
    assert_eq!(report.loss.is_some(), kind.has_output_head());
    let step = stage.optimizer_step(1e-3).unwrap();
    assert!(step.grad_norm > 0.0 && step.clip > 0.0 && step.step == 2);
}

#[test]
fn roles_add_up_and_training_takes_four_numbers_a_parameter() {
    for (name, spec) in all_kinds() {
        let plan = spec.plan().unwrap();
        let trained = |p: &&crate::model::Parameter| {
            p.training == crate::model::parameters::Training::Trained
        };
        let count: usize = plan.parameters().iter().filter(trained).map(|p| p.count()).sum();
        assert_eq!(plan.bytes_of(Role::Parameter), 4 * plan.param_count(), "{name}");
        assert_eq!(plan.bytes_of(Role::Gradient), 4 * count, "{name}");
        assert_eq!(plan.bytes_of(Role::Moment), 8 * count, "{name}");
        let inference = spec.plan_inference().unwrap();
        assert_eq!(inference.bytes_of(Role::Gradient) + inference.bytes_of(Role::Moment), 0);
        let roles = [Role::Activation, Role::Scratch, Role::Wire, Role::Constant];
        let rest: usize = roles.into_iter().map(|role| plan.bytes_of(role)).sum();
        assert_eq!(plan.bytes(), rest + 4 * plan.param_count() + 12 * count, "{name}");
        assert!(plan.to_string().contains(&plan.bytes().to_string()), "{name}");
    }
}

#[test]
fn memory_for_activations_grows_with_the_slice_and_not_with_the_batch() {
    let of = |batch, local_batch| {
        let (_, spec) = all_kinds().swap_remove(5);
        let plan = StageSpec { batch, local_batch, ..spec }.plan().unwrap();
        plan.bytes_of(Role::Activation) + plan.bytes_of(Role::Scratch)
    };
    assert_eq!(of(8, 2), of(2, 2));
    assert!(of(8, 4) > of(8, 2));
}

#[test]
fn logits_of_a_large_vocabulary_are_computed_in_chunks() {
    let config = LlamaConfig { vocab_size: 128_256, context_length: 8192, ..tiny() };
    let (_, small) = all_kinds().swap_remove(5);
    let spec = StageSpec { config, seq: 800, batch: 4, local_batch: 4, ..small };
    let plan = spec.plan().unwrap();
    let largest = plan.layout().slots().iter().filter(|s| s.role == Role::Scratch);
    let largest = largest.map(|s| s.bytes()).max().unwrap();
    assert!(largest <= 64 << 20, "{largest}");
    assert!(largest > 60 << 20, "{largest}");
}

#[test]
fn the_chunks_of_the_loss_give_what_one_piece_gives() {
    // 2^24 / vocabulary = 7 rows a chunk: 10 rows are two chunks, the second of them smaller.
    let config = LlamaConfig { vocab_size: 2_300_000, emb_dim: 2, n_heads: 1, ..tiny() };
    let config = LlamaConfig { bottleneck_dim: Some(1), hidden_dim: 2, ..config };
    let two = spec(config, (2, 3), split(Some(5), None));
    let two = StageSpec { local_batch: 2, ..two };
    let one = StageSpec { local_batch: 1, ..two.clone() };
    let gradients = |spec: &StageSpec| {
        let mut stage = Stage::build(&CpuDevice::new(Some(2)), spec.plan().unwrap()).unwrap();
        stage.initialise(3).unwrap();
        let tokens = tokens(spec, "chunks");
        let numbers = vec![bf16::from_f32(0.5); tokens.len()];
        let (input, targets) = (StageInput::Activation(&numbers), StageGradient::Targets(&tokens));
        let loss = stage.backward(input, targets, &mut Vec::new()).unwrap().loss.unwrap();
        let mut all = vec![0.0; stage.param_count()];
        stage.read_gradients(0..all.len(), &mut all).unwrap();
        (loss, all)
    };
    let ((loss, all), (other_loss, other)) = (gradients(&two), gradients(&one));
    assert!((loss - other_loss).abs() < 1e-5 * loss);
    assert_near(&all, &other, 1e-4, "gradients");
}

#[test]
fn an_impossible_stage_is_refused_by_name() {
    let good = spec(tiny(), (1, 3), split(Some(2), Some(4)));
    let cases = [
        ("blocks", StageSpec { split: split(Some(4), Some(9)), ..good.clone() }),
        ("stage", StageSpec { stage: 3, ..good.clone() }),
        ("kind", StageSpec { stage: 0, ..good.clone() }),
        ("kind", StageSpec { stage: 2, ..good.clone() }),
        ("local_batch", StageSpec { local_batch: 3, ..good.clone() }),
        ("local_batch", StageSpec { local_batch: 0, ..good.clone() }),
        ("seq", StageSpec { seq: 9, ..good.clone() }),
        ("seq", StageSpec { seq: 1, ..good.clone() }),
        ("grad_clip_norm", StageSpec { grad_clip_norm: f64::NAN, ..good.clone() }),
        ("total_global_params", StageSpec { total_global_params: 0, ..good.clone() }),
    ];
    for (name, spec) in cases {
        match spec.plan() {
            Err(PlanError::Size { what, .. }) => assert_eq!(what, name),
            other => panic!("{name}: {other:?}"),
        }
    }
    let config = LlamaConfig { n_heads: 3, ..tiny() };
    assert!(matches!(StageSpec { config, ..good }.plan(), Err(PlanError::Config(_))));
}

#[test]
fn what_does_not_fit_a_stage_is_refused() {
    let mut stages: Vec<Stage> = [0, 2, 5]
        .into_iter()
        .map(|kind| {
            let plan = all_kinds().swap_remove(kind).1.plan().unwrap();
            Stage::build(&CpuDevice::new(Some(1)), plan).unwrap()
        })
        .collect();
    let (good, short, strange) = ([1_u32; 10], [1_u32; 9], [16_u32; 10]);
    let numbers = [bf16::ONE; 40];
    let mut out = [bf16::ZERO; 40];
    let mut forward = |stage: usize, input| stages[stage].forward(input, &mut out).unwrap_err();
    let wrong_size = |e| matches!(e, StageError::WrongSize { .. });
    assert!(wrong_size(forward(0, StageInput::Tokens(&short))));
    assert!(wrong_size(forward(1, StageInput::Activation(&numbers[1..]))));
    let token = forward(0, StageInput::Tokens(&strange));
    assert_eq!(token, StageError::Token { token: 16, vocab: 16 });
    let kind = forward(0, StageInput::Activation(&numbers));
    assert!(matches!(kind, StageError::WrongKind { stage: 0, .. }));
    assert!(matches!(forward(1, StageInput::Tokens(&good)), StageError::WrongKind { .. }));
    assert!(matches!(forward(2, StageInput::Activation(&numbers)), StageError::NotHere { .. }));
    let mut poison = numbers;
    poison[7] = bf16::NAN;
    assert!(matches!(forward(1, StageInput::Activation(&poison)), StageError::NotFinite { .. }));
}
