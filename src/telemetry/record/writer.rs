//! Writes one record: lines are gathered, and leave as compressed frames.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::{HEAD, Header, Kind, Line, MAGIC, VERSION, What};

/// So many bytes of lines make a frame.
const FRAME: usize = 64 << 10;

/// A record that is being written.
#[derive(Debug)]
pub struct Writer {
    file: File,
    /// Bytes in the file, all of whole frames.
    length: u64,
    lines: Vec<u8>,
    kind: Kind,
    from: u64,
    to: u64,
    /// Bytes of lines since the last whole state, and of that state.
    since_state: u64,
    state: u64,
}

impl Writer {
    /// Begins a new file. One that exists is not touched.
    pub fn create(path: &Path, header: &Header) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        Self::over(options.open(path)?, header)
    }

    /// Begins a record in an open file.
    pub fn over(file: File, header: &Header) -> io::Result<Self> {
        // Who lists the records sees by this that it is still being written. Where locks keep readers
        // away they would do harm.
        #[cfg(unix)]
        let _ = file.try_lock();
        let mut writer = Self {
            file,
            length: 0,
            lines: serde_json::to_vec(header).map_err(io::Error::other)?,
            kind: Kind::Header,
            from: 0,
            to: 0,
            since_state: 0,
            state: 0,
        };
        let mut start = MAGIC.to_vec();
        start.extend(VERSION.to_le_bytes());
        writer.put(&start)?;
        writer.flush()?;
        Ok(writer)
    }

    /// Adds a line. It is in the file after the next [`Writer::flush`] at the latest.
    pub fn add(&mut self, line: &Line) -> io::Result<()> {
        let whole = matches!(line.what, What::State(_));
        if whole {
            self.flush()?;
            self.kind = Kind::Whole;
        }
        if self.lines.is_empty() {
            self.from = line.at;
        }
        self.to = line.at;
        let before = self.lines.len();
        line.write(&mut self.lines)?;
        let size = (self.lines.len() - before) as u64;
        if whole {
            (self.state, self.since_state) = (size, 0);
        } else {
            self.since_state += size;
        }
        if self.lines.len() >= FRAME { self.flush() } else { Ok(()) }
    }

    /// Puts what was gathered into the file, as a frame.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let mut encoder = ZlibEncoder::new(vec![0; HEAD], Compression::default());
        encoder.write_all(&self.lines)?;
        let mut frame = encoder.finish()?;
        let payload = frame.split_off(HEAD);
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?;
        frame.clear();
        frame.extend(length.to_le_bytes());
        frame.extend(crc32fast::hash(&payload).to_le_bytes());
        frame.push(self.kind.byte());
        frame.extend(self.from.to_le_bytes());
        frame.extend(self.to.to_le_bytes());
        frame.extend(crc32fast::hash(&frame).to_le_bytes());
        frame.extend(payload);
        self.put(&frame)?;
        self.lines.clear();
        self.kind = Kind::Further;
        Ok(())
    }

    /// Whether it is time for a whole state: a reader that begins there has little to read, and states
    /// stay a small share of the file.
    pub fn wants_state(&self) -> bool {
        self.since_state > (2 * self.state).max(4 * FRAME as u64)
    }

    /// Bytes in the file.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Puts the rest into the file, and the file on the disk.
    pub fn finish(mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync_all()
    }

    /// All of it or nothing.
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.file.write_all(bytes) {
            Ok(()) => {
                self.length += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                // A torn end is cut by the reader too.
                let _ = self.file.set_len(self.length);
                Err(error)
            }
        }
    }
}
