//! Where log lines go: to standard error without a screen, and to a ring of recent lines when the
//! screen owns the terminal, so that a log line never tears the picture.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How many lines the ring keeps.
const RING_LINES: usize = 500;

/// What is logged when `RUST_LOG` says nothing. The GPU layer's own warnings are about drivers'
/// optional layers and mean nothing to a user; its errors reach us as errors.
const QUIET: &str = "warn,wgpu=off,wgpu_core=off,wgpu_hal=off,naga=off,s3s=off,s3s_fs=off,\
                     iroh=error,iroh::socket=off,noq=off,noq_proto=off,noq_udp=off,netwatch=error,sqlx=error";

/// The most recent log lines, for the screen's log pane. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    lines: Arc<Mutex<VecDeque<String>>>,
}

impl Ring {
    /// The lines, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Forgets all lines.
    pub fn clear(&self) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Adds a line.
    pub fn push(&self, line: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == RING_LINES {
            lines.pop_front();
        }
        lines.push_back(line.to_owned());
    }
}

/// Writes one log record into a [`Ring`]; its lines are there when this is dropped.
#[derive(Debug)]
pub struct RingWriter {
    ring: Ring,
    record: Vec<u8>,
}

impl io::Write for RingWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.record.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for RingWriter {
    fn drop(&mut self) {
        let record = String::from_utf8_lossy(&self.record);
        for line in record.lines().filter(|line| !line.trim().is_empty()) {
            self.ring.push(line);
        }
    }
}

impl<'a> MakeWriter<'a> for Ring {
    type Writer = RingWriter;

    fn make_writer(&'a self) -> RingWriter {
        RingWriter { ring: self.clone(), record: Vec::new() }
    }
}

fn filter() -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(QUIET))
}

/// Logs to standard error. Standard output stays for what was asked for.
pub fn to_stderr() {
    // A second call (tests start several runs in one process) keeps the first.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_writer(io::stderr)
        .with_target(false)
        .try_init();
}

/// Logs to a ring that the screen shows. A second screen of the same process shows the same ring.
pub fn to_ring() -> Ring {
    static RING: OnceLock<Ring> = OnceLock::new();
    RING.get_or_init(start_ring).clone()
}

fn start_ring() -> Ring {
    let ring = Ring::default();
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_writer(ring.clone())
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .try_init();
    ring
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_ring_keeps_the_newest_lines() {
        let ring = Ring::default();
        for i in 0..RING_LINES + 3 {
            writeln!(ring.make_writer(), "line {i}\n").unwrap();
        }
        let lines = ring.lines();
        assert_eq!(lines.len(), RING_LINES);
        assert_eq!(lines[0], "line 3");
    }
}
