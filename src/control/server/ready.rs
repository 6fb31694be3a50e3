//! Whether a miner does what it is there for, or has a good reason not to: what `/ready` answers.

use crate::miner::{MinerSnapshot, Reason, State, Who};

/// Why a miner is not ready; nothing where it is.
///
/// Training, and all that belongs to it, is ready; so is waiting for the network or for others, in the
/// registration queue too, a pause, and a device that is switched off. Not ready is who has just
/// started, who stops or has ended, who needs somebody to act, and who cannot reach a server or its
/// device.
pub(super) fn trouble(miner: &MinerSnapshot) -> Option<String> {
    let status = &miner.status;
    let ready = match status.state {
        State::Training | State::Loading | State::Uploading | State::Merging => true,
        State::Paused | State::Disabled => true,
        State::Registering | State::Waiting => {
            let cut_off =
                matches!(status.reason, Reason::NetworkTrouble { .. } | Reason::DeviceGone { .. });
            status.who != Who::You && !cut_off
        }
        State::Starting | State::Stopping | State::Stopped | State::Fault => false,
    };
    let sentence = status.reason.sentence();
    (!ready).then(|| format!("{} is {}: {sentence}", miner.name, status.state.word()))
}
