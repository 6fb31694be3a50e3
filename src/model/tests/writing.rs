//! The chain of all stages: logits, loss and writing.

use half::bf16;

use super::*;
use crate::model::generate::{Chain, ChainError, Sampling};
use crate::model::{StageGradient, StageInput};
use crate::protocol::splits::balanced_splits;

fn specs(stages: usize) -> Vec<StageSpec> {
    let splits = balanced_splits(tiny().n_layers, stages).unwrap();
    splits.into_iter().enumerate().map(|(i, s)| spec(tiny(), (i, stages), s)).collect()
}

fn chain(stages: usize, batch: usize, seq: usize) -> Chain {
    let device = CpuDevice::new(Some(1));
    let mut chain = Chain::build(&device, &specs(stages), batch, seq).unwrap();
    for stage in 0..stages {
        let stage = chain.stage(stage).unwrap();
        let weights = weights(stage);
        stage.write_weights_exact(0..weights.len(), &weights).unwrap();
    }
    chain
}

#[test]
fn writing_depends_on_the_text_so_far_and_on_nothing_behind_it() {
    let sampling = Sampling { temperature: 0.0, top_k: 0 };
    for stages in [1, 3] {
        let write = |prompt: &[u32], count, seq| {
            let entropy = &mut Entropy::seeded(1, "write");
            chain(stages, 1, seq).write(prompt, count, sampling, entropy).unwrap()
        };
        let all = write(&[3, 1, 4], 4, 8);
        assert_eq!(all.len(), 4);
        // One at a time gives the same, and so does a chain with less room.
        let mut text = vec![3, 1, 4];
        for _ in 0..4 {
            let next = write(&text, 1, 8);
            text.extend(next);
        }
        assert_eq!(text[3..], all);
        assert_eq!(write(&[3, 1, 4], 3, 6), all[..3]);
        // Beyond the window it goes on.
        assert_eq!(write(&[3, 1, 4], 12, 5).len(), 12);
        assert_eq!(write(&[], 2, 5).len(), 2);
    }
}

#[test]
fn the_chains_loss_is_the_loss_of_training() {
    let specs = specs(3);
    let tokens = tokens(&specs[0], "loss");
    let mut chain = chain(3, 2, 5);
    let evaluated = chain.loss(&tokens).unwrap();
    let mut activation = vec![bf16::ZERO; 40];
    for spec in &specs[..2] {
        let stage = chain.stage(spec.stage).unwrap();
        let before = activation.clone();
        let input = match spec.stage {
            0 => StageInput::Tokens(&tokens),
            _ => StageInput::Activation(&before),
        };
        stage.forward(input, &mut activation).unwrap();
    }
    let mut tail = Stage::build(&CpuDevice::new(Some(1)), specs[2].plan().unwrap()).unwrap();
    let weights = weights(&tail);
    tail.write_weights_exact(0..weights.len(), &weights).unwrap();
    let (input, targets) = (StageInput::Activation(&activation), StageGradient::Targets(&tokens));
    let trained = tail.backward(input, targets, &mut Vec::new()).unwrap().loss.unwrap();
    assert!((evaluated - trained).abs() < 1e-6 * trained, "{evaluated} {trained}");
}

#[test]
fn a_chain_needs_every_stage() {
    let device = CpuDevice::new(Some(1));
    for part in [&specs(3)[..2], &specs(3)[1..], &[]] {
        let outcome = Chain::build(&device, part, 1, 5);
        assert!(matches!(outcome, Err(ChainError::Incomplete)));
    }
}
