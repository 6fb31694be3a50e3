//! What systemd is told through its socket: here a socket of the test's own stands where systemd's is.

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::server::{Server, practice};

/// systemd's end of the socket.
struct Manager {
    socket: UnixDatagram,
    heard: Vec<String>,
}

impl Manager {
    fn new(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        Self { socket, heard: Vec::new() }
    }

    /// Waits until one of the words fits.
    #[track_caller]
    fn until(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let started = Instant::now();
        let mut bytes = [0; 4096];
        loop {
            if let Ok(length) = self.socket.recv(&mut bytes) {
                let word = String::from_utf8_lossy(&bytes[..length]).into_owned();
                self.heard.push(word.clone());
                if wanted(&word) {
                    return word;
                }
            }
            assert!(started.elapsed() < Duration::from_secs(60), "no {what}: {:?}", self.heard);
        }
    }
}

#[test]
fn it_is_told_when_the_miner_runs_how_it_is_and_that_it_lives() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("notify");
    let mut manager = Manager::new(&path);
    let mut command = practice(home.path(), &[]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "2000000");
    let mut server = Server::start(command, home.path());
    manager.until("READY", |word| word.contains("READY=1"));
    let status = manager.until("a status", |word| word.starts_with("STATUS=training"));
    assert!(status.contains("stage 0"), "{status}");
    for _ in 0..3 {
        manager.until("a sign of life", |word| word.contains("WATCHDOG=1"));
    }
    server.signal("HUP");
    let reloading = manager.until("RELOADING", |word| word.contains("RELOADING=1"));
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    manager.until("READY again", |word| word.contains("READY=1"));
    server.signal("TERM");
    manager.until("STOPPING", |word| word.contains("STOPPING=1"));
    assert_eq!(server.ended().0.code(), Some(0));
}
