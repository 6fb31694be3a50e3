//! The servers a stage needs: one bundle, so that duties pass one thing around.

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::Constants;
use crate::network::Orchestrator;
use crate::network::attestation::Attestor;
use crate::network::storage::Storage;

/// Orchestrator, store, time and the network's constants. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Services {
    /// The orchestrator, as this miner's hotkey.
    pub orchestrator: Orchestrator,
    /// The object store.
    pub storage: Storage,
    /// Who answers attestation challenges.
    pub attestor: Attestor,
    /// The time.
    pub clock: Clock,
    /// The network's numbers.
    pub constants: Arc<Constants>,
}
