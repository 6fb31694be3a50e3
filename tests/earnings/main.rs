//! Earnings: what the ledger keeps when its writer is killed, what `hearth earnings` tells, and the rule that
//! stops when work would leave too little.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "../support/events.rs"]
mod events;

mod command;
mod kills;
mod practice;
mod rule;
