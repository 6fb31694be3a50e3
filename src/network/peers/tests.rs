//! Real QUIC on loopback: honest miners, and attackers with raw endpoints.

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use iroh::endpoint::VarInt;

use super::test_nodes::{LARGEST, Node, Raw, introduce};
use super::*;
use crate::protocol::constants::{ALPN_BI, ALPN_UNI};
use crate::protocol::messages::{MinerStatus, PeerStatus};
use crate::protocol::p2p::{self, ActivationPush, Route, SignedPull, StatusCode};

fn hasty() -> PeerConstants {
    PeerConstants {
        inbound_timeout: Duration::from_millis(300),
        connect_timeout: Duration::from_millis(300),
        first_retry_pause: Duration::from_millis(5),
        max_inbound_connections: 16,
        inbound_queue: 4,
        ..PeerConstants::default()
    }
}

fn push(from: &NodeId, direction: Direction, id: &str, tensor: &[u8], target: usize) -> Vec<u8> {
    let push = ActivationPush {
        activation_id: id.into(),
        direction,
        source_hotkey: "anybody".to_owned(),
        source_p2p_node_ids: vec![from.clone()],
        tensor_bytes: Cow::Borrowed(tensor),
        sample_path: Some("http://sample".to_owned()),
        source_layer: None,
        target_layer: Some(StageIndex(target)),
    };
    p2p::encode(Route::ActivationPush, &push).unwrap()
}

/// Two miners of stages 0 and 1 that know each other.
async fn neighbours() -> (Node, Node) {
    let (first, second) = (Node::start(1, 0, hasty()).await, Node::start(2, 1, hasty()).await);
    introduce(&[&first, &second]);
    (first, second)
}

/// Sends `message` on a raw bidirectional stream and reads the answer.
async fn ask(connection: &iroh::endpoint::Connection, message: &[u8]) -> Vec<u8> {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    if send.write_all(message).await.is_ok() {
        send.finish().unwrap();
    }
    receive.read_to_end(1000).await.unwrap()
}

/// Waits until `done`, at most 5 s.
async fn until(done: impl Fn() -> bool) {
    let clock = Clock::system();
    for _ in 0..500 {
        if done() {
            return;
        }
        clock.sleep(Duration::from_millis(10)).await;
    }
    panic!("did not happen within 5 s");
}

#[tokio::test]
async fn a_pushed_activation_arrives_whole_with_its_proven_sender_in_milliseconds() {
    let (first, mut second) = neighbours().await;
    let tensor: Vec<u8> = (0..100 << 10).map(|n| (n % 253) as u8).collect();
    let message = push(first.id(), Direction::Forward, "a", &tensor, 1);
    first.peers.push(second.id(), &message).await.unwrap();
    let start = Instant::now();
    for _ in 0..20 {
        let got = second.inbox.forwards.recv().await.unwrap();
        assert_eq!(&*got.tensor_file, &tensor[..]);
        assert_eq!((got.activation.as_str(), &got.from), ("a", first.id()));
        assert_eq!(&got.sender, first.hotkey.address());
        assert_eq!(got.sample_path.as_deref(), Some("http://sample"));
        first.peers.push(second.id(), &message).await.unwrap();
    }
    let each = start.elapsed() / 20;
    println!("100 KiB push, accepted and enqueued: {each:?}");
    assert!(each < Duration::from_millis(20), "{each:?} per push");
    assert_eq!(first.peers.0.links.len(), 1);
    until(|| second.peers.counts().pushes_accepted == 21).await;
}

#[tokio::test]
async fn strangers_and_miners_of_other_stages_cannot_push() {
    let (first, mut second) = neighbours().await;
    let far = Node::start(3, 3, hasty()).await;
    let stranger = Node::start(4, 0, hasty()).await;
    second.knows(vec![first.entry(), far.entry()]);
    for outsider in [&far, &stranger] {
        outsider.knows(vec![second.entry()]);
        for direction in [Direction::Forward, Direction::Backward] {
            let message = push(first.id(), direction, "a", b"tensor", 1);
            let refused = outsider.peers.push(second.id(), &message).await;
            assert_eq!(refused, Err(PushError::Refused));
        }
    }
    assert_eq!(second.peers.counts().pushes_from_strangers, 4);
    assert!(second.inbox.forwards.try_recv().is_err());
    assert!(second.inbox.backwards.try_recv().is_err());
}

