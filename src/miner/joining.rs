//! How a miner joins and who is paid for it (spec 4.2, 4.3), and what it tells of its machine. Every
//! value here is the user's own word: nothing is looked up, measured, or filled in for them.

use crate::protocol::messages::{Bandwidth, NodeLocation};
pub use crate::wallet::address::PayoutAddress;

/// How the network knows this miner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joining {
    /// By a hotkey that is registered on the chain, which pays by itself.
    Metagraph,
    /// As one of the operator's pool, which pays this address; nobody, while there is none.
    Pool(Option<PayoutAddress>),
}

/// What is told of the machine beyond its device. Nothing, unless the user typed it in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disclosure {
    /// Where it is.
    pub location: Option<NodeLocation>,
    /// Its link.
    pub bandwidth: Option<Bandwidth>,
}
