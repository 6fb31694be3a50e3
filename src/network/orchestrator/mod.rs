//! The client of the orchestrator (spec 1.12, 2, 3): signs each attempt afresh, retries by the
//! rules, and tells the failures apart, so that the miner can act on each as it should (spec 13,
//! weaknesses 16 and 17).

mod endpoints;
mod error;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Method, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use url::Url;

use super::http::{ExchangeError, HttpClient, chain};
use crate::clock::{Clock, Entropy};
use crate::config::constants::{Constants, HttpConstants, doubling_pause};
use crate::protocol::canonical::canonical_of;
use crate::protocol::epistula;
use crate::protocol::error_body::ServerError;
use crate::protocol::ids::Hotkey;
use crate::protocol::reading;
use crate::wallet::HotkeyPair;
pub use error::CallError;

/// The orchestrator of one network, as one hotkey sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Orchestrator(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    http: HttpClient,
    base: Url,
    hotkey: Arc<HotkeyPair>,
    spec_version: u32,
    rules: HttpConstants,
    clock: Clock,
    entropy: Mutex<Entropy>,
    reach: watch::Sender<Reach>,
}

/// Whether the orchestrator does its part, by the calls that ask for nothing but that.
#[derive(Clone, Debug, PartialEq)]
pub enum Reach {
    /// The last of them was answered.
    Answering,
    /// None since something went wrong.
    Silent {
        /// What went wrong first, as a sentence.
        why: String,
    },
}

/// The calls that tell.
const TELLING: [&str; 5] = [
    "/healthcheck",
    "/miner/heartbeat",
    "/miner/all_layers_training",
    "/miner/register",
    "/miner/register/status",
];

/// What a request carries (spec 2.1). The distinction matters on the wire, not for the signature of
/// the first two.
enum Content {
    /// Nothing is sent; `{}` is signed.
    Absent,
    /// Canonical JSON is sent, and exactly that is signed. `{}` is one such text.
    Json(String),
}

/// One logical request: several attempts may be made at it.
struct Request {
    method: Method,
    url: Url,
    /// Path as the specification writes it, for messages.
    call: &'static str,
    content: Content,
    attempts: u32,
    /// Longest time of one attempt.
    timeout: Duration,
    /// Same for all attempts, so that the server can recognise them.
    id: String,
}

impl Orchestrator {
    /// The orchestrator at `base` (scheme, host, port). `entropy` gives request ids and the
    /// randomness of signatures.
    pub fn new(
        http: HttpClient,
        base: Url,
        hotkey: Arc<HotkeyPair>,
        constants: &Constants,
        clock: Clock,
        entropy: Entropy,
    ) -> Self {
        Self(Arc::new(Shared {
            http,
            base,
            hotkey,
            spec_version: constants.spec_version,
            rules: constants.http.clone(),
            clock,
            entropy: Mutex::new(entropy),
            reach: watch::Sender::new(Reach::Answering),
        }))
    }

    /// Whose requests these are.
    pub fn hotkey(&self) -> &Hotkey {
        self.0.hotkey.address()
    }

    /// Where the orchestrator is.
    pub fn base(&self) -> &Url {
        &self.0.base
    }

    /// Whether it does its part.
    pub fn reach(&self) -> watch::Receiver<Reach> {
        self.0.reach.subscribe()
    }

    /// Notes how an attempt ended.
    fn note<T>(&self, call: &str, result: &Result<T, CallError>) {
        if !TELLING.contains(&call) {
            return;
        }
        let silent = result.as_ref().err().filter(|error| error.is_silence());
        self.0.reach.send_if_modified(|reach| {
            let next = match (silent, &*reach) {
                // The first reason stays: the same trouble in other words is no news.
                (Some(_), Reach::Silent { .. }) => return false,
                (Some(error), Reach::Answering) => Reach::Silent { why: format!("{error}.") },
                (None, _) => Reach::Answering,
            };
            let changed = *reach != next;
            *reach = next;
            changed
        });
    }

    async fn get<T: DeserializeOwned>(
        &self,
        call: &'static str,
        path: &[&str],
        query: &[(&str, &str)],
        content: Content,
    ) -> Result<T, CallError> {
        let request = self.request(Method::GET, call, path, query, content);
        self.send(request).await
    }

    async fn post<T: DeserializeOwned, B: Serialize>(
        &self,
        call: &'static str,
        path: &[&str],
        body: &B,
    ) -> Result<T, CallError> {
        let content = json(call, body)?;
        let request = self.request(Method::POST, call, path, &[], content);
        self.send(request).await
    }

    fn request(
        &self,
        method: Method,
        call: &'static str,
        path: &[&str],
        query: &[(&str, &str)],
        content: Content,
    ) -> Request {
        let mut url = self.0.base.clone();
        // Fails only for addresses like `mailto:`, on which every request then fails with its name.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let id = self.entropy(Entropy::uuid);
        let (attempts, timeout) = (self.0.rules.attempts, self.0.rules.timeout);
        Request { method, url, call, content, attempts, timeout, id }
    }