#[tokio::test]
async fn a_gradient_is_taken_only_from_the_node_that_got_the_forward() {
    let (mut first, second) = neighbours().await;
    let gradient = push(second.id(), Direction::Backward, "a", b"gradient", 0);
    assert_eq!(second.peers.push(first.id(), &gradient).await, Err(PushError::Refused));
    assert_eq!(first.peers.counts().pushes_unasked, 1);
    let asked = ("a".into(), second.id().clone());
    first.answers.awaited.lock().unwrap().insert(asked);
    second.peers.push(first.id(), &gradient).await.unwrap();
    assert_eq!(&*first.inbox.backwards.recv().await.unwrap().tensor_file, b"gradient");
    let misdirected = push(second.id(), Direction::Backward, "a", b"gradient", 5);
    assert_eq!(second.peers.push(first.id(), &misdirected).await, Err(PushError::Refused));
    assert_eq!(first.peers.counts().pushes_misdirected, 1);
}

#[tokio::test]
async fn activations_come_from_the_stage_before_and_gradients_from_the_one_behind() {
    let (first, mut second) = neighbours().await;
    let (third, other) = (Node::start(3, 2, hasty()).await, Node::start(4, 2, hasty()).await);
    introduce(&[&first, &second, &third, &other]);
    let asked = |node: &Node| ("a".into(), node.id().clone());
    second.answers.awaited.lock().unwrap().extend([asked(&first), asked(&third)]);
    let refusals = [
        (&third, Direction::Forward, "the stage behind sends no activations"),
        (&first, Direction::Backward, "the stage before sends no gradients"),
        (&other, Direction::Backward, "another got the forward"),
    ];
    for (from, direction, why) in refusals {
        let message = push(from.id(), direction, "a", b"tensor", 1);
        assert_eq!(from.peers.push(second.id(), &message).await, Err(PushError::Refused), "{why}");
    }
    let counts = second.peers.counts();
    assert_eq!((counts.pushes_from_strangers, counts.pushes_unasked), (2, 1));
    for (from, direction) in [(&first, Direction::Forward), (&third, Direction::Backward)] {
        let message = push(from.id(), direction, "a", b"tensor", 1);
        from.peers.push(second.id(), &message).await.unwrap();
    }
    assert!(second.inbox.forwards.recv().await.is_some());
    assert!(second.inbox.backwards.recv().await.is_some());
}

#[tokio::test]
async fn gradients_are_refused_when_their_queue_is_full() {
    let (first, second) = neighbours().await;
    first.answers.awaited.lock().unwrap().insert(("a".into(), second.id().clone()));
    let gradient = push(second.id(), Direction::Backward, "a", b"gradient", 0);
    for _ in 0..4 {
        second.peers.push(first.id(), &gradient).await.unwrap();
    }
    assert_eq!(second.peers.push(first.id(), &gradient).await, Err(PushError::Refused));
    assert_eq!(first.peers.counts().pushes_queue_full, 1);
}

#[tokio::test]
async fn forwards_are_refused_while_not_training_and_when_the_queue_is_full() {
    let (first, mut second) = neighbours().await;
    let message = push(first.id(), Direction::Forward, "a", b"tensor", 1);
    second.answers.trains.store(false, Ordering::SeqCst);
    assert_eq!(first.peers.push(second.id(), &message).await, Err(PushError::Refused));
    assert_eq!(second.peers.counts().pushes_not_training, 1);
    second.answers.trains.store(true, Ordering::SeqCst);
    for _ in 0..4 {
        first.peers.push(second.id(), &message).await.unwrap();
    }
    assert_eq!(first.peers.push(second.id(), &message).await, Err(PushError::Refused));
    assert_eq!(second.peers.counts().pushes_queue_full, 1);
    second.inbox.forwards.recv().await.unwrap();
    first.peers.push(second.id(), &message).await.unwrap();
}

