//! Peer-to-peer transport over iroh QUIC (spec 6): one endpoint, both ALPNs. Incoming messages are
//! bounded in size, time and number, and their senders are checked against the registry by the
//! identity that QUIC proved, before anything of them reaches the trainer (spec 13, weaknesses 2,
//! 26, 27).

mod counts;
mod inbound;
mod link;
mod outbound;
mod served;
#[cfg(test)]
pub(crate) mod test_nodes;
#[cfg(test)]
mod tests;

use std::fmt;
use std::net::SocketAddr;
use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use iroh::endpoint::{AckFrequencyConfig, QuicTransportConfig, VarInt, presets};
use iroh::{Endpoint, RelayMode, SecretKey};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::directory::{Directory, NodeAddress};
use super::http::chain;
use super::traffic::Traffic;
use crate::clock::{Clock, Entropy, Moment};
use crate::config::constants::PeerConstants;
use crate::protocol::constants::{ALPN_BI, ALPN_UNI, MAX_PEER_MESSAGE};
use crate::protocol::ids::{ActivationId, Hotkey, NodeId, StageIndex};
use crate::protocol::messages::Direction;
use crate::wallet::HotkeyPair;
use counts::Counters;
pub use counts::PeerCounts;
use link::Links;
pub use outbound::{PullError, PushError};
use served::ServedCache;

/// How far this endpoint reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerReach {
    /// This machine only: no relay, no discovery, nothing listens outside loopback.
    Loopback,
}

/// What the miner decides about pushed activations. Asked from network tasks: must answer at once.
pub trait Admission: Send + Sync + 'static {
    /// The own stage; `None` before registration, when every push is refused.
    fn stage(&self) -> Option<StageIndex>;

    /// Whether forwards are taken now, that is whether the own status is `training` (spec 6.5).
    fn takes_forwards(&self) -> bool;

    /// Whether `from` was sent the forward of `activation`, whose gradient is still awaited.
    fn awaits_backward(&self, activation: &ActivationId, from: &NodeId) -> bool;

    /// Most bytes that the tensor of an expected push has.
    fn largest_tensor(&self) -> usize;
}

/// A pushed activation or gradient whose sender was checked and which was acknowledged.
#[derive(Debug)]
pub struct InboundPush {
    /// The activation.
    pub activation: ActivationId,
    /// Which way it travels.
    pub direction: Direction,
    /// The serialized tensor (spec 6.7), not looked into yet.
    pub tensor_file: Payload,
    /// Where the last stage finds the targets.
    pub sample_path: Option<String>,
    /// The node that QUIC proved to be the sender. Answer there.
    pub from: NodeId,
    /// The hotkey that the registry lists for that node.
    pub sender: Hotkey,
    /// When it was complete.
    pub received: Moment,
}

/// Bytes that lie within the message they came in.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    message: Vec<u8>,
    range: Range<usize>,
}

impl Payload {
    /// The bytes `range` of `message`; nothing if it has no such bytes.
    pub fn within(message: Vec<u8>, range: Range<usize>) -> Self {
        let range = if message.get(range.clone()).is_some() { range } else { 0..0 };
        Self { message, range }
    }
}

impl From<Vec<u8>> for Payload {
    fn from(message: Vec<u8>) -> Self {
        let range = 0..message.len();
        Self { message, range }
    }
}

impl Deref for Payload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.message.get(self.range.clone()).unwrap_or_default()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.range.len())
    }
}

/// Where accepted pushes come out. Both are bounded; when one is full, its pushes are refused and
/// their senders try elsewhere or later.
#[derive(Debug)]
pub struct PeerInbox {
    /// Activations of the stage before.
    pub forwards: mpsc::Receiver<InboundPush>,
    /// Gradients of the stage behind.
    pub backwards: mpsc::Receiver<InboundPush>,
}

/// What an endpoint needs.
#[derive(Debug)]
pub struct PeerSetup {
    /// How far it reaches.
    pub reach: PeerReach,
    /// Its ed25519 secret: random, not derived from the hotkey (spec 13, weakness 1).
    pub secret: Zeroizing<[u8; 32]>,
    /// Limits and times.
    pub rules: PeerConstants,
    /// Activations served to pulls at a time (`max_activation_cache_size`).
    pub served_activations: usize,
    /// Signs pull requests.
    pub hotkey: Arc<HotkeyPair>,
    /// Who is there.
    pub directory: Directory,
    /// The time.
    pub clock: Clock,
    /// For signatures and choices.
    pub entropy: Entropy,
    /// Where bytes are counted.
    pub traffic: Traffic,
}

/// The endpoint could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("the connection to other miners cannot be opened: {0}. Is UDP allowed on this machine?")]
pub struct BindError(String);

/// The peer-to-peer endpoint. A cheap handle; closed by [`Peers::close`].
#[derive(Clone)]
pub struct Peers(Arc<Shared>);

struct Shared {
    endpoint: Endpoint,
    node: NodeId,
    rules: PeerConstants,
    hotkey: Arc<HotkeyPair>,
    directory: Directory,
    clock: Clock,
    entropy: Mutex<Entropy>,
    traffic: Traffic,
    counters: Counters,
    served: Mutex<ServedCache>,
    links: Links,
    admission: Arc<dyn Admission>,
    forwards: mpsc::Sender<InboundPush>,
    backwards: mpsc::Sender<InboundPush>,
    /// Bytes of unfinished incoming messages that may still be held.
    inbound_bytes: Arc<Semaphore>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers").field("node", &self.0.node.as_str()).finish_non_exhaustive()
    }
}

