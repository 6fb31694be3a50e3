//! The ways to other miners: which path, how far, how fast, what went wrong and by whose fault.

use serde::{Deserialize, Serialize};

/// So many links a snapshot tells of at most.
pub const MOST_LINKS: usize = 64;

/// Which way packets take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkWay {
    /// Straight, over the internet.
    Direct,
    /// Straight, within the own network or machine.
    Nearby,
    /// Through a relay.
    Relayed,
}

/// Failures by whose fault they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Failures {
    /// Nobody answered then: the own line's.
    pub own_line: u64,
    /// The peer answered that it does not take it.
    pub refused: u64,
    /// The peer did not answer, while others did.
    pub silent: u64,
    /// The connection went through a relay, and broke or was too slow there, while others answered.
    pub relay: u64,
}

impl LinkView {
    /// Whether anything ever failed.
    pub fn failed(&self) -> bool {
        self.failures != Failures::default()
    }
}

/// One other miner's node. Sources: the registry (who), the endpoint's connections (way, round trip),
/// own measurement (bytes, speed, failures), the peer's own word (`heard`).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LinkView {
    /// The node's id.
    pub node: String,
    /// Address of its miner, as the registry has it.
    pub hotkey: Option<String>,
    /// Its stage, 0-based, as the registry has it.
    pub stage: Option<usize>,
    /// The way; none while nothing is open.
    pub way: Option<LinkWay>,
    /// There and back, in milliseconds; none while nothing is open.
    pub round_trip: Option<f64>,
    /// Bytes of messages sent to it.
    pub sent: u64,
    /// Bytes of messages received from it.
    pub received: u64,
    /// Bytes a second of the last pushes to it, from the first byte to its answer; none before one.
    pub push_speed: Option<f64>,
    /// Requests that it answered, refusals included.
    pub answered: u64,
    /// Attempts that failed.
    pub failures: Failures,
    /// What went wrong last, in words.
    pub last_failure: Option<String>,
    /// Unix seconds until when it is left alone; none where it is not.
    pub rests_until: Option<f64>,
    /// Unix seconds of the last thing heard from it.
    pub heard: Option<f64>,
}
