//! The node registry as strangers fill it: a JSON object from variable to value.
#![no_main]

use std::collections::BTreeMap;

use hearth::protocol::StageIndex;
use hearth::protocol::reading;
use hearth::protocol::registry::{rebuild, registry_prefix};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Ok(fields) = reading::json::<BTreeMap<String, Value>>(data) else { return };
    let named: Vec<(String, Value)> = fields
        .into_iter()
        .map(|(field, value)| (format!("{}{field}", registry_prefix("run-r")), value))
        .collect();
    let entries = rebuild("run-r", named.iter().map(|(name, value)| (name.as_str(), value)));
    for entry in entries.values() {
        assert!(!entry.node_id.is_empty());
        let _ = (entry.peers(), entry.is_dialable(), entry.is_in_stage(StageIndex(1)));
        let _ = entry.leaves();
    }
});
