//! What holds for every command, said once for `hearth --help` and the manual: the environment and
//! the exit codes.

use std::fmt::Write as _;

use super::Exit;

/// Environment variables, and what each does.
pub const ENVIRONMENT: [(&str, &str); 4] = [
    ("HEARTH_HOME", "keeps all of Hearth's files under this one folder"),
    ("HEARTH_...", "a setting, such as HEARTH_NETWORK; beats the file, flags beat it"),
    ("NO_COLOR", "no colours"),
    ("RUST_LOG", "how much is logged, such as debug"),
];

/// Exit codes, and what each means.
pub const EXIT_CODES: [(Exit, &str); 16] = [
    (Exit::Done, "done, or stopped in order"),
    (Exit::Failed, "failed"),
    (Exit::Usage, "the command line makes no sense"),
    (Exit::Configuration, "a setting, a corpus or a tokenizer is wrong"),
    (Exit::Key, "the hotkey is missing or cannot be used"),
    (Exit::Version, "the network wants another version of the protocol"),
    (Exit::Refused, "the network refuses this miner"),
    (Exit::NoDevice, "no device can be used"),
    (Exit::Disk, "the disk is full, read-only or not ours"),
    (Exit::AlreadyRunning, "Hearth already runs here"),
    (Exit::Waiting, "hearth status: waiting for the network or for others"),
    (Exit::Paused, "hearth status: paused"),
    (Exit::NeedsYou, "hearth status: somebody here must act"),
    (Exit::Fault, "hearth status: it cannot go on by itself"),
    (Exit::NotRunning, "Hearth is not running here"),
    (Exit::Interrupted, "the second Ctrl-C"),
];

/// What follows the list of commands in `hearth --help`.
pub fn after_help() -> String {
    let mut text = String::from("Environment:\n");
    // Writing to a string cannot fail.
    for (name, meaning) in ENVIRONMENT {
        let _ = writeln!(text, "  {name:<11}  {meaning}");
    }
    text.push_str("\nExit codes:\n");
    for (exit, meaning) in EXIT_CODES {
        let _ = writeln!(text, "  {:>3}  {meaning}", exit as u8);
    }
    text.push_str("\nThe manual: man hearth; where that is not installed: hearth man | less\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_fits_a_small_terminal_and_has_every_code_once() {
        let text = after_help();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let codes: Vec<u8> = EXIT_CODES.iter().map(|(exit, _)| *exit as u8).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 20, 30, 40, 130]);
    }

    #[test]
    fn the_readme_tells_the_same_codes() {
        let readme =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
        for (exit, _) in EXIT_CODES {
            let row = format!("\n| {} | ", exit as u8);
            assert!(readme.contains(&row), "README.md has no row for exit code {}", exit as u8);
        }
    }
}
