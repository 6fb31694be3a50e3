//! A stage's way to the disk and back, and an optimizer state's way from the store into a stage:
//! piece by piece, since a stage is larger than the memory that is left beside it.

use std::io;

use tokio::sync::mpsc;

use super::local::{LocalError, LocalStage, pieces};
use super::services::Services;
use super::snapshot::{SaveError, SnapshotMeta, SnapshotStore, Verified};
use crate::model::{MomentKind, OptimizerProgress};
use crate::network::storage::DownloadError;
use crate::protocol::bf16::widen;
use crate::protocol::{ChunkNumber, Hotkey};

/// Pieces that wait between the device and the disk.
const WAITING: usize = 2;
/// Numbers of an optimizer state that are downloaded at a time (16 MiB): each time is a request.
const EXCHANGE: usize = 1 << 23;
const MOMENTS: [MomentKind; 2] = [MomentKind::First, MomentKind::Second];

/// A stage could not be saved.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The device.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The disk.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// The weights of the epoch's start are not here.
    #[error("this miner has not loaded the weights of this epoch, so there is nothing to save")]
    NoWeights,
    /// The program ends, or writing crashed and was reported.
    #[error("the snapshot was not written ({0})")]
    Ended(String),
}

/// Saves the weights of the epoch's start and the optimizer as it is now.
///
/// # Errors
/// See [`KeepError`]. Then the snapshots on the disk are as they were.
pub async fn save_stage(
    stage: &LocalStage,
    store: SnapshotStore,
    hotkey: &Hotkey,
) -> Result<(), KeepError> {
    let weights = stage.previous().cloned().ok_or(KeepError::NoWeights)?;
    let progress = stage.optimizer_progress().await?;
    let (terms, count) = (stage.terms(), weights.len());
    let meta = SnapshotMeta {
        hotkey: hotkey.clone(),
        run: terms.run.clone(),
        stage: terms.stage,
        epoch: stage.epoch(),
        weights: count,
        optimizer: MOMENTS.len() * count,
        step: progress.step,
        mu_product_bits: progress.mu_product.to_bits(),
    };
    let (sender, mut receiver) = mpsc::channel::<Vec<f32>>(WAITING);
    let writer = tokio::task::spawn_blocking(move || {
        let mut new = store.begin(&meta)?;
        new.put(&weights)?;
        drop(weights);
        while let Some(piece) = receiver.blocking_recv() {
            new.put(&piece)?;
        }
        // Too few pieces, where the device failed, are refused here.
        new.finish()
    });
    let sent = send_moments(stage, count, sender).await;
    let written = writer.await.map_err(|error| KeepError::Ended(error.to_string()))?;
    sent?;
    Ok(written?)
}

async fn send_moments(
    stage: &LocalStage,
    count: usize,
    sender: mpsc::Sender<Vec<f32>>,
) -> Result<(), LocalError> {
    for moment in MOMENTS {
        for piece in pieces(0..count) {
            let numbers = stage.read_moments(moment, piece).await?;
            if sender.send(numbers).await.is_err() {
                // The writer gave up and says why itself.
                return Ok(());
            }
        }
    }
    Ok(())
}

/// A snapshot could not be taken over.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    /// The device.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The disk failed in the middle: the stage holds a part of it.
    #[error("the snapshot could be read once and not a second time ({0}); check the disk")]
    Disk(#[from] io::Error),
}

/// What of a snapshot is in the stage now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// Weights and optimizer.
    All,
    /// The weights; the optimizer begins afresh.
    Weights,
    /// Nothing: it is of a stage of another size.
    Nothing,
}

