//! What strangers can send over QUIC: envelopes in MessagePack and JSON, pull requests, answers.

use hearth::protocol::messages::PeerStatus;
use hearth::protocol::p2p::{
    ActivationPush, Envelope, PullRequest, Route, Serializer, decode, decode_pull, decode_response,
    is_accepted,
};
use proptest::prelude::*;
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer as Format};
use serde_json::{Value, json};

use crate::fields::{Step, assert_clear, changed, places, wrong_values};
use crate::memory::peak_of;

/// A value in which texts that begin with "bytes:" stand for bytes, as JSON has none.
struct WithBytes<'a>(&'a Value);

impl Serialize for WithBytes<'_> {
    fn serialize<S: Format>(&self, format: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Object(members) => {
                let mut map = format.serialize_map(Some(members.len()))?;
                for (name, value) in members {
                    map.serialize_entry(name, &WithBytes(value))?;
                }
                map.end()
            }
            Value::Array(items) => {
                let mut list = format.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&WithBytes(item))?;
                }
                list.end()
            }
            Value::String(text) => match text.strip_prefix("bytes:") {
                Some(bytes) => format.serialize_bytes(bytes.as_bytes()),
                None => format.serialize_str(text),
            },
            plain => plain.serialize(format),
        }
    }
}

fn packed(value: &Value) -> Vec<u8> {
    rmp_serde::to_vec_named(&WithBytes(value)).unwrap()
}

fn push() -> Value {
    json!({
        "activation_id": "a", "direction": "forward", "source_hotkey": "5Grw",
        "source_p2p_node_ids": ["ab".repeat(32)], "tensor_bytes": "bytes:0123456789",
        "sample_path": "http://s", "source_layer": 0, "target_layer": 1,
    })
}

fn status() -> Value {
    json!({
        "source_hotkey": "5Grw", "forward_queue_size": 1, "backward_queue_size": 0,
        "cache_size": 3, "cache_capacity": 16, "uptime_seconds": 12.5,
        "layer_phase": "training", "miner_status": "training", "last_status_received": 0.0,
    })
}

const PACK: Serializer = Serializer::MessagePack;

fn read_push(body: &[u8], serializer: Serializer) -> Result<usize, String> {
    let envelope = Envelope { route: Route::ActivationPush, serializer, body };
    let push = ActivationPush::decode(&envelope).map_err(|error| error.to_string())?;
    Ok(push.tensor_bytes.len())
}

fn read_status(body: &[u8], serializer: Serializer) -> Result<usize, String> {
    let envelope = Envelope { route: Route::PeerStatus, serializer, body };
    let status = decode::<PeerStatus>(&envelope).map_err(|error| error.to_string())?;
    Ok(status.source_hotkey.len())
}

type Reader = fn(&[u8], Serializer) -> Result<usize, String>;

const KINDS: [(&str, fn() -> Value, Reader); 2] =
    [("push", push, read_push), ("status", status, read_status)];

#[test]
fn every_field_of_a_peers_message_with_every_wrong_value_is_answered_clearly() {
    for (name, sample, read) in KINDS {
        assert!(read(&packed(&sample()), PACK).is_ok(), "{name}");
        for place in places(&sample()) {
            let missing = changed(&sample(), &place, None);
            let wrong = wrong_values().into_iter();
            for value in wrong.map(|new| changed(&sample(), &place, Some(new))).chain([missing]) {
                if let Err(error) = read(&packed(&value), PACK) {
                    // MessagePack has no lines and columns: the field itself must be there.
                    assert!(!error.contains("column"), "{error}");
                    assert_clear(&error, &place, &|| format!("{name} {place:?}"));
                }
                if let Err(error) = read(value.to_string().as_bytes(), Serializer::Json) {
                    assert_clear(&error, &place, &|| format!("{name} {place:?} in JSON"));
                }
            }
        }
    }
    for name in ["activation_id", "direction", "source_hotkey", "tensor_bytes"] {
        let less = changed(&push(), &[Step::Key(name.into())], None);
        assert!(read_push(&packed(&less), PACK).unwrap_err().contains(name), "{name}");
    }
}

