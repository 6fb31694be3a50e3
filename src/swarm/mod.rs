//! The other side: orchestrator, bridge, object store, data feed. Speaks the real wire protocol
//! over real loopback HTTP and S3; no mock, so that what works here works there.

pub mod feed;
pub mod snapshot;
pub mod stories;

pub use snapshot::{LossPoint, MinerView, StageView, SwarmSnapshot};
