//! What crosses the wire between miners, orchestrator, bridge and object store: messages, canonical
//! JSON, request signing, blobs, torch files, partitions, splits, phases, error names. It is pure (no
//! I/O, no clock, no threads), so that the miner and the practice swarm share one meaning of a byte
//! and each rule can be checked against the vectors in `tests/vectors`.

pub mod backoff;
pub mod bf16;
pub mod blob;
pub mod canonical;
pub mod constants;
pub mod epistula;
pub mod error_body;
pub mod hash;
pub mod ids;
pub mod lr_schedule;
pub mod merge;
pub mod messages;
pub mod multipart;
pub mod p2p;
pub mod peer_selection;
pub mod phase;
pub mod reading;
pub mod registry;
pub mod sections;
pub mod splits;
pub mod ss58;
pub mod torch;

pub use error_body::ServerError;
pub use hash::ActivationHash;
pub use ids::{ActivationId, ChunkNumber, Epoch, Hotkey, NodeId, RunId, StageIndex};
pub use phase::Phase;
