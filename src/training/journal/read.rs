//! Reading a journal: record by record, so that one of any length takes the memory of one backward.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::frame::{Note, PREFIX, Vector, hash};
use super::{Change, Head, MAGIC};
use crate::protocol::bf16::from_le_bytes;
use crate::protocol::{ActivationId, Hotkey};
use crate::training::local::Gradient;
use crate::training::queue::Input;
use crate::training::snapshot::Damage;

/// A head longer than this is not ours.
const MAX_HEAD: u64 = 64 * 1024;
/// The text of a record is never longer.
const MAX_TEXT: u64 = 16 * 1024;

/// What a journal says was done.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A backward, and the hash of what came out of it.
    Backward {
        /// The activation.
        activation: ActivationId,
        /// Who sent the input.
        source: Option<Hotkey>,
        /// The stage's input.
        input: Input,
        /// Its output's gradient, or the targets.
        gradient: Gradient,
        /// See [`outcome`](super::outcome).
        outcome: [u8; 32],
    },
    /// Anything else.
    Change(Change),
}

/// How far a journal could be read.
#[derive(Clone, Debug)]
pub struct Read {
    /// What it belongs to.
    pub head: Head,
    /// Frames that are whole, and of which nothing is missing.
    pub frames: u64,
    /// Bytes of those.
    pub length: u64,
    /// How long its backwards took the device.
    pub computed: Duration,
    /// What is wrong with what comes after them, if anything does.
    pub torn: Option<&'static str>,
}

/// A journal that is being read.
#[derive(Debug)]
pub struct JournalReader {
    path: PathBuf,
    file: BufReader<File>,
    /// Bytes that are left of the file.
    left: u64,
    /// Longest frame that makes sense.
    most: u64,
    /// Where reading stands: frame and byte.
    at: (u64, u64),
    /// Up to the last whole record.
    read: Read,
}

/// A backward without its end so far.
type Begun = (ActivationId, Option<Hotkey>, Input, Gradient);

impl JournalReader {
    /// Opens the journal at `path`, whose largest vectors have `most` bytes. Blocks.
    ///
    /// # Errors
    /// See [`Damage`]: the file is missing, unreadable, or its head is not whole.
    pub fn open(path: &Path, most: u64) -> Result<Self, Damage> {
        let fail = |why: io::Error| match why.kind() {
            io::ErrorKind::NotFound => Damage::Missing(path.to_owned()),
            io::ErrorKind::UnexpectedEof => {
                Damage::Corrupt { path: path.to_owned(), what: "it ends too early" }
            }
            _ => Damage::Unreadable { path: path.to_owned(), why },
        };
        let corrupt = |what| Damage::Corrupt { path: path.to_owned(), what };
        let file = File::open(path).map_err(fail)?;
        let length = file.metadata().map_err(fail)?.len();
        let mut file = BufReader::with_capacity(1 << 16, file);
        let mut magic = [0; 8];
        file.read_exact(&mut magic).map_err(fail)?;
        if magic != *MAGIC {
            return Err(corrupt("it does not begin like a journal of this version"));
        }
        let left = length.saturating_sub(8);
        let (content, stored) = content(&mut file, left, MAX_HEAD)
            .map_err(fail)?
            .ok_or_else(|| corrupt("its head is cut off"))?;
        let head: Head =
            serde_json::from_slice(&content).map_err(|_| corrupt("its head makes no sense"))?;
        if hash(&head.mark, 0, &[&content]) != stored {
            return Err(corrupt("the checksum of its head is wrong"));
        }
        let taken = (PREFIX + content.len()) as u64;
        let at = (1, 8 + taken);
        let read = Read { head, frames: at.0, length: at.1, computed: Duration::ZERO, torn: None };
        let (path, left, most) = (path.to_owned(), left - taken, most + MAX_TEXT);
        Ok(Self { path, file, left, most, at, read })
    }

    /// What it belongs to.
    pub fn head(&self) -> &Head {
        &self.read.head
    }

