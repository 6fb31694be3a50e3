//! The client of the object store (spec 5.2 to 5.4). Only presigned addresses are ever used; the
//! store never sees the hotkey.

mod blob;
mod error;
#[cfg(test)]
mod tests;
mod upload;

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use reqwest::header::RANGE;
use reqwest::{Method, StatusCode};

use super::http::{Answer, ExchangeError, HttpClient, chain};
use crate::clock::Clock;
use crate::config::constants::{StorageConstants, doubling_pause};
pub use error::{DownloadError, UploadError};
pub use upload::BlobSource;

/// The object store, reached through presigned addresses. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Storage(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    http: HttpClient,
    rules: StorageConstants,
    clock: Clock,
    trailers: Mutex<blob::TrailerCache>,
}

/// The store's own words about a failure are read up to this size, however little was asked for.
const ERROR_BODY: usize = 4096;

/// Which part of an object is wanted, and what a right answer looks like.
enum Wanted {
    /// All of it, at most so many bytes.
    Whole(usize),
    /// Exactly these bytes.
    Exactly(Range<u64>),
    /// From this offset to the end, at most so many bytes.
    From(u64, usize),
}

impl Storage {
    /// A store client on the shared HTTP pool.
    pub fn new(http: HttpClient, rules: StorageConstants, clock: Clock) -> Self {
        let trailers = Mutex::new(blob::TrailerCache::new(rules.cached_trailers));
        Self(Arc::new(Shared { http, rules, clock, trailers }))
    }

    /// The bytes `range` of the object at `url`: exactly those, or an error.
    pub async fn get_range(&self, url: &str, range: Range<u64>) -> Result<Vec<u8>, DownloadError> {
        if range.is_empty() {
            return Ok(Vec::new());
        }
        self.download(url, &Wanted::Exactly(range)).await
    }

    /// The object at `url` as text (a sample). Compressed samples are refused: no network that this
    /// version can join sends them.
    pub async fn get_text(&self, url: &str) -> Result<String, DownloadError> {
        let bytes = self.download(url, &Wanted::Whole(self.0.rules.max_text_bytes)).await?;
        if bytes.starts_with(&[0x1f, 0x8b]) {
            return Err(DownloadError::Compressed);
        }
        String::from_utf8(bytes).map_err(|error| DownloadError::NotText {
            valid_up_to: error.utf8_error().valid_up_to(),
        })
    }

    /// Downloads with the retries of spec 5.2: on 429, on 500 and above, on truncation and on
    /// transport errors; every other status is final.
    async fn download(&self, url: &str, wanted: &Wanted) -> Result<Vec<u8>, DownloadError> {
        let rules = &self.0.rules;
        let mut failed = 0;
        loop {
            let error = match self.download_once(url, wanted).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => error,
            };
            if !error.may_pass() || failed + 1 >= rules.attempts {
                return Err(error);
            }
            let pause = doubling_pause(rules.first_retry_pause, failed, rules.timeout);
            failed += 1;
            tracing::debug!(failed, %error, "downloading again");
            self.0.clock.sleep(pause).await;
        }
    }

    async fn download_once(&self, url: &str, wanted: &Wanted) -> Result<Vec<u8>, DownloadError> {
        let request = self.0.http.requests().request(Method::GET, url);
        let (request, limit) = match wanted {
            Wanted::Whole(limit) => (request, *limit),
            Wanted::Exactly(range) => {
                let limit = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
                (request.header(RANGE, format!("bytes={}-{}", range.start, range.end - 1)), limit)
            }
            Wanted::From(offset, limit) => {
                (request.header(RANGE, format!("bytes={offset}-")), *limit)
            }
        };
        let request =
            request.build().map_err(|error| DownloadError::Address(chain(&error.without_url())))?;
        let answer = match self
            .0
            .http
            .exchange(request, limit.max(ERROR_BODY), self.0.rules.timeout)
            .await
        {
            Ok(answer) => answer,
            Err(ExchangeError::Timeout(after)) => return Err(DownloadError::Timeout(after)),
            Err(ExchangeError::Transport(why)) => return Err(DownloadError::Transport(why)),
            Err(ExchangeError::TooLarge(limit)) => return Err(DownloadError::TooLarge(limit)),
        };
        check(wanted, answer)
    }
}

/// Whether the store gave what was asked for (spec 13, weakness 18).
fn check(wanted: &Wanted, answer: Answer) -> Result<Vec<u8>, DownloadError> {
    let status = answer.status;
    if !status.is_success() {
        return Err(DownloadError::Refused { status: status.as_u16(), detail: answer.excerpt() });
    }
    let ranged = status == StatusCode::PARTIAL_CONTENT;
    match wanted {
        Wanted::Whole(limit) | Wanted::From(_, limit) if answer.body.len() > *limit => {
            Err(DownloadError::TooLarge(*limit))
        }
        Wanted::Whole(_) if status == StatusCode::OK => Ok(answer.body),
        Wanted::Exactly(range) if ranged => {
            let (expected, got) = (range.end - range.start, answer.body.len() as u64);
            match got.cmp(&expected) {
                Ordering::Equal => Ok(answer.body),
                Ordering::Less => Err(DownloadError::Truncated { expected, got }),
                Ordering::Greater => {
                    Err(DownloadError::TooLarge(usize::try_from(expected).unwrap_or(usize::MAX)))
                }
            }
        }
        Wanted::From(..) if ranged => Ok(answer.body),
        _ => Err(DownloadError::NotAsAsked { status: status.as_u16() }),
    }
}
