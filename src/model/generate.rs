//! The whole model as a chain of its stages on one device: writing text, and the loss on a text.

use half::bf16;

use crate::clock::Entropy;
use crate::compute::{BuildError, Device};

use super::plan::{PlanError, StageSpec};
use super::stage::{Stage, StageError, StageInput};

/// How the next token is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampling {
    /// Divisor of the logits; 0 always takes the likeliest token.
    pub temperature: f64,
    /// Only this many of the likeliest tokens are drawn from; 0 means all.
    pub top_k: usize,
}

/// Why a chain of stages cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// A stage is impossible.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The device cannot take a stage.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The stages do not make a model.
    #[error("a text needs all stages of a model in order, head to tail")]
    Incomplete,
}

/// All stages of a model, built for inference.
#[derive(Debug)]
pub struct Chain {
    stages: Vec<Stage>,
    /// What crosses the boundaries, to and fro.
    activations: [Vec<bf16>; 2],
    batch: usize,
    seq: usize,
    logits: Vec<f32>,
}

impl Chain {
    /// Builds the stages, head to tail, for `batch` sequences of `seq` tokens each. Weights are zero
    /// until they are written through [`Chain::stage`].
    ///
    /// # Errors
    /// [`ChainError`] if the stages are not a whole model or the device cannot take them.
    pub fn build(
        device: &dyn Device,
        specs: &[StageSpec],
        batch: usize,
        seq: usize,
    ) -> Result<Self, ChainError> {
        let in_order = specs.iter().enumerate().all(|(i, spec)| spec.stage == i);
        let complete = specs.first().is_some_and(|spec| spec.stages == specs.len());
        if !(in_order && complete) {
            return Err(ChainError::Incomplete);
        }
        let mut stages = Vec::with_capacity(specs.len());
        let mut width = 0;
        for spec in specs {
            let spec = StageSpec { batch, local_batch: batch, seq, ..spec.clone() };
            width = spec.config.boundary_dim();
            stages.push(Stage::build(device, spec.plan_inference()?)?);
        }
        let room = || vec![bf16::ZERO; batch * seq * width];
        Ok(Self { stages, activations: [room(), room()], batch, seq, logits: Vec::new() })
    }

    /// One of the stages, to give it its weights.
    pub fn stage(&mut self, stage: usize) -> Option<&mut Stage> {
        self.stages.get_mut(stage)
    }

    /// Mean cross-entropy (nats) over the next tokens of `batch` sequences.
    ///
    /// # Errors
    /// [`StageError`] for a wrong number of tokens, one outside the vocabulary, or a device fault.
    pub fn loss(&mut self, tokens: &[u32]) -> Result<f64, StageError> {
        let (tail, input) = self.up_to_tail(tokens)?;
        tail.evaluate(input, tokens)
    }

    /// Goes on from `prompt` for `count` tokens and returns them. A text longer than `seq` is seen
    /// through its last `seq` tokens. An empty prompt begins with token 0.
    ///
    /// # Errors
    /// As [`Chain::loss`]; also if the chain was built for more than one sequence.
    pub fn write(
        &mut self,
        prompt: &[u32],
        count: usize,
        sampling: Sampling,
        entropy: &mut Entropy,
    ) -> Result<Vec<u32>, StageError> {
        if self.batch != 1 {
            let (have, want) = (self.batch, 1);
            return Err(StageError::WrongSize { what: "sequences to write", have, want });
        }
        let mut text = if prompt.is_empty() { vec![0] } else { prompt.to_vec() };
        let start = text.len();
        let mut window = vec![0; self.seq];
        for _ in 0..count {
            let seen = &text[text.len().saturating_sub(self.seq)..];
            let row = seen.len() - 1;
            // What comes after the last token is not looked at: attention is causal.
            window.fill(0);
            window[..seen.len()].copy_from_slice(seen);
            let mut logits = std::mem::take(&mut self.logits);
            let (tail, input) = self.up_to_tail(&window)?;
            tail.logits(input, row..row + 1, &mut logits)?;
            text.push(draw(&logits, sampling, entropy));
            self.logits = logits;
        }
        Ok(text.split_off(start))
    }

    /// Runs all stages but the last and returns that with its input.
    fn up_to_tail<'a>(
        &'a mut self,
        tokens: &'a [u32],
    ) -> Result<(&'a mut Stage, StageInput<'a>), StageError> {
        let Some((tail, before)) = self.stages.split_last_mut() else {
            return Err(StageError::NotHere { what: "any stage" });
        };
        let [current, next] = &mut self.activations;
        for (index, stage) in before.iter_mut().enumerate() {
            let input = match index {
                0 => StageInput::Tokens(tokens),
                _ => StageInput::Activation(current),
            };
            stage.forward(input, next)?;
            std::mem::swap(current, next);
        }
        let alone = before.is_empty();
        Ok((tail, if alone { StageInput::Tokens(tokens) } else { StageInput::Activation(current) }))
    }
}

/// Draws a token from its logits.
fn draw(logits: &[f32], sampling: Sampling, entropy: &mut Entropy) -> u32 {
    let mut order: Vec<usize> = (0..logits.len()).collect();
    order.sort_by(|a, b| logits[*b].total_cmp(&logits[*a]));
    let greedy = sampling.temperature <= 0.0;
    let kept = match sampling.top_k {
        _ if greedy => 1,
        0 => order.len(),
        k => k.min(order.len()),
    };
    order.truncate(kept);
    let top = order.first().map_or(0.0, |i| f64::from(logits[*i]));
    let weight = |i: &usize| {
        if greedy { 1.0 } else { ((f64::from(logits[*i]) - top) / sampling.temperature).exp() }
    };
    let mut left = entropy.unit() * order.iter().map(weight).sum::<f64>();
    let chosen = order.iter().find(|i| {
        left -= weight(i);
        left < 0.0
    });
    let token = chosen.or(order.last()).copied().unwrap_or(0);
    u32::try_from(token).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_temperature_the_likeliest_token_is_drawn() {
        let sampling = Sampling { temperature: 0.0, top_k: 0 };
        let mut entropy = Entropy::seeded(1, "draw");
        for _ in 0..20 {
            assert_eq!(draw(&[0.5, 3.0, 2.9], sampling, &mut entropy), 1);
        }
    }

    #[test]
    fn tokens_are_drawn_in_proportion_and_only_from_the_top() {
        let sampling = Sampling { temperature: 1.0, top_k: 2 };
        let mut entropy = Entropy::seeded(2, "draw");
        let logits = [0.0, 3.0_f32.ln(), -0.5, -1.0];
        let mut seen = [0; 4];
        for _ in 0..4000 {
            seen[draw(&logits, sampling, &mut entropy) as usize] += 1;
        }
        assert_eq!(seen[2] + seen[3], 0);
        assert!((2850..3150).contains(&seen[1]), "{seen:?}");
    }
}
