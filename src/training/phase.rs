//! The training phase of one stage: takes work from the desk, one piece at a time, and sends what
//! comes of it on its way; beside it the loops that keep the orchestrator and the queue going. It
//! ends between two pieces of work, never within one.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::{mpsc, watch};

use super::cache::{CachedForward, Capacity};
use super::desk::{Desk, Intake};
use super::floor::{Act, Floor, FloorParts, Idle, News, Observer, Report, TrainingEnd, Wish};
use super::intake;
use super::local::{BackwardDone, Gradient, LocalError, LocalStage};
use super::pace::Pace;
use super::queue::{BackwardWork, ForwardWork, Source, Work};
use super::services::Services;
use super::spot_check;
use super::terms::LearningRateRule;
use crate::config::rules::Manner;
use crate::model::tokenizer::Tokenizer;
use crate::network::Reach;
use crate::network::peers::{PeerInbox, Peers};
use crate::network::publisher::{Outbound, Outcome, Published, Publisher, Target};
use crate::protocol::bf16::bf16;
use crate::protocol::messages::{
    AttestationAction, Direction, Flag, LossReportRequest, MinerStatus, SubmitActivationRequest,
};
use crate::protocol::torch::{self, TorchError};
use crate::protocol::{ActivationHash, ActivationId, Epoch, Phase, StageIndex};
use crate::telemetry::spent::{Activity, Leg};

/// So long nothing happens before the miner is called idle: between two activations is no state.
const IDLE_AFTER: Duration = Duration::from_secs(1);
/// Between two looks at the desk of a paused miner; what comes to it wakes it before that.
const PAUSED_LOOK: Duration = Duration::from_secs(30);
/// So long a stopping miner waits for the gradients of its forwards.
const STOP_LIMIT: Duration = Duration::from_secs(6);
/// Between two looks whether a stopping miner is done.
const STOP_POLL: Duration = Duration::from_millis(50);

/// What the training phase needs besides the stage.
pub struct Pipeline<'a> {
    /// Servers.
    pub services: &'a Services,
    /// Queue and cache.
    pub desk: &'a Desk,
    /// Outbound pushes.
    pub publisher: &'a Publisher,
    /// What became of them.
    pub published: &'a mut mpsc::UnboundedReceiver<Published>,
    /// The endpoint.
    pub peers: &'a Peers,
    /// Inbound pushes.
    pub inbox: &'a mut PeerInbox,
    /// For samples; a body stage has none.
    pub tokenizer: Option<&'a Tokenizer>,
    /// Who is told.
    pub observer: &'a dyn Observer,
    /// What the miner is to do.
    pub wish: watch::Receiver<Wish>,
    /// Most activations of a first stage under way; the run's cache size if not set.
    pub in_flight: Option<usize>,
    /// The stage's epoch by the last heartbeat before the weights were loaded.
    pub heard: Epoch,
    /// Where the learning rate comes from.
    pub rule: LearningRateRule,
}

/// Trains until the phase changes, the orchestrator drops the miner, the user stops it, or the stage
/// is lost. What was under way then is gone.
pub async fn train(pipeline: Pipeline<'_>, stage: &mut LocalStage) -> TrainingEnd {
    let Pipeline { services, desk, publisher, published, peers, inbox, tokenizer, .. } = pipeline;
    // The desk was shut until now: whatever lies here belongs to an earlier phase.
    drain(inbox, published);
    let (floor, reports) = Floor::new(FloorParts {
        services,
        desk,
        publisher,
        peers,
        tokenizer,
        observer: pipeline.observer,
        terms: stage.terms().clone(),
        in_flight: pipeline.in_flight.filter(|_| stage.terms().is_first()),
        heard: pipeline.heard,
        wish: pipeline.wish,
    });
    let _time = services.time.begin_training();
    let floor = &floor;
    let fetching = async {
        if floor.terms.is_first() {
            intake::fetch_samples(floor, pipeline.in_flight).await;
        } else {
            std::future::pending::<()>().await;
        }
    };
    let beside = async {
        tokio::join!(
            fetching,
            intake::take_forwards(floor, &mut inbox.forwards),
            intake::take_backwards(floor, &mut inbox.backwards),
            beat(floor),
            watch_pipeline(floor),
            watch_config(floor),
            send_reports(floor, published, reports),
            heed_wishes(floor),
        );
        std::future::pending::<TrainingEnd>().await
    };
    let end = tokio::select! {
        end = work(floor, stage, pipeline.rule) => end,
        end = beside => end,
    };
    desk.clear();
    publisher.clear();
    peers.clear_served();
    drain(inbox, published);
    end
}

