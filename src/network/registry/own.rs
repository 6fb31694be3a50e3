//! The own entry: what it should be, what the bridge has of it, and the writes that make the second
//! the first (spec 7.3, rule 5).

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use super::bridge::{Bridge, BridgeError};
use crate::clock::{Clock, Entropy};
use crate::config::constants::doubling_pause;
use crate::network::directory::NodeAddress;
use crate::protocol::ids::NodeId;
use crate::protocol::messages::PeerStatus;
use crate::protocol::registry::{
    self, GetRequest, GetVariable, NodeEntry, SetRequest, SetResponse, SetUpdate,
};

/// One leaf as the bridge has it.
#[derive(Clone, Debug, PartialEq)]
struct Known {
    /// `None` when only the version is known.
    value: Option<Value>,
    version: u64,
}

/// The own entry with the bridge's view of it.
#[derive(Debug)]
pub(super) struct OwnEntry {
    entry: NodeEntry,
    run_prefix: String,
    slug: String,
    /// By variable name.
    known: BTreeMap<String, Known>,
    /// How much speaks for another machine with the same hotkey.
    rivalry: u32,
}

/// Each pull that shows another node under the own hotkey adds so much, each other one takes one
/// away. Two machines take turns in the entry, so that each sees the other at least every other time.
const RIVAL_SEEN: u32 = 2;
/// From here on it is no single write of a stranger (anybody can write there).
const RIVAL_SURE: u32 = 6;

/// What a write left behind.
#[derive(Default)]
struct Rest {
    /// Leaves that somebody else wrote first.
    conflicts: Vec<String>,
    /// Whether the bridge did not know a leaf.
    missing: bool,
}

impl OwnEntry {
    pub(super) fn new(entry: NodeEntry, run_prefix: String) -> Self {
        let slug = registry::slug(&entry.node_id);
        Self { entry, run_prefix, slug, known: BTreeMap::new(), rivalry: 0 }
    }

    pub(super) fn hotkey(&self) -> &str {
        &self.entry.node_id
    }

    /// Takes over the own status; whether it should be published at once.
    pub(super) fn set_status(&mut self, status: PeerStatus) -> bool {
        let changed = self.entry.runtime_metrics.miner_status != status.miner_status;
        self.entry.runtime_metrics = status;
        changed
    }

    /// Takes over where this miner can be reached; whether that is something new.
    pub(super) fn set_address(&mut self, address: &NodeAddress) -> bool {
        let before = self.entry.clone();
        set_address(&mut self.entry, address);
        self.entry != before
    }

    /// Says that the entry is alive at `now`, Unix seconds.
    pub(super) fn stamp(&mut self, now: f64) {
        self.entry.last_keepalive = now;
    }

    /// Creates all variables of the entry; existing ones keep their values.
    pub(super) async fn register(&mut self, bridge: &Bridge) -> Result<(), BridgeError> {
        let request = self.entry.register_request(&self.run_prefix);
        let answer = bridge.register(&request).await?;
        for (variable, result) in request.variables.into_iter().zip(answer.results) {
            let Some(version) = result.version else { continue };
            let created = result.status == "created";
            let value = created.then_some(variable.default_value);
            self.known.insert(variable.var_id, Known { value, version });
        }
        Ok(())
    }

    /// Whether the bridge lacks leaves of the entry.
    pub(super) fn is_incomplete(&self) -> bool {
        self.known.len() < self.entry.leaves().len()
    }

    /// Takes over what a pull found of the own entry; gives how many leaves somebody else changed.
    /// The next [`OwnEntry::push`] puts them right.
    pub(super) fn compare(&mut self, read: &[GetVariable]) -> u64 {
        let prefix = registry::var_id(&self.run_prefix, &self.slug, "");
        let mut found = BTreeMap::new();
        let mut tampered = 0;
        for variable in read.iter().filter(|variable| variable.var_id.starts_with(&prefix)) {
            let (value, version) = (variable.value.clone(), variable.version);
            if let Some(known) = self.known.get(&variable.var_id) {
                let ours = known.value.as_ref().is_none_or(|known| same(known, &value));
                tampered += u64::from(!ours);
            }
            found.insert(variable.var_id.clone(), Known { value: Some(value), version });
        }
        self.known = found;
        tampered
    }

