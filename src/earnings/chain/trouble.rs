//! What a client's or a node's error means for the user.

use std::error::Error as _;
use std::time::Duration;

use subxt::error::{BackendError, RpcError};
use subxt::ext::jsonrpsee::client_transport::ws::WsHandshakeError;
use subxt::ext::jsonrpsee::core::client::Error as ClientError;
use subxt::rpcs::Error as RpcsError;

use super::address::Endpoint;
use super::error::ChainError;

/// The JSON-RPC code of a method that does not exist.
const NO_SUCH_METHOD: i32 = -32601;
/// What nodes say of a state that they have thrown away.
const THROWN_AWAY: [&str; 3] = ["State already discarded", "UnknownBlock", "Unknown block"];

/// Tells errors apart.
pub(super) struct Trouble<'a> {
    endpoint: &'a Endpoint,
    limit: Duration,
}

impl<'a> Trouble<'a> {
    pub(super) fn new(endpoint: &'a Endpoint, limit: Duration) -> Self {
        Self { endpoint, limit }
    }

    fn name(&self) -> String {
        self.endpoint.to_string()
    }

    pub(super) fn unreachable(&self, why: &dyn std::fmt::Display) -> ChainError {
        ChainError::Unreachable { endpoint: self.name(), why: short(why) }
    }

    /// Something else than a node answers.
    pub(super) fn not_a_node(&self, why: &dyn std::fmt::Display) -> ChainError {
        ChainError::NotANode { endpoint: self.name(), why: short(why) }
    }

    fn disconnected(&self) -> ChainError {
        ChainError::Disconnected { endpoint: self.name() }
    }

    fn slow(&self) -> ChainError {
        ChainError::Slow { endpoint: self.name(), limit: self.limit }
    }

    /// The connection could not be made.
    pub(super) fn of_handshake(&self, error: WsHandshakeError) -> ChainError {
        let not_a_node = |why: &dyn std::fmt::Display| self.not_a_node(why);
        match error {
            WsHandshakeError::Timeout(_) => self.slow(),
            WsHandshakeError::Rejected { status_code } => {
                not_a_node(&format!("it answers with HTTP status {status_code}"))
            }
            WsHandshakeError::Redirected { .. } | WsHandshakeError::NoAddressFound(_) => {
                not_a_node(&"it sends us elsewhere, where nobody goes whom you did not name")
            }
            WsHandshakeError::Transport(error) => match error.source() {
                Some(source) if source.is::<std::io::Error>() => self.of_io(source),
                _ => not_a_node(&error),
            },
            WsHandshakeError::CertificateStore(error) => {
                ChainError::Tls { endpoint: self.name(), why: short(&error) }
            }
            WsHandshakeError::Io(error) => self.of_io(&error),
            WsHandshakeError::ResolutionFailed(error) => self.unreachable(&error),
            WsHandshakeError::Url(why) => ChainError::Endpoint { why: short(&why) },
        }
    }

    /// An error of the line while it was made: of TLS, if rustls says so.
    fn of_io(&self, error: &(dyn std::error::Error + 'static)) -> ChainError {
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        match inner {
            Some(inner) if inner.is::<rustls::Error>() => {
                ChainError::Tls { endpoint: self.name(), why: short(inner) }
            }
            _ => self.unreachable(&error),
        }
    }

    /// A request failed.
    pub(super) fn of_rpc(&self, error: &RpcsError) -> ChainError {
        match error {
            RpcsError::User(error) if error.code == NO_SUCH_METHOD => {
                self.not_a_node(&error.message)
            }
            RpcsError::User(error) => {
                let thrown_away = THROWN_AWAY.iter().any(|words| error.message.contains(words));
                let (endpoint, why) = (self.name(), short(&error.message));
                match thrown_away {
                    true => ChainError::Pruned { endpoint, why },
                    false => ChainError::Refused { endpoint, why },
                }
            }
            RpcsError::Client(error) => match error.downcast_ref::<ClientError>() {
                Some(error) => self.of_client(error),
                None => self.not_a_node(error),
            },
            RpcsError::Deserialization(error) => self.not_a_node(error),
            _ => self.disconnected(),
        }
    }

    fn of_client(&self, error: &ClientError) -> ChainError {
        match error {
            ClientError::RequestTimeout => self.slow(),
            // The client reads on in the background and ends at the first answer that it cannot read.
            ClientError::RestartNeeded(inner) => self.of_client(inner),
            ClientError::ParseError(_)
            | ClientError::Custom(_)
            | ClientError::InvalidRequestId(_) => self.not_a_node(error),
            _ => self.disconnected(),
        }
    }

    /// A storage could not be asked for.
    pub(super) fn of_backend(&self, error: &BackendError) -> ChainError {
        match error {
            BackendError::Rpc(RpcError::ClientError(error)) => self.of_rpc(error),
            _ => self.disconnected(),
        }
    }

    /// The chain's own description of its state was not understood.
    pub(super) fn of_metadata(&self, error: &dyn std::fmt::Display) -> ChainError {
        ChainError::Metadata { endpoint: self.name(), why: short(error) }
    }
}

/// A node's words: one line, and not too long.
fn short(words: &dyn std::fmt::Display) -> String {
    let text = words.to_string();
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain = line.chars().filter(|c| !c.is_control());
    plain.take(120).collect()
}
