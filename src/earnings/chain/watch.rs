//! The last known reading, with its age. A chain that cannot be read now does not take away what was
//! read before; it is shown with its age and with what is in the way.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::address::BlockRef;
use super::error::{ChainError, human};
use super::movement::{Movement, movements};
use super::reader::Reader;
use super::reading::{Asked, Reading};
use crate::config::chain::ChainConstants;
use crate::config::constants::doubling_pause;

/// How many blocks are remembered, to see whether they stay on the chain.
const MARKS: usize = 8;

/// The last reading that was of use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// It.
    pub reading: Reading,
    /// Blocks of the last readings, this one's last, oldest first.
    pub marks: Vec<BlockRef>,
    /// Why there is no newer one; none while it is new.
    pub stale: Option<Stale>,
}

impl Known {
    /// How long ago it was read.
    pub fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(Duration::from_secs(self.reading.read_at))
    }

    /// An age in words, such as `3 h 20 min`.
    pub fn human(age: Duration) -> String {
        human(&age)
    }
}

/// Why the last reading is not a new one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stale {
    /// Code of what is in the way.
    pub code: String,
    /// In a line.
    pub words: String,
    /// Since when, in seconds since 1970.
    pub since: u64,
}

/// What happened to the chain between two looks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Note {
    /// Blocks that were read are not on it any more. What was concluded from them does not hold.
    Reorganised {
        /// Them, oldest first.
        gone: Vec<BlockRef>,
    },
    /// It has another runtime, and with it another description of its state.
    Runtime {
        /// The version before.
        before: u32,
        /// The version now.
        after: u32,
    },
}

impl Note {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Reorganised { .. } => "chain-reorganised",
            Self::Runtime { .. } => "chain-runtime",
        }
    }

    /// In a line.
    pub fn words(&self) -> String {
        match self {
            Self::Reorganised { gone } => {
                let first = gone.first().map_or(0, |block| block.number);
                format!(
                    "the chain was reorganised: block {first}, which was read before, is not on it any \
                     more. What was read since then does not count, and was read again"
                )
            }
            Self::Runtime { before, after } => format!(
                "the chain's runtime changed from version {before} to {after}; its description was \
                 read again"
            ),
        }
    }
}

/// What one look brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    /// What is known now.
    pub known: Option<Known>,
    /// What is in the way, if anything.
    pub trouble: Option<ChainError>,
    /// What happened to the chain since the look before.
    pub notes: Vec<Note>,
    /// What changed at the address since the reading before; nothing across a reorganisation.
    pub movements: Vec<Movement>,
}

/// Looks at the chain again and again.
#[derive(Debug)]
pub struct Watch {
    reader: Reader,
    asked: Asked,
    known: Option<Known>,
    every: Duration,
    first_pause: Duration,
    behind_after: Duration,
    failed: u32,
}

impl Watch {
    /// Watches what `reader` reads. `known` is what was known before this program started; it counts
    /// only if it is of the same chain, subnet and addresses.
    pub fn new(
        reader: Reader,
        asked: Asked,
        known: Option<Known>,
        constants: &ChainConstants,
    ) -> Self {
        let same =
            |known: &Known| known.reading.asked == asked && known.reading.place == reader.place();
        let known = known.filter(same);
        Self {
            reader,
            asked,
            known,
            every: constants.every,
            first_pause: constants.first_retry_pause,
            behind_after: constants.behind_after,
            failed: 0,
        }
    }

    /// What is known without looking.
    pub fn known(&self) -> Option<&Known> {
        self.known.as_ref()
    }

    /// Looks once.
    pub async fn look(&mut self, now: Duration) -> Look {
        let marks = self.known.as_ref().map_or(&[][..], |known| &known.marks);
        match self.reader.read(&self.asked, marks).await {
            Ok(seen) => {
                let gone = seen.gone;
                let behind = seen.reading.block_age().filter(|age| *age > self.behind_after);
                let trouble = behind.map(|age| ChainError::Behind {
                    endpoint: self.reader.endpoint().to_string(),
                    block: seen.reading.block.number,
                    age,
                });
                self.failed = if trouble.is_some() { self.failed.saturating_add(1) } else { 0 };
                self.take(seen.reading, gone, trouble, now)
            }
            Err(error) => {
                self.failed = self.failed.saturating_add(1);
                if let Some(known) = &mut self.known {
                    known.stale = Some(stale(&error, known.stale.take(), now));
                }
                Look {
                    known: self.known.clone(),
                    trouble: Some(error),
                    notes: Vec::new(),
                    movements: Vec::new(),
                }
            }
        }
    }

    fn take(
        &mut self,
        reading: Reading,
        gone: Vec<BlockRef>,
        trouble: Option<ChainError>,
        now: Duration,
    ) -> Look {
        let before = self.known.take();
        let (mut marks, mut notes, mut moved, mut since) =
            (Vec::new(), Vec::new(), Vec::new(), None);
        if let Some(before) = before {
            marks = before.marks;
            marks.retain(|mark| !gone.contains(mark));
            let (older, newer) = (before.reading.runtime, reading.runtime);
            if older != newer {
                notes.push(Note::Runtime { before: older, after: newer });
            }
            if gone.is_empty() {
                moved = movements(&before.reading, &reading);
            }
            since = before.stale;
        }
        if marks.last() != Some(&reading.block) {
            marks.push(reading.block);
        }
        let surplus = marks.len().saturating_sub(MARKS);
        marks.drain(..surplus);
        let stale = trouble.as_ref().map(|error| stale(error, since, now));
        self.known = Some(Known { reading, marks, stale });
        if !gone.is_empty() {
            notes.push(Note::Reorganised { gone });
        }
        Look { known: self.known.clone(), trouble, notes, movements: moved }
    }

    /// How long to wait before the next look.
    pub fn pause(&self) -> Duration {
        match self.failed {
            0 => self.every,
            failed => doubling_pause(self.first_pause, failed - 1, self.every),
        }
    }
}

fn stale(error: &ChainError, before: Option<Stale>, now: Duration) -> Stale {
    let since = before.map_or(now.as_secs(), |stale| stale.since);
    Stale { code: error.code().to_owned(), words: error.to_string(), since }
}
