//! What stands in for the reader in a build without the feature `chain`: it says that there is none.

use super::address::{BlockRef, Endpoint, Place};
use super::error::ChainError;
use super::reading::{Asked, Seen};
use crate::clock::Clock;
use crate::config::chain::ChainConstants;

/// Reads nothing.
#[derive(Debug)]
pub struct Reader {
    endpoint: Endpoint,
    place: Place,
}

impl Reader {
    /// A reader that cannot read.
    pub fn new(endpoint: Endpoint, place: Place, _: &ChainConstants, _: Clock) -> Self {
        Self { endpoint, place }
    }

    /// Where it would read.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// What it would read.
    pub fn place(&self) -> Place {
        self.place
    }

    /// Says so.
    pub async fn read(&self, _: &Asked, _: &[BlockRef]) -> Result<Seen, ChainError> {
        Err(ChainError::NotBuilt)
    }
}
