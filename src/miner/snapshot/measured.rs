//! What a miner measures of itself, its machine and its line, for the faces. Each figure says where it
//! comes from; `docs/sources.md` has the table. A part that a record of an older version does not have
//! is empty.

use serde::{Deserialize, Serialize};

pub use super::compute::Utilisation;
pub use super::links::{Failures, LinkView, LinkWay};
pub use super::machine::{DeviceReadings, LoadLimit, MachineView, Reading, WeekGrid};
pub use super::time::{TimeView, Waterfall, Window};
pub use super::transfers::{Deadline, MergeView, TransferView};

/// Everything measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Measured {
    /// What the stage's time goes into.
    pub time: TimeView,
    /// How much of what the device can do the stage gets out of it.
    pub utilisation: Utilisation,
    /// The ways to other miners, by stage, at most [`super::links::MOST_LINKS`].
    pub links: Vec<LinkView>,
    /// What the machine does, and the limits that the rules set.
    pub machine: MachineView,
    /// Uploads of this phase, the newest last; those of the last phase until the next one begins.
    pub transfers: Vec<TransferView>,
    /// The last merges, newest last, at most [`super::transfers::MOST_MERGES`].
    pub merges: Vec<MergeView>,
}
