//! Training steps: one forward, backward (with its recomputation) and optimizer step of a stage, as a
//! miner takes them, and whether the numbers are those of the reference in f64.

use half::bf16;

use super::BenchError;
use super::kernels::Comparison;
use super::measure::{Effort, Spread, measure};
use super::record::{Checksum, StageResult};
use crate::clock::Clock;
use crate::compute::Device;
use crate::compute::conformance::setup::Numbers;
use crate::compute::conformance::{BF16_LIMIT, REAL_LIMIT};
use crate::compute::cpu::CpuDevice;
use crate::model::presets::{LIVE_1B_PARAMS, PRESETS, Preset, live_1b};
use crate::model::{
    MomentPrecision, OptimizerKind, Stage, StageError, StageGradient, StageInput, StageKind,
    StageSpec,
};
use crate::protocol::splits::Split;

/// Seed of weights and samples: the same numbers on every machine.
const SEED: u64 = 42;
/// Stages that a preset is cut into.
const STAGES: usize = 3;
/// Relative error of a gradient's norm and of a loss, at most: sums over all of a stage in f32.
const STEP_LIMIT: f64 = 10.0 * REAL_LIMIT;
/// Learning rate of the measured steps.
const RATE: f64 = 1e-4;

/// A stage to measure.
#[derive(Clone, Debug)]
pub struct StageItem {
    /// The model's name.
    pub model: &'static str,
    /// The stage.
    pub spec: StageSpec,
}

impl StageItem {
    /// Its sort, in a word.
    pub fn sort(&self) -> &'static str {
        match self.spec.kind() {
            StageKind::Head => "head",
            StageKind::Body => "body",
            StageKind::Tail => "tail",
            StageKind::Whole => "whole",
        }
    }

    /// Layers of the stage.
    pub fn layers(&self) -> usize {
        self.spec.split.blocks(self.spec.config.n_layers)
    }
}

/// The stages of the practice models, the smallest model first.
pub fn presets() -> Vec<StageItem> {
    let of = |preset: &'static Preset| {
        let specs = preset.stage_specs(STAGES).unwrap_or_default();
        specs.into_iter().map(|spec| StageItem { model: preset.name, spec })
    };
    let mut presets: Vec<&'static Preset> = PRESETS.iter().collect();
    presets.sort_by_key(|preset| preset.total_params());
    presets.into_iter().flat_map(of).collect()
}

/// A layer of the live 1B model, with as many tokens as a step within `seconds` can take on a device
/// of this speed. None if even the fewest take longer.
pub fn live_layer(peak_gflops: f64, seconds: f64) -> Option<StageItem> {
    const SIZES: [(usize, usize); 6] = [(4, 800), (1, 800), (1, 400), (1, 200), (1, 100), (1, 50)];
    let item = |(batch, seq)| StageItem {
        model: "1B",
        spec: StageSpec {
            config: live_1b(),
            split: Split { start: Some(1), end: Some(2) },
            stage: 1,
            stages: STAGES,
            batch,
            local_batch: batch,
            seq,
            optimizer: OptimizerKind::NAdam,
            moments: MomentPrecision::F32,
            grad_clip_norm: 1.0,
            total_global_params: LIVE_1B_PARAMS,
        },
    };
    // Half of the peak is what a step reaches at best where memory is in the way.
    let short = |item: &StageItem| {
        let flops = item.spec.plan().map(|plan| step_flops(&plan)).unwrap_or(f64::INFINITY);
        flops / (0.5e9 * peak_gflops.max(1e-3)) <= seconds
    };
    SIZES.into_iter().map(item).find(short)
}

/// Multiplications and additions of a step's matrix products.
fn step_flops(plan: &crate::model::StagePlan) -> f64 {
    (plan.product_flops("forward") + plan.product_flops("backward")) as f64
}

