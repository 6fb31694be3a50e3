//! One pooled HTTP client for orchestrator, bridge and object store (spec 13, weakness 15), with one
//! primitive: send a request and read a bounded answer within a time limit.

use std::time::Duration;

use reqwest::header::{DATE, HeaderMap};
use reqwest::{Request, Response, StatusCode};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::traffic::Traffic;
use crate::clock::Clock;

/// How requests reach their servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// Straight, without proxies and without certificates: to servers on this machine.
    Loopback,
    /// As the environment says (proxies) and with the platform's certificates.
    Internet,
}

/// The HTTP client could not be made.
#[derive(Debug, thiserror::Error)]
#[error(
    "the HTTP client cannot be set up: {0}. Check the system's certificates and proxy settings"
)]
pub struct HttpSetupError(String);

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExchangeError {
    /// No complete answer in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection could not be made or broke.
    #[error("{0}")]
    Transport(String),
    /// The answer is larger than anything that makes sense.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
}

/// A complete answer.
#[derive(Debug)]
pub struct Answer {
    /// Status of HTTP.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Seconds by which this machine's clock (at `unix`) is ahead of the server's, if that said the time.
    pub fn clock_ahead(&self, unix: Duration) -> Option<i64> {
        let date = self.headers.get(DATE).and_then(|date| date.to_str().ok())?;
        skew(date, unix, Duration::ZERO)
    }

    /// The beginning of the body as text, for messages to the user.
    pub fn excerpt(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect()
    }
}

/// Seconds by which the own clock is ahead of a server's, which counts whole seconds and said so in the
/// middle of the exchange.
pub fn skew(date: &str, unix: Duration, took: Duration) -> Option<i64> {
    let date = OffsetDateTime::parse(&date.replace("GMT", "+0000"), &Rfc2822).ok()?;
    let here = unix.checked_sub(took / 2)?.as_secs();
    i64::try_from(here).ok().map(|here| here - date.unix_timestamp())
}

/// Idle connections that are kept to a server. A burst opens more; kept, each burst would add its own,
/// with their buffers and descriptors.
const MOST_IDLE: usize = 4;

/// A pool of connections. Cheap to clone.
#[derive(Clone, Debug)]
pub struct HttpClient {
    client: reqwest::Client,
    clock: Clock,
    traffic: Traffic,
}

impl HttpClient {
    /// A client whose exchanges are counted in `traffic`. `connect_timeout` bounds the handshakes.
    pub fn new(
        route: Route,
        connect_timeout: Duration,
        clock: Clock,
        traffic: Traffic,
    ) -> Result<Self, HttpSetupError> {
        install_crypto();
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(connect_timeout)
            .pool_max_idle_per_host(MOST_IDLE)
            .user_agent(concat!("hearth/", env!("CARGO_PKG_VERSION")));
        let builder = match route {
            Route::Loopback => builder.no_proxy().tls_certs_only([]),
            Route::Internet => builder,
        };
        let client = builder.build().map_err(|error| HttpSetupError(chain(&error)))?;
        Ok(Self { client, clock, traffic })
    }

    /// The underlying client, for building requests.
    pub fn requests(&self) -> &reqwest::Client {
        &self.client
    }

    /// Sends `request` and reads an answer of at most `limit` bytes, all within `timeout`.
    pub async fn exchange(
        &self,
        request: Request,
        limit: usize,
        timeout: Duration,
    ) -> Result<Answer, ExchangeError> {
        self.clock
            .timeout(timeout, self.exchange_watched(request, limit))
            .await
            .map_err(|late| ExchangeError::Timeout(late.0))?
    }

    /// [`HttpClient::exchange`] without a time limit, for a caller that watches the progress itself.
    /// A body that is a stream is counted by whoever feeds it.
    pub async fn exchange_watched(
        &self,
        request: Request,
        limit: usize,
    ) -> Result<Answer, ExchangeError> {
        let sent = request.body().and_then(reqwest::Body::as_bytes).map_or(0, <[u8]>::len);
        let response = self
            .client
            .execute(request)
            .await
            .map_err(|error| ExchangeError::Transport(chain(&error.without_url())))?;
        self.traffic.add_sent(sent);
        let answer = read_bounded(response, limit).await?;
        self.traffic.add_received(answer.body.len());
        Ok(answer)
    }

    /// The counts of what goes through.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }
}

async fn read_bounded(mut response: Response, limit: usize) -> Result<Answer, ExchangeError> {
    let announced = response.content_length().unwrap_or(0);
    if announced > limit as u64 {
        return Err(ExchangeError::TooLarge(limit));
    }
    // The announcement is only the server's word: hardly anything is allocated by it.
    let capacity = usize::try_from(announced.min(1 << 20)).unwrap_or(0);
    let mut body = Vec::with_capacity(capacity);
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| ExchangeError::Transport(chain(&error.without_url())))?
    {
        if body.len() + chunk.len() > limit {
            return Err(ExchangeError::TooLarge(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status: response.status(), headers: response.headers().clone(), body })
}

/// Makes ring the process's cryptography, once. A provider that is installed already is as good.
fn install_crypto() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        let installed = rustls::crypto::ring::default_provider().install_default();
        // Two threads may come here at the same time; the loser's error says just that.
        drop(installed);
    }
}

/// An error with its causes in one line. The outermost text alone ("error sending request") says
/// nothing to a user.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests;
