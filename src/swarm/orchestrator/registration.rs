//! The calls of those who want in (spec 1.6, 2.4, 4): registration, the queue's tickets, challenges,
//! payout addresses.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::answer::{Refused, json_of};
use super::desk::{Desk, seat_the_next};
use super::request::Signed;
use crate::clock::Moment;
use crate::protocol::messages::{
    Attestation, AttestationAction, AttestationChallengeRequest, MinerRegistrationResponse,
    PayoutColdkeyRequest, QueueStatus, RegisterMinerConfirmationRequest, RegisterMinerRequest,
    RegistrationAnswer, RequestAttestationChallengeResponse,
};
use crate::protocol::{Hotkey, ServerError};
use crate::swarm::queue::Queue;
use crate::swarm::rules::{Admission, Pool, Proof, Rules};
use crate::swarm::run::Run;

/// Self-checks that a challenge names; a practice swarm asks for none.
const NO_CHECKS: Vec<String> = Vec::new();

/// `POST /miner/register`: a seat at once, or a ticket.
pub(super) async fn register(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let request: RegisterMinerRequest = call.read()?;
    let rules = desk.rules();
    admit(&rules, &call.hotkey, &request)?;
    redeem_for_registration(desk, &rules, &call.hotkey, request.attestation.as_ref())?;
    let (hotkey, id) = (&call.hotkey, desk.random_id());
    let answer = desk.with_queue(|run, queue, now, unix| {
        let direct = run.is_seated(hotkey)
            || match rules.queue.admission {
                Admission::Direct => true,
                Admission::WhenFull => queue.is_empty() && run.free_seats() > 0,
                Admission::Always => false,
            };
        if direct {
            run.register(hotkey, &request.p2p_node_id, now)?;
            return placed(desk, run, hotkey).map(RegistrationAnswer::Registered);
        }
        let id = queue.join(hotkey, &request, id, &rules.queue, unix)?.id.clone();
        look(desk, run, queue, (&id, hotkey), (now, unix))
    });
    let answer = answer.await??;
    match &request.coldkey {
        Some(coldkey) => note_payout(desk, hotkey, coldkey).await?,
        // The chain pays such a miner by its hotkey.
        None if request.register_as_metagraph_miner => {
            desk.name_payee(hotkey, hotkey.to_string()).await?;
        }
        None => {}
    }
    json_of(&answer)
}

/// `GET /miner/register/status/{queue_id}`.
pub(super) async fn status(desk: &Arc<Desk>, call: &Signed, id: &str) -> Result<Value, Refused> {
    let answer = desk.with_queue(|run, queue, now, unix| {
        look(desk, run, queue, (id, &call.hotkey), (now, unix))
    });
    json_of(&answer.await??)
}

/// `POST /miner/register/confirm/{queue_id}`. Attested anew, for the selected run.
pub(super) async fn confirm(desk: &Arc<Desk>, call: &Signed, id: &str) -> Result<Value, Refused> {
    let request: RegisterMinerConfirmationRequest = call.read()?;
    let (rules, hotkey) = (desk.rules(), &call.hotkey);
    let waits = desk.with_queue(|run, queue, now, unix| {
        seat_the_next(run, queue, now, unix);
        queue.find(id, hotkey).map(|ticket| ticket.status == QueueStatus::Confirming)
    });
    if waits.await?? {
        redeem_for_registration(desk, &rules, hotkey, request.attestation.as_ref())?;
    }
    let answer = desk.with_queue(|run, queue, now, unix| {
        let ticket = queue.confirm(id, hotkey, unix)?.clone();
        if ticket.status == QueueStatus::Succeeded {
            return look(desk, run, queue, (id, hotkey), (now, unix));
        }
        let told = queue.describe(&ticket, &rules.queue, &desk.facts.run_id);
        Ok::<_, ServerError>(RegistrationAnswer::Queued(Box::new(told)))
    });
    json_of(&answer.await??)
}

/// A ticket as it stands now, with the registration once it succeeded.
fn look(
    desk: &Desk,
    run: &mut Run,
    queue: &mut Queue,
    (id, hotkey): (&str, &Hotkey),
    (now, unix): (Moment, Duration),
) -> Result<RegistrationAnswer, ServerError> {
    seat_the_next(run, queue, now, unix);
    let ticket = queue.find(id, hotkey)?;
    if ticket.status == QueueStatus::Succeeded && !run.is_seated(hotkey) {
        let place = ticket.place;
        queue.unseated(place, unix);
    }
    let ticket = queue.find(id, hotkey)?;
    let mut told = queue.describe(ticket, &run.plan().rules.queue, &desk.facts.run_id);
    if ticket.status == QueueStatus::Succeeded {
        told.response = Some(*placed(desk, run, hotkey)?);
    }
    Ok(RegistrationAnswer::Queued(Box::new(told)))
}

