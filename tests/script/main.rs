//! A miner against an orchestrator that plays a script: every answer the specification knows and
//! every fault that users of the network have met, with what the miner must ask, do and say.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod attestation;
mod errors;
mod faults;
mod miner;
mod privacy;
mod queue;
mod server;
#[path = "../support/world.rs"]
#[allow(dead_code)]
mod world;
