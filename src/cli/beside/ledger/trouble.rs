//! What a user should know of the ledger while miners run.

use std::path::PathBuf;

use crate::earnings::derive::DeriveError;
use crate::earnings::ledger::LedgerError;
use crate::earnings::published::Disagreement;

/// Something is not as it should be. Mining goes on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// The ledger cannot be written.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The ledger was damaged.
    #[error("the ledger was damaged; it is kept as {}", .0.display())]
    PutAside(PathBuf),
    /// Nothing follows from an answer.
    #[error(transparent)]
    Answer(DeriveError),
    /// The published pay is wrong.
    #[error("the pay of epoch {epoch} does not add up: {wrong}")]
    Disagrees {
        /// Of which epoch.
        epoch: u64,
        /// In what.
        wrong: Disagreement,
    },
}

impl Trouble {
    /// Stable name.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::Ledger(error) => error.code(),
            Self::PutAside(_) => "ledger-put-aside",
            Self::Answer(error) => error.code(),
            Self::Disagrees { .. } => "pay-disagrees",
        }
    }

    /// What now.
    pub(super) fn fix(&self) -> &'static str {
        match self {
            Self::Ledger(_) => "mining goes on; nothing is entered until the next start",
            Self::PutAside(_) => "a new one was begun; a backup can be read with --ledger",
            Self::Answer(_) => "ask who runs the network; mining goes on",
            Self::Disagrees { .. } => "ask who runs the network; its answer is kept",
        }
    }
}
