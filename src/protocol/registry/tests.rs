//! Entries survive flattening, and a stranger's broken leaf costs only that leaf.

use serde_json::json;

use super::*;

const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";

fn node() -> NodeEntry {
    let mut entry = NodeEntry::new(&ALICE.parse().unwrap(), 17.5);
    entry.p2p_node_ids = vec!["ab".repeat(32)];
    entry.iroh_direct_addresses = vec!["127.0.0.1:4000".into()];
    entry.groups.push(stage_group(StageIndex(1)));
    entry.runtime_metrics.cache_capacity = 16;
    entry
}

fn variables(entry: &NodeEntry) -> Vec<(String, Value)> {
    let name = |field: &str| var_id("run-a", &slug(&entry.node_id), field);
    entry.leaves().into_iter().map(|leaf| (name(&leaf.field), leaf.value)).collect()
}

fn rebuilt(variables: &[(String, Value)]) -> BTreeMap<String, NodeEntry> {
    rebuild("run-a", variables.iter().map(|(id, value)| (id.as_str(), value)))
}

#[test]
fn an_entry_is_rebuilt_from_its_leaves() {
    let entry = node();
    let entries = rebuilt(&variables(&entry));
    assert_eq!(entries, BTreeMap::from([(ALICE.to_owned(), entry.clone())]));
    assert!(entry.is_dialable() && entry.is_in_stage(StageIndex(1)));
    assert!(!entry.is_in_stage(StageIndex(11)));
    assert_eq!(entry.leaves().len(), 16);
}

#[test]
fn broken_leaves_other_runs_and_nameless_entries_are_left_out() {
    let mut all = variables(&node());
    for (id, value) in &mut all {
        if id.ends_with("/groups") || id.ends_with("/cache_size") {
            *value = json!({"no": "sense"});
        }
    }
    all.push(("run-a/node_registry/other/groups".into(), json!(["all"])));
    all.push(("run-b/node_registry/x/node_id".into(), json!("x")));
    all.push(("run-a/node_registry/node_id".into(), json!("x")));
    all.push((format!("run-a/node_registry/{ALICE}/a/b/c"), json!(1)));
    all.push((format!("run-a/node_registry/{ALICE}/node_id/x"), json!(1)));
    let entries = rebuilt(&all);
    assert_eq!(entries.len(), 1);
    let entry = &entries[ALICE];
    assert_eq!(entry.groups, ["all"]);
    assert_eq!(entry.runtime_metrics.cache_capacity, 16);
    assert!(entry.is_dialable());
}

#[test]
fn conflicts_and_missing_variables_are_told_apart() {
    let result = |error: &str| -> SetResult {
        serde_json::from_value(json!({"var_id": "x", "status": "error", "error": error})).unwrap()
    };
    let conflict = result("CASVersionMismatch: expected 3");
    assert!(conflict.is_conflict() && conflict.is_error() && !conflict.is_missing());
    assert!(result("VariableNotFound: x").is_missing());
    assert_eq!(serde_json::to_value(WriteRule::Lww).unwrap(), "LWW");
}
