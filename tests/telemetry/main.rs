//! What a run leaves behind and tells: its record and the replay of it, bug reports, alerts,
//! measurements for a collector. All through the real binary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod alerts;
mod collector;
mod listeners;
#[path = "../support/pty.rs"]
#[allow(dead_code)]
mod pty;
mod quiet;
mod records;
mod reports;
mod runs;
mod secrets;
