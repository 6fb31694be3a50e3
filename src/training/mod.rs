//! Training one stage: the device's thread, what waits for it and what is in flight, local steps,
//! pseudo-gradients, merging, and the snapshots on disk.

mod beside;
pub mod cache;
pub mod desk;
pub mod door;
pub mod exchange;
pub mod floor;
mod intake;
pub mod journal;
pub mod keep;
pub mod load;
pub mod local;
pub mod memory;
pub mod mend;
pub mod merge;
mod pace;
pub mod phase;
pub mod pseudo_gradient;
mod pull;
pub mod queue;
pub mod record;
pub mod recover;
pub mod services;
pub mod snapshot;
mod spot_check;
pub mod streamed;
pub mod terms;
#[cfg(test)]
mod test_world;
pub mod worker;
