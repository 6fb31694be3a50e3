//! The binary as a server starts it: an almost empty environment, no standard input, a folder for all
//! of its files.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A process with its output, line by line.
pub struct Server {
    pub child: Child,
    pub lines: mpsc::Receiver<String>,
    home: PathBuf,
}

/// The binary with nothing but `HEARTH_HOME` in its environment.
pub fn bare(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.env_clear().env("HEARTH_HOME", home).stdin(Stdio::null());
    command
}

/// The kept practice swarm at its smallest, with these further arguments.
pub fn practice(home: &Path, more: &[&str]) -> Command {
    let mut command = bare(home);
    command.args(["run", "--headless", "--json", "--network", "practice", "--preset", "nano"]);
    command.args(["--backend", "cpu"]).args(more);
    command
}

/// A miner of the network at `network`, with a key file.
pub fn miner(home: &Path, network: &str, more: &[&str]) -> Command {
    let key = home.join("hot");
    std::fs::write(&key, "0xe5be9a5092b81bca64be81d212e7f2f9eba183bb7a90954f7b76361f6edb5c0a")
        .unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&key, private).unwrap();
    let mut command = bare(home);
    command.args(["run", "--headless", "--json", "--join", "metagraph", "--backend", "cpu"]);
    command.args(["--network", network, "--hotkey-file"]).arg(key).args(more);
    command
}

impl Server {
    /// Starts `command`.
    pub fn start(mut command: Command, home: &Path) -> Self {
        let log = std::fs::File::create(home.join("stderr")).unwrap();
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines: receiver, home: home.to_owned() }
    }

    /// Waits for an event of which `wanted` is true.
    #[track_caller]
    pub fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no {what}; standard error: {}", self.stderr());
            };
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}"));
            if wanted(&event) {
                return event;
            }
        }
    }

    /// Waits until the own miner is in this state.
    #[track_caller]
    pub fn until_state(&self, state: &str) {
        self.until(state, |e| e["event"] == "state" && e["miner"] == "m0" && e["state"] == state);
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Waits for the end, and says how long that took.
    #[track_caller]
    pub fn ended(&mut self) -> (ExitStatus, Duration) {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, started.elapsed());
            }
            assert!(started.elapsed() < Duration::from_secs(30), "still there: {}", self.stderr());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What it said on standard error.
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.home.join("stderr")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
