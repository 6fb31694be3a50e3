//! The ladder that a plan steps down where memory does not suffice, at the first planning and after it
//! ran out: first fewer sequences at once, then moments in bf16 (with as many sequences as have room
//! again), then a refusal in words. Recomputing activations is always on and is no rung.
//!
//! Fewer sequences come first because they change nothing that is learned: the sums are the same up to
//! their order. Rounded moments do change it, if only a little, and neither costs much time.

use std::fmt;

use super::{MemoryPlan, NoRoom, Room};
use crate::compute::DeviceInfo;
use crate::config::constants::StorageConstants;
use crate::model::{MomentPrecision, PlanError};
use crate::protocol::messages::Flag;
use crate::training::terms::Terms;

/// A stage cannot be built here.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FitError {
    /// It is impossible.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// It is too large.
    #[error(transparent)]
    NoRoom(#[from] NoRoom),
}

/// One way to build a stage. What this machine chooses by itself: the network sees no difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rung {
    /// Sequences computed at once.
    pub local_batch: usize,
    /// How the optimizer's moments are kept.
    pub moments: MomentPrecision,
}

impl Rung {
    /// The one that these terms stand on.
    pub fn of(terms: &Terms) -> Self {
        Self { local_batch: terms.spec.local_batch, moments: terms.spec.moments }
    }

    /// The terms on this rung.
    #[must_use]
    pub fn applied_to(self, terms: &Terms) -> Terms {
        let mut terms = terms.clone();
        terms.spec.local_batch = self.local_batch;
        terms.spec.moments = self.moments;
        terms
    }

    /// Whether it stands above another one.
    fn is_above(self, other: Self) -> bool {
        // Wider moments first.
        self.moments < other.moments
            || (self.moments == other.moments && self.local_batch > other.local_batch)
    }
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.local_batch {
            1 => write!(f, "one sequence at a time")?,
            more => write!(f, "{more} sequences at a time")?,
        }
        match self.moments {
            MomentPrecision::F32 => Ok(()),
            MomentPrecision::Bf16 => write!(f, " and the optimizer's moments in bf16"),
        }
    }
}

/// All rungs of a stage as it was read, from the one that is best for who trains. Only where the run
/// leaves it to the miner (flag `auto_local_batch_size`, spec 8.8) may more sequences be computed at
/// once than the stage was read with.
pub fn rungs(terms: &Terms) -> impl Iterator<Item = Rung> + use<> {
    let (batch, read) = (terms.spec.batch, terms.spec.local_batch);
    let first = if terms.flags.is_on(Flag::AutoLocalBatchSize) { batch } else { read };
    let at_once = move || (1..=first).rev().filter(move |n| batch.is_multiple_of(*n));
    [MomentPrecision::F32, MomentPrecision::Bf16]
        .into_iter()
        .flat_map(move |moments| at_once().map(move |local_batch| Rung { local_batch, moments }))
}

/// Plans a stage for the memory there is: the highest rung that has room, but none above `from` (where
/// memory ran out above it before).
///
/// # Errors
/// [`FitError`] if none has.
pub fn fit(
    terms: &Terms,
    device: &DeviceInfo,
    rules: &StorageConstants,
    room: Room,
    from: Option<Rung>,
) -> Result<(Rung, MemoryPlan), FitError> {
    let mut smallest: Option<NoRoom> = None;
    for rung in rungs(terms).filter(|rung| !from.is_some_and(|from| rung.is_above(from))) {
        let plan = MemoryPlan::of(&rung.applied_to(terms), device, rules)?;
        match plan.check(room) {
            Ok(()) => return Ok((rung, plan)),
            Err(error) => smallest = Some(error),
        }
    }
    match smallest {
        Some(error) => Err(error.into()),
        // A batch of none, which the plan refuses.
        None => Ok((Rung::of(terms), MemoryPlan::of(terms, device, rules)?)),
    }
}

/// The next rung below `from` that takes less of the device, if there is one.
///
/// # Errors
/// [`PlanError`] if the stage is impossible.
pub fn below(terms: &Terms, from: Rung) -> Result<Option<Rung>, PlanError> {
    let bytes = |rung: Rung| rung.applied_to(terms).spec.plan().map(|plan| plan.bytes());
    let limit = bytes(from)?;
    for rung in rungs(terms).filter(|rung| from.is_above(*rung)) {
        if bytes(rung)? < limit {
            return Ok(Some(rung));
        }
    }
    Ok(None)
}
