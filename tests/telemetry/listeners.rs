//! Real ones to be told: an HTTP server that keeps what it gets, and a desktop on a bus of its own.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

/// One request.
#[derive(Debug)]
pub struct Got {
    /// Method and path with query.
    pub line: String,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// A server that answers everything with one status.
pub struct Server {
    pub address: String,
    got: mpsc::Receiver<Got>,
    /// What came while something else was waited for.
    aside: RefCell<Vec<Got>>,
}

impl Server {
    pub fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (sender, got) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let sender = sender.clone();
                std::thread::spawn(move || serve(stream, status, &sender));
            }
        });
        Self { address, got, aside: RefCell::default() }
    }

    /// The first request of which `wanted` is true, that was not taken yet: several senders come in
    /// any order.
    #[track_caller]
    pub fn until(&self, what: &str, wanted: impl Fn(&Got) -> bool) -> Got {
        let deadline = std::time::Instant::now() + Duration::from_secs(60);
        let mut aside = self.aside.borrow_mut();
        if let Some(place) = aside.iter().position(&wanted) {
            return aside.remove(place);
        }
        loop {
            let left = deadline.saturating_duration_since(std::time::Instant::now());
            let Ok(got) = self.got.recv_timeout(left) else { panic!("no {what}, but {aside:?}") };
            if wanted(&got) {
                return got;
            }
            aside.push(got);
        }
    }
}

/// A server that takes connections and never answers.
pub struct Silent {
    pub address: String,
    taken: mpsc::Receiver<TcpStream>,
}

impl Silent {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (sender, taken) = mpsc::channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if sender.send(stream).is_err() {
                    return;
                }
            }
        });
        Self { address, taken }
    }

    /// The next who waits for an answer, with all of its request read.
    pub fn waiting(&self) -> TcpStream {
        let stream = self.taken.recv_timeout(Duration::from_secs(60)).expect("nobody came");
        let mut reader = BufReader::new(&stream);
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap() > 2 {
            line.clear();
        }
        stream
    }
}

fn serve(stream: TcpStream, status: u16, sender: &mpsc::Sender<Got>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        let mut headers = BTreeMap::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header).unwrap();
            let Some((name, value)) = header.trim().split_once(": ") else { break };
            headers.insert(name.to_lowercase(), value.to_owned());
        }
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 2\r\n\r\n{{}}");
        if reader.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
        let body = String::from_utf8(body).unwrap();
        if sender.send(Got { line: line.trim().to_owned(), headers, body }).is_err() {
            return;
        }
    }
}

/// A desktop that shows notifications, on a bus that nobody else uses.
#[cfg(target_os = "linux")]
pub struct Desktop {
    pub address: String,
    bus: std::process::Child,
    shown: mpsc::Receiver<(String, String)>,
}

#[cfg(target_os = "linux")]
impl Desktop {
    pub fn start() -> Self {
        let mut bus = std::process::Command::new("dbus-daemon")
            .args(["--session", "--nofork", "--print-address=1"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("dbus-daemon is needed by this test");
        let mut address = String::new();
        BufReader::new(bus.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let address = address.trim().to_owned();
        let (sender, shown) = mpsc::channel();
        let (ready, wait) = mpsc::channel();
        let own = address.clone();
        std::thread::spawn(move || Self::serve(&own, &ready, &sender));
        wait.recv_timeout(Duration::from_secs(20)).expect("the desktop did not start");
        Self { address, bus, shown }
    }

    fn serve(address: &str, ready: &mpsc::Sender<()>, sender: &mpsc::Sender<(String, String)>) {
        use dbus::channel::Channel;
        let mut channel = Channel::open_private(address).unwrap();
        channel.register().unwrap();
        let name = dbus::Message::method_call(
            &"org.freedesktop.DBus".into(),
            &"/org/freedesktop/DBus".into(),
            &"org.freedesktop.DBus".into(),
            &"RequestName".into(),
        )
        .append2("org.freedesktop.Notifications", 4_u32);
        channel.send_with_reply_and_block(name, Duration::from_secs(5)).unwrap();
        ready.send(()).unwrap();
        while let Ok(message) = channel.blocking_pop_message(Duration::from_secs(60)) {
            let Some(message) = message else { continue };
            if message.member().as_deref() != Some("Notify") {
                continue;
            }
            let mut arguments = message.iter_init();
            let _app: String = arguments.read().unwrap();
            let _replaces: u32 = arguments.read().unwrap();
            let _icon: String = arguments.read().unwrap();
            let (title, text) = (arguments.read().unwrap(), arguments.read().unwrap());
            channel.send(message.method_return().append1(7_u32)).unwrap();
            channel.flush();
            if sender.send((title, text)).is_err() {
                return;
            }
        }
    }

    /// Title and text of the next notification.
    pub fn shown(&self) -> (String, String) {
        self.shown.recv_timeout(Duration::from_secs(20)).expect("nothing was shown")
    }
}

#[cfg(target_os = "linux")]
impl Drop for Desktop {
    fn drop(&mut self) {
        let _ = self.bus.kill();
        let _ = self.bus.wait();
    }
}
