//! A stage's way back from the disk: the newest good snapshot, then the work that was noted after it,
//! done again in its order. On the same device that gives the state there was, to the bit; what was
//! being computed when the process died is lost, and nobody was told of it.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::journal::{Change, JournalReader, Read, Record};
use super::keep::{KeepPlace, MOMENTS};
use super::local::{Again, LocalError, LocalStage, pieces};
use super::snapshot::{Damage, Generation, Mark, Opened, SnapshotMeta};
use super::terms::Terms;
use crate::model::OptimizerProgress;
use crate::protocol::Epoch;

/// Pieces that wait between the disk and the device.
const WAITING: usize = 2;

/// What was on the disk.
#[derive(Debug, Default)]
pub struct Recovered {
    /// What of it is in the stage now.
    pub taken: Taken,
    /// The epoch of that.
    pub epoch: Epoch,
    /// Backwards that were done again.
    pub again: usize,
    /// Whether the epoch can go on where it stopped.
    pub goes_on: bool,
    /// What could not be used, in plain words, and what is used in its place.
    pub losses: Vec<String>,
}

/// What of a snapshot is in the stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Taken {
    /// Nothing: there is none, or it is of a stage of another size.
    #[default]
    Nothing,
    /// The weights; the optimizer begins afresh.
    Weights,
    /// Weights and optimizer.
    All,
}

/// Told how far it is: backwards that were done again.
pub type Progress<'a> = &'a (dyn Fn(usize) + Send + Sync);

/// Takes the newest good generation into a stage that was just built, and does again what its journal
/// says. A stage into which damaged numbers came starts from the first weights of `seed` instead.
///
/// # Errors
/// The device failed. Then the stage has to be built again.
pub async fn recover(
    stage: &mut LocalStage,
    place: &KeepPlace,
    seed: u64,
    progress: Progress<'_>,
) -> Result<Recovered, LocalError> {
    let built_for = stage.terms().epoch;
    let mut recovered = Recovered::default();
    for generation in Generation::ALL {
        match take(stage, place, generation).await? {
            Take::Taken(taken, meta, start) => {
                recovered.taken = taken;
                recovered.epoch = meta.epoch;
                if taken != Taken::Nothing && !recovered.losses.is_empty() {
                    let epoch = meta.epoch;
                    recovered.losses.push(format!("the snapshot of epoch {epoch} is used"));
                }
                let mark = meta.progress.as_ref().map(|progress| progress.mark.clone());
                if let (Taken::All, Some(mark)) = (taken, mark) {
                    stage.adopt(&meta, start);
                    if !redo(stage, place, mark, &mut recovered, progress).await? {
                        return again_without_journal(stage, place, generation, recovered).await;
                    }
                }
                return Ok(recovered);
            }
            Take::Missing => {}
            Take::Damaged(damage) => {
                set_aside(place, generation).await;
                recovered.losses.push(damage.to_string());
                stage.start_afresh(seed).await?;
                stage.disown(built_for);
            }
        }
    }
    if !recovered.losses.is_empty() {
        recovered.losses.push("the weights are downloaded from the network".to_owned());
    }
    Ok(recovered)
}

/// The journal led somewhere else than the first time: the snapshot alone is used.
async fn again_without_journal(
    stage: &mut LocalStage,
    place: &KeepPlace,
    generation: Generation,
    mut recovered: Recovered,
) -> Result<Recovered, LocalError> {
    stage.end_epoch().await?;
    stage.disown(stage.terms().epoch);
    recovered.again = 0;
    recovered.goes_on = false;
    if let Take::Taken(taken, ..) = take(stage, place, generation).await? {
        recovered.taken = taken;
    }
    Ok(recovered)
}

/// A damaged newest generation must not become the one before, and push the good one out.
async fn set_aside(place: &KeepPlace, generation: Generation) {
    if generation == Generation::Newest {
        let store = place.store.clone();
        let moved = spawn_blocking(move || store.set_aside()).await;
        if let Ok(Err(error)) = moved {
            tracing::warn!("the damaged snapshot cannot be moved away: {error}");
        }
    }
}

/// What became of one generation.
enum Take {
    Taken(Taken, Box<SnapshotMeta>, Arc<Vec<f32>>),
    Missing,
    Damaged(Damage),
}

