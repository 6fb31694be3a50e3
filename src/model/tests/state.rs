//! Weights and optimizer state as flat vectors, and what a step does to them.

use half::bf16;

use super::*;
use crate::model::optimizer::{BETA2, EPSILON, Optimizer};
use crate::model::parameters::Training;
use crate::model::{MomentKind, OptimizerProgress, StageError, StageGradient, StageInput};

fn body(device: &dyn Device, optimizer: OptimizerKind) -> Stage {
    let spec = spec(tiny(), (1, 3), split(Some(2), Some(4)));
    let mut stage = Stage::build(device, StageSpec { optimizer, ..spec }.plan().unwrap()).unwrap();
    stage.initialise(5).unwrap();
    stage
}

/// Adds the gradients of one backward; the numbers go by `name`.
pub(super) fn one_backward(stage: &mut Stage, name: &str) {
    let numbers = |what: &str| -> Vec<bf16> {
        let all = numbers(40, 1.0, &format!("{name} {what}"));
        all.into_iter().map(bf16::from_f64).collect()
    };
    let (input, gradient) = (numbers("input"), numbers("gradient"));
    let (input, gradient) = (StageInput::Activation(&input), StageGradient::Activation(&gradient));
    stage.backward(input, gradient, &mut Vec::new()).unwrap();
}

#[test]
fn any_range_of_the_weights_is_read_and_written_in_wire_order() {
    for device in devices() {
        let mut stage = body(device.as_ref(), OptimizerKind::NAdam);
        let count = stage.param_count();
        let want: Vec<f32> = (0_u16..).take(count).map(f32::from).collect();
        stage.write_weights(0..count, &want).unwrap();
        for range in [0..count, 5..6, 90..700, count - 1..count, 7..7] {
            let mut have = vec![0.0; range.len()];
            stage.read_weights(range.clone(), &mut have).unwrap();
            assert_eq!(have, want[range]);
        }
        stage.write_weights(100..103, &[-1.0, -2.0, -3.0]).unwrap();
        let all = stage.weights().unwrap();
        assert_eq!(all[99..104], [99.0, -1.0, -2.0, -3.0, 103.0]);
        assert!(stage.read_weights(0..count + 1, &mut vec![0.0; count + 1]).is_err());
        assert!(stage.write_weights(0..2, &[1.0]).is_err());
    }
}

#[test]
fn first_weights_depend_on_seed_stage_and_name_and_not_on_the_device() {
    let [oracle, cpu] = [0, 1].map(|i| {
        let device = &devices()[i];
        body(device.as_ref(), OptimizerKind::NAdam).weights().unwrap()
    });
    assert_eq!(oracle, cpu);
    let mut stage = body(&CpuDevice::new(Some(1)), OptimizerKind::NAdam);
    let mut start = 0;
    for parameter in stage.plan().parameters() {
        let range = start..start + parameter.count();
        start = range.end;
        if parameter.name.contains("norm") {
            assert!(cpu[range].iter().all(|w| *w == 1.0));
            continue;
        }
        let mean_square = cpu[range.clone()].iter().map(|w| w * w).sum::<f32>();
        #[allow(clippy::cast_precision_loss)]
        let deviation = (mean_square / range.len() as f32).sqrt();
        assert!((0.012..0.03).contains(&deviation), "{}: {deviation}", parameter.name);
    }
    stage.initialise(6).unwrap();
    assert_ne!(stage.weights().unwrap(), cpu);
}

/// The optimizer in plain f64, element by element.
fn expected_step(
    optimizer: &mut Optimizer,
    lr: f64,
    (weights, gradients): (&mut [f64], &[f64]),
    (first, second): (&mut [f64], &mut [f64]),
) {
    let [decay, beta1, _, bias2, _, step_g, step_m] = optimizer.advance(lr);
    for (i, g) in gradients.iter().enumerate() {
        weights[i] *= decay;
        first[i] += (g - first[i]) * (1.0 - beta1);
        second[i] = BETA2 * second[i] + (1.0 - BETA2) * g * g;
        let d = (second[i] / bias2).sqrt() + EPSILON;
        weights[i] -= step_g * g / d + step_m * first[i] / d;
    }
}

