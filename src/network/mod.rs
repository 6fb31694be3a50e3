//! Everything that leaves this machine or comes to it: the orchestrator's HTTP interface, object
//! storage, the bridge with its node registry, and the peers. Callers get typed answers and typed
//! errors; no socket, header or retry is visible above this module.

pub mod attestation;
pub mod directory;
pub mod disclosed;
pub mod http;
pub mod hub;
pub mod line;
pub mod orchestrator;
pub mod peers;
pub mod publisher;
pub mod registry;
pub mod storage;
#[cfg(test)]
pub(crate) mod test_server;
mod traffic;

pub use directory::{Directory, NodeAddress, Peer};
pub use http::{HttpClient, Route};
pub use line::{Line, LineLimits, Speed};
pub use orchestrator::{CallError, Orchestrator, Reach};
pub use traffic::Traffic;
