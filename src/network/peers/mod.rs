//! Peer-to-peer transport over iroh QUIC (spec 6): one endpoint, both ALPNs. Incoming messages are
//! bounded in size, time and number, and their senders are checked against the registry by the
//! identity that QUIC proved, before anything of them reaches the trainer (spec 13, weaknesses 2,
//! 26, 27).

mod breaker;
mod counts;
pub mod identity;
mod inbound;
mod link;
mod outbound;
mod paths;
pub mod probe;
pub mod reach;
pub mod reachability;
mod served;
#[cfg(test)]
pub(crate) mod test_nodes;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, Range};
use std::sync::{Arc, Mutex, PoisonError};

use iroh::endpoint::RelayStatus;
use iroh::{Endpoint, Watcher as _};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::directory::{Directory, Move, MoveKind, NodeAddress};
use super::line::Line;
use super::traffic::Traffic;
use crate::clock::{Clock, Entropy, Moment};
use crate::config::constants::PeerConstants;
use crate::protocol::constants::MAX_PEER_MESSAGE;
use crate::protocol::ids::{ActivationId, Hotkey, NodeId, StageIndex};
use crate::protocol::messages::Direction;
use crate::protocol::p2p::RouteTags;
use crate::telemetry::spent::TimeSheet;
use crate::wallet::HotkeyPair;
use breaker::Breakers;
pub use breaker::{Blame, PeerRecord};
use counts::Counters;
pub use counts::PeerCounts;
pub use identity::{PeerIdentity, random_secret};
use link::Links;
pub use outbound::{PullError, PushError};
use paths::Paths;
pub use paths::{OpenPath, OpenedBy, PathKind};
pub use reach::{BindError, PeerReach, RelayChoice, RelayServer};
pub use reachability::{ReachFacts, Reachability, RelayState, Verdict};
use served::ServedCache;

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
    /// The line, on which activations go before weights.
    pub line: Line,
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
    /// Where it is noted what waits for the line.
    pub time: TimeSheet,
}

/// The peer-to-peer endpoint. A cheap handle; closed by [`Peers::close`].
#[derive(Clone)]
pub struct Peers(Arc<Shared>);

struct Shared {
    endpoint: Endpoint,
    line: Line,
    node: NodeId,
    reach: PeerReach,
    rules: PeerConstants,
    tags: RouteTags,
    hotkey: Arc<HotkeyPair>,
    directory: Directory,
    clock: Clock,
    entropy: Mutex<Entropy>,
    traffic: Traffic,
    time: TimeSheet,
    counters: Counters,
    served: Mutex<ServedCache>,
    links: Links,
    breakers: Breakers,
    paths: Paths,
    address: watch::Receiver<NodeAddress>,
    admission: Arc<dyn Admission>,
    forwards: mpsc::Sender<InboundPush>,
    backwards: mpsc::Sender<InboundPush>,
    /// Bytes of unfinished incoming messages that may still be held.
    inbound_bytes: Arc<Semaphore>,
    accepting: Mutex<Option<JoinHandle<()>>>,
    /// Tasks that watch something until the endpoint is closed.
    watching: Mutex<Vec<JoinHandle<()>>>,
}

impl fmt::Debug for Peers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peers").field("node", &self.0.node.as_str()).finish_non_exhaustive()
    }
}

impl Peers {
    /// Opens the endpoint and starts accepting. Must be called within a tokio runtime.
    pub async fn bind(
        setup: PeerSetup,
        admission: Arc<dyn Admission>,
    ) -> Result<(Self, PeerInbox), BindError> {
        let rules = setup.rules;
        let endpoint = setup.reach.open(&setup.secret, &rules).await?;
        let (forwards, forwards_out) = mpsc::channel(rules.inbound_queue.max(1));
        let (backwards, backwards_out) = mpsc::channel(rules.inbound_queue.max(1));
        let node = NodeId::from_bytes(endpoint.id().as_bytes());
        let own = setup.reach.own_address(&node, &endpoint, &endpoint.addr());
        let (address_in, address) = watch::channel(own);
        let moves = setup.directory.moves();
        let shared = Arc::new(Shared {
            node,
            line: setup.line,
            reach: setup.reach,
            hotkey: setup.hotkey,
            directory: setup.directory,
            clock: setup.clock,
            entropy: Mutex::new(setup.entropy),
            traffic: setup.traffic,
            time: setup.time,
            counters: Counters::default(),
            served: Mutex::new(ServedCache::new(setup.served_activations, rules.served_ttl)),
            tags: RouteTags::of_names(&rules.status_route, &rules.push_route),
            links: Links::new(rules.max_connections, rules.requests_per_peer),
            breakers: Breakers::new(&rules),
            paths: Paths::default(),
            address,
            admission,
            forwards,
            backwards,
            inbound_bytes: Arc::new(Semaphore::new(rules.max_inbound_bytes)),
            accepting: Mutex::new(None),
            watching: Mutex::default(),
            rules,
            endpoint,
        });
        let accepting = tokio::spawn(inbound::accept(Arc::clone(&shared)));
        *shared.accepting.lock().unwrap_or_else(PoisonError::into_inner) = Some(accepting);
        let watching = vec![
            tokio::spawn(follow_own_address(Arc::clone(&shared), address_in)),
            tokio::spawn(follow_moves(Arc::clone(&shared), moves)),
        ];
        *shared.watching.lock().unwrap_or_else(PoisonError::into_inner) = watching;
        let inbox = PeerInbox { forwards: forwards_out, backwards: backwards_out };
        Ok((Self(shared), inbox))
    }

