//! Loading the merged weights at the start of an epoch (spec 9.6). Coverage is counted honestly: a
//! chunk that could not be had counts against it, whatever the reason (13 #4); the twin copy of the
//! other miner is tried first.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::local::{LocalError, LocalStage};
use super::services::Services;
use crate::network::CallError;
use crate::protocol::bf16::widen;
use crate::protocol::merge::cosine;
use crate::protocol::messages::Partition;
use crate::protocol::sections::chunk_range;
use crate::protocol::{ChunkNumber, Epoch, StageIndex};

/// Fewer of the listed chunks than this, and the weights are not used.
pub const MIN_COVERAGE: f64 = 0.9;

/// Whether downloaded numbers are compared with the own ones.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Gate {
    /// The first load of a session: there is nothing to compare with.
    Open,
    /// Chunks whose cosine with the own ones is below this are refused.
    Cosine(f64),
}

impl Gate {
    /// Whether `theirs` may replace `ours`. The cosine of anything with zeros is undefined, and that
    /// is refused as well, as the specification does.
    pub fn admits(self, ours: &[f32], theirs: &[f32]) -> bool {
        if !theirs.iter().all(|x| x.is_finite()) {
            return false;
        }
        match self {
            Self::Open => true,
            // A NaN compares false.
            Self::Cosine(least) => cosine(ours, theirs) >= least,
        }
    }
}

/// The copies of every listed chunk, the preferred one first (the last listed wins).
pub fn copies(listed: &[Partition]) -> BTreeMap<ChunkNumber, Vec<String>> {
    let mut chunks: BTreeMap<ChunkNumber, Vec<String>> = BTreeMap::new();
    for partition in listed.iter().rev() {
        if let (Some(chunk), Some(path)) = (partition.chunk_number(), partition.blob_path()) {
            chunks.entry(chunk).or_default().push(path.to_owned());
        }
    }
    chunks
}

/// What became of a load.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Chunks that are in the weights now.
    pub loaded: Vec<ChunkNumber>,
    /// Chunks that were listed and could not be had, with the reason.
    pub failed: Vec<(ChunkNumber, String)>,
    /// Chunks that nobody merged: the own weights stay there.
    pub unlisted: usize,
}

impl Coverage {
    /// Share of the listed chunks that were loaded; 1 if none was listed.
    pub fn share(&self) -> f64 {
        let listed = self.loaded.len() + self.failed.len();
        if listed == 0 {
            return 1.0;
        }
        #[allow(clippy::cast_precision_loss)]
        let share = self.loaded.len() as f64 / listed as f64;
        share
    }

    /// Whether the weights may be used.
    pub fn is_enough(&self) -> bool {
        self.share() >= MIN_COVERAGE
    }

    /// In words, for a message.
    pub fn summary(&self) -> String {
        let listed = self.loaded.len() + self.failed.len();
        let why = self.failed.first().map_or("", |(_, why)| why.as_str());
        format!("{} of {listed} merged partitions could be loaded ({why})", self.loaded.len())
    }
}

/// The merged weights could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The orchestrator.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The device.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// Nobody has merged anything, though the run is past its first epoch.
    #[error(
        "the network lists no merged weights for epoch {0}; waiting until some miner has merged them"
    )]
    NothingMerged(Epoch),
    /// Too little could be had.
    #[error("{0}; at least 90 % are needed")]
    Coverage(String),
}

/// Whether this session has loaded merged weights before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synced {
    /// Yes: what comes is compared with what is here.
    Before,
    /// No.
    Never,
}

/// Downloads the merged weights into the stage and starts the epoch with them.
pub async fn load_merged(
    services: &Services,
    stage: &mut LocalStage,
    synced: Synced,
) -> Result<(Epoch, Coverage), LoadError> {
    let terms = stage.terms();
    let (partitions, number) = (terms.partitions, terms.stage);
    let epoch = services.orchestrator.run_epoch(&terms.run).await?.epoch;
    let listed = copies(&services.orchestrator.merged_partitions().await?);
    if listed.is_empty() && epoch > Epoch(1) && synced == Synced::Never {
        return Err(LoadError::NothingMerged(epoch));
    }
    let gate = match synced {
        Synced::Never => Gate::Open,
        Synced::Before => Gate::Cosine(services.constants.training.min_cosine_similarity_download),
    };
    let mut weights = stage.weights().await?;
    let mut coverage =
        Coverage { unlisted: partitions.saturating_sub(listed.len()), ..Coverage::default() };
    for (chunk, urls) in listed {
        match load_chunk(services, &mut weights, (number, chunk, partitions), &urls, gate).await {
            Ok(()) => coverage.loaded.push(chunk),
            Err(why) => {
                tracing::warn!("partition {chunk} cannot be loaded: {why}");
                coverage.failed.push((chunk, why));
            }
        }
    }
    if !coverage.is_enough() {
        return Err(LoadError::Coverage(coverage.summary()));
    }
    stage.write_weights(Arc::new(weights)).await?;
    stage.begin_epoch(epoch, coverage.loaded.clone()).await?;
    Ok((epoch, coverage))
}

/// Loads one chunk from the first of its copies that is good.
async fn load_chunk(
    services: &Services,
    weights: &mut [f32],
    (stage, chunk, partitions): (StageIndex, ChunkNumber, usize),
    urls: &[String],
    gate: Gate,
) -> Result<(), String> {
    let range = chunk_range(weights.len(), partitions, chunk).map_err(|e| e.to_string())?;
    let ours = &mut weights[range];
    let mut why = "it has no address".to_owned();
    for url in urls {
        match download_chunk(services, url, (stage, chunk), ours.len()).await {
            Ok(theirs) if gate.admits(ours, &theirs) => {
                ours.copy_from_slice(&theirs);
                return Ok(());
            }
            Ok(_) => "it differs too much from the own weights".clone_into(&mut why),
            Err(error) => why = error,
        }
    }
    Err(why)
}

async fn download_chunk(
    services: &Services,
    url: &str,
    (stage, chunk): (StageIndex, ChunkNumber),
    len: usize,
) -> Result<Vec<f32>, String> {
    let storage = &services.storage;
    let trailer = storage.partition_trailer(url).await.map_err(|e| e.to_string())?;
    if trailer.chunk != chunk || trailer.layer != stage || trailer.weights.len != len {
        return Err(format!(
            "the object holds {} numbers of chunk {} of stage {}",
            trailer.weights.len, trailer.chunk, trailer.layer
        ));
    }
    let values = storage.get_values(url, trailer.weights.bytes).await.map_err(|e| e.to_string())?;
    Ok(widen(&values))
}

#[cfg(test)]
mod tests;
