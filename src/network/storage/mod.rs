//! The client of the object store (spec 5.2 to 5.4). Only presigned addresses are ever used; the
//! store never sees the hotkey.

mod blob;
mod download;
mod error;
#[cfg(test)]
mod tests;
mod upload;

use std::io::Read;
use std::sync::{Arc, Mutex};

use flate2::read::MultiGzDecoder;

use super::http::HttpClient;
use super::line::Line;
use crate::clock::Clock;
use crate::config::constants::StorageConstants;
use download::Wanted;
pub use error::{DownloadError, UploadError};
pub use upload::{
    BlobSource, Deadline, Digest, Escort, PartBytes, Untold, UploadJob, UploadProgress,
    UploadWatch, Verdict,
};

/// The object store, reached through presigned addresses. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Storage(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    http: HttpClient,
    rules: StorageConstants,
    clock: Clock,
    line: Line,
    trailers: Mutex<blob::TrailerCache>,
}

/// How a gzip file begins.
const GZIP: [u8; 2] = [0x1f, 0x8b];

impl Storage {
    /// A store client on the shared HTTP pool, and a line of its own without limits.
    pub fn new(http: HttpClient, rules: StorageConstants, clock: Clock) -> Self {
        let line = Line::new(clock.clone());
        Self::over(line, http, rules, clock)
    }

    /// The same over a line that others share.
    pub fn over(line: Line, http: HttpClient, rules: StorageConstants, clock: Clock) -> Self {
        let trailers = Mutex::new(blob::TrailerCache::new(rules.cached_trailers));
        Self(Arc::new(Shared { http, rules, clock, line, trailers }))
    }

    /// The object at `url` as text (a sample, spec 5.4). What begins as gzip does, which no UTF-8
    /// text can, is decompressed, whatever the run's flag `compress_s3_files` says; to no more than
    /// the largest sample. (Blobs never are: ranges of them are read, spec 13, weakness 19.)
    pub async fn get_text(&self, url: &str) -> Result<String, DownloadError> {
        let limit = self.0.rules.max_text_bytes;
        let mut bytes = self.download(url, &Wanted::Whole(limit)).await?;
        if bytes.starts_with(&GZIP) {
            // Off the network's threads: a long text takes a while.
            let unpacked = tokio::task::spawn_blocking(move || gunzip(&bytes, limit)).await;
            bytes = unpacked.map_err(|error| DownloadError::Compressed(error.to_string()))??;
        }
        String::from_utf8(bytes).map_err(|error| DownloadError::NotText {
            valid_up_to: error.utf8_error().valid_up_to(),
        })
    }
}

/// The content of a gzip file, if it is at most `limit` bytes.
fn gunzip(bytes: &[u8], limit: usize) -> Result<Vec<u8>, DownloadError> {
    let mut text = Vec::new();
    // One byte more than allowed tells a text of that length from a longer one.
    let mut reader = MultiGzDecoder::new(bytes).take(limit as u64 + 1);
    reader.read_to_end(&mut text).map_err(|error| DownloadError::Compressed(error.to_string()))?;
    if text.len() > limit { Err(DownloadError::TooLarge(limit)) } else { Ok(text) }
}
