//! The work journal: what was done to a stage since its last snapshot, in order, so that doing it again
//! gives the same weights, moments and summed gradients to the bit on the same device. Every backward
//! is written before anybody is told of it.
//!
//! A backward is two records: the work, written while the device computes, and its end with a hash of
//! what came out, so that a replay can tell whether it came out the same. Work without an end was being
//! done when the process died; it counts for nothing.
//!
//! Layout: magic (8 bytes), then frames: length (u64), BLAKE3 of the journal's name, the frame's number
//! and its content (32 bytes), content. The first frame is the [`Head`]. A frame that is cut off or does
//! not fit its hash ends the journal: that is what a power cut leaves.

mod frame;
mod read;

use std::fs::{File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::{JoinHandle, spawn_blocking};

use super::local::{BackwardDone, Gradient};
use super::queue::Input;
use super::snapshot::{Mark, sync_folder};
use crate::clock::{Clock, Moment};
use crate::protocol::{ActivationId, Epoch, Hotkey, RunId, StageIndex};

use frame::{Note, work_content};

pub use read::{JournalReader, Read, Record};

const MAGIC: &[u8; 8] = b"HEARTHJ1";
/// So long at most what was written waits for the disk, while work goes on.
const SYNC_EVERY: Duration = Duration::from_secs(5);

/// What a journal belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The durable point it starts from.
    pub mark: Mark,
    /// The journal it goes on from, where its own snapshot may not be complete.
    pub follows: Option<Follows>,
    /// Whose.
    pub hotkey: Hotkey,
    /// The run.
    pub run: RunId,
    /// The stage.
    pub stage: StageIndex,
    /// The epoch.
    pub epoch: Epoch,
    /// What computed it: on anything else the same work gives other last bits.
    pub ground: String,
}

/// The place in another journal where this one goes on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Follows {
    /// Which.
    pub mark: Mark,
    /// Its frames up to there.
    pub frames: u64,
}

/// What is written besides backwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// An optimizer step. With `back` the weights of the epoch's start were put back after it.
    Step {
        /// Learning rate, as the bits of an f64.
        lr_bits: u64,
        /// Whether this miner warms up.
        back: bool,
    },
    /// The summed gradients were dropped.
    Discard,
    /// The epoch's work is handed in, or over: counters at zero, gradients gone.
    End,
    /// The numbers were not finite: back to the epoch's start, with a fresh optimizer.
    RollBack,
    /// A process went on from here.
    Resumed,
    /// The same, on another device or with the stage built otherwise: what follows need not come out
    /// to the same bits where the journal began.
    ResumedElsewhere,
}

/// Where the bytes of a computation came out: what its replay is compared with.
pub fn outcome(done: &BackwardDone) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&done.loss.unwrap_or_default().to_bits().to_le_bytes());
    if cfg!(target_endian = "little") {
        hasher.update(bytemuck::cast_slice(&done.input_gradient));
    } else {
        for number in &done.input_gradient {
            hasher.update(&number.to_le_bytes());
        }
    }
    *hasher.finalize().as_bytes()
}

/// A journal that is being written.
#[derive(Debug)]
pub struct Journal {
    file: Arc<File>,
    mark: Mark,
    clock: Clock,
    /// Frames that are whole.
    frames: u64,
    /// Bytes of those.
    length: u64,
    /// How long its backwards took the device: how long a replay takes.
    computed: Duration,
    synced: Moment,
    syncing: Option<JoinHandle<io::Result<()>>>,
}

