//! Handing in what a miner learned in an epoch: the weights of the start minus the weights now,
//! made while they are uploaded, and submitted (spec 9.1).

use super::local::{LocalError, LocalStage};
use super::record::Deed;
use super::services::Services;
use super::streamed::{InnerState, Learned, StreamedBlob};
use crate::clock::Moment;
use crate::network::CallError;
use crate::network::storage::{Escort, UploadError, UploadJob};
use crate::protocol::blob::BlobError;
use crate::protocol::merge;
use crate::protocol::messages::{
    AttestationAction, FileType, Flag, SubmitOptimizerStateRequest, WeightUpdate,
};
use crate::protocol::{Epoch, Phase, RunId, ServerError, StageIndex};

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
    /// The others did not wait: what is not there by now does not count any more.
    #[error("the stage went on to {0} before the upload was complete")]
    Over(Phase),
}

impl HandInError {
    /// The call to the orchestrator that failed, if it was one.
    pub fn call(&self) -> Option<&CallError> {
        match self {
            Self::Call(error) => Some(error),
            Self::Upload(error) => error.call(),
            _ => None,
        }
    }
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

/// What was handed in so far of one epoch's work, kept over all attempts: an attempt that fails, or
/// is broken off, leaves its stored parts to the next one.
#[derive(Debug, Default)]
pub struct HandInMemory {
    of: Option<(RunId, StageIndex, Epoch)>,
    began: Moment,
    weights: UploadJob,
}

impl HandInMemory {
    /// The handing-in of `stage`'s present epoch begins, or goes on; gives when it began. What is
    /// remembered of another epoch is forgotten: its object's name is of no use any more, even where
    /// its bytes are the same.
    pub fn open(&mut self, stage: &LocalStage, now: Moment) -> Moment {
        let of = (stage.terms().run.clone(), stage.terms().stage, stage.epoch());
        if self.of.as_ref() != Some(&of) {
            *self = Self { of: Some(of), began: now, weights: UploadJob::new() };
        }
        self.began
    }
}

/// Uploads and submits what the stage learned since the start of the epoch.
pub async fn hand_in(
    services: &Services,
    stage: &mut LocalStage,
    memory: &mut HandInMemory,
    escort: Escort<'_>,
) -> Result<HandIn, HandInError> {
    memory.open(stage, services.clock.now());
    let count = stage.count();
    let Some(previous) = stage.previous().cloned().filter(|_| count.backwards > 0) else {
        stage.end_epoch().await?;
        return Ok(HandIn::NothingToGive);
    };
    // Told only for the server's statistics; whether it hears it changes nothing here.
    if let Err(error) = services.orchestrator.notify_of_state_call().await {
        tracing::debug!("the phase change could not be acknowledged: {error}");
    }
    let terms = stage.terms();
    let clip = if terms.flags.is_on(Flag::ClipPseudoGradients) {
        let (count, total) = (previous.len() as u64, terms.spec.total_global_params);
        Clip::To(merge::stage_max_norm(terms.hyper.grad_clip_norm, count, total))
    } else {
        Clip::No
    };
    let learned = Learned::since(previous, stage).await?;
    let blob = StreamedBlob::survey(learned, (terms.partitions, count.steps), clip).await?;
    let job = &mut memory.weights;
    let upload =
        services.storage.upload(&services.orchestrator, FileType::Weights, job, &blob, escort);
    let object = tokio::select! {
        object = upload => object.map_err(of_upload)?,
        phase = end_of_uploading(services) => return Err(HandInError::Over(phase)),
    };
    drop(blob);
    let (run, flags) = (&stage.terms().run, &stage.terms().flags);
    let attestation = services.attest(AttestationAction::Weights, run, flags).await?;
    let update = WeightUpdate { weights_path: object.clone(), attestation };
    let answer = match services.orchestrator.submit_weights(&update).await {
        Ok(answer) => answer,
        Err(error) => {
            if matches!(error.server(), Some(ServerError::Other { .. })) {
                // The object may be what it does not like.
                memory.weights.forget();
            }
            return Err(error.into());
        }
    };
    memory.weights.forget();
    stage.note(Deed::Upload { object, steps: count.steps });
    stage.end_epoch().await?;
    if answer.should_upload_optimizer_state {
        // Helps newcomers; failing costs nobody anything.
        if let Err(error) = hand_in_optimizer(services, stage, escort).await {
            tracing::warn!("the optimizer state could not be shared: {error}");
        }
    }
    Ok(HandIn::Submitted)
}

/// Until the stage is in another phase; gives which.
async fn end_of_uploading(services: &Services) -> Phase {
    loop {
        services.clock.sleep(services.constants.heartbeat).await;
        // A heartbeat that fails says nothing about the phase.
        if let Ok(answer) = services.orchestrator.heartbeat(None).await
            && answer.phase != Phase::WeightsUploading
        {
            return answer.phase;
        }
    }
}

/// Uploads and submits the inner optimizer's state (spec 5.6).
async fn hand_in_optimizer(
    services: &Services,
    stage: &LocalStage,
    escort: Escort<'_>,
) -> Result<(), HandInError> {
    let state = InnerState::of(stage).await?;
    let blob = StreamedBlob::survey(state, (1, 0), Clip::No).await?;
    let mut job = UploadJob::new();
    let object = services
        .storage
        .upload(&services.orchestrator, FileType::OptimizerState, &mut job, &blob, escort)
        .await
        .map_err(of_upload)?;
    let request = SubmitOptimizerStateRequest { optimizer_state_path: object };
    Ok(services.orchestrator.submit_optimizer_state(&request).await?)
}

/// A failed upload whose numbers the device did not give is the device's failure.
fn of_upload(error: UploadError) -> HandInError {
    match error {
        UploadError::Source(source) => match source.downcast::<LocalError>() {
            Ok(device) => HandInError::Local(device),
            Err(source) => HandInError::Upload(UploadError::Source(source)),
        },
        error => HandInError::Upload(error),
    }
}

#[cfg(test)]
mod tests;
