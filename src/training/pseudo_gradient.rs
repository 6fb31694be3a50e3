//! What a miner learned in an epoch, as it is handed in: the weights of the start minus the weights
//! now, rounded to bf16 (spec 9.1).

use half::bf16;

/// A pseudo-gradient that must not be handed in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PseudoGradientError {
    /// The weights changed their number.
    #[error(
        "the weights of the epoch's start ({before}) and of its end ({after}) differ in number (this is a bug in Hearth: please report it)"
    )]
    Length {
        /// At the start.
        before: usize,
        /// Now.
        after: usize,
    },
    /// A number is infinite or no number.
    #[error(
        "weight {index} is no longer finite: this epoch's work is dropped and the weights of its start are used again"
    )]
    NotFinite {
        /// Its place.
        index: usize,
    },
}

/// Whether a pseudo-gradient is limited in length.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Clip {
    /// Flag `clip_pseudo_gradients` is off.
    No,
    /// To this L2 norm.
    To(f64),
}

/// `previous - current`, computed in f32 and rounded to bf16, then clipped.
pub fn pseudo_gradient(
    previous: &[f32],
    current: &[f32],
    clip: Clip,
) -> Result<Vec<bf16>, PseudoGradientError> {
    if previous.len() != current.len() {
        let (before, after) = (previous.len(), current.len());
        return Err(PseudoGradientError::Length { before, after });
    }
    let difference = previous.iter().zip(current).map(|(old, new)| bf16::from_f32(old - new));
    let mut gradient: Vec<bf16> = difference.collect();
    if let Some(index) = gradient.iter().position(|g| !g.is_finite()) {
        return Err(PseudoGradientError::NotFinite { index });
    }
    if let Clip::To(most) = clip {
        let norm = gradient.iter().map(|g| g.to_f64() * g.to_f64()).sum::<f64>().sqrt();
        if norm > most {
            #[allow(clippy::cast_possible_truncation)]
            let factor = (most / (norm + 1e-6)) as f32;
            gradient.iter_mut().for_each(|g| *g = bf16::from_f32(g.to_f32() * factor));
        }
    }
    Ok(gradient)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(numbers: &[bf16]) -> Vec<f32> {
        numbers.iter().map(|x| x.to_f32()).collect()
    }

    #[test]
    fn it_is_old_minus_new_rounded_once() {
        let gradient = pseudo_gradient(&[1.0, 2.0, 1.003], &[0.5, 3.0, 0.0], Clip::No).unwrap();
        assert_eq!(wide(&gradient), [0.5, -1.0, 1.0]);
    }

    #[test]
    fn a_long_one_is_shortened_and_a_short_one_is_left_alone() {
        let long = pseudo_gradient(&[3.0, 4.0], &[0.0, 0.0], Clip::To(2.5)).unwrap();
        assert_eq!(wide(&long), [1.5, 2.0]);
        let short = pseudo_gradient(&[3.0, 4.0], &[0.0, 0.0], Clip::To(5.5)).unwrap();
        assert_eq!(wide(&short), [3.0, 4.0]);
    }

    #[test]
    fn broken_numbers_and_lengths_are_refused() {
        let broken = pseudo_gradient(&[1.0, 1.0], &[1.0, f32::NAN], Clip::No);
        assert_eq!(broken, Err(PseudoGradientError::NotFinite { index: 1 }));
        let overflow = pseudo_gradient(&[f32::MAX], &[-f32::MAX], Clip::No);
        assert_eq!(overflow, Err(PseudoGradientError::NotFinite { index: 0 }));
        let length = pseudo_gradient(&[1.0], &[], Clip::No);
        assert_eq!(length, Err(PseudoGradientError::Length { before: 1, after: 0 }));
    }
}
