//! Moments in bf16: what they take, what a step makes of them, and that a model learns with them.

use std::time::{Duration, Instant};

use half::bf16;

use super::state::one_backward;
use super::*;
use crate::compute::Role;
use crate::model::presets::{PRESETS, Preset};
use crate::model::{MomentKind, MomentPrecision, StageGradient, StageInput};

const KINDS: [MomentKind; 2] = [MomentKind::First, MomentKind::Second];

fn built(device: &dyn Device, moments: MomentPrecision) -> Stage {
    let spec = spec(tiny(), (1, 3), split(Some(2), Some(4)));
    let mut stage = Stage::build(device, StageSpec { moments, ..spec }.plan().unwrap()).unwrap();
    stage.initialise(5).unwrap();
    stage
}

fn stepped(stage: &mut Stage, name: &str) {
    one_backward(stage, name);
    stage.optimizer_step(1e-2).unwrap();
}

fn moments(stage: &mut Stage) -> [Vec<f32>; 2] {
    KINDS.map(|kind| {
        let mut out = vec![0.0; stage.param_count()];
        stage.read_moments(kind, 0..out.len(), &mut out).unwrap();
        out
    })
}

fn rounded(numbers: &[f32]) -> Vec<f32> {
    numbers.iter().map(|x| bf16::from_f32(*x).to_f32()).collect()
}

#[test]
fn they_take_half_the_bytes() {
    for (name, spec) in all_kinds() {
        let wide = spec.plan().unwrap();
        let narrow = StageSpec { moments: MomentPrecision::Bf16, ..spec }.plan().unwrap();
        let half = wide.bytes_of(Role::Moment) / 2;
        // A slot of an odd length ends with half a word.
        let slots = narrow.layout().slots().iter().filter(|s| s.role == Role::Moment).count();
        let took = narrow.bytes_of(Role::Moment);
        assert!((half..=half + 2 * slots).contains(&took), "{name}: {took} of {half}");
        let rest = |plan: &crate::model::StagePlan| plan.bytes() - plan.bytes_of(Role::Moment);
        assert_eq!(rest(&wide), rest(&narrow), "{name}");
    }
}

#[test]
fn a_step_moves_the_weights_before_it_rounds() {
    for device in devices() {
        let [mut wide, mut narrow] =
            [MomentPrecision::F32, MomentPrecision::Bf16].map(|m| built(device.as_ref(), m));
        // From zero moments the two see the same numbers.
        stepped(&mut wide, "first");
        stepped(&mut narrow, "first");
        assert_eq!(wide.weights().unwrap(), narrow.weights().unwrap());
        let (of_wide, of_narrow) = (moments(&mut wide), moments(&mut narrow));
        for (wide, narrow) in of_wide.iter().zip(&of_narrow) {
            assert_eq!(rounded(wide), *narrow);
            assert!(wide != narrow);
        }
        // From the same rounded moments they do so again.
        for (kind, numbers) in KINDS.into_iter().zip(&of_narrow) {
            wide.write_moments(kind, 0..numbers.len(), numbers).unwrap();
        }
        stepped(&mut wide, "second");
        stepped(&mut narrow, "second");
        assert_eq!(wide.weights().unwrap(), narrow.weights().unwrap());
        // And then not.
        stepped(&mut wide, "third");
        stepped(&mut narrow, "third");
        assert!(wide.weights().unwrap() != narrow.weights().unwrap());
    }
}

#[test]
fn they_are_taken_over_rounded_given_exactly_and_begin_at_zero() {
    let device = CpuDevice::new(Some(1));
    let [mut wide, mut narrow] =
        [MomentPrecision::F32, MomentPrecision::Bf16].map(|m| built(&device, m));
    stepped(&mut wide, "some");
    let whole = moments(&mut wide);
    for (kind, numbers) in KINDS.into_iter().zip(&whole) {
        // In pieces that begin in the middle of words and segments.
        for start in (0..numbers.len()).step_by(37) {
            let range = start..(start + 37).min(numbers.len());
            narrow.write_moments(kind, range.clone(), &numbers[range]).unwrap();
        }
    }
    let taken = moments(&mut narrow);
    assert_eq!(taken[0], rounded(&whole[0]));
    assert_eq!(taken[1], rounded(&whole[1]));
    // The wire carries bf16: of these moments it loses nothing.
    narrow.set_optimizer_progress(wide.optimizer_progress()).unwrap();
    let flat = narrow.read_optimizer().unwrap();
    assert_eq!(flat.len(), wide.read_optimizer().unwrap().len());
    wide.write_optimizer_range(0..flat.len(), &flat).unwrap();
    assert_eq!(moments(&mut wide), taken);
    assert_eq!(wide.read_optimizer().unwrap(), flat);
    // What bf16 has no room for does not become infinite.
    narrow.write_moments(MomentKind::Second, 0..1, &[f32::MAX]).unwrap();
    assert_eq!(moments(&mut narrow)[1][0], f32::from(bf16::MAX));
    narrow.reset_optimizer().unwrap();
    assert!(moments(&mut narrow).iter().flatten().all(|x| *x == 0.0));
}

