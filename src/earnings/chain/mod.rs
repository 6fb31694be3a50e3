//! The chain, read-only: whether a hotkey is registered, what it gets, what an address holds. It is read
//! from any node that the user names, by the chain's own metadata.
//!
//! Nothing is ever signed or sent here: there is no code path to a transaction, and
//! `tests/architecture.rs` keeps it so. The node is told the addresses that are asked for and nothing
//! else, and those only after it has shown that it is of the right chain.

mod address;
mod error;
mod movement;
#[cfg_attr(not(feature = "chain"), path = "without.rs")]
mod reader;
mod reading;
#[cfg(feature = "chain")]
mod stored;
#[cfg(feature = "chain")]
mod trouble;
mod watch;
mod words;

pub use address::{Account, BlockHash, BlockRef, Endpoint, Place};
pub use error::ChainError;
pub use movement::{Holding, Movement, movements};
pub use reader::Reader;
pub use reading::{Asked, Fact, Pool, Reading, Registration, Seen, Unknown};
pub use watch::{Known, Look, Note, Stale, Watch};
pub use words::Row;
