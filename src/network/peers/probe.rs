//! A look at how far this machine reaches, without joining anything: an endpoint with a key that is
//! thrown away, opened until its relay answers and says how the machine looks from outside.

use std::time::Duration;

use iroh::endpoint::RelayStatus;
use iroh::{Endpoint, Watcher as _};

use super::paths::is_public;
use super::{
    BindError, PeerReach, ReachFacts, Reachability, RelayChoice, RelayState, random_secret,
};
use crate::clock::{Clock, Entropy};
use crate::config::constants::PeerConstants;
use crate::protocol::ids::NodeId;

/// A relay that is connected says within this time how this machine looks from outside, unless UDP does
/// not get through.
const ADDRESS: Duration = Duration::from_secs(3);

/// What was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probed {
    /// Whether the relay answered.
    pub relay: RelayState,
    /// Which one it is, where one answered.
    pub relay_url: Option<String>,
    /// What that means for other miners.
    pub reachability: Reachability,
}

/// Opens an endpoint with `reach` and watches it until everything is known, at most for `limit`.
///
/// # Errors
/// [`BindError`] if it cannot be opened.
pub async fn probe(
    reach: &PeerReach,
    rules: &PeerConstants,
    clock: &Clock,
    entropy: &mut Entropy,
    limit: Duration,
) -> Result<Probed, BindError> {
    let endpoint = reach.open(&random_secret(entropy), rules).await?;
    let node = NodeId::from_bytes(endpoint.id().as_bytes());
    let mut address = endpoint.watch_addr();
    let mut relays = endpoint.home_relay_status();
    let mut look = || {
        let own = reach.own_address(&node, &endpoint, &address.get());
        let public = own.direct.iter().any(|socket| is_public(socket.ip()));
        let connected = relays.get().iter().any(RelayStatus::is_connected);
        (public, connected, own.relay_url)
    };
    let has_relay = match reach {
        PeerReach::Loopback => false,
        PeerReach::Internet { relays, .. } => *relays != RelayChoice::None,
    };
    if has_relay {
        // What is not known by then stays unknown; the verdict says so.
        until(&endpoint, clock, limit, || look().1).await;
        if look().1 {
            until(&endpoint, clock, limit.min(ADDRESS), || look().0).await;
        }
    }
    let (public_address, connected, relay_url) = look();
    let relay = match (has_relay, connected) {
        (false, _) => RelayState::Unused,
        (true, true) => RelayState::Connected,
        (true, false) => RelayState::Away,
    };
    let facts = ReachFacts {
        outside: *reach != PeerReach::Loopback,
        relay: relay.clone(),
        public_address,
        port: endpoint.bound_sockets().first().map(std::net::SocketAddr::port),
        ..ReachFacts::default()
    };
    endpoint.close().await;
    Ok(Probed { relay, relay_url: relay_url.filter(|_| connected), reachability: facts.judge() })
}

/// Waits until `known` is true, at most for `limit`.
async fn until(
    endpoint: &Endpoint,
    clock: &Clock,
    limit: Duration,
    mut known: impl FnMut() -> bool,
) {
    let (mut moved, mut changed) = (endpoint.watch_addr(), endpoint.home_relay_status());
    let wait = async {
        while !known() {
            let more = tokio::select! {
                updated = moved.updated() => updated.is_ok(),
                updated = changed.updated() => updated.is_ok(),
            };
            if !more {
                return;
            }
        }
    };
    // The caller looks again at what is known.
    let _ = clock.timeout(limit, wait).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::peers::Verdict;

    async fn seen(reach: &PeerReach) -> Probed {
        let rules = PeerConstants::default();
        let limit = Duration::from_millis(300);
        let mut entropy = Entropy::seeded(1, "probe");
        probe(reach, &rules, &Clock::system(), &mut entropy, limit).await.unwrap()
    }

    #[tokio::test]
    async fn a_machine_without_relay_is_not_asked_about_one() {
        let alone = seen(&PeerReach::Loopback).await;
        assert_eq!(alone.reachability.verdict, Verdict::ThisMachine);
        let reach = PeerReach::Internet { port: None, relays: RelayChoice::None };
        let open = seen(&reach).await;
        assert_eq!((open.relay, open.relay_url), (RelayState::Unused, None));
        assert_eq!(open.reachability.verdict, Verdict::Unknown);
    }

    #[tokio::test]
    async fn a_relay_that_does_not_answer_is_away() {
        // A port on which nobody listens: the system gave it out and took it back.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let relay = format!("http://127.0.0.1:{port}").parse().unwrap();
        let reach = PeerReach::Internet { port: None, relays: RelayChoice::Listed(vec![relay]) };
        let seen = seen(&reach).await;
        assert_eq!((seen.relay, seen.relay_url), (RelayState::Away, None));
    }
}
