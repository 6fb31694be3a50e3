//! The project's shell scripts, read by the tools that know their traps.

use std::path::PathBuf;
use std::process::Command;

use crate::world::{output, root, well};

/// All shell scripts of the project, by their first line.
fn scripts() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in ["installer", "scripts", ".ci"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            let text = std::fs::read(&path).unwrap_or_default();
            if text.starts_with(b"#!/bin/sh") || text.starts_with(b"#!/usr/bin/env bash") {
                found.push(path);
            }
        }
    }
    assert!(found.len() >= 7, "{found:?}");
    found
}

#[test]
fn shellcheck_finds_nothing() {
    if Command::new("shellcheck").arg("--version").output().is_err() {
        eprintln!(
            "skipped: this machine has no shellcheck (scripts/test.sh installs it where it may)"
        );
        return;
    }
    well(&output(Command::new("shellcheck").args(scripts())));
}

#[test]
fn the_installer_does_nothing_when_only_half_of_it_arrives() {
    let text = std::fs::read_to_string(root().join("installer/install.sh")).unwrap();
    let (body, last) = text.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(last, "main \"$@\"");
    let said = well(&output(Command::new("sh").args(["-c", body, "install.sh", "--help"])));
    assert_eq!(said, "");
}
