//! What a face may ask of a practice swarm, in this process or through the local API.

use serde::{Deserialize, Serialize};

/// Something that the swarm is to do besides training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum SwarmCommand {
    /// Let the model, with the weights that were merged last, write a sentence.
    Write,
}