#[tokio::test]
async fn a_push_whose_answer_is_not_read_is_not_enqueued() {
    let (first, mut second) = neighbours().await;
    let raw = Raw::start(9).await;
    second.knows(vec![raw.entry(first.hotkey.address(), 0)]);
    let connection = raw.connect(&second, ALPN_BI).await;
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    receive.stop(VarInt::from_u32(0)).unwrap();
    let message = push(&raw.id(), Direction::Forward, "a", b"tensor", 1);
    send.write_all(&message).await.unwrap();
    send.finish().unwrap();
    until(|| second.peers.counts().pushes_unacknowledged == 1).await;
    assert!(second.inbox.forwards.try_recv().is_err());
    assert_eq!(ask(&connection, &message).await, [1], "sent again, it is taken");
    assert!(second.inbox.forwards.recv().await.is_some());
}

#[tokio::test]
async fn two_hundred_megabytes_are_stopped_at_the_limit_from_strangers_and_neighbours() {
    let (first, second) = neighbours().await;
    let (neighbour, stranger) = (Raw::start(9).await, Raw::start(10).await);
    second.knows(vec![neighbour.entry(first.hotkey.address(), 0)]);
    let mut message = push(&neighbour.id(), Direction::Forward, "a", &vec![1; 200 << 20], 1);
    for raw in [&neighbour, &stranger] {
        let connection = raw.connect(&second, ALPN_BI).await;
        assert_eq!(ask(&connection, &message).await, [StatusCode::Error as u8]);
        let uni = raw.connect(&second, ALPN_UNI).await;
        let mut send = uni.open_uni().await.unwrap();
        assert!(send.write_all(&message).await.is_err(), "stopped before it was all sent");
    }
    until(|| second.peers.counts().too_large == 4).await;
    let received = second.peers.0.traffic.received();
    assert_eq!(received, 0, "nothing of it was kept");
    assert_eq!(second.peers.0.inbound_bytes.available_permits(), hasty().max_inbound_bytes);
    // Our own side does not even try what no peer reads.
    message.truncate(MAX_PEER_MESSAGE + 1);
    let own = first.peers.push(second.id(), &message).await;
    assert_eq!(own, Err(PushError::TooLarge(MAX_PEER_MESSAGE + 1)));
}

#[tokio::test]
async fn a_neighbour_may_send_what_is_expected_and_slack_but_not_more() {
    let (first, mut second) = neighbours().await;
    let fits = push(first.id(), Direction::Forward, "a", &vec![1; LARGEST], 1);
    first.peers.push(second.id(), &fits).await.unwrap();
    assert_eq!(second.inbox.forwards.recv().await.unwrap().tensor_file.len(), LARGEST);
    let slack = hasty().activation_slack_bytes;
    let over = push(first.id(), Direction::Forward, "a", &vec![1; LARGEST + slack], 1);
    assert_eq!(first.peers.push(second.id(), &over).await, Err(PushError::Refused));
    assert_eq!(second.peers.counts().too_large, 1);
}

#[tokio::test]
async fn slow_streams_are_cut_off_and_cost_nothing_else() {
    let (first, mut second) = neighbours().await;
    let raw = Raw::start(9).await;
    let connection = raw.connect(&second, ALPN_BI).await;
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(&[0xde]).await.unwrap();
    let uni = raw.connect(&second, ALPN_UNI).await;
    let mut one_way = uni.open_uni().await.unwrap();
    one_way.write_all(&[0xc0]).await.unwrap();
    let message = push(first.id(), Direction::Forward, "a", b"tensor", 1);
    first.peers.push(second.id(), &message).await.unwrap();
    assert!(second.inbox.forwards.recv().await.is_some(), "others are served meanwhile");
    assert_eq!(receive.read_to_end(10).await.unwrap(), [StatusCode::Error as u8]);
    until(|| second.peers.counts().too_slow == 2).await;
}