#[test]
fn a_step_clips_moves_what_is_trained_and_clears_the_gradients() {
    for (device, kind) in devices().iter().zip([OptimizerKind::NAdam, OptimizerKind::AdamW]) {
        let mut stage = body(device.as_ref(), kind);
        let count = stage.param_count();
        let mut optimizer = Optimizer::started(kind, 1, 3);
        let mut weights: Vec<f64> = stage.weights().unwrap().into_iter().map(f64::from).collect();
        let (mut first, mut second) = (vec![0.0; count], vec![0.0; count]);
        for step in 0..3 {
            one_backward(&mut stage, &format!("step {step}"));
            let mut gradients = vec![0.0; count];
            stage.read_gradients(0..count, &mut gradients).unwrap();
            let norm = gradients.iter().map(|g| g * g).sum::<f64>().sqrt();
            let coef = (stage.plan().spec().clip_norm() / (norm + 1e-6)).min(1.0);
            let report = stage.optimizer_step(1e-2).unwrap();
            assert!((report.grad_norm - norm).abs() < 1e-5 * norm);
            assert!((report.clip - coef).abs() < 1e-5);
            assert_eq!(report.step, step + 2);
            gradients.iter_mut().for_each(|g| *g *= coef);
            let moments = (&mut first[..], &mut second[..]);
            expected_step(&mut optimizer, 1e-2, (&mut weights, &gradients), moments);
            let have: Vec<f64> = stage.weights().unwrap().into_iter().map(f64::from).collect();
            check_weights(&stage, &have, &weights);
            stage.read_gradients(0..count, &mut gradients).unwrap();
            assert!(gradients.iter().all(|g| *g == 0.0));
        }
        assert_eq!(stage.local_steps(), 3);
        stage.reset_local_steps();
        assert_eq!((stage.local_steps(), stage.optimizer_steps()), (0, 4));
    }
}

/// Trained weights have moved as expected; the others have not moved at all.
fn check_weights(stage: &Stage, have: &[f64], want: &[f64]) {
    let mut first = body(&CpuDevice::new(Some(1)), OptimizerKind::NAdam);
    let original = first.weights().unwrap();
    let mut start = 0;
    for parameter in stage.plan().parameters() {
        let range = start..start + parameter.count();
        start = range.end;
        if parameter.training == Training::Untouched {
            let same = have[range.clone()].iter().zip(&original[range]);
            assert!(same.clone().all(|(a, b)| *a == f64::from(*b)));
        } else {
            assert_near(&have[range.clone()], &want[range], 1e-5, &parameter.name);
        }
    }
}

/// A backward whose input and gradient are everywhere these numbers.
fn backward_of(stage: &mut Stage, input: f32, gradient: f32) -> Result<(), StageError> {
    let [input, gradient] = [input, gradient].map(|x| [bf16::from_f32(x); 40]);
    let (input, gradient) = (StageInput::Activation(&input), StageGradient::Activation(&gradient));
    stage.backward(input, gradient, &mut Vec::new()).map(|_| ())
}

#[test]
fn gradients_that_are_not_finite_change_nothing_and_are_dropped() {
    let mut stage = body(&CpuDevice::new(Some(2)), OptimizerKind::NAdam);
    let (weights, state) = (stage.weights().unwrap(), stage.read_optimizer().unwrap());
    // The gradient of the weights is finite, but its norm is not.
    backward_of(&mut stage, 1.0, 1e30).unwrap();
    let what = "the gradient's norm";
    assert_eq!(stage.optimizer_step(1.0), Err(StageError::NotFinite { what }));
    // Here the gradient for the stage before is not.
    stage.write_weights(0..weights.len(), &vec![10.0; weights.len()]).unwrap();
    let spoiled = backward_of(&mut stage, 1.0, 3e38);
    stage.write_weights(0..weights.len(), &weights).unwrap();
    let what = "the gradient for the stage before";
    assert_eq!(spoiled, Err(StageError::NotFinite { what }));
    let what = "the gradient received";
    let refused = backward_of(&mut stage, 1.0, f32::NAN);
    assert_eq!(refused, Err(StageError::NotFinite { what }));

    assert_eq!(stage.weights().unwrap(), weights);
    assert_eq!(stage.read_optimizer().unwrap(), state);
    let mut gradients = vec![1.0; weights.len()];
    stage.read_gradients(0..weights.len(), &mut gradients).unwrap();
    assert!(gradients.iter().all(|g| *g == 0.0));
    one_backward(&mut stage, "good");
    assert!(stage.optimizer_step(1e-3).unwrap().grad_norm.is_finite());
}