/// Forgets what came for a phase that is over.
fn drain(inbox: &mut PeerInbox, published: &mut mpsc::UnboundedReceiver<Published>) {
    while inbox.forwards.try_recv().is_ok() {}
    while inbox.backwards.try_recv().is_ok() {}
    while published.try_recv().is_ok() {}
}

/// The work itself.
async fn work(floor: &Floor<'_>, stage: &mut LocalStage, rule: LearningRateRule) -> TrainingEnd {
    let mut pace = Pace::new(floor.services.clock.now());
    loop {
        if let Some(end) = floor.ended() {
            return end;
        }
        apply_config(floor, stage, rule);
        for id in floor.desk.expire(floor.services.clock.now()) {
            let what = format!("No gradient came back for activation {id}; it is given up.");
            floor.observer.tell(News::WorkLost(what));
        }
        let began = floor.services.clock.now();
        pace.keep_to(floor.percent(), began);
        if let Some(rest) = pace.rest(began) {
            floor.services.time.training(Activity::Rest);
            rest_a_while(floor, rest).await;
            continue;
        }
        let forwards = pace.rest_before_forward(began);
        let next = floor.desk.next(floor.is_open() && forwards.is_none());
        let idle = next.is_none();
        let done = match next {
            Some(Work::Forward(work)) => {
                floor.observer.tell(News::Busy);
                floor.services.time.leg_ends(Leg::Queue, work.id.as_str());
                floor.services.time.training(Activity::Forward);
                forward(floor, stage, work).await
            }
            Some(Work::Backward(work)) => {
                floor.observer.tell(News::Busy);
                floor.services.time.training(Activity::Backward);
                backward(floor, stage, work).await
            }
            None => {
                match forwards {
                    Some(rest) => {
                        floor.services.time.training(Activity::Rest);
                        rest_a_while(floor, rest).await;
                    }
                    None => wait_for_work(floor).await,
                }
                Ok(())
            }
        };
        for news in stage.keep_news() {
            floor.observer.tell(News::Keeping(news));
        }
        if !idle {
            pace.worked(began, floor.services.clock.now());
        }
        match done {
            Ok(()) => {}
            Err(error) if error.is_about_the_work() => {
                floor.observer.tell(News::WorkLost(format!("A piece of work is lost: {error}.")));
            }
            Err(error) => return TrainingEnd::Lost(error),
        }
    }
}

/// Lets the device rest, unless something changes: other work, another share, the end.
async fn rest_a_while(floor: &Floor<'_>, rest: Duration) {
    // What woke it is looked at by the caller.
    let _ = floor.services.clock.timeout(rest, floor.desk.changed()).await;
}

async fn wait_for_work(floor: &Floor<'_>) {
    let works = floor.wish.borrow().works();
    let patience = if works { IDLE_AFTER } else { PAUSED_LOOK };
    note_cause(floor, works);
    let changed = floor.services.clock.timeout(patience, floor.desk.changed()).await;
    if changed.is_err() {
        floor.observer.tell(News::Idle(cause(floor)));
    }
}

/// Why there is nothing to do.
fn cause(floor: &Floor<'_>) -> Idle {
    let load = floor.desk.load();
    let reach = floor.services.orchestrator.reach().borrow().clone();
    if let Reach::Silent { why } = reach {
        Idle::Network(why)
    } else if !floor.is_open() {
        Idle::OtherStage
    } else if load.cached >= load.capacity {
        Idle::CacheFull
    } else {
        Idle::NoActivation
    }
}