async fn take(
    stage: &LocalStage,
    place: &KeepPlace,
    generation: Generation,
) -> Result<Take, LocalError> {
    let (store, hotkey) = (place.store.clone(), place.hotkey.clone());
    let (run, number) = (stage.terms().run.clone(), stage.terms().stage);
    let opened = spawn_blocking(move || store.open(generation, &hotkey, &run, number)).await;
    let snapshot = match opened {
        Ok(Ok(snapshot)) => snapshot,
        Ok(Err(Damage::Missing(_))) | Err(_) => return Ok(Take::Missing),
        Ok(Err(damage)) => return Ok(Take::Damaged(damage)),
    };
    let meta = Box::new(snapshot.meta.clone());
    let (there, here) = (meta.moments, stage.terms().spec.moments);
    if there != here {
        tracing::info!("the snapshot's moments were kept in {there} and are kept in {here} now");
    }
    if meta.weights != stage.param_count().await? {
        return Ok(Take::Taken(Taken::Nothing, meta, Arc::default()));
    }
    match take_over(stage, snapshot).await {
        Ok((taken, start)) => Ok(Take::Taken(taken, meta, Arc::new(start))),
        Err(TakeError::Local(error)) => Err(error),
        Err(TakeError::Damage(damage)) => Ok(Take::Damaged(damage)),
    }
}

/// A snapshot could not be taken over.
#[derive(Debug, thiserror::Error)]
enum TakeError {
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error(transparent)]
    Damage(#[from] Damage),
}

/// Takes a snapshot over into a stage of its size; gives the weights of the epoch's start.
async fn take_over(stage: &LocalStage, snapshot: Opened) -> Result<(Taken, Vec<f32>), TakeError> {
    let meta = snapshot.meta.clone();
    let count = meta.weights;
    let mut reader = Reader::start(snapshot);
    let apart = meta.progress.as_ref().is_some_and(|progress| progress.start > 0);
    let mut start = Vec::with_capacity(count);
    for piece in pieces(0..count) {
        let numbers = reader.next().await?;
        if !apart {
            start.extend_from_slice(&numbers);
        }
        stage.write_weights_at(piece.start, numbers).await?;
    }
    let mut taken = Taken::Weights;
    if meta.optimizer == MOMENTS.len() * count {
        taken = take_optimizer(stage, &meta, &mut reader).await?;
    } else {
        reader.skip(meta.optimizer).await?;
    }
    if apart {
        for _ in pieces(0..count) {
            start.extend(reader.next().await?);
        }
    }
    reader.finish().await?;
    Ok((taken, start))
}

