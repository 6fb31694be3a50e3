//! The bridge's key/value calls (spec 7.2): unsigned JSON over HTTP with its own retry rules.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::clock::Clock;
use crate::config::constants::{RegistryConstants, doubling_pause};
use crate::network::http::{ExchangeError, HttpClient, chain};
use crate::protocol::reading;
use crate::protocol::registry::{
    GetRequest, GetResponse, ListedVariable, RegisterRequest, RegisterResponse, SetRequest,
    SetResponse,
};

/// Why the bridge gave no result.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BridgeError {
    /// Another status than success.
    #[error("the bridge answered {call} with status {status}: {detail}")]
    Status {
        /// Which call.
        call: &'static str,
        /// Of HTTP.
        status: u16,
        /// Beginning of the body.
        detail: String,
    },
    /// No connection, no answer in time, or one too large.
    #[error("the bridge cannot be reached ({call}): {why}")]
    Unreachable {
        /// Which call.
        call: &'static str,
        /// What went wrong.
        why: String,
    },
    /// An answer that is not what the specification says.
    #[error("the bridge's answer to {call} makes no sense: {why}")]
    Malformed {
        /// Which call.
        call: &'static str,
        /// What the reader stumbled over.
        why: String,
    },
}

/// Client of the bridge of one network. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Bridge {
    http: HttpClient,
    base: Url,
    rules: RegistryConstants,
    clock: Clock,
}

impl Bridge {
    /// The bridge at `base`, which usually ends with `/bridge`.
    pub fn new(http: HttpClient, base: Url, rules: RegistryConstants, clock: Clock) -> Self {
        Self { http, base, rules, clock }
    }

    pub(super) fn rules(&self) -> &RegistryConstants {
        &self.rules
    }

    /// Creates variables; existing ones stay as they are. Results in the order of the request.
    pub async fn register(&self, body: &RegisterRequest) -> Result<RegisterResponse, BridgeError> {
        self.post("register", body).await
    }

    /// Reads variables.
    pub async fn get(&self, body: &GetRequest) -> Result<GetResponse, BridgeError> {
        self.post("get", body).await
    }

    /// Writes variables, each on its own. Results in the order of the request.
    pub async fn set(&self, body: &SetRequest) -> Result<SetResponse, BridgeError> {
        self.post("set", body).await
    }

    /// Lists the variables whose names start with `prefix`.
    pub async fn vars(&self, prefix: &str) -> Result<Vec<ListedVariable>, BridgeError> {
        let mut url = self.url("vars");
        url.query_pairs_mut().append_pair("prefix", prefix);
        self.call("vars", Method::GET, url, None).await
    }

    fn url(&self, call: &str) -> Url {
        let mut url = self.base.clone();
        // Fails only for addresses like `mailto:`, on which every request then fails with its name.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push(call);
        }
        url
    }

    async fn post<B: Serialize, T: DeserializeOwned>(
        &self,
        call: &'static str,
        body: &B,
    ) -> Result<T, BridgeError> {
        let body = serde_json::to_vec(body)
            .map_err(|error| BridgeError::Malformed { call, why: error.to_string() })?;
        self.call(call, Method::POST, self.url(call), Some(body)).await
    }

    async fn call<T: DeserializeOwned>(
        &self,
        call: &'static str,
        method: Method,
        url: Url,
        body: Option<Vec<u8>>,
    ) -> Result<T, BridgeError> {
        let mut failed = 0;
        loop {
            let error = match self.attempt(call, &method, &url, body.as_ref()).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            let passing = match &error {
                BridgeError::Status { status, .. } => *status >= 500,
                BridgeError::Unreachable { .. } => true,
                BridgeError::Malformed { .. } => false,
            };
            if !passing || failed + 1 >= self.rules.attempts {
                return Err(error);
            }
            let first = self.rules.first_retry_pause;
            self.clock.sleep(doubling_pause(first, failed, Duration::from_secs(60))).await;
            failed += 1;
        }
    }

    async fn attempt<T: DeserializeOwned>(
        &self,
        call: &'static str,
        method: &Method,
        url: &Url,
        body: Option<&Vec<u8>>,
    ) -> Result<T, BridgeError> {
        let mut request = self.http.requests().request(method.clone(), url.clone());
        if let Some(body) = body {
            let json = HeaderValue::from_static("application/json");
            request = request.header(CONTENT_TYPE, json).body(body.clone());
        }
        let request = request
            .build()
            .map_err(|error| BridgeError::Unreachable { call, why: chain(&error) })?;
        let (limit, timeout) = (self.rules.max_answer_bytes, self.rules.timeout);
        let answer = self.http.exchange(request, limit, timeout).await;
        let answer = answer.map_err(|error: ExchangeError| BridgeError::Unreachable {
            call,
            why: error.to_string(),
        })?;
        if !answer.status.is_success() {
            let (status, detail) = (answer.status.as_u16(), answer.excerpt());
            return Err(BridgeError::Status { call, status, detail });
        }
        reading::json(&answer.body)
            .map_err(|error| BridgeError::Malformed { call, why: error.to_string() })
    }
}
