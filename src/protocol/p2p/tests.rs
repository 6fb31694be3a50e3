//! Peer messages round trip, and garbage is answered, not believed.

use std::borrow::Cow;

use proptest::prelude::*;
use schnorrkel::{ExpansionMode, Keypair, MiniSecretKey};

use super::*;
use crate::protocol::epistula::EpistulaError;
use crate::protocol::ids::{ActivationId, NodeId, StageIndex};
use crate::protocol::messages::{Direction, PeerStatus};

const NOW: u64 = 1_784_300_000_000;

fn keypair() -> Keypair {
    MiniSecretKey::from_bytes(&[5; 32]).unwrap().expand_to_keypair(ExpansionMode::Ed25519)
}

fn push(tensor: &[u8]) -> ActivationPush<'_> {
    ActivationPush {
        activation_id: ActivationId::from("a-1"),
        direction: Direction::Backward,
        source_hotkey: "5Grw".into(),
        source_p2p_node_ids: vec![NodeId::from_bytes(&[1; 32])],
        tensor_bytes: Cow::Borrowed(tensor),
        sample_path: Some("http://x/y".into()),
        source_layer: Some(StageIndex(2)),
        target_layer: None,
    }
}

#[test]
fn a_push_reads_back_and_its_tensor_is_not_copied() {
    let tensor = vec![7_u8; 100_000];
    let message = encode(Route::ActivationPush, &push(&tensor)).unwrap();
    let envelope = Envelope::parse(&message).unwrap();
    assert_eq!(
        (envelope.route, envelope.serializer),
        (Route::ActivationPush, Serializer::MessagePack)
    );
    let read = ActivationPush::decode(&envelope).unwrap();
    assert_eq!(read, push(&tensor));
    assert!(matches!(read.tensor_bytes, Cow::Borrowed(_)));
}

#[test]
fn a_status_may_come_as_json_with_fields_missing_or_unknown() {
    let mut message = Route::PeerStatus.tag().to_be_bytes().to_vec();
    message.push(1);
    message.extend(br#"{"source_hotkey":"x","cache_capacity":16,"new":[1]}"#);
    let status: PeerStatus = decode(&Envelope::parse(&message).unwrap()).unwrap();
    let expected =
        PeerStatus { source_hotkey: "x".into(), cache_capacity: 16, ..PeerStatus::default() };
    assert_eq!(status, expected);
    let packed = encode(Route::PeerStatus, &expected).unwrap();
    let status: PeerStatus = decode(&Envelope::parse(&packed).unwrap()).unwrap();
    assert_eq!(status, expected);
}

#[test]
fn unknown_routes_and_serializers_are_not_envelopes() {
    let tag = Route::PeerStatus.tag().to_be_bytes();
    assert!(Envelope::parse(&[tag[0], tag[1], 2]).is_some());
    assert!(Envelope::parse(&[tag[0], tag[1], 3]).is_none());
    assert!(Envelope::parse(&[tag[0], tag[1] ^ 1, 2]).is_none());
    assert!(Envelope::parse(&tag).is_none());
}

#[test]
fn a_deeply_nested_message_is_refused() {
    // A thousand arrays in each other, in a field that would be ignored.
    let mut message = Route::PeerStatus.tag().to_be_bytes().to_vec();
    message.extend([2, 0x81, 0xa1, b'x']);
    message.extend([0x91; 1000]);
    message.push(0xc0);
    assert!(decode::<PeerStatus>(&Envelope::parse(&message).unwrap()).is_err());
}

#[test]
fn a_signed_pull_verifies_until_it_is_stale_and_only_for_its_id() {
    let pull = SignedPull::sign(&keypair(), "a-1".into(), NOW, &mut |out| out.fill(9));
    let message = pull.encode().unwrap();
    let PullRequest::Signed(read) = decode_pull(&message).unwrap() else { panic!("signed") };
    assert_eq!(*read, pull);
    assert!(read.verify(NOW + 30_000).is_ok());
    assert!(matches!(read.verify(NOW + 30_001), Err(EpistulaError::Stale)));
    let other = SignedPull { activation_id: "a-2".into(), ..*read };
    assert!(matches!(other.verify(NOW), Err(EpistulaError::Mismatch)));
}

#[test]
fn unsigned_pulls_are_recognised_and_broken_ones_refused() {
    let id = ActivationId::from("a-1");
    let v1 = unsigned_pull(&id).unwrap();
    assert_eq!(decode_pull(&v1), Ok(PullRequest::Unsigned(id.clone())));
    assert_eq!(decode_pull(&v1[1..]), Ok(PullRequest::Unsigned(id)));
    assert_eq!(decode_pull(&[]), Err(PullError::Length));
    assert_eq!(decode_pull(&[1, 0, 9, b'x']), Err(PullError::Length));
    assert_eq!(decode_pull(&[1, 0, 1, 0xff]), Err(PullError::Text));
    assert_eq!(decode_pull(&[2; 125]), Err(PullError::Address));
    assert_eq!(unsigned_pull(&ActivationId("x".repeat(70_000))), None);
}

#[test]
fn answers_read_back() {
    let answer = encode_response(StatusCode::Success, &[1, 2, 3]);
    assert_eq!(decode_response(&answer), (StatusCode::Success, &[1, 2, 3][..]));
    assert_eq!(encode_response(StatusCode::Expired, &[1]), [2]);
    assert_eq!(decode_response(&[]).0, StatusCode::NotFound);
    assert_eq!(decode_response(&[77]).0, StatusCode::Error);
    assert!(is_accepted(&[1]) && !is_accepted(&[3]) && !is_accepted(&[]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_of_a_peer_are_answered_without_a_panic(
        body in proptest::collection::vec(any::<u8>(), 0..300), json in any::<bool>(),
    ) {
        let _ = decode_pull(&body);
        let _ = decode_pull(&[&[2], body.as_slice()].concat());
        for route in Route::ALL {
            let serializer = if json { Serializer::Json } else { Serializer::MessagePack };
            let envelope = Envelope { route, serializer, body: &body };
            let _ = decode::<PeerStatus>(&envelope);
            let _ = ActivationPush::decode(&envelope);
        }
    }

    #[test]
    fn a_changed_byte_of_a_push_is_answered_without_a_panic(at in 0_usize..300, byte in any::<u8>()) {
        let mut message = encode(Route::ActivationPush, &push(&[1, 2, 3])).unwrap();
        let at = at % message.len();
        message[at] = byte;
        if let Some(envelope) = Envelope::parse(&message) {
            let _ = ActivationPush::decode(&envelope);
        }
    }
}
