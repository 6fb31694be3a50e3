//! What goes on beside the work of a training phase, on the same task: reports, the heartbeat, whether
//! the others train, new configurations, and what the user wants. It goes on while a stage is mended.

use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::mpsc;

use super::desk::Intake;
use super::floor::{Act, Floor, News, Report, TrainingEnd};
use super::spot_check;
use crate::config::rules::Manner;
use crate::network::publisher::{Outcome, Published};
use crate::protocol::Phase;
use crate::protocol::messages::{AttestationAction, Direction, MinerStatus};
use crate::telemetry::spent::Leg;

/// Between two looks whether a stopping miner is done.
const STOP_POLL: Duration = Duration::from_millis(50);
/// So long a stopping miner waits for the gradients of its forwards.
const STOP_LIMIT: Duration = Duration::from_secs(6);

/// Sends the reports of finished activations, each after its push (spec 11.2).
pub(super) async fn send_reports(
    floor: &Floor<'_>,
    published: &mut mpsc::UnboundedReceiver<Published>,
    mut ready: mpsc::UnboundedReceiver<Report>,
) {
    let mut running = FuturesUnordered::new();
    loop {
        tokio::select! {
            Some(push) = published.recv() => {
                if let (Outcome::Dropped(why), Direction::Forward) = (&push.outcome, push.direction) {
                    floor.desk.take(&push.activation);
                    let what = format!("Activation {} found no way on: {why}.", push.activation);
                    floor.observer.tell(News::WorkLost(what));
                }
                if let Outcome::Delivered { took, .. } = push.outcome {
                    let leg = match push.direction {
                        Direction::Forward => Leg::Send,
                        Direction::Backward => Leg::SendBack,
                    };
                    floor.services.time.leg_took(leg, took);
                }
                if let Some(report) = floor.pushed(&push.activation, push.direction) {
                    running.push(send_report(floor, report));
                }
            }
            Some(report) = ready.recv() => running.push(send_report(floor, report)),
            Some(()) = running.next(), if !running.is_empty() => {}
            else => return,
        }
    }
}

async fn send_report(floor: &Floor<'_>, mut report: Report) {
    let orchestrator = &floor.services.orchestrator;
    if let Some(loss) = &report.loss
        && let Err(error) = orchestrator.report_loss(loss).await
    {
        floor.heed(&error);
        tracing::warn!("a loss could not be reported: {error}");
    }
    if let Some((check, file)) = report.spot_check.take() {
        let storage = &floor.services.storage;
        report.submit.activation_path = spot_check::upload(storage, check, file).await;
    }
    // The flag may have changed since the phase began; the newest configuration is in the stage, which
    // is at work: what the phase began with is near enough for a field that may be null.
    let (run, flags) = (&floor.terms.run, &floor.terms.flags);
    match floor.services.attest(AttestationAction::SubmitActivation, run, flags).await {
        Ok(attestation) => report.submit.attestation = attestation,
        Err(error) => floor.heed(&error),
    }
    if let Err(error) = orchestrator.submit_activation(&report.submit).await {
        floor.heed(&error);
        tracing::warn!("an activation could not be reported: {error}");
    }
    floor.reported();
}

/// The heartbeat, which also says when the phase is over.
pub(super) async fn beat(floor: &Floor<'_>) {
    // The first at once: what was loaded may have taken long enough for the phase to pass.
    loop {
        beat_once(floor).await;
        floor.services.clock.sleep(floor.services.constants.heartbeat).await;
    }
}

async fn beat_once(floor: &Floor<'_>) {
    match floor.services.orchestrator.heartbeat(Some(Phase::Training)).await {
        Ok(answer) if answer.phase != Phase::Training => {
            floor.finish(TrainingEnd::Phase(answer.phase));
        }
        Ok(answer) if answer.epoch > floor.heard => {
            floor.finish(TrainingEnd::NewEpoch(answer.epoch));
        }
        Ok(answer) => {
            let benched = answer.status.as_ref().is_some_and(MinerStatus::is_benched);
            floor.services.time.benched(benched);
            floor.observer.tell(News::Benched(benched));
        }
        Err(error) => floor.heed(&error),
    }
}

/// Asks whether all stages train. When they no longer do, the own stage may not either: asks for
/// that at once instead of waiting for the next heartbeat.
pub(super) async fn watch_pipeline(floor: &Floor<'_>) {
    loop {
        // Only forwards need the others; a paused miner has none once those in hand are done.
        if floor.desk.load().forwards == 0 {
            floor.until_it_works().await;
        }
        match floor.services.orchestrator.all_layers_training().await {
            Ok(open) => {
                let closed = floor.is_open() && !open;
                floor.set_open(open);
                if closed {
                    beat_once(floor).await;
                }
            }
            Err(crate::network::CallError::TooManyRequests { .. }) => {}
            Err(error) => {
                floor.heed(&error);
                floor.set_open(false);
            }
        }
        floor.services.clock.sleep(floor.services.constants.all_layers_cache).await;
    }
}

/// Fetches the run's configuration now and then.
pub(super) async fn watch_config(floor: &Floor<'_>) {
    loop {
        floor.services.clock.sleep(floor.services.constants.run_config_refresh).await;
        floor.until_it_works().await;
        match floor.services.orchestrator.run_config().await {
            Ok(config) => {
                *floor.config.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
                    Some(config);
            }
            Err(error) => floor.heed(&error),
        }
    }
}

/// Opens and closes the intake as the miner is to work; ends the phase when a stopping miner is done.
pub(super) async fn heed_wishes(floor: &Floor<'_>) {
    let mut wish = floor.wish.clone();
    loop {
        let wanted = *wish.borrow_and_update();
        if wanted.stops() {
            floor.desk.set_intake(Intake::InHand);
            let done = floor.services.clock.timeout(STOP_LIMIT, until_done(floor)).await;
            if done.is_err() {
                tracing::info!("stopping with activations under way; others will redo them");
            }
            floor.finish(TrainingEnd::Stopped);
            return;
        }
        match wanted.act {
            Act::Work(_) => floor.desk.set_intake(Intake::Open),
            Act::Pause(Manner::AtOnce) => put_down(floor),
            Act::Pause(_) => floor.desk.set_intake(Intake::InHand),
        }
        if wish.changed().await.is_err() {
            // Whoever could wish for something is gone: go on as wished last.
            return;
        }
    }
}

/// Puts everything down where it is: nothing may be computed any more.
fn put_down(floor: &Floor<'_>) {
    let count = floor.desk.put_down();
    if count > 0 {
        let what = format!("{count} activations in hand are put down; others redo them.");
        floor.observer.tell(News::WorkLost(what));
    }
    floor.desk.ring();
}

/// Until nothing waits, no gradient is awaited, and everything is pushed and reported.
async fn until_done(floor: &Floor<'_>) {
    loop {
        let load = floor.desk.load();
        let waiting = load.forwards + load.backwards + load.cached;
        if waiting == 0 && floor.publisher.pending() == 0 && floor.unreported() == 0 {
            return;
        }
        floor.services.clock.sleep(STOP_POLL).await;
    }
}
