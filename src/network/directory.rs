//! Who is there: the read model of the node registry, overlaid with what the peers said about
//! themselves. The registry task writes it; peers, publisher and screen read it. Registry data are
//! hints that anybody can write (spec 13, weakness 3): nothing here proves more than that.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;

use crate::protocol::ids::{Hotkey, NodeId, StageIndex};
use crate::protocol::messages::PeerStatus;

/// Addresses of peers that left the registry and are still remembered, since a gradient goes back to
/// where its forward came from (spec 6.10).
const REMEMBERED: usize = 1024;

/// Another miner, as the registry has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    /// Who it says it is.
    pub hotkey: Hotkey,
    /// Its stage, from its group `layer-N`.
    pub stage: Option<StageIndex>,
    /// Where it can be reached.
    pub nodes: Vec<NodeAddress>,
    /// Its status: from its own broadcasts if one came, else from the registry.
    pub status: PeerStatus,
    /// When it last said that it lives, Unix seconds by its own clock.
    pub last_keepalive: f64,
}

impl Peer {
    /// Whether anything can be sent to it.
    pub fn is_routable(&self) -> bool {
        self.nodes.iter().any(NodeAddress::is_dialable)
    }
}

/// A node id with the addresses it can be dialled at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAddress {
    /// Its public key.
    pub id: NodeId,
    /// A relay that reaches it.
    pub relay_url: Option<String>,
    /// Sockets.
    pub direct: Vec<SocketAddr>,
}

impl NodeAddress {
    /// Whether there is any way to it.
    pub fn is_dialable(&self) -> bool {
        self.relay_url.is_some() || !self.direct.is_empty()
    }

    /// Whether the node left every place where it was before, as one does that was started anew.
    /// A place more or less is no move: connections find out about those themselves.
    pub fn moved_from(&self, before: &Self) -> bool {
        if before.direct.is_empty() {
            return before.relay_url.is_some() && before.relay_url != self.relay_url;
        }
        !self.direct.iter().any(|socket| before.direct.contains(socket))
    }
}

/// A node is not what or where it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Which.
    pub node: NodeId,
    /// What happened.
    pub what: MoveKind,
}

/// What happened to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveKind {
    /// Nothing is left of its old addresses.
    Elsewhere,
    /// Its process is another one.
    StartedAnew {
        /// For how long it runs, as it says.
        ago: Duration,
    },
}

fn tell(listeners: &mut Vec<mpsc::UnboundedSender<Move>>, news: &Move) {
    listeners.retain(|listener| listener.send(news.clone()).is_ok());
}

/// The shared read model. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Directory(Arc<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    peers: Vec<Peer>,
    /// Statuses that came from the peers themselves, with their arrival times.
    heard: HashMap<Hotkey, PeerStatus>,
    addresses: HashMap<NodeId, NodeAddress>,
    /// Nodes in the order they came, for forgetting the oldest that left.
    order: VecDeque<NodeId>,
    /// Who is told of nodes that moved.
    listeners: Vec<mpsc::UnboundedSender<Move>>,
}

impl Directory {
    /// An empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over what the registry says now; gives the nodes whose addresses changed. `peers` must
    /// not contain the own entry.
    pub fn replace(&self, peers: Vec<Peer>) -> Vec<NodeId> {
        let mut book = self.lock();
        let known: HashSet<&Hotkey> = peers.iter().map(|peer| &peer.hotkey).collect();
        book.heard.retain(|hotkey, _| known.contains(hotkey));
        book.peers = peers;
        book.overlay();
        book.remember_addresses()
    }

