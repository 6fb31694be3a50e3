//! A practice run of the real binary, to look at while it lasts and afterwards.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

/// The binary with all its files under `home`.
pub fn hearth(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.env("HEARTH_HOME", home).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub fn done(command: &mut Command) -> (Output, String, String) {
    let output = command.output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout).into_owned();
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!err.contains("panicked"), "{err}");
    (output, out, err)
}

/// A run that lasts.
pub struct Run {
    pub child: Child,
    events: mpsc::Receiver<String>,
    /// All lines so far.
    pub seen: Vec<String>,
}

impl Run {
    /// The smallest practice swarm there is, kept under `home`.
    pub fn practice(home: &Path, variables: &[(&str, &str)]) -> Self {
        let mut command = hearth(home);
        command.args(["run", "--network", "practice", "--preset", "nano"]);
        command.args(["--headless", "--json", "--backend", "cpu"]);
        command.envs(variables.iter().copied());
        Self::of(&mut command)
    }

    /// A command that prints events.
    pub fn of(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, events) = mpsc::channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, events, seen: Vec::new() }
    }

    /// Waits for an event of which `wanted` is true.
    #[track_caller]
    pub fn until(&mut self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.events.recv_timeout(left).unwrap_or_else(|_| panic!("no {what}"));
            let event: Value = serde_json::from_str(&line).unwrap();
            self.seen.push(line);
            if wanted(&event) {
                return event;
            }
        }
    }

    /// Asks it to stop, waits for its end, and gives the exit code.
    pub fn stop(&mut self) -> i32 {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        let code = self.child.wait().unwrap().code().unwrap();
        while let Ok(line) = self.events.recv_timeout(Duration::from_secs(5)) {
            self.seen.push(line);
        }
        code
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
