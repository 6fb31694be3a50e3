//! A practice swarm: object store, orchestrator with its bridge, data feed and first weights, started
//! together. Miners join it over HTTP like any network. Several may run in one process.

mod model;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Weak};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::feed::{Baselines, Feed, FeedError};
use super::genesis::first_partitions;
use super::orchestrator::{
    Books, BooksError, Desk, Equipment, ListenError, Orchestrator, RunFacts, Shelf, Texts, listen,
};
use super::pay::PayBook;
use super::queue::Queue;
use super::rules::Rules;
use super::run::{Run, RunPlan};
use super::snapshot::{Lab, SwarmSnapshot};
use super::store::{Store, StoreError, make_writable};
use crate::clock::{Clock, Entropy};
use crate::config::constants::Constants;
use crate::model::presets::Preset;
use crate::model::{LlamaConfig, PlanError, StageSpec};
use crate::protocol::messages::{
    ActivationSettings, DatasetSettings, ModelConfig, ModelMetadata, OptimizerSettings,
};
use crate::protocol::sections::num_partitions;
use crate::protocol::splits::{Split, SplitError};
use crate::protocol::{ChunkNumber, Hotkey, RunId, StageIndex};
use crate::telemetry::Events;

pub use model::{PublishedChunk, PublishedModel};

/// What kind of swarm is wanted.
#[derive(Clone, Debug)]
pub struct PracticeConfig {
    /// The model and how it is trained.
    pub preset: Preset,
    /// Pipeline stages.
    pub stages: usize,
    /// Planned miners of each stage.
    pub miners_per_stage: usize,
    /// Epochs after which no more work is handed out; `None` goes on for ever.
    pub epochs: Option<u64>,
    /// Backwards of each planned miner in an epoch.
    pub backwards_per_miner: u64,
    /// Activations that a miner keeps in flight: its cache size.
    pub in_flight: usize,
    /// Fixes weights, pairings and ids. The feed has its own.
    pub seed: u64,
    /// Where samples come from; at least `preset.seq * preset.batch` tokens each.
    pub feed: Arc<Feed>,
    /// What the tokenizer is called on the wire.
    pub tokenizer_name: String,
    /// Where books and objects are kept; made if missing, resumed from if not empty.
    pub folder: PathBuf,
    /// Port of the orchestrator on loopback; 0 takes any free one.
    pub port: u16,
    /// What faces call the miners that are known beforehand.
    pub names: BTreeMap<Hotkey, String>,
    /// What is refused, asked for and waited for.
    pub rules: Rules,
    /// The network's numbers.
    pub constants: Constants,
}

impl PracticeConfig {
    /// A swarm of `preset` over `feed` in `folder`: 3 stages of 2 miners, everything else at its
    /// default.
    pub fn new(preset: Preset, feed: Arc<Feed>, folder: PathBuf) -> Self {
        Self {
            preset,
            stages: 3,
            miners_per_stage: 2,
            epochs: None,
            backwards_per_miner: preset.backwards_per_epoch as u64,
            in_flight: 8,
            seed: 0,
            feed,
            tokenizer_name: "hearth".to_owned(),
            folder,
            port: 0,
            names: BTreeMap::new(),
            rules: Rules::lenient(),
            constants: Constants::practice(),
        }
    }

    /// The stages as they are planned, first to last.
    ///
    /// # Errors
    /// The model has fewer blocks than there are stages, or makes no sense.
    pub fn stage_specs(&self) -> Result<Vec<StageSpec>, PracticeError> {
        let specs = self.preset.stage_specs(self.stages)?;
        for spec in &specs {
            spec.config.clone().checked().map_err(PlanError::from)?;
        }
        Ok(specs)
    }

    fn plan(&self, run_id: RunId) -> RunPlan {
        let miners = self.stages * self.miners_per_stage;
        RunPlan {
            run_id,
            stages: self.stages,
            miners_per_stage: self.miners_per_stage,
            backwards_per_miner: self.backwards_per_miner,
            epochs: self.epochs,
            seed: self.seed,
            num_partitions: num_partitions(miners, self.stages).max(1),
            tokens_per_activation: (self.preset.seq * self.preset.batch) as u64,
            rules: self.rules.clone(),
            names: self.names.clone(),
        }
    }