/// How the nano model is trained, in three stages as in a swarm.
#[derive(Clone, Copy)]
struct Run {
    seed: u64,
    moments: MomentPrecision,
    local_batch: usize,
    steps: usize,
}

/// What came of it.
struct Trained {
    losses: Vec<f64>,
    backwards: Duration,
    optimizer: Duration,
}

impl Trained {
    /// Mean of the last fifth.
    fn last(&self) -> f64 {
        let tail = &self.losses[self.losses.len() * 4 / 5..];
        tail.iter().sum::<f64>() / tail.len() as f64
    }
}

/// The bytes of a text of this repository are the tokens.
fn sample(preset: &Preset, step: usize) -> Vec<u32> {
    let text = include_bytes!("../../../ARCHITECTURE.md");
    let count = preset.batch * preset.seq;
    let at = (step * 7919) % (text.len() - count);
    text[at..at + count].iter().map(|byte| u32::from(*byte)).collect()
}

fn train(preset: &Preset, run: Run) -> Trained {
    let device = CpuDevice::new(Some(2));
    let specs = preset.stage_specs(3).unwrap().into_iter();
    let mut stages: Vec<Stage> = specs
        .map(|spec| {
            let spec = StageSpec { moments: run.moments, local_batch: run.local_batch, ..spec };
            let mut stage = Stage::build(&device, spec.plan().unwrap()).unwrap();
            stage.initialise(run.seed).unwrap();
            stage
        })
        .collect();
    let len = preset.batch * preset.seq * preset.bottleneck_dim;
    let (mut backwards, mut optimizer) = (Duration::ZERO, Duration::ZERO);
    let mut losses = Vec::new();
    for step in 0..run.steps {
        let tokens = sample(preset, step);
        let began = Instant::now();
        let [head, body, tail] = &mut stages[..] else { panic!("three stages") };
        let (mut one, mut two) = (vec![bf16::ZERO; len], vec![bf16::ZERO; len]);
        head.forward(StageInput::Tokens(&tokens), &mut one).unwrap();
        body.forward(StageInput::Activation(&one), &mut two).unwrap();
        let (mut back, mut first) = (Vec::new(), Vec::new());
        let targets = StageGradient::Targets(&tokens);
        let report = tail.backward(StageInput::Activation(&two), targets, &mut back).unwrap();
        losses.push(report.loss.unwrap());
        let gradient = StageGradient::Activation(&back);
        body.backward(StageInput::Activation(&one), gradient, &mut first).unwrap();
        let gradient = StageGradient::Activation(&first);
        head.backward(StageInput::Tokens(&tokens), gradient, &mut Vec::new()).unwrap();
        backwards += began.elapsed();
        let began = Instant::now();
        for stage in &mut stages {
            stage.optimizer_step(preset.learning_rate).unwrap();
        }
        optimizer += began.elapsed();
    }
    Trained { losses, backwards, optimizer }
}

fn nano() -> &'static Preset {
    &PRESETS[1]
}

/// The bound is a tenth of what the loss falls by; another seed makes more of a difference.
#[test]
fn a_model_learns_with_them_as_with_wide_ones() {
    let run = Run { seed: 3, moments: MomentPrecision::F32, local_batch: 2, steps: 60 };
    let wide = train(nano(), run);
    let narrow = train(nano(), Run { moments: MomentPrecision::Bf16, ..run });
    let fell = wide.losses[0] - wide.last();
    assert!(fell > 2.0, "from {} to {}", wide.losses[0], wide.last());
    let gap = (wide.last() - narrow.last()).abs();
    assert!(gap < 0.1 * fell, "{} and {}: {gap} apart", wide.last(), narrow.last());
    assert!(wide.losses != narrow.losses);
}

#[test]
#[ignore = "a measurement: cargo test --release --lib -- --ignored --nocapture what_each_rung_costs"]
fn what_each_rung_costs() {
    use MomentPrecision::{Bf16, F32};
    let steps = 800;
    for preset in [nano(), &PRESETS[0]] {
        let steps = if preset.name == "nano" { steps } else { steps / 4 };
        for (seed, moments, local_batch) in
            [(3, F32, 2), (4, F32, 2), (3, F32, 1), (3, Bf16, 2), (4, Bf16, 2)]
        {
            let local_batch = local_batch.min(preset.batch);
            let done = train(preset, Run { seed, moments, local_batch, steps });
            let each = |time: Duration| time.as_secs_f64() * 1e3 / steps as f64;
            println!(
                "{} seed {seed} {moments} {local_batch} at once: loss {:.4} -> {:.4}, {:.2} ms of passes and \
                 {:.3} ms of optimizer a step",
                preset.name,
                done.losses[0],
                done.last(),
                each(done.backwards),
                each(done.optimizer),
            );
        }
    }
}
