//! `hearth keys` as a user meets it: the real binary, encrypted files on a real disk, a real keyring
//! in a session of its own, and a real terminal. No output may hold a secret.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod files;
#[cfg(target_os = "linux")]
mod keyring;
#[path = "../support/pty.rs"]
#[allow(dead_code)]
mod pty;
#[cfg(unix)]
mod terminal;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const ALICE: &str = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
const ALICE_SEED: &str = "0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a";
/// The ecosystem's published development phrase, and the address of its root key.
const PHRASE: &str = "bottom drive obey lake curtain smoke basket hold race lonely fit walk";
const PHRASE_ADDRESS: &str = "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV";
const PASSPHRASE: &str = "correct horse battery";

/// A home of its own, with files for secrets beside it.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("home")
    }

    fn key_file(&self, name: &str) -> PathBuf {
        self.path().join("data").join("keys").join(format!("{name}.key"))
    }

    /// A private file with this content.
    fn file(&self, name: &str, content: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, content).unwrap();
        #[cfg(unix)]
        set_mode(&path, 0o600);
        path.display().to_string()
    }

    fn passphrase(&self) -> String {
        self.file("passphrase", &format!("{PASSPHRASE}\n"))
    }

    /// The binary, as told everything it may log.
    fn hearth(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
        command.args(arguments).env("HEARTH_HOME", self.path()).env("RUST_LOG", "trace");
        alone(&mut command);
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Output {
        let output = self.hearth(arguments).output().unwrap();
        no_secret_in(&output);
        output
    }

    #[track_caller]
    fn done(&self, arguments: &[&str]) -> String {
        succeeded(&self.run(arguments))
    }

    /// Keeps a key of this secret in an encrypted file called `name`.
    #[track_caller]
    fn import(&self, name: &str, secret: &str) -> String {
        let (secret, passphrase) = (self.file("hot", secret), self.passphrase());
        self.done(&[
            "keys",
            "import",
            "--name",
            name,
            "--hotkey-file",
            &secret,
            "--store",
            "file",
            "--passphrase-file",
            &passphrase,
        ])
    }
}

/// Nothing of the machine's own session reaches the binary.
fn alone(command: &mut Command) {
    for name in ["DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY", "CREDENTIALS_DIRECTORY"]
    {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Whether a text holds a part of a secret of these tests.
fn has_secret(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains(&ALICE_SEED[2..20])
        || text.contains("bottom drive")
        || text.contains("horse battery")
}

#[track_caller]
fn no_secret_in(output: &Output) {
    for text in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(text);
        assert!(!has_secret(&text), "a secret in: {text}");
        assert!(!text.contains("panicked"), "{text}");
    }
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn refused(output: &Output, code: i32, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for word in words {
        assert!(said.contains(word), "{word:?} is missing in: {said}");
    }
}

/// All files below a folder.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}
