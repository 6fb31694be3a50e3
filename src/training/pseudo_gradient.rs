//! Handing in what a miner learned in an epoch: the weights of the start minus the weights now,
//! uploaded and submitted (spec 9.1).

use half::bf16;

use super::local::{LocalError, LocalStage};
use super::record::Deed;
use super::services::Services;
use crate::network::CallError;
use crate::network::storage::UploadError;
use crate::protocol::bf16::narrow;
use crate::protocol::blob::{self, BlobError};
use crate::protocol::merge;
use crate::protocol::messages::{FileType, Flag, SubmitOptimizerStateRequest, WeightUpdate};

/// A pseudo-gradient that must not be handed in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PseudoGradientError {
    /// The weights changed their number.
    #[error(
        "the weights of the epoch's start and of its end differ in number ({0}; this is a bug in Hearth: please report it)"
    )]
    Length(#[from] merge::MergeError),
    /// A number is infinite or no number.
    #[error(
        "weight {index} is no longer finite: this epoch's work is dropped and the weights of its start are used again"
    )]
    NotFinite {
        /// Its place.
        index: usize,
    },
}

/// Handing in did not work.
#[derive(Debug, thiserror::Error)]
pub enum HandInError {
    /// The orchestrator.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The store.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// The numbers.
    #[error(transparent)]
    Numbers(#[from] PseudoGradientError),
    /// The container.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The device.
    #[error(transparent)]
    Local(#[from] LocalError),
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandIn {
    /// The orchestrator has it.
    Submitted,
    /// No backward was done in this epoch: nothing to hand in (13 #30).
    NothingToGive,
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
    let mut gradient = merge::pseudo_gradient_f32(previous, current)?;
    if let Some(index) = gradient.iter().position(|g| !g.is_finite()) {
        return Err(PseudoGradientError::NotFinite { index });
    }
    if let Clip::To(most) = clip {
        merge::clip_pseudo_gradient(&mut gradient, most);
    }
    Ok(gradient)
}

/// Uploads and submits what the stage learned since the start of the epoch.
pub async fn hand_in(services: &Services, stage: &mut LocalStage) -> Result<HandIn, HandInError> {
    let count = stage.count();
    let Some(previous) = stage.previous().cloned().filter(|_| count.backwards > 0) else {
        stage.end_epoch().await?;
        return Ok(HandIn::NothingToGive);
    };
    // Told only for the server's statistics; whether it hears it changes nothing here.
    if let Err(error) = services.orchestrator.notify_of_state_call().await {
        tracing::debug!("the phase change could not be acknowledged: {error}");
    }
    let current = stage.weights().await?;
    let terms = stage.terms();
    let clip = if terms.flags.is_on(Flag::ClipPseudoGradients) {
        let (count, total) = (current.len() as u64, terms.spec.total_global_params);
        Clip::To(merge::stage_max_norm(terms.hyper.grad_clip_norm, count, total))
    } else {
        Clip::No
    };
    let gradient = pseudo_gradient(&previous, &current, clip)?;
    drop(current);
    let blob = blob::encode_weights(&gradient, terms.partitions, count.steps)?;
    drop(gradient);
    let object = services.storage.upload(&services.orchestrator, FileType::Weights, &blob).await?;
    let update = WeightUpdate { weights_path: object.clone(), attestation: None };
    let answer = services.orchestrator.submit_weights(&update).await?;
    stage.note(Deed::Upload { object, steps: count.steps });
    stage.end_epoch().await?;
    if answer.should_upload_optimizer_state {
        // Helps newcomers; failing costs nobody anything.
        if let Err(error) = hand_in_optimizer(services, stage).await {
            tracing::warn!("the optimizer state could not be shared: {error}");
        }
    }
    Ok(HandIn::Submitted)
}

/// Uploads and submits the inner optimizer's state (spec 5.6).
async fn hand_in_optimizer(services: &Services, stage: &LocalStage) -> Result<(), HandInError> {
    let state = narrow(&stage.flat_optimizer().await?);
    let blob = blob::encode_weights(&state, 1, 0)?;
    let object =
        services.storage.upload(&services.orchestrator, FileType::OptimizerState, &blob).await?;
    let request = SubmitOptimizerStateRequest { optimizer_state_path: object };
    Ok(services.orchestrator.submit_optimizer_state(&request).await?)
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
        assert!(matches!(
            pseudo_gradient(&[1.0], &[], Clip::No),
            Err(PseudoGradientError::Length(_))
        ));
    }
}
