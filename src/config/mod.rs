//! Settings and the files they live in.

pub mod folders;
