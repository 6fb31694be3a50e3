//! Outgoing connections, one per peer and ALPN, kept for reuse; the least recently used goes first
//! (spec 6.9).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use iroh::endpoint::Connection;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};

use crate::protocol::constants::{ALPN_BI, ALPN_UNI};
use crate::protocol::ids::NodeId;

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
    pub(super) fn alpn(self) -> &'static [u8] {
        match self {
            Self::Uni => ALPN_UNI,
            Self::Bi => ALPN_BI,
        }
    }
}

/// The way to one peer.
#[derive(Debug)]
pub(super) struct Link {
    /// Bounds the requests on their way.
    pub(super) requests: Semaphore,
    uni: AsyncMutex<Option<Connection>>,
    bi: AsyncMutex<Option<Connection>>,
}

impl Link {
    fn new(requests: usize) -> Self {
        Self {
            requests: Semaphore::new(requests.max(1)),
            uni: AsyncMutex::new(None),
            bi: AsyncMutex::new(None),
        }
    }

    /// The slot of one kind. Held locked while dialling, so that nobody dials twice.
    pub(super) fn slot(&self, kind: Kind) -> &AsyncMutex<Option<Connection>> {
        match kind {
            Kind::Uni => &self.uni,
            Kind::Bi => &self.bi,
        }
    }

    /// Forgets `connection`, unless another took its place.
    pub(super) async fn discard(&self, kind: Kind, connection: &Connection) {
        let mut slot = self.slot(kind).lock().await;
        if slot.as_ref().is_some_and(|kept| kept.stable_id() == connection.stable_id()) {
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
