//! One miner, many faces: the local API of a real running miner, the commands that use it, and a screen
//! that attaches to it and leaves it again.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod commands;
mod door;
#[path = "../support/events.rs"]
mod events;
mod measures;
mod miner;
#[path = "../support/pty.rs"]
#[allow(dead_code)]
mod pty;
mod readers;
mod screen;