/// What a seated miner is told.
fn placed(
    desk: &Desk,
    run: &Run,
    hotkey: &Hotkey,
) -> Result<Box<MinerRegistrationResponse>, ServerError> {
    let (layer, ..) = run.place(hotkey)?;
    let facts = &desk.facts;
    Ok(Box::new(MinerRegistrationResponse {
        layer: Some(layer),
        current_epoch: Some(run.epoch()),
        model_cfg: Some(facts.model_cfg.clone()),
        model_metadata: Some(facts.model_metadata.clone()),
        run_id: facts.run_id.clone(),
        run_flags: run.plan().rules.run_flags(),
        num_partitions: Some(facts.num_partitions),
        status: run.standing(hotkey),
    }))
}

/// Whether this kind of miner is taken at all.
fn admit(rules: &Rules, hotkey: &Hotkey, request: &RegisterMinerRequest) -> Result<(), Refused> {
    let error = |name: &str, message: &str| {
        let (name, message) = (name.to_owned(), message.to_owned());
        Err(Refused::Rule(ServerError::Other { name, message }))
    };
    if request.coldkey.as_ref().is_some_and(|coldkey| coldkey.parse::<Hotkey>().is_err()) {
        return error("ColdkeyError", "the coldkey is not an SS58 address with prefix 42");
    }
    if request.register_as_metagraph_miner {
        let known = rules.metagraph.is_empty()
            || rules.metagraph.contains(hotkey)
            || rules.trusts_the_fleet();
        return if known {
            Ok(())
        } else {
            let message = "Entity not registered".to_owned();
            let name = Some(hotkey.to_string());
            Err(ServerError::EntityNotRegistered { message, name }.into())
        };
    }
    match rules.pool {
        Pool::Closed => error("PoolClosedError", "this run takes no pool miners"),
        Pool::WithColdkey if request.coldkey.is_none() => {
            error("ColdkeyError", "a pool miner must name the address that is paid")
        }
        Pool::WithColdkey | Pool::Open => Ok(()),
    }
}

fn redeem_for_registration(
    desk: &Desk,
    rules: &Rules,
    hotkey: &Hotkey,
    attestation: Option<&Attestation>,
) -> Result<(), Refused> {
    let proof = rules.proof_of_registration();
    redeem(desk, hotkey, AttestationAction::Registration, attestation, proof)
}

/// Uses up the challenge behind a request, where one is asked for.
pub(super) fn redeem(
    desk: &Desk,
    hotkey: &Hotkey,
    action: AttestationAction,
    attestation: Option<&Attestation>,
    proof: Proof,
) -> Result<(), Refused> {
    let mut challenges = desk.challenges.lock().unwrap_or_else(PoisonError::into_inner);
    challenges.redeem(hotkey, action, attestation, proof, desk.clock.unix())
}

/// `POST /miner/request_attestation_challenge`. Answered whether or not the rules ask for proof, as
/// a live network does.
pub(super) fn challenge(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let request: AttestationChallengeRequest = call.read()?;
    if let Some(asked) = request.run_id.filter(|asked| *asked != desk.facts.run_id) {
        let message = format!("there is no run {:.80}", asked.0);
        return Err(ServerError::Other { name: "RunNotFoundError".into(), message }.into());
    }
    let id = desk.random_id();
    let blob = json!({ "challenge_id": id }).to_string();
    let now = desk.clock.unix();
    let expires = now + desk.rules().attestation.lifetime;
    let mut challenges = desk.challenges.lock().unwrap_or_else(PoisonError::into_inner);
    challenges.issue(id, &call.hotkey, request.action, now, expires);
    json_of(&RequestAttestationChallengeResponse {
        action: request.action,
        attestation_challenge_blob: blob,
        self_checks: NO_CHECKS,
        crypto: "none".to_owned(),
        expires_at: expires.as_secs_f64(),
    })
}

/// `POST /miner/payout_coldkey`: where a miner's rewards go from now on.
pub(super) async fn payout_coldkey(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let request: PayoutColdkeyRequest = call.read()?;
    desk.with(|run, _| run.place(&call.hotkey)).await??;
    note_payout(desk, &call.hotkey, &request.payout_coldkey).await?;
    Ok(json!({ "message": "recorded" }))
}

async fn note_payout(desk: &Arc<Desk>, hotkey: &Hotkey, coldkey: &str) -> Result<(), Refused> {
    let coldkey: Hotkey = coldkey.parse().map_err(|error| {
        let message = format!("the payout address is wrong: {error}");
        Refused::Rule(ServerError::Other { name: "ColdkeyError".to_owned(), message })
    })?;
    desk.name_payee(hotkey, coldkey.to_string()).await
}
