//! Hearth: train a large language model together, at home.
//!
//! The crate is one engine with three faces (terminal screen, headless mode, local API). The map:
//!
//! | module | what it is |
//! |---|---|
//! | [`protocol`] | what crosses the wire; pure: no I/O, no clock, no threads |
//! | [`compute`] | devices, the kernel set, programs; `cpu` (and its f64 oracle) and `wgpu` |
//! | [`model`] | the Llama stage as a plan of kernels |
//! | [`wallet`] | hotkeys |
//! | [`network`] | orchestrator client, object storage, peers, bridge registry |
//! | [`training`] | activation queue and cache, local steps, pseudo-gradients, merging, snapshots |
//! | [`host`] | facts about this machine: memory, disk, power, sleep, surroundings |
//! | [`earnings`] | from work to pay: formulas, ledger, chain, "why zero" |
//! | [`miner`] | the life cycle: one state machine; commands in, events and snapshot out |
//! | [`swarm`] | the other side: orchestrator, bridge, object store, data feed |
//! | [`telemetry`] | events and logs |
//! | [`config`] | settings and files on disk |
//! | [`clock`] | time and randomness, injected |
//! | [`control`] | what a face attaches to: snapshots and commands |
//! | [`alerts`] | what somebody is told of while nobody looks, and the ways to tell it |
//! | [`tui`] | the screens |
//! | [`cli`] | one file per command |
//!
//! Which module may use which is written in ARCHITECTURE.md and checked by `tests/architecture.rs`.

pub mod alerts;
pub mod cli;
pub mod clock;
pub mod compute;
pub mod config;
pub mod control;
pub mod earnings;
pub mod host;
pub mod miner;
pub mod model;
pub mod network;
pub mod protocol;
pub mod swarm;
pub mod telemetry;
pub mod training;
pub mod tui;
pub mod wallet;
