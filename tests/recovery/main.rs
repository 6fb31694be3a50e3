//! Coming back: the real binary is killed at random points and must go on where it was; what its
//! miners then hold must be what an uninterrupted run under the same order of work would hold. And
//! what a full disk or damaged files do to it.
//!
//! `scripts/crash-loop.sh` runs the long form and prints a table.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod disk;
mod kills;
#[cfg(target_os = "linux")]
mod power;
mod process;
mod proof;
mod speed;
#[path = "../support/world.rs"]
#[allow(dead_code)]
mod world;
