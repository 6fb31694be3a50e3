//! The outer optimizer (spec 9.1, 9.4): pseudo-gradients, their weighted average, and the Nesterov
//! step that turns old weights into merged ones. Two miners merge the same chunk and their results
//! are compared, so every rounding to bf16 is that of the reference, down to its uneven last block.

use super::bf16::{bf16, round};

/// The outer learning rate.
pub const OUTER_LEARNING_RATE: f64 = 0.7;

/// The reference rounds whole blocks of this many numbers once and the rest of a chunk twice. A chunk
/// that is merged in pieces must be cut at multiples of it.
pub const BLOCK: usize = 32;

/// Why sources cannot be merged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// Nothing to average.
    #[error("there is no source to merge")]
    NoSources,
    /// Slices of different lengths.
    #[error("a source has {have} numbers where {need} are needed")]
    Length {
        /// Numbers there are.
        have: usize,
        /// Numbers needed.
        need: usize,
    },
    /// The weights add up to nothing.
    #[error("the sources' weights do not add up to a positive number")]
    Weights,
}

/// One miner's pseudo-gradient of a chunk, and what it counts.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Old weights minus new.
    pub gradient: &'a [bf16],
    /// Its weight in the average (1 when averaging is unweighted).
    pub weight: f64,
}

/// What an outer step makes of a chunk.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    /// The momentum buffer after the step.
    pub buffer: Vec<bf16>,
    /// What was subtracted, before the learning rate.
    pub update: Vec<bf16>,
    /// The merged weights.
    pub weights: Vec<bf16>,
}

/// The outer momentum of `epoch`: from 0.5 up to 0.9 at epoch 20.
pub fn outer_momentum(epoch: u64) -> f64 {
    #[allow(clippy::cast_precision_loss)] // Below 20.
    if epoch < 20 { 0.5 + 0.4 * epoch as f64 / 20.0 } else { 0.9 }
}

