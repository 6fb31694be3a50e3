//! What can go wrong with objects. Addresses are presigned, that is secret: no message shows one.

use std::time::Duration;

use crate::network::orchestrator::CallError;
use crate::protocol::ServerError;

/// Why an object could not be read.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum DownloadError {
    /// The address is no address.
    #[error("the object's address is unusable: {0}")]
    Address(String),
    /// The store refused.
    #[error("the object store answered with status {status}: {detail}")]
    Refused {
        /// Of HTTP.
        status: u16,
        /// Beginning of the body.
        detail: String,
    },
    /// No connection, or it broke.
    #[error("the object store cannot be reached: {0}")]
    Transport(String),
    /// Not complete in time.
    #[error("the object store did not answer within {0:?}")]
    Timeout(Duration),
    /// More bytes than were asked for, or than make sense.
    #[error("the object is larger than {0} bytes and was not read")]
    TooLarge(usize),
    /// Fewer bytes than were asked for.
    #[error("the object store sent {got} of {expected} bytes")]
    Truncated {
        /// Bytes asked for.
        expected: u64,
        /// Bytes received.
        got: u64,
    },
    /// A whole object instead of a range, or the other way round.
    #[error("the object store ignored the requested range (status {status})")]
    NotAsAsked {
        /// Of HTTP.
        status: u16,
    },
    /// Not a blob, or not the kind of blob that was expected.
    #[error("the object is not what it should be: {0}")]
    Blob(String),
    /// Not UTF-8.
    #[error("the sample is not UTF-8 text (wrong from byte {valid_up_to})")]
    NotText {
        /// Bytes that are text.
        valid_up_to: usize,
    },
    /// Starts as gzip does, and is not.
    #[error("the sample cannot be decompressed: {0}")]
    Compressed(String),
}

impl DownloadError {
    /// Whether the same request may succeed a little later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Transport(_) | Self::Timeout(_) | Self::Truncated { .. } => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }
}

/// Why an object could not be written.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// The orchestrator gave no addresses.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The orchestrator did not accept the parts.
    #[error("all parts are stored, but the upload could not be completed: {0}")]
    Completion(CallError),
    /// Nothing to upload.
    #[error("there is nothing to upload: the object is empty")]
    Empty,
    /// The source could not be read.
    #[error("what is to be uploaded cannot be read: {0}")]
    Source(#[from] std::io::Error),
    /// The orchestrator's answer does not fit the request.
    #[error("the network's upload addresses do not fit the request: {0}")]
    Plan(String),
    /// One part was not taken on any attempt.
    #[error("part {part} of the upload failed after {attempts} attempts: {why}")]
    Part {
        /// From 1.
        part: usize,
        /// Attempts made.
        attempts: u32,
        /// Of HTTP, if the store answered the last attempt.
        status: Option<u16>,
        /// Of the last attempt.
        why: String,
    },
}

impl UploadError {
    /// The call to the orchestrator that failed, if it was one.
    pub fn call(&self) -> Option<&CallError> {
        match self {
            Self::Call(error) | Self::Completion(error) => Some(error),
            _ => None,
        }
    }

    /// Whether what was uploaded so far is of no use any more: its addresses have expired, or its
    /// upload is not known. An outage is no such thing.
    pub(super) fn is_stale(&self) -> bool {
        let refused = |status: u16| (400..500).contains(&status) && !matches!(status, 408 | 429);
        match self {
            Self::Part { status, .. } => status.is_some_and(refused),
            Self::Completion(CallError::Status { status, .. }) => refused(*status),
            Self::Completion(CallError::Server(error)) => {
                matches!(error, ServerError::Other { .. })
            }
            _ => false,
        }
    }
}
