//! The life cycle of a miner: one state machine; commands in, events and snapshot out.

mod announce;
pub mod board;
mod company;
mod device;
mod duties;
mod error;
mod feeds;
mod fleet;
mod heart;
mod hold;
pub mod joining;
mod life;
pub mod machine;
mod pauses;
mod purse;
mod register;
pub mod snapshot;
mod switch;
pub mod text_source;
mod ticket;
mod uploads;
mod view;
mod warden;
mod workshop;

pub use company::Seat;
pub use device::DeviceWorker;
pub use error::MinerError;
pub use joining::{Disclosure, Joining, PayoutAddress};
pub use life::{FleetTelemetry, Miner, MinerHandle, MinerSettings};
pub use purse::Purse;
pub use snapshot::{
    Command, DeviceView, Eta, MinerSnapshot, NeighbourView, PauseCost, QueueView, ReachView,
    Reason, Rule, Ruling, State, Status, Who, Work,
};
pub use switch::{DeviceSource, OpenDevice, Switch, SwitchFile};
pub use warden::RuleSource;