#[tokio::test]
async fn garbage_is_counted_answered_and_survived() {
    let (first, mut second) = neighbours().await;
    let raw = Raw::start(9).await;
    second.knows(vec![first.entry(), raw.entry(second.hotkey.address(), 0)]);
    let connection = raw.connect(&second, ALPN_BI).await;
    let mut entropy = Entropy::seeded(5, "garbage");
    let mut sent = 0;
    for round in 0..200 {
        let mut message = vec![0; entropy.below(300)];
        entropy.fill(&mut message);
        if round % 2 == 0 {
            // Past the routing, into the decoder.
            let tag = Route::ActivationPush.tag().to_be_bytes();
            message.splice(0..0, [tag[0], tag[1], 2]);
        }
        let answer = ask(&connection, &message).await;
        assert!(matches!(answer[..], [3 | 4]), "{answer:?}");
        sent += 1;
    }
    let uni = raw.connect(&second, ALPN_UNI).await;
    for message in [&b""[..], b"x", &[0xc0, 0xed, 2, 0xc1], &[0xc0, 0xed, 1, b'{']] {
        let mut stream = uni.open_uni().await.unwrap();
        stream.write_all(message).await.unwrap();
        stream.finish().unwrap();
    }
    until(|| {
        let counts = second.peers.counts();
        counts.garbage + counts.pulls_refused == sent + 4
    })
    .await;
    let message = push(first.id(), Direction::Forward, "a", b"tensor", 1);
    first.peers.push(second.id(), &message).await.unwrap();
    assert!(second.inbox.forwards.recv().await.is_some());
}

#[tokio::test]
async fn other_protocols_are_turned_away() {
    let (_, second) = neighbours().await;
    let raw = Raw::start(9).await;
    let refused = raw.endpoint.connect(second.dial(), b"other/1").await;
    assert!(refused.is_err());
    until(|| second.peers.counts().connections_refused == 1).await;
}

#[tokio::test]
async fn strangers_cannot_take_all_connections() {
    let (first, second) = neighbours().await;
    // 16 connections in all, so 2 for strangers.
    let mut strangers = Vec::new();
    for number in 20..26 {
        let raw = Raw::start(number).await;
        let connection = raw.connect(&second, ALPN_BI).await;
        strangers.push((raw, connection));
    }
    until(|| second.peers.counts().connections_refused == 4).await;
    let message = push(first.id(), Direction::Forward, "a", b"tensor", 1);
    first.peers.push(second.id(), &message).await.unwrap();
}

#[tokio::test]
async fn a_status_counts_only_for_the_node_that_sent_it() {
    let (first, second) = neighbours().await;
    let status = PeerStatus {
        source_hotkey: first.hotkey.address().to_string(),
        cache_size: 3,
        miner_status: MinerStatus::Frozen,
        ..PeerStatus::default()
    };
    assert_eq!(first.peers.broadcast_status(&status, &[StageIndex(1)]).await, 1);
    assert_eq!(first.peers.broadcast_status(&status, &[StageIndex(7)]).await, 0);
    until(|| second.peers.counts().statuses == 1).await;
    let heard = second.directory.peers_of(StageIndex(0))[0].status.clone();
    assert_eq!((heard.cache_size, &heard.miner_status), (3, &MinerStatus::Frozen));
    assert!(heard.last_status_received > 1e9, "arrival time in Unix seconds");

    let forged = PeerStatus { source_hotkey: second.hotkey.address().to_string(), ..status };
    first.peers.broadcast_status(&forged, &[StageIndex(1)]).await;
    until(|| second.peers.counts().statuses_ignored == 1).await;
}

