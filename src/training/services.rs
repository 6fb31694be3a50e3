//! The servers a stage needs: one bundle, so that duties pass one thing around.

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::Constants;
use crate::network::CallError;
use crate::network::Orchestrator;
use crate::network::attestation::Attestor;
use crate::network::storage::Storage;
use crate::protocol::RunId;
use crate::protocol::messages::{Attestation, AttestationAction, Flag, RunFlags};
use crate::telemetry::spent::TimeSheet;

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
    /// Where it is noted what the time goes into.
    pub time: TimeSheet,
}

impl Services {
    /// The payload that goes with a submission, where the run wants one (flag `attest`); null is sent
    /// when there is none (spec 4.1).
    pub async fn attest(
        &self,
        action: AttestationAction,
        run: &RunId,
        flags: &RunFlags,
    ) -> Result<Option<Attestation>, CallError> {
        if !flags.is_on(Flag::Attest) {
            return Ok(None);
        }
        let evidence = self.attestor.evidence(&self.orchestrator, action, Some(run)).await?;
        if let Some(trouble) = evidence.trouble {
            tracing::warn!("{trouble}");
        }
        Ok(evidence.payload)
    }
}
