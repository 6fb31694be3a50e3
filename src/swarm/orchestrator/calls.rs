//! The calls of the orchestrator (spec 2.2): reads what a call says, asks the rules, words the answer.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::answer::{Refused, json_of};
use super::desk::Desk;
use super::desk::Handed;
use super::request::Signed;
use super::{registration, telemetry, transfer};
use crate::protocol::messages::{
    ActivationResponse, AttestationAction, Direction, GetActivationsRequest, HeartbeatResponse,
    LossReportRequest, RunConfigResponse, RunEpochResponse, RunInfo, RunTier,
    SubmitActivationRequest,
};
use crate::protocol::{Phase, RunId, ServerError};
use crate::swarm::rules::Pool;

/// Paths that end with a ticket.
const STATUS: &str = "/miner/register/status/";
const CONFIRM: &str = "/miner/register/confirm/";

/// Does one call.
pub(super) async fn dispatch(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let known = match (call.method.as_str(), call.path.as_str()) {
        ("GET", "/healthcheck") => json!({ "status": "healthy" }),
        ("GET", "/common/get_run_info") => run_info(desk).await?,
        ("GET", "/validator/global_miner_scores") => json_of(&desk.scores().await)?,
        ("GET", "/common/get_run_epoch") => run_epoch(desk, call).await?,
        ("POST", "/miner/register") => registration::register(desk, call).await?,
        ("POST", "/miner/payout_coldkey") => registration::payout_coldkey(desk, call).await?,
        ("POST", "/miner/request_attestation_challenge") => registration::challenge(desk, call)?,
        ("POST", "/miner/fleet-telemetry") => telemetry::take(desk, call).await?,
        ("GET", path) if path.starts_with(STATUS) => {
            registration::status(desk, call, &path[STATUS.len()..]).await?
        }
        ("POST", path) if path.starts_with(CONFIRM) => {
            registration::confirm(desk, call, &path[CONFIRM.len()..]).await?
        }
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
        desk.with(|run, _| (run.living(), run.plan().rules.limits.miners as u64)).await?;
    let rules = desk.rules();
    json_of(&[RunInfo {
        run_id: desk.facts.run_id.clone(),
        is_default: true,
        num_miners,
        whitelisted: false,
        is_miner_pool: rules.pool != Pool::Closed,
        burn_factor: rules.pay.burn,
        incentive_perc: 1.0,
        authorized: true,
        run_flags: rules.run_flags(),
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
    let ((layer, phase, epoch), status) = desk
        .with(|run, _| {
            if let Some(expected) = expected {
                run.stage_in(&call.hotkey, expected)?;
            }
            Ok::<_, ServerError>((run.place(&call.hotkey)?, run.standing(&call.hotkey)))
        })
        .await??;
    let run_id = desk.facts.run_id.clone();
    json_of(&HeartbeatResponse { run_id, layer, epoch, phase, status })
}

async fn run_config(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    desk.with(|run, _| run.place(&call.hotkey)).await??;
    json_of(&RunConfigResponse {
        run_id: desk.facts.run_id.clone(),
        run_flags: desk.rules().run_flags(),
        model_metadata: Some(desk.facts.model_metadata.clone()),
    })
}

async fn get_activations(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let request: GetActivationsRequest = call.read()?;
    let handed = desk.hand_out(&call.hotkey, request.n_fwd_activations).await?;
    let described: Vec<ActivationResponse> = handed
        .into_iter()
        .map(|Handed { id, sample, upload }| ActivationResponse {
            presigned_upload_url: upload
                .as_ref()
                .map(|object| vec![desk.store.presign_put(object)]),
            activation_upload_path: upload,
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
    // First the phase: whoever comes too late should hear that, and keep the challenge.
    desk.with(|run, _| run.stage_in(&call.hotkey, Phase::Training)).await??;
    let (action, proof) = (AttestationAction::SubmitActivation, desk.rules().proof_of_work());
    registration::redeem(desk, &call.hotkey, action, report.attestation.as_ref(), proof)?;
    desk.with(|run, now| run.submit_activation(&call.hotkey, &report, now)).await??;
    Ok(json!({ "message": "recorded" }))
}

async fn report_loss(desk: &Arc<Desk>, call: &Signed) -> Result<Value, Refused> {
    let report: LossReportRequest = call.read()?;
    desk.with(|run, now| run.report_loss(&call.hotkey, &report, now)).await??;
    Ok(json!({ "message": "recorded" }))
}
