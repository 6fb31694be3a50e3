//! Bad input, and round trips with the programs that Hearth has to agree with: every parser against
//! every message with a field missing, of a wrong type, huge, negative or not text; files that lie;
//! PyTorch, Python's JSON and another signature library on the other side, where they are installed.
//!
//! `HEARTH_PYTHON` names the Python to use (default: `python3`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod blobs;
mod fields;
mod files;
mod kinds;
mod memory;
mod peers;
mod python;
mod signatures;
mod torch;

#[global_allocator]
static COUNTED: memory::Counted = memory::Counted;
