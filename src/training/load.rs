//! Loading the merged weights at the start of an epoch (spec 9.6). Coverage is counted honestly: a
//! chunk that could not be had counts against it, whatever the reason (13 #4); the twin copy of the
//! other miner is tried first.

use std::collections::BTreeMap;
use std::ops::Range;

use super::local::{LocalError, LocalStage, pieces};
use super::services::Services;
use crate::network::CallError;
use crate::protocol::bf16::{bf16, widen};
use crate::protocol::merge::{self, CosineSum};
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
    /// Whether numbers of this cosine with the own ones may replace those. The cosine of anything
    /// with zeros is undefined, and that is refused as well, as the specification does.
    pub fn admits(self, cosine: f64) -> bool {
        match self {
            Self::Open => true,
            // A NaN compares false.
            Self::Cosine(least) => cosine >= least,
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

/// Which merged partitions these are: a miner that comes back may go on with its own weights only if
/// those came from the same. Addresses are signed anew each time and may move to another server, so that
/// only their paths count.
pub fn identity(listed: &[Partition]) -> String {
    let path = |address: &str| {
        url::Url::parse(address).map_or_else(|_| address.to_owned(), |url| url.path().to_owned())
    };
    let mut named: Vec<(ChunkNumber, String)> = listed
        .iter()
        .filter_map(|partition| Some((partition.chunk_number()?, path(partition.blob_path()?))))
        .collect();
    named.sort();
    let mut hasher = blake3::Hasher::new();
    for (chunk, path) in named {
        hasher.update(format!("{chunk} {path}\n").as_bytes());
    }
    hasher.finalize().to_hex().to_string()
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
    let partitions_listed = services.orchestrator.merged_partitions().await?;
    let merged = identity(&partitions_listed);
    let listed = copies(&partitions_listed);
    stage.finish_keeping().await?;
    if listed.is_empty() && epoch > Epoch(1) && synced == Synced::Never {
        return Err(LoadError::NothingMerged(epoch));
    }
    let gate = match synced {
        Synced::Never => Gate::Open,
        Synced::Before => Gate::Cosine(services.constants.training.min_cosine_similarity_download),
    };
    let count = stage.param_count().await?;
    let mut coverage =
        Coverage { unlisted: partitions.saturating_sub(listed.len()), ..Coverage::default() };
    // Kept as they came, half as large as weights, until it is clear that there are enough.
    let mut fetched = Vec::new();
    for (chunk, urls) in listed {
        let place = (number, chunk, partitions);
        match fetch_chunk(services, stage, count, place, &urls, gate).await? {
            Ok((start, values)) => {
                coverage.loaded.push(chunk);
                fetched.push((start, values));
            }
            Err(why) => {
                tracing::warn!("partition {chunk} cannot be loaded: {why}");
                coverage.failed.push((chunk, why));
            }
        }
    }
    if !coverage.is_enough() {
        return Err(LoadError::Coverage(coverage.summary()));
    }
    for (start, values) in fetched {
        stage.write_wire_weights(start, values).await?;
    }
    stage.begin_epoch(epoch, coverage.loaded.clone()).await?;
    services.storage.forget_trailers();
    stage.set_merged(merged);
    Ok((epoch, coverage))
}

/// Numbers of the wire, and where in the weights they begin; or why they cannot be had.
type Fetched = Result<(usize, Vec<bf16>), String>;

/// Fetches one chunk from the first of its copies that is good. Only a failing device is an error.
async fn fetch_chunk(
    services: &Services,
    stage: &LocalStage,
    count: usize,
    (number, chunk, partitions): (StageIndex, ChunkNumber, usize),
    urls: &[String],
    gate: Gate,
) -> Result<Fetched, LocalError> {
    let range = match chunk_range(count, partitions, chunk) {
        Ok(range) => range,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let mut why = "it has no address".to_owned();
    for url in urls {
        let theirs = match download_chunk(services, url, (number, chunk), range.len()).await {
            Ok(theirs) => theirs,
            Err(error) => {
                why = error;
                continue;
            }
        };
        if !merge::all_finite(&theirs) {
            "it holds numbers that are not finite".clone_into(&mut why);
        } else if gate == Gate::Open || gate.admits(cosine(stage, range.clone(), &theirs).await?) {
            return Ok(Ok((range.start, theirs)));
        } else {
            "it differs too much from the own weights".clone_into(&mut why);
        }
    }
    Ok(Err(why))
}

/// How far `theirs` points where the stage's own weights in `range` do.
async fn cosine(
    stage: &LocalStage,
    range: Range<usize>,
    theirs: &[bf16],
) -> Result<f64, LocalError> {
    let mut sum = CosineSum::default();
    for piece in pieces(range.clone()) {
        let part = piece.start - range.start..piece.end - range.start;
        sum.add(&stage.read_weights(piece).await?, &widen(&theirs[part]));
    }
    Ok(sum.cosine())
}

async fn download_chunk(
    services: &Services,
    url: &str,
    (stage, chunk): (StageIndex, ChunkNumber),
    len: usize,
) -> Result<Vec<bf16>, String> {
    let storage = &services.storage;
    let trailer = storage.partition_trailer(url).await.map_err(|e| e.to_string())?;
    if trailer.chunk != chunk || trailer.layer != stage || trailer.weights.len != len {
        return Err(format!(
            "the object holds {} numbers of chunk {} of stage {}",
            trailer.weights.len, trailer.chunk, trailer.layer
        ));
    }
    storage.get_values(url, trailer.weights.bytes).await.map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests;
