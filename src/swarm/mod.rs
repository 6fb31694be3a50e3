//! The other side: orchestrator, bridge, object store, data feed. Speaks the real wire protocol
//! over real loopback HTTP and S3; no mock, so that what works here works there.

pub mod bridge;
pub mod command;
pub mod feed;
pub mod genesis;
pub mod orchestrator;
pub mod pay;
pub mod phases;
pub mod practice;
pub mod public;
pub mod queue;
pub mod relay;
pub mod rules;
pub mod run;
pub mod snapshot;
pub mod store;
pub mod stories;

pub use command::SwarmCommand;
pub use practice::{Practice, PracticeConfig, PracticeError};
pub use rules::Rules;
pub use snapshot::{Lab, LossPoint, MinerView, StageView, SwarmSnapshot, Writing, Written};