/// Takes a snapshot over into the stage it was made of.
///
/// # Errors
/// See [`TakeError`]. Then the stage has to be built again.
pub async fn take_over(stage: &LocalStage, snapshot: Verified) -> Result<Taken, TakeError> {
    let meta = snapshot.meta.clone();
    let count = stage.param_count().await?;
    if meta.weights != count {
        return Ok(Taken::Nothing);
    }
    let mut reader = Reader::start(snapshot);
    for piece in pieces(0..count) {
        stage.write_weights_at(piece.start, reader.next().await?).await?;
    }
    if meta.optimizer != MOMENTS.len() * count {
        return Ok(Taken::Weights);
    }
    let mu_product = f64::from_bits(meta.mu_product_bits);
    let progress = OptimizerProgress { step: meta.step, mu_product };
    match take_optimizer(stage, count, progress, &mut reader).await {
        Ok(()) => Ok(Taken::All),
        Err(TakeError::Local(error)) if error.is_about_the_work() => {
            tracing::warn!("the snapshot's optimizer state is of no use: {error}");
            stage.reset_optimizer().await?;
            Ok(Taken::Weights)
        }
        Err(error) => Err(error),
    }
}

async fn take_optimizer(
    stage: &LocalStage,
    count: usize,
    progress: OptimizerProgress,
    reader: &mut Reader,
) -> Result<(), TakeError> {
    stage.set_optimizer_progress(progress).await?;
    for moment in MOMENTS {
        for piece in pieces(0..count) {
            stage.write_moments(moment, piece.start, reader.next().await?).await?;
        }
    }
    Ok(())
}

/// Reads a snapshot ahead, off the network's threads. Its vectors (weights and two moments, each of
/// `meta.weights` numbers) are cut as [`pieces`] cuts them.
struct Reader(mpsc::Receiver<io::Result<Vec<f32>>>);

impl Reader {
    fn start(mut snapshot: Verified) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        tokio::task::spawn_blocking(move || {
            let count = snapshot.meta.weights;
            let vectors = 1 + snapshot.meta.optimizer / count.max(1);
            for piece in (0..vectors).flat_map(|_| pieces(0..count)) {
                let read = snapshot.next(piece.len());
                let failed = read.is_err();
                // Nobody who waits any more has no use for the rest.
                if sender.blocking_send(read).is_err() || failed {
                    return;
                }
            }
        });
        Self(receiver)
    }

    async fn next(&mut self) -> io::Result<Vec<f32>> {
        let ended = || io::Error::new(io::ErrorKind::UnexpectedEof, "reading ended");
        self.0.recv().await.unwrap_or_else(|| Err(ended()))
    }
}

/// Somebody's optimizer state could not be taken over.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The store.
    #[error(transparent)]
    Download(#[from] DownloadError),
    /// The device.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// It is not of this stage.
    #[error("it has {have} numbers where {need} belong")]
    Size {
        /// Numbers there are.
        have: usize,
        /// Numbers of this stage's optimizer.
        need: usize,
    },
}

/// Takes over the optimizer state at `url` (spec 5.6), or leaves the optimizer as it starts.
///
/// # Errors
/// See [`ExchangeError`].
pub async fn exchange_optimizer(
    services: &Services,
    stage: &LocalStage,
    url: &str,
) -> Result<(), ExchangeError> {
    let storage = &services.storage;
    let trailer = storage.weights_trailer(url).await?;
    // Looked at before anything is asked for.
    let need = stage.flat_optimizer_len().await?;
    let bytes = trailer
        .section_bytes(ChunkNumber(0))
        .map_err(|_| ExchangeError::Size { have: trailer.len, need })?;
    if bytes.end - bytes.start != 2 * need as u64 {
        return Err(ExchangeError::Size { have: trailer.len, need });
    }
    let taken = async {
        for from in (0..need).step_by(EXCHANGE) {
            let to = need.min(from + EXCHANGE);
            let at = bytes.start + 2 * from as u64..bytes.start + 2 * to as u64;
            let values = storage.get_values(url, at).await?;
            for piece in pieces(from..to) {
                let numbers = widen(&values[piece.start - from..piece.end - from]);
                stage.write_flat_optimizer(piece.start, numbers).await?;
            }
        }
        Ok(())
    };
    let taken: Result<(), ExchangeError> = taken.await;
    if taken.is_err() {
        // Half of somebody's state and half of none is worse than a fresh one.
        stage.reset_optimizer().await?;
    }
    taken
}

#[cfg(test)]
mod tests;
