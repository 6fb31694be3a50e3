//! One part on its way to the store: watched while it moves, tried again when it fails, and raced by
//! a second try when it takes much longer than its siblings.

use std::convert::Infallible;
use std::ops::Range;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::future::{Either, select};
use futures::stream;
use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, ETAG};

use super::pace::Pace;
use super::source::{BlobSource, PartBytes};
use crate::clock::{Clock, Moment};
use crate::config::constants::doubling_pause;
use crate::network::http::chain;
use crate::network::line::{Line, Way};
use crate::network::storage::{Storage, UploadError};
use crate::network::traffic::Traffic;

/// Largest answer of the store to a part, in bytes.
const MAX_PUT_ANSWER: usize = 64 << 10;
/// A part is handed to the connection in pieces of so many bytes.
const PIECE: usize = 64 << 10;
/// So much of a part the system may have taken without having sent it, in bytes.
const SYSTEM_BUFFER: u64 = 4 << 20;
/// Between two looks at a part that is on its way.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// How much of one try has left, and when last.
#[derive(Debug)]
struct Meter {
    clock: Clock,
    sent: AtomicU64,
    /// Of the clock, in milliseconds.
    moved: AtomicU64,
    /// Whether it may not go on now by the line's limit.
    held: AtomicBool,
}

impl Meter {
    fn new(clock: &Clock) -> Self {
        let meter = Self {
            clock: clock.clone(),
            sent: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            held: AtomicBool::new(false),
        };
        meter.add(0);
        meter
    }

    fn add(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
        let now = u64::try_from(self.clock.now().0.as_millis()).unwrap_or(u64::MAX);
        self.moved.store(now, Ordering::Relaxed);
    }

    fn restart(&self) {
        self.sent.store(0, Ordering::Relaxed);
        self.held.store(false, Ordering::Relaxed);
        self.add(0);
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Waits for the line; that is no standstill of the part.
    async fn hold(&self, line: &Line, bytes: usize) -> usize {
        self.held.store(true, Ordering::Relaxed);
        let piece = line.piece(Way::Up, bytes).await;
        self.add(0);
        self.held.store(false, Ordering::Relaxed);
        piece
    }

    fn still_for(&self) -> Duration {
        if self.held.load(Ordering::Relaxed) {
            return Duration::ZERO;
        }
        let moved = Moment(Duration::from_millis(self.moved.load(Ordering::Relaxed)));
        self.clock.now().since(moved)
    }
}

/// One part of an upload.
pub(super) struct Part {
    /// From 0.
    pub(super) index: usize,
    range: Range<u64>,
    first: Arc<Meter>,
    second: Arc<Meter>,
}

impl Part {
    pub(super) fn new(index: usize, range: Range<u64>, clock: &Clock) -> Self {
        let meter = || Arc::new(Meter::new(clock));
        Self { index, range, first: meter(), second: meter() }
    }

    /// Bytes of the part.
    pub(super) fn len(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Bytes of the part that have left, by the try that is further.
    pub(super) fn sent(&self) -> u64 {
        self.first.sent().max(self.second.sent())
    }
}

/// Why one try did not bring a part to the store.
#[derive(Debug)]
struct PutFailure {
    /// Of HTTP, if the store answered.
    status: Option<u16>,
    why: String,
}

impl PutFailure {
    fn silent(why: String) -> Self {
        Self { status: None, why }
    }
}

impl Storage {
    /// Puts one part, with retries on any error; gives its ETag without quotes, empty if the store
    /// gave none. It goes as fast as the line's limit lets weights go.
    pub(super) async fn put_part(
        &self,
        url: &str,
        part: &Part,
        source: &dyn BlobSource,
        pace: &Pace,
    ) -> Result<String, UploadError> {
        let bytes = source.read(part.range.clone()).await?;
        self.put_bytes(url, part, &bytes, pace, &self.0.line).await
    }

    async fn put_bytes(
        &self,
        url: &str,
        part: &Part,
        bytes: &PartBytes,
        pace: &Pace,
        line: &Line,
    ) -> Result<String, UploadError> {
        let rules = &self.0.rules;
        let mut failed = 0;
        loop {
            let began = self.0.clock.now();
            let failure = match self.race(url, part, bytes, pace, line).await {
                Ok(etag) => {
                    pace.note(self.0.clock.now().since(began));
                    return Ok(etag);
                }
                Err(failure) => failure,
            };
            failed += 1;
            let PutFailure { status, why } = failure;
            let number = part.index + 1;
            if failed >= rules.attempts {
                return Err(UploadError::Part { part: number, attempts: failed, status, why });
            }
            tracing::debug!(part = number, failed, why, "uploading again");
            let pause = doubling_pause(rules.first_retry_pause, failed - 1, rules.timeout);
            self.0.clock.sleep(pause).await;
        }
    }