impl Journal {
    /// Begins one at `path`. Blocks.
    ///
    /// # Errors
    /// The disk.
    pub fn begin(path: &Path, head: &Head, clock: &Clock) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().create_new(true).write(true).open(path)?;
        let begun = (|| {
            file.write_all(MAGIC)?;
            let content = serde_json::to_vec(head)?;
            let length = frame::write(&file, &head.mark, 0, &[&content])?;
            file.sync_data()?;
            path.parent().map_or(Ok(()), sync_folder)?;
            Ok(MAGIC.len() as u64 + length)
        })();
        match begun {
            Ok(length) => Ok(Self::over(file, head.mark.clone(), clock, 1, length)),
            Err(error) => {
                drop(std::fs::remove_file(path));
                Err(error)
            }
        }
    }

    /// Goes on with one that was read to its end; what is torn there is cut off. Blocks.
    ///
    /// # Errors
    /// The disk.
    pub fn go_on(path: &Path, read: &Read, clock: &Clock) -> io::Result<Self> {
        let mut file = OpenOptions::new().write(true).open(path)?;
        file.set_len(read.length)?;
        file.seek(SeekFrom::End(0))?;
        file.sync_data()?;
        let mut journal = Self::over(file, read.head.mark.clone(), clock, read.frames, read.length);
        journal.computed = read.computed;
        Ok(journal)
    }

    fn over(file: File, mark: Mark, clock: &Clock, frames: u64, length: u64) -> Self {
        Self {
            file: Arc::new(file),
            mark,
            clock: clock.clone(),
            frames,
            length,
            computed: Duration::ZERO,
            synced: clock.now(),
            syncing: None,
        }
    }

    /// Where a journal that comes after this one goes on.
    pub fn end(&self) -> Follows {
        Follows { mark: self.mark.clone(), frames: self.frames }
    }

    /// Its bytes.
    pub fn bytes(&self) -> u64 {
        self.length
    }

    /// How long its backwards took the device.
    pub fn computed(&self) -> Duration {
        self.computed
    }

    /// Notes a backward that is being computed.
    ///
    /// # Errors
    /// The disk. Then nothing may be noted any more: something would be missing in between.
    pub async fn work(
        &mut self,
        id: &ActivationId,
        source: Option<&Hotkey>,
        input: &Arc<Input>,
        gradient: &Arc<Gradient>,
    ) -> io::Result<()> {
        let (input, gradient) = (Arc::clone(input), Arc::clone(gradient));
        let (id, source) = (id.clone(), source.cloned());
        self.write(move |put| put(&work_content(&id, source.as_ref(), &input, &gradient)?.slices()))
            .await
    }

    /// Notes that the backward is done; gives its result back.
    ///
    /// # Errors
    /// As [`Journal::work`].
    pub async fn done(
        &mut self,
        done: BackwardDone,
        took: Duration,
    ) -> Result<BackwardDone, (BackwardDone, io::Error)> {
        let done = Arc::new(done);
        let shared = Arc::clone(&done);
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let written = self
            .write(move |put| {
                let outcome = hex::encode(outcome(&shared));
                put(&[&serde_json::to_vec(&Note::Done { outcome, micros })?])
            })
            .await;
        self.computed += took;
        let done = Arc::try_unwrap(done).unwrap_or_else(|shared| (*shared).clone());
        match written {
            Ok(()) => Ok(done),
            Err(error) => Err((done, error)),
        }
    }

    /// Notes a change that is no backward.
    ///
    /// # Errors
    /// As [`Journal::work`].
    pub async fn change(&mut self, change: Change) -> io::Result<()> {
        self.write(move |put| put(&[&serde_json::to_vec(&Note::from(change))?])).await
    }

    /// Appends one frame off the network's threads. What a failed write left is cut off again.
    async fn write(
        &mut self,
        content: impl FnOnce(&mut dyn FnMut(&[&[u8]]) -> io::Result<u64>) -> io::Result<u64>
        + Send
        + 'static,
    ) -> io::Result<()> {
        self.check_sync().await?;
        let (file, mark) = (Arc::clone(&self.file), self.mark.clone());
        let (frame, at) = (self.frames, self.length);
        let written = spawn_blocking(move || {
            let written = content(&mut |slices| frame::write(&file, &mark, frame, slices));
            if written.is_err() {
                // Should this fail as well, the torn end is recognised when it is read.
                drop(file.set_len(at));
            }
            written
        });
        let bytes = written.await.map_err(io::Error::other)??;
        self.frames += 1;
        self.length += bytes;
        if self.syncing.is_none() && self.clock.now().since(self.synced) >= SYNC_EVERY {
            let file = Arc::clone(&self.file);
            self.synced = self.clock.now();
            self.syncing = Some(spawn_blocking(move || file.sync_data()));
        }
        Ok(())
    }

    async fn check_sync(&mut self) -> io::Result<()> {
        match self.syncing.take() {
            Some(sync) if sync.is_finished() => sync.await.map_err(io::Error::other)?,
            waiting => {
                self.syncing = waiting;
                Ok(())
            }
        }
    }

    /// Waits until everything is on the disk.
    ///
    /// # Errors
    /// The disk.
    pub async fn sync(&mut self) -> io::Result<()> {
        if let Some(sync) = self.syncing.take() {
            sync.await.map_err(io::Error::other)??;
        }
        let file = Arc::clone(&self.file);
        spawn_blocking(move || file.sync_data()).await.map_err(io::Error::other)??;
        self.synced = self.clock.now();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
