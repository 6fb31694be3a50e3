//! Taking in a request: its bounded body, its signature, its version (spec 1.11, 2.1, 3).

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use serde::de::DeserializeOwned;

use super::answer::Refused;
use crate::clock::Clock;
use crate::protocol::epistula::{
    HEADER_SIGNATURE, HEADER_SIGNED_BY, HEADER_SPEC_VERSION, HEADER_TIMESTAMP, verify_request,
};
use crate::protocol::{Hotkey, ServerError, reading};
use crate::swarm::rules::{Rules, Versions};

/// Largest request body, in bytes. The largest honest one lists a few thousand partitions.
pub(super) const MAX_BODY: usize = 4 << 20;
/// Time limit for reading a body.
const READ_LIMIT: Duration = Duration::from_secs(30);

/// A request whose signature was checked.
pub(super) struct Signed {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) hotkey: Hotkey,
    body: Bytes,
}

/// The calls there are (spec 2.2), by the words that the rules name them with.
const CALLS: [&str; 27] = [
    "healthcheck",
    "get_run_info",
    "get_run_epoch",
    "get_merged_partitions",
    "register",
    "register/status",
    "register/confirm",
    "payout_coldkey",
    "layer_state",
    "all_layers_training",
    "heartbeat",
    "get_run_config",
    "get_activations",
    "submit_activation",
    "report_loss",
    "initiate_file_upload",
    "complete_multipart_upload",
    "notify_orchestrator_of_state_call",
    "submit_weights",
    "submit_optimizer_state",
    "get_layer_optimizer_state",
    "get_weight_path_per_layer",
    "get_partitions",
    "get_previous_partitions",
    "submit_merged_partitions",
    "request_attestation_challenge",
    "fleet-telemetry",
];

impl Signed {
    /// Which call this is, for its rate; all unknown ones count as one.
    pub(super) fn call(&self) -> &'static str {
        let path = self.path.trim_start_matches('/');
        let name = ["miner/", "common/"].iter().find_map(|p| path.strip_prefix(p)).unwrap_or(path);
        let named = |call: &&&str| {
            name == **call
                || (call.contains('/')
                    && name.strip_prefix(**call).is_some_and(|r| r.starts_with('/')))
        };
        CALLS.iter().find(named).copied().unwrap_or("unknown")
    }

    /// Reads and checks a request.
    pub(super) async fn check(
        request: Request<Body>,
        clock: &Clock,
        spec_version: u32,
        rules: &Rules,
    ) -> Result<Self, Refused> {
        let (head, body) = request.into_parts();
        let body = bounded(&head.headers, body, MAX_BODY, clock).await?;
        let hotkey = check_signature(&head.headers, &body, clock, rules.signature_age)?;
        if rules.versions == Versions::Exact {
            check_version(&head.headers, spec_version)?;
        }
        Ok(Self {
            method: head.method,
            path: head.uri.path().to_owned(),
            query: head.uri.query().unwrap_or_default().to_owned(),
            hotkey,
            body,
        })
    }

    /// The body as a message; an absent body is `{}` (spec 2.1).
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Refused> {
        let body: &[u8] = if self.body.is_empty() { b"{}" } else { &self.body };
        reading::json(body)
            .map_err(|e| Refused::Request(StatusCode::UNPROCESSABLE_ENTITY, e.to_string()))
    }

    /// A value of the query string.
    pub(super) fn query(&self, key: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.query.as_bytes());
        pairs.find(|(name, _)| name == key).map(|(_, value)| value.into_owned())
    }
}

/// Reads a body of at most `limit` bytes. One that announces more is refused before it is sent.
pub(in crate::swarm) async fn bounded(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
    clock: &Clock,
) -> Result<Bytes, Refused> {
    let too_large = || {
        let message = format!("a request may have {limit} bytes");
        Refused::Request(StatusCode::PAYLOAD_TOO_LARGE, message)
    };
    let announced = text(headers, header::CONTENT_LENGTH.as_str()).and_then(|n| n.parse().ok());
    if announced.is_some_and(|length: u64| length > limit as u64) {
        return Err(too_large());
    }
    let late = |_| Refused::Request(StatusCode::REQUEST_TIMEOUT, "the body did not come".into());
    let read = clock.timeout(READ_LIMIT, to_bytes(body, limit)).await.map_err(late)?;
    read.map_err(|_| too_large())
}

fn check_signature(
    headers: &HeaderMap,
    body: &[u8],
    clock: &Clock,
    age: Duration,
) -> Result<Hotkey, Refused> {
    let header = |name| text(headers, name).unwrap_or_default();
    let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    let hotkey = verify_request(
        header(HEADER_SIGNED_BY),
        header(HEADER_SIGNATURE),
        header(HEADER_TIMESTAMP),
        body,
        clock.unix_millis(),
        age,
    )?;
    Ok(hotkey)
}

fn check_version(headers: &HeaderMap, expected: u32) -> Result<(), Refused> {
    let actual = text(headers, HEADER_SPEC_VERSION).unwrap_or("none");
    if actual == expected.to_string() {
        return Ok(());
    }
    let message = format!("this network speaks version {expected}");
    let (expected, actual) = (u64::from(expected), actual.chars().take(40).collect());
    Err(ServerError::SpecVersion { expected, actual, message }.into())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}
