//! A stage's way to the disk: snapshots that are written beside the work, piece by piece, since a stage
//! is larger than the memory that is left beside it, and the journal of what was done since. Together
//! they are the stage's durable point; the way back is in [`recover`](super::recover).
//!
//! Weights and moments change only in a step. So a snapshot that begins right after one is read from
//! the device between two backwards, and only the next step waits for the rest of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::journal::{Change, Head, Journal, Read};
use super::local::{BackwardDone, LocalError, StageAccess, pieces};
use super::snapshot::{Mark, Permit, Progress, SaveError, SnapshotMeta, SnapshotStore};
use crate::clock::{Clock, Moment};
use crate::model::{MomentKind, MomentPrecision};
use crate::protocol::{Epoch, Hotkey, RunId, StageIndex};

/// Pieces that wait between the device and the disk.
const WAITING: usize = 2;
pub(super) const MOMENTS: [MomentKind; 2] = [MomentKind::First, MomentKind::Second];
/// A journal that is done again faster than this needs no new snapshot.
const SHORT_REPLAY: Duration = Duration::from_secs(3);
/// One that takes longer than this gets one, however small it is beside the snapshot.
const LONG_REPLAY: Duration = Duration::from_secs(60);
/// Between two attempts to write what could not be written.
const RETRY: Duration = Duration::from_secs(30);

/// A stage could not be saved.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The device.
    #[error(transparent)]
    Local(#[from] LocalError),
    /// The disk.
    #[error(transparent)]
    Save(#[from] SaveError),
    /// The weights of the epoch's start are not here.
    #[error("this miner has not loaded the weights of this epoch, so there is nothing to save")]
    NoWeights,
    /// The program ends, or writing crashed and was reported.
    #[error("the snapshot was not written ({0})")]
    Ended(String),
}

/// Where a stage's durable points go.
#[derive(Clone, Debug)]
pub struct KeepPlace {
    /// The generations and their journals.
    pub store: SnapshotStore,
    /// Whose.
    pub hotkey: Hotkey,
    /// What computes, in words: its journals can be done again exactly on the same only.
    pub ground: String,
    /// The time.
    pub clock: Clock,
}

/// What became of writing, for whoever tells the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeepNews {
    /// What is learned from here on would be lost with the process; in plain words why.
    NotDurable(String),
    /// It is safe again.
    DurableAgain,
}

/// Whose numbers a snapshot holds, apart from how far they are.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) run: RunId,
    pub(super) stage: StageIndex,
    pub(super) epoch: Epoch,
    pub(super) joined: Epoch,
    pub(super) merged: Option<String>,
}

/// The state that a snapshot catches.
#[derive(Debug)]
pub(super) struct Caught {
    pub(super) identity: Identity,
    pub(super) step: u64,
    pub(super) mu_product: f64,
    pub(super) moments: MomentPrecision,
    pub(super) backwards: u64,
    pub(super) steps: u64,
    /// The weights of the epoch's start.
    pub(super) start: Arc<Vec<f32>>,
}

/// A snapshot that is being written.
#[derive(Debug)]
struct Writing {
    done: JoinHandle<Result<(), KeepError>>,
    /// Ends when the device was read.
    read: Option<oneshot::Receiver<()>>,
}

/// Keeps one stage's durable points.
#[derive(Debug)]
pub(super) struct Keeping {
    place: KeepPlace,
    /// None where something is missing in it.
    journal: Option<Journal>,
    writing: Option<Writing>,
    /// Taken away from writers that are left over when this one is dropped.
    permit: Permit,
    news: Vec<KeepNews>,
    /// Whether the user was told that something would be lost.
    told: bool,
    tried: Moment,
    /// Bytes of a snapshot.
    size: u64,
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.permit.withdraw();
        if let Some(writing) = &self.writing {
            writing.done.abort();
        }
    }
}

impl Keeping {
    /// Keeps a stage there. Nothing is written yet.
    pub(super) fn new(place: KeepPlace) -> Self {
        let tried = place.clock.now();
        Self {
            place,
            journal: None,
            writing: None,
            permit: Permit::default(),
            news: Vec::new(),
            told: false,
            tried,
            size: 0,
        }
    }

    /// Goes on with the journal that a stage was recovered from.
    pub(super) async fn go_on(&mut self, read: Read) {
        let (path, clock) = (self.place.store.journal(&read.head.mark), self.place.clock.clone());
        let same = read.head.ground == self.place.ground;
        let opened = tokio::task::spawn_blocking(move || Journal::go_on(&path, &read, &clock));
        match opened.await {
            Ok(Ok(journal)) => self.journal = Some(journal),
            Ok(Err(error)) => self.lost_track(&error.to_string()),
            Err(error) => self.lost_track(&error.to_string()),
        }
        self.change(if same { Change::Resumed } else { Change::ResumedElsewhere }).await;
    }

