//! The most recent log lines, kept in memory for the screen, so that a log line never tears the
//! picture.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

/// How many lines the ring keeps.
const RING_LINES: usize = 500;

/// Bytes of one line that it keeps: more than any screen shows of it.
const LONGEST: usize = 2_000;

/// The most recent log lines, for the screen's log pane. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Ring {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    lines: VecDeque<String>,
    /// Lines there ever were.
    pushed: u64,
    /// The same lines as they were last asked for; none where they are others by now.
    asked: Option<Arc<Vec<String>>>,
}

impl Ring {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lines, oldest first.
    pub fn lines(&self) -> Arc<Vec<String>> {
        let Kept { lines, asked, .. } = &mut *self.kept();
        Arc::clone(asked.get_or_insert_with(|| Arc::new(lines.iter().cloned().collect())))
    }

    /// How many lines there ever were, and those after the first `seen` of them, as far as they are kept.
    pub fn since(&self, seen: u64) -> (u64, Vec<String>) {
        let kept = self.kept();
        let new = usize::try_from(kept.pushed.saturating_sub(seen)).unwrap_or(usize::MAX);
        let old = kept.lines.len().saturating_sub(new);
        (kept.pushed, kept.lines.iter().skip(old).cloned().collect())
    }

    /// Forgets all lines.
    pub fn clear(&self) {
        let mut kept = self.kept();
        kept.lines.clear();
        kept.asked = None;
    }

    /// Adds a line, or its beginning where it is longer than anybody reads on a screen.
    pub fn push(&self, line: &str) {
        let line = &line[..line.floor_char_boundary(LONGEST)];
        let mut kept = self.kept();
        if kept.lines.len() == RING_LINES {
            kept.lines.pop_front();
        }
        kept.lines.push_back(line.to_owned());
        kept.pushed += 1;
        kept.asked = None;
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
        ring.push(&"ä".repeat(LONGEST));
        assert_eq!(ring.lines().last().map(String::len), Some(LONGEST));
    }
}