    fn facts(&self, plan: &RunPlan, splits: Vec<Split>) -> RunFacts {
        let preset = &self.preset;
        let metadata = ModelMetadata {
            model_splits: Some(splits),
            model_size: Some(preset.name.to_owned()),
            n_splits: Some(self.stages),
            tokenizer_name: Some(self.tokenizer_name.clone()),
            effective_batch_size: Some(preset.batch * preset.accumulation),
            mini_batch_accumulation_count: Some(preset.accumulation),
            grad_clip_norm: Some(preset.grad_clip_norm),
            opt: Some(OptimizerSettings {
                learning_rate: Some(preset.learning_rate),
                weight_decay: Some(0.1),
                betas: Some(vec![0.9, 0.95]),
                eps: Some(1e-8),
            }),
            dataset: Some(DatasetSettings {
                dataset_name: Some("practice".to_owned()),
                shuffle_dataset: Some(false),
                sequence_length: Some(preset.seq),
                mini_batch_size: Some(preset.batch),
            }),
            miners_per_layer: Some(vec![self.miners_per_stage; self.stages]),
            activation: Some(ActivationSettings {
                max_activation_cache_size: Some(self.in_flight),
            }),
            ..ModelMetadata::default()
        };
        RunFacts {
            run_id: plan.run_id.clone(),
            model_cfg: wire_config(preset.name, &preset.config(), preset.total_params()),
            model_metadata: metadata,
            num_partitions: plan.num_partitions,
            spec_version: self.constants.spec_version,
        }
    }
}