#[tokio::test]
async fn pulls_are_served_to_signers_only() {
    let (first, second) = neighbours().await;
    let file = Arc::new(vec![5; 1000]);
    first.peers.serve("a".into(), Arc::clone(&file));
    assert_eq!(second.peers.pull(first.id(), &"a".into()).await.unwrap(), *file);
    assert_eq!(second.peers.pull(first.id(), &"b".into()).await, Err(PullError::Gone));
    first.peers.clear_served();
    assert_eq!(second.peers.pull(first.id(), &"a".into()).await, Err(PullError::Gone));
    first.peers.serve("a".into(), file);

    let raw = Raw::start(9).await;
    let connection = raw.connect(&first, ALPN_BI).await;
    let unsigned = p2p::unsigned_pull(&"a".into()).unwrap();
    assert_eq!(ask(&connection, &unsigned).await, [StatusCode::Unauthorized as u8]);
    let now = Clock::system().unix_millis();
    let signed = |at| {
        let mut entropy = Entropy::seeded(1, "sign");
        let fill = &mut |out: &mut [u8]| entropy.fill(out);
        SignedPull::sign(second.hotkey.keypair(), "a".into(), at, fill)
    };
    let stale = signed(now - 31_000).encode().unwrap();
    assert_eq!(ask(&connection, &stale).await, [StatusCode::Unauthorized as u8]);
    let mut forged = signed(now);
    forged.activation_id = "b".into();
    let forged = forged.encode().unwrap();
    assert_eq!(ask(&connection, &forged).await, [StatusCode::Unauthorized as u8]);
    let good = signed(now).encode().unwrap();
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(&good).await.unwrap();
    send.finish().unwrap();
    assert_eq!(receive.read_to_end(2000).await.unwrap().len(), 1001);
}

/// Statuses too large, broken or in another kind of stream cost nothing and change nothing.
#[tokio::test]
async fn a_status_that_is_too_large_is_not_read() {
    let (first, second) = neighbours().await;
    let raw = Raw::start(9).await;
    second.knows(vec![raw.entry(first.hotkey.address(), 0)]);
    let uni = raw.connect(&second, ALPN_UNI).await;
    let mut stream = uni.open_uni().await.unwrap();
    let status = PeerStatus {
        source_hotkey: first.hotkey.address().to_string(),
        layer_phase: "x".repeat(hasty().max_status_bytes),
        ..PeerStatus::default()
    };
    stream.write_all(&p2p::encode(Route::PeerStatus, &status).unwrap()).await.ok();
    stream.finish().ok();
    until(|| second.peers.counts().too_large == 1).await;
    assert_eq!(second.directory.peers()[0].status.last_status_received, 0.0);
}

#[tokio::test]
async fn at_most_two_requests_to_one_peer_are_on_their_way() {
    let (first, second) = neighbours().await;
    // It takes connections and reads nothing.
    let raw = Raw::start(9).await;
    raw.endpoint.set_alpns(vec![ALPN_BI.to_vec()]);
    first.knows(vec![raw.entry(second.hotkey.address(), 1)]);
    let node = raw.id();
    let accepting = tokio::spawn(async move {
        let connection = raw.endpoint.accept().await.unwrap().await.unwrap();
        let (clock, mut streams) = (Clock::system(), Vec::new());
        let patience = Duration::from_millis(300);
        while let Ok(Ok(stream)) = clock.timeout(patience, connection.accept_bi()).await {
            streams.push(stream);
        }
        streams.len()
    });
    let message = push(first.id(), Direction::Forward, "a", b"tensor", 1);
    let pushes = (0..5).map(|_| first.peers.push(&node, &message));
    let clock = Clock::system();
    let waited = clock.timeout(Duration::from_millis(800), futures::future::join_all(pushes)).await;
    assert!(waited.is_err(), "nobody was answered");
    assert_eq!(accepting.await.unwrap(), 2);
}

