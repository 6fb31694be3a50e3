//! The connections that are open now, both ways, and which path each takes: straight, within the
//! own network, or through a relay.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use iroh::TransportAddr;
use iroh::endpoint::{Connection, WeakConnectionHandle};

use super::link::MOVED;
use crate::protocol::ids::NodeId;

/// Connections that are tracked at most; beyond that the oldest are left out of the picture.
const TRACKED: usize = 4096;

/// How a peer is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PathKind {
    /// Straight, over the internet.
    Direct,
    /// Straight, within the own network or machine: says nothing about the internet.
    Nearby,
    /// Through a relay.
    Relayed,
}

/// Who opened a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenedBy {
    /// This machine.
    Us,
    /// The peer.
    Peer,
}

/// One open connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenPath {
    /// To whom.
    pub node: NodeId,
    /// Who opened it.
    pub opened_by: OpenedBy,
    /// Its way.
    pub kind: PathKind,
    /// There and back.
    pub round_trip: Duration,
}

#[derive(Debug)]
struct Tracked {
    node: NodeId,
    opened_by: OpenedBy,
    connection: WeakConnectionHandle,
}

/// All open connections.
#[derive(Debug, Default)]
pub(super) struct Paths {
    open: Mutex<Vec<Tracked>>,
    came_directly: AtomicBool,
}

impl Paths {
    /// Adds a connection; it leaves by itself when it is closed.
    pub(super) fn track(&self, node: &NodeId, opened_by: OpenedBy, connection: &Connection) {
        let tracked =
            Tracked { node: node.clone(), opened_by, connection: connection.weak_handle() };
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.push(tracked);
        if open.len() > TRACKED {
            open.retain(|tracked| live(&tracked.connection).is_some());
            let excess = open.len().saturating_sub(TRACKED);
            open.drain(..excess);
        }
    }

    /// What is open now.
    pub(super) fn look(&self) -> Vec<OpenPath> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut found = Vec::new();
        open.retain(|tracked| {
            let Some(connection) = live(&tracked.connection) else { return false };
            if let Some((kind, round_trip)) = way(&connection) {
                let (node, opened_by) = (tracked.node.clone(), tracked.opened_by);
                found.push(OpenPath { node, opened_by, kind, round_trip });
            }
            true
        });
        drop(open);
        let straight =
            |path: &OpenPath| path.opened_by == OpenedBy::Peer && path.kind == PathKind::Direct;
        if found.iter().any(straight) {
            self.came_directly.store(true, Ordering::Relaxed);
        }
        found
    }

    /// Whether the only open ways to `node` go through a relay.
    pub(super) fn is_relayed(&self, node: &NodeId) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let ways = open.iter().filter(|tracked| &tracked.node == node);
        let ways = ways.filter_map(|tracked| way(&live(&tracked.connection)?));
        let kinds: Vec<PathKind> = ways.map(|(kind, _)| kind).collect();
        !kinds.is_empty() && kinds.iter().all(|kind| *kind == PathKind::Relayed)
    }

    /// Closes every connection with `node`, whoever opened it.
    pub(super) fn close_all(&self, node: &NodeId) {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for tracked in open.iter().filter(|tracked| &tracked.node == node) {
            if let Some(connection) = live(&tracked.connection) {
                connection.close(MOVED, b"moved");
            }
        }
    }

    /// Whether a peer from outside was ever seen to come straight to this machine.
    pub(super) fn came_directly(&self) -> bool {
        self.came_directly.load(Ordering::Relaxed)
    }
}

fn live(handle: &WeakConnectionHandle) -> Option<Connection> {
    handle.upgrade().filter(|connection| connection.close_reason().is_none())
}

/// The path that a connection sends on; none before it has chosen.
fn way(connection: &Connection) -> Option<(PathKind, Duration)> {
    let paths = connection.paths();
    let path = paths.iter().find(|path| path.is_selected())?;
    let kind = match path.remote_addr() {
        TransportAddr::Ip(socket) if is_public(socket.ip()) => PathKind::Direct,
        TransportAddr::Ip(_) => PathKind::Nearby,
        _ => PathKind::Relayed,
    };
    Some((kind, path.rtt()))
}

/// Whether an address can be that of a machine on the internet.
pub(super) fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            // 100.64/10: what providers give to customers that share an address.
            let shared = a == 100 && (64..128).contains(&b);
            let here = v4.is_loopback() || v4.is_unspecified() || v4.is_link_local();
            !(here || shared || v4.is_private() || v4.is_multicast() || v4.is_broadcast())
        }
        IpAddr::V6(v6) => {
            let here = v6.is_loopback() || v6.is_unspecified() || v6.is_unicast_link_local();
            !(here || v6.is_unique_local() || v6.is_multicast())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_homes_and_providers_are_not_public() {
        for ip in
            ["127.0.0.1", "192.168.1.2", "10.1.2.3", "172.20.0.1", "100.64.0.1", "169.254.1.1"]
                .into_iter()
                .chain(["::1", "fe80::1", "fd00::1", "::ffff:192.168.1.2", "224.0.0.1", "0.0.0.0"])
        {
            assert!(!is_public(ip.parse().unwrap()), "{ip}");
        }
        for ip in ["203.0.113.5", "100.128.0.1", "172.32.0.1", "2001:db8::1", "::ffff:9.9.9.9"] {
            assert!(is_public(ip.parse().unwrap()), "{ip}");
        }
    }
}
