//! What a face may ask of a practice swarm, in this process or through the local API.

use serde::{Deserialize, Serialize};

/// Something that the swarm is to do besides training.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum SwarmCommand {
    /// Let the model, with the weights that were merged last, write a sentence.
    Write,
    /// Let another miner begin: one that was killed, else a new one.
    Start,
    /// Let a miner end at once, without a goodbye, as one whose machine loses power.
    Kill {
        /// Its name: `m3`.
        miner: String,
    },
    /// Let a miner work a tenth of the time, or all of it again.
    Slow {
        /// Its name.
        miner: String,
    },
}
