//! Reads a record that may be of any age and end anywhere.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::read::ZlibDecoder;

use super::{End, HEAD, Header, Kind, Line, MAGIC, MOST_UNFOLDED, VERSION, What};

/// A record that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// There is no such file.
    #[error("there is no record {0}: `hearth replay` lists them")]
    Missing(PathBuf),
    /// The system does not let it be read.
    #[error("the record {path} cannot be read ({source}): check its permissions")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// Another kind of file.
    #[error("{0} is no record of a run: `hearth replay` lists those that are")]
    Foreign(PathBuf),
    /// Of a later version.
    #[error(
        "the record {path} is of format {found}, and this Hearth reads format {VERSION}: play it \
         with the version that wrote it, or a later one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// Its content is not what was written.
    #[error("the record {path} is damaged at byte {at} ({why}): it cannot be played")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        at: u64,
        /// What is wrong there.
        why: String,
    },
}

impl RecordError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Missing(_) => "record-missing",
            Self::Unreadable { .. } => "record-unreadable",
            Self::Foreign(_) => "record-foreign",
            Self::Newer { .. } => "record-newer",
            Self::Damaged { .. } => "record-damaged",
        }
    }
}

/// Where a frame is, and what it is.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// Of its payload.
    at: u64,
    length: u32,
    crc: u32,
    kind: Kind,
    from: u64,
    to: u64,
}

/// A record.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    file: File,
    header: Header,
    /// All but the header.
    frames: Vec<Frame>,
    torn: bool,
}

