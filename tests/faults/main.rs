//! The list of faults: what goes wrong with a card, memory, the network, the other side and the clock,
//! and how soon the miner trains again by itself. Each test prints one line that `scripts/faults.sh`
//! makes a table of; those that take long are ignored here and run there.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod adapter;
mod device;
mod gate;
mod mend;
mod network;
mod restart;

#[path = "../script/miner.rs"]
#[allow(dead_code)]
mod miner;
#[path = "../script/server.rs"]
#[allow(dead_code)]
mod server;
#[path = "../support/world.rs"]
#[allow(dead_code)]
mod world;

use std::time::Duration;

/// Says how it went, and fails if it took too long.
#[track_caller]
fn recovered(fault: &str, after: Duration, limit: Duration) {
    let (after, limit) = (after.as_secs_f64(), limit.as_secs_f64());
    println!("fault | {fault} | training again after {after:.1} s | limit {limit:.0} s");
    assert!(after <= limit, "{fault}: {after:.1} s, not {limit:.0} s");
}
