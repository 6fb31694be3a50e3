//! Backward against forward: finite differences on the oracle, and slices against the whole batch.

use super::*;
use crate::model::{Boundary, Purpose, StageGradient, StageInput};

/// A stage on a device with random weights, and everything it is fed.
struct Case {
    stage: Stage,
    weights: Vec<f64>,
    tokens: Vec<u32>,
    input: Vec<f64>,
    gradient: Vec<f64>,
}

impl Case {
    fn new(device: &dyn Device, spec: &StageSpec) -> Self {
        let plan = spec.plan_for(Purpose::Training, Boundary::Exact).unwrap();
        let mut stage = Stage::build(device, plan).unwrap();
        let weights = weights(&stage);
        stage.write_weights_exact(0..weights.len(), &weights).unwrap();
        let numbers_of_batch = spec.batch * spec.seq * spec.config.boundary_dim();
        Self {
            stage,
            weights,
            tokens: tokens(spec, "tokens"),
            input: numbers(numbers_of_batch, 1.0, "input"),
            gradient: numbers(numbers_of_batch, 1.0, "gradient"),
        }
    }

    /// The scalar whose gradient `backward` computes: the loss, or the output's product with the
    /// gradient that comes in.
    fn objective(&mut self) -> f64 {
        if self.stage.plan().kind().has_output_head() {
            return self.backward().1;
        }
        let mut out = vec![0.0; self.gradient.len()];
        let input = input(&self.stage, &self.tokens, &self.input);
        self.stage.forward_exact(input, &mut out).unwrap();
        out.iter().zip(&self.gradient).map(|(a, b)| a * b).sum()
    }

    /// The gradient for the stage before, and the loss of a last stage.
    fn backward(&mut self) -> (Vec<f64>, f64) {
        let mut back = Vec::new();
        let gradient = if self.stage.plan().kind().has_output_head() {
            StageGradient::Targets(&self.tokens)
        } else {
            StageGradient::Exact(&self.gradient)
        };
        let input = input(&self.stage, &self.tokens, &self.input);
        let report = self.stage.backward_exact(input, gradient, &mut back).unwrap();
        (back, report.loss.unwrap_or(0.0))
    }

    fn gradients(&mut self) -> Vec<f64> {
        let mut all = vec![0.0; self.weights.len()];
        self.stage.read_gradients(0..all.len(), &mut all).unwrap();
        all
    }

    /// The change of the objective along a direction in weight space, by central difference.
    fn slope(&mut self, range: std::ops::Range<usize>, direction: &[f64]) -> f64 {
        const STEP: f64 = 1e-5;
        let at = |step: f64, case: &mut Self| {
            let old = case.weights[range.clone()].iter();
            let moved: Vec<f64> = old.zip(direction).map(|(w, d)| w + step * d).collect();
            case.stage.write_weights_exact(range.clone(), &moved).unwrap();
            case.objective()
        };
        let slope = (at(STEP, self) - at(-STEP, self)) / (2.0 * STEP);
        let old = self.weights[range.clone()].to_vec();
        self.stage.write_weights_exact(range, &old).unwrap();
        slope
    }
}

fn input<'a>(stage: &Stage, tokens: &'a [u32], numbers: &'a [f64]) -> StageInput<'a> {
    if stage.plan().kind().has_embedding() {
        StageInput::Tokens(tokens)
    } else {
        StageInput::Exact(numbers)
    }
}

#[test]
fn gradients_of_weights_are_the_slopes_of_the_objective() {
    for (name, spec) in all_kinds() {
        let mut case = Case::new(&CpuDevice::oracle(), &spec);
        case.backward();
        let gradients = case.gradients();
        let mut start = 0;
        for parameter in spec.parameters() {
            let range = start..start + parameter.count();
            start = range.end;
            let direction = numbers(parameter.count(), 1.0, &parameter.name);
            let along = gradients[range.clone()].iter().zip(&direction);
            let expected: f64 = along.map(|(g, d)| g * d).sum();
            let slope = case.slope(range, &direction);
            let what = format!("{name}, {}: {expected} and {slope}", parameter.name);
            assert!((expected - slope).abs() < 1e-6 * slope.abs().max(0.1), "{what}");
            let touched = parameter.training == crate::model::parameters::Training::Trained;
            assert_eq!(slope.abs() > 1e-9, touched, "{what}");
        }
    }
}

