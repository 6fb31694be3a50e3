//! The local API of a run, for the other faces on this machine.

use super::Running;
use crate::cli::{Exit, Failure};
use crate::clock::Entropy;
use crate::config::settings::Key;
use crate::control::server::{Api, ApiError, Offer};

/// Starts to answer; what leads there is in the state folder.
pub(super) fn start(running: &Running) -> Result<Api, Failure> {
    let port = running.settings.now().get::<u16>(Key::ApiPort);
    let port = port.map_err(|error| Failure::of_settings(&error))?.map_or(0, |port| port.value);
    let offer = Offer {
        control: running.control.clone(),
        events: running.events.clone(),
        settings: running.settings.clone(),
        clock: running.clock.clone(),
    };
    Api::start(offer, port, &running.folders, &mut Entropy::system()).map_err(|error| {
        let exit = match &error {
            ApiError::Folder(_) => Exit::Disk,
            _ => Exit::Configuration,
        };
        Failure::new(exit, &error).coded(error.code())
    })
}
