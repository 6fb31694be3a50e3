//! The node registry that miners keep on the bridge (spec 7.3): one compare-and-swap variable per
//! leaf of a node's entry. Names, flattening an entry to leaves, and rebuilding entries from them.

mod bridge;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use bridge::{
    CAS_MISMATCH, GetError, GetRequest, GetResponse, GetVariable, ListedVariable, Lock,
    LockRequest, LockResponse, LockResult, NOT_FOUND, RegisterRequest, RegisterResponse,
    RegisterResult, SetRequest, SetResponse, SetResult, SetUpdate, UnlockRequest, VariableMetadata,
    VariableSpec, WriteRule,
};

use super::ids::{Hotkey, NodeId, RunId, StageIndex};
use super::messages::{MinerStatus, PeerStatus};

/// Run prefix before a miner is registered.
pub const PENDING_PREFIX: &str = "run-pending";

/// The part of every variable's name that says which run it belongs to.
pub fn run_prefix(run: &RunId) -> String {
    format!("run-{}", sanitise(run.as_str()))
}

/// The part of a variable's name that says whose entry it belongs to.
pub fn slug(hotkey: &str) -> String {
    sanitise(hotkey)
}

/// Every character but letters, digits, `-` and `_` becomes `_`.
pub fn sanitise(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_') { c } else { '_' })
        .collect()
}

/// What the names of all registry variables of a run start with.
pub fn registry_prefix(run_prefix: &str) -> String {
    format!("{run_prefix}/node_registry/")
}

/// The name of one leaf.
pub fn var_id(run_prefix: &str, slug: &str, field: &str) -> String {
    format!("{run_prefix}/node_registry/{slug}/{field}")
}

/// The group of a stage's nodes.
pub fn stage_group(stage: StageIndex) -> String {
    format!("layer-{stage}")
}

/// One node's entry. Fields that are missing or broken in a stranger's entry have their defaults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NodeEntry {
    /// The node's hotkey; entries without one are ignored.
    pub node_id: String,
    /// Its peer ids.
    pub p2p_node_ids: Vec<String>,
    /// Its relay.
    pub iroh_relay_url: Option<String>,
    /// Its addresses, `ip:port`.
    pub iroh_direct_addresses: Vec<String>,
    /// `all`, and its stage's group.
    pub groups: Vec<String>,
    /// Unix seconds.
    pub joined_at: f64,
    /// Unix seconds.
    pub last_keepalive: f64,
    /// What it last said about itself.
    pub runtime_metrics: PeerStatus,
}

impl Default for NodeEntry {
    fn default() -> Self {
        Self {
            node_id: String::new(),
            p2p_node_ids: Vec::new(),
            iroh_relay_url: None,
            iroh_direct_addresses: Vec::new(),
            groups: vec!["all".to_owned()],
            joined_at: 0.0,
            last_keepalive: 0.0,
            runtime_metrics: PeerStatus {
                miner_status: MinerStatus::Initializing,
                ..PeerStatus::default()
            },
        }
    }
}

/// One leaf of an entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Leaf {
    /// Path below the node's slug, e.g. `runtime_metrics/cache_size`.
    pub field: String,
    /// Its value.
    pub value: Value,
}

impl NodeEntry {
    /// The entry a node registers with, before it has a stage or an address.
    pub fn new(hotkey: &Hotkey, now: f64) -> Self {
        let name = hotkey.to_string();
        let entry = Self::default();
        Self {
            joined_at: now,
            last_keepalive: now,
            runtime_metrics: PeerStatus { source_hotkey: name.clone(), ..entry.runtime_metrics },
            node_id: name,
            ..entry
        }
    }

    /// The peer ids that make sense.
    pub fn peers(&self) -> Vec<NodeId> {
        self.p2p_node_ids.iter().filter_map(|id| id.parse().ok()).collect()
    }

    /// Whether a stream to it can be opened: it has an id and a relay or an address.
    pub fn is_dialable(&self) -> bool {
        let reachable = self.iroh_relay_url.is_some() || !self.iroh_direct_addresses.is_empty();
        reachable && !self.peers().is_empty()
    }

    /// Whether it works on `stage`.
    pub fn is_in_stage(&self, stage: StageIndex) -> bool {
        self.groups.contains(&stage_group(stage))
    }

