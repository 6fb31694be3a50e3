//! What the rules write into the books, and what they need of it to go on after a restart.

use super::closed::ClosedMiner;
use super::merging::{MergedPartition, Submission};
use crate::protocol::messages::{Direction, FileType};
use crate::protocol::{ActivationId, Hotkey, Phase};
use crate::swarm::pay::RestoredPay;
use crate::swarm::queue::Ticket;

/// One row for the books.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // The names are those of the domain; the schema explains the columns.
pub enum Entry {
    Stage {
        stage: usize,
        phase: Phase,
        epoch: u64,
    },
    Miner {
        hotkey: Hotkey,
        stage: usize,
        order: u64,
        node_id: String,
        live: bool,
        score: u64,
    },
    /// `state` is `open`, `done` or `given_up`.
    Activation {
        id: ActivationId,
        epoch: u64,
        sample: String,
        head: Hotkey,
        state: &'static str,
    },
    Pass {
        activation: ActivationId,
        stage: usize,
        direction: Direction,
        hotkey: Hotkey,
        input: Option<String>,
        output: Option<String>,
    },
    Loss {
        epoch: u64,
        activation: ActivationId,
        hotkey: Hotkey,
        loss: f64,
        tokens: u64,
    },
    Upload {
        object: String,
        hotkey: Hotkey,
        kind: FileType,
        epoch: u64,
    },
    Submission {
        epoch: u64,
        stage: usize,
        hotkey: Hotkey,
        object: String,
        factor: u64,
    },
    /// One of the (mostly two) copies of a chunk; `object` is there once it is submitted.
    Copy {
        epoch: u64,
        stage: usize,
        chunk: usize,
        hotkey: Hotkey,
        object: Option<String>,
    },
    Merged {
        stage: usize,
        chunk: usize,
        partition: MergedPartition,
    },
    Score {
        hotkey: Hotkey,
        epoch: u64,
        backwards: u64,
        partitions: u64,
    },
    /// What an epoch was paid; JSON.
    Paid {
        epoch: u64,
        record: String,
    },
    Pruned {
        object: String,
    },
    /// Nobody asks for the details of the epochs up to this one any more: their sums stay.
    Over {
        epoch: u64,
    },
    /// The newest inner optimizer state of a stage.
    OptimizerState {
        stage: usize,
        epoch: u64,
        hotkey: Hotkey,
        object: String,
    },
    Ticket(Box<Ticket>),
    TicketGone {
        id: String,
    },
    /// Where the rewards of a miner go.
    Payout {
        hotkey: Hotkey,
        coldkey: String,
    },
    /// A batch of a miner's telemetry: counts are added up, the newest text is kept.
    Telemetry {
        hotkey: Hotkey,
        unix: f64,
        metrics: u64,
        samples: u64,
        newest: String,
    },
}

/// A miner as the books knew it.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // As in `Entry::Miner`.
pub struct RestoredMiner {
    pub hotkey: Hotkey,
    pub stage: usize,
    pub order: u64,
    pub node_id: String,
    pub score: u64,
}

/// What a miner did in the epoch of its stage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // As in `Entry::Pass`.
pub struct RestoredWork {
    pub stage: usize,
    pub hotkey: Hotkey,
    pub direction: Direction,
    pub count: u64,
}

/// What a run goes on from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Restored {
    /// The newest epoch of any stage; 0 for a new run.
    pub epoch: u64,
    /// Stage, its phase, its epoch.
    pub stages: Vec<(usize, Phase, u64)>,
    /// What was reported in the stages' epochs: miners that come back have it in their gradients.
    pub work: Vec<RestoredWork>,
    /// Pseudo-gradients of the stages' epochs, by stage.
    pub submissions: Vec<(usize, Submission)>,
    /// Activations that were ever handed out: no id may come twice.
    pub handed_out: u64,
    /// Everybody who ever registered.
    pub miners: Vec<RestoredMiner>,
    /// Stage, chunk, newest merged partition.
    pub merged: Vec<(usize, usize, MergedPartition)>,
    /// Tokens that reached the last stage.
    pub tokens: u64,
    /// Objects that are still in the store and no merged partition.
    pub leftovers: Vec<String>,
    /// Stage, newest inner optimizer state.
    pub optimizer_states: Vec<(usize, OptimizerState)>,
    /// The registration queue.
    pub tickets: Vec<Ticket>,
    /// Sum and number of the losses of the newest epoch.
    pub losses: (f64, u64),
    /// What stages that are over with an epoch settled, while others were not yet.
    pub settled: Vec<ClosedMiner>,
    /// What was paid.
    pub pay: RestoredPay,
}

/// A shared inner optimizer state (spec 5.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptimizerState {
    /// Whose.
    pub hotkey: Hotkey,
    /// Its object.
    pub object: String,
    /// The epoch at whose end it was uploaded.
    pub epoch: u64,
}