    /// Ends the journal: what follows starts from a snapshot of its own.
    pub(super) fn close(&mut self) {
        self.journal = None;
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.place.clock
    }

    /// What there is to tell.
    pub(super) fn take_news(&mut self) -> Vec<KeepNews> {
        std::mem::take(&mut self.news)
    }

    fn lost_track(&mut self, why: &str) {
        self.journal = None;
        self.tried = self.place.clock.now();
        self.tell(format!("the work journal in {} cannot be written: {why}", self.folder()));
    }

    fn tell(&mut self, what: String) {
        if !std::mem::replace(&mut self.told, true) {
            self.news.push(KeepNews::NotDurable(what));
        }
    }

    fn folder(&self) -> String {
        self.place.store.folder().display().to_string()
    }

    /// The journal, for a backward that begins.
    pub(super) fn journal(&mut self) -> Option<&mut Journal> {
        self.journal.as_mut()
    }

    /// Notes that a backward is done, if its beginning could be noted.
    pub(super) async fn done(
        &mut self,
        done: BackwardDone,
        took: Duration,
        begun: Option<std::io::Result<()>>,
    ) -> BackwardDone {
        let (Some(begun), Some(journal)) = (begun, &mut self.journal) else { return done };
        if let Err(error) = begun {
            self.lost_track(&error.to_string());
            return done;
        }
        match journal.done(done, took).await {
            Ok(done) => done,
            Err((done, error)) => {
                self.lost_track(&error.to_string());
                done
            }
        }
    }

    /// Notes what is no backward.
    pub(super) async fn change(&mut self, change: Change) {
        let Some(journal) = &mut self.journal else { return };
        let mut written = journal.change(change).await;
        if written.is_ok() && matches!(change, Change::End | Change::RollBack) {
            // The others build on what was handed in: a power cut must not undo it here.
            written = journal.sync().await;
        }
        if let Err(error) = written {
            self.lost_track(&error.to_string());
        }
    }

    /// Waits until everything that was noted is on the disk.
    pub(super) async fn sync(&mut self) {
        let Some(journal) = &mut self.journal else { return };
        if let Err(error) = journal.sync().await {
            self.lost_track(&error.to_string());
        }
    }

    /// Waits until the snapshot that is being written no longer reads the device: before anything
    /// changes there.
    pub(super) async fn device_read(&mut self) {
        if let Some(read) = self.writing.as_mut().and_then(|writing| writing.read.take()) {
            // An error means that the writer is gone.
            drop(read.await);
        }
    }

    /// Waits until the snapshot that is being written is on the disk.
    pub(super) async fn written(&mut self) -> Result<(), KeepError> {
        match self.writing.take() {
            Some(writing) => {
                let ended = writing.done.await;
                self.ended(ended)
            }
            None => Ok(()),
        }
    }

    /// What a writer's end means; after a shortage the user is told that it is over.
    fn ended(
        &mut self,
        ended: Result<Result<(), KeepError>, tokio::task::JoinError>,
    ) -> Result<(), KeepError> {
        ended.map_err(|error| KeepError::Ended(error.to_string()))??;
        if self.journal.is_some() && std::mem::take(&mut self.told) {
            self.news.push(KeepNews::DurableAgain);
        }
        Ok(())
    }

    /// [`Keeping::written`], but not longer than `limit`: then it goes on beside the work.
    pub(super) async fn written_within(&mut self, limit: Duration) -> Result<(), KeepError> {
        let Some(mut writing) = self.writing.take() else { return Ok(()) };
        match self.place.clock.timeout(limit, &mut writing.done).await {
            Ok(ended) => self.ended(ended),
            Err(_) => {
                self.writing = Some(writing);
                Ok(())
            }
        }
    }

    /// Looks whether a snapshot has been written, or could not be.
    pub(super) async fn look(&mut self) -> Result<(), LocalError> {
        if self.writing.as_ref().is_some_and(|writing| writing.done.is_finished()) {
            self.finish().await
        } else {
            Ok(())
        }
    }

    /// Waits until nothing is being written any more; what could not be is told.
    pub(super) async fn finish(&mut self) -> Result<(), LocalError> {
        if self.writing.is_none() {
            return Ok(());
        }
        match self.written().await {
            Ok(()) => Ok(()),
            Err(KeepError::Local(error)) => Err(error),
            Err(error) => {
                self.tried = self.place.clock.now();
                self.tell(error.to_string());
                Ok(())
            }
        }
    }

    /// Whether a snapshot is due, right after a step.
    pub(super) fn is_due(&self) -> bool {
        if self.writing.is_some() {
            return false;
        }
        match &self.journal {
            Some(journal) => {
                let replay = journal.computed();
                replay > LONG_REPLAY || (replay > SHORT_REPLAY && journal.bytes() > self.size)
            }
            None => self.place.clock.now().since(self.tried) > RETRY,
        }
    }