#[tokio::test]
async fn a_peer_that_does_not_answer_is_left_alone_and_then_probed() {
    let (first, second) = neighbours().await;
    let message = push(first.id(), Direction::Forward, "a", b"tensor", 1);
    second.peers.close().await;
    let start = Instant::now();
    first.peers.push(second.id(), &message).await.unwrap_err();
    assert!(first.peers.is_resting(second.id()));
    let record = first.peers.records().remove(0);
    assert_eq!(&record.0, second.id());
    assert_eq!((record.1.failed_by_peer, record.1.answered), (3, 0));
    assert!(record.1.last_failure.is_some());
    assert!(start.elapsed() < Duration::from_secs(3));
    let told = first.peers.broadcast_status(&PeerStatus::default(), &[StageIndex(1)]).await;
    assert_eq!(told, 0);

    let again = Node::start(2, 1, hasty()).await;
    introduce(&[&first, &again]);
    until(|| !first.peers.is_resting(second.id())).await;
    first.peers.push(again.id(), &message).await.unwrap();
    let record = first.peers.records().remove(0).1;
    assert_eq!((record.answered, record.rests_until), (1, None));
}

#[tokio::test]
async fn the_way_to_each_peer_is_known() {
    let (first, second) = neighbours().await;
    assert!(first.peers.open_paths().is_empty());
    let message = push(first.id(), Direction::Forward, "a", b"tensor", 1);
    first.peers.push(second.id(), &message).await.unwrap();
    let way = |node: &Node, to: &Node, opened_by| {
        let open = node.peers.open_paths();
        open.iter().any(|path| {
            (&path.node, path.opened_by, path.kind) == (to.id(), opened_by, PathKind::Nearby)
        })
    };
    until(|| way(&first, &second, OpenedBy::Us)).await;
    until(|| way(&second, &first, OpenedBy::Peer)).await;
    assert_eq!(first.peers.reachability().verdict, Verdict::ThisMachine);
    first.peers.close().await;
    until(|| second.peers.open_paths().is_empty()).await;
}

#[tokio::test]
async fn a_peer_that_is_gone_is_an_error_in_time_and_one_that_came_back_is_found() {
    let (first, second) = neighbours().await;
    let message = push(first.id(), Direction::Forward, "a", b"tensor", 1);
    let nobody = NodeId::from_bytes(&[3; 32]);
    assert_eq!(first.peers.push(&nobody, &message).await, Err(PushError::NoAddress));
    first.peers.push(second.id(), &message).await.unwrap();
    second.peers.close().await;
    let start = Instant::now();
    let failed = first.peers.push(second.id(), &message).await.unwrap_err();
    assert!(matches!(failed, PushError::Timeout { .. } | PushError::Broken(_)), "{failed}");
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());

    let mut again = Node::start(2, 1, hasty()).await;
    introduce(&[&first, &again]);
    first.peers.push(again.id(), &message).await.unwrap();
    assert!(again.inbox.forwards.recv().await.is_some());
}

#[tokio::test]
async fn a_network_may_call_its_protocols_and_routes_otherwise() {
    let renamed = || PeerConstants {
        alpn_uni: "other/2/uni".to_owned(),
        alpn_bi: "other/2/bi".to_owned(),
        push_route: "/activation/push/2".to_owned(),
        ..hasty()
    };
    let (first, mut second) =
        (Node::start(1, 0, renamed()).await, Node::start(2, 1, renamed()).await);
    introduce(&[&first, &second]);
    let tags = first.peers.tags();
    assert_ne!(tags.tag(Route::ActivationPush), Route::ActivationPush.tag());
    let mut message = push(first.id(), Direction::Forward, "a", b"tensor", 1);
    message[..2].copy_from_slice(&tags.tag(Route::ActivationPush).to_be_bytes());
    first.peers.push(second.id(), &message).await.unwrap();
    assert_eq!(second.inbox.forwards.recv().await.unwrap().activation.as_str(), "a");
    // Who goes by the usual names is not understood.
    let usual = Node::start(3, 0, hasty()).await;
    introduce(&[&usual, &second]);
    let message = push(usual.id(), Direction::Forward, "b", b"tensor", 1);
    assert!(usual.peers.push(second.id(), &message).await.is_err());
}
