//! A message bus of its own for a test, and services on it that say what the test wants.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use dbus::Message;
use dbus::arg::{RefArg, Variant};
use dbus::blocking::Connection;

/// A daemon that ends with the test.
pub(crate) struct FakeBus {
    daemon: Child,
    pub(crate) address: String,
}

impl FakeBus {
    /// None, and a line that says so, where there is no daemon to be started.
    pub(crate) fn start() -> Option<Self> {
        let mut command = Command::new("dbus-daemon");
        command.args(["--session", "--nofork", "--nopidfile", "--print-address=1"]);
        let Ok(mut daemon) = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn() else {
            eprintln!("skipped: there is no dbus-daemon");
            return None;
        };
        let mut address = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Some(Self { daemon, address: address.trim().to_owned() })
    }

    /// A service of this name, answering calls until it is dropped.
    pub(crate) fn serve(
        &self,
        name: &str,
        answer: impl Fn(&Message) -> Option<Message> + Send + 'static,
    ) -> FakeService {
        let connection = Connection::new_address(&self.address).unwrap();
        connection.request_name(name.to_owned(), false, false, true).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let channel = connection.channel();
            while !stopped.load(Ordering::Relaxed) {
                let wait = Duration::from_millis(10);
                let Ok(message) = channel.blocking_pop_message(wait) else { return };
                let Some(message) = message else { continue };
                let refused = || dbus::channel::default_reply(&message);
                if let Some(reply) = answer(&message).or_else(refused) {
                    let _ = channel.send(reply);
                }
            }
        });
        FakeService { stop, thread: Some(thread) }
    }
}

impl Drop for FakeBus {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

/// A service that ends when this is dropped.
pub(crate) struct FakeService {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for FakeService {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Whether a message is this call.
pub(crate) fn calls(message: &Message, method: &str) -> bool {
    message.member().is_some_and(|member| *member == *method)
}

/// The reply to a question for a property.
pub(crate) fn property(
    message: &Message,
    value: impl Fn(&str) -> Option<Box<dyn RefArg>>,
) -> Option<Message> {
    let (_, name) = message.read2::<&str, &str>().ok()?;
    Some(message.method_return().append1(Variant(value(name)?)))
}
