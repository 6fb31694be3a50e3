//! Errors name the field and stay short, and what would not fit into memory is not read.

use serde_json::json;

use super::*;
use crate::protocol::messages::{
    Attestation, HeartbeatResponse, PeerStatus, RegistrationAnswer, RunInfo,
};

fn why<'de, T: Deserialize<'de>>(text: &'de str) -> String {
    json::<T>(text.as_bytes()).err().expect("an error").to_string()
}

#[test]
fn a_wrong_field_is_named_wherever_it_is() {
    let heartbeat = |text| why::<HeartbeatResponse>(text);
    let wrong = heartbeat(r#"{"run_id":"r","layer":"1","epoch":2,"phase":"training"}"#);
    assert_eq!(wrong, "layer: invalid type: string \"1\", expected usize");
    let wrong = heartbeat(r#"{"run_id":"r","layer":1,"epoch":2}"#);
    assert_eq!(wrong, "missing field `phase`");
    let wrong = heartbeat(r#"{"run_id":"r","layer":1,"epoch":-2,"phase":"training"}"#);
    assert_eq!(wrong, "epoch: invalid value: integer `-2`, expected u64");
    let wrong = heartbeat(r#"{"run_id":"r","layer":1,"epoch":1,"phase":"resting"}"#);
    assert!(wrong.starts_with("phase: unknown variant `resting`"), "{wrong}");
    let wrong = why::<RegistrationAnswer>(r#"{"run_id":"r","run_flags":{"attest":3}}"#);
    assert!(wrong.starts_with("run_flags.attest: "), "{wrong}");
    let inner = json!({"queue_id": "q", "status": "succeeded", "response": {"run_id": []}});
    let wrong = why::<RegistrationAnswer>(&inner.to_string());
    assert!(wrong.starts_with("response.run_id: invalid type: sequence"), "{wrong}");
    let wrong = why::<Vec<HeartbeatResponse>>(r#"[{"run_id":"r"}]"#);
    assert_eq!(wrong, "[0]: missing field `layer`");
    assert!(why::<Vec<RunInfo>>("{}").contains("expected a sequence"));
    assert!(why::<Option<Attestation>>(r#"{"a":1}"#).contains("Attestation"));
}

#[test]
fn a_text_that_is_no_json_is_answered_with_its_place() {
    const MORE: &str = r#"{"run_id":"r","layer":1,"epoch":2,"phase":"training"} 2"#;
    for text in ["", "{", "<html>", "{\"run_id\":NaN}", "{\"run_id\":1e999}", MORE] {
        let wrong = why::<HeartbeatResponse>(text);
        assert!(wrong.contains("line 1 column"), "{text:?}: {wrong}");
    }
    let wrong = json::<HeartbeatResponse>(b"{\"run_id\":\"\xff\"}").unwrap_err().to_string();
    assert!(wrong.contains("unicode") && wrong.contains("column"), "{wrong}");
}

#[test]
fn messages_stay_short_and_harmless_however_long_the_text_is() {
    let long = "é\u{1b}[2J".repeat(1 << 20);
    let text = json!({"run_id": "r", "layer": long, "epoch": 1, "phase": "training"}).to_string();
    let error = json::<HeartbeatResponse>(text.as_bytes()).unwrap_err();
    assert_eq!(error.field(), "layer");
    let shown = error.to_string();
    assert!(shown.chars().count() < 300 && shown.ends_with("expected usize"), "{shown}");
    assert!(!shown.contains(char::is_control));
    let text = json!({"run_id": "r", "run_flags": {long: 1}, "response": 1, "queue_id": "q"});
    assert!(why::<RegistrationAnswer>(&text.to_string()).chars().count() < 300);
}

#[test]
fn peers_messages_name_their_fields_too() {
    let pack = |value: &serde_json::Value| rmp_serde::to_vec_named(value).unwrap();
    let wrong = pack(&json!({"source_hotkey": "x", "cache_size": "many"}));
    let error = message_pack::<PeerStatus>(&wrong).unwrap_err();
    assert_eq!(error.to_string(), "cache_size: invalid type: string \"many\", expected i64");
    let mut more = pack(&json!({"source_hotkey": "x"}));
    assert!(message_pack::<PeerStatus>(&more).is_ok());
    more.push(0xc0);
    assert!(message_pack::<PeerStatus>(&more).unwrap_err().to_string().contains("after"));
    assert!(message_pack::<PeerStatus>(&[0x81]).is_err());
}

#[test]
fn texts_that_would_grow_in_memory_are_refused_before_they_are_read() {
    for unit in ["{},", "[],", "{\"\":0},", "0,"] {
        let text = format!("[{}0]", unit.repeat((24 << 20) / unit.len()));
        assert!(why::<serde_json::Value>(&text).contains("more values"), "{unit}");
    }
    let text = format!("[{}\"\"]", "\"{[,:\\\"\",".repeat(100_000));
    assert!(memory_for(text.as_bytes()) <= 800 + 200 * 100_000, "texts do not count");
}

#[test]
fn an_excerpt_keeps_both_ends() {
    assert_eq!(excerpt("abc", 3), "abc");
    assert_eq!(excerpt("abcdefghij", 5), "ab…ij");
    assert_eq!(excerpt("äöüß", 4), "äöüß");
    assert_eq!(excerpt("a\nb", 9), "a b");
    assert_eq!(excerpt("abc", 0), "…");
}
