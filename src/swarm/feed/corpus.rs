//! The user's own text: a file or a folder, checked once when it is opened, then streamed in
//! blocks, so that a corpus larger than memory works. Every tenth block is held out.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::FeedError;
use super::source::Split;

/// One block in this many is held out.
const HELD_OUT_EVERY: u64 = 10;
/// A corpus is cut into about this many blocks, so that a short one has held-out text too.
const BLOCKS_WANTED: u64 = 200;
/// Bounds on the size of a block, in bytes.
const BLOCK_BYTES: (u64, u64) = (64, 8192);
/// Samples are cut at multiples of about this many bytes, so that hardly any text is lost between
/// two samples.
const PIECE_BYTES: usize = 256;
/// How much of a file is checked at once.
const CHECK_BYTES: usize = 1 << 16;

/// A checked text corpus. Cheap to clone; every reader opens its own files.
#[derive(Clone, Debug)]
pub struct Corpus {
    path: PathBuf,
    files: Arc<[PathBuf]>,
    skipped: Arc<[Skipped]>,
    block_bytes: usize,
    bytes: u64,
}

/// A file of a folder that is not used, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// The file.
    pub path: PathBuf,
    /// Why, in words for the user.
    pub reason: String,
}

/// What a look at a whole file found.
enum Content {
    Text(u64),
    Blank,
    NotText(String),
}

impl Corpus {
    /// Checks the text file at `path`, or every file below the folder at `path` in sorted order.
    /// In a folder, what is not text is skipped (see [`Corpus::skipped`]); hidden entries and links
    /// to folders are not looked at. A single file must be text.
    pub fn open(path: &Path) -> Result<Self, FeedError> {
        let about = std::fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        let mut skipped = Vec::new();
        let (files, bytes) = if about.is_dir() {
            usable_files(path, &mut skipped)?
        } else {
            match inspect(path).map_err(|error| unreadable(path, &error))? {
                Content::Text(bytes) => (vec![path.to_owned()], bytes),
                Content::Blank => return Err(FeedError::Empty(path.to_owned())),
                Content::NotText(reason) => {
                    return Err(FeedError::Binary { path: path.to_owned(), reason });
                }
            }
        };
        if files.is_empty() {
            return Err(FeedError::Empty(path.to_owned()));
        }
        let block = (bytes / BLOCKS_WANTED).clamp(BLOCK_BYTES.0, BLOCK_BYTES.1);
        Ok(Self {
            path: path.to_owned(),
            files: files.into(),
            skipped: skipped.into(),
            block_bytes: usize::try_from(block).unwrap_or(CHECK_BYTES),
            bytes,
        })
    }

    /// What was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes of text in all files.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The files that are read, in order.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// The files of the folder that are not read, with reasons: tell the user.
    pub fn skipped(&self) -> &[Skipped] {
        &self.skipped
    }

    /// Starts reading one of the two streams.
    pub(super) fn reader(&self, split: Split) -> CorpusReader {
        CorpusReader {
            corpus: self.clone(),
            split,
            next_file: 0,
            open: None,
            ahead: Vec::new(),
            next_block: 0,
            block: String::new(),
            used: 0,
        }
    }
}

/// Files below `folder` that hold text, sorted by path, and their bytes in all.
fn usable_files(
    folder: &Path,
    skipped: &mut Vec<Skipped>,
) -> Result<(Vec<PathBuf>, u64), FeedError> {
    let mut folders = vec![folder.to_owned()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).map_err(|error| unreadable(&folder, &error))?;
        for entry in entries {
            let entry = entry.map_err(|error| unreadable(&folder, &error))?;
            if entry.file_name().to_string_lossy().starts_with('.') {
                continue;
            }
            let path = entry.path();
            let kind = entry.file_type().map_err(|error| unreadable(&path, &error))?;
            if kind.is_dir() {
                folders.push(path);
            } else if path.is_file() {
                found.push(path);
            }
        }
    }
    found.sort();
    let mut total = 0;
    found.retain(|path| {
        let reason = match inspect(path) {
            Ok(Content::Text(bytes)) => {
                total += bytes;
                return true;
            }
            Ok(Content::Blank) => "it is empty".to_owned(),
            Ok(Content::NotText(reason)) => format!("it is not UTF-8 text ({reason})"),
            Err(error) => format!("it cannot be read: {error}"),
        };
        skipped.push(Skipped { path: path.clone(), reason });
        false
    });
    Ok((found, total))
}

