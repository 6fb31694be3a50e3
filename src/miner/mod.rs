//! The life cycle of a miner: one state machine; commands in, events and snapshot out.

mod announce;
pub mod board;
mod duties;
mod error;
mod life;
pub mod machine;
mod register;
pub mod snapshot;
mod uploads;
mod view;

pub use error::MinerError;
pub use life::{DeviceWorker, Miner, MinerHandle, MinerSettings};
pub use snapshot::{
    Command, DeviceView, Eta, MinerSnapshot, NeighbourView, Reason, State, Status, Who, Work,
};
