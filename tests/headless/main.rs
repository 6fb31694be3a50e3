//! Hearth left alone: without a terminal, a home session or anybody who watches. The real binary as a
//! server runs it: what it writes down, how it stops, what it says to systemd, and when it gives up.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod crashes;
mod exits;
mod logs;
mod rules;
#[path = "../script/server.rs"]
#[allow(dead_code)]
mod script;
mod server;
mod service;
mod settings;
mod signals;
#[cfg(target_os = "linux")]
mod systemd;