/// The weighted mean of the sources, in f32 in their order, rounded to bf16 once.
pub fn average(sources: &[Source<'_>]) -> Result<Vec<bf16>, MergeError> {
    let need = sources.first().ok_or(MergeError::NoSources)?.gradient.len();
    let mut sum = vec![0.0_f32; need];
    let mut total = 0.0_f64;
    for source in sources {
        check_length(source.gradient, need)?;
        total += source.weight;
        let weight = to_f32(source.weight);
        for (sum, g) in sum.iter_mut().zip(source.gradient) {
            *sum += g.to_f32() * weight;
        }
    }
    // Also refuses NaN.
    if !(total > 0.0 && total.is_finite()) {
        return Err(MergeError::Weights);
    }
    let total = to_f32(total);
    Ok(sum.into_iter().map(|sum| bf16::from_f32(sum / total)).collect())
}

/// One outer step on a chunk: `old` weights, averaged `gradient`, the chunk's previous momentum
/// `buffer` if there is one. The chunk must be whole: where its last, uneven block lies matters.
pub fn outer_step(
    old: &[bf16],
    gradient: &[bf16],
    buffer: Option<&[bf16]>,
    epoch: u64,
) -> Result<Merged, MergeError> {
    check_length(old, gradient.len())?;
    let momentum = outer_momentum(epoch);
    let buffer = momentum_buffer(gradient, buffer, momentum)?;
    let update = add_scaled(gradient, to_f32(momentum), &buffer);
    let weights = add_scaled(old, to_f32(-OUTER_LEARNING_RATE), &update);
    Ok(Merged { buffer, update, weights })
}

/// [`outer_step`] on weights kept in f32 between epochs: the same buffer and update, subtracted
/// without rounding the result. Round it to bf16 for the wire.
pub fn outer_step_f32(
    old: &[f32],
    gradient: &[bf16],
    buffer: Option<&[bf16]>,
    epoch: u64,
) -> Result<(Vec<f32>, Vec<bf16>), MergeError> {
    if old.len() != gradient.len() {
        return Err(MergeError::Length { have: old.len(), need: gradient.len() });
    }
    let momentum = outer_momentum(epoch);
    let buffer = momentum_buffer(gradient, buffer, momentum)?;
    let update = add_scaled(gradient, to_f32(momentum), &buffer);
    let rate = to_f32(OUTER_LEARNING_RATE);
    let weights = old.iter().zip(&update).map(|(old, u)| old - rate * u.to_f32()).collect();
    Ok((weights, buffer))
}

/// Old weights minus new, per element in f32, rounded to bf16.
pub fn pseudo_gradient(old: &[bf16], new: &[bf16]) -> Result<Vec<bf16>, MergeError> {
    check_length(new, old.len())?;
    let pairs = old.iter().zip(new);
    Ok(pairs.map(|(old, new)| bf16::from_f32(old.to_f32() - new.to_f32())).collect())
}

/// [`pseudo_gradient`] of weights kept in f32.
pub fn pseudo_gradient_f32(old: &[f32], new: &[f32]) -> Result<Vec<bf16>, MergeError> {
    if new.len() != old.len() {
        return Err(MergeError::Length { have: new.len(), need: old.len() });
    }
    Ok(old.iter().zip(new).map(|(old, new)| bf16::from_f32(old - new)).collect())
}

/// The clipping norm of one stage: the model's, by the root of the stage's share of parameters.
#[allow(clippy::cast_precision_loss)] // Parameter counts stay far below 2^53.
pub fn stage_max_norm(grad_clip_norm: f64, stage_params: u64, total_global_params: u64) -> f64 {
    grad_clip_norm * (stage_params as f64 / total_global_params as f64).sqrt()
}

/// What gradients of norm `total_norm` are multiplied with (spec 8.8): at most 1.
pub fn clip_coefficient(total_norm: f64, max_norm: f64) -> f64 {
    (max_norm / (total_norm + 1e-6)).min(1.0)
}

/// L2 norm of bf16 numbers, summed in f64 and rounded to bf16 as the reference's is.
pub fn norm(values: &[bf16]) -> f64 {
    let mut sum = NormSum::default();
    sum.add(values);
    sum.norm()
}

/// [`norm`] of numbers that come piece by piece, in their order: the same to the bit.
#[derive(Clone, Copy, Debug, Default)]
pub struct NormSum(f64);

impl NormSum {
    /// Adds the next piece.
    pub fn add(&mut self, values: &[bf16]) {
        for value in values {
            self.0 += f64::from(value.to_f32()).powi(2);
        }
    }

    /// The norm of everything added.
    pub fn norm(self) -> f64 {
        f64::from(round(to_f32(self.0.sqrt())))
    }
}

/// What a pseudo-gradient of norm `norm` is scaled with (flag `clip_pseudo_gradients`, spec 9.1);
/// none if it is short enough.
pub fn clip_scale(norm: f64, max_norm: f64) -> Option<f32> {
    (norm > max_norm).then(|| to_f32(max_norm / (norm + 1e-6)))
}

/// Scales numbers as [`clip_scale`] says.
pub fn scale(values: &mut [bf16], scale: f32) {
    for value in values {
        *value = bf16::from_f32(value.to_f32() * scale);
    }
}

/// Scales a pseudo-gradient down to `max_norm` when its norm is larger (flag
/// `clip_pseudo_gradients`, spec 9.1). Returns whether it did.
pub fn clip_pseudo_gradient(gradient: &mut [bf16], max_norm: f64) -> bool {
    let factor = clip_scale(norm(gradient), max_norm);
    if let Some(factor) = factor {
        scale(gradient, factor);
    }
    factor.is_some()
}

/// Whether a vector holds neither NaN nor an infinity; nothing else may be uploaded.
pub fn all_finite(values: &[bf16]) -> bool {
    values.iter().all(|value| value.is_finite())
}

/// Cosine between two vectors of equal length, in f64: how far a downloaded shard has turned away
/// from our own weights (spec 9.6). NaN when one of them is zero or not finite.
pub fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let mut sum = CosineSum::default();
    sum.add(a, b);
    sum.cosine()
}

/// [`cosine`] of vectors that come piece by piece.
#[derive(Clone, Copy, Debug, Default)]
pub struct CosineSum {
    dot: f64,
    aa: f64,
    bb: f64,
}

impl CosineSum {
    /// Adds the next piece of both, of equal length.
    pub fn add(&mut self, a: &[f32], b: &[f32]) {
        for (a, b) in a.iter().zip(b) {
            let (a, b) = (f64::from(*a), f64::from(*b));
            self.dot += a * b;
            self.aa += a * a;
            self.bb += b * b;
        }
    }

    /// The cosine of everything added.
    pub fn cosine(self) -> f64 {
        self.dot / (self.aa.sqrt() * self.bb.sqrt())
    }
}

/// `bf16(bf16(old * momentum) + gradient)`, or the gradient itself in the first epoch.
fn momentum_buffer(
    gradient: &[bf16],
    old: Option<&[bf16]>,
    momentum: f64,
) -> Result<Vec<bf16>, MergeError> {
    let Some(old) = old else { return Ok(gradient.to_vec()) };
    check_length(old, gradient.len())?;
    let momentum = to_f32(momentum);
    let pairs = old.iter().zip(gradient);
    Ok(pairs.map(|(b, g)| bf16::from_f32(round(b.to_f32() * momentum) + g.to_f32())).collect())
}

