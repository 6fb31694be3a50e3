//! What a stage will take of this machine's memory, stated before anything of it is taken: the plan
//! of the device to the byte, and every buffer of the host that grows with the stage. A stage that
//! does not fit is refused in words, before it fails halfway.

pub mod ladder;
pub mod share;

use std::fmt;

use super::local::PIECE;
use super::terms::Terms;
use crate::compute::{DeviceInfo, DeviceKind, Role};
use crate::config::constants::StorageConstants;
use crate::model::{MomentPrecision, PlanError};
use crate::protocol::multipart::UploadPlan;

/// Bytes of a weight on this machine.
const WEIGHT: u64 = 4;
/// Bytes of a number on the wire.
const WIRE: u64 = 2;
/// Pieces of a stage that are under way between device, disk and store at a time.
const PIECES: u64 = 8;
/// Copies of an activation that one that is in flight has at most: the cached input, its queued
/// bytes, the output on its way to a peer and served to pulls.
const COPIES: u64 = 4;

/// Where a device's buffers lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the host's own memory.
    Host,
    /// In memory of the device's own.
    Device,
}

/// What a miner of a stage takes, in bytes, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Where the stage's own buffers lie.
    pub place: Place,
    /// Weights, gradients and the optimizer's moments, on the device.
    pub state: u64,
    /// How the moments are kept.
    pub moments: MomentPrecision,
    /// Everything else on the device: activations of a pass, scratch, constants.
    pub work: u64,
    /// The weights of the epoch's start, on the host.
    pub epoch_start: u64,
    /// The larger of what merging a partition and loading the merged weights take, on the host. They
    /// never happen at once, nor does an upload of a pseudo-gradient beside them.
    pub exchange: u64,
    /// Parts of an upload under way, and pieces between device, disk and store.
    pub transfer: u64,
    /// Activations and gradients that wait or are under way.
    pub queues: u64,
}

impl MemoryPlan {
    /// What a miner of these terms takes on such a device.
    ///
    /// # Errors
    /// [`PlanError`] if the stage is impossible.
    pub fn of(
        terms: &Terms,
        device: &DeviceInfo,
        rules: &StorageConstants,
    ) -> Result<Self, PlanError> {
        let plan = terms.spec.plan()?;
        let roles = [Role::Parameter, Role::Gradient, Role::Moment];
        let state = roles.into_iter().map(|role| plan.bytes_of(role) as u64).sum();
        let numbers = plan.param_count() as u64;
        let activation = WIRE * terms.activation_shape().iter().product::<usize>() as u64;
        let sent_at_once = rules.upload_memory_bytes.min(parts_at_once(numbers, rules));
        Ok(Self {
            place: place(device),
            state,
            moments: terms.spec.moments,
            work: plan.bytes() as u64 - state,
            epoch_start: WEIGHT * numbers,
            exchange: (WIRE * numbers).max(merging(numbers, terms.partitions as u64)),
            transfer: sent_at_once + PIECES * WEIGHT * (PIECE as u64).min(numbers),
            queues: COPIES * terms.hyper.cache as u64 * activation,
        })
    }

    /// On the device, if it has memory of its own.
    pub fn device(&self) -> u64 {
        match self.place {
            Place::Host => 0,
            Place::Device => self.state + self.work,
        }
    }

    /// On the host.
    pub fn host(&self) -> u64 {
        self.total() - self.device()
    }

    /// Of all memory.
    pub fn total(&self) -> u64 {
        self.state + self.work + self.epoch_start + self.exchange + self.transfer + self.queues
    }

    /// Whether there is room for it.
    ///
    /// # Errors
    /// [`NoRoom`] says where there is not.
    pub fn check(&self, room: Room) -> Result<(), NoRoom> {
        for (needed, there, memory) in [
            (self.device(), room.device, "the device's memory"),
            (self.host(), room.host, "this machine's memory"),
        ] {
            if let Some(there) = there.filter(|there| *there < needed) {
                return Err(NoRoom { plan: *self, needed, there, memory });
            }
        }
        Ok(())
    }
}

/// Merging one chunk: every source's numbers, the outer optimizer's, and the blob of both results.
/// The network's own formula gives a stage twice as many partitions as miners (spec 9.2).
fn merging(numbers: u64, partitions: u64) -> u64 {
    let partitions = partitions.max(1);
    let chunk = numbers.div_ceil(partitions) + partitions;
    let sources = (partitions / 2).max(1);
    chunk * WIRE * (sources + 1 + 2)
}

/// Bytes of the parts of a pseudo-gradient that may be under way at a time.
fn parts_at_once(numbers: u64, rules: &StorageConstants) -> u64 {
    let plan = UploadPlan::new(WIRE * numbers);
    let part = (WIRE * numbers).div_ceil(plan.num_parts.max(1));
    part * (rules.parallel_parts as u64).min(plan.num_parts)
}

fn place(device: &DeviceInfo) -> Place {
    match device.kind {
        DeviceKind::Cpu | DeviceKind::Oracle | DeviceKind::SoftwareGpu => Place::Host,
        DeviceKind::Gpu => Place::Device,
    }
}

impl fmt::Display for MemoryPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.place {
            Place::Host => "",
            Place::Device => " on the device",
        };
        let moments = match self.moments {
            MomentPrecision::F32 => "",
            MomentPrecision::Bf16 => " (its moments in bf16)",
        };
        write!(
            f,
            "this stage takes {}: {} weights, gradients and optimizer{moments} and {} working memory{place}; \
             {} weights of the epoch's start, {} for merging and loading, {} for transfers, {} \
             activations under way",
            Size(self.total()),
            Size(self.state),
            Size(self.work),
            Size(self.epoch_start),
            Size(self.exchange),
            Size(self.transfer),
            Size(self.queues),
        )
    }
}

/// Bytes, as people read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    #[allow(clippy::cast_precision_loss)] // Shown with one digit after the point.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes @ 0..1_000_000 => write!(f, "{:.1} kB", bytes as f64 / 1e3),
            bytes @ 1_000_000..1_000_000_000 => write!(f, "{:.1} MB", bytes as f64 / 1e6),
            bytes => write!(f, "{:.1} GB", bytes as f64 / 1e9),
        }
    }
}

/// Memory that may be taken, in bytes; none where nobody can say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Of the host.
    pub host: Option<u64>,
    /// Of the device, if it has its own.
    pub device: Option<u64>,
}

impl Room {
    /// The room without so many bytes of the host that others will take.
    #[must_use]
    pub fn without(self, theirs: u64) -> Self {
        Self { host: self.host.map(|bytes| bytes.saturating_sub(theirs)), ..self }
    }
}

/// Asks the system how much memory of the host is free; none where it does not say.
pub type HostMemory = fn() -> Option<u64>;

/// A stage is larger than the memory there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{memory} has {} left for this stage and {} are needed ({plan}); close other programs, or use a machine with more memory",
    Size(*.there), Size(*.needed)
)]
pub struct NoRoom {
    /// What was planned.
    pub plan: MemoryPlan,
    /// Bytes needed there.
    pub needed: u64,
    /// Bytes there are.
    pub there: u64,
    memory: &'static str,
}

#[cfg(test)]
mod tests;
