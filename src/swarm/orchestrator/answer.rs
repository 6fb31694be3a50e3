//! How the orchestrator answers: application errors with HTTP 200 and a named error, bad signatures
//! with 400, everything that is not even a request with the status HTTP has for it (spec 1.11, 3.4).

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;
use serde_json::{Value, json};

use crate::protocol::ServerError;
use crate::protocol::epistula::{EpistulaError, HEADER_REQUEST_ID};
use crate::swarm::store::StoreError;

/// Why a request is not done.
#[derive(Debug, thiserror::Error)]
pub(in crate::swarm) enum Refused {
    /// By the rules of the run.
    #[error(transparent)]
    Rule(#[from] ServerError),
    /// The signature is wrong or too old.
    #[error(transparent)]
    Signature(#[from] EpistulaError),
    /// The request makes no sense.
    #[error("{1}")]
    Request(StatusCode, String),
    /// The server itself cannot.
    #[error("{0}")]
    Internal(String),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Refused::Internal(error.to_string())
    }
}

impl Refused {
    /// A request with impossible values.
    pub(in crate::swarm) fn bad(message: impl Into<String>) -> Self {
        Refused::Request(StatusCode::BAD_REQUEST, message.into())
    }

    fn answer(&self) -> (StatusCode, Value) {
        match self {
            Refused::Rule(error) => (StatusCode::OK, error.to_body()),
            Refused::Signature(error) => {
                let detail = json!({
                    "error": error.to_string(), "message": error.to_string(),
                    "name": "EpistulaError",
                });
                (StatusCode::BAD_REQUEST, json!({ "detail": detail }))
            }
            Refused::Request(status, message) => (*status, json!({ "detail": message })),
            Refused::Internal(message) => {
                tracing::error!(message, "orchestrator");
                (StatusCode::INTERNAL_SERVER_ERROR, json!({ "detail": message }))
            }
        }
    }
}

/// The HTTP answer. It repeats the request's id, so that both sides' logs can be laid together.
pub(in crate::swarm) fn respond(
    result: Result<Value, Refused>,
    request_id: Option<HeaderValue>,
) -> Response<Body> {
    let (status, value) = match result {
        Ok(value) => (StatusCode::OK, value),
        Err(refused) => refused.answer(),
    };
    let mut response = Response::new(Body::from(value.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(id) = request_id {
        headers.insert(HEADER_REQUEST_ID, id);
    }
    response
}

/// A message as JSON.
pub(super) fn json_of(message: &impl Serialize) -> Result<Value, Refused> {
    serde_json::to_value(message).map_err(|error| Refused::Internal(error.to_string()))
}