    /// The other node that keeps writing itself into this entry, judged once per pull: most likely
    /// the same hotkey mines on a second machine.
    pub(super) fn rival(&mut self, read: &[GetVariable]) -> Option<NodeId> {
        let field = registry::var_id(&self.run_prefix, &self.slug, "p2p_node_ids");
        let variable = read.iter().find(|variable| variable.var_id == field);
        let ids = variable.and_then(|variable| variable.value.as_array());
        let own = self.entry.peers();
        let other = ids
            .into_iter()
            .flatten()
            .filter_map(|id| id.as_str()?.parse().ok())
            .find(|id| !own.contains(id));
        self.rivalry = match other {
            Some(_) => (self.rivalry + RIVAL_SEEN).min(2 * RIVAL_SURE),
            None => self.rivalry.saturating_sub(1),
        };
        other.filter(|_| self.rivalry >= RIVAL_SURE)
    }

    /// Writes every leaf that differs from what the bridge has.
    pub(super) async fn push(
        &mut self,
        bridge: &Bridge,
        clock: &Clock,
        entropy: &mut Entropy,
    ) -> Result<(), BridgeError> {
        let rules = bridge.rules().clone();
        for attempt in 0..rules.register_attempts.max(1) {
            if self.is_incomplete() {
                self.register(bridge).await?;
            }
            let mut rest = self.write(bridge).await?;
            if !rest.conflicts.is_empty() {
                self.refresh(bridge, rest.conflicts).await?;
                // Once more; what conflicts again waits for the next push.
                rest = self.write(bridge).await?;
            }
            if !rest.missing {
                return Ok(());
            }
            self.known.clear();
            let pause = doubling_pause(rules.first_retry_pause, attempt, Duration::from_secs(60));
            clock.sleep(pause.mul_f64(1.0 + entropy.unit())).await;
        }
        Ok(())
    }

    /// One `/set` with all differing leaves.
    async fn write(&mut self, bridge: &Bridge) -> Result<Rest, BridgeError> {
        let updates = self.differing();
        if updates.is_empty() {
            return Ok(Rest::default());
        }
        let request = SetRequest { updates };
        let answer = bridge.set(&request).await?;
        Ok(self.take_results(request.updates, answer))
    }

    fn differing(&self) -> Vec<SetUpdate> {
        let update = |leaf: registry::Leaf| {
            let var_id = registry::var_id(&self.run_prefix, &self.slug, &leaf.field);
            let known = self.known.get(&var_id);
            let same = known.is_some_and(|known| known.value.as_ref() == Some(&leaf.value));
            let current_version = known.map(|known| known.version);
            let value = leaf.value;
            (!same).then_some(SetUpdate { var_id, value, current_version, lock_token: None })
        };
        self.entry.leaves().into_iter().filter_map(update).collect()
    }

    fn take_results(&mut self, updates: Vec<SetUpdate>, answer: SetResponse) -> Rest {
        let mut rest = Rest::default();
        for (update, result) in updates.into_iter().zip(answer.results) {
            if result.is_conflict() {
                rest.conflicts.push(update.var_id);
            } else if result.is_missing() {
                rest.missing = true;
            } else if !result.is_error() {
                let next = update.current_version.unwrap_or(0) + 1;
                let known =
                    Known { value: Some(update.value), version: result.version.unwrap_or(next) };
                self.known.insert(update.var_id, known);
            }
        }
        rest
    }

    /// Reads the versions of `var_ids` again.
    async fn refresh(&mut self, bridge: &Bridge, var_ids: Vec<String>) -> Result<(), BridgeError> {
        let read = bridge.get(&GetRequest { var_ids }).await?;
        for variable in read.variables {
            let known = Known { value: Some(variable.value), version: variable.version };
            self.known.insert(variable.var_id, known);
        }
        Ok(())
    }
}

/// Writes an address into an entry.
pub(super) fn set_address(entry: &mut NodeEntry, address: &NodeAddress) {
    entry.p2p_node_ids = vec![address.id.to_string()];
    entry.iroh_relay_url.clone_from(&address.relay_url);
    entry.iroh_direct_addresses = address.direct.iter().map(ToString::to_string).collect();
}

/// Whether a value that went through a server and its JSON is still the one that was sent: decimal
/// text may cost a number its last bit.
fn same(sent: &Value, read: &Value) -> bool {
    match (sent.as_f64(), read.as_f64()) {
        (Some(sent), Some(read)) => (sent - read).abs() <= sent.abs() * 1e-12,
        _ => sent == read,
    }
}
