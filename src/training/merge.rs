//! Merging the own partitions with everybody's pseudo-gradients (spec 9.3, 9.4). A source that
//! cannot be read is left out after its retries; the chunk is merged from the others (13 #22).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use half::bf16;

use super::local::{LocalStage, PIECE, pieces};
use super::record::Deed;
use super::services::Services;
use crate::clock::Moment;
use crate::network::CallError;
use crate::network::storage::{DownloadError, Escort, UploadError, UploadJob};
use crate::protocol::bf16::narrow;
use crate::protocol::blob::{BlobError, PartitionBlob};
use crate::protocol::merge::{self, MergeError, Source};
use crate::protocol::messages::{
    AttestationAction, FileType, Flag, Partition, SubmitMergedPartitionsRequest, SubmittedWeights,
};
use crate::protocol::sections::{GeometryError, chunk_range, partition_batches};
use crate::protocol::{ChunkNumber, Epoch, RunId, StageIndex};

// Where a chunk is cut decides nothing about its numbers.
const _: () = assert!(PIECE.is_multiple_of(merge::BLOCK));

/// Partitions could not be merged.
#[derive(Debug, thiserror::Error)]
pub enum MergeFailure {
    /// The orchestrator.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The store did not take a merged partition.
    #[error(transparent)]
    Upload(#[from] UploadError),
    /// The outer optimizer's state of a chunk cannot be read; without it the result would be wrong.
    #[error("the previous state of partition {chunk} cannot be read: {why}")]
    Previous {
        /// The chunk.
        chunk: ChunkNumber,
        /// Why.
        why: DownloadError,
    },
    /// No pseudo-gradient of a chunk could be read.
    #[error("no miner's contribution to partition {chunk} can be read ({why})")]
    NoSource {
        /// The chunk.
        chunk: ChunkNumber,
        /// Why the last of them could not.
        why: String,
    },
    /// The orchestrator gave a chunk that the stage has not.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// The numbers do not fit.
    #[error(transparent)]
    Math(#[from] MergeError),
    /// The container.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The weights of the epoch's start are not here.
    #[error("this miner has not loaded the weights of this epoch, so it cannot merge")]
    NoWeights,
}

impl MergeFailure {
    /// The call to the orchestrator that failed, if it was one.
    pub fn call(&self) -> Option<&CallError> {
        match self {
            Self::Call(error) => Some(error),
            Self::Upload(error) => error.call(),
            _ => None,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MergeDone {
    /// So many partitions were merged and accepted.
    Merged(usize),
    /// Nothing is assigned, or nobody has handed in anything yet.
    NotYet,
}

/// Told after each accepted batch: how many of how many are done.
pub type Progress<'a> = &'a (dyn Fn(usize, usize) + Send + Sync);

/// What was merged so far of one epoch, kept over all attempts: partitions that were accepted are
/// not merged again, and stored parts of the others are not sent again.
#[derive(Debug, Default)]
pub struct MergeMemory {
    of: Option<(RunId, StageIndex, Epoch)>,
    began: Moment,
    accepted: BTreeSet<ChunkNumber>,
    /// Of those, accepted since a merge ended well.
    untold: usize,
    uploads: BTreeMap<ChunkNumber, UploadJob>,
}

impl MergeMemory {
    /// The merging of `stage`'s present epoch begins, or goes on; gives when it began.
    pub fn open(&mut self, stage: &LocalStage, now: Moment) -> Moment {
        let of = (stage.terms().run.clone(), stage.terms().stage, stage.epoch());
        if self.of.as_ref() != Some(&of) {
            *self = Self { of: Some(of), began: now, ..Self::default() };
        }
        self.began
    }
}

/// Merges all partitions that the orchestrator gave to this miner. One that cannot be merged does not
/// keep the others from it; the next attempt takes up only what is missing.
pub async fn merge_partitions(
    services: &Services,
    stage: &LocalStage,
    memory: &mut MergeMemory,
    progress: Progress<'_>,
    escort: Escort<'_>,
) -> Result<MergeDone, MergeFailure> {
    memory.open(stage, services.clock.now());
    let previous = stage.previous().cloned().ok_or(MergeFailure::NoWeights)?;
    let assigned = services.orchestrator.partitions().await?;
    if assigned.is_empty() {
        return Ok(MergeDone::NotYet);
    }
    let submitted = services.orchestrator.weight_paths().await?;
    if submitted.is_empty() {
        return Ok(MergeDone::NotYet);
    }
    let open = |partition: &Partition| {
        partition.chunk_number().is_none_or(|chunk| !memory.accepted.contains(&chunk))
    };
    let partitions: Vec<Partition> = assigned.iter().filter(|p| open(p)).cloned().collect();
    let before = assigned.len() - partitions.len();
    if partitions.is_empty() {
        return Ok(MergeDone::Merged(std::mem::take(&mut memory.untold)));
    }
    let chunks: Vec<ChunkNumber> = partitions.iter().filter_map(Partition::chunk_number).collect();
    let mut merger = Merger {
        services,
        sources: usable_sources(services, stage, &submitted, previous.len()).await,
        states: previous_states(services, &chunks).await?,
        previous,
        stage,
        epoch: stage.epoch(),
        memory,
        escort,
        failure: None,
    };
    let batches =
        partition_batches(partitions.len(), services.constants.training.partition_batches.max(1));
    let mut done = 0;
    for batch in batches {
        done += merger.merge_batch(&partitions[batch]).await?;
        progress(before + done, assigned.len());
    }
    match merger.failure {
        Some(failure) => Err(failure),
        None => Ok(MergeDone::Merged(std::mem::take(&mut merger.memory.untold))),
    }
}

/// A pseudo-gradient that can be merged.
struct UsableSource {
    url: String,
    weight: f64,
}

/// The sources whose trailers can be read and fit this stage. The others are left out.
async fn usable_sources(
    services: &Services,
    stage: &LocalStage,
    submitted: &[SubmittedWeights],
    len: usize,
) -> Vec<UsableSource> {
    let terms = stage.terms();
    let enforce = terms.flags.is_on(Flag::EnforceMinLocalOptimizerSteps);
    let fewest = u64::from(services.constants.training.min_local_optimizer_steps);
    let weighted = terms.flags.is_on(Flag::WeightedPartitionAveraging);
    let mut usable = Vec::new();
    for source in submitted {
        let url = &source.weights_path_presigned;
        match services.storage.weights_trailer(url).await {
            Ok(trailer) if trailer.len != len || trailer.num_sections != terms.partitions => {
                tracing::warn!(
                    "a contribution of {} numbers in {} sections does not fit this stage",
                    trailer.len,
                    trailer.num_sections
                );
            }
            Ok(trailer) if enforce && trailer.local_optimization_steps < fewest => {
                tracing::info!("a contribution with too few optimizer steps is left out");
            }
            Ok(_) => {
                let weight = if weighted { source.weight() } else { 1.0 };
                usable.push(UsableSource { url: url.clone(), weight });
            }
            Err(error) => tracing::warn!("a contribution cannot be read: {error}"),
        }
    }
    usable
}

/// Where the last merge of each chunk lies.
async fn previous_states(
    services: &Services,
    chunks: &[ChunkNumber],
) -> Result<BTreeMap<ChunkNumber, String>, MergeFailure> {
    let listed = services.orchestrator.previous_partitions(chunks).await?;
    let place = |p: &Partition| Some((p.chunk_number()?, p.blob_path()?.to_owned()));
    Ok(listed.iter().filter_map(place).collect())
}

struct Merger<'a> {
    services: &'a Services,
    stage: &'a LocalStage,
    sources: Vec<UsableSource>,
    states: BTreeMap<ChunkNumber, String>,
    previous: Arc<Vec<f32>>,
    epoch: Epoch,
    memory: &'a mut MergeMemory,
    escort: Escort<'a>,
    /// The first partition that could not be merged.
    failure: Option<MergeFailure>,
}

impl Merger<'_> {
    /// Merges and submits one batch; gives how many partitions it was.
    async fn merge_batch(&mut self, batch: &[Partition]) -> Result<usize, MergeFailure> {
        let mut partitions = Vec::new();
        let mut deeds = Vec::new();
        for partition in batch {
            // The literal "all" and nonsense are not chunks.
            let Some(chunk) = partition.chunk_number() else { continue };
            let (object, sources) = match self.merge_chunk(chunk).await {
                Ok(merged) => merged,
                // The network's word ends it all; anything else concerns this partition alone.
                Err(error) if error.call().is_some_and(|call| call.server().is_some()) => {
                    return Err(error);
                }
                Err(error) => {
                    tracing::warn!("partition {chunk} cannot be merged now: {error}");
                    self.failure.get_or_insert(error);
                    continue;
                }
            };
            deeds.push(Deed::Merge { chunk, sources, object: object.clone() });
            let mut partition = partition.clone();
            partition.set_blob_path(object);
            partitions.push(partition);
        }
        let count = partitions.len();
        if count > 0 {
            let (run, flags) = (&self.stage.terms().run, &self.stage.terms().flags);
            let action = AttestationAction::MergedPartitions;
            let attestation = self.services.attest(action, run, flags).await?;
            let request = SubmitMergedPartitionsRequest { partitions, attestation };
            self.services.orchestrator.submit_merged_partitions(&request).await?;
        }
        for deed in &deeds {
            if let Deed::Merge { chunk, .. } = deed {
                self.memory.accepted.insert(*chunk);
                self.memory.untold += 1;
                self.memory.uploads.remove(chunk);
            }
        }
        deeds.into_iter().for_each(|deed| self.stage.note(deed));
        Ok(count)
    }

    /// Merges one chunk and uploads it; gives its object and what it was made of.
    async fn merge_chunk(
        &mut self,
        chunk: ChunkNumber,
    ) -> Result<(String, Vec<(String, f64)>), MergeFailure> {
        let terms = self.stage.terms();
        let range = chunk_range(self.previous.len(), terms.partitions, chunk)?;
        let mut gradients = Vec::new();
        let mut why = "there is none".to_owned();
        for source in &self.sources {
            match self.download(source, chunk, &range).await {
                Ok(gradient) => gradients.push((source, gradient)),
                Err(error) => {
                    tracing::warn!("partition {chunk}: a contribution is left out: {error}");
                    why = error;
                }
            }
        }
        if gradients.is_empty() {
            return Err(MergeFailure::NoSource { chunk, why });
        }
        let buffer = self.previous_buffer(chunk, range.len()).await?;
        let used: Vec<(String, f64)> =
            gradients.iter().map(|(source, _)| (object_of(&source.url), source.weight)).collect();
        let inputs = gradients.into_iter().map(|(s, g)| (g, s.weight)).collect();
        let blob = self.compute(chunk, range, inputs, buffer).await?;
        let (services, escort) = (self.services, self.escort);
        let job = self.memory.uploads.entry(chunk).or_default();
        let object = services
            .storage
            .upload(&services.orchestrator, FileType::Partition, job, &blob, escort)
            .await?;
        Ok((object, used))
    }

    async fn download(
        &self,
        source: &UsableSource,
        chunk: ChunkNumber,
        range: &Range<usize>,
    ) -> Result<Vec<bf16>, String> {
        let storage = &self.services.storage;
        let trailer = storage.weights_trailer(&source.url).await.map_err(|e| e.to_string())?;
        let bytes = trailer.section_bytes(chunk).map_err(|e| e.to_string())?;
        let gradient = storage.get_values(&source.url, bytes).await.map_err(|e| e.to_string())?;
        if gradient.len() != range.len() {
            return Err(format!("{} numbers where {} belong", gradient.len(), range.len()));
        }
        if !merge::all_finite(&gradient) {
            return Err("it holds numbers that are not finite".to_owned());
        }
        Ok(gradient)
    }

    /// The outer optimizer's buffer of a chunk; none before the first merge.
    async fn previous_buffer(
        &self,
        chunk: ChunkNumber,
        len: usize,
    ) -> Result<Option<Vec<bf16>>, MergeFailure> {
        let Some(url) = self.states.get(&chunk) else { return Ok(None) };
        let failed = |why| MergeFailure::Previous { chunk, why };
        let trailer = self.services.storage.partition_trailer(url).await.map_err(failed)?;
        let Some(region) = trailer.optimizer_state else { return Ok(None) };
        if trailer.chunk != chunk || region.len != len {
            let why = format!("it is chunk {} with {} numbers", trailer.chunk, region.len);
            return Err(failed(DownloadError::Blob(why)));
        }
        Ok(Some(self.services.storage.get_values(url, region.bytes).await.map_err(failed)?))
    }

    /// The math of one chunk, off the network's threads, straight into the blob to upload.
    async fn compute(
        &self,
        chunk: ChunkNumber,
        range: Range<usize>,
        inputs: Vec<(Vec<bf16>, f64)>,
        buffer: Option<Vec<bf16>>,
    ) -> Result<Vec<u8>, MergeFailure> {
        let (previous, epoch, stage) =
            (Arc::clone(&self.previous), self.epoch, self.stage.terms().stage);
        let work = move || {
            let mut blob = PartitionBlob::new(range.len(), chunk, stage)?;
            for piece in pieces(0..range.len()) {
                let sources: Vec<Source<'_>> = inputs
                    .iter()
                    .map(|(all, weight)| Source { gradient: &all[piece.clone()], weight: *weight })
                    .collect();
                let average = merge::average(&sources)?;
                let old = narrow(&previous[range.start + piece.start..range.start + piece.end]);
                let buffer = buffer.as_ref().map(|buffer| &buffer[piece.clone()]);
                let merged = merge::outer_step(&old, &average, buffer, epoch.0)?;
                blob.put(piece.start, &merged.weights, &merged.buffer);
            }
            Ok(blob.finish())
        };
        match tokio::task::spawn_blocking(work).await {
            Ok(merged) => merged,
            // The runtime is shutting down, or the computation panicked and was reported.
            Err(_) => Err(MergeFailure::NoWeights),
        }
    }
}

/// The object's name in a presigned address: its path, without the secret part.
fn object_of(url: &str) -> String {
    url::Url::parse(url).map_or_else(|_| String::new(), |url| url.path().to_owned())
}

#[cfg(test)]
mod tests;