    /// All leaves, in the model's order.
    pub fn leaves(&self) -> Vec<Leaf> {
        let leaf = |field: &str, value: Value| Leaf { field: field.to_owned(), value };
        let mut leaves = vec![
            leaf("node_id", self.node_id.clone().into()),
            leaf("p2p_node_ids", self.p2p_node_ids.clone().into()),
            leaf("iroh_relay_url", self.iroh_relay_url.clone().into()),
            leaf("iroh_direct_addresses", self.iroh_direct_addresses.clone().into()),
            leaf("groups", self.groups.clone().into()),
            leaf("joined_at", self.joined_at.into()),
            leaf("last_keepalive", self.last_keepalive.into()),
        ];
        let m = &self.runtime_metrics;
        let metric = |field: &str, value: Value| leaf(&format!("runtime_metrics/{field}"), value);
        leaves.extend([
            metric("source_hotkey", m.source_hotkey.clone().into()),
            metric("forward_queue_size", m.forward_queue_size.into()),
            metric("backward_queue_size", m.backward_queue_size.into()),
            metric("cache_size", m.cache_size.into()),
            metric("cache_capacity", m.cache_capacity.into()),
            metric("uptime_seconds", m.uptime_seconds.into()),
            metric("layer_phase", m.layer_phase.clone().into()),
            metric("miner_status", m.miner_status.as_str().into()),
            metric("last_status_received", m.last_status_received.into()),
        ]);
        leaves
    }

    /// The bridge's `/register` body for all leaves of this entry.
    pub fn register_request(&self, run_prefix: &str) -> RegisterRequest {
        let slug = slug(&self.node_id);
        let variable = |leaf: Leaf| VariableSpec {
            var_id: var_id(run_prefix, &slug, &leaf.field),
            var_type: var_type(&leaf.value).to_owned(),
            default_value: leaf.value,
            write_rule: WriteRule::Cas,
        };
        RegisterRequest { variables: self.leaves().into_iter().map(variable).collect() }
    }
}

/// The bridge's name for the type of `value`. Null counts as text.
pub fn var_type(value: &Value) -> &'static str {
    match value {
        Value::Null | Value::String(_) => "str",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float",
        Value::Number(_) => "int",
        Value::Array(_) => "list",
        Value::Object(_) => "dict",
    }
}

/// Rebuilds the entries of a run from its variables, by slug. Leaves of other runs, leaves that make
/// no sense, and entries without a node id are left out.
pub fn rebuild<'a>(
    run_prefix: &str,
    variables: impl IntoIterator<Item = (&'a str, &'a Value)>,
) -> BTreeMap<String, NodeEntry> {
    let prefix = registry_prefix(run_prefix);
    let mut trees = BTreeMap::<String, Map<String, Value>>::new();
    for (var_id, value) in variables {
        let path = var_id.strip_prefix(&prefix).and_then(|rest| rest.split_once('/'));
        if let Some((slug, field)) = path {
            plant(trees.entry(slug.to_owned()).or_default(), field, value.clone());
        }
    }
    let entries = trees.into_iter().map(|(slug, tree)| (slug, entry(tree)));
    entries.filter(|(_, entry)| !entry.node_id.is_empty()).collect()
}

/// Puts `value` at `field` (at most two levels: the model has no more).
fn plant(tree: &mut Map<String, Value>, field: &str, value: Value) {
    match field.split_once('/') {
        None => {
            tree.insert(field.to_owned(), value);
        }
        Some((outer, inner)) => {
            let inside = tree.entry(outer).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inside) = inside {
                inside.insert(inner.to_owned(), value);
            }
        }
    }
}

/// An entry from what is readable of `tree`, field by field, so that one broken leaf does not hide
/// the node.
fn entry(mut tree: Map<String, Value>) -> NodeEntry {
    let metrics = match tree.remove("runtime_metrics") {
        Some(Value::Object(metrics)) => metrics,
        _ => Map::new(),
    };
    let metrics = readable::<PeerStatus>(metrics);
    NodeEntry { runtime_metrics: metrics, ..readable::<NodeEntry>(tree) }
}

/// A `T` of those fields of `tree` that it can read; the rest have their defaults.
fn readable<T: serde::de::DeserializeOwned + Default>(tree: Map<String, Value>) -> T {
    let one = |key: &String, value: &Value| {
        let single = Map::from_iter([(key.clone(), value.clone())]);
        serde_json::from_value::<T>(Value::Object(single)).is_ok()
    };
    let kept: Map<String, Value> =
        tree.into_iter().filter(|(key, value)| one(key, value)).collect();
    serde_json::from_value(Value::Object(kept)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