    /// One try, and a second one beside it once the first is late. The first to succeed counts, the
    /// other is dropped.
    async fn race(
        &self,
        url: &str,
        part: &Part,
        bytes: &PartBytes,
        pace: &Pace,
        line: &Line,
    ) -> Result<String, PutFailure> {
        part.second.restart();
        let first = pin!(self.put_once(url, bytes, &part.first, line));
        let late = pin!(self.until_late(pace, line));
        let first = match select(first, late).await {
            Either::Left((done, _)) => return done,
            Either::Right(((), first)) => first,
        };
        tracing::debug!(part = part.index + 1, "a slow part is sent a second time");
        let second = pin!(self.put_once(url, bytes, &part.second, line));
        match select(first, second).await {
            Either::Left((Ok(etag), _)) | Either::Right((Ok(etag), _)) => Ok(etag),
            Either::Left((Err(_), second)) => second.await,
            Either::Right((Err(_), first)) => first.await,
        }
    }

    /// Until a try that starts now is late. None is on a line with a limit: there a part is slow
    /// because it has to be, and a second try would only make the others slower.
    async fn until_late(&self, pace: &Pace, line: &Line) {
        let (clock, rules) = (&self.0.clock, &self.0.rules);
        let began = clock.now();
        while line.limit(Way::Up).is_some() || !pace.is_late(clock.now().since(began), rules) {
            clock.sleep(look(rules.race_after)).await;
        }
    }

    async fn put_once(
        &self,
        url: &str,
        bytes: &PartBytes,
        meter: &Arc<Meter>,
        line: &Line,
    ) -> Result<String, PutFailure> {
        meter.restart();
        let len = (**bytes).as_ref().len();
        let http = &self.0.http;
        let request = http
            .requests()
            .request(Method::PUT, url)
            // A presigned PUT must say its length; a stream alone would go out in chunks.
            .header(CONTENT_LENGTH, len)
            .body(body(bytes, meter, http.traffic(), line))
            .build()
            .map_err(|error| PutFailure::silent(chain(&error.without_url())))?;
        let answer = tokio::select! {
            answer = http.exchange_watched(request, MAX_PUT_ANSWER) => answer,
            why = self.until_stuck(meter, len as u64) => return Err(PutFailure::silent(why)),
        };
        let answer = answer.map_err(|error| PutFailure::silent(error.to_string()))?;
        if !answer.status.is_success() {
            let status = answer.status.as_u16();
            let why = format!("status {status}: {}", answer.excerpt());
            return Err(PutFailure { status: Some(status), why });
        }
        let etag = answer.headers.get(ETAG).and_then(|value| value.to_str().ok());
        Ok(etag.unwrap_or_default().trim_matches('"').to_owned())
    }

    /// Puts a whole small object to a presigned address in one piece (spec 5.5), with retries. It is
    /// part of the work and goes before weights.
    ///
    /// # Errors
    /// [`UploadError::Part`] if no attempt succeeds.
    pub async fn put_object(&self, url: &str, bytes: Arc<Vec<u8>>) -> Result<(), UploadError> {
        let part = Part::new(0, 0..bytes.len() as u64, &self.0.clock);
        let (free, pace) = (Line::new(self.0.clock.clone()), Pace::default());
        let _under_way = self.0.line.activation(Way::Up);
        self.put_bytes(url, &part, &(bytes as PartBytes), &pace, &free).await.map(drop)
    }

    /// Until a try has stood still for too long; says how.
    async fn until_stuck(&self, meter: &Meter, len: u64) -> String {
        let rules = &self.0.rules;
        let unsent = len.min(SYSTEM_BUFFER) / rules.slowest_part.max(1);
        let answer = rules.part_timeout + Duration::from_secs(unsent);
        loop {
            let sent = meter.sent();
            let limit = if sent < len { rules.part_stall } else { answer };
            if meter.still_for() > limit {
                return if sent < len {
                    format!("it stood still for {limit:?} after {sent} of {len} bytes")
                } else {
                    format!("the store did not answer within {limit:?}")
                };
            }
            self.0.clock.sleep(look(limit / 4)).await;
        }
    }
}

/// How long until the next look at something that takes about `limit`.
fn look(limit: Duration) -> Duration {
    limit.clamp(Duration::from_millis(10), LOOK_EVERY)
}

/// The part as a body that goes as fast as the line lets it, and says how much of it has left.
fn body(bytes: &PartBytes, meter: &Arc<Meter>, traffic: &Traffic, line: &Line) -> reqwest::Body {
    let (bytes, meter, traffic) = (Arc::clone(bytes), Arc::clone(meter), traffic.clone());
    let line = line.clone();
    let pieces = stream::unfold(0, move |at| {
        let (bytes, meter) = (Arc::clone(&bytes), Arc::clone(&meter));
        let (traffic, line) = (traffic.clone(), line.clone());
        async move {
            let all = (*bytes).as_ref();
            let wanted = PIECE.min(all.len().saturating_sub(at));
            if wanted == 0 {
                return None;
            }
            let end = at + meter.hold(&line, wanted).await;
            let piece = all[at..end].to_vec();
            meter.add(piece.len());
            traffic.add_sent(piece.len());
            Some((Ok::<_, Infallible>(piece), end))
        }
    });
    reqwest::Body::wrap_stream(pieces)
}