    /// The next whole record; none at the end, and where it is torn. Blocks.
    ///
    /// # Errors
    /// The disk cannot be read.
    pub fn record(&mut self) -> Result<Option<Record>, Damage> {
        let mut begun: Option<Begun> = None;
        while let Some((note, begins)) = self.note()? {
            let record = match (note, begun.take()) {
                (Note::Work { .. }, _) => {
                    begun = begins;
                    continue;
                }
                (Note::Done { outcome, micros }, Some(work)) => {
                    let Some(outcome) = hash_of(&outcome) else {
                        self.read.torn = Some("a record makes no sense");
                        return Ok(None);
                    };
                    self.read.computed += Duration::from_micros(micros);
                    let (activation, source, input, gradient) = work;
                    Record::Backward { activation, source, input, gradient, outcome }
                }
                (Note::Done { .. }, None) => {
                    self.read.torn = Some("a backward ends that did not begin");
                    return Ok(None);
                }
                (Note::Step { lr_bits, back }, _) => Record::Change(Change::Step { lr_bits, back }),
                (Note::Discard, _) => Record::Change(Change::Discard),
                (Note::End, _) => Record::Change(Change::End),
                (Note::RollBack, _) => Record::Change(Change::RollBack),
                (Note::Resumed, _) => Record::Change(Change::Resumed),
                (Note::ResumedElsewhere, _) => Record::Change(Change::ResumedElsewhere),
            };
            (self.read.frames, self.read.length) = self.at;
            return Ok(Some(record));
        }
        if begun.is_some() {
            self.read.torn.get_or_insert("the last backward was not done");
        }
        Ok(None)
    }

    /// How far it could be read.
    pub fn finish(self) -> Read {
        self.read
    }

    /// The next frame, if it is whole.
    fn note(&mut self) -> Result<Option<(Note, Option<Begun>)>, Damage> {
        if self.read.torn.is_some() || self.left == 0 {
            return Ok(None);
        }
        let found = content(&mut self.file, self.left, self.most);
        let found = found.map_err(|why| Damage::Unreadable { path: self.path.clone(), why })?;
        let Some((content, stored)) = found else {
            self.read.torn = Some("its last record is cut off");
            return Ok(None);
        };
        if hash(&self.read.head.mark, self.at.0, &[&content]) != stored {
            self.read.torn = Some("the checksum of a record is wrong");
            return Ok(None);
        }
        let taken = (PREFIX + content.len()) as u64;
        self.left -= taken;
        self.at = (self.at.0 + 1, self.at.1 + taken);
        let parsed = parse(&content);
        if parsed.is_none() {
            self.read.torn = Some("a record makes no sense");
        }
        Ok(parsed)
    }
}

/// A frame's content and hash; none if it is cut off or impossibly long.
fn content(
    file: &mut BufReader<File>,
    left: u64,
    most: u64,
) -> io::Result<Option<(Vec<u8>, [u8; 32])>> {
    if left < PREFIX as u64 {
        return Ok(None);
    }
    let mut length = [0; 8];
    file.read_exact(&mut length)?;
    let length = u64::from_le_bytes(length);
    if length > most || length > left - PREFIX as u64 {
        return Ok(None);
    }
    let mut stored = [0; 32];
    file.read_exact(&mut stored)?;
    let mut content = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact(&mut content)?;
    Ok(Some((content, stored)))
}

fn parse(content: &[u8]) -> Option<(Note, Option<Begun>)> {
    let end = content.iter().position(|b| *b == b'\n').unwrap_or(content.len());
    let note: Note = serde_json::from_slice(&content[..end]).ok()?;
    let Note::Work { activation, source, input, gradient } = &note else {
        return (end == content.len()).then_some((note, None));
    };
    let numbers = content.get(end + 1..)?;
    let split = input.bytes()?;
    if numbers.len() != split.checked_add(gradient.bytes()?)? {
        return None;
    }
    let (first, second) = numbers.split_at(split);
    let begun = (
        activation.clone(),
        source.clone(),
        vector(*input, first),
        match gradient {
            Vector::Tokens(_) => Gradient::Targets(token_ids(second)),
            Vector::Numbers(_) => Gradient::Activation(Arc::new(from_le_bytes(second))),
        },
    );
    Some((note, Some(begun)))
}

fn vector(kind: Vector, bytes: &[u8]) -> Input {
    match kind {
        Vector::Tokens(_) => Input::Tokens(token_ids(bytes)),
        Vector::Numbers(_) => Input::Activation(from_le_bytes(bytes)),
    }
}

fn token_ids(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

fn hash_of(text: &str) -> Option<[u8; 32]> {
    hex::decode(text).ok()?.try_into().ok()
}
