//! The record of a run: what was told and how the snapshots changed, in one file that `hearth replay`
//! plays. A file is a sequence of frames, each compressed and checked on its own, so that what was
//! written before a power cut still plays.
//!
//! ```text
//! file   = "HEARTHRC" version:u32 frame*
//! frame  = length:u32 crc:u32 kind:u8 from:u64 to:u64 head_crc:u32 payload[length]
//! payload = zlib of lines, each `[milliseconds, "kind", what]` and a line feed
//! ```
//!
//! Numbers are little-endian; times are milliseconds since the file was begun. The first frame is the
//! header; a frame that begins with a whole state is marked, so that a reader may begin there.

mod background;
mod change;
mod reader;
mod shelf;
#[cfg(test)]
mod tests;
mod writer;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use background::{Recording, Told};
pub use change::{Change, Misplaced, apply, changes};
pub use reader::{Reader, RecordError};
pub use shelf::{Shelf, Shelved};
pub use writer::Writer;

/// What every record begins with.
const MAGIC: &[u8; 8] = b"HEARTHRC";
/// Of the format above.
const VERSION: u32 = 1;
/// Bytes of a frame before its payload.
const HEAD: usize = 29;
/// More than any frame unfolds to: a frame is closed at 64 KiB, or holds one whole state.
const MOST_UNFOLDED: u64 = 64 << 20;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The header; nothing else is in it.
    Header,
    /// Goes on from the frame before.
    Further,
    /// Begins with a whole state.
    Whole,
}

impl Kind {
    fn byte(self) -> u8 {
        match self {
            Self::Header => 0,
            Self::Further => 1,
            Self::Whole => 2,
        }
    }

    fn of_byte(byte: u8) -> Option<Self> {
        [Self::Header, Self::Further, Self::Whole].into_iter().find(|kind| kind.byte() == byte)
    }
}

/// What a record says of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// The version of Hearth that wrote it.
    pub hearth: String,
    /// When this file was begun, Unix seconds.
    pub started: f64,
    /// When the run began, Unix seconds: the same in all parts of a run.
    pub run_started: f64,
    /// Which part of the run's record this is, from 1.
    pub part: u32,
    /// Operating system and processor.
    pub system: String,
}

/// How a record ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "how", content = "text", rename_all = "kebab-case")]
pub enum End {
    /// The run was stopped in order.
    Stopped,
    /// The run ended by itself.
    Finished,
    /// The run ended by an error.
    Failed(String),
    /// The next part goes on.
    Continued,
}

/// One line of a record.
#[derive(Debug)]
pub struct Line {
    /// Milliseconds since the file was begun.
    pub at: u64,
    /// What it says.
    pub what: What,
}

/// What a line says.
#[derive(Debug)]
pub enum What {
    /// The whole state, as of now.
    State(serde_json::Value),
    /// What changed in it.
    Changes(Vec<Change>),
    /// An event, letter for letter.
    Event(Box<RawValue>),
    /// So many events or changes were told faster than they could be written.
    Missed(u64),
    /// The last line.
    End(End),
}

impl Line {
    /// Writes it with its line feed.
    fn write(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
        let at = self.at;
        match &self.what {
            What::State(state) => serde_json::to_writer(&mut *out, &(at, "state", state)),
            What::Changes(changes) => serde_json::to_writer(&mut *out, &(at, "change", changes)),
            What::Event(event) => serde_json::to_writer(&mut *out, &(at, "event", event)),
            What::Missed(many) => serde_json::to_writer(&mut *out, &(at, "missed", many)),
            What::End(end) => serde_json::to_writer(&mut *out, &(at, "end", end)),
        }?;
        out.push(b'\n');
        Ok(())
    }

    /// Reads one; none where it is of a kind that this version does not know.
    fn read(text: &str) -> Result<Option<Self>, serde_json::Error> {
        let (at, kind, what): (u64, &str, &RawValue) = serde_json::from_str(text)?;
        let what = match kind {
            "state" => What::State(serde_json::from_str(what.get())?),
            "change" => What::Changes(serde_json::from_str(what.get())?),
            "event" => What::Event(what.to_owned()),
            "missed" => What::Missed(serde_json::from_str(what.get())?),
            "end" => What::End(serde_json::from_str(what.get())?),
            _ => return Ok(None),
        };
        Ok(Some(Self { at, what }))
    }
}
