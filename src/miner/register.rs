//! Getting a run and a stage: one request, then the queue, if there is one (spec 1.6).

use crate::clock::{Clock, Entropy};
use crate::network::{CallError, Orchestrator};
use crate::protocol::backoff;
use crate::protocol::messages::{
    MinerRegistrationQueueStatusResponse, MinerRegistrationResponse, QueueStatus,
    RegisterMinerConfirmationRequest, RegisterMinerRequest, RegistrationAnswer,
};

/// No stage was given.
#[derive(Debug, thiserror::Error)]
pub(super) enum RegisterError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("the registration {status} ({detail})")]
    Turned { status: QueueStatus, detail: String },
}

/// Registers, waiting in the queue as long as it takes. `told` hears the place in the queue.
///
/// The attestation challenge is not asked for: nothing on this machine could answer it, and a null
/// payload is what the network takes from miners like this one (spec 4.2).
pub(super) async fn register(
    orchestrator: &Orchestrator,
    request: &RegisterMinerRequest,
    clock: &Clock,
    entropy: &mut Entropy,
    told: impl Fn(Option<u64>),
) -> Result<MinerRegistrationResponse, RegisterError> {
    let mut ticket = match orchestrator.register(request).await? {
        RegistrationAnswer::Registered(answer) => return Ok(*answer),
        RegistrationAnswer::Queued(ticket) => *ticket,
    };
    loop {
        if let Some(answer) = ticket.response.take() {
            return Ok(answer);
        }
        told(ticket.position);
        if matches!(ticket.status, QueueStatus::Failed | QueueStatus::Expired) {
            let detail = ticket.detail.unwrap_or_else(|| "no reason given".into());
            return Err(RegisterError::Turned { status: ticket.status, detail });
        }
        if ticket.confirmation_required {
            let request = RegisterMinerConfirmationRequest::default();
            ticket = orchestrator.confirm_registration(&ticket.queue_id, &request).await?;
            continue;
        }
        let range = backoff::queue_poll_range(ticket.poll_after_seconds);
        let seconds = backoff::pick(&range, entropy.unit()).clamp(0.0, 3600.0);
        clock.sleep(std::time::Duration::from_secs_f64(seconds)).await;
        ticket = look(orchestrator, &ticket).await?;
    }
}

/// One look at the queue; an answer without a ticket is the registration itself.
async fn look(
    orchestrator: &Orchestrator,
    ticket: &MinerRegistrationQueueStatusResponse,
) -> Result<MinerRegistrationQueueStatusResponse, CallError> {
    Ok(match orchestrator.registration_status(&ticket.queue_id).await? {
        RegistrationAnswer::Queued(ticket) => *ticket,
        RegistrationAnswer::Registered(answer) => {
            let mut done = MinerRegistrationQueueStatusResponse::new(
                ticket.queue_id.clone(),
                QueueStatus::Succeeded,
            );
            done.response = Some(*answer);
            done
        }
    })
}
