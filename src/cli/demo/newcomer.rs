//! What the model writes: the merged partitions are downloaded as a newcomer would, by ranges from
//! the store, and the whole model goes on from the beginning of a text that it was not trained on, or
//! from the user's own words.

use std::sync::Arc;

use crate::clock::{Clock, Entropy};
use crate::compute::Device;
use crate::config::constants::Constants;
use crate::model::generate::{Chain, ChainError, Sampling};
use crate::model::stage::StageError;
use crate::model::tokenizer::{Tokenizer, TokenizerError};
use crate::network::Traffic;
use crate::network::http::{HttpClient, HttpSetupError, Route};
use crate::network::storage::{DownloadError, Storage};
use crate::protocol::sections::chunk_range;
use crate::swarm::feed::FeedError;
use crate::swarm::practice::{PracticeConfig, PracticeError, PublishedChunk, PublishedModel};

/// Tokens of the beginning that the model is given.
const PROMPT: usize = 12;
/// The most tokens that it writes.
const LENGTH: usize = 60;
/// A sentence has at least so many: the prompt may end just before a full stop.
const SHORTEST: usize = 6;
/// Sequences of held-out text that weights are measured on.
const MEASURED_ON: usize = 8;
/// Listings of what is published until a download gives up: a merge may take what was listed away.
const LISTINGS: usize = 3;
/// Somewhat careful: the likeliest words, not always the first of them.
pub const CAREFUL: Sampling = Sampling { temperature: 0.7, top_k: 40 };

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

/// The merged weights of the whole model.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// Flat, stage by stage.
    pub stages: Vec<Vec<f32>>,
    /// The oldest and the newest epoch whose merge they are of.
    pub epochs: (u64, u64),
    /// The objects they were read from: another merge has others.
    pub objects: Vec<String>,
}

/// The names of all objects of a model.
pub fn objects(published: &[Vec<PublishedChunk>]) -> Vec<String> {
    published.iter().flatten().map(|chunk| chunk.object.clone()).collect()
}

/// Downloads the newest merged weights of all stages.
pub async fn download(
    model: &PublishedModel,
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
    let mut listings = 0;
    loop {
        let published = model.chunks().await;
        listings += 1;
        match read(&storage, config, &published).await {
            Err(NewcomerError::Download(_)) if listings < LISTINGS => {}
            done => return done,
        }
    }
}

async fn read(
    storage: &Storage,
    config: &PracticeConfig,
    published: &[Vec<PublishedChunk>],
) -> Result<Weights, NewcomerError> {
    let mut stages = Vec::new();
    for (spec, chunks) in config.stage_specs()?.iter().zip(published) {
        let count = crate::model::parameters::count(&spec.parameters());
        let mut flat = vec![0.0; count];
        for PublishedChunk { chunk, url, .. } in chunks {
            let trailer = storage.partition_trailer(url).await?;
            let values = storage.get_values(url, trailer.weights.bytes).await?;
            let range = chunk_range(count, chunks.len(), *chunk)
                .ok()
                .filter(|range| range.len() == values.len())
                .ok_or(NewcomerError::Misfit(spec.stage))?;
            for (to, from) in flat[range].iter_mut().zip(values) {
                *to = from.to_f32();
            }
        }
        stages.push(flat);
    }
    let epochs = || published.iter().flatten().map(|chunk| chunk.epoch);
    let epochs = (epochs().min().unwrap_or(0), epochs().max().unwrap_or(0));
    Ok(Weights { stages, epochs, objects: objects(published) })
}

/// The whole model, ready to write. What it does blocks; use it on a thread for that.
pub struct Newcomer {
    chain: Chain,
    tokenizer: Arc<Tokenizer>,
}

/// What it goes on from, and what it wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The beginning.
    pub begun: String,
    /// What it wrote.
    pub written: String,
}

impl Newcomer {
    /// Builds it on `device` with these weights.
    pub fn build(
        weights: &Weights,
        config: &PracticeConfig,
        device: &dyn Device,
    ) -> Result<Self, NewcomerError> {
        let seq = config.preset.seq;
        let mut chain = Chain::build(device, &config.stage_specs()?, 1, seq)?;
        for (index, flat) in weights.stages.iter().enumerate() {
            let stage = chain.stage(index).ok_or(NewcomerError::Misfit(index))?;
            stage.write_weights(0..flat.len(), flat)?;
        }
        Ok(Self { chain, tokenizer: Arc::clone(config.feed.tokenizer()) })
    }

    /// Goes on from the end of `text` for as long as it may.
    pub fn go_on(
        &mut self,
        text: &[u32],
        sampling: Sampling,
        entropy: &mut Entropy,
    ) -> Result<Text, NewcomerError> {
        let written = self.chain.write(text, LENGTH, sampling, entropy)?;
        self.text(text, &written)
    }

    /// Goes on from the end of `text` to the end of the sentence, or for as long as it may.
    pub fn end_sentence(
        &mut self,
        text: &[u32],
        sampling: Sampling,
        entropy: &mut Entropy,
    ) -> Result<Text, NewcomerError> {
        let (mut all, start) = (text.to_vec(), text.len());
        while all.len() < start + LENGTH {
            let next = self.chain.write(&all, 1, sampling, entropy)?;
            all.extend(next);
            let so_far = self.tokenizer.decode(&all[start..])?;
            let ended = so_far.trim_end_matches(['"', '\u{201d}', '\'']).ends_with(['.', '!', '?']);
            if all.len() - start >= SHORTEST && ended {
                break;
            }
        }
        self.text(text, &all[start..])
    }

