//! A stage and its durable points: what is noted of its work, when a snapshot begins, and how noted
//! work is done again.

use std::sync::Arc;
use std::time::Duration;

use super::{
    BackwardDone, EpochCount, Gradient, LocalError, LocalStage, StageGradient, StepReport, Urgency,
    borrow,
};
use crate::model::{OptimizerProgress, Stage};
use crate::protocol::{ActivationId, Epoch, Hotkey};
use crate::training::desk::MOST_SEEN;
use crate::training::journal::{Change, Read, Record, outcome};
use crate::training::keep::{Caught, Identity, KeepError, KeepNews, KeepPlace, Keeping};
use crate::training::queue::Input;
use crate::training::snapshot::SnapshotMeta;

/// Whether work that was done again came out as it did the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Again {
    /// To the bit, or there was nothing to compare.
    Same,
    /// Not.
    Different,
}

impl LocalStage {
    /// Starts to keep durable points of the epoch that has just begun: the snapshot is written beside
    /// the work, and every backward is noted from here on.
    ///
    /// # Errors
    /// See [`KeepError`]. Then training can go on, but what it learns is lost with the process.
    pub async fn keep(&mut self, place: &KeepPlace) -> Result<(), KeepError> {
        let before = match &mut self.keeping {
            Some(keeping) => keeping.written().await,
            none => {
                *none = Some(Keeping::new(place.clone()));
                Ok(())
            }
        };
        let caught = self.catch().await?;
        let access = self.access.clone();
        match &mut self.keeping {
            Some(keeping) => keeping.begin(access, caught).await?,
            None => return Err(KeepError::NoWeights),
        }
        // What went wrong with the one before is over with this one, unless the device failed.
        match before {
            Err(KeepError::Local(error)) => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Waits until the snapshot that is being written is on the disk.
    ///
    /// # Errors
    /// See [`KeepError`].
    pub async fn kept(&mut self) -> Result<(), KeepError> {
        match &mut self.keeping {
            Some(keeping) => keeping.written().await,
            None => Ok(()),
        }
    }

    /// [`LocalStage::kept`], but not longer than `limit`: then it goes on beside the work.
    ///
    /// # Errors
    /// See [`KeepError`].
    pub async fn kept_within(&mut self, limit: Duration) -> Result<(), KeepError> {
        match &mut self.keeping {
            Some(keeping) => keeping.written_within(limit).await,
            None => Ok(()),
        }
    }

    /// What became of writing since this was asked last.
    pub fn keep_news(&mut self) -> Vec<KeepNews> {
        self.keeping.as_mut().map(Keeping::take_news).unwrap_or_default()
    }

    /// Which merged partitions the epoch started from, if that is known.
    pub fn merged(&self) -> Option<&str> {
        self.merged.as_deref()
    }

    /// Says which merged partitions the epoch started from.
    pub fn set_merged(&mut self, merged: String) {
        self.merged = Some(merged);
    }

    /// Waits until nobody reads the device beside the work, before weights or moments are replaced.
    ///
    /// # Errors
    /// The device failed while it was read.
    pub async fn settle(&mut self) -> Result<(), LocalError> {
        match &mut self.keeping {
            Some(keeping) => {
                keeping.device_read().await;
                keeping.look().await
            }
            None => Ok(()),
        }
    }

    /// Waits until nothing is being written, before the weights of the epoch's start are replaced: two
    /// of them would not be in the memory plan.
    ///
    /// # Errors
    /// The device failed while it was read.
    pub async fn finish_keeping(&mut self) -> Result<(), LocalError> {
        match &mut self.keeping {
            Some(keeping) => keeping.finish().await,
            None => Ok(()),
        }
    }

    pub(super) fn close_journal(&mut self) {
        if let Some(keeping) = &mut self.keeping {
            keeping.close();
        }
    }

    pub(super) async fn keep_change(&mut self, change: Change) {
        if let Some(keeping) = &mut self.keeping {
            keeping.change(change).await;
        }
    }

    /// Notes a step that was taken, and begins a snapshot where one is due.
    pub(super) async fn keep_step(&mut self, lr: f64, back: bool) -> Result<(), LocalError> {
        let Some(keeping) = &mut self.keeping else { return Ok(()) };
        keeping.change(Change::Step { lr_bits: lr.to_bits(), back }).await;
        keeping.look().await?;
        if !keeping.is_due() {
            return Ok(());
        }
        let caught = match self.catch().await {
            Ok(caught) => caught,
            Err(KeepError::Local(error)) => return Err(error),
            Err(_) => return Ok(()),
        };
        let access = self.access.clone();
        let Some(keeping) = &mut self.keeping else { return Ok(()) };
        if let Err(error) = keeping.begin(access, caught).await {
            keeping.not_begun(&error);
        }
        Ok(())
    }

    async fn catch(&self) -> Result<Caught, KeepError> {
        let start = self.previous.clone().ok_or(KeepError::NoWeights)?;
        let OptimizerProgress { step, mu_product } = self.optimizer_progress().await?;
        let identity = Identity {
            run: self.terms.run.clone(),
            stage: self.terms.stage,
            epoch: self.epoch,
            joined: self.terms.epoch,
            merged: self.merged.clone(),
        };
        let EpochCount { backwards, steps, .. } = self.count;
        let moments = self.terms.spec.moments;
        Ok(Caught { identity, step, mu_product, moments, backwards, steps, start })
    }

    /// The backward itself; noted before anybody hears of it.
    pub(super) async fn compute(
        &mut self,
        id: &ActivationId,
        input: Arc<Input>,
        gradient: Gradient,
        source: Option<&Hotkey>,
    ) -> Result<BackwardDone, LocalError> {
        let gradient = Arc::new(gradient);
        let clock = self.keeping.as_ref().map(|keeping| keeping.clock().clone());
        let work = {
            let (input, gradient) = (Arc::clone(&input), Arc::clone(&gradient));
            self.access.run(Urgency::Urgent, move |stage| {
                let began = clock.as_ref().map(crate::clock::Clock::now);
                let done = backward(stage, &input, &gradient)?;
                let took = clock.zip(began).map(|(clock, began)| clock.now().since(began));
                Ok((done, took.unwrap_or_default()))
            })
        };
        let journal = self.keeping.as_mut().and_then(Keeping::journal);
        let noting = async {
            match journal {
                Some(journal) => Some(journal.work(id, source, &input, &gradient).await),
                None => None,
            }
        };
        let (done, begun) = tokio::join!(work, noting);
        let (done, took): (BackwardDone, Duration) = done?;
        self.count_backward(id.clone());
        Ok(match &mut self.keeping {
            Some(keeping) => keeping.done(done, took, begun).await,
            None => done,
        })
    }

    fn count_backward(&mut self, id: ActivationId) {
        self.count.backwards += 1;
        self.count.accumulated += 1;
        if self.done.len() >= MOST_SEEN {
            self.done.pop_front();
        }
        self.done.push_back(id);
    }

    /// The newest backwards of the epoch: a peer may send one of them once more, and it must not be
    /// added twice.
    pub fn done(&self) -> impl Iterator<Item = &ActivationId> {
        self.done.iter()
    }

    /// Waits until everything that was noted is on the disk: the last thing before the stage goes.
    pub async fn put_down(&mut self) {
        if let Some(keeping) = &mut self.keeping {
            keeping.sync().await;
        }
    }

    /// The step itself.
    pub(super) async fn step(&mut self, lr: f64) -> Result<StepReport, LocalError> {
        self.settle().await?;
        let report = self.run(Urgency::Urgent, move |stage| stage.optimizer_step(lr)).await?;
        self.count.accumulated = 0;
        self.count.steps += 1;
        Ok(report)
    }

    /// Takes over how far an epoch was whose weights and optimizer are in the stage already.
    pub(in crate::training) fn adopt(&mut self, meta: &SnapshotMeta, start: Arc<Vec<f32>>) {
        self.epoch = meta.epoch;
        self.previous = Some(start);
        let progress = meta.progress.as_ref();
        let (backwards, steps) = progress.map_or((0, 0), |p| (p.backwards, p.steps));
        self.count = EpochCount { backwards, accumulated: 0, steps };
        self.merged = progress.and_then(|p| p.merged.clone());
        if let Some(progress) = progress {
            // Its optimizer has been warm since then.
            self.terms.epoch = progress.joined;
        }
    }

    /// Forgets the epoch that was taken over: its weights are of no use.
    pub(in crate::training) fn disown(&mut self, epoch: Epoch) {
        self.epoch = epoch;
        self.previous = None;
        self.count = EpochCount::default();
        self.done.clear();
        self.merged = None;
    }

    /// Forgets which epoch its weights are of: it must load merged ones.
    pub fn forget_epoch(&mut self) {
        let registered = self.terms.epoch;
        self.disown(registered);
        self.close_journal();
    }

    /// Whether what is done now is noted, or a snapshot of it is being written.
    pub fn is_kept(&self) -> bool {
        self.keeping.is_some()
    }

    /// Goes on with a journal that was done again to its end.
    pub(in crate::training) async fn go_on(&mut self, place: &KeepPlace, read: Read) {
        let mut keeping = Keeping::new(place.clone());
        keeping.go_on(read).await;
        self.keeping = Some(keeping);
    }

    /// Does again what a journal says. Nobody is told of it, and nothing is noted.
    pub(in crate::training) async fn redo(&mut self, record: Record) -> Result<Again, LocalError> {
        match record {
            Record::Backward { activation, input, gradient, outcome: before, .. } => {
                let done = self
                    .run(Urgency::Urgent, move |stage| backward(stage, &input, &gradient))
                    .await?;
                self.count_backward(activation);
                let same = outcome(&done) == before;
                Ok(if same { Again::Same } else { Again::Different })
            }
            Record::Change(change) => self.redo_change(change).await.map(|()| Again::Same),
        }
    }

    async fn redo_change(&mut self, change: Change) -> Result<(), LocalError> {
        match change {
            Change::Step { lr_bits, back } => {
                self.step(f64::from_bits(lr_bits)).await?;
                if back { self.put_start_back().await } else { Ok(()) }
            }
            Change::Discard => {
                self.count.accumulated = 0;
                self.run(Urgency::Urgent, Stage::zero_gradients).await
            }
            Change::End => self.clear_counts().await,
            Change::RollBack => {
                self.clear_counts().await?;
                self.put_start_back().await?;
                self.reset_optimizer().await
            }
            Change::Resumed | Change::ResumedElsewhere => Ok(()),
        }
    }

    async fn put_start_back(&self) -> Result<(), LocalError> {
        match self.previous.clone() {
            Some(start) => self.write_weights(start).await,
            None => Ok(()),
        }
    }

    /// The first weights again, and a fresh optimizer.
    pub(in crate::training) async fn start_afresh(&mut self, seed: u64) -> Result<(), LocalError> {
        self.run(Urgency::Ordinary, move |stage| stage.initialise(seed)).await
    }
}

fn backward(
    stage: &mut Stage,
    input: &Input,
    gradient: &Gradient,
) -> Result<BackwardDone, crate::model::StageError> {
    let mut input_gradient = Vec::new();
    let from = match gradient {
        Gradient::Activation(numbers) => StageGradient::Activation(numbers),
        Gradient::Targets(tokens) => StageGradient::Targets(tokens),
    };
    let report = stage.backward(borrow(input), from, &mut input_gradient)?;
    Ok(BackwardDone { input_gradient, loss: report.loss })
}