    /// Begins a snapshot of the state there is now, and the journal of what follows. The journal that
    /// was written until now stays as long as a generation may need it.
    ///
    /// # Errors
    /// The disk. Then everything goes on as before.
    pub(super) async fn begin(
        &mut self,
        access: StageAccess,
        caught: Caught,
    ) -> Result<(), KeepError> {
        let mark = Mark::new(&self.place.clock);
        let follows = self.journal.as_ref().filter(|_| caught.backwards > 0).map(Journal::end);
        let identity = &caught.identity;
        let head = Head {
            mark: mark.clone(),
            follows,
            hotkey: self.place.hotkey.clone(),
            run: identity.run.clone(),
            stage: identity.stage,
            epoch: identity.epoch,
            ground: self.place.ground.clone(),
        };
        let meta = meta(&self.place.hotkey, &mark, &caught);
        self.size = 4 * (meta.weights + meta.optimizer) as u64;
        let (path, clock) = (self.place.store.journal(&mark), self.place.clock.clone());
        let begun = tokio::task::spawn_blocking(move || Journal::begin(&path, &head, &clock));
        let begun = begun.await.map_err(|error| KeepError::Ended(error.to_string()))?;
        let folder = self.place.store.folder();
        self.journal = Some(begun.map_err(|why| SaveError::from_io(folder, self.size, why))?);
        let (told, read) = oneshot::channel();
        let (store, permit) = (self.place.store.clone(), self.permit.clone());
        let done = tokio::spawn(async move {
            let written = write(access, &store, meta, caught.start, &permit, told).await;
            if written.is_ok() {
                let swept = tokio::task::spawn_blocking(move || store.sweep(&[mark]));
                drop(swept.await);
            }
            written
        });
        self.writing = Some(Writing { done, read: Some(read) });
        Ok(())
    }

    /// A snapshot that could not be begun in the middle of the work.
    pub(super) fn not_begun(&mut self, error: &KeepError) {
        self.tried = self.place.clock.now();
        self.tell(error.to_string());
    }
}

fn meta(hotkey: &Hotkey, mark: &Mark, caught: &Caught) -> SnapshotMeta {
    let count = caught.start.len();
    let Identity { run, stage, epoch, joined, merged } = caught.identity.clone();
    SnapshotMeta {
        hotkey: hotkey.clone(),
        run,
        stage,
        epoch,
        weights: count,
        optimizer: MOMENTS.len() * count,
        step: caught.step,
        mu_product_bits: caught.mu_product.to_bits(),
        moments: caught.moments,
        progress: Some(Progress {
            mark: mark.clone(),
            joined,
            backwards: caught.backwards,
            steps: caught.steps,
            // Before the first step the weights are those of the start.
            start: if caught.steps == 0 { 0 } else { count },
            merged,
        }),
    }
}

/// Writes the snapshot; `told` is dropped when the device was read.
async fn write(
    access: StageAccess,
    store: &SnapshotStore,
    meta: SnapshotMeta,
    start: Arc<Vec<f32>>,
    permit: &Permit,
    told: oneshot::Sender<()>,
) -> Result<(), KeepError> {
    let (sender, mut receiver) = mpsc::channel::<Vec<f32>>(WAITING);
    let (count, apart) = (meta.weights, meta.progress.as_ref().is_some_and(|p| p.start > 0));
    let (store, permit) = (store.clone(), permit.clone());
    let writer = tokio::task::spawn_blocking(move || {
        let mut new = store.begin(&meta)?;
        if !apart {
            new.put(&start)?;
        }
        while let Some(piece) = receiver.blocking_recv() {
            new.put(&piece)?;
        }
        if apart {
            new.put(&start)?;
        }
        // Too few pieces, where the device failed, are refused here.
        new.finish(&permit)
    });
    let sent = send(&access, count, apart, sender).await;
    drop(told);
    drop(access);
    let written = writer.await.map_err(|error| KeepError::Ended(error.to_string()))?;
    sent?;
    Ok(written?)
}

async fn send(
    access: &StageAccess,
    count: usize,
    weights: bool,
    sender: mpsc::Sender<Vec<f32>>,
) -> Result<(), LocalError> {
    let vectors = weights.then_some(None).into_iter().chain(MOMENTS.map(Some));
    for vector in vectors {
        for piece in pieces(0..count) {
            let numbers = match vector {
                None => access.read_weights(piece).await?,
                Some(moment) => access.read_moments(moment, piece).await?,
            };
            if sender.send(numbers).await.is_err() {
                // The writer gave up and says why itself.
                return Ok(());
            }
        }
    }
    Ok(())
}