async fn take_optimizer(
    stage: &LocalStage,
    meta: &SnapshotMeta,
    reader: &mut Reader,
) -> Result<Taken, TakeError> {
    let mu_product = f64::from_bits(meta.mu_product_bits);
    let progress = OptimizerProgress { step: meta.step, mu_product };
    let mut usable = stage.set_optimizer_progress(progress).await;
    for moment in MOMENTS {
        for piece in pieces(0..meta.weights) {
            let numbers = reader.next().await?;
            if usable.is_ok() {
                usable = stage.write_moments(moment, piece.start, numbers).await;
            }
        }
    }
    match usable {
        Ok(()) => Ok(Taken::All),
        Err(error) if error.is_about_the_work() => {
            tracing::warn!("the snapshot's optimizer state is of no use: {error}");
            stage.reset_optimizer().await?;
            Ok(Taken::Weights)
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads a snapshot ahead, off the network's threads. Its vectors (each of `meta.weights` numbers) are
/// cut as [`pieces`] cuts them. The last word is whether all of it was good.
struct Reader(mpsc::Receiver<Result<Vec<f32>, Damage>>);

impl Reader {
    fn start(mut snapshot: Opened) -> Self {
        let (sender, receiver) = mpsc::channel(WAITING);
        spawn_blocking(move || {
            let (count, start) = {
                let meta = &snapshot.meta;
                (meta.weights, meta.progress.as_ref().map_or(0, |progress| progress.start))
            };
            for vector in [count, snapshot.meta.optimizer, start] {
                for piece in (0..vector.div_ceil(count.max(1))).flat_map(|_| pieces(0..count)) {
                    let read = snapshot.next(piece.len());
                    let failed = read.is_err();
                    // Nobody who waits any more has no use for the rest.
                    if sender.blocking_send(read).is_err() || failed {
                        return;
                    }
                }
            }
            drop(sender.blocking_send(snapshot.finish().map(|_| Vec::new())));
        });
        Self(receiver)
    }

    async fn next(&mut self) -> Result<Vec<f32>, Damage> {
        let ended = || std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "reading ended");
        let gone = || Damage::Unreadable { path: std::path::PathBuf::new(), why: ended() };
        self.0.recv().await.unwrap_or_else(|| Err(gone()))
    }

    async fn skip(&mut self, mut numbers: usize) -> Result<(), Damage> {
        while numbers > 0 {
            numbers = numbers.saturating_sub(self.next().await?.len().max(1));
        }
        Ok(())
    }

    async fn finish(mut self) -> Result<(), Damage> {
        self.next().await.map(drop)
    }
}

/// Does again what was noted after the durable point `mark`. False if it came out otherwise than the
/// first time.
async fn redo(
    stage: &mut LocalStage,
    place: &KeepPlace,
    mark: Mark,
    recovered: &mut Recovered,
    progress: Progress<'_>,
) -> Result<bool, LocalError> {
    let most = record_bytes(stage.terms());
    let mut mark = Some(mark);
    let mut last: Option<Read> = None;
    let mut same_ground = true;
    while let Some(of) = mark.take() {
        let path = place.store.journal(&of);
        let opened = spawn_blocking(move || JournalReader::open(&path, most)).await;
        let mut reader = match opened {
            Ok(Ok(reader)) if belongs(&reader, stage, place) => reader,
            Ok(Err(Damage::Missing(_))) | Err(_) => break,
            Ok(Ok(_)) => {
                recovered.losses.push("a work journal of somebody else is not used".to_owned());
                break;
            }
            Ok(Err(damage)) => {
                recovered.losses.push(format!("{damage}: work since the snapshot is lost"));
                break;
            }
        };
        same_ground &= reader.head().ground == place.ground;
        loop {
            let (back, record) = match spawn_blocking(move || {
                let record = reader.record();
                (reader, record)
            })
            .await
            {
                Ok(read) => read,
                Err(_) => return Ok(false),
            };
            reader = back;
            let record = match record {
                Ok(Some(record)) => record,
                Ok(None) => break,
                Err(damage) => {
                    recovered.losses.push(format!("{damage}: work since then is lost"));
                    break;
                }
            };
            let backward = matches!(record, Record::Backward { .. });
            same_ground &= !matches!(record, Record::Change(Change::ResumedElsewhere));
            match stage.redo(record).await {
                Ok(Again::Different) if same_ground => {
                    let what = "work that was done again came out otherwise: this device does not \
                                compute the same twice, or the work journal is damaged";
                    recovered.losses.push(what.to_owned());
                    return Ok(false);
                }
                Ok(_) => {}
                Err(error) if error.is_about_the_work() => {
                    recovered.losses.push(format!("noted work cannot be done again: {error}"));
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
            if backward {
                recovered.again += 1;
                progress(recovered.again);
            }
        }
        let read = reader.finish();
        tracing::debug!(frames = read.frames, torn = read.torn, "work journal done again");
        let end = (read.head.mark.clone(), read.frames);
        last = Some(read);
        let store = place.store.clone();
        mark = spawn_blocking(move || successor(&store, &end, most)).await.ok().flatten();
    }
    recovered.goes_on = true;
    if let Some(read) = last {
        stage.go_on(place, read).await;
    }
    Ok(true)
}

/// Whether work of this epoch was noted that was not handed in. Blocks.
pub fn awaits_hand_in(place: &KeepPlace, terms: &Terms, epoch: Epoch) -> bool {
    let (mut worked, mut handed_in) = (false, false);
    for (_, path) in place.store.journals() {
        let Ok(mut reader) = JournalReader::open(&path, record_bytes(terms)) else { continue };
        if reader.head().epoch != epoch || !is_of(&reader, terms, place) {
            continue;
        }
        while let Ok(Some(record)) = reader.record() {
            worked |= matches!(record, Record::Backward { .. });
            handed_in |= matches!(record, Record::Change(Change::End));
        }
    }
    worked && !handed_in
}

/// The journal that goes on exactly where this one ends.
fn successor(
    store: &super::snapshot::SnapshotStore,
    (mark, frames): &(Mark, u64),
    most: u64,
) -> Option<Mark> {
    store.journals().into_iter().find_map(|(_, path)| {
        let head = JournalReader::open(&path, most).ok()?.head().clone();
        let follows = head.follows?;
        (follows.mark == *mark && follows.frames == *frames).then_some(head.mark)
    })
}

fn belongs(reader: &JournalReader, stage: &LocalStage, place: &KeepPlace) -> bool {
    is_of(reader, stage.terms(), place) && reader.head().epoch == stage.epoch()
}

fn is_of(reader: &JournalReader, terms: &Terms, place: &KeepPlace) -> bool {
    let head = reader.head();
    head.hotkey == place.hotkey && head.run == terms.run && head.stage == terms.stage
}

/// The most that one record of this stage can have: two vectors of four bytes a number.
fn record_bytes(terms: &Terms) -> u64 {
    let numbers = terms.activation_shape().iter().product::<usize>().max(terms.tokens());
    8 * numbers as u64
}

#[cfg(test)]
mod tests;
