//! Links as homes have them: real processes in network namespaces behind routers of every kind, with
//! the project's own relay. Asserted: whether traffic goes directly or through the relay, that it
//! flows, and that the sentence about reachability is right. And, without namespaces: a process that
//! is killed and comes back elsewhere gets traffic again within ten seconds.
//!
//! The namespaces need Linux, root, `ip` and `nft`; where one is missing, their tests say so in one
//! line and pass. Nothing outside the namespaces is ever contacted.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod lab;
mod node;

use std::time::{Duration, Instant};

use lab::{Lab, Nat};
use node::{Part, Process, Relay, Told, bridge, relay};

/// Not a test of its own: the processes of the other tests are this test, started again with a part
/// to play.
#[test]
fn plays_its_part_when_it_is_given_one() {
    node::play();
}

/// Longest time until two homes talk the way that their routers allow.
const SETTLE: Duration = Duration::from_secs(40);

/// Two homes with a relay and a registry between them.
struct World {
    relay: Relay,
    homes: [Process; 2],
    _bridge: Process,
    lab: Lab,
}

/// Starts everything; nothing where namespaces cannot be made.
fn world(routers: [Nat; 2]) -> Option<World> {
    let lab = Lab::new(&routers)?;
    let bridge = bridge(lab.public(), "203.0.113.1");
    let relay = relay(lab.public(), 3340);
    let home = |stage: usize| {
        let part = Part::Node {
            stage,
            bridge: bridge.url(),
            relay: Some(Box::new(relay.told())),
            name: u8::try_from(stage).unwrap() + 1,
        };
        Process::start(lab.home(stage), &part)
    };
    let homes = [home(0), home(1)];
    Some(World { relay, homes, _bridge: bridge, lab })
}

impl World {
    /// Waits until both homes have `verdict` and exchange activations and gradients.
    #[track_caller]
    fn settles_as(&self, verdict: &str) -> [Told; 2] {
        self.eventually(SETTLE, |a, b| {
            let flows = a.backwards > 5 && b.forwards > 5;
            flows && a.verdict == verdict && b.verdict == verdict
        })
    }

    /// Waits until `is` holds for what both homes say.
    #[track_caller]
    fn eventually(&self, limit: Duration, is: impl Fn(&Told, &Told) -> bool) -> [Told; 2] {
        let start = Instant::now();
        loop {
            let told = [self.homes[0].told(), self.homes[1].told()];
            if is(&told[0], &told[1]) {
                return told;
            }
            assert!(
                start.elapsed() < limit,
                "not within {limit:?}: {told:#?}\n{}",
                self.lab.look()
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Asserts that the verdict stays for a while and traffic goes on.
    #[track_caller]
    fn stays(&self, verdict: &str) {
        let before = self.homes[0].told();
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(6) {
            for home in &self.homes {
                assert_eq!(home.told().verdict, verdict, "{:#?}", home.told());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let after = self.homes[0].told();
        assert!(after.backwards > before.backwards + 5, "traffic stopped: {before:?} {after:?}");
    }
}

#[track_caller]
fn direct(routers: [Nat; 2]) {
    let Some(world) = world(routers) else { return };
    let told = world.settles_as("Direct");
    for told in told {
        assert!(told.sentence.contains("directly"), "{told:?}");
        assert_eq!(told.advice, None, "{told:?}");
    }
    world.stays("Direct");
}

#[track_caller]
fn relayed(routers: [Nat; 2]) {
    let Some(world) = world(routers) else { return };
    let told = world.settles_as("Relayed");
    for told in told {
        assert!(told.sentence.contains("let no direct connection through"), "{told:?}");
        assert!(told.advice.as_ref().is_some_and(|a| a.contains("forward UDP port")), "{told:?}");
    }
    world.stays("Relayed");
}

#[test]
fn full_cone_and_symmetric_homes_talk_directly() {
    direct([Nat::FullCone, Nat::Symmetric]);
}

#[test]
fn full_cone_and_port_restricted_homes_talk_directly() {
    direct([Nat::FullCone, Nat::PortRestricted]);
}

#[test]
fn two_port_restricted_homes_talk_directly() {
    direct([Nat::PortRestricted, Nat::PortRestricted]);
}

#[test]
fn two_symmetric_homes_talk_through_the_relay() {
    relayed([Nat::Symmetric, Nat::Symmetric]);
}

#[test]
fn a_symmetric_and_a_port_restricted_home_talk_through_the_relay() {
    relayed([Nat::Symmetric, Nat::PortRestricted]);
}

#[test]
fn a_home_without_udp_talks_through_the_relay_and_is_told_why() {
    let Some(world) = world([Nat::NoUdp, Nat::FullCone]) else { return };
    let [blocked, other] = world.settles_as("Relayed");
    assert!(blocked.sentence.contains("UDP does not get out"), "{blocked:?}");
    assert!(blocked.advice.unwrap().contains("Allow outgoing UDP"));
    assert!(other.sentence.contains("through a relay"), "{other:?}");
    world.stays("Relayed");
}

#[test]
fn direct_traffic_outlives_the_relay() {
    let Some(mut world) = world([Nat::FullCone, Nat::PortRestricted]) else { return };
    world.settles_as("Direct");
    world.relay.die();
    let limit = Duration::from_secs(60);
    let told = world.eventually(limit, |a, b| [a, b].iter().all(|told| told.advice.is_some()));
    for told in told {
        assert_eq!(told.verdict, "Direct", "{told:?}");
        assert!(told.advice.unwrap().contains("relay does not answer"));
    }
    world.stays("Direct");
}

#[test]
fn relayed_traffic_comes_back_with_the_relay_and_meanwhile_it_is_said() {
    let Some(mut world) = world([Nat::Symmetric, Nat::Symmetric]) else { return };
    world.settles_as("Relayed");
    world.relay.die();
    let limit = Duration::from_secs(60);
    world.eventually(limit, |a, b| {
        [a, b].iter().all(|told| told.relay == "Away" && told.verdict != "Relayed")
    });
    let before = world.homes[0].told();
    world.relay.come_back();
    let told = world.eventually(limit, |a, b| {
        [a, b].iter().all(|told| told.verdict == "Relayed") && a.backwards > before.backwards + 5
    });
    assert!(told[0].sentence.contains("relay"), "{told:?}");
}

#[test]
fn a_process_that_is_killed_and_comes_back_elsewhere_has_traffic_within_ten_seconds() {
    let bridge = bridge(None, "127.0.0.1");
    let part = |stage: u8| Part::Node {
        stage: usize::from(stage),
        bridge: bridge.url(),
        relay: None,
        name: stage + 1,
    };
    let first = Process::start(None, &part(0));
    let mut second = Process::start(None, &part(1));
    until(Duration::from_secs(20), || first.told().backwards > 10, || first.told());
    let old = second.told().direct;
    second.kill();
    std::thread::sleep(Duration::from_secs(3));
    let before = first.told();
    let start = Instant::now();
    second = Process::start(None, &part(1));
    until(Duration::from_secs(10), || first.told().backwards > before.backwards, || first.told());
    println!("traffic again {:?} after the restart", start.elapsed());
    until(Duration::from_secs(10), || second.told().forwards > 5, || second.told());
    assert_ne!(second.told().direct, old, "it has other addresses now");
    assert_eq!(second.told().node, first.told().peer, "and is the same node");
}

#[track_caller]
fn until(limit: Duration, done: impl Fn() -> bool, state: impl Fn() -> Told) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {:#?}", state());
        std::thread::sleep(Duration::from_millis(50));
    }
}