/// `x + alpha * y` as the reference computes it in bf16: alpha is rounded first; whole blocks round
/// the f32 result once, the numbers after the last whole block round the product too.
fn add_scaled(x: &[bf16], alpha: f32, y: &[bf16]) -> Vec<bf16> {
    let alpha = round(alpha);
    let blocks = x.len() - x.len() % BLOCK;
    let pairs = x.iter().zip(y).enumerate();
    pairs
        .map(|(i, (x, y))| {
            // Exact in f32: both factors have 8 significant bits.
            let product = alpha * y.to_f32();
            let product = if i < blocks { product } else { round(product) };
            bf16::from_f32(x.to_f32() + product)
        })
        .collect()
}

fn check_length(values: &[bf16], need: usize) -> Result<(), MergeError> {
    if values.len() == need { Ok(()) } else { Err(MergeError::Length { have: values.len(), need }) }
}

/// Scalars enter the arithmetic in f32.
#[allow(clippy::cast_possible_truncation)]
fn to_f32(x: f64) -> f32 {
    x as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::bf16::{narrow, widen};

    fn source(gradient: &[bf16], weight: f64) -> Source<'_> {
        Source { gradient, weight }
    }

    #[test]
    fn the_average_is_weighted_and_refuses_what_cannot_be_averaged() {
        let (a, b) = (narrow(&[1.0, 2.0]), narrow(&[5.0, -2.0]));
        assert_eq!(average(&[source(&a, 3.0), source(&b, 1.0)]), Ok(narrow(&[2.0, 1.0])));
        assert_eq!(average(&[]), Err(MergeError::NoSources));
        assert_eq!(average(&[source(&a, 0.0)]), Err(MergeError::Weights));
        assert_eq!(average(&[source(&a, f64::NAN)]), Err(MergeError::Weights));
        let short = average(&[source(&a, 1.0), source(&b[..1], 1.0)]);
        assert_eq!(short, Err(MergeError::Length { have: 1, need: 2 }));
    }

    #[test]
    fn a_chunk_that_did_not_move_and_has_no_momentum_stays_as_it_is() {
        let old = narrow(&(0..40_u8).map(|i| f32::from(i) * 0.37).collect::<Vec<_>>());
        let zero = vec![bf16::ZERO; 40];
        let merged = outer_step(&old, &zero, None, 3).unwrap();
        assert_eq!(merged.weights, old);
        assert!(outer_step(&old, &zero[..3], None, 3).is_err());
        assert!(outer_step(&old, &zero, Some(&old[..3]), 3).is_err());
    }

    #[test]
    fn the_f32_step_is_the_bf16_one_without_the_last_rounding() {
        let spread = |seed: u16| -> Vec<bf16> {
            (0..37_u16)
                .map(|i| bf16::from_f32(f32::from((i * 97 + seed) % 101) / 101.0 - 0.5))
                .collect()
        };
        let (old, gradient, buffer) = (spread(1), spread(7), spread(31));
        let merged = outer_step(&old, &gradient, Some(&buffer), 5).unwrap();
        let (weights, kept) = outer_step_f32(&widen(&old), &gradient, Some(&buffer), 5).unwrap();
        assert_eq!(kept, merged.buffer);
        for (wide, narrow) in weights.iter().zip(&merged.weights) {
            // Half a unit in the last place of bf16, plus bf16(0.7) against 0.7.
            assert!((wide - narrow.to_f32()).abs() <= 0.006, "{wide} {narrow}");
        }
    }

    #[test]
    fn clipping_keeps_small_vectors_and_shrinks_large_ones_to_the_limit() {
        let mut small = narrow(&[0.03, 0.04]);
        let before = small.clone();
        assert!(!clip_pseudo_gradient(&mut small, 0.1));
        assert_eq!(small, before);
        let mut large = narrow(&[3.0, 4.0]);
        assert!(clip_pseudo_gradient(&mut large, 0.5));
        assert!((norm(&large) - 0.5).abs() < 0.002);
        assert!(!all_finite(&[bf16::NAN]) && !all_finite(&[bf16::INFINITY]) && all_finite(&large));
    }

    #[test]
    fn cosine_is_one_for_parallel_and_nan_for_zero_vectors() {
        assert!((cosine(&[1.0, 2.0], &[2.0, 4.0]) - 1.0).abs() < 1e-12);
        assert!((cosine(&[1.0, 0.0], &[0.0, 1.0])).abs() < 1e-12);
        assert!(cosine(&[0.0], &[1.0]).is_nan());
    }
}