/// Notes on the time sheet what the time goes into from here on.
fn note_cause(floor: &Floor<'_>, works: bool) {
    let activity = match cause(floor) {
        _ if !works => Activity::Pause,
        Idle::Network(_) => Activity::Network,
        Idle::OtherStage => Activity::OtherStage,
        Idle::CacheFull => Activity::CacheFull,
        Idle::NoActivation if floor.desk.load().cached > 0 => Activity::AwaitGradient,
        Idle::NoActivation => Activity::NoActivation,
    };
    floor.services.time.training(activity);
}

/// Takes over flags and hyper-parameters that were fetched meanwhile (spec 1.8). Sizes of the stage
/// cannot change while it lives.
fn apply_config(floor: &Floor<'_>, stage: &mut LocalStage, rule: LearningRateRule) {
    let config = floor.config.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    let Some(config) = config else { return };
    let terms = stage.terms_mut();
    let old = terms.hyper.clone();
    terms.flags = config.run_flags;
    terms.hyper = old.clone().with(config.model_metadata.as_ref(), rule);
    (terms.hyper.batch, terms.hyper.sequence) = (old.batch, old.sequence);
    let cache = terms.hyper.cache;
    // A measured size is the miner's own, and a set limit the user's.
    let fixed = floor.in_flight.is_none() && !terms.flags.is_on(Flag::AutoMaxCache);
    if fixed && cache != old.cache {
        floor.desk.set_capacity(Capacity::Fixed(cache));
        floor.peers.set_served_activations(cache);
    }
}

async fn forward(
    floor: &Floor<'_>,
    stage: &mut LocalStage,
    mut work: ForwardWork,
) -> Result<(), LocalError> {
    if let Some(targets) = work.targets.take() {
        return last_stage(floor, stage, work, targets).await;
    }
    let since = floor.services.clock.now();
    let (id, source) = (work.id.clone(), work.source.clone());
    // Kept before it is computed, so that the gradient finds it however soon it comes.
    let input = Arc::clone(&work.input);
    floor.desk.keep(CachedForward { id: id.clone(), input, source, since });
    let sender = work.source.as_ref().map(|source| source.hotkey.clone());
    let out = stage.forward(&id, Arc::clone(&work.input), sender.as_ref()).await;
    let file = match out {
        Ok(out) => tensor_file(floor, &out),
        Err(error) => {
            floor.desk.take(&id);
            return Err(error);
        }
    };
    let Some(file) = file else {
        floor.desk.take(&id);
        return Ok(());
    };
    let time = &floor.services.time;
    time.leg_took(Leg::Forward, floor.services.clock.now().since(since));
    time.leg_begins(Leg::Wait, id.as_str());
    floor.observer.tell(News::Forward);
    let mut submit = SubmitActivationRequest::new(id.clone(), Direction::Forward);
    submit.input_activation_hash = work.input_hash.map(|hash| hash.to_string());
    submit.output_activation_hash = Some(ActivationHash::of(&file).to_string());
    let spot_check = work.spot_check.map(|check| (check, Arc::clone(&file)));
    floor.report_after_push(&id, Direction::Forward, Report { loss: None, submit, spot_check });
    let target = Target::AnyOf(StageIndex(floor.terms.stage.0 + 1));
    publish(floor, id, Direction::Forward, file, work.sample, target);
    Ok(())
}

/// The last stage does forward, loss and backward at once (spec 8.8).
async fn last_stage(
    floor: &Floor<'_>,
    stage: &mut LocalStage,
    work: ForwardWork,
    targets: Vec<u32>,
) -> Result<(), LocalError> {
    let id = work.id.clone();
    let sender = work.source.as_ref().map(|source| source.hotkey.clone());
    // Forward, loss and backward are one pass here.
    floor.services.time.training(Activity::Backward);
    let began = floor.services.clock.now();
    let done = stage.backward(&id, work.input, Gradient::Targets(targets), sender.as_ref()).await?;
    floor.services.time.leg_took(Leg::Backward, floor.services.clock.now().since(began));
    floor.observer.tell(News::Forward);
    if let Some(loss) = done.loss {
        floor.observer.tell(News::Loss(id.clone(), loss));
    }
    send_back(floor, &id, done, work.source, work.input_hash);
    step(floor, stage).await
}