fn moments(stage: &mut Stage) -> [Vec<f32>; 2] {
    [MomentKind::First, MomentKind::Second].map(|moment| {
        let mut out = vec![0.0; stage.param_count()];
        stage.read_moments(moment, 0..out.len(), &mut out).unwrap();
        out
    })
}

#[test]
fn optimizer_state_is_exchanged_flat_and_restored_exactly() {
    for kind in [OptimizerKind::NAdam, OptimizerKind::AdamW] {
        let device = CpuDevice::new(Some(1));
        let (mut a, mut b) = (body(&device, kind), body(&device, kind));
        one_backward(&mut a, "first");
        a.optimizer_step(1e-2).unwrap();
        let flat = a.read_optimizer().unwrap();
        assert_eq!(flat.len(), a.optimizer_len());
        // In pieces that begin and end in the middle of parameters.
        for start in (0..flat.len()).step_by(101) {
            let range = start..(start + 101).min(flat.len());
            b.write_optimizer_range(range.clone(), &flat[range]).unwrap();
        }
        assert_eq!(b.read_optimizer().unwrap(), flat);
        assert_eq!(b.optimizer_steps(), 1, "the step is not part of the exchange");

        let weights = a.weights().unwrap();
        b.set_optimizer_progress(a.optimizer_progress()).unwrap();
        let [first, second] = moments(&mut a);
        b.write_moments(MomentKind::First, 0..first.len(), &first).unwrap();
        b.write_moments(MomentKind::Second, 0..second.len(), &second).unwrap();
        b.write_weights(0..weights.len(), &weights).unwrap();
        for stage in [&mut a, &mut b] {
            one_backward(stage, "second");
            stage.optimizer_step(1e-2).unwrap();
        }
        assert_eq!(a.weights().unwrap(), b.weights().unwrap());
        assert_eq!(a.optimizer_progress(), b.optimizer_progress());
        assert_eq!(moments(&mut a), moments(&mut b));
    }
}

#[test]
fn an_impossible_optimizer_state_is_refused_and_changes_nothing() {
    let mut stage = body(&CpuDevice::new(Some(1)), OptimizerKind::NAdam);
    one_backward(&mut stage, "state");
    stage.optimizer_step(1e-2).unwrap();
    let good = stage.read_optimizer().unwrap();
    let first = stage.plan().parameters()[0].count();
    let with = |at: usize, value: f32| {
        let mut bad = good.clone();
        bad[at] = value;
        bad
    };
    let bad = [
        good[1..].to_vec(),
        with(0, 0.9),
        with(1, f32::NAN),
        with(1 + first, -1.0),
        with(1 + first, f32::INFINITY),
    ];
    for state in bad {
        assert!(stage.write_optimizer_range(0..state.len(), &state).is_err());
        assert_eq!(stage.read_optimizer().unwrap(), good);
    }
    let progress = stage.optimizer_progress();
    for bad in [
        OptimizerProgress { step: 0, ..progress },
        OptimizerProgress { mu_product: 1.5, ..progress },
        OptimizerProgress { mu_product: f64::NAN, ..progress },
    ] {
        assert!(stage.set_optimizer_progress(bad).is_err());
        assert_eq!(stage.optimizer_progress(), progress);
    }
    assert!(stage.write_moments(MomentKind::Second, 0..1, &[-1.0]).is_err());
    assert!(stage.write_moments(MomentKind::First, 0..1, &[f32::NAN]).is_err());
    assert_eq!(stage.read_optimizer().unwrap(), good);
}
