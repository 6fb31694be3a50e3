//! A practice miner at its smallest, run by the real binary, and raw requests to its API.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::events;

/// How long anything may take.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// The binary with its files under `home`.
pub fn hearth(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearth"));
    command.env("HEARTH_HOME", home).env_remove("RUST_LOG").stdin(Stdio::null()).args(arguments);
    command
}

/// Runs a command to its end.
pub fn run(home: &Path, arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = hearth(home, arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// A miner that runs.
pub struct Miner {
    pub home: tempfile::TempDir,
    pub child: Child,
    events: mpsc::Receiver<Value>,
}

impl Miner {
    /// Starts one and waits until it trains.
    pub fn start() -> Self {
        let miner = Self::start_in(tempfile::tempdir().unwrap());
        miner.until("a loss", |event| event["event"] == "loss");
        miner
    }

    /// Starts one.
    pub fn start_in(home: tempfile::TempDir) -> Self {
        let arguments =
            ["run", "--network", "practice", "--preset", "nano", "--headless", "--json"];
        let (child, events) =
            events::started(hearth(home.path(), &arguments).args(["--backend", "cpu"]));
        Self { home, child, events }
    }

    /// Starts one for a network that never answers, at this address.
    pub fn start_for(network: &str) -> Self {
        let home = tempfile::tempdir().unwrap();
        let key = home.path().join("key");
        std::fs::write(&key, format!("0x{}", hex::encode([7; 32]))).unwrap();
        let arguments = ["run", "--network", network, "--accept-unpaid", "--headless", "--json"];
        let mut command = hearth(home.path(), &arguments);
        command.args(["--backend", "cpu", "--set", "relays=none", "--hotkey-file"]).arg(key);
        let (child, events) = events::started(&mut command);
        let miner = Self { home, child, events };
        miner.until("its first words", |event| event["event"] == "state");
        let deadline = Instant::now() + PATIENCE;
        while !miner.home.path().join("state/api.json").exists() {
            assert!(Instant::now() < deadline, "no API");
            std::thread::sleep(Duration::from_millis(20));
        }
        miner
    }

    /// Waits for an event that is as wanted.
    #[track_caller]
    pub fn until(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let event = self.events.recv_timeout(left).unwrap_or_else(|_| panic!("no {what}"));
            if wanted(&event) {
                return event;
            }
        }
    }

    /// The file that leads to the API.
    pub fn address(&self) -> Value {
        let path = self.home.path().join("state/api.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    pub fn port(&self) -> u16 {
        u16::try_from(self.address()["port"].as_u64().unwrap()).unwrap()
    }

    pub fn token(&self) -> String {
        self.address()["token"].as_str().unwrap().to_owned()
    }

    /// A command to its end.
    pub fn hearth(&self, arguments: &[&str]) -> (i32, String, String) {
        run(self.home.path(), arguments)
    }

    /// What the snapshot says of the own miner.
    pub fn own(&self) -> Value {
        let answer = Ask::get("/v1/snapshot").to(self);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()["miners"][0].clone()
    }

    /// Waits until the own miner is as wanted.
    #[track_caller]
    pub fn until_own(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let own = self.own();
            if wanted(&own) {
                return own;
            }
            assert!(Instant::now() < deadline, "{what} did not come: {own}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Stops it by command and gives the exit code.
    pub fn stop(mut self) -> i32 {
        let (code, said, error) = self.hearth(&["stop", "--wait"]);
        assert_eq!(code, 0, "{said}{error}");
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Miner {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request, written by hand.
pub struct Ask {
    method: String,
    path: String,
    host: Option<String>,
    token: Option<String>,
    headers: Vec<String>,
    body: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.body))
    }
}

impl Ask {
    pub fn get(path: &str) -> Self {
        Self::with("GET", path)
    }

    pub fn with(method: &str, path: &str) -> Self {
        let (method, path) = (method.to_owned(), path.to_owned());
        Self { method, path, host: None, token: None, headers: Vec::new(), body: Vec::new() }
    }

    pub fn host(self, host: &str) -> Self {
        Self { host: Some(host.to_owned()), ..self }
    }

    /// Instead of the right one; empty for none.
    pub fn token(self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self }
    }

    pub fn header(mut self, header: &str) -> Self {
        self.headers.push(header.to_owned());
        self
    }

    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Sends it and leaves the connection open.
    pub fn open(&self, miner: &Miner) -> TcpStream {
        let port = miner.port();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = self.host.clone().unwrap_or_else(|| format!("127.0.0.1:{port}"));
        let token = self.token.clone().unwrap_or_else(|| miner.token());
        let mut head = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", self.method, self.path);
        if !token.is_empty() {
            head += &format!("Authorization: Bearer {token}\r\n");
        }
        for header in &self.headers {
            head += &format!("{header}\r\n");
        }
        head += &format!("Content-Length: {}\r\n\r\n", self.body.len());
        stream.write_all(head.as_bytes()).unwrap();
        // Who refuses a body may close before it was sent.
        let _ = stream.write_all(&self.body);
        stream
    }

    /// Sends it and reads the answer to its end.
    pub fn to(mut self, miner: &Miner) -> Answer {
        self.headers.push("Connection: close".to_owned());
        let mut bytes = Vec::new();
        let read = self.open(miner).read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        assert!(read.is_ok() || !text.is_empty(), "{read:?}");
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }
}
