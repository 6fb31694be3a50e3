//! The kept practice swarm as a process that can be killed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

/// A running `hearth run`; its events come out of the receiver.
pub struct Running {
    pub child: Child,
    pub events: mpsc::Receiver<Value>,
    pub started: Instant,
}

/// The binary with its files under `home`.
pub fn hearth(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.env("HEARTH_HOME", home).env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

impl Running {
    pub fn practice(home: &Path) -> Self {
        let mut command = hearth(home);
        // Also after several kills within ten minutes, which otherwise count as a crash loop.
        command.args(["run", "--network", "practice", "--preset", "nano", "--again"]);
        Self::start(command.args(["--headless", "--json", "--backend", "cpu"]))
    }

    pub fn start(command: &mut Command) -> Self {
        let started = Instant::now();
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, events) = mpsc::channel();
        std::thread::spawn(move || {
            // A process that is killed may leave half a line.
            let whole =
                lines.map_while(Result::ok).map_while(|line| serde_json::from_str(&line).ok());
            for event in whole {
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Self { child, events, started }
    }

    /// Waits for an event of which `wanted` is true; gives how long after the start it came.
    #[track_caller]
    pub fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> (Value, Duration) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left).unwrap_or_else(|_| panic!("no {what}"));
            if wanted(&event) {
                return (event, self.started.elapsed());
            }
        }
    }

    /// As a power cut ends it, but for what the disk had not written.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn terminate(&mut self) -> i32 {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
