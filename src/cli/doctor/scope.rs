//! What the checks look at: the settings and folders as far as they can be had, the system's files,
//! and the servers of the chosen network. All of it may be missing; the checks say so.

use std::path::Path;

use tokio::sync::OnceCell;

use super::network::{Target, Visit};
use crate::cli::devices::Survey;
use crate::clock::Clock;
use crate::config::folders::{FolderError, Folders};
use crate::config::settings::{Flags, Key, Settings, SettingsError};
use crate::host::Roots;
use crate::host::surroundings::{self, Surroundings, Variables};

/// Whether anything outside this machine is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// The servers of the chosen network, and its relay.
    Network,
    /// Nobody.
    Nobody,
}

/// What the checks look at.
#[derive(Debug)]
pub struct Scope {
    /// Where Hearth keeps its files, or why nowhere.
    pub folders: Result<Folders, FolderError>,
    /// The settings, or why there are none.
    pub settings: Result<Settings, SettingsError>,
    /// Whom to ask; none where nobody is to be asked, or nothing says whom.
    pub target: Option<Target>,
    /// Whether anybody is asked.
    pub asking: Asking,
    /// The system's files.
    pub roots: Roots,
    /// The environment.
    pub variables: Variables,
    /// What this process runs in.
    pub here: Surroundings,
    /// The time.
    pub clock: Clock,
    /// The one visit to the orchestrator, which several checks speak of.
    pub(super) visit: OnceCell<Visit>,
    /// The one look at the devices, which several checks speak of.
    pub(super) survey: OnceCell<Result<Survey, String>>,
}

impl Scope {
    /// Of this machine, this user, and these flags.
    pub fn of_user(named: Option<&Path>, flags: Flags, asking: Asking, clock: &Clock) -> Self {
        let folders = Folders::find();
        let variables = surroundings::variables();
        let environment = |name: &str| variables.get(name).cloned();
        // Without a folder there is still the environment, and a file that was named.
        let nowhere = Path::new("");
        let folder = folders.as_ref().map_or(nowhere, |folders| folders.config.as_path());
        let settings = Settings::read(named, folder, environment, flags);
        Self::new(folders, settings, asking, Roots::system(), variables, clock)
    }

    /// Of parts.
    pub fn new(
        folders: Result<Folders, FolderError>,
        settings: Result<Settings, SettingsError>,
        asking: Asking,
        roots: Roots,
        variables: Variables,
        clock: &Clock,
    ) -> Self {
        let here = Surroundings::look(&roots, &variables);
        let target = match (asking, &settings) {
            (Asking::Network, Ok(settings)) if chosen(settings) => Target::of(settings),
            _ => None,
        };
        let (clock, visit, survey) = (clock.clone(), OnceCell::new(), OnceCell::new());
        Self { folders, settings, target, asking, roots, variables, here, clock, visit, survey }
    }

    /// Whether the user chose a network: nobody else's servers are asked.
    pub(super) fn has_chosen(&self) -> bool {
        self.settings.as_ref().is_ok_and(chosen)
    }

    /// Whether the chosen network is the practice swarm, which needs no key and pays nobody.
    pub(super) fn practises(&self) -> bool {
        let settings = self.settings.as_ref().ok();
        let network = settings.and_then(|settings| settings.text(Key::Network));
        network.is_some_and(|name| name.value.trim() == "practice")
    }

    /// The settings, or none where the file is broken.
    pub(super) fn usable_settings(&self) -> Settings {
        self.settings.as_ref().cloned().unwrap_or_default()
    }
}

/// By naming it, or by saving settings without naming another one.
fn chosen(settings: &Settings) -> bool {
    settings.text(Key::Network).is_some() || settings.has_saved()
}
