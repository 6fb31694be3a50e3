//! What can become of a call. Each case asks for another reaction of the miner (spec 1.11).

use std::time::Duration;

use crate::protocol::error_body::ServerError;

/// Why a call to the orchestrator gave no result. `call` is the endpoint's path.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CallError {
    /// The orchestrator answered with an application error.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// Status 429 on every attempt.
    #[error("the network asks for fewer requests; they are paced down ({call})")]
    TooManyRequests {
        /// Endpoint.
        call: &'static str,
    },
    /// Another status than 200.
    #[error("the network answered with status {status} ({call}): {detail}")]
    Status {
        /// Endpoint.
        call: &'static str,
        /// Of HTTP.
        status: u16,
        /// Beginning of the body.
        detail: String,
    },
    /// No connection, or it broke.
    #[error("the network cannot be reached; check the internet connection ({call}: {why})")]
    Transport {
        /// Endpoint.
        call: &'static str,
        /// The chain of causes.
        why: String,
    },
    /// No complete answer in time.
    #[error("the network did not answer within {after:?} ({call})")]
    Timeout {
        /// Endpoint.
        call: &'static str,
        /// The limit.
        after: Duration,
    },
    /// Status 200 with a body that is not what the specification says.
    #[error("the network's answer makes no sense to this version; update Hearth ({call}: {why})")]
    Malformed {
        /// Endpoint.
        call: &'static str,
        /// What the reader stumbled over.
        why: String,
    },
    /// The answer was larger than anything that makes sense.
    #[error("the network's answer is larger than {limit} bytes and was not read ({call})")]
    TooLarge {
        /// Endpoint.
        call: &'static str,
        /// In bytes.
        limit: usize,
    },
    /// The request cannot be put on the wire.
    #[error(
        "a request cannot be sent; this is a fault in Hearth, please report it ({call}: {why})"
    )]
    Unsendable {
        /// Endpoint.
        call: &'static str,
        /// Why.
        why: String,
    },
}

impl CallError {
    /// Whether this is no word of an orchestrator in order: none at all, or nonsense.
    pub fn is_silence(&self) -> bool {
        match self {
            Self::Server(_) | Self::TooManyRequests { .. } | Self::Unsendable { .. } => false,
            Self::Status { .. }
            | Self::Transport { .. }
            | Self::Timeout { .. }
            | Self::Malformed { .. }
            | Self::TooLarge { .. } => true,
        }
    }

    /// The application error, if it is one.
    pub fn server(&self) -> Option<&ServerError> {
        match self {
            Self::Server(error) => Some(error),
            _ => None,
        }
    }
}
