//! A machine that somebody else needs, too: what it says about itself over its message bus decides
//! whether Hearth works, and Hearth keeps it awake exactly as long as it does.
#![cfg(target_os = "linux")]

#[path = "../../src/host/fake_bus.rs"]
mod fake_bus;

use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use dbus::arg::RefArg;
use fake_bus::{FakeBus, calls, property};

use super::server::{Server, practice};

#[test]
fn a_line_that_is_paid_by_volume_pauses_it_and_lets_the_computer_sleep() {
    let Some(bus) = FakeBus::start() else { return };
    let (locked, locks) = mpsc::channel();
    let _login = bus.serve("org.freedesktop.login1", move |message| {
        if !calls(message, "Inhibit") {
            return None;
        }
        let (given, kept) = UnixStream::pair().unwrap();
        locked.send(kept).unwrap();
        Some(message.method_return().append1(OwnedFd::from(given)))
    });
    let metered = Arc::new(AtomicU32::new(2));
    let said = Arc::clone(&metered);
    let _network = bus.serve("org.freedesktop.NetworkManager", move |message| {
        property(message, |name| {
            let said: Box<dyn RefArg> = Box::new(said.load(Ordering::Relaxed));
            (name == "Metered").then_some(said)
        })
    });

    let home = tempfile::tempdir().unwrap();
    let mut command = practice(home.path(), &["--set", "metered=pause"]);
    command.env("DBUS_SYSTEM_BUS_ADDRESS", &bus.address);
    let mut server = Server::start(command, home.path());
    server.until_state("training");
    let mut lock = locks.recv_timeout(Duration::from_secs(30)).expect("nobody kept it awake");
    lock.set_nonblocking(true).unwrap();
    let held = lock.read(&mut [0; 1]).unwrap_err();
    assert_eq!(held.kind(), std::io::ErrorKind::WouldBlock, "it is held while it trains");

    metered.store(1, Ordering::Relaxed);
    let paused = server.until("the pause", |e| e["event"] == "state" && e["state"] == "paused");
    assert!(paused.to_string().contains("metered"), "{paused}");
    lock.set_nonblocking(false).unwrap();
    lock.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    assert_eq!(lock.read(&mut [0; 1]).unwrap(), 0, "it may sleep while it is paused");

    server.signal("TERM");
    let (status, _) = server.ended();
    assert!(status.success(), "{}", server.stderr());
}
