//! The routed envelope: `[tag u16 BE][serializer u8][body]` (spec 6.3 to 6.5).

use std::borrow::Cow;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::protocol::ids::{ActivationId, NodeId, StageIndex};
use crate::protocol::messages::Direction;
use crate::protocol::reading::{self, ReadError};

/// What a message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// A [`PeerStatus`](crate::protocol::messages::PeerStatus), on a unidirectional stream.
    PeerStatus,
    /// An [`ActivationPush`], on a bidirectional stream.
    ActivationPush,
}

impl Route {
    /// All routes.
    pub const ALL: [Route; 2] = [Route::PeerStatus, Route::ActivationPush];

    /// The route's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Route::PeerStatus => "/peer/status",
            Route::ActivationPush => "/activation/push",
        }
    }

    /// The route on the wire, by its usual name.
    pub fn tag(self) -> u16 {
        tag_of(self.as_str())
    }
}

/// A route on the wire: the low half of its name's CRC-32.
fn tag_of(name: &str) -> u16 {
    let [_, _, high, low] = crc32fast::hash(name.as_bytes()).to_be_bytes();
    u16::from_be_bytes([high, low])
}

/// The tags of a network, whose names for the routes an operator may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteTags {
    status: u16,
    push: u16,
}

impl Default for RouteTags {
    fn default() -> Self {
        Self::of_names(Route::PeerStatus.as_str(), Route::ActivationPush.as_str())
    }
}

impl RouteTags {
    /// The tags of routes with these names.
    pub fn of_names(status: &str, push: &str) -> Self {
        Self { status: tag_of(status), push: tag_of(push) }
    }

    /// The tag of a route.
    pub fn tag(self, route: Route) -> u16 {
        match route {
            Route::PeerStatus => self.status,
            Route::ActivationPush => self.push,
        }
    }
}

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Serializer {
    /// Cannot carry tensors.
    Json = 1,
    /// What we send.
    MessagePack = 2,
}

/// Why a peer's message cannot be read, or ours not written.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// A broken body.
    #[error("the peer's message cannot be read: {0}")]
    Body(#[from] ReadError),
    /// A value that MessagePack cannot hold.
    #[error("the message cannot be written: {0}")]
    Encode(#[from] rmp_serde::encode::Error),
}

/// A message taken apart, its body not read yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// What it is for.
    pub route: Route,
    /// How its body is written.
    pub serializer: Serializer,
    /// Its body.
    pub body: &'a [u8],
}

/// Body of a push: one activation and where it comes from. Nothing in it is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivationPush<'a> {
    /// The activation.
    pub activation_id: ActivationId,
    /// Which way it travels.
    pub direction: Direction,
    /// Who sends it. Kept as text: it proves nothing.
    pub source_hotkey: String,
    /// Where the gradient is to be sent back to.
    #[serde(default)]
    pub source_p2p_node_ids: Vec<NodeId>,
    /// A PyTorch file ([`torch`](crate::protocol::torch)).
    #[serde(with = "serde_bytes", borrow)]
    pub tensor_bytes: Cow<'a, [u8]>,
    /// Presigned GET of the sample, for the last stage's targets.
    #[serde(default)]
    pub sample_path: Option<String>,
    /// The sender's stage.
    #[serde(default)]
    pub source_layer: Option<StageIndex>,
    /// The stage it is meant for; null means whoever gets it.
    #[serde(default)]
    pub target_layer: Option<StageIndex>,
}

impl ActivationPush<'_> {
    /// Reads a push from an envelope's body; the tensor's bytes stay where they are.
    pub fn decode<'a>(envelope: &Envelope<'a>) -> Result<ActivationPush<'a>, EnvelopeError> {
        read(envelope)
    }
}

/// Writes `body` as MessagePack, a map from field name to value, in an envelope for `route` under its
/// usual tag.
pub fn encode<T: Serialize>(route: Route, body: &T) -> Result<Vec<u8>, EnvelopeError> {
    encode_as(RouteTags::default(), route, body)
}

/// The same under the tags of a network.
pub fn encode_as<T: Serialize>(
    tags: RouteTags,
    route: Route,
    body: &T,
) -> Result<Vec<u8>, EnvelopeError> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(&tags.tag(route).to_be_bytes());
    bytes.push(Serializer::MessagePack as u8);
    rmp_serde::encode::write_named(&mut bytes, body)?;
    Ok(bytes)
}

impl<'a> Envelope<'a> {
    /// Takes a message apart. `None` when it is not an envelope for a known route: on a
    /// bidirectional stream it may then be a raw pull request.
    pub fn parse(message: &'a [u8]) -> Option<Self> {
        Self::parse_as(RouteTags::default(), message)
    }

    /// The same under the tags of a network.
    pub fn parse_as(tags: RouteTags, message: &'a [u8]) -> Option<Self> {
        let ([high, low, serializer], body) = message.split_first_chunk::<3>()?;
        let tag = u16::from_be_bytes([*high, *low]);
        let serializer = match serializer {
            1 => Serializer::Json,
            2 => Serializer::MessagePack,
            _ => return None,
        };
        let route = Route::ALL.into_iter().find(|route| tags.tag(*route) == tag)?;
        Some(Self { route, serializer, body })
    }
}

/// Reads the body of `envelope`.
pub fn decode<T: DeserializeOwned>(envelope: &Envelope<'_>) -> Result<T, EnvelopeError> {
    read(envelope)
}

fn read<'a, T: Deserialize<'a>>(envelope: &Envelope<'a>) -> Result<T, EnvelopeError> {
    let read = match envelope.serializer {
        Serializer::Json => reading::json(envelope.body),
        Serializer::MessagePack => reading::message_pack(envelope.body),
    };
    read.map_err(EnvelopeError::Body)
}
