//! The publisher over real QUIC: who gets what, how often, and what is reported.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering as AtomicOrdering;

use super::*;
use crate::config::constants::PeerConstants;
use crate::network::peers::test_nodes::{Node, introduce};

/// For peers that all live: a busy machine may take its time to connect.
fn peer_rules() -> PeerConstants {
    PeerConstants { connect_timeout: Duration::from_secs(20), ..impatient() }
}

/// For peers of which one is dead.
fn impatient() -> PeerConstants {
    PeerConstants {
        connect_timeout: Duration::from_secs(1),
        first_retry_pause: Duration::from_millis(5),
        attempts: 1,
        ..PeerConstants::default()
    }
}

fn rules() -> PublisherConstants {
    PublisherConstants {
        first_retry_pause: Duration::from_millis(5),
        no_peer_pause: Duration::from_millis(20),
        ..PublisherConstants::default()
    }
}

struct Bench {
    publisher: Publisher,
    results: mpsc::UnboundedReceiver<Published>,
    sent: SentForwards,
    clock: Clock,
}

fn publisher(from: &Node, rules: PublisherConstants) -> Bench {
    let (sent, clock) = (SentForwards::new(), Clock::system());
    let (publisher, results) = Publisher::start(PublisherSetup {
        peers: from.peers.clone(),
        hotkey: from.hotkey.address().clone(),
        sent: sent.clone(),
        rules,
        clock: clock.clone(),
        entropy: Entropy::seeded(1, "publisher"),
    });
    Bench { publisher, results, sent, clock }
}

impl Bench {
    fn publish(&self, id: &str, direction: Direction, target: Target) {
        let outbound = Outbound {
            activation: id.into(),
            direction,
            tensor_file: Arc::new(vec![7; 1000]),
            sample_path: Some("http://sample".to_owned()),
            source: StageIndex(1),
            target,
        };
        self.publisher.publish(outbound, self.clock.now());
    }

    fn forward(&self, id: &str) {
        self.publish(id, Direction::Forward, Target::AnyOf(StageIndex(2)));
    }

    async fn result(&mut self) -> Published {
        let waited = self.clock.timeout(Duration::from_secs(60), self.results.recv()).await;
        waited.expect("a result within 60 s").unwrap()
    }
}

/// A miner of stage 1, and one of stage 2 for each number.
async fn stages<const N: usize>(numbers: [u8; N]) -> (Node, Vec<Node>) {
    stages_of(Node::start(1, 1, peer_rules()).await, numbers).await
}

/// The same; the first of stage 2 is dead.
async fn stages_with_a_dead_one<const N: usize>(numbers: [u8; N]) -> (Node, Vec<Node>) {
    let (own, next) = stages_of(Node::start(1, 1, impatient()).await, numbers).await;
    next[0].peers.close().await;
    (own, next)
}

async fn stages_of<const N: usize>(own: Node, numbers: [u8; N]) -> (Node, Vec<Node>) {
    let mut next = Vec::new();
    for number in numbers {
        next.push(Node::start(number, 2, peer_rules()).await);
    }
    let mut all: Vec<&Node> = next.iter().collect();
    all.push(&own);
    introduce(&all);
    (own, next)
}

#[tokio::test]
async fn a_forward_arrives_once_and_is_noted_for_its_gradient() {
    let (own, mut next) = stages([2]).await;
    let mut bench = publisher(&own, rules());
    bench.forward("a");
    let got = next[0].inbox.forwards.recv().await.unwrap();
    assert!(bench.sent.went_to(&"a".into(), next[0].id()), "noted before it arrives");
    assert_eq!(&*got.tensor_file, &[7; 1000]);
    assert_eq!(got.sample_path.as_deref(), Some("http://sample"));
    let published = bench.result().await;
    let Outcome::Delivered { to, tries: 1, .. } = published.outcome else {
        panic!("{published:?}")
    };
    assert_eq!(&to, next[0].id());
    assert_eq!(bench.publisher.pending(), 0);
    assert!(next[0].inbox.forwards.try_recv().is_err());
}

#[tokio::test]
async fn many_forwards_are_spread_over_the_peers_and_each_arrives_once() {
    let (own, mut next) = stages([2, 3]).await;
    let mut bench = publisher(&own, rules());
    let mut count = BTreeMap::<String, usize>::new();
    for n in 0..60 {
        bench.forward(&format!("{n}"));
    }
    for _ in 0..60 {
        assert!(matches!(bench.result().await.outcome, Outcome::Delivered { .. }));
    }
    let clock = Clock::system();
    let mut shares = Vec::new();
    for node in &mut next {
        let mut share = 0;
        // What was delivered is enqueued as soon as our acknowledgement is back there.
        let patience = Duration::from_millis(200);
        while let Ok(Some(got)) = clock.timeout(patience, node.inbox.forwards.recv()).await {
            *count.entry(got.activation.0).or_default() += 1;
            share += 1;
        }
        shares.push(share);
    }
    assert_eq!(count.len(), 60);
    assert!(count.values().all(|times| *times == 1));
    assert!(shares.iter().all(|share| *share > 10), "{shares:?}");
}