/// Why a practice swarm could not start, or cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum PracticeError {
    /// A number that makes no swarm.
    #[error("a practice swarm needs at least 1 {0}")]
    Nothing(&'static str),
    /// The model cannot be cut that way.
    #[error("{0}; choose fewer --stages")]
    Split(#[from] SplitError),
    /// The model cannot be planned.
    #[error(transparent)]
    Model(#[from] PlanError),
    /// No place to listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The folder cannot be used.
    #[error(
        "the folder {folder} for the practice swarm cannot be used ({source}); choose another folder, or make this one writable"
    )]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The books cannot be used.
    #[error(transparent)]
    Books(#[from] BooksError),
    /// The object store cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The text cannot be read.
    #[error(transparent)]
    Feed(#[from] FeedError),
    /// The first weights cannot be written.
    #[error("the first weights cannot be made: {0}")]
    FirstWeights(String),
    /// Something broke on the way.
    #[error("the practice swarm cannot go on: {0}")]
    Broken(String),
}

/// Which kind of trouble an error is, for the exit code (design section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A setting is wrong.
    Configuration,
    /// The disk, or a folder on it.
    Disk,
    /// Anything else.
    Other,
}

impl PracticeError {
    /// Which kind of trouble this is.
    pub fn trouble(&self) -> Trouble {
        match self {
            Self::Nothing(_) | Self::Split(_) | Self::Model(_) | Self::Listen(_) => {
                Trouble::Configuration
            }
            Self::Books(BooksError::OtherRun { .. } | BooksError::Version { .. }) => {
                Trouble::Configuration
            }
            Self::Feed(_) => Trouble::Configuration,
            Self::Folder { .. } | Self::Books(_) | Self::Store(_) => Trouble::Disk,
            Self::FirstWeights(_) | Self::Broken(_) => Trouble::Other,
        }
    }
}

/// A running practice swarm. Ends when dropped; [`Practice::shutdown`] lets it finish its sentences.
#[derive(Debug)]
pub struct Practice {
    orchestrator: Orchestrator,
    clock: Clock,
    epochs: Option<u64>,
    baselines: JoinHandle<()>,
}

impl Practice {
    /// Starts a swarm, or resumes the one in the folder. When this returns, miners can join.
    ///
    /// # Errors
    /// The settings make no swarm, the port is taken, or the folder cannot be used.
    pub async fn start(
        config: PracticeConfig,
        clock: Clock,
        events: Events,
    ) -> Result<Self, PracticeError> {
        check(&config)?;
        let specs = config.stage_specs()?;
        let preset = config.preset;
        // First what fails most easily and leaves nothing behind.
        let listener = listen(config.port).await?;
        make_writable(&config.folder)
            .map_err(|source| PracticeError::Folder { folder: config.folder.clone(), source })?;
        let plan = config.plan(RunId(format!("practice-{}", preset.name)));
        let facts = config.facts(&plan, specs.iter().map(|spec| spec.split).collect());
        let mut books = Books::open(&Shelf::File(config.folder.join("books.sqlite"))).await?;
        let model = format!("{} ({} parameters)", preset.name, preset.total_params());
        let mut restored = books.begin(&plan, &model, clock.unix_seconds()).await?;
        let folder = config.folder.join("objects");
        let store = Store::start(&folder, clock.clone(), &mut Entropy::system()).await?;
        let store = Arc::new(store);
        let tickets = std::mem::take(&mut restored.tickets);
        let paid = std::mem::take(&mut restored.pay);
        let pay = PayBook::new(plan.run_id.clone(), plan.rules.pay, paid);
        let queue = Queue::restored(tickets, &plan.rules.queue, clock.unix());
        let mut run = Run::new(plan, restored, clock.now());
        if !run.has_weights() {
            publish_first_weights(&mut run, &store, specs, config.seed).await?;
        }
        let texts = texts(&config.feed);
        let now = clock.clone();
        let equipment =
            Equipment { facts, run, queue, books, pay, store, texts, clock: now, events };
        let orchestrator = Orchestrator::start(listener, equipment)
            .await
            .map_err(|error| PracticeError::Broken(error.to_string()))?;
        let baselines = tokio::spawn(fit_baselines(
            Arc::clone(&config.feed),
            Arc::downgrade(orchestrator.desk()),
        ));
        Ok(Self { orchestrator, clock, epochs: config.epochs, baselines })
    }

    /// The orchestrator's address: `http://127.0.0.1:PORT`.
    pub fn orchestrator_url(&self) -> String {
        format!("http://{}", self.orchestrator.address())
    }

    /// The bridge's address.
    pub fn bridge_url(&self) -> String {
        format!("{}/bridge", self.orchestrator_url())
    }

    /// Replaces the rules of the living swarm: freezes miners, changes flags, opens the queue.
    pub async fn set_rules(&self, rules: Rules) {
        self.orchestrator.desk().set_rules(rules).await;
    }

    /// Tells the faces what was done to the miners on purpose.
    pub async fn tell_lab(&self, lab: Lab) {
        self.orchestrator.desk().set_lab(lab).await;
    }

    /// What faces see.
    pub fn snapshot(&self) -> watch::Receiver<SwarmSnapshot> {
        self.orchestrator.snapshots()
    }

    /// The model as it is published.
    pub fn model(&self) -> PublishedModel {
        PublishedModel { desk: Arc::clone(self.orchestrator.desk()) }
    }

    /// Waits until the epochs that were asked for are merged in every stage; for ever, if none were.
    /// Does not keep the swarm alive.
    ///
    /// # Errors
    /// The swarm cannot go on: disk or text failed.
    pub fn finished(&self) -> impl Future<Output = Result<(), PracticeError>> + Send + 'static {
        let (mut snapshots, mut failures) =
            (self.orchestrator.snapshots(), self.orchestrator.failures());
        let epochs = self.epochs;
        async move {
            let done = snapshots
                .wait_for(|snapshot| epochs.is_some_and(|epochs| snapshot.epochs_done >= epochs));
            let failed = failures.wait_for(Option::is_some);
            tokio::select! {
                done = done => match done {
                    Ok(_) => Ok(()),
                    Err(_) => Err(PracticeError::Broken("it was stopped".to_owned())),
                },
                Ok(reason) = failed => {
                    Err(PracticeError::Broken(reason.clone().unwrap_or_default()))
                }
            }
        }
    }

    /// Answers what is being asked, then stops listening.
    pub async fn shutdown(self) {
        let Self { orchestrator, clock, baselines, .. } = self;
        baselines.abort();
        orchestrator.shutdown(&clock).await;
    }
}