/// A fresh secret for [`PeerSetup::secret`].
pub fn random_secret(entropy: &mut Entropy) -> Zeroizing<[u8; 32]> {
    let mut secret = Zeroizing::new([0; 32]);
    entropy.fill(secret.as_mut());
    secret
}

impl Peers {
    /// Opens the endpoint and starts accepting. Must be called within a tokio runtime.
    pub async fn bind(
        setup: PeerSetup,
        admission: Arc<dyn Admission>,
    ) -> Result<(Self, PeerInbox), BindError> {
        let rules = setup.rules;
        let PeerReach::Loopback = setup.reach;
        let endpoint = Endpoint::builder(presets::Minimal)
            .secret_key(SecretKey::from_bytes(&setup.secret))
            .alpns(vec![ALPN_UNI.to_vec(), ALPN_BI.to_vec()])
            .transport_config(transport(&rules))
            .relay_mode(RelayMode::Disabled)
            .clear_ip_transports()
            .bind_addr("127.0.0.1:0")
            .map_err(|error| BindError(error.to_string()))?
            .bind()
            .await
            .map_err(|error| BindError(chain(&error)))?;

        let (forwards, forwards_out) = mpsc::channel(rules.inbound_queue.max(1));
        let (backwards, backwards_out) = mpsc::channel(rules.inbound_queue.max(1));
        let node = NodeId::from_bytes(endpoint.id().as_bytes());
        let shared = Arc::new(Shared {
            node,
            hotkey: setup.hotkey,
            directory: setup.directory,
            clock: setup.clock,
            entropy: Mutex::new(setup.entropy),
            traffic: setup.traffic,
            counters: Counters::default(),
            served: Mutex::new(ServedCache::new(setup.served_activations, rules.served_ttl)),
            links: Links::new(rules.max_connections, rules.requests_per_peer),
            admission,
            forwards,
            backwards,
            inbound_bytes: Arc::new(Semaphore::new(rules.max_inbound_bytes)),
            accepting: Mutex::new(None),
            rules,
            endpoint,
        });
        let accepting = tokio::spawn(inbound::accept(Arc::clone(&shared)));
        *shared.accepting.lock().unwrap_or_else(PoisonError::into_inner) = Some(accepting);
        let inbox = PeerInbox { forwards: forwards_out, backwards: backwards_out };
        Ok((Self(shared), inbox))
    }

    /// The own node id, as registered and published.
    pub fn node_id(&self) -> &NodeId {
        &self.0.node
    }

    /// Where this endpoint can be dialled, as published in the registry.
    pub fn address(&self) -> NodeAddress {
        let direct: Vec<SocketAddr> = self.0.endpoint.bound_sockets();
        NodeAddress { id: self.0.node.clone(), relay_url: None, direct }
    }

    /// Who is there.
    pub fn directory(&self) -> &Directory {
        &self.0.directory
    }

    /// Keeps `tensor_file` for pulls by others under `activation`; a backward replaces the forward.
    pub fn serve(&self, activation: ActivationId, tensor_file: Arc<Vec<u8>>) {
        let now = self.0.clock.now();
        self.0.served().insert(activation, tensor_file, now);
    }

    /// Changes how many activations are kept for pulls.
    pub fn set_served_activations(&self, capacity: usize) {
        self.0.served().set_capacity(capacity);
    }

    /// Forgets everything that was kept for pulls (end of an epoch).
    pub fn clear_served(&self) {
        self.0.served().clear();
    }

    /// What was accepted and refused so far.
    pub fn counts(&self) -> PeerCounts {
        self.0.counters.read()
    }

    /// Says goodbye to all peers and stops accepting.
    pub async fn close(&self) {
        self.0.endpoint.close().await;
        let accepting = self.0.accepting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = accepting {
            // It ends with the endpoint; a panic in it was already reported by the runtime.
            let ended = task.await;
            drop(ended);
        }
    }
}

impl Shared {
    fn served(&self) -> std::sync::MutexGuard<'_, ServedCache> {
        self.served.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut Entropy) -> T) -> T {
        draw(&mut self.entropy.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Windows that bound what a connection can make us hold, and prompt acknowledgements: a receiver
/// enqueues a push only when its answer was acknowledged (spec 6.5), so a peer that delays its
/// acknowledgements delays the work.
fn transport(rules: &PeerConstants) -> QuicTransportConfig {
    let streams = u32::try_from(rules.streams_per_connection).unwrap_or(u32::MAX);
    let mut acknowledgements = AckFrequencyConfig::default();
    acknowledgements.max_ack_delay(Some(Duration::from_millis(1)));
    QuicTransportConfig::builder()
        .max_concurrent_bidi_streams(VarInt::from_u32(streams))
        .max_concurrent_uni_streams(VarInt::from_u32(streams))
        .receive_window(VarInt::from_u32(CONNECTION_WINDOW))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .ack_frequency_config(Some(acknowledgements))
        .build()
}

/// Bytes that all streams of one connection may have in flight.
const CONNECTION_WINDOW: u32 = 8 << 20;
/// Bytes that one stream may have in flight.
const STREAM_WINDOW: u32 = 4 << 20;
/// The same for a connection from a node that the registry does not list.
const STRANGER_WINDOW: u32 = 256 << 10;
/// Largest message of a node that may not push: a pull request.
const MAX_REQUEST: usize = 66 << 10;
const _: () = assert!(MAX_REQUEST < MAX_PEER_MESSAGE);