    /// Makes attempts until one is answered with status 200, or they are used up. An application
    /// error is an answer: it is never retried here.
    async fn send<T: DeserializeOwned>(&self, request: Request) -> Result<T, CallError> {
        let mut failed = 0;
        loop {
            let result = self.attempt(&request).await;
            self.note(request.call, &result);
            let error = match result {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let Some(pause) = self.pause_after(&error, failed) else { return Err(error) };
            failed += 1;
            if failed >= request.attempts {
                return Err(error);
            }
            tracing::debug!(call = request.call, id = request.id, failed, %error, "trying again");
            self.0.clock.sleep(pause).await;
        }
    }

    /// How long to wait before the next attempt; `None` when another would not help.
    fn pause_after(&self, error: &CallError, failed: u32) -> Option<Duration> {
        match error {
            CallError::TooManyRequests { .. } => {
                Some(doubling_pause(Duration::from_secs(1), failed, Duration::from_secs(60)))
            }
            CallError::Status { .. } | CallError::Transport { .. } | CallError::Timeout { .. } => {
                Some(self.0.rules.failure_pause)
            }
            CallError::Server(_)
            | CallError::Malformed { .. }
            | CallError::TooLarge { .. }
            | CallError::Unsendable { .. } => None,
        }
    }

    async fn attempt<T: DeserializeOwned>(&self, request: &Request) -> Result<T, CallError> {
        let call = request.call;
        let built = self.build(request)?;
        let rules = &self.0.rules;
        let answer =
            self.0.http.exchange(built, rules.max_answer_bytes, request.timeout).await.map_err(
                |error| match error {
                    ExchangeError::Timeout(after) => CallError::Timeout { call, after },
                    ExchangeError::Transport(why) => CallError::Transport { call, why },
                    ExchangeError::TooLarge(limit) => CallError::TooLarge { call, limit },
                },
            )?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::TOO_MANY_REQUESTS => return Err(CallError::TooManyRequests { call }),
            status => {
                let unix = self.0.clock.unix();
                let detail =
                    answer.excerpt() + &answer.clock_ahead(unix).map_or_else(String::new, of_clock);
                return Err(CallError::Status { call, status: status.as_u16(), detail });
            }
        }
        read_body(call, &answer.body)
    }

    /// The HTTP request of one attempt, with a fresh timestamp and signature.
    fn build(&self, request: &Request) -> Result<reqwest::Request, CallError> {
        let call = request.call;
        let body = match &request.content {
            Content::Absent => "",
            Content::Json(text) => text,
        };
        let now = self.0.clock.unix_millis();
        let signed = self
            .entropy(|entropy| self.0.hotkey.sign_request(body.as_bytes(), now, entropy))
            .map_err(|error| CallError::Unsendable { call, why: error.to_string() })?;
        let http = self.0.http.requests();
        let builder = http
            .request(request.method.clone(), request.url.clone())
            .header(epistula::HEADER_TIMESTAMP, signed.timestamp)
            .header(epistula::HEADER_SIGNED_BY, signed.signed_by.as_str())
            .header(epistula::HEADER_SIGNATURE, signed.signature)
            .header(epistula::HEADER_SPEC_VERSION, self.0.spec_version)
            .header(epistula::HEADER_REQUEST_ID, &request.id)
            .header(epistula::HEADER_IS_MOUNTED, "false");
        let builder = match &request.content {
            Content::Absent => builder,
            Content::Json(text) => builder
                .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
                .body(text.clone()),
        };
        builder.build().map_err(|error| CallError::Unsendable { call, why: chain(&error) })
    }

    fn entropy<T>(&self, draw: impl FnOnce(&mut Entropy) -> T) -> T {
        draw(&mut self.0.entropy.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is the matter with this machine's clock, if it stands wrong by more than a server bears.
fn of_clock(ahead: i64) -> String {
    let minutes = ahead.unsigned_abs() / 60;
    match ahead {
        61.. => format!("; this machine's clock is {minutes} min ahead of the network's: set it"),
        ..-60 => format!("; this machine's clock is {minutes} min behind the network's: set it"),
        _ => String::new(),
    }
}

/// The canonical JSON of `body`, which is what is sent and what is signed.
fn json<B: Serialize + ?Sized>(call: &'static str, body: &B) -> Result<Content, CallError> {
    let text = canonical_of(body)
        .map_err(|error| CallError::Unsendable { call, why: error.to_string() })?;
    Ok(Content::Json(text))
}

/// The empty object, sent as such.
fn empty_object() -> Content {
    Content::Json("{}".to_owned())
}

fn read_body<T: DeserializeOwned>(call: &'static str, body: &[u8]) -> Result<T, CallError> {
    if let Some(error) = ServerError::in_answer(body) {
        return Err(CallError::Server(error));
    }
    reading::json(body).map_err(|error| CallError::Malformed { call, why: error.to_string() })
}