fn check(config: &PracticeConfig) -> Result<(), PracticeError> {
    let counts = [
        (config.stages as u64, "stage"),
        (config.miners_per_stage as u64, "miner per stage"),
        (config.backwards_per_miner, "backward per miner and epoch"),
        (config.in_flight as u64, "activation in flight"),
        (config.epochs.unwrap_or(1), "epoch"),
    ];
    match counts.iter().find(|(count, _)| *count == 0) {
        Some((_, what)) => Err(PracticeError::Nothing(what)),
        None => Ok(()),
    }
}

/// Makes the first weights on a thread of their own and puts them into the store.
async fn publish_first_weights(
    run: &mut Run,
    store: &Store,
    specs: Vec<StageSpec>,
    seed: u64,
) -> Result<(), PracticeError> {
    let fail = |error: String| PracticeError::FirstWeights(error);
    let (run_id, partitions) = (run.plan().run_id.clone(), run.plan().num_partitions);
    for spec in specs {
        let stage = StageIndex(spec.stage);
        let making =
            move || first_partitions(&spec, seed, partitions).collect::<Result<Vec<_>, _>>();
        let made = tokio::task::spawn_blocking(making).await.map_err(|e| fail(e.to_string()))?;
        for (chunk, blob) in made.map_err(|e| fail(e.to_string()))?.into_iter().enumerate() {
            let object = format!("{run_id}/0/{stage}/partition/first-{chunk}");
            store.put(&object, blob).await?;
            store.keep(&object).await?;
            run.publish_first(stage, ChunkNumber(chunk), object);
        }
    }
    Ok(())
}

fn texts(feed: &Arc<Feed>) -> Texts {
    let feed = Arc::clone(feed);
    Texts(Arc::new(move || feed.next_sample().map_err(|error| error.to_string())))
}

/// Measures what counting models reach on the text, for the faces to compare with.
/// Does not keep the swarm alive meanwhile.
async fn fit_baselines(feed: Arc<Feed>, desk: Weak<Desk>) {
    let fit = move || Baselines::fit(&feed, Baselines::FITTED, Baselines::HELD_OUT);
    match tokio::task::spawn_blocking(fit).await {
        Ok(Ok(baselines)) => {
            if let Some(desk) = desk.upgrade() {
                desk.set_baselines(baselines.unigram, baselines.bigram).await;
            }
        }
        Ok(Err(error)) => tracing::warn!(%error, "no baselines"),
        Err(error) => tracing::warn!(%error, "no baselines"),
    }
}

fn wire_config(name: &str, config: &LlamaConfig, total_params: u64) -> ModelConfig {
    ModelConfig {
        model_name: Some(name.to_owned()),
        total_global_params: Some(total_params),
        vocab_size: Some(config.vocab_size),
        context_length: Some(config.context_length),
        orig_context_length: Some(config.orig_context_length),
        emb_dim: Some(config.emb_dim),
        bottleneck_dim: config.bottleneck_dim,
        quantize_activations: Some(false.into()),
        quantize_activations_grads: Some(false.into()),
        quantize_weights: Some(false.into()),
        n_heads: Some(config.n_heads),
        n_layers: Some(config.n_layers),
        hidden_dim: Some(config.hidden_dim),
        n_kv_groups: Some(config.n_kv_groups),
        rope_base: Some(config.rope_base),
        dtype: Some("torch.bfloat16".to_owned()),
        rope_freq: None,
        ..ModelConfig::default()
    }
}

#[cfg(test)]
mod tests;
