//! The life cycle of a miner: one state machine; commands in, events and snapshot out.

pub mod board;
pub mod machine;
pub mod snapshot;

pub use snapshot::{
    Command, DeviceView, Eta, MinerSnapshot, NeighbourView, Reason, State, Status, Who, Work,
};
