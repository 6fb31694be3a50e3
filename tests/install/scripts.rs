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

/// The words that both installers must know: what they are asked with is the same everywhere.
const FLAGS: [(&str, &str); 9] = [
    ("--from ", "-From "),
    ("--from-source", "-FromSource"),
    ("--uninstall", "-Uninstall"),
    ("--version VERSION", "-Version VERSION"),
    ("--prefix FOLDER", "-Prefix FOLDER"),
    ("--no-modify-path", "-NoModifyPath"),
    ("--keep-keys", "-KeepKeys"),
    ("--purge", "-Purge"),
    ("--yes", "-Yes"),
];

#[test]
fn both_installers_take_and_explain_the_same_flags() {
    let read = |name: &str| std::fs::read_to_string(root().join("installer").join(name)).unwrap();
    let (unix, windows) = (read("install.sh"), read("install.ps1"));
    let parameters = windows.split_once("\n)\n").unwrap().0;
    for (flag, parameter) in FLAGS {
        assert!(unix.contains(&format!("  {flag}")), "install.sh does not explain {flag}");
        assert!(windows.contains(parameter), "install.ps1 does not explain {parameter}");
        let name = parameter.trim_start_matches('-').split(' ').next().unwrap();
        assert!(parameters.contains(&format!("${name}")), "install.ps1 does not take -{name}");
    }
}

#[test]
fn the_windows_installer_can_be_read_by_powershell() {
    let path = root().join("installer/install.ps1");
    // Windows PowerShell takes a file without a mark for the local code page.
    assert!(std::fs::read(&path).unwrap().is_ascii());
    if Command::new("pwsh").arg("-Version").output().is_err() {
        eprintln!("skipped: this machine has no pwsh, so install.ps1 is not parsed");
        return;
    }
    let parse = format!(
        "$e = $null; [void][Management.Automation.Language.Parser]::ParseFile('{}', [ref]$null, \
         [ref]$e); $e | ForEach-Object {{ \"$_\" }}; exit $e.Count",
        path.display()
    );
    well(&output(Command::new("pwsh").args(["-NoProfile", "-Command", &parse])));
}

#[test]
fn the_installer_does_nothing_when_only_half_of_it_arrives() {
    let text = std::fs::read_to_string(root().join("installer/install.sh")).unwrap();
    let (body, last) = text.trim_end().rsplit_once('\n').unwrap();
    assert_eq!(last, "main \"$@\"");
    let said = well(&output(Command::new("sh").args(["-c", body, "install.sh", "--help"])));
    assert_eq!(said, "");
}