async fn backward(
    floor: &Floor<'_>,
    stage: &mut LocalStage,
    work: BackwardWork,
) -> Result<(), LocalError> {
    let Some(entry) = floor.desk.take(&work.id) else { return Ok(()) };
    let (time, began) = (&floor.services.time, floor.services.clock.now());
    time.leg_ends(Leg::Wait, work.id.as_str());
    let sender = entry.source.as_ref().map(|source| source.hotkey.clone());
    let gradient = Gradient::Activation(work.gradient);
    let done = stage.backward(&work.id, entry.input, gradient, sender.as_ref()).await?;
    time.leg_took(Leg::Backward, floor.services.clock.now().since(began));
    floor.desk.note_backward();
    send_back(floor, &work.id, done, entry.source, Some(work.input_hash));
    step(floor, stage).await
}

/// Reports a backward and pushes the gradient to the stage before, if there is one.
fn send_back(
    floor: &Floor<'_>,
    id: &ActivationId,
    done: BackwardDone,
    source: Option<Source>,
    input_hash: Option<ActivationHash>,
) {
    floor.observer.tell(News::Backward);
    let loss = done.loss.map(|loss| LossReportRequest {
        activation_id: id.clone(),
        loss,
        layer_idx: Some(floor.terms.stage),
    });
    let file = if done.input_gradient.is_empty() {
        None
    } else {
        tensor_file(floor, &done.input_gradient)
    };
    let mut submit = SubmitActivationRequest::new(id.clone(), Direction::Backward);
    submit.input_activation_hash = input_hash.map(|hash| hash.to_string());
    submit.output_activation_hash = file.as_ref().map(|f| ActivationHash::of(f).to_string());
    let report = Report { loss, submit, spot_check: None };
    match (file, source) {
        (Some(file), Some(source)) => {
            floor.report_after_push(id, Direction::Backward, report);
            let stage = StageIndex(floor.terms.stage.0.saturating_sub(1));
            let target = Target::Nodes(source.nodes, stage);
            publish(floor, id.clone(), Direction::Backward, file, None, target);
        }
        _ => floor.report_now(report),
    }
}

async fn step(floor: &Floor<'_>, stage: &mut LocalStage) -> Result<(), LocalError> {
    floor.services.time.training(Activity::Step);
    if let Some(report) = stage.step_if_due().await? {
        floor.observer.tell(News::Step(report));
        if !stage.terms().flags.is_on(Flag::KeepCacheOnLocalStep) {
            floor.desk.clear_cache();
        }
    }
    Ok(())
}

/// The numbers as the wire carries them. The plan's own sizes always fit.
fn tensor_file(floor: &Floor<'_>, numbers: &[bf16]) -> Option<Arc<Vec<u8>>> {
    let written: Result<Vec<u8>, TorchError> =
        torch::write_bf16(numbers, &floor.terms.activation_shape());
    written
        .inspect_err(|error| tracing::error!("an activation cannot be written: {error}"))
        .ok()
        .map(Arc::new)
}

fn publish(
    floor: &Floor<'_>,
    activation: ActivationId,
    direction: Direction,
    file: Arc<Vec<u8>>,
    sample_path: Option<String>,
    target: Target,
) {
    floor.peers.serve(activation.clone(), Arc::clone(&file));
    let source = floor.terms.stage;
    let outbound =
        Outbound { activation, direction, tensor_file: file, sample_path, source, target };
    floor.publisher.publish(outbound, floor.services.clock.now());
}

/// Sends the reports of finished activations, each after its push (spec 11.2).
async fn send_reports(
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
async fn beat(floor: &Floor<'_>) {
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
async fn watch_pipeline(floor: &Floor<'_>) {
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
async fn watch_config(floor: &Floor<'_>) {
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
async fn heed_wishes(floor: &Floor<'_>) {
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
