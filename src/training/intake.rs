//! From bytes to work: pushed activations and gradients, and the first stage's own samples, become
//! tensors and tokens before they are queued; so does what the orchestrator hands out, a sample or
//! the name of a peer to fetch from. What is no tensor of the right size is dropped here.

use std::sync::Arc;

use futures::stream::{self, FuturesUnordered, StreamExt};
use tokio::sync::mpsc;

use super::floor::{Floor, News};
use super::pull::{Unpulled, pull};
use super::queue::{BackwardWork, ForwardWork, Input, Source, SpotCheck, fetch_amount};
use crate::model::tokenizer::TokenizerError;
use crate::network::peers::InboundPush;
use crate::network::storage::DownloadError;
use crate::protocol::bf16::bf16;
use crate::protocol::messages::{ActivationResponse, Direction, Flag};
use crate::protocol::torch::{self, TorchError};
use crate::protocol::{ActivationHash, ActivationId};
use crate::telemetry::spent::Leg;

/// A message or sample that cannot be worked with.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("it is no tensor of this stage: {0}")]
    Tensor(#[from] TorchError),
    #[error("it names no sample to take the targets from")]
    NoSample,
    #[error("this stage has no tokenizer to read its text with")]
    NoTokenizer,
    #[error("its sample cannot be downloaded: {0}")]
    Download(#[from] DownloadError),
    #[error("its sample cannot be tokenised: {0}")]
    Tokens(#[from] TokenizerError),
    #[error("its sample has {have} tokens where {need} are needed")]
    Short { have: usize, need: usize },
    #[error(transparent)]
    Unpulled(#[from] Unpulled),
}

/// Puts pushed forwards into the queue, in the order they came. Never returns while pushes may come.
pub(super) async fn take_forwards(floor: &Floor<'_>, pushes: &mut mpsc::Receiver<InboundPush>) {
    let at_a_time = floor.services.constants.training.parallel_materialisations.max(1);
    let arriving = stream::poll_fn(|context| pushes.poll_recv(context));
    let mut made = arriving
        .map(|push| async move {
            let id = push.activation.clone();
            (id, forward_work(floor, push).await)
        })
        .buffered(at_a_time);
    while let Some((id, work)) = made.next().await {
        match work {
            Ok(work) => {
                bring(floor, work).await;
            }
            Err(why) => lose(floor, "forward", &id, &why),
        }
    }
}

/// Brings a forward to the desk, where it waits for its turn.
async fn bring(floor: &Floor<'_>, work: ForwardWork) {
    floor.services.time.leg_begins(Leg::Queue, work.id.as_str());
    floor.desk.bring_forward(work).await;
}

/// Puts pushed gradients into the queue.
pub(super) async fn take_backwards(floor: &Floor<'_>, pushes: &mut mpsc::Receiver<InboundPush>) {
    while let Some(push) = pushes.recv().await {
        let id = push.activation.clone();
        match backward_work(floor, &push) {
            // One that is here already, or whose forward was given up, is past.
            Ok(work) => drop(floor.desk.offer_backward(work)),
            Err(why) => lose(floor, "gradient", &id, &why),
        }
    }
}

fn lose(floor: &Floor<'_>, what: &str, id: &ActivationId, why: &Unusable) {
    floor
        .observer
        .tell(News::WorkLost(format!("The {what} of activation {id} is dropped: {why}.")));
}

async fn forward_work(floor: &Floor<'_>, push: InboundPush) -> Result<ForwardWork, Unusable> {
    let numbers = tensor(floor, &push.tensor_file)?;
    Ok(ForwardWork {
        id: push.activation,
        input: Arc::new(Input::Activation(numbers)),
        input_hash: Some(ActivationHash::of(&push.tensor_file)),
        // The gradient goes to the node that really sent this, whatever the message names.
        source: Some(Source { hotkey: push.sender, nodes: vec![push.from] }),
        targets: targets(floor, push.sample_path.as_deref()).await?,
        sample: push.sample_path,
        spot_check: None,
    })
}

/// What is to be predicted; only the last stage needs it.
async fn targets(floor: &Floor<'_>, sample: Option<&str>) -> Result<Option<Vec<u32>>, Unusable> {
    if !floor.terms.is_last() {
        return Ok(None);
    }
    tokens(floor, sample.ok_or(Unusable::NoSample)?).await.map(Some)
}

fn backward_work(floor: &Floor<'_>, push: &InboundPush) -> Result<BackwardWork, Unusable> {
    Ok(BackwardWork {
        id: push.activation.clone(),
        gradient: Arc::new(tensor(floor, &push.tensor_file)?),
        input_hash: ActivationHash::of(&push.tensor_file),
    })
}

fn tensor(floor: &Floor<'_>, bytes: &[u8]) -> Result<Vec<bf16>, Unusable> {
    let count = floor.terms.activation_shape().iter().product();
    let tensor = torch::read(bytes, count)?;
    tensor.expect_count(count)?;
    Ok(tensor.to_bf16())
}

/// The sample at `url` as B x S token ids (spec 5.4).
async fn tokens(floor: &Floor<'_>, url: &str) -> Result<Vec<u32>, Unusable> {
    let text = floor.services.storage.get_text(url).await?;
    let mut tokens = floor.tokenizer.ok_or(Unusable::NoTokenizer)?.encode(&text)?;
    let need = floor.terms.tokens();
    if tokens.len() < need {
        return Err(Unusable::Short { have: tokens.len(), need });
    }
    tokens.truncate(need);
    Ok(tokens)
}

/// The first stage asks for samples whenever there is room for more. Never returns.
pub(super) async fn fetch_samples(floor: &Floor<'_>, in_flight: Option<usize>) {
    loop {
        floor.until_it_works().await;
        if floor.is_open() && floor.desk.intake() == super::desk::Intake::Open {
            fetch_once(floor, in_flight).await;
        }
        floor.services.clock.sleep(floor.services.constants.layer_zero_poll).await;
    }
}

async fn fetch_once(floor: &Floor<'_>, in_flight: Option<usize>) {
    let rules = &floor.services.constants.training;
    let load = floor.desk.load();
    // A set limit is one on everything under way, so nothing is asked for in advance.
    let (most, spare) = match in_flight {
        Some(most) => (most, 0),
        None => (load.capacity, rules.min_forward_activations_in_queue),
    };
    let held = load.cached;
    let measuring = floor.terms.flags.is_on(Flag::AutoMaxCache) && load.capacity == usize::MAX;
    let most = if measuring { held + rules.max_forward_activations_in_queue } else { most };
    let wanted =
        fetch_amount(most, spare, held, load.forwards, rules.max_forward_activations_in_queue);
    if wanted == 0 {
        return;
    }
    match floor.services.orchestrator.get_activations(wanted).await {
        Ok(served) => take_served(floor, served).await,
        Err(error) => {
            floor.heed(&error);
            tracing::debug!("no samples: {error}");
        }
    }
}

/// Samples one after the other, since each waits for its place; what peers hold beside that.
async fn take_served(floor: &Floor<'_>, served: Vec<ActivationResponse>) {
    let (held, samples): (Vec<_>, Vec<_>) =
        served.into_iter().partition(|answer| answer.source_node_id.is_some());
    // As many as were asked for at most, so all at once.
    let mut fetches: FuturesUnordered<_> =
        held.into_iter().map(|answer| fetch_held(floor, answer)).collect();
    let fetching = async { while fetches.next().await.is_some() {} };
    let sampling = async {
        for answer in samples {
            take_sample(floor, answer).await;
        }
    };
    tokio::join!(fetching, sampling);
}

async fn fetch_held(floor: &Floor<'_>, answer: ActivationResponse) {
    let Some(id) = answer.activation_id.clone() else { return };
    let backward = answer.direction == Some(Direction::Backward);
    let what = if backward { "gradient" } else { "forward" };
    if let Err(why) = take_held(floor, &id, answer).await {
        lose(floor, what, &id, &why);
    }
}

/// Fetches work from the peer that the orchestrator names and queues it as if it had been pushed.
async fn take_held(
    floor: &Floor<'_>,
    id: &ActivationId,
    answer: ActivationResponse,
) -> Result<(), Unusable> {
    let Some(source) = &answer.source_node_id else { return Ok(()) };
    let stage = floor.terms.stage;
    if answer.direction == Some(Direction::Backward) {
        let pulled = pull(floor.peers, stage, source, id, &answer).await?;
        let gradient = Arc::new(tensor(floor, &pulled.bytes)?);
        let work = BackwardWork { id: id.clone(), gradient, input_hash: pulled.hash };
        // One that is here already, or whose forward was given up, is past.
        floor.desk.offer_backward(work);
        return Ok(());
    }
    if floor.desk.knows(id) {
        return Ok(());
    }
    let pulled = pull(floor.peers, stage, source, id, &answer).await?;
    let numbers = tensor(floor, &pulled.bytes)?;
    let sample = answer.target_download_url.or(answer.presigned_download_url);
    let work = ForwardWork {
        id: id.clone(),
        input: Arc::new(Input::Activation(numbers)),
        input_hash: Some(pulled.hash),
        source: Some(Source { hotkey: pulled.hotkey, nodes: vec![pulled.node] }),
        targets: targets(floor, sample.as_deref()).await?,
        sample,
        spot_check: None,
    };
    bring(floor, work).await;
    Ok(())
}

async fn take_sample(floor: &Floor<'_>, answer: ActivationResponse) {
    let forward = answer.direction.is_none_or(|direction| direction == Direction::Forward);
    let (Some(id), Some(sample), true) =
        (answer.activation_id, answer.presigned_download_url, forward)
    else {
        return;
    };
    if floor.desk.knows(&id) {
        return;
    }
    let tokens = match tokens(floor, &sample).await {
        Ok(tokens) => tokens,
        Err(why) => return lose(floor, "sample", &id, &why),
    };
    let upload = answer.presigned_upload_url.and_then(|urls| urls.into_iter().next());
    let spot_check = upload.zip(answer.activation_upload_path);
    let work = ForwardWork {
        id,
        targets: floor.terms.is_last().then(|| tokens.clone()),
        input: Arc::new(Input::Tokens(tokens)),
        source: None,
        input_hash: None,
        sample: Some(sample),
        spot_check: spot_check.map(|(upload_url, path)| SpotCheck { upload_url, path }),
    };
    // It was asked for, so it counts on this miner: it waits for its place.
    bring(floor, work).await;
}
