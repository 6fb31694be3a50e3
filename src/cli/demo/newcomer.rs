//! What the model writes: the merged partitions are downloaded as a newcomer would, by ranges from
//! the store, and the whole model goes on from the beginning of a text that it was not trained on.

use std::sync::Arc;

use crate::clock::{Clock, Entropy};
use crate::compute::Device;
use crate::config::constants::Constants;
use crate::model::generate::{Chain, ChainError, Sampling};
use crate::model::stage::StageError;
use crate::model::tokenizer::TokenizerError;
use crate::network::Traffic;
use crate::network::http::{HttpClient, HttpSetupError, Route};
use crate::network::storage::{DownloadError, Storage};
use crate::protocol::ChunkNumber;
use crate::protocol::sections::chunk_range;
use crate::swarm::feed::{Feed, FeedError};
use crate::swarm::practice::{Practice, PracticeConfig, PracticeError};

/// Tokens of the beginning that the model is given.
const PROMPT: usize = 12;

/// Tokens that it writes.
const LENGTH: usize = 60;

/// Somewhat careful: the likeliest words, not always the first of them.
const SAMPLING: Sampling = Sampling { temperature: 0.7, top_k: 40 };

/// The model's text could not be had.
#[derive(Debug, thiserror::Error)]
pub enum NewcomerError {
    /// The store could not be asked.
    #[error(transparent)]
    Http(#[from] HttpSetupError),
    /// A partition could not be downloaded.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// The stages cannot be planned.
    #[error(transparent)]
    Plan(#[from] PracticeError),
    /// The published partitions do not make a stage.
    #[error("the published partitions of stage {0} do not fit together")]
    Misfit(usize),
    /// The whole model does not fit the device.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The device failed.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// The writing thread is gone.
    #[error("it was stopped")]
    Stopped,
    /// There is no text to begin with.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// Text and tokens do not go together.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
}

/// Flat weights of each stage.
pub type Weights = Vec<Vec<f32>>;

/// Downloads the newest merged weights of all stages.
pub async fn download(
    practice: &Practice,
    config: &PracticeConfig,
    clock: &Clock,
) -> Result<Weights, NewcomerError> {
    let constants = Constants::practice();
    let traffic = Traffic::default();
    let http = HttpClient::new(
        Route::Loopback,
        constants.storage.connect_timeout,
        clock.clone(),
        traffic,
    )?;
    let storage = Storage::new(http, constants.storage, clock.clone());
    let mut weights = Vec::new();
    for spec in config.stage_specs()? {
        let count = crate::model::parameters::count(&spec.parameters());
        let published = practice.published(spec.stage).await;
        let chunks = published.len();
        let mut flat = vec![0.0; count];
        for (ChunkNumber(chunk), url) in published {
            let trailer = storage.partition_trailer(&url).await?;
            let values = storage.get_values(&url, trailer.weights.bytes).await?;
            let range = chunk_range(count, chunks, ChunkNumber(chunk))
                .ok()
                .filter(|range| range.len() == values.len())
                .ok_or(NewcomerError::Misfit(spec.stage))?;
            for (to, from) in flat[range].iter_mut().zip(values) {
                *to = from.to_f32();
            }
        }
        weights.push(flat);
    }
    Ok(weights)
}

/// Writes a few sentences with these weights. Blocks; call it on a thread for that.
pub fn write(
    weights: &Weights,
    config: &PracticeConfig,
    device: &Arc<dyn Device>,
    feed: &Feed,
    seed: u64,
) -> Result<String, NewcomerError> {
    let seq = config.preset.seq;
    let mut chain = Chain::build(device.as_ref(), &config.stage_specs()?, 1, seq)?;
    for (index, flat) in weights.iter().enumerate() {
        let stage = chain.stage(index).ok_or(NewcomerError::Misfit(index))?;
        stage.write_weights(0..flat.len(), flat)?;
    }
    let tokenizer = feed.tokenizer();
    let mut tokens = tokenizer.encode(&feed.opening()?)?;
    tokens.truncate(PROMPT);
    let mut entropy = Entropy::seeded(seed, "writing");
    let written = chain.write(&tokens, LENGTH, SAMPLING, &mut entropy)?;
    let begun = tokenizer.decode(&tokens)?;
    Ok(format!("{begun}[…]{}", tokenizer.decode(&written)?))
}