/// What goes into a stage and comes back to it.
struct Sample {
    tokens: Vec<u32>,
    activation: Vec<bf16>,
    gradient: Vec<bf16>,
}

impl Sample {
    fn of(spec: &StageSpec) -> Self {
        let mut numbers = Numbers::of("a sample for a step");
        let count = spec.batch * spec.seq;
        let vocabulary = u32::try_from(spec.config.vocab_size).unwrap_or(u32::MAX);
        let mut narrow = |size: f32| -> Vec<bf16> {
            let number = |_| bf16::from_f32(numbers.between(-size, size));
            (0..count * spec.config.boundary_dim()).map(number).collect()
        };
        let (activation, gradient) = (narrow(1.0), narrow(1e-2));
        let tokens = (0..count).map(|_| numbers.below(vocabulary)).collect();
        Self { tokens, activation, gradient }
    }

    fn input(&self, kind: StageKind) -> StageInput<'_> {
        if kind.has_embedding() {
            StageInput::Tokens(&self.tokens)
        } else {
            StageInput::Activation(&self.activation)
        }
    }

    fn gradient(&self, kind: StageKind) -> StageGradient<'_> {
        if kind.has_output_head() {
            StageGradient::Targets(&self.tokens)
        } else {
            StageGradient::Activation(&self.gradient)
        }
    }
}

/// What a step gives.
#[derive(Default)]
struct StepNumbers {
    sent: Vec<bf16>,
    returned: Vec<bf16>,
    loss: f64,
    grad_norm: f64,
}

fn step(stage: &mut Stage, sample: &Sample, out: &mut StepNumbers) -> Result<(), StageError> {
    let kind = stage.plan().kind();
    if !kind.has_output_head() {
        let spec = stage.plan().spec();
        out.sent.resize(spec.batch * spec.seq * spec.config.boundary_dim(), bf16::ZERO);
        stage.forward(sample.input(kind), &mut out.sent)?;
    }
    let report = stage.backward(sample.input(kind), sample.gradient(kind), &mut out.returned)?;
    out.loss = report.loss.unwrap_or(0.0);
    out.grad_norm = stage.optimizer_step(RATE)?.grad_norm;
    Ok(())
}

/// Measures one stage on a device. `peak_gflops` is the device's own best.
///
/// # Errors
/// [`BenchError`] if the device cannot take the stage, or fails at it.
pub fn bench(
    item: &StageItem,
    device: &dyn Device,
    clock: &Clock,
    effort: Effort,
    peak_gflops: f64,
) -> Result<StageResult, BenchError> {
    let sample = Sample::of(&item.spec);
    let mut stage = Stage::build(device, item.spec.plan()?)?;
    stage.initialise(SEED)?;
    let flops = step_flops(stage.plan());
    let mut out = StepNumbers::default();
    step(&mut stage, &sample, &mut out)?;
    let check = match item.model {
        // The reference's optimizer state alone would be two gigabytes.
        "1B" => forward_check(item, device)?,
        _ => step_check(item, &sample, &out)?,
    };
    let seconds: Spread = measure(clock, effort, |runs| {
        (0..runs).try_for_each(|_| step(&mut stage, &sample, &mut out))
    })?;
    Ok(StageResult {
        model: item.model.to_owned(),
        stage: item.sort().to_owned(),
        layers: item.layers(),
        batch: item.spec.batch,
        sequence: item.spec.seq,
        tokens_per_second: (item.spec.batch * item.spec.seq) as f64 / seconds.median,
        share_of_peak: flops / seconds.median / (peak_gflops * 1e9),
        seconds,
        check,
    })
}

