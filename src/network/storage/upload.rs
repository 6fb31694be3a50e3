//! Uploads in one or many parts (spec 5.3). Parts are read from their source when they are sent, so
//! that a large object never lies in memory as a whole.

use std::io;
use std::ops::Range;

use futures::stream::{self, StreamExt};
use reqwest::Method;
use reqwest::header::ETAG;

use super::{Storage, UploadError};
use crate::config::constants::doubling_pause;
use crate::network::http::chain;
use crate::network::orchestrator::Orchestrator;
use crate::protocol::messages::{
    CompletedPart, FileType, FileUploadCompletionRequest, FileUploadRequest, FileUploadResponse,
};
use crate::protocol::multipart::UploadPlan;

/// Largest answer of the store to a part, in bytes.
const MAX_PUT_ANSWER: usize = 64 << 10;

/// Where an object's bytes come from. Ranges may be asked for in any order, several at a time, and
/// more than once; the answers must not change meanwhile.
pub trait BlobSource: Send + Sync {
    /// Length of the whole object in bytes.
    fn byte_len(&self) -> u64;

    /// The bytes of `range`, which lies within the object.
    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>>;
}

impl BlobSource for [u8] {
    fn byte_len(&self) -> u64 {
        self.len() as u64
    }

    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
        self.get(index(range.start)..index(range.end))
            .map(<[u8]>::to_vec)
            .ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "range outside the object"))
    }
}

impl BlobSource for Vec<u8> {
    fn byte_len(&self) -> u64 {
        self.as_slice().byte_len()
    }

    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        self.as_slice().read(range)
    }
}

impl Storage {
    /// Uploads `source` and gives the object's name, which is what is submitted afterwards.
    pub async fn upload(
        &self,
        orchestrator: &Orchestrator,
        file_type: FileType,
        source: &dyn BlobSource,
    ) -> Result<String, UploadError> {
        let total = source.byte_len();
        if total == 0 {
            return Err(UploadError::Empty);
        }
        let plan = UploadPlan::new(total);
        let multipart = plan.is_multipart();
        let request = FileUploadRequest { num_parts: plan.num_parts, file_type, multipart };
        let granted = orchestrator.initiate_file_upload(&request).await?;
        check_grant(&plan, &granted)?;

        if multipart {
            let parts = self.put_parts(&plan, &granted.urls, source).await?;
            let request = FileUploadCompletionRequest {
                object_name: granted.object_name.clone(),
                upload_id: granted.upload_id.clone(),
                parts: Some(parts),
            };
            orchestrator.complete_multipart_upload(&request).await?;
        } else if let Some(url) = granted.urls.first() {
            self.put_part(1, url, 0..total, source).await?;
        }
        Ok(granted.object_name)
    }

    /// Uploads all parts, several at a time; the result is in the order of the parts.
    async fn put_parts(
        &self,
        plan: &UploadPlan,
        urls: &[String],
        source: &dyn BlobSource,
    ) -> Result<Vec<CompletedPart>, UploadError> {
        let ranges = plan.parts(urls.len());
        let mut waiting = Vec::with_capacity(ranges.len());
        for (index, (range, url)) in ranges.into_iter().zip(urls).enumerate() {
            waiting.push(self.put_part(index + 1, url, range, source));
        }
        let mut running = stream::iter(waiting).buffered(self.0.rules.parallel_parts.max(1));
        let mut parts = Vec::new();
        while let Some(done) = running.next().await {
            let part_number = parts.len() as u64 + 1;
            let etag = done?.ok_or_else(|| {
                UploadError::Plan(format!("the store gave no ETag for part {part_number}"))
            })?;
            parts.push(CompletedPart { part_number, etag });
        }
        Ok(parts)
    }

    /// Puts one part, with retries on any error; gives its ETag without quotes.
    async fn put_part(
        &self,
        part: usize,
        url: &str,
        range: Range<u64>,
        source: &dyn BlobSource,
    ) -> Result<Option<String>, UploadError> {
        let rules = &self.0.rules;
        let mut failed = 0;
        loop {
            let bytes = source.read(range.clone())?;
            let why = match self.put_once(url, bytes).await {
                Ok(etag) => return Ok(etag),
                Err(why) => why,
            };
            failed += 1;
            if failed >= rules.attempts {
                return Err(UploadError::Part { part, attempts: failed, why });
            }
            tracing::debug!(part, failed, why, "uploading again");
            let pause = doubling_pause(rules.first_retry_pause, failed - 1, rules.timeout);
            self.0.clock.sleep(pause).await;
        }
    }

    async fn put_once(&self, url: &str, bytes: Vec<u8>) -> Result<Option<String>, String> {
        let request = self
            .0
            .http
            .requests()
            .request(Method::PUT, url)
            .body(bytes)
            .build()
            .map_err(|error| chain(&error.without_url()))?;
        let answer = self
            .0
            .http
            .exchange(request, MAX_PUT_ANSWER, self.0.rules.timeout)
            .await
            .map_err(|error| error.to_string())?;
        if !answer.status.is_success() {
            return Err(format!("status {}: {}", answer.status.as_u16(), answer.excerpt()));
        }
        let etag = answer.headers.get(ETAG).and_then(|value| value.to_str().ok());
        Ok(etag.map(|text| text.trim_matches('"').to_owned()))
    }
}

fn check_grant(plan: &UploadPlan, granted: &FileUploadResponse) -> Result<(), UploadError> {
    let urls = granted.urls.len() as u64;
    if urls == 0 || urls > plan.num_parts {
        return Err(UploadError::Plan(format!("{urls} addresses for {} parts", plan.num_parts)));
    }
    if plan.is_multipart() && granted.upload_id.is_none() {
        return Err(UploadError::Plan("no upload id for an upload in parts".to_owned()));
    }
    Ok(())
}