/// Reads a file to its end and says whether it is UTF-8 text with something to read in it.
fn inspect(path: &Path) -> std::io::Result<Content> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0_u8; CHECK_BYTES];
    let mut filled = 0;
    let mut total = 0_u64;
    let mut ink = false;
    loop {
        let read = file.read(&mut buffer[filled..])?;
        let bytes = &buffer[..filled + read];
        if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
            let at = total + at as u64;
            return Ok(Content::NotText(format!("a zero byte at {at}")));
        }
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            // A character cut by the buffer's end is whole after the next read.
            Err(error) if error.error_len().is_none() && read > 0 => {
                std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default()
            }
            Err(error) => {
                let at = total + error.valid_up_to() as u64;
                return Ok(Content::NotText(format!("an invalid byte at {at}")));
            }
        };
        ink = ink || text.chars().any(|c| !c.is_whitespace() && c != '\u{feff}');
        let whole = text.len();
        total += whole as u64;
        if read == 0 {
            return Ok(if ink { Content::Text(total) } else { Content::Blank });
        }
        let length = bytes.len();
        buffer.copy_within(whole..length, 0);
        filled = length - whole;
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> FeedError {
    match error.kind() {
        ErrorKind::NotFound => FeedError::Missing(path.to_owned()),
        _ => FeedError::Unreadable { path: path.to_owned(), reason: error.to_string() },
    }
}

/// A position in one stream of a corpus: holds one block and one read-ahead, never a whole file.
#[derive(Debug)]
pub(super) struct CorpusReader {
    corpus: Corpus,
    split: Split,
    next_file: usize,
    open: Option<File>,
    ahead: Vec<u8>,
    next_block: u64,
    block: String,
    used: usize,
}

impl CorpusReader {
    /// The next stretch of at most [`PIECE_BYTES`] bytes; `None` at the end of the corpus.
    pub(super) fn next_piece(&mut self) -> Result<Option<String>, FeedError> {
        while self.used == self.block.len() {
            let held_out = self.next_block % HELD_OUT_EVERY == HELD_OUT_EVERY - 1;
            let Some(block) = self.read_block()? else {
                return Ok(None);
            };
            if held_out == (self.split == Split::HeldOut) {
                self.block = block;
                self.used = 0;
            }
        }
        let rest = &self.block[self.used..];
        let length = cut_before_space(rest.as_bytes(), PIECE_BYTES);
        self.used += length;
        Ok(Some(rest[..length].to_owned()))
    }

    /// Goes back to the beginning.
    pub(super) fn rewind(&mut self) {
        *self = self.corpus.reader(self.split);
    }

    /// Reads the next block of either split. A block never spans two files.
    fn read_block(&mut self) -> Result<Option<String>, FeedError> {
        loop {
            let file_ended = self.fill()?;
            if self.ahead.is_empty() {
                if self.next_file == self.corpus.files.len() {
                    return Ok(None);
                }
                self.open_next()?;
                continue;
            }
            let length = cut_before_space(&self.ahead, self.corpus.block_bytes);
            let bytes: Vec<u8> = self.ahead.drain(..length).collect();
            let text = String::from_utf8(bytes).map_err(|_| self.changed())?;
            self.next_block += 1;
            let mut text = text.replace("\r\n", "\n").replace('\u{feff}', "");
            if file_ended && self.ahead.is_empty() {
                text.truncate(text.trim_end().len());
                text.push_str("\n\n");
            }
            return Ok(Some(text));
        }
    }

    /// Reads ahead until there is more than one block, or the file ends (then says `true`).
    fn fill(&mut self) -> Result<bool, FeedError> {
        let Some(file) = &mut self.open else {
            return Ok(true);
        };
        let wanted = self.corpus.block_bytes + 4;
        if self.ahead.len() >= wanted {
            return Ok(false);
        }
        let room = (wanted - self.ahead.len()) as u64;
        let read = file.by_ref().take(room).read_to_end(&mut self.ahead);
        read.map_err(|error| unreadable(&self.corpus.files[self.next_file - 1], &error))?;
        let ended = self.ahead.len() < wanted;
        if ended {
            self.open = None;
        }
        Ok(ended)
    }

    fn open_next(&mut self) -> Result<(), FeedError> {
        let path = &self.corpus.files[self.next_file];
        self.open = Some(File::open(path).map_err(|error| unreadable(path, &error))?);
        self.next_file += 1;
        Ok(())
    }

    fn changed(&self) -> FeedError {
        FeedError::Unreadable {
            path: self.corpus.files[self.next_file.saturating_sub(1)].clone(),
            reason: "it changed while it was in use".to_owned(),
        }
    }
}

/// Where to cut `bytes` so that at most `most` come first: all if they fit, else before the last
/// white space of the second half, else between two characters.
fn cut_before_space(bytes: &[u8], most: usize) -> usize {
    if bytes.len() <= most {
        return bytes.len();
    }
    let half = most / 2;
    if let Some(space) = bytes[half..most].iter().rposition(u8::is_ascii_whitespace)
        && half + space > 0
    {
        return half + space;
    }
    // A byte of the form 10xxxxxx continues a character.
    let starts_character = |at: &usize| bytes[*at] & 0xc0 != 0x80;
    (1..=most).rev().find(starts_character).unwrap_or(most)
}
