//! The training phase of one stage: takes work from the desk, one piece at a time, and sends what
//! comes of it on its way; beside it the loops that keep the orchestrator and the queue going. It
//! ends between two pieces of work, never within one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::cache::{CachedForward, Capacity};
use super::desk::Desk;
use super::floor::{Floor, FloorParts, Idle, News, Observer, Report, TrainingEnd, Wish};
use super::local::{BackwardDone, Gradient, LocalError, LocalStage};
use super::mend::{InHand, Mender, Suspects, mend};
use super::pace::Pace;
use super::queue::{BackwardWork, ForwardWork, Source, Work};
use super::services::Services;
use super::terms::LearningRateRule;
use super::{beside, intake};
use crate::model::tokenizer::Tokenizer;
use crate::network::Reach;
use crate::network::peers::{PeerInbox, Peers};
use crate::network::publisher::{Outbound, Published, Publisher, Target};
use crate::protocol::bf16::bf16;
use crate::protocol::messages::{Direction, Flag, LossReportRequest, SubmitActivationRequest};
use crate::protocol::torch::{self, TorchError};
use crate::protocol::{ActivationHash, ActivationId, Epoch, StageIndex};
use crate::telemetry::spent::{Activity, Leg};

/// So long nothing happens before the miner is called idle: between two activations is no state.
const IDLE_AFTER: Duration = Duration::from_secs(1);
/// Between two looks at the desk of a paused miner; what comes to it wakes it before that.
const PAUSED_LOOK: Duration = Duration::from_secs(30);

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
    /// Who makes a lost stage anew.
    pub mender: &'a mut dyn Mender,
}

/// Trains until the phase changes, the orchestrator drops the miner, the user stops it, or the stage
/// is lost and cannot be mended: then there is none. What was under way then is gone.
pub async fn train(pipeline: Pipeline<'_>, slot: &mut Option<LocalStage>) -> TrainingEnd {
    let Pipeline { services, desk, publisher, published, peers, inbox, tokenizer, .. } = pipeline;
    let Some(stage) = slot else { return TrainingEnd::Lost("there is no stage".to_owned()) };
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
            beside::beat(floor),
            beside::watch_pipeline(floor),
            beside::watch_config(floor),
            beside::send_reports(floor, published, reports),
            beside::heed_wishes(floor),
        );
        std::future::pending::<TrainingEnd>().await
    };
    let end = tokio::select! {
        end = work_and_mend(floor, slot, pipeline.mender, pipeline.rule) => end,
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

/// The work, as often as the stage is lost and made anew.
async fn work_and_mend(
    floor: &Floor<'_>,
    slot: &mut Option<LocalStage>,
    mender: &mut dyn Mender,
    rule: LearningRateRule,
) -> TrainingEnd {
    let mut pace = Pace::new(floor.services.clock.now());
    let mut suspects = Suspects::default();
    loop {
        let Some(stage) = slot else { return TrainingEnd::Lost("there is no stage".to_owned()) };
        let InHand { error, work } = match work(floor, stage, &mut pace, rule).await {
            Ok(end) => return end,
            Err(in_hand) => in_hand,
        };
        if let Some(work) = work {
            suspects.put_back_or_drop(floor, work);
        }
        if let Err(end) = mend(floor, slot, mender, &error).await {
            return end;
        }
    }
}

/// The work itself, with one stage. Fails where that is lost.
async fn work(
    floor: &Floor<'_>,
    stage: &mut LocalStage,
    pace: &mut Pace,
    rule: LearningRateRule,
) -> Result<TrainingEnd, InHand> {
    // One that was due when the stage was lost, or the process killed.
    let mut done = step(floor, stage).await;
    let mut in_hand = None;
    loop {
        match done {
            Ok(()) => {}
            Err(error) if error.is_about_the_work() => {
                floor.observer.tell(News::WorkLost(format!("A piece of work is lost: {error}.")));
            }
            Err(error) => return Err(InHand { error, work: in_hand }),
        }
        if let Some(end) = floor.ended() {
            return Ok(end);
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
            done = Ok(());
            continue;
        }
        let forwards = pace.rest_before_forward(began);
        in_hand = floor.desk.next(floor.is_open() && forwards.is_none());
        let idle = in_hand.is_none();
        done = match in_hand.clone() {
            Some(work) => {
                floor.observer.tell(News::Busy);
                let done = match work {
                    Work::Forward(work) => {
                        floor.services.time.leg_ends(Leg::Queue, work.id.as_str());
                        floor.services.time.training(Activity::Forward);
                        forward(floor, stage, work).await
                    }
                    Work::Backward(work) => {
                        floor.services.time.training(Activity::Backward);
                        backward(floor, stage, work).await
                    }
                };
                match done {
                    Ok(()) => {
                        in_hand = None;
                        step(floor, stage).await
                    }
                    failed => failed,
                }
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
    Ok(())
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
    let input = Arc::clone(&entry.input);
    let done = match stage.backward(&work.id, input, gradient, sender.as_ref()).await {
        Ok(done) => done,
        Err(error) => {
            if !error.is_about_the_work() {
                floor.desk.keep_again(entry);
            }
            return Err(error);
        }
    };
    time.leg_took(Leg::Backward, floor.services.clock.now().since(began));
    floor.desk.note_backward();
    send_back(floor, &work.id, done, entry.source, Some(work.input_hash));
    Ok(())
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
    if stage.count().accumulated >= stage.terms().hyper.accumulation {
        floor.services.time.training(Activity::Step);
    }
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