impl Reader {
    /// Opens a record and finds its frames. What a crash left half written at the end is left out.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn open(path: &Path) -> Result<Self, RecordError> {
        let unreadable = |source| RecordError::Unreadable { path: path.to_owned(), source };
        let mut file = File::open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => RecordError::Missing(path.to_owned()),
            _ => unreadable(error),
        })?;
        let length = file.metadata().map_err(unreadable)?.len();
        let mut start = [0; 12];
        if length < 12 || file.read_exact(&mut start).is_err() || &start[..8] != MAGIC {
            return Err(RecordError::Foreign(path.to_owned()));
        }
        let found = u32::from_le_bytes([start[8], start[9], start[10], start[11]]);
        if found == 0 {
            return Err(RecordError::Foreign(path.to_owned()));
        }
        if found > VERSION {
            return Err(RecordError::Newer { path: path.to_owned(), found });
        }
        let damaged =
            |at, why: &str| RecordError::Damaged { path: path.to_owned(), at, why: why.to_owned() };
        let (mut frames, mut at, mut torn) = (Vec::new(), 12, false);
        while at < length {
            file.seek(SeekFrom::Start(at)).map_err(unreadable)?;
            let mut head = [0; HEAD];
            if length - at < HEAD as u64 || file.read_exact(&mut head).is_err() {
                torn = true;
                break;
            }
            let Some(frame) = Frame::read(&head, at + HEAD as u64) else {
                // A power cut leaves zeros where the content had not reached the disk.
                if rest_is_zero(&mut file, at).map_err(unreadable)? {
                    torn = true;
                    break;
                }
                return Err(damaged(at, "a frame has no proper head"));
            };
            at = frame.at + u64::from(frame.length);
            if at > length {
                torn = true;
                break;
            }
            frames.push(frame);
        }
        let mut reader = Self {
            path: path.to_owned(),
            file,
            header: Header {
                hearth: String::new(),
                started: 0.0,
                run_started: 0.0,
                part: 0,
                system: String::new(),
            },
            frames,
            torn,
        };
        reader.drop_a_torn_frame()?;
        reader.take_header()?;
        Ok(reader)
    }

    /// The last frame may be complete by its length and yet never have reached the disk.
    fn drop_a_torn_frame(&mut self) -> Result<(), RecordError> {
        let Some(last) = self.frames.last().copied() else { return Ok(()) };
        if self.frames.len() > 1 && self.payload(last)?.is_none() {
            self.frames.pop();
            self.torn = true;
        }
        Ok(())
    }

    fn take_header(&mut self) -> Result<(), RecordError> {
        let first = self.frames.first().copied().filter(|frame| frame.kind == Kind::Header);
        let Some(first) = first else { return Err(self.damaged(12, "it has no header")) };
        let text = self.unfolded(first)?;
        self.header = serde_json::from_slice(&text)
            .map_err(|error| self.damaged(first.at, &error.to_string()))?;
        self.frames.remove(0);
        Ok(())
    }

    /// What it says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Whether its end was lost.
    pub fn is_torn(&self) -> bool {
        self.torn
    }

    /// From its beginning to its last line.
    pub fn length(&self) -> Duration {
        Duration::from_millis(self.frames.last().map_or(0, |frame| frame.to))
    }

    /// How many frames there are.
    pub fn frames(&self) -> usize {
        self.frames.len()
    }

    /// The frame to begin with to know the state at a time: the last whole state before it.
    pub fn frame_before(&self, at: u64) -> usize {
        let whole = |(_, frame): &(usize, &Frame)| frame.kind == Kind::Whole && frame.from <= at;
        self.frames.iter().enumerate().rfind(whole).map_or(0, |(number, _)| number)
    }

    /// The lines of a frame; none where there is no such frame.
    ///
    /// # Errors
    /// [`RecordError::Damaged`], [`RecordError::Unreadable`].
    pub fn lines(&mut self, number: usize) -> Result<Vec<Line>, RecordError> {
        let Some(frame) = self.frames.get(number).copied() else { return Ok(Vec::new()) };
        let text = self.unfolded(frame)?;
        let wrong = |why: &str| RecordError::Damaged {
            path: self.path.clone(),
            at: frame.at,
            why: why.to_owned(),
        };
        let text = String::from_utf8(text).map_err(|error| wrong(&error.to_string()))?;
        let lines = text.lines().map(Line::read);
        lines
            .filter_map(Result::transpose)
            .collect::<Result<_, _>>()
            .map_err(|error| wrong(&error.to_string()))
    }

    /// How it ended; none where it broke off, or is still being written.
    ///
    /// # Errors
    /// Those of [`Reader::lines`].
    pub fn end(&mut self) -> Result<Option<End>, RecordError> {
        let Some(last) = self.frames.len().checked_sub(1) else { return Ok(None) };
        Ok(self.lines(last)?.into_iter().rev().find_map(|line| match line.what {
            What::End(end) => Some(end),
            _ => None,
        }))
    }

    fn damaged(&self, at: u64, why: &str) -> RecordError {
        RecordError::Damaged { path: self.path.clone(), at, why: why.to_owned() }
    }

    /// The payload as it lies in the file; none where its checksum is another one.
    fn payload(&mut self, frame: Frame) -> Result<Option<Vec<u8>>, RecordError> {
        let mut bytes = vec![0; frame.length as usize];
        let read = self.file.seek(SeekFrom::Start(frame.at));
        read.and_then(|_| self.file.read_exact(&mut bytes))
            .map_err(|source| RecordError::Unreadable { path: self.path.clone(), source })?;
        Ok((crc32fast::hash(&bytes) == frame.crc).then_some(bytes))
    }

    fn unfolded(&mut self, frame: Frame) -> Result<Vec<u8>, RecordError> {
        let payload = self.payload(frame)?;
        let payload =
            payload.ok_or_else(|| self.damaged(frame.at, "its checksum is another one"))?;
        let mut text = Vec::new();
        ZlibDecoder::new(&payload[..])
            .take(MOST_UNFOLDED)
            .read_to_end(&mut text)
            .map_err(|error| self.damaged(frame.at, &error.to_string()))?;
        Ok(text)
    }
}

impl Frame {
    /// Reads a frame's head; none where it is not one.
    fn read(head: &[u8; HEAD], at: u64) -> Option<Self> {
        let (fields, crc) = head.split_at(HEAD - 4);
        let four =
            |from: usize| Some(u32::from_le_bytes(head.get(from..from + 4)?.try_into().ok()?));
        let eight =
            |from: usize| Some(u64::from_le_bytes(head.get(from..from + 8)?.try_into().ok()?));
        if crc != crc32fast::hash(fields).to_le_bytes() {
            return None;
        }
        let kind = Kind::of_byte(head[8])?;
        Some(Self { at, length: four(0)?, crc: four(4)?, kind, from: eight(9)?, to: eight(17)? })
    }
}

fn rest_is_zero(file: &mut File, from: u64) -> io::Result<bool> {
    file.seek(SeekFrom::Start(from))?;
    let mut piece = [0; 4096];
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(true),
            n if piece[..n].iter().any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}
