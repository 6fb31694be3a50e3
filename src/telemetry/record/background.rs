//! The thread that writes a run's record, so that neither a slow disk nor a full one touches the run:
//! it is told things through a bounded queue, and what does not fit in there is counted, not waited for.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;

use super::{Change, End, Header, Line, Shelf, What, Writer, apply};
use crate::clock::Clock;

/// Things told and not yet written.
const QUEUE: usize = 1024;
/// A crash costs at most so much of the record.
const FLUSH: Duration = Duration::from_secs(5);
/// How long the end of a run waits for the rest of its record.
const FAREWELL: Duration = Duration::from_secs(2);
/// The most of all that one file takes: the oldest goes when the next begins, so that a long run
/// keeps most of its record.
const PARTS: u64 = 8;

/// Something to be written. Times are Unix.
#[derive(Debug)]
pub enum Told {
    /// The whole state.
    State(Duration, Value),
    /// What changed in it.
    Changes(Duration, Vec<Change>),
    /// An event, as JSON.
    Event(Duration, String),
    /// So much was told and did not fit in the queue.
    Missed(Duration, u64),
    /// So many bytes may all records take from now on.
    Keep(u64),
    /// The run is over.
    End(Duration, End),
}

/// A record that is being written in the background.
#[derive(Debug)]
pub struct Recording {
    queue: SyncSender<Told>,
    thread: Option<JoinHandle<()>>,
    missed: u64,
    clock: Clock,
}

impl Recording {
    /// All records together need at least this; below there is no room for several parts.
    pub const LEAST: u64 = 512 << 10;

    /// Begins the record of a run on `shelf`, where all records together take at most `keep` bytes.
    pub fn start(shelf: Shelf, keep: u64, clock: &Clock) -> io::Result<Self> {
        let (queue, told) = sync_channel(QUEUE);
        let run_started = clock.unix();
        let scribe = Scribe {
            shelf,
            keep,
            run_started,
            part: 0,
            file: None,
            state: Value::Null,
            begun: run_started,
        };
        let own = clock.clone();
        let thread = std::thread::Builder::new()
            .name("record".into())
            .spawn(move || scribe.run(&told, &own))?;
        Ok(Self { queue, thread: Some(thread), missed: 0, clock: clock.clone() })
    }

    /// Tells it something; false where the queue is full, and the next thing told must be the whole
    /// state. Never waits.
    pub fn tell(&mut self, told: Told) -> bool {
        match self.queue.try_send(told) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.missed += 1;
                false
            }
            // It has stopped, and said why.
            Err(TrySendError::Disconnected(_)) => true,
        }
    }

    /// How much was not written since the last time this was asked.
    pub fn take_missed(&mut self) -> u64 {
        std::mem::take(&mut self.missed)
    }

    /// Writes the end. Waits a moment for the disk, not longer.
    pub fn finish(mut self, end: End) {
        let Some(thread) = self.thread.take() else { return };
        let until = self.clock.now() + FAREWELL;
        let mut last = Some(Told::End(self.clock.unix(), end));
        while let Some(told) = last.take() {
            match self.queue.try_send(told) {
                Err(TrySendError::Full(told)) if self.clock.now() < until => {
                    last = Some(told);
                    self.clock.block(Duration::from_millis(5));
                }
                _ => {}
            }
        }
        drop(self.queue);
        while !thread.is_finished() && self.clock.now() < until {
            self.clock.block(Duration::from_millis(2));
        }
    }
}

/// Who writes.
struct Scribe {
    shelf: Shelf,
    keep: u64,
    run_started: Duration,
    part: u32,
    /// None until the first thing is told.
    file: Option<Writer>,
    /// As of the last line, to begin the next file with.
    state: Value,
    /// When the file was begun.
    begun: Duration,
}

impl Scribe {
    fn run(mut self, told: &Receiver<Told>, clock: &Clock) {
        let mut flushed = clock.now();
        loop {
            let written = match clock.receive(told, FLUSH) {
                Ok(told) => self.write(told, clock),
                Err(RecvTimeoutError::Timeout) => Ok(()),
                Err(RecvTimeoutError::Disconnected) => return self.close(),
            };
            let due = clock.now().since(flushed) >= FLUSH;
            if due {
                flushed = clock.now();
            }
            let written = if due { written.and_then(|()| self.flush()) } else { written };
            if let Err(error) = written {
                tracing::warn!(
                    "the record of this run ends here: {} cannot be written ({error}). Mining goes on",
                    self.shelf.folder().display()
                );
                return;
            }
        }
    }

    fn write(&mut self, told: Told, clock: &Clock) -> io::Result<()> {
        let (time, what) = match told {
            Told::State(time, state) => {
                self.state.clone_from(&state);
                (time, What::State(state))
            }
            Told::Changes(time, changes) => {
                for change in &changes {
                    // The teller's own steps fit its own states.
                    let _ = apply(&mut self.state, change.clone());
                }
                (time, What::Changes(changes))
            }
            Told::Event(time, json) => {
                (time, What::Event(RawValue::from_string(json).map_err(io::Error::other)?))
            }
            Told::Missed(time, many) => (time, What::Missed(many)),
            Told::Keep(bytes) => {
                self.keep = bytes;
                return Ok(());
            }
            Told::End(time, end) => (time, What::End(end)),
        };
        let begins = matches!(what, What::State(_));
        if self.file.is_none() {
            self.begin(time, !begins)?;
        }
        self.line(time, what)?;
        let Some(file) = &mut self.file else { return Ok(()) };
        if file.length() >= self.keep / PARTS {
            self.line(time, What::End(End::Continued))?;
            self.close();
            self.begin(clock.unix(), true)?;
        } else if file.wants_state() {
            let state = self.state.clone();
            self.line(time, What::State(state))?;
        }
        Ok(())
    }

    fn line(&mut self, time: Duration, what: What) -> io::Result<()> {
        let at = u64::try_from(time.saturating_sub(self.begun).as_millis()).unwrap_or(u64::MAX);
        self.file.as_mut().map_or(Ok(()), |file| file.add(&Line { at, what }))
    }

    /// Begins a file; with the state as it is, if there is one yet.
    fn begin(&mut self, now: Duration, with_state: bool) -> io::Result<()> {
        let part = self.keep / PARTS;
        // This file, and a frame that does not end where the file should.
        self.shelf.shrink_to(self.keep.saturating_sub(2 * part));
        self.part += 1;
        self.begun = now;
        let header = Header {
            hearth: env!("CARGO_PKG_VERSION").to_owned(),
            started: now.as_secs_f64(),
            run_started: self.run_started.as_secs_f64(),
            part: self.part,
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        };
        let path = self.shelf.name(self.run_started.as_secs_f64())?;
        self.file = Some(Writer::create(&path, &header)?);
        if with_state && !self.state.is_null() {
            let state = self.state.clone();
            self.line(now, What::State(state))?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), Writer::flush)
    }

    fn close(&mut self) {
        if let Some(Err(error)) = self.file.take().map(Writer::finish) {
            tracing::warn!("the end of this run's record is lost: {error}");
        }
    }
}
