//! Reading blobs by ranges (spec 5.2): header, then trailer, then the region that is wanted.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, PoisonError};

use super::{DownloadError, Storage, Wanted};
use crate::protocol::bf16::{bf16, from_le_bytes};
use crate::protocol::blob::{
    self, BlobError, HEADER_LEN, MAX_TRAILER, PartitionTrailer, WeightsTrailer,
};

/// Bytes asked for at a time: a whole region at once would lie in memory twice, as bytes and as
/// numbers.
const PIECE: u64 = 32 << 20;

impl From<BlobError> for DownloadError {
    fn from(error: BlobError) -> Self {
        Self::Blob(error.to_string())
    }
}

impl Storage {
    /// What the weights blob (pseudo-gradient or inner optimizer state) at `url` says about itself,
    /// checked. Remembered by URL.
    pub async fn weights_trailer(&self, url: &str) -> Result<WeightsTrailer, DownloadError> {
        let raw = self.trailer(url).await?;
        Ok(blob::parse_weights_trailer(&raw.json, raw.offset)?)
    }

    /// What the partition blob at `url` says about itself, checked. Remembered by URL.
    pub async fn partition_trailer(&self, url: &str) -> Result<PartitionTrailer, DownloadError> {
        let raw = self.trailer(url).await?;
        Ok(blob::parse_partition_trailer(&raw.json, raw.offset)?)
    }

    /// The numbers in bytes `range` of the object at `url`.
    pub async fn get_values(
        &self,
        url: &str,
        range: Range<u64>,
    ) -> Result<Vec<bf16>, DownloadError> {
        let count = usize::try_from((range.end - range.start) / 2).unwrap_or_default();
        let mut values = Vec::with_capacity(count);
        let mut start = range.start;
        while start < range.end {
            let end = (start + PIECE).min(range.end);
            values.extend(from_le_bytes(&self.get_range(url, start..end).await?));
            start = end;
        }
        Ok(values)
    }

    async fn trailer(&self, url: &str) -> Result<Arc<RawTrailer>, DownloadError> {
        let cache = || self.0.trailers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = cache().get(url) {
            return Ok(known);
        }
        let header = self.get_range(url, 0..HEADER_LEN as u64).await?;
        let offset = blob::parse_header(&header)?;
        let longest = usize::try_from(MAX_TRAILER).unwrap_or(usize::MAX);
        let limit = self.0.rules.max_trailer_bytes.min(longest);
        let json = self.download(url, &Wanted::From(offset, limit)).await?;
        let trailer = Arc::new(RawTrailer { offset, json });
        cache().insert(url, Arc::clone(&trailer));
        Ok(trailer)
    }
}

/// A blob's trailer as it was downloaded.
#[derive(Debug)]
pub(super) struct RawTrailer {
    /// Where the payload ends and the trailer begins.
    pub offset: u64,
    /// JSON.
    pub json: Vec<u8>,
}

/// Most bytes of trailers that are remembered: each is as long as its writer likes.
const MAX_CACHED_BYTES: usize = 64 << 20;

/// Trailers by URL, the oldest dropped first.
#[derive(Debug)]
pub(super) struct TrailerCache {
    capacity: usize,
    bytes: usize,
    by_url: HashMap<String, Arc<RawTrailer>>,
    order: VecDeque<String>,
}

impl Storage {
    /// Forgets the trailers that were read: those of an epoch that is over are never asked for again,
    /// and the same object has another address each time it is handed out.
    pub fn forget_trailers(&self) {
        self.0.trailers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl TrailerCache {
    fn clear(&mut self) {
        *self = Self::new(self.capacity);
    }

    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, bytes: 0, by_url: HashMap::new(), order: VecDeque::new() }
    }

    pub(super) fn get(&self, url: &str) -> Option<Arc<RawTrailer>> {
        self.by_url.get(url).cloned()
    }

    pub(super) fn insert(&mut self, url: &str, trailer: Arc<RawTrailer>) {
        self.bytes += trailer.json.len();
        match self.by_url.insert(url.to_owned(), trailer) {
            None => self.order.push_back(url.to_owned()),
            Some(replaced) => self.bytes -= replaced.json.len(),
        }
        while self.order.len() > self.capacity || self.bytes > MAX_CACHED_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            if let Some(gone) = self.by_url.remove(&oldest) {
                self.bytes -= gone.json.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_trailers_push_out_older_ones_before_their_number_does() {
        let mut cache = TrailerCache::new(1000);
        let trailer = || Arc::new(RawTrailer { offset: 12, json: vec![b' '; 8 << 20] });
        for n in 0..20 {
            cache.insert(&format!("u{n}"), trailer());
            cache.insert(&format!("u{n}"), trailer());
            assert!(cache.bytes <= MAX_CACHED_BYTES);
            assert!(cache.get(&format!("u{n}")).is_some(), "the newest stays");
        }
        assert_eq!(cache.order.len(), 8);
        assert!(cache.get("u11").is_none() && cache.get("u12").is_some());
    }
}