    /// Nodes that moved to other addresses, or were started anew, from now on.
    pub fn moves(&self) -> mpsc::UnboundedReceiver<Move> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.lock().listeners.push(sender);
        receiver
    }

    /// A status that came from `hotkey` itself over a checked connection; `status` has its arrival
    /// time. Ignored unless the registry lists the hotkey.
    pub fn hear(&self, hotkey: &Hotkey, status: PeerStatus) {
        let mut guard = self.lock();
        let book = &mut *guard;
        let Some(peer) = book.peers.iter_mut().find(|peer| &peer.hotkey == hotkey) else { return };
        peer.status = status.clone();
        let uptime = status.uptime_seconds;
        let before = book.heard.insert(hotkey.clone(), status);
        // One that was started anew has forgotten its connections, whatever its addresses are.
        if before.is_some_and(|before| uptime < before.uptime_seconds) {
            let ago = Duration::try_from_secs_f64(uptime).unwrap_or_default();
            for node in &peer.nodes {
                let what = MoveKind::StartedAnew { ago };
                tell(&mut book.listeners, &Move { node: node.id.clone(), what });
            }
        }
    }

    /// All other miners of the run.
    pub fn peers(&self) -> Vec<Peer> {
        self.lock().peers.clone()
    }

    /// The miners of one stage.
    pub fn peers_of(&self, stage: StageIndex) -> Vec<Peer> {
        self.lock().peers.iter().filter(|peer| peer.stage == Some(stage)).cloned().collect()
    }

    /// The miners that claim this node. More than one only if somebody lies.
    pub fn claimants(&self, node: &NodeId) -> Vec<(Hotkey, Option<StageIndex>)> {
        let book = self.lock();
        let claims = |peer: &&Peer| peer.nodes.iter().any(|known| &known.id == node);
        let claimants = book.peers.iter().filter(claims);
        claimants.map(|peer| (peer.hotkey.clone(), peer.stage)).collect()
    }

    /// Where `node` was last said to be, even if it has left since.
    pub fn address_of(&self, node: &NodeId) -> Option<NodeAddress> {
        self.lock().addresses.get(node).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn overlay(&mut self) {
        for peer in &mut self.peers {
            if let Some(status) = self.heard.get(&peer.hotkey) {
                peer.status = status.clone();
            }
        }
    }

    fn remember_addresses(&mut self) -> Vec<NodeId> {
        let mut changed = Vec::new();
        for node in self.peers.iter().flat_map(|peer| &peer.nodes) {
            if self.addresses.get(&node.id) == Some(node) {
                continue;
            }
            match self.addresses.insert(node.id.clone(), node.clone()) {
                None => self.order.push_back(node.id.clone()),
                Some(before) if node.moved_from(&before) => {
                    let what = MoveKind::Elsewhere;
                    tell(&mut self.listeners, &Move { node: node.id.clone(), what });
                }
                Some(_) => {}
            }
            changed.push(node.id.clone());
        }
        self.forget_oldest();
        changed
    }

    /// Drops the oldest nodes that are no longer listed, beyond what is remembered.
    fn forget_oldest(&mut self) {
        let listed: HashSet<&NodeId> =
            self.peers.iter().flat_map(|peer| &peer.nodes).map(|node| &node.id).collect();
        let mut excess = self.order.len().saturating_sub(listed.len() + REMEMBERED);
        let addresses = &mut self.addresses;
        self.order.retain(|node| {
            let keep = excess == 0 || listed.contains(node);
            if !keep {
                excess -= 1;
                addresses.remove(node);
            }
            keep
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u8, stage: usize, port: u16) -> Peer {
        Peer {
            hotkey: Hotkey::from_public_key(&[n; 32]),
            stage: Some(StageIndex(stage)),
            nodes: vec![NodeAddress {
                id: NodeId::from_bytes(&[n; 32]),
                relay_url: None,
                direct: vec![SocketAddr::from(([127, 0, 0, 1], port))],
            }],
            status: PeerStatus::default(),
            last_keepalive: 0.0,
        }
    }

    #[test]
    fn changed_addresses_are_named_once() {
        let directory = Directory::new();
        assert_eq!(directory.replace(vec![peer(1, 0, 10), peer(2, 1, 11)]).len(), 2);
        assert_eq!(directory.replace(vec![peer(1, 0, 10), peer(2, 1, 11)]).len(), 0);
        let changed = directory.replace(vec![peer(1, 0, 10), peer(2, 1, 12)]);
        assert_eq!(changed, vec![NodeId::from_bytes(&[2; 32])]);
        assert_eq!(directory.peers_of(StageIndex(1)).len(), 1);
    }

    #[test]
    fn a_node_moved_only_if_nothing_of_its_old_places_is_left() {
        let directory = Directory::new();
        let mut moves = directory.moves();
        let places = |relay: Option<&str>, ports: &[u16]| {
            let mut peer = peer(1, 0, 10);
            peer.nodes[0].relay_url = relay.map(str::to_owned);
            peer.nodes[0].direct =
                ports.iter().map(|port| SocketAddr::from(([127, 0, 0, 1], *port))).collect();
            vec![peer]
        };
        let (a, b) = (Some("https://a"), Some("https://b"));
        for (relay, ports, moved) in [
            (a, &[10][..], false),
            (a, &[10, 11], false),
            (b, &[11], false),
            (b, &[12], true),
            (b, &[], true),
            (a, &[], true),
            (a, &[13], false),
        ] {
            directory.replace(places(relay, ports));
            assert_eq!(moves.try_recv().is_ok(), moved, "{relay:?} {ports:?}");
        }
    }

    #[test]
    fn a_peer_that_says_that_it_runs_for_less_time_than_before_was_started_anew() {
        let directory = Directory::new();
        let mut moves = directory.moves();
        let one = peer(1, 0, 10);
        directory.replace(vec![one.clone()]);
        for (uptime_seconds, anew) in [(5.0, false), (9.0, false), (1.0, true), (2.0, false)] {
            let status = PeerStatus { uptime_seconds, ..PeerStatus::default() };
            directory.hear(&one.hotkey, status);
            assert_eq!(moves.try_recv().is_ok(), anew, "{uptime_seconds}");
        }
    }

    #[test]
    fn a_heard_status_outlives_pulls_and_dies_with_its_entry() {
        let directory = Directory::new();
        let hotkey = peer(1, 0, 10).hotkey;
        let status = PeerStatus { cache_size: 7, ..PeerStatus::default() };
        directory.hear(&hotkey, status.clone());
        directory.replace(vec![peer(1, 0, 10)]);
        assert_eq!(directory.peers()[0].status.cache_size, 0, "unknown then, so ignored");
        directory.hear(&hotkey, status);
        directory.replace(vec![peer(1, 0, 10)]);
        assert_eq!(directory.peers()[0].status.cache_size, 7);
        directory.replace(vec![]);
        directory.replace(vec![peer(1, 0, 10)]);
        assert_eq!(directory.peers()[0].status.cache_size, 0);
    }

    #[test]
    fn addresses_of_those_who_left_are_kept_up_to_a_limit() {
        let directory = Directory::new();
        directory.replace(vec![peer(1, 0, 10)]);
        directory.replace(vec![]);
        let node = NodeId::from_bytes(&[1; 32]);
        assert!(directory.address_of(&node).is_some());
        assert!(directory.claimants(&node).is_empty());
        for round in 0..=REMEMBERED {
            let mut other = peer(2, 1, 11);
            let mut key = [7; 32];
            key[..8].copy_from_slice(&round.to_le_bytes());
            other.nodes[0].id = NodeId::from_bytes(&key);
            directory.replace(vec![other]);
        }
        assert!(directory.address_of(&node).is_none());
    }
}