    /// The first few tokens of `text`, for the model to go on from.
    pub fn beginning(&self, text: &str) -> Result<Vec<u32>, NewcomerError> {
        let mut tokens = self.tokenizer.encode(text)?;
        tokens.truncate(PROMPT);
        Ok(tokens)
    }

    /// All of these words.
    pub fn words(&self, text: &str) -> Result<Vec<u32>, NewcomerError> {
        Ok(self.tokenizer.encode(text)?)
    }

    /// Mean cross-entropy on text that nobody trained on, always the same: nats per token.
    pub fn loss(&mut self, config: &PracticeConfig) -> Result<f64, NewcomerError> {
        let seq = config.preset.seq;
        let tokens = config.feed.held_out_tokens(MEASURED_ON * seq)?;
        let parts = tokens.chunks_exact(seq);
        let many = parts.len().max(1);
        let losses = parts.map(|part| self.chain.loss(part)).sum::<Result<f64, _>>()?;
        #[allow(clippy::cast_precision_loss)]
        let mean = losses / many as f64;
        Ok(mean)
    }

    fn text(&self, begun: &[u32], written: &[u32]) -> Result<Text, NewcomerError> {
        let all = self.tokenizer.decode(&[begun, written].concat())?;
        let begun = self.tokenizer.decode(begun)?;
        // Decoded alone, a text may lose the blank that it begins with.
        let written = match all.strip_prefix(&begun) {
            Some(rest) => rest.to_owned(),
            None => self.tokenizer.decode(written)?,
        };
        Ok(Text { begun, written })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::cpu::CpuDevice;
    use crate::model::initial::first_values;
    use crate::model::presets::Preset;
    use crate::model::tokenizer::Tokenizer;
    use crate::swarm::feed::{Feed, Source};
    use crate::swarm::practice::Practice;
    use crate::telemetry::Events;

    const GREEDY: Sampling = Sampling { temperature: 0.0, top_k: 0 };

    fn config(folder: &std::path::Path) -> PracticeConfig {
        let preset = *Preset::named("nano").unwrap();
        let tokenizer = Arc::new(Tokenizer::shipped().unwrap());
        let source = Source::Stories { seed: 4 };
        let feed = Feed::new(source, tokenizer, preset.seq * preset.batch).unwrap();
        PracticeConfig { seed: 9, ..PracticeConfig::new(preset, Arc::new(feed), folder.to_owned()) }
    }

    /// The weights of a run's beginning, without a store between.
    fn weights_of(config: &PracticeConfig) -> Vec<Vec<f32>> {
        let flat = |spec: &crate::model::StageSpec| {
            let parameters = spec.parameters().into_iter();
            let values = parameters.flat_map(|parameter| {
                first_values(config.seed, spec.stage, &parameter).take(parameter.count())
            });
            values.map(|value| half::bf16::from_f32(value).to_f32()).collect()
        };
        config.stage_specs().unwrap().iter().map(flat).collect()
    }

    #[tokio::test]
    async fn what_is_published_writes_what_the_reference_writes() {
        let home = tempfile::tempdir().unwrap();
        let config = config(home.path());
        let clock = Clock::system();
        let practice = Practice::start(config.clone(), clock.clone(), Events::new()).await.unwrap();
        let weights = download(&practice.model(), &config, &clock).await.unwrap();
        assert_eq!(weights.stages, weights_of(&config));
        assert_eq!(weights.epochs, (0, 0));

        let fast = CpuDevice::new(Some(2));
        let mut model = Newcomer::build(&weights, &config, &fast).unwrap();
        let begun = model.words("Once").unwrap();
        let mut entropy = Entropy::seeded(1, "greedy");
        let text = model.end_sentence(&begun, GREEDY, &mut entropy).unwrap();

        // The reference: all stages in f64, the likeliest token each time.
        let specs = config.stage_specs().unwrap();
        let mut reference =
            Chain::build(&CpuDevice::oracle(), &specs, 1, config.preset.seq).unwrap();
        for (stage, flat) in weights.stages.iter().enumerate() {
            reference.stage(stage).unwrap().write_weights(0..flat.len(), flat).unwrap();
        }
        let tokenizer = config.feed.tokenizer();
        let written = reference.write(&begun, LENGTH, GREEDY, &mut entropy).unwrap();
        let whole = tokenizer.decode(&[begun.clone(), written].concat()).unwrap();
        let ours = format!("{}{}", text.begun, text.written);
        assert!(!text.written.is_empty() && whole.starts_with(&ours), "{ours:?} {whole:?}");

        // Other draws are other texts, the same draw the same.
        let draw = |model: &mut Newcomer, seed| {
            let mut entropy = Entropy::seeded(seed, "draw");
            model.go_on(&begun, CAREFUL, &mut entropy).unwrap().written
        };
        assert_eq!(draw(&mut model, 1), draw(&mut model, 1));
        assert_ne!(draw(&mut model, 1), draw(&mut model, 2));
        let loss = model.loss(&config).unwrap();
        let uniform = f64::from(4096).ln();
        assert!((loss - uniform).abs() < 0.5, "first weights know nothing: {loss} {uniform}");
        practice.shutdown().await;
    }
}
