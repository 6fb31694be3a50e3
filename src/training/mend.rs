//! A stage that is lost in the middle of its epoch, and is there again as it was: its weights, moments
//! and summed gradients come back from its durable point, and what lies on the desk was in this
//! machine's memory all the time. The loops beside the work go on meanwhile, so that nobody has to wait
//! for an activation which is here.

use std::collections::HashSet;

use futures::future::BoxFuture;

use super::floor::{Act, Floor, News, TrainingEnd};
use super::local::{LocalError, LocalStage};
use super::queue::Work;
use super::terms::Terms;
use crate::config::rules::Manner;
use crate::protocol::{ActivationId, Epoch};
use crate::telemetry::spent::Activity;

/// A stage that was lost: what the new one must be.
#[derive(Clone, Debug)]
pub struct LostStage {
    /// What it was built for.
    pub terms: Terms,
    /// The epoch it was in.
    pub epoch: Epoch,
    /// Which merged partitions that started from.
    pub merged: Option<String>,
    /// Why it is lost, in plain words.
    pub why: String,
}

/// Makes a lost stage anew.
pub trait Mender: Send {
    /// The stage as it was, however often that takes. Dropped on the way, nothing is changed.
    ///
    /// # Errors
    /// In plain words why it cannot go on with that epoch.
    fn mend<'a>(&'a mut self, lost: &'a LostStage) -> BoxFuture<'a, Result<LocalStage, String>>;
}

/// What was being done when the stage was lost.
pub(super) struct InHand {
    /// How it was lost.
    pub(super) error: LocalError,
    /// The piece of work that could not be done, if there was one.
    pub(super) work: Option<Work>,
}

/// Pieces of work that were in hand when the stage was lost, once.
#[derive(Default)]
pub(super) struct Suspects(HashSet<(ActivationId, Kind)>);

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Forward,
    Backward,
}

impl Suspects {
    /// Puts a piece back to where it was; one that was in hand at a loss before may be what the device
    /// does not survive, and is dropped.
    pub(super) fn put_back_or_drop(&mut self, floor: &Floor<'_>, work: Work) {
        let id = work.id().clone();
        let kind = match &work {
            Work::Forward(_) => Kind::Forward,
            Work::Backward(_) => Kind::Backward,
        };
        if self.0.insert((id.clone(), kind)) {
            if !floor.desk.put_back(work) {
                let what = format!("Activation {id} is put down; others redo it.");
                floor.observer.tell(News::WorkLost(what));
            }
            return;
        }
        floor.desk.take(&id);
        let what =
            format!("Activation {id} was in hand when the stage was lost, twice; it is dropped.");
        floor.observer.tell(News::WorkLost(what));
    }
}

/// What the user wants while a stage is mended.
enum Wanted {
    /// That it ends.
    End,
    /// That nothing is computed.
    Rest,
}

/// Has the lost stage made anew. Fails with how the phase ended, where there is none.
pub(super) async fn mend(
    floor: &Floor<'_>,
    slot: &mut Option<LocalStage>,
    mender: &mut dyn Mender,
    error: &LocalError,
) -> Result<(), TrainingEnd> {
    let why = error.to_string();
    // Its memory is needed.
    let Some(stage) = slot.take() else { return Err(TrainingEnd::Lost(why)) };
    let lost = LostStage {
        terms: stage.terms().clone(),
        epoch: stage.epoch(),
        merged: stage.merged().map(str::to_owned),
        why,
    };
    drop(stage);
    floor.services.time.training(Activity::Build);
    loop {
        let wanted = tokio::select! {
            mended = mender.mend(&lost) => match mended {
                Ok(stage) => {
                    *slot = Some(stage);
                    floor.observer.tell(News::Mended);
                    return Ok(());
                }
                Err(why) => return Err(TrainingEnd::Lost(why)),
            },
            wanted = until_unwanted(floor) => wanted,
        };
        match wanted {
            Wanted::End => return Err(TrainingEnd::Stopped),
            Wanted::Rest => until_wanted(floor, &lost).await?,
        }
    }
}

/// Until the stage is of no use for now: the miner's time to stop is over, or it may not compute.
async fn until_unwanted(floor: &Floor<'_>) -> Wanted {
    loop {
        if floor.ended() == Some(TrainingEnd::Stopped) {
            return Wanted::End;
        }
        if rests(floor) {
            return Wanted::Rest;
        }
        floor.desk.changed().await;
    }
}

/// Until it may compute again. A phase that ends before that ends without the stage, which then comes
/// back from its durable point after the pause.
async fn until_wanted(floor: &Floor<'_>, lost: &LostStage) -> Result<(), TrainingEnd> {
    while rests(floor) {
        match floor.ended() {
            Some(TrainingEnd::Stopped) => return Err(TrainingEnd::Stopped),
            Some(_) => return Err(TrainingEnd::Lost(lost.why.clone())),
            None => floor.desk.changed().await,
        }
    }
    Ok(())
}

fn rests(floor: &Floor<'_>) -> bool {
    let wish = *floor.wish.borrow();
    !wish.stops() && wish.act == Act::Pause(Manner::AtOnce)
}