/// The first step against the same step of the reference. The checksum is the gradient's norm, to
/// which every number of the step contributes, plus the loss.
fn step_check(
    item: &StageItem,
    sample: &Sample,
    got: &StepNumbers,
) -> Result<Checksum, BenchError> {
    let mut stage = Stage::build(&CpuDevice::oracle(), item.spec.plan()?)?;
    stage.initialise(SEED)?;
    let mut want = StepNumbers::default();
    step(&mut stage, sample, &mut want)?;
    let relative = |got: f64, want: f64| {
        if got == want { 0.0 } else { (got - want).abs() / want.abs() }
    };
    // What crosses the wire is rounded there, so that it may differ by more.
    let rounded =
        wire(&got.sent, &want.sent).error().max(wire(&got.returned, &want.returned).error());
    let error = relative(got.grad_norm, want.grad_norm)
        .max(relative(got.loss, want.loss))
        .max(rounded * STEP_LIMIT / BF16_LIMIT);
    Ok(Checksum {
        device: got.grad_norm + got.loss,
        reference: want.grad_norm + want.loss,
        // `max` drops a NaN.
        error: if (got.grad_norm + got.loss).is_finite() { error } else { f64::INFINITY },
        limit: STEP_LIMIT,
    })
}

/// A forward of a few tokens against the reference's.
fn forward_check(item: &StageItem, device: &dyn Device) -> Result<Checksum, BenchError> {
    let spec = StageSpec { batch: 1, local_batch: 1, seq: 16, ..item.spec.clone() };
    let sample = Sample::of(&spec);
    let forward = |device: &dyn Device| -> Result<Vec<bf16>, BenchError> {
        let mut stage = Stage::build(device, spec.plan_inference()?)?;
        stage.initialise(SEED)?;
        let mut out = vec![bf16::ZERO; spec.seq * spec.config.boundary_dim()];
        stage.forward(sample.input(spec.kind()), &mut out)?;
        Ok(out)
    };
    Ok(wire(&forward(device)?, &forward(&CpuDevice::oracle())?).checksum(BF16_LIMIT))
}

fn wire(got: &[bf16], want: &[bf16]) -> Comparison {
    let mut comparison = Comparison::default();
    got.iter().zip(want).for_each(|(got, want)| comparison.add(got.to_f64(), want.to_f64()));
    comparison
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const ONCE: Effort = Effort { least: 1, most: 1, time: Duration::ZERO, sample: Duration::ZERO };

    #[test]
    fn every_stage_of_the_smallest_preset_agrees_with_the_reference() {
        let nano: Vec<StageItem> =
            presets().into_iter().filter(|item| item.model == "nano").collect();
        let sorts: Vec<&str> = nano.iter().map(StageItem::sort).collect();
        assert_eq!(sorts, ["head", "body", "tail"]);
        for item in &nano {
            let result =
                bench(item, &CpuDevice::new(Some(1)), &Clock::system(), ONCE, 10.0).unwrap();
            assert!(result.check.agrees(), "{:?}", result.check);
            assert!(result.check.error > 0.0, "f32 and f64 never agree to the last bit");
            assert!(result.tokens_per_second > 0.0 && result.check.reference > 0.0);
        }
    }

    #[test]
    fn a_step_that_differs_does_not_agree() {
        let item = &presets()[1];
        let sample = Sample::of(&item.spec);
        let mut stage = Stage::build(&CpuDevice::new(Some(1)), item.spec.plan().unwrap()).unwrap();
        stage.initialise(SEED + 1).unwrap();
        let mut out = StepNumbers::default();
        step(&mut stage, &sample, &mut out).unwrap();
        assert!(!step_check(item, &sample, &out).unwrap().agrees());
        out.grad_norm = f64::NAN;
        assert!(!step_check(item, &sample, &out).unwrap().agrees());
    }

    #[test]
    fn a_slow_device_gets_fewer_tokens_of_the_live_layer() {
        let tokens = |peak| live_layer(peak, 4.0).map(|item| item.spec.batch * item.spec.seq);
        assert_eq!(tokens(10_000.0), Some(3200));
        assert!(tokens(60.0) < tokens(600.0), "{:?}", tokens(60.0));
        assert_eq!(tokens(0.1), None);
    }
}