#[tokio::test]
async fn a_refused_forward_goes_to_another_peer_without_using_up_a_try() {
    let (own, mut next) = stages([2, 3]).await;
    next[0].answers.trains.store(false, AtomicOrdering::SeqCst);
    let slow = PublisherConstants { no_peer_pause: Duration::from_secs(3600), ..rules() };
    let mut bench = publisher(&own, slow);
    for n in 0..10 {
        bench.forward(&format!("{n}"));
    }
    for _ in 0..10 {
        let published = bench.result().await;
        let Outcome::Delivered { to, tries: 1, .. } = published.outcome else {
            panic!("{published:?}");
        };
        assert_eq!(&to, next[1].id());
    }
    assert!(next[0].inbox.forwards.try_recv().is_err());
    assert!(next[0].peers.counts().pushes_not_training > 0, "it was asked");
}

#[tokio::test]
async fn a_forward_waits_for_a_peer_and_a_gradient_for_its_own() {
    let (own, mut next) = stages([2]).await;
    own.knows(Vec::new());
    let mut bench = publisher(&own, rules());
    bench.forward("a");
    Clock::system().sleep(Duration::from_millis(60)).await;
    assert_eq!(bench.publisher.pending(), 1);
    own.knows(vec![next[0].entry()]);
    let published = bench.result().await;
    assert!(matches!(published.outcome, Outcome::Delivered { tries: 1, .. }), "{published:?}");
    assert!(next[0].inbox.forwards.recv().await.is_some());
}

#[tokio::test]
async fn a_gradient_keeps_its_target_even_if_it_left_the_registry() {
    let own = Node::start(1, 1, peer_rules()).await;
    let mut before = Node::start(2, 0, peer_rules()).await;
    introduce(&[&own, &before]);
    own.knows(Vec::new());
    let asked = ("a".into(), own.id().clone());
    let mut bench = publisher(&own, rules());
    let target = Target::Nodes(vec![before.id().clone()], StageIndex(0));
    bench.publish("a", Direction::Backward, target);
    // Refused until it is awaited there; that uses up no try.
    Clock::system().sleep(Duration::from_millis(200)).await;
    before.answers.awaited.lock().unwrap().insert(asked);
    let published = bench.result().await;
    assert!(matches!(published.outcome, Outcome::Delivered { tries: 1, .. }), "{published:?}");
    assert!(before.inbox.backwards.recv().await.is_some());
    assert!(!bench.sent.went_to(&"a".into(), before.id()), "a gradient is no forward");
}

#[tokio::test]
async fn forwards_go_round_a_dead_peer_and_a_gradient_waits_for_it() {
    let (own, mut next) = stages_with_a_dead_one([2, 3]).await;
    let mut bench = publisher(&own, rules());
    for n in 0..40 {
        bench.forward(&format!("{n}"));
    }
    for _ in 0..40 {
        let published = bench.result().await;
        let Outcome::Delivered { to, .. } = published.outcome else { panic!("{published:?}") };
        assert_eq!(&to, next[1].id());
    }
    // What was delivered is enqueued as soon as our acknowledgement is back there.
    for _ in 0..40 {
        assert!(next[1].inbox.forwards.recv().await.is_some());
    }
    assert!(next[1].inbox.forwards.try_recv().is_err(), "each arrives once");
    assert!(own.peers.is_resting(next[0].id()));
    let target = Target::Nodes(vec![next[0].id().clone()], StageIndex(2));
    bench.publish("g", Direction::Backward, target);
    Clock::system().sleep(Duration::from_millis(200)).await;
    assert_eq!(bench.publisher.pending(), 1, "no try is used up while its target rests");
}

#[tokio::test]
async fn tries_and_time_run_out() {
    let (own, _next) = stages_with_a_dead_one([2]).await;
    let few = PublisherConstants { max_tries: 2, ..rules() };
    let mut bench = publisher(&own, few);
    bench.forward("a");
    let published = bench.result().await;
    let Outcome::Dropped(Dropped::Tries { tries: 2, .. }) = published.outcome else {
        panic!("{published:?}");
    };

    own.knows(Vec::new());
    let soon = PublisherConstants { deadline: Duration::from_millis(50), ..rules() };
    let mut bench = publisher(&own, soon);
    bench.forward("b");
    let published = bench.result().await;
    let Outcome::Dropped(Dropped::Deadline { last, .. }) = published.outcome else {
        panic!("{published:?}");
    };
    assert!(last.contains("no peer"), "{last}");
}

#[tokio::test]
async fn clearing_drops_what_waits_and_what_is_under_way() {
    let (own, _next) = stages_with_a_dead_one([2]).await;
    let mut bench = publisher(&own, rules());
    for n in 0..20 {
        bench.forward(&format!("{n}"));
    }
    bench.publisher.clear();
    let clock = Clock::system();
    for _ in 0..500 {
        if bench.publisher.pending() == 0 {
            break;
        }
        clock.sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bench.publisher.pending(), 0);
    assert!(bench.results.try_recv().is_err());
}
