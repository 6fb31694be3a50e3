//! Somebody's optimizer state on its way from the store into a stage: piece by piece, since a stage is
//! larger than the memory that is left beside it.

use super::local::{LocalError, LocalStage, pieces};
use super::services::Services;
use crate::network::storage::DownloadError;
use crate::protocol::ChunkNumber;
use crate::protocol::bf16::widen;

/// Numbers of an optimizer state that are downloaded at a time (16 MiB): each time is a request.
const EXCHANGE: usize = 1 << 23;

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
