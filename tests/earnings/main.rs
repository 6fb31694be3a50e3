//! Earnings: what the ledger keeps when its writer is killed, and what `hearth earnings` tells.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod command;
#[path = "../support/events.rs"]
mod events;
mod kills;
mod practice;
