//! Canonical JSON, signatures, addresses and hashes.

use hearth::protocol::canonical::{KeyOrder, canonical_body, python_text};
use hearth::protocol::constants::{SPEC_VERSION, SS58_PREFIX};
use hearth::protocol::{ActivationHash, Hotkey, epistula, ss58};
use schnorrkel::derive::ChainCode;
use schnorrkel::{ExpansionMode, MiniSecretKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::vector::{Check, Json, PROSE, same};

pub const CHECKS: &[(&str, Check)] = &[
    ("canonical_json", canonical_json),
    ("epistula", signatures),
    ("ss58", addresses),
    ("iroh_node_id", node_ids),
    ("blake3", hashes),
];

fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

fn canonical_json(file: &Json) {
    for vector in file.items() {
        let value = vector.get("value");
        let canonical = canonical_body(value.text().as_bytes()).unwrap();
        let expected = json!({
            "value": value.value::<Value>(),
            "sha256": hex::encode(sha256(canonical.as_bytes())),
            "canonical": canonical,
            "wire_body_python_sends":
                python_text(value.text().as_bytes(), KeyOrder::AsGiven).unwrap(),
        });
        same(vector, &expected);
    }
}

fn signatures(file: &Json) {
    let uri = file.get("signer_uri").str();
    let mini = dev_account(uri);
    let pair = mini.expand_to_keypair(ExpansionMode::Ed25519);
    let hotkey = Hotkey::from_public_key(&pair.public.to_bytes());
    let vectors = file.get("vectors");
    let expected: Vec<Value> =
        vectors.items().iter().map(|vector| signed_request(vector, &hotkey)).collect();
    // The negative case must fail for its message alone: its signature is one of the good ones.
    let negative = file.get("negative");
    let signature = negative.get("signature").str();
    let good = vectors.items().iter().find(|vector| signature_of(vector) == signature);
    let good = good.expect("the negative signature is that of a vector");
    let message = negative.get("message").str();
    assert!(message.starts_with(good.get("message").str()), "not the vector's message, extended");
    let bytes: [u8; 64] = hex::decode(&signature[2..]).unwrap().try_into().unwrap();
    let verifies = epistula::verify(&pair.public.to_bytes(), message.as_bytes(), &bytes).is_ok();
    assert!(epistula::is_stale(1_000, 3_001, 2_000) && !epistula::is_stale(1_000, 3_000, 2_000));
    same(
        file,
        &json!({
            "note": PROSE,
            "signer_uri": uri,
            "public_key_hex": hex::encode(pair.public.to_bytes()),
            "mini_secret_hex": hex::encode(mini.to_bytes()),
            "vectors": expected,
            "negative": {"message": message, "signature": signature, "verifies": verifies},
            "staleness_rule": PROSE,
        }),
    );
}

fn signature_of(vector: &Json) -> &str {
    vector.get("headers").get(epistula::HEADER_SIGNATURE).str()
}

fn signed_request(vector: &Json, hotkey: &Hotkey) -> Value {
    let body = vector.get("body_value");
    let timestamp_ms = vector.get("timestamp_ms").u64();
    let timestamp = timestamp_ms.to_string();
    let canonical = canonical_body(body.text().as_bytes()).unwrap();
    let signature = signature_of(vector);
    let address = vector.get("headers").get(epistula::HEADER_SIGNED_BY).str();
    let wire = body.text().as_bytes();
    epistula::verify_request(address, signature, &timestamp, wire, timestamp_ms, 0)
        .expect("the signature verifies");
    json!({
        "body_value": body.value::<Value>(),
        "signed_body": canonical,
        "timestamp_ms": timestamp_ms,
        "message": epistula::message(&canonical, &timestamp, ""),
        "headers": {
            epistula::HEADER_TIMESTAMP: timestamp,
            epistula::HEADER_SIGNED_BY: hotkey,
            epistula::HEADER_SIGNATURE: signature,
            epistula::HEADER_SPEC_VERSION: SPEC_VERSION.to_string(),
            epistula::HEADER_REQUEST_ID: "<uuid4>",
            epistula::HEADER_IS_MOUNTED: "false",
        },
    })
}

fn addresses(file: &Json) {
    let account = |vector: &Json| {
        let uri = vector.get("uri").str();
        let public = dev_account(uri).expand_to_public(ExpansionMode::Ed25519).to_bytes();
        let address = ss58::encode(&public);
        assert_eq!(ss58::decode(vector.get("ss58").str()), Ok(public), "{uri}");
        json!({"uri": uri, "public_key_hex": hex::encode(public), "ss58": address})
    };
    let vectors: Vec<Value> = file.get("vectors").items().iter().map(account).collect();
    same(file, &json!({"prefix": SS58_PREFIX, "vectors": vectors, "algorithm": PROSE}));
}

/// The secret of a development account such as `//Alice`: the well-known root, derived hard.
fn dev_account(uri: &str) -> MiniSecretKey {
    let root = "fac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e";
    let root = MiniSecretKey::from_bytes(&hex::decode(root).unwrap()).unwrap();
    let name = uri.strip_prefix("//").expect("a development account");
    let mut junction = [0_u8; 32];
    junction[0] = u8::try_from(name.len() * 4).unwrap();
    junction[1..=name.len()].copy_from_slice(name.as_bytes());
    let secret = root.expand(ExpansionMode::Ed25519);
    secret.hard_derive_mini_secret_key(Some(ChainCode(junction)), b"").0
}

fn node_ids(file: &Json) {
    let vector = |vector: &Json| {
        let hotkey: Hotkey = vector.get("hotkey").str().parse().unwrap();
        // The reference's derivation. Hearth never uses it: the seed is public.
        let seed = format!("iota-miner-{hotkey}");
        let secret = sha256(seed.as_bytes());
        let node = iroh::SecretKey::from_bytes(&secret).public();
        json!({
            "hotkey": hotkey,
            "seed": seed,
            "secret_key_hex": hex::encode(secret),
            "node_id_hex": hex::encode(node.as_bytes()),
        })
    };
    let vectors: Vec<Value> = file.get("vectors").items().iter().map(vector).collect();
    same(file, &json!({"rule": PROSE, "vectors": vectors}));
}

fn hashes(file: &Json) {
    let vector = |vector: &Json| {
        let len = vector.get("len").usize();
        let bytes: Vec<u8> = (0..=250).cycle().take(len).collect();
        json!({
            "len": len,
            "pattern": "byte i = i % 251",
            "blake3_hex": ActivationHash::of(&bytes).to_string(),
        })
    };
    let vectors: Vec<Value> = file.get("vectors").items().iter().map(vector).collect();
    same(file, &json!({"note": PROSE, "vectors": vectors}));
}
