//! What peers say to each other over QUIC streams (spec 6.3 to 6.6): one message per stream, either
//! in a routed envelope or as a raw pull request. Anybody can connect, so decoding trusts nothing.

mod envelope;
mod pull;

pub use envelope::{
    ActivationPush, Envelope, EnvelopeError, Route, RouteTags, Serializer, decode, encode,
    encode_as,
};
pub use pull::{PullError, PullRequest, SignedPull, decode_pull, unsigned_pull};

/// First byte of an answer on a bidirectional stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum StatusCode {
    /// Not cached.
    NotFound = 0,
    /// Bytes follow a pull; a push was accepted.
    Success = 1,
    /// Cached, but too old.
    Expired = 2,
    /// Not understood, or refused.
    Error = 3,
    /// Unsigned, stale, or wrongly signed.
    Unauthorized = 4,
}

impl StatusCode {
    /// The code of a byte; unknown ones are errors.
    pub fn from_byte(byte: u8) -> Self {
        match byte {
            0 => Self::NotFound,
            1 => Self::Success,
            2 => Self::Expired,
            4 => Self::Unauthorized,
            _ => Self::Error,
        }
    }
}

/// The answer to a pull: its code, and the tensor's bytes on success.
pub fn encode_response(status: StatusCode, tensor: &[u8]) -> Vec<u8> {
    let mut bytes = vec![status as u8];
    if status == StatusCode::Success {
        bytes.extend_from_slice(tensor);
    }
    bytes
}

/// Reads the answer to a pull. An empty answer means "not found".
pub fn decode_response(bytes: &[u8]) -> (StatusCode, &[u8]) {
    match bytes.split_first() {
        None => (StatusCode::NotFound, &[]),
        Some((code, rest)) => match StatusCode::from_byte(*code) {
            StatusCode::Success => (StatusCode::Success, rest),
            other => (other, &[]),
        },
    }
}

/// Whether the one-byte answer to a push says that it was accepted. Empty means refused.
pub fn is_accepted(answer: &[u8]) -> bool {
    answer.first() == Some(&(StatusCode::Success as u8))
}

#[cfg(test)]
mod tests;