    /// The own node id, as registered and published.
    pub fn node_id(&self) -> &NodeId {
        &self.0.node
    }

    /// Where this endpoint can be dialled now, as published in the registry.
    pub fn address(&self) -> NodeAddress {
        self.0.address.borrow().clone()
    }

    /// The same, as it changes: with the network, with what is learned about the routers in between,
    /// and with the relay.
    pub fn address_watch(&self) -> watch::Receiver<NodeAddress> {
        self.0.address.clone()
    }

    /// How reachable this machine is, in words.
    pub fn reachability(&self) -> Reachability {
        self.reach_facts().judge()
    }

    /// What is known about how reachable this machine is.
    pub fn reach_facts(&self) -> ReachFacts {
        let open = self.open_paths();
        let address = self.address();
        let mut best = BTreeMap::new();
        for path in &open {
            let kind = best.entry(&path.node).or_insert(path.kind);
            *kind = path.kind.min(*kind);
        }
        let count = |kind: PathKind| best.values().filter(|best| **best == kind).count();
        let relay = match &self.0.reach {
            PeerReach::Loopback => RelayState::Unused,
            PeerReach::Internet { relays: RelayChoice::None, .. } => RelayState::Unused,
            PeerReach::Internet { .. } => {
                let homes = self.0.endpoint.home_relay_status().get();
                let connected = homes.iter().any(RelayStatus::is_connected);
                if connected { RelayState::Connected } else { RelayState::Away }
            }
        };
        ReachFacts {
            outside: self.0.reach != PeerReach::Loopback,
            relay,
            public_address: address.direct.iter().any(|socket| paths::is_public(socket.ip())),
            direct: count(PathKind::Direct),
            nearby: count(PathKind::Nearby),
            relayed: count(PathKind::Relayed),
            came_directly: self.0.paths.came_directly(),
            port: self.0.endpoint.bound_sockets().first().map(std::net::SocketAddr::port),
        }
    }

    /// The connections that are open now, and the way of each.
    pub fn open_paths(&self) -> Vec<OpenPath> {
        self.0.paths.look()
    }

    /// How each peer fared that was asked for something.
    pub fn records(&self) -> Vec<(NodeId, PeerRecord)> {
        self.0.breakers.records()
    }

    /// Whether `node` failed so often that it is left alone for now.
    pub fn is_resting(&self, node: &NodeId) -> bool {
        self.0.breakers.rests_until(node, self.0.clock.now()).is_some()
    }

    /// Whether `from` was sent the forward of `activation`, whose gradient is still awaited.
    pub fn awaits_backward(&self, activation: &ActivationId, from: &NodeId) -> bool {
        self.0.admission.awaits_backward(activation, from)
    }

    /// What this network calls its routes.
    pub fn tags(&self) -> RouteTags {
        self.0.tags
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
        let watching =
            std::mem::take(&mut *self.0.watching.lock().unwrap_or_else(PoisonError::into_inner));
        for task in watching {
            task.abort();
        }
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

/// Keeps the own address as the endpoint knows it. When it changes, or the relay is back, peers that
/// did not answer may be tried again: it may have been our own network that was in the way.
async fn follow_own_address(shared: Arc<Shared>, address: watch::Sender<NodeAddress>) {
    let mut known = shared.endpoint.watch_addr();
    let mut relays = shared.endpoint.home_relay_status();
    let mut had_relay = false;
    loop {
        let has_relay = relays.get().iter().any(RelayStatus::is_connected);
        if has_relay && !had_relay {
            shared.breakers.revive_all();
        }
        had_relay = has_relay;
        let own = shared.reach.own_address(&shared.node, &shared.endpoint, &known.get());
        let moved = address.send_if_modified(|old| {
            let changed = *old != own;
            if changed {
                tracing::debug!(relay = own.relay_url, direct = ?own.direct, "own address");
                *old = own;
            }
            changed
        });
        if moved {
            shared.breakers.revive_all();
        }
        let more = tokio::select! {
            updated = known.updated() => updated.is_ok(),
            updated = relays.updated() => updated.is_ok(),
        };
        if !more {
            return;
        }
    }
}

/// Turns to a peer's new addresses when the registry says that it left the old ones, and drops what
/// a peer that was started anew has forgotten.
async fn follow_moves(shared: Arc<Shared>, mut moves: mpsc::UnboundedReceiver<Move>) {
    while let Some(Move { node, what }) = moves.recv().await {
        tracing::debug!(peer = node.as_str(), ?what, "the peer is not where or what it was");
        shared.breakers.revive(&node);
        match what {
            MoveKind::Elsewhere => {
                // As long as any connection is open, iroh goes on sending to the place that it
                // chose for the first of them, the old one.
                shared.paths.close_all(&node);
                if let Some(link) = shared.links.known(&node) {
                    link.moved().await;
                }
            }
            MoveKind::StartedAnew { ago } => {
                let now = shared.clock.now();
                if let Some(link) = shared.links.known(&node) {
                    link.forget_older(now, ago).await;
                }
            }
        }
    }
}

/// Bytes that all streams of a connection may have in flight that comes from a node that the registry
/// does not list.
const STRANGER_WINDOW: u32 = 256 << 10;
/// Largest message of a node that may not push: a pull request.
const MAX_REQUEST: usize = 66 << 10;
const _: () = assert!(MAX_REQUEST < MAX_PEER_MESSAGE);
