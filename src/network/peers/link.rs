//! Outgoing connections, one per peer and ALPN, kept for reuse; the least recently used goes first
//! (spec 6.9).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use iroh::endpoint::{Connection, VarInt};
use tokio::sync::{Mutex as AsyncMutex, Semaphore, watch};

use crate::clock::Moment;
use crate::config::constants::PeerConstants;
use crate::protocol::ids::NodeId;

/// Code with which a connection to addresses that a peer has left is closed.
pub(super) const MOVED: VarInt = VarInt::from_u32(2);

/// Which kind of streams a connection carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One way: statuses.
    Uni,
    /// Request and answer.
    Bi,
}

impl Kind {
    /// Its ALPN.
    pub(super) fn alpn(self, rules: &PeerConstants) -> &[u8] {
        match self {
            Self::Uni => rules.alpn_uni.as_bytes(),
            Self::Bi => rules.alpn_bi.as_bytes(),
        }
    }
}

/// A connection that we opened.
#[derive(Debug)]
pub(super) struct Dialled {
    pub(super) connection: Connection,
    /// How often the peer had moved when it was dialled.
    pub(super) moves: u64,
    /// When it was there.
    pub(super) at: Moment,
}

/// The way to one peer.
#[derive(Debug)]
pub(super) struct Link {
    /// Bounds the requests on their way.
    pub(super) requests: Semaphore,
    uni: AsyncMutex<Option<Dialled>>,
    bi: AsyncMutex<Option<Dialled>>,
    /// How often the peer moved.
    moves: watch::Sender<u64>,
}

impl Link {
    fn new(requests: usize) -> Self {
        Self {
            requests: Semaphore::new(requests.max(1)),
            uni: AsyncMutex::new(None),
            bi: AsyncMutex::new(None),
            moves: watch::Sender::new(0),
        }
    }

    /// Wakes whoever dials when the peer has moved meanwhile.
    pub(super) fn moves(&self) -> watch::Receiver<u64> {
        self.moves.subscribe()
    }

    /// The peer is elsewhere now: whoever dials starts again with its new addresses, and what is
    /// open to the old ones is closed, so that requests on it end at once and are sent again.
    pub(super) async fn moved(&self) {
        self.moves.send_modify(|moves| *moves += 1);
        let now = *self.moves.borrow();
        for kind in [Kind::Uni, Kind::Bi] {
            let mut slot = self.slot(kind).lock().await;
            // One that was dialled since goes to the new addresses already.
            if let Some(stale) = slot.take_if(|dialled| dialled.moves < now) {
                stale.connection.close(MOVED, b"moved");
            }
        }
    }

    /// The peer was started `ago` before `now`: what was dialled before that is dead.
    pub(super) async fn forget_older(&self, now: Moment, ago: Duration) {
        for kind in [Kind::Uni, Kind::Bi] {
            let mut slot = self.slot(kind).lock().await;
            if let Some(dead) = slot.take_if(|dialled| now.since(dialled.at) > ago) {
                dead.connection.close(MOVED, b"started anew");
            }
        }
    }

    /// The slot of one kind. Held locked while dialling, so that nobody dials twice.
    pub(super) fn slot(&self, kind: Kind) -> &AsyncMutex<Option<Dialled>> {
        match kind {
            Kind::Uni => &self.uni,
            Kind::Bi => &self.bi,
        }
    }

    /// Forgets `connection`, unless another took its place.
    pub(super) async fn discard(&self, kind: Kind, connection: &Connection) {
        let mut slot = self.slot(kind).lock().await;
        let same = |kept: &Dialled| kept.connection.stable_id() == connection.stable_id();
        if slot.as_ref().is_some_and(same) {
            *slot = None;
        }
    }
}

/// All links.
#[derive(Debug)]
pub(super) struct Links {
    most: usize,
    requests_per_peer: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    links: HashMap<NodeId, (Arc<Link>, u64)>,
    uses: u64,
}

impl Links {
    pub(super) fn new(most: usize, requests_per_peer: usize) -> Self {
        Self { most: most.max(1), requests_per_peer, kept: Mutex::default() }
    }

    /// The link to `node`, if there is one.
    pub(super) fn known(&self, node: &NodeId) -> Option<Arc<Link>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.links.get(node).map(|(link, _)| Arc::clone(link))
    }

    /// The link to `node`; made if there is none, at the cost of the least recently used one.
    pub(super) fn to(&self, node: &NodeId) -> Arc<Link> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let now = kept.uses;
        if let Some((link, used)) = kept.links.get_mut(node) {
            *used = now;
            return Arc::clone(link);
        }
        while kept.links.len() >= self.most {
            let oldest = kept.links.iter().min_by_key(|(_, (_, used))| *used);
            let Some(oldest) = oldest.map(|(node, _)| node.clone()) else { break };
            // Requests under way hold their own handle and finish on it.
            kept.links.remove(&oldest);
        }
        let link = Arc::new(Link::new(self.requests_per_peer));
        kept.links.insert(node.clone(), (Arc::clone(&link), now));
        link
    }

    /// How many are kept.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.kept.lock().unwrap().links.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_link_is_dropped() {
        let links = Links::new(2, 2);
        let node = |n| NodeId::from_bytes(&[n; 32]);
        let first = links.to(&node(1));
        let second = links.to(&node(2));
        assert!(Arc::ptr_eq(&first, &links.to(&node(1))));
        links.to(&node(3));
        assert_eq!(links.len(), 2);
        assert!(Arc::ptr_eq(&first, &links.to(&node(1))));
        assert!(!Arc::ptr_eq(&second, &links.to(&node(2))));
    }
}
