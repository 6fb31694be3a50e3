//! Installing, upgrading and removing Hearth as a person meets it: the real scripts in a throw-away
//! home, from a release folder that is made here. Most tests install a small script that says its
//! version in place of the program, so that they take a second; one installs the program itself.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod downloads;
mod installing;
mod packages;
mod profiles;
mod removing;
mod scripts;
mod server;
mod world;
