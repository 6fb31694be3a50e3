//! The calls of the orchestrator (spec 2.2): reads what a call says, asks the rules, words the answer.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::answer::{Refused, json_of};
use super::desk::Desk;
use super::request::Signed;
use super::transfer;
use crate::protocol::messages::{
    ActivationResponse, AttestationChallengeRequest, Direction, GetActivationsRequest,
    HeartbeatResponse, LossReportRequest, MinerRegistrationResponse, RegisterMinerRequest,
    RequestAttestationChallengeResponse, RunConfigResponse, RunEpochResponse, RunInfo, RunTier,
    SubmitActivationRequest,
};
use crate::protocol::{Phase, RunId, ServerError};

/// How long an attestation challenge is valid, in seconds.
const CHALLENGE_SECONDS: f64 = 300.0;

/// Does one call.
pub(super) async fn dispatch(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let known = match (call.method.as_str(), call.path.as_str()) {
        ("GET", "/healthcheck") => json!({ "status": "healthy" }),
        ("GET", "/common/get_run_info") => run_info(desk).await?,
        ("GET", "/common/get_run_epoch") => run_epoch(desk, call).await?,
        ("POST", "/miner/register") => register(desk, call).await?,
        ("POST", "/miner/request_attestation_challenge") => challenge(desk, call)?,
        ("GET", "/miner/layer_state") => layer_state(desk, call).await?,
        ("GET", "/miner/all_layers_training") => all_layers_training(desk, call).await?,
        ("GET", "/miner/heartbeat") => heartbeat(desk, call).await?,
        ("GET", "/miner/get_run_config") => run_config(desk, call).await?,
        ("GET", "/miner/notify_orchestrator_of_state_call") => layer_state(desk, call).await?,
        ("GET", "/miner/get_activations") => get_activations(desk, call).await?,
        ("POST", "/miner/submit_activation") => submit_activation(desk, call).await?,
        ("POST", "/miner/report_loss") => report_loss(desk, call).await?,
        _ => return transfer::dispatch(desk, call).await,
    };
    Ok(known)
}

/// For a path that no call has.
pub(super) fn not_found(call: &Signed) -> Refused {
    let message = format!("no call {} {:.200}", method(&call.method), call.path);
    Refused::Request(StatusCode::NOT_FOUND, message)
}

fn method(method: &Method) -> &str {
    let text = method.as_str();
    if text.len() <= 16 { text } else { "?" }
}

async fn run_info(desk: &Arc<Desk>) -> Result<Value, Refused> {
    let (num_miners, max_miners) =
        desk.with(|run, _| (run.living(), run.plan().limits.miners as u64)).await?;
    json_of(&[RunInfo {
        run_id: desk.facts.run_id.clone(),
        is_default: true,
        num_miners,
        whitelisted: false,
        is_miner_pool: false,
        burn_factor: 0.0,
        incentive_perc: 0.0,
        authorized: true,
        run_flags: desk.facts.run_flags.clone(),
        max_miners,
        whitelist_force_allow: false,
        tier: RunTier::Iron,
    }])
}

async fn run_epoch(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let run_id = desk.facts.run_id.clone();
    if call.query("run_id").is_some_and(|asked| RunId(asked) != run_id) {
        let (name, message) = ("RunNotFoundError".into(), format!("this is run {run_id}"));
        return Err(ServerError::Other { name, message }.into());
    }
    let epoch = desk.with(|run, _| run.epoch()).await?;
    json_of(&RunEpochResponse { run_id, epoch })
}

async fn register(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let request: RegisterMinerRequest = call.read()?;
    let (layer, epoch) = desk
        .with(|run, now| {
            let layer = run.register(&call.hotkey, &request.p2p_node_id, now)?;
            Ok::<_, ServerError>((layer, run.epoch()))
        })
        .await??;
    let facts = &desk.facts;
    json_of(&MinerRegistrationResponse {
        layer: Some(layer),
        current_epoch: Some(epoch),
        model_cfg: Some(facts.model_cfg.clone()),
        model_metadata: Some(facts.model_metadata.clone()),
        run_id: facts.run_id.clone(),
        run_flags: facts.run_flags.clone(),
        num_partitions: Some(facts.num_partitions),
        status: None,
    })
}

/// A practice swarm asks for no proof, but answers like a network that does.
fn challenge(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let request: AttestationChallengeRequest = call.read()?;
    let blob = json!({ "challenge_id": desk.random_id() }).to_string();
    json_of(&RequestAttestationChallengeResponse {
        action: request.action,
        attestation_challenge_blob: blob,
        self_checks: Vec::new(),
        crypto: "none".to_owned(),
        expires_at: desk.clock.unix_seconds() + CHALLENGE_SECONDS,
    })
}

async fn layer_state(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let (_, phase, _) = desk.with(|run, _| run.place(&call.hotkey)).await??;
    json_of(&phase)
}

async fn all_layers_training(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let all = desk.with(|run, _| run.place(&call.hotkey).map(|_| run.all_training())).await??;
    Ok(Value::Bool(all))
}

async fn heartbeat(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let expected = call.query("expected_phase").map(|text| text.parse::<Phase>());
    let expected = expected.transpose().map_err(|error| Refused::bad(error.to_string()))?;
    let (layer, phase, epoch) = desk
        .with(|run, _| {
            if let Some(expected) = expected {
                run.stage_in(&call.hotkey, expected)?;
            }
            run.place(&call.hotkey)
        })
        .await??;
    let run_id = desk.facts.run_id.clone();
    json_of(&HeartbeatResponse { run_id, layer, epoch, phase, status: None })
}

async fn run_config(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    desk.with(|run, _| run.place(&call.hotkey)).await??;
    json_of(&RunConfigResponse {
        run_id: desk.facts.run_id.clone(),
        run_flags: desk.facts.run_flags.clone(),
        model_metadata: Some(desk.facts.model_metadata.clone()),
    })
}

async fn get_activations(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let request: GetActivationsRequest = call.read()?;
    let handed = desk.hand_out(&call.hotkey, request.n_fwd_activations).await?;
    let described: Vec<ActivationResponse> = handed
        .into_iter()
        .map(|(id, sample)| ActivationResponse {
            activation_id: Some(id),
            direction: Some(Direction::Forward),
            presigned_download_url: Some(desk.store.presign_get(&sample)),
            ..ActivationResponse::default()
        })
        .collect();
    json_of(&described)
}

async fn submit_activation(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let report: SubmitActivationRequest = call.read()?;
    desk.with(|run, now| run.submit_activation(&call.hotkey, &report, now)).await??;
    Ok(json!({ "message": "recorded" }))
}

async fn report_loss(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let report: LossReportRequest = call.read()?;
    desk.with(|run, now| run.report_loss(&call.hotkey, &report, now)).await??;
    Ok(json!({ "message": "recorded" }))
}
