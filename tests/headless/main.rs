//! Hearth left alone: without a terminal, a home session or anybody who watches. The real binary as a
//! server runs it: what it writes down, how it stops, what it says to systemd, and when it gives up.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod logs;
mod rules;
mod server;
