//! The ways to other miners, put together from the registry, the endpoint's connections and the count
//! of what was sent and failed.

use std::collections::BTreeMap;

use crate::clock::Moment;
use crate::miner::board::Board;
use crate::miner::snapshot::links::{Failures, LinkView, LinkWay, MOST_LINKS};
use crate::network::peers::{OpenPath, PathKind, Peers};
use crate::protocol::NodeId;

/// Shows them.
pub(super) fn show(board: &Board, peers: &Peers) {
    let clock = board.clock();
    let links = links(peers, clock.now(), clock.unix_seconds());
    board.update(|snapshot| snapshot.measured.links = links);
}

fn links(peers: &Peers, now: Moment, unix: f64) -> Vec<LinkView> {
    let mut found: BTreeMap<NodeId, LinkView> = BTreeMap::new();
    let at = |moment: Moment| unix + seconds(moment) - seconds(now);
    for (node, record) in peers.records() {
        let link = found.entry(node).or_default();
        link.answered = record.answered;
        link.failures = Failures {
            own_line: record.failed_by_own_uplink,
            refused: record.refused,
            silent: record.failed_by_peer.saturating_sub(record.failed_at_relay),
            relay: record.failed_at_relay,
        };
        link.last_failure = record.last_failure;
        link.rests_until = record.rests_until.filter(|until| *until > now).map(at).map(f64::round);
        (link.sent, link.received) = (record.sent, record.received);
        link.push_speed = record.push_speed.map(f64::round);
        link.heard = record.heard.map(at).map(f64::round);
    }
    for OpenPath { node, kind, round_trip, .. } in peers.open_paths() {
        let link = found.entry(node).or_default();
        let way = match kind {
            PathKind::Direct => LinkWay::Direct,
            PathKind::Nearby => LinkWay::Nearby,
            PathKind::Relayed => LinkWay::Relayed,
        };
        // Of several connections with one node, the straightest is told of.
        if link.way.is_none_or(|known| rank(way) <= rank(known)) {
            // Tenths of a millisecond: more would only make figures flicker.
            let round_trip = (round_trip.as_secs_f64() * 1e4).round() / 10.0;
            (link.way, link.round_trip) = (Some(way), Some(round_trip));
        }
    }
    for peer in peers.directory().peers() {
        for node in peer.nodes {
            let link = found.entry(node.id).or_default();
            link.hotkey = Some(peer.hotkey.to_string());
            link.stage = peer.stage.map(|stage| stage.0);
            let said = peer.status.last_status_received.round();
            if said > link.heard.unwrap_or_default() {
                link.heard = Some(said);
            }
        }
    }
    let mut links: Vec<LinkView> = found
        .into_iter()
        .map(|(node, link)| LinkView { node: node.as_str().to_owned(), ..link })
        .filter(|link| link.way.is_some() || link.sent > 0 || link.received > 0 || link.failed())
        .collect();
    // Those with an open way first, then those heard last.
    links.sort_by(|a, b| {
        let heard = |link: &LinkView| link.heard.unwrap_or_default();
        (b.way.is_some(), heard(b))
            .partial_cmp(&(a.way.is_some(), heard(a)))
            .unwrap_or(std::cmp::Ordering::Equal)
    });
    links.truncate(MOST_LINKS);
    links.sort_by(|a, b| (a.stage, &a.hotkey, &a.node).cmp(&(b.stage, &b.hotkey, &b.node)));
    links
}

fn rank(way: LinkWay) -> u8 {
    match way {
        LinkWay::Direct => 0,
        LinkWay::Nearby => 1,
        LinkWay::Relayed => 2,
    }
}

fn seconds(moment: Moment) -> f64 {
    moment.0.as_secs_f64()
}