#[test]
fn lengths_that_lie_take_no_memory() {
    // Everything that announces a length in MessagePack: texts, bytes, lists, maps, extensions.
    let announcers: [&[u8]; 9] = [
        &[0xdb, 0xff, 0xff, 0xff, 0xff],
        &[0xc6, 0xff, 0xff, 0xff, 0xff],
        &[0xdd, 0xff, 0xff, 0xff, 0xff],
        &[0xdf, 0xff, 0xff, 0xff, 0xff],
        &[0xc9, 0xff, 0xff, 0xff, 0xff, 1],
        &[0xda, 0xff, 0xff],
        &[0xdc, 0xff, 0xff],
        &[0xde, 0xff, 0xff],
        &[0xd9, 0xff],
    ];
    for (name, sample, read) in KINDS {
        let whole = packed(&sample());
        for at in 0..whole.len() {
            for announcer in announcers {
                let lie = [&whole[..at], announcer, &whole[at + 1..]].concat();
                let (answer, peak) = peak_of(|| read(&lie, PACK));
                // A list is given room for what it claims, but never more than a mebibyte.
                assert!(peak < (1 << 20) + (64 << 10), "{name} at {at}: {peak}");
                if let Err(error) = answer {
                    assert!(error.chars().count() < 300, "{error}");
                }
            }
        }
    }
}

#[test]
fn a_large_tensor_is_not_copied_and_a_large_anything_else_is_held_once() {
    let mut large = push();
    large["tensor_bytes"] = json!(format!("bytes:{}", "x".repeat(10 << 20)));
    let message = packed(&large);
    let (read, peak) = peak_of(|| read_push(&message, PACK));
    assert_eq!(read, Ok(10 << 20));
    assert!(peak < 4096, "{peak}");
    for field in ["activation_id", "source_hotkey", "sample_path", "not_known"] {
        let mut large = push();
        large[field] = json!("x".repeat(10 << 20));
        let message = packed(&large);
        let (_, peak) = peak_of(|| read_push(&message, PACK));
        assert!(peak < 11 << 20, "{field}: {peak}");
    }
    // Many small things where nothing or something else belongs.
    for (items, unit) in [(200_000, json!([])), (200_000, json!({})), (50_000, json!("ab"))] {
        for field in ["source_p2p_node_ids", "not_known", "tensor_bytes"] {
            let mut large = push();
            large[field] = json!(vec![unit.clone(); items]);
            let message = packed(&large);
            let (_, peak) = peak_of(|| read_push(&message, PACK));
            assert!(peak < 32 << 20, "{field} {unit}: {peak}");
        }
    }
}

#[test]
fn pull_requests_are_never_larger_than_they_say_nor_smaller() {
    let mut request = vec![2];
    request.extend(1_784_300_000_123_u64.to_be_bytes());
    request.extend(b"5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY");
    request.extend([7; 64]);
    request.extend([0, 3]);
    request.extend(b"abc");
    let Ok(PullRequest::Signed(pull)) = decode_pull(&request) else { panic!("a request") };
    assert!(pull.verify(1_784_300_000_123).is_err(), "it is not signed by its asker");
    for len in 0..request.len() {
        assert!(decode_pull(&request[..len]).is_err(), "{len}");
    }
    request.push(b'd');
    assert!(decode_pull(&request).is_err());
    let huge = [&[2_u8][..], &vec![b'x'; 10 << 20]].concat();
    let (read, peak) = peak_of(|| decode_pull(&huge));
    assert!(read.unwrap_err().to_string().len() < 200 && peak < 1024);
    let largest = [&[1, 0xff, 0xff][..], &vec![b'x'; 65_535]].concat();
    assert!(matches!(decode_pull(&largest), Ok(PullRequest::Unsigned(id)) if id.0.len() == 65_535));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn damaged_messages_are_answered_without_a_panic(
        which in 0..2_usize,
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in any::<prop::sample::Index>(),
    ) {
        let (_, sample, read) = KINDS[which];
        let mut bytes = packed(&sample());
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        for body in [&bytes[..], &bytes[..cut.index(bytes.len())]] {
            let (answer, peak) = peak_of(|| read(body, PACK));
            prop_assert!(peak < (1 << 20) + (64 << 10), "{}", peak);
            if let Err(error) = answer {
                prop_assert!(error.chars().count() < 300 && !error.contains(char::is_control));
            }
        }
    }

    #[test]
    fn answers_of_any_bytes_are_understood(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        let (_, tensor) = decode_response(&bytes);
        prop_assert!(tensor.len() <= bytes.len());
        prop_assert_eq!(is_accepted(&bytes), bytes.first() == Some(&1));
        let _ = Envelope::parse(&bytes);
        let _ = decode_pull(&bytes);
    }
}