#[test]
fn gradients_of_inputs_are_the_slopes_of_the_objective() {
    for (name, spec) in all_kinds().into_iter().filter(|(_, s)| !s.kind().has_embedding()) {
        let mut case = Case::new(&CpuDevice::oracle(), &spec);
        let (gradient, _) = case.backward();
        let direction = numbers(gradient.len(), 1.0, "direction");
        let expected: f64 = gradient.iter().zip(&direction).map(|(g, d)| g * d).sum();
        let original = case.input.clone();
        let mut at = |step: f64| {
            let moved = original.iter().zip(&direction).map(|(x, d)| x + step * d);
            case.input = moved.collect();
            case.objective()
        };
        let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
        let gap = (expected - slope).abs();
        assert!(gap < 1e-6 * slope.abs().max(0.1), "{name}: {expected} and {slope}");
        assert!(slope.abs() > 1e-3, "{name}: {slope} says nothing");
    }
}

#[test]
fn slices_give_the_gradients_of_the_whole_batch() {
    for device in devices() {
        for (name, spec) in all_kinds() {
            let mut sliced = Case::new(device.as_ref(), &spec);
            let mut whole = Case::new(device.as_ref(), &StageSpec { local_batch: 2, ..spec });
            let ((back, loss), (whole_back, whole_loss)) = (sliced.backward(), whole.backward());
            let (have, want) = (sliced.gradients(), whole.gradients());
            assert_near(&have, &want, 1e-5, name);
            assert!((loss - whole_loss).abs() < 1e-5, "{name}");
            if !whole.stage.plan().kind().has_embedding() {
                assert_near(&back, &whole_back, 1e-5, name);
            }
        }
    }
}

#[test]
fn gradients_add_up_until_they_are_cleared() {
    for (name, spec) in all_kinds() {
        let mut case = Case::new(&CpuDevice::oracle(), &spec);
        case.backward();
        let once = case.gradients();
        case.backward();
        let twice: Vec<f64> = once.iter().map(|g| 2.0 * g).collect();
        assert_near(&case.gradients(), &twice, 1e-12, name);
        case.stage.zero_gradients().unwrap();
        assert!(case.gradients().iter().all(|g| *g == 0.0), "{name}");
    }
}

#[test]
fn the_f32_backend_follows_the_oracle() {
    for (name, spec) in all_kinds() {
        let mut oracle = Case::new(&CpuDevice::oracle(), &spec);
        let mut cpu = Case::new(&CpuDevice::new(Some(2)), &spec);
        let ((want_back, want), (back, loss)) = (oracle.backward(), cpu.backward());
        assert!((want - loss).abs() <= 1e-6 * want.abs(), "{name}: {want} {loss}");
        assert_near(&back, &want_back, 2e-5, name);
        assert_near(&cpu.gradients(), &oracle.gradients(), 2e-5, name);
    }
}

#[test]
fn a_head_publishes_the_beginning_of_its_table_gradient_slice_by_slice() {
    let spec = spec(tiny(), (0, 3), split(None, Some(2)));
    let mut case = Case::new(&CpuDevice::oracle(), &spec);
    case.tokens = vec![0, 1, 2, 1, 0, 2, 2, 1, 0, 1];
    let (published, _) = case.backward();
    let per_slice = spec.seq * spec.config.boundary_dim();
    assert_eq!(published.len(), 2 * per_slice);
    // After the last slice the sum is complete.
    assert_eq!(published[per_slice..], case.gradients()[..per_slice]);
    assert_ne!(published[..per_slice], published[per_slice..]);
}

#[test]
fn a_table_smaller_than_an_activation_is_published_with_zeros_behind_it() {
    let config = LlamaConfig { vocab_size: 2, context_length: 64, ..tiny() };
    let small = spec(config, (0, 3), split(None, Some(2)));
    let mut case = Case::new(&CpuDevice::oracle(), &StageSpec { seq: 20, ..small });
    let (published, _) = case.backward();
    let (last, table) = (published.len() / 2, 2 * 8);
    assert_eq!(published[last..last + table], case.gradients()[..table]);
    assert!(published[last + table..].iter().all(|x| *x == 0.0));
    assert_eq!(published[last + table..].len(), 20 * 4 - table);
}
