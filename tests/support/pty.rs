//! The real binary in a real terminal of a given size: keys go in, a screen comes out.

use std::io::{Read, Write};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use portable_pty::{Child, CommandBuilder, MasterPty, PtySize, native_pty_system};

/// A program on a terminal.
pub struct Terminal {
    master: Box<dyn MasterPty + Send>,
    keys: Box<dyn Write + Send>,
    child: Box<dyn Child + Send + Sync>,
    screen: Arc<Mutex<vt100::Parser>>,
    written: Arc<Mutex<Vec<u8>>>,
    changed: Arc<Condvar>,
}

/// Holds a frame back until its end has come, as a terminal does that knows synchronised updates: a
/// test never sees half of one.
#[derive(Default)]
struct Frames {
    held: Vec<u8>,
}

impl Frames {
    const BEGIN: &[u8] = b"\x1b[?2026h";
    const END: &[u8] = b"\x1b[?2026l";

    /// What can be shown once these bytes have come too.
    fn take(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.held.extend_from_slice(bytes);
        let find = |from: usize, mark: &[u8]| {
            let at = self.held[from..].windows(mark.len()).position(|window| window == mark);
            at.map(|at| from + at)
        };
        let mut shown = 0;
        while let Some(begin) = find(shown, Self::BEGIN) {
            shown = begin;
            let Some(end) = find(begin, Self::END) else { break };
            shown = end + Self::END.len();
        }
        if find(shown, Self::BEGIN).is_none() {
            // The last bytes may be the beginning of a mark.
            let tail = |n: &usize| self.held[shown..].ends_with(&Self::BEGIN[..*n]);
            let mark = (1..Self::BEGIN.len()).rev().find(tail).unwrap_or(0);
            shown = self.held.len() - mark;
        }
        self.held.drain(..shown).collect()
    }
}

fn size(rows: u16, cols: u16) -> PtySize {
    PtySize { rows, cols, pixel_width: 0, pixel_height: 0 }
}

fn cells(n: u16) -> std::num::NonZero<u16> {
    n.try_into().unwrap()
}

impl Terminal {
    /// Starts the binary with these arguments and variables.
    pub fn start(rows: u16, cols: u16, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::program(env!("CARGO_BIN_EXE_hearth"), rows, cols, arguments, variables)
    }

    /// Starts another program the same way.
    pub fn program(
        program: &str,
        rows: u16,
        cols: u16,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Self {
        let pair = native_pty_system().openpty(size(rows, cols)).unwrap();
        let mut command = CommandBuilder::new(program);
        command.args(arguments);
        command.env("TERM", "xterm-256color");
        for name in ["NO_COLOR", "COLORTERM", "HEARTH_ASCII"] {
            command.env_remove(name);
        }
        for (name, value) in variables {
            command.env(name, value);
        }
        let child = pair.slave.spawn_command(command).unwrap();
        drop(pair.slave);
        let screen = Arc::new(Mutex::new(vt100::Parser::new(cells(rows), cells(cols), 0)));
        let mut output = pair.master.try_clone_reader().unwrap();
        let keys = pair.master.take_writer().unwrap();
        let parser = Arc::clone(&screen);
        let (written, changed) = (Arc::default(), Arc::new(Condvar::new()));
        let tell = Arc::clone(&changed);
        let copy: Arc<Mutex<Vec<u8>>> = Arc::clone(&written);
        std::thread::spawn(move || {
            let (mut bytes, mut frames) = ([0; 4096], Frames::default());
            while let Ok(n @ 1..) = output.read(&mut bytes) {
                copy.lock().unwrap().extend_from_slice(&bytes[..n]);
                let whole = frames.take(&bytes[..n]);
                parser.lock().unwrap().process(&whole);
                tell.notify_all();
            }
            parser.lock().unwrap().process(&frames.held);
        });
        Self { master: pair.master, keys, child, screen, written, changed }
    }

    /// Presses keys.
    pub fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Sends the program a signal by its name.
    #[allow(dead_code)] // Not every test that includes this file needs it.
    pub fn signal(&self, name: &str) {
        let id = self.child.process_id().unwrap().to_string();
        let sent = std::process::Command::new("kill").args([&format!("-{name}"), &id]).status();
        assert!(sent.unwrap().success());
    }

    /// The bytes that came from the program since this was asked last.
    #[allow(dead_code)] // Not every test that includes this file needs it.
    pub fn written(&self) -> Vec<u8> {
        std::mem::take(&mut self.written.lock().unwrap())
    }

    /// Whether the terminal shows what is typed and takes it line by line, as a shell finds it.
    #[allow(dead_code)] // Not every test that includes this file needs it.
    #[cfg(unix)]
    pub fn is_cooked(&self) -> bool {
        let flags = self.master.get_termios().unwrap().local_flags.bits();
        flags & libc::ECHO != 0 && flags & libc::ICANON != 0
    }

    /// Presses keys, and how long it takes until the screen is as wanted.
    #[allow(dead_code)] // Not every test that includes this file needs it.
    pub fn answer(&mut self, keys: &str, wanted: impl Fn(&vt100::Screen) -> bool) -> Duration {
        let began = Instant::now();
        self.press(keys);
        let screen = self.screen.lock().unwrap();
        let patience = Duration::from_secs(30);
        let waiting = |parser: &mut vt100::Parser| !wanted(parser.screen());
        let (_shown, late) = self.changed.wait_timeout_while(screen, patience, waiting).unwrap();
        assert!(!late.timed_out(), "{keys:?} was not answered");
        began.elapsed()
    }

    /// The program's process.
    #[allow(dead_code)] // Not every test that includes this file needs it.
    pub fn id(&self) -> u32 {
        self.child.process_id().unwrap()
    }

    /// Changes the window's size.
    pub fn resize(&mut self, rows: u16, cols: u16) {
        self.screen.lock().unwrap().screen_mut().set_size(cells(rows), cells(cols));
        self.master.resize(size(rows, cols)).unwrap();
    }

    /// Says another size of the window, which stays what it is: not every terminal tells the truth.
    #[allow(dead_code)] // Not every test that includes this file needs it.
    pub fn pretend(&self, rows: u16, cols: u16) {
        self.master.resize(size(rows, cols)).unwrap();
    }

    /// What the screen shows.
    pub fn text(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Looks at the screen's cells.
    pub fn look<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.screen.lock().unwrap().screen())
    }

    /// Waits until the screen is as wanted; fails with a picture of it.
    #[track_caller]
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&str) -> bool) {
        let started = Instant::now();
        while !wanted(&self.text()) {
            assert!(
                started.elapsed() < Duration::from_secs(90),
                "{what} did not appear:\n{}",
                self.text()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the end and gives the exit code.
    pub fn ended(&mut self) -> u32 {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // What was written last is still on its way through the terminal.
                std::thread::sleep(Duration::from_millis(200));
                return status.exit_code();
            }
            assert!(started.elapsed() < Duration::from_secs(30), "still running:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
    }
}
