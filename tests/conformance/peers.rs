//! What peers exchange, whom they choose, and the registry on the bridge.

use std::borrow::Cow;

use hearth::protocol::constants::{ALPN_BI, ALPN_UNI};
use hearth::protocol::messages::{MinerStatus, PeerStatus};
use hearth::protocol::p2p::{
    ActivationPush, Envelope, PullRequest, Route, SignedPull, StatusCode, decode, decode_pull,
    encode, encode_response, is_accepted, unsigned_pull,
};
use hearth::protocol::registry::{
    self, GetRequest, NodeEntry, PENDING_PREFIX, SetRequest, SetUpdate, registry_prefix, var_id,
};
use hearth::protocol::{ActivationId, Phase, RunId, peer_selection};
use serde_json::{Value, json};

use crate::vector::{Check, Json, PROSE, close, same};

pub const CHECKS: &[(&str, Check)] =
    &[("p2p", p2p), ("peer_selection", selection), ("bridge_registry", bridge_registry)];

fn p2p(file: &Json) {
    let tag = |route: Route| format!("0x{:04x}", route.tag());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let id = ActivationId::from(file.get("activation_request_v2").get("activation_id").str());
    let answer = |status, tensor: &[u8]| hex::encode(encode_response(status, tensor));
    let (accepted, refused) = (answer(StatusCode::Success, &[]), answer(StatusCode::Error, &[]));
    assert!(is_accepted(&[1]) && !is_accepted(&[3]));
    let expected = json!({
        "route_tags": {
            "/peer/status": tag(Route::PeerStatus),
            "/activation/push": tag(Route::ActivationPush),
        },
        "alpn": {"uni": text(ALPN_UNI), "bi": text(ALPN_BI)},
        "activation_request_v1_hex": hex::encode(unsigned_pull(&id).unwrap()),
        "activation_request_v2": signed_pull(file.get("activation_request_v2")),
        "activation_response": {
            "success_with_010203": answer(StatusCode::Success, &[1, 2, 3]),
            "not_found": answer(StatusCode::NotFound, &[]),
            "expired": answer(StatusCode::Expired, &[]),
            "error": answer(StatusCode::Error, &[]),
            "unauthorized": answer(StatusCode::Unauthorized, &[]),
        },
        "push_ack": {"success": accepted, "error_nack": refused},
        "peer_status_envelope": peer_status(file.get("peer_status_envelope")),
        "activation_push_envelope": activation_push(file.get("activation_push_envelope")),
    });
    same(file, &expected);
}

fn signed_pull(vector: &Json) -> Value {
    let pull = SignedPull {
        timestamp_ms: vector.get("timestamp_ms").u64(),
        asker: vector.get("ss58").str().parse().unwrap(),
        signature: vector.get("signature_hex").hex().try_into().unwrap(),
        activation_id: vector.get("activation_id").str().into(),
    };
    pull.verify(pull.timestamp_ms + 30_000).expect("the signature verifies");
    assert!(pull.verify(pull.timestamp_ms + 30_001).is_err(), "and becomes stale");
    let bytes = pull.encode().unwrap();
    assert_eq!(decode_pull(&bytes), Ok(PullRequest::Signed(Box::new(pull.clone()))));
    json!({
        "activation_id": pull.activation_id,
        "timestamp_ms": pull.timestamp_ms,
        "ss58": pull.asker,
        "signed_message": pull.message(),
        "signature_hex": hex::encode(pull.signature),
        "hex": hex::encode(&bytes),
        "len": bytes.len(),
    })
}

fn peer_status(vector: &Json) -> Value {
    let status: PeerStatus = vector.get("model").value();
    let bytes = encode(Route::PeerStatus, &status).unwrap();
    let read: PeerStatus = decode(&Envelope::parse(&vector.get("hex").hex()).unwrap()).unwrap();
    assert_eq!(read, status);
    json!({"model": status, "hex": hex::encode(bytes), "note": PROSE})
}

