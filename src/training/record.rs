//! What every miner of this process did to its weights, in order: enough for a program without any
//! network to do the same again and arrive at the same weights. Optional; kept in memory and, if a
//! file is named, as JSON lines.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::protocol::{ActivationId, ChunkNumber, Epoch, Hotkey, StageIndex};

/// One thing that was done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "deed", rename_all = "snake_case")]
pub enum Deed {
    /// The stage holds these weights now and starts an epoch with them.
    Load {
        /// BLAKE3 of the weights as f32, little-endian.
        weights: String,
        /// Chunks that came from the network; the others stayed as they were.
        chunks: Vec<ChunkNumber>,
    },
    /// A forward ran (at the last stage: its backward follows at once).
    Forward {
        /// The activation.
        activation: ActivationId,
        /// Who sent the input; none at stage 0.
        source: Option<Hotkey>,
        /// Token ids, at the first stage (inputs) and the last one (targets); else empty.
        tokens: Vec<u32>,
    },
    /// A backward ran, with the weights of this moment, and was added to the gradients.
    Backward {
        /// The activation.
        activation: ActivationId,
        /// Who gets the input's gradient; none at stage 0.
        target: Option<Hotkey>,
        /// Mean cross-entropy, at the last stage.
        loss: Option<f64>,
    },
    /// The optimizer stepped and the gradients were cleared.
    Step {
        /// Learning rate.
        lr: f64,
    },
    /// The gradients were cleared without a step, at the end of an epoch.
    Discard {
        /// Backwards that were lost by it.
        backwards: u32,
    },
    /// The pseudo-gradient was handed in.
    Upload {
        /// Where it lies in the store.
        object: String,
        /// Steps of this epoch.
        steps: u64,
    },
    /// A partition was merged and handed in.
    Merge {
        /// Which.
        chunk: ChunkNumber,
        /// The pseudo-gradients it was made of, in order: object and weight.
        sources: Vec<(String, f64)>,
        /// Where it lies in the store.
        object: String,
    },
}

/// A deed, by whom and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Position in the order of all miners of this process. Whatever caused a deed is before it.
    pub sequence: u64,
    /// Who.
    pub miner: Hotkey,
    /// Its stage.
    pub stage: StageIndex,
    /// The orchestrator's epoch.
    pub epoch: Epoch,
    /// What.
    #[serde(flatten)]
    pub deed: Deed,
}

/// Which weights: of whom, at the start of which epoch.
type WeightsKey = (Hotkey, StageIndex, Epoch);

#[derive(Debug, Default)]
struct Book {
    entries: Vec<Entry>,
    weights: BTreeMap<WeightsKey, Arc<Vec<f32>>>,
    file: Option<BufWriter<File>>,
}

/// Writes the record; all miners of a process share one. Cheap to clone; does nothing unless made
/// by [`Recorder::in_memory`] or [`Recorder::to_file`].
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    book: Option<Arc<Mutex<Book>>>,
}

impl Recorder {
    /// Records nothing.
    pub fn off() -> Self {
        Self::default()
    }

    /// Records in memory, weights included.
    pub fn in_memory() -> Self {
        Self { book: Some(Arc::default()) }
    }

    /// Records in memory and in a file, one JSON object a line (without the weights).
    pub fn to_file(path: &Path) -> std::io::Result<Self> {
        let file = Some(BufWriter::new(File::create(path)?));
        Ok(Self { book: Some(Arc::new(Mutex::new(Book { file, ..Book::default() }))) })
    }

    /// Whether anything is recorded.
    pub fn is_on(&self) -> bool {
        self.book.is_some()
    }

    /// Adds a deed.
    pub fn note(&self, miner: &Hotkey, stage: StageIndex, epoch: Epoch, deed: Deed) {
        let Some(book) = &self.book else { return };
        let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
        let sequence = book.entries.len() as u64;
        let entry = Entry { sequence, miner: miner.clone(), stage, epoch, deed };
        if let Some(file) = &mut book.file {
            let written = serde_json::to_writer(&mut *file, &entry)
                .map_err(std::io::Error::from)
                .and_then(|()| file.write_all(b"\n"))
                .and_then(|()| file.flush());
            if let Err(error) = written {
                tracing::warn!("the work record is not written any further: {error}");
                book.file = None;
            }
        }
        book.entries.push(entry);
    }

    /// Keeps the weights with which a miner starts an epoch.
    pub fn keep_weights(
        &self,
        miner: &Hotkey,
        stage: StageIndex,
        epoch: Epoch,
        weights: &Arc<Vec<f32>>,
    ) {
        let Some(book) = &self.book else { return };
        let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
        book.weights.insert((miner.clone(), stage, epoch), Arc::clone(weights));
    }

    /// Everything so far, in order.
    pub fn entries(&self) -> Vec<Entry> {
        let Some(book) = &self.book else { return Vec::new() };
        book.lock().unwrap_or_else(PoisonError::into_inner).entries.clone()
    }

    /// The weights with which each miner started each epoch.
    pub fn weights(&self) -> BTreeMap<(Hotkey, StageIndex, Epoch), Arc<Vec<f32>>> {
        let Some(book) = &self.book else { return BTreeMap::new() };
        book.lock().unwrap_or_else(PoisonError::into_inner).weights.clone()
    }
}

/// BLAKE3 of weights as f32, little-endian; how a record names them.
pub fn weights_hash(weights: &[f32]) -> String {
    blake3::hash(bytemuck::cast_slice(weights)).to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_reads_back_as_what_is_in_memory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.jsonl");
        let recorder = Recorder::to_file(&path).unwrap();
        let miner = Hotkey::from_public_key(&[1; 32]);
        let deeds = [
            Deed::Load { weights: weights_hash(&[1.0]), chunks: vec![ChunkNumber(0)] },
            Deed::Forward { activation: "a".into(), source: None, tokens: vec![1, 2] },
            Deed::Backward { activation: "a".into(), target: None, loss: Some(0.1) },
            Deed::Step { lr: 2e-3 },
        ];
        for deed in &deeds {
            recorder.note(&miner, StageIndex(1), Epoch(2), deed.clone());
        }
        let text = std::fs::read_to_string(path).unwrap();
        let read: Vec<Entry> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, recorder.entries());
        assert_eq!(read.len(), deeds.len());
        assert!(read.iter().enumerate().all(|(i, entry)| entry.sequence == i as u64));
    }

    #[test]
    fn a_recorder_that_is_off_keeps_nothing() {
        let recorder = Recorder::off();
        let miner = Hotkey::from_public_key(&[1; 32]);
        recorder.note(&miner, StageIndex(0), Epoch(1), Deed::Step { lr: 1.0 });
        assert!(recorder.entries().is_empty());
    }
}
