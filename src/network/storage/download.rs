//! Downloads (spec 5.2, 5.4; 13 #18): status and length are checked, what may pass is tried again, and
//! a range that breaks off goes on where it broke.

use std::ops::Range;
use std::time::Duration;

use reqwest::header::RANGE;
use reqwest::{Method, Request, Response, StatusCode};

use super::{DownloadError, Storage};
use crate::clock::Moment;
use crate::config::constants::doubling_pause;
use crate::network::http::{Answer, ExchangeError, chain};
use crate::network::line::Way;

/// The store's own words about a failure are read up to this size, however little was asked for.
const ERROR_BODY: usize = 4096;
/// An attempt that brought so many bytes does not count as failed: the line works.
const PROGRESS: usize = 1 << 20;

/// Which part of an object is wanted, and what a right answer looks like.
pub(super) enum Wanted {
    /// All of it, at most so many bytes.
    Whole(usize),
    /// From this offset to the end, at most so many bytes.
    From(u64, usize),
}

impl Storage {
    /// The bytes `range` of the object at `url`: exactly those, or an error. Tried again on 429, on
    /// 500 and above, on truncation, standstill and transport errors; every other status is final.
    pub async fn get_range(&self, url: &str, range: Range<u64>) -> Result<Vec<u8>, DownloadError> {
        let rules = &self.0.rules;
        let mut have = Vec::new();
        if range.is_empty() {
            return Ok(have);
        }
        let slowest = (range.end - range.start) / rules.slowest_range.max(1);
        let limit = rules.timeout + Duration::from_secs(slowest);
        let mut end = self.0.clock.now() + limit;
        let mut failed = 0;
        loop {
            let before = have.len();
            let error = match self.read_on(url, &range, &mut have, &mut end).await {
                Ok(()) => return Ok(have),
                Err(error) => error,
            };
            if have.len() - before >= PROGRESS {
                failed = 0;
            }
            if !error.may_pass() || failed + 1 >= rules.attempts || self.0.clock.now() >= end {
                return Err(error);
            }
            self.rest(&error, &mut failed).await;
        }
    }

    /// Reads what is missing of `range` after `have`. What came before a failure stays. Time that the
    /// line's limit takes is added to `end`: it is nobody's fault.
    async fn read_on(
        &self,
        url: &str,
        range: &Range<u64>,
        have: &mut Vec<u8>,
        end: &mut Moment,
    ) -> Result<(), DownloadError> {
        let (clock, rules) = (&self.0.clock, &self.0.rules);
        let before = have.len();
        let from = range.start + before as u64;
        let expected = range.end - from;
        let request = self.get(url, Some(format!("bytes={from}-{}", range.end - 1)))?;
        let within = |limit: Duration, end: Moment| limit.min(end.since(clock.now()));
        let head = self.0.http.requests().execute(request);
        let mut response = clock
            .timeout(within(rules.part_timeout, *end), head)
            .await
            .map_err(|late| DownloadError::Timeout(late.0))?
            .map_err(|error| DownloadError::Transport(chain(&error.without_url())))?;
        if response.status() != StatusCode::PARTIAL_CONTENT {
            return Err(self.refusal(response).await);
        }
        let too_large = || DownloadError::TooLarge(usize::try_from(expected).unwrap_or(usize::MAX));
        if response.content_length().is_some_and(|announced| announced > expected) {
            return Err(too_large());
        }
        loop {
            let piece = clock
                .timeout(within(rules.part_stall, *end), response.chunk())
                .await
                .map_err(|late| DownloadError::Timeout(late.0))?
                .map_err(|error| DownloadError::Transport(chain(&error.without_url())))?;
            let Some(piece) = piece else { break };
            self.0.http.traffic().add_received(piece.len());
            if (have.len() - before + piece.len()) as u64 > expected {
                return Err(too_large());
            }
            have.extend_from_slice(&piece);
            *end = *end + self.0.line.pass(Way::Down, piece.len()).await;
        }
        let got = (have.len() - before) as u64;
        if got < expected {
            // It claims to be complete, so its bytes may be any.
            have.truncate(before);
            return Err(DownloadError::Truncated { expected, got });
        }
        Ok(())
    }

    /// What an answer that is no part of the object says.
    async fn refusal(&self, mut response: Response) -> DownloadError {
        let status = response.status();
        if status.is_success() {
            return DownloadError::NotAsAsked { status: status.as_u16() };
        }
        let mut body = Vec::new();
        let reading = async {
            while let Ok(Some(piece)) = response.chunk().await {
                body.extend_from_slice(&piece[..piece.len().min(ERROR_BODY - body.len())]);
                if body.len() == ERROR_BODY {
                    break;
                }
            }
        };
        // What came is enough for a message.
        let limit = self.0.rules.part_stall;
        if self.0.clock.timeout(limit, reading).await.is_err() {
            tracing::debug!("the store did not finish what it said about status {status}");
        }
        let headers = response.headers().clone();
        let answer = Answer { status, headers, body };
        DownloadError::Refused { status: status.as_u16(), detail: answer.excerpt() }
    }

    fn get(&self, url: &str, range: Option<String>) -> Result<Request, DownloadError> {
        let mut request = self.0.http.requests().request(Method::GET, url);
        if let Some(range) = range {
            request = request.header(RANGE, range);
        }
        request.build().map_err(|error| DownloadError::Address(chain(&error.without_url())))
    }

    /// The pause before the next attempt.
    async fn rest(&self, error: &DownloadError, failed: &mut u32) {
        let rules = &self.0.rules;
        let pause = doubling_pause(rules.first_retry_pause, *failed, rules.timeout);
        *failed += 1;
        tracing::debug!(failed, %error, "downloading again");
        self.0.clock.sleep(pause).await;
    }

    /// Downloads something whose length is not known before, with the same retries.
    pub(super) async fn download(
        &self,
        url: &str,
        wanted: &Wanted,
    ) -> Result<Vec<u8>, DownloadError> {
        let mut failed = 0;
        loop {
            let error = match self.download_once(url, wanted).await {
                Ok(bytes) => return Ok(bytes),
                Err(error) => error,
            };
            if !error.may_pass() || failed + 1 >= self.0.rules.attempts {
                return Err(error);
            }
            self.rest(&error, &mut failed).await;
        }
    }

    async fn download_once(&self, url: &str, wanted: &Wanted) -> Result<Vec<u8>, DownloadError> {
        let (range, limit) = match wanted {
            Wanted::Whole(limit) => (None, *limit),
            Wanted::From(offset, limit) => (Some(format!("bytes={offset}-")), *limit),
        };
        let request = self.get(url, range)?;
        let timeout = self.0.rules.timeout;
        let answer = self.0.http.exchange(request, limit.max(ERROR_BODY), timeout).await;
        let answer = answer.map_err(|error| match error {
            ExchangeError::Timeout(after) => DownloadError::Timeout(after),
            ExchangeError::Transport(why) => DownloadError::Transport(why),
            ExchangeError::TooLarge(limit) => DownloadError::TooLarge(limit),
        })?;
        let status = answer.status;
        if !status.is_success() {
            let detail = answer.excerpt();
            return Err(DownloadError::Refused { status: status.as_u16(), detail });
        }
        let right = match wanted {
            Wanted::Whole(_) => StatusCode::OK,
            Wanted::From(..) => StatusCode::PARTIAL_CONTENT,
        };
        if status != right {
            Err(DownloadError::NotAsAsked { status: status.as_u16() })
        } else if answer.body.len() > limit {
            Err(DownloadError::TooLarge(limit))
        } else {
            Ok(answer.body)
        }
    }
}