fn activation_push(vector: &Json) -> Value {
    let model = vector.get("model");
    let shown = model.get("tensor_bytes").str();
    let tensor = hex::decode(shown.strip_suffix(" (msgpack bin)").unwrap()).unwrap();
    let push = ActivationPush {
        activation_id: model.get("activation_id").value(),
        direction: model.get("direction").value(),
        source_hotkey: model.get("source_hotkey").value(),
        source_p2p_node_ids: model.get("source_p2p_node_ids").value(),
        tensor_bytes: Cow::Owned(tensor.clone()),
        sample_path: model.get("sample_path").value(),
        source_layer: model.get("source_layer").value(),
        target_layer: model.get("target_layer").value(),
    };
    let bytes = encode(Route::ActivationPush, &push).unwrap();
    let given = vector.get("hex").hex();
    let read = ActivationPush::decode(&Envelope::parse(&given).unwrap()).unwrap();
    assert_eq!(read, push);
    let mut expected = serde_json::to_value(&push).unwrap();
    expected["tensor_bytes"] = format!("{} (msgpack bin)", hex::encode(tensor)).into();
    json!({"model": expected, "hex": hex::encode(bytes)})
}

fn selection(file: &Json) {
    for vector in file.items() {
        let node = vector.get("node");
        let status: PeerStatus = node.value();
        status.layer_phase.parse::<Phase>().expect("a known phase");
        assert!(!matches!(status.miner_status, MinerStatus::Other(_)), "a known status");
        let weight = peer_selection::weight(&status);
        let read = serde_json::to_value(&status).unwrap();
        // Every field the file names was read, and no other matters.
        let named = node.members().iter().map(|(key, _)| (key.clone(), read[key].clone()));
        let named: Value = Value::Object(named.collect());
        close(vector, &json!({"node": named, "weight": weight}), 1e-15);
        // Selection never picks a node without a weight while another has one.
        let with_room =
            PeerStatus { last_status_received: 1.0, cache_capacity: 2, ..PeerStatus::default() };
        if weight.is_none() {
            assert_eq!(peer_selection::choose(&[status, with_room], 0.0), Some(1));
        }
    }
}

fn bridge_registry(file: &Json) {
    let run_id = RunId::from(file.get("run_id").str());
    let prefix = registry::run_prefix(&run_id);
    let variables = file.get("register_body").get("variables").items();
    let default_of = |field: &str| {
        let named = |v: &&Json| v.get("var_id").str().ends_with(&format!("/{field}"));
        variables.iter().find(named).expect(field).get("default_value")
    };
    let hotkey = default_of("node_id").str();
    let (slug, now) = (registry::slug(hotkey), default_of("joined_at").f64());
    let entry = NodeEntry::new(&hotkey.parse().unwrap(), now);
    let name = |field: &str| var_id(&prefix, &slug, field);
    let keepalive = SetRequest {
        updates: vec![SetUpdate {
            var_id: name("last_keepalive"),
            // One keep-alive period (5 s) after joining; registering made version 1.
            value: (now + 5.0).into(),
            current_version: Some(1),
            lock_token: None,
        }],
    };
    let get = GetRequest { var_ids: vec![name("p2p_node_ids"), name("groups")] };
    let sanitised =
        |pair: &Json| json!([pair.items()[0].str(), registry::sanitise(pair.items()[0].str())]);
    let examples: Vec<Value> =
        file.get("sanitise_examples").items().iter().map(sanitised).collect();
    same(
        file,
        &json!({
            "run_id": run_id,
            "run_prefix": prefix,
            "slug": slug,
            "register_body": entry.register_request(&prefix),
            "keepalive_set_body": keepalive,
            "list_request": format!("GET /bridge/vars?prefix={}", registry_prefix(&prefix)),
            "get_body_example": get,
            "sanitise_examples": examples,
            "pending_prefix": PENDING_PREFIX,
        }),
    );
}
