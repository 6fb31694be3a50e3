//! Real QUIC on loopback: honest miners, and attackers with raw endpoints.

use std::borrow::Cow;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::test_nodes::{LARGEST, Node, Raw, introduce};
use super::*;
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
