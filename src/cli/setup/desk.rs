//! Answers what the wizard asks: quick things at once and in order, slow ones on threads of their own.

use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use super::kept::Unfinished;
use super::keys::{Keys, address_verdict, sentence};
use super::practice::{PracticeSwarm, Recipe};
use super::{machine, save};
use crate::cli::device::Compute;
use crate::clock::Clock;
use crate::config::folders::Folders;
use crate::config::network::NetworkChoice;
use crate::config::settings::Settings;
use crate::telemetry::logs::Ring;
use crate::tui::wizard::facts::Practice;
use crate::tui::wizard::{Answer, Remembered, Request};

/// What everything at the desk needs to know.
#[derive(Clone)]
pub(super) struct World {
    /// Where files are kept.
    pub(super) folders: Folders,
    /// The settings file.
    pub(super) settings: std::path::PathBuf,
    /// What flags, environment and settings say.
    pub(super) given: Settings,
    /// What computes in the practice swarm.
    pub(super) compute: Compute,
    /// Size of the practice swarm's model.
    pub(super) preset: String,
    /// What is logged.
    pub(super) log: Ring,
    /// The time.
    pub(super) clock: Clock,
}

/// The desk.
pub(super) struct Desk {
    world: World,
    answers: Sender<Answer>,
    practice: Mutex<Option<PracticeSwarm>>,
    keys: Arc<Keys>,
    /// Why where the wizard stands could not be kept the last time.
    forgotten: Mutex<Option<String>>,
}

impl Desk {
    /// A desk whose answers go there.
    pub(super) fn new(world: World, hotkey: Option<String>, answers: Sender<Answer>) -> Self {
        let keys = Arc::new(Keys::new(&world, hotkey));
        Self { world, answers, practice: Mutex::new(None), keys, forgotten: Mutex::new(None) }
    }

    /// Takes a request. Never blocks for long.
    pub(super) fn ask(&self, request: Request) {
        match request {
            Request::Probe => self.later(machine::probe),
            Request::TestLink { network } => {
                self.later(move |world, tell| machine::test_link(world, &network, tell));
            }
            Request::StartPractice => self.start_practice(),
            Request::StopPractice => {
                if let Some(swarm) = &*self.practice() {
                    swarm.ask_to_stop();
                }
            }
            Request::LookAtKeys => self.with_keys(Keys::look),
            Request::MakeWords { purpose, count } => self.tell(self.keys.draw(purpose, count)),
            Request::CheckKey(source) => self.with_keys(move |keys| keys.check(source)),
            Request::KeepKey { source, passphrase } => {
                self.with_keys(move |keys| keys.keep(&source, passphrase.as_ref()));
            }
            Request::ListWallets(folder) => {
                self.with_keys(move |keys| keys.list_wallets(&folder));
            }
            Request::JudgeAddress(text) => {
                let verdict = address_verdict(text.reveal());
                self.tell(Answer::Address { text, verdict });
            }
            Request::MakeColdkey { words, password } => {
                self.with_keys(move |keys| keys.make_coldkey(&words, password.as_ref()));
            }
            Request::JudgeNetwork(text) => {
                let problem = text.parse::<NetworkChoice>().err();
                let problem = problem.map(|error| sentence(&error.to_string()));
                self.tell(Answer::Network { text, problem });
            }
            Request::LookAtRules => self.later(machine::look_at_rules),
            Request::Remember(remembered) => self.remember(*remembered),
            Request::Save(choices) => {
                let world = &self.world;
                let hotkey = self.keys.kept();
                let saved = save::save(&world.settings, &choices, hotkey.as_deref(), &world.given);
                self.tell(match saved {
                    Ok(()) => {
                        Unfinished::remove(&self.world.folders);
                        Answer::Saved(self.world.settings.display().to_string())
                    }
                    Err(error) => Answer::NotSaved(error.to_string()),
                });
            }
        }
    }

    /// Whether the practice swarm has still to end.
    pub(super) fn is_practising(&self) -> bool {
        self.practice().as_ref().is_some_and(|swarm| !swarm.has_ended())
    }

    /// Lets everything finish in order: the practice swarm gives its folder back.
    pub(super) fn close(&self) {
        if let Some(swarm) = self.practice().take() {
            swarm.stop();
        }
    }

    fn practice(&self) -> std::sync::MutexGuard<'_, Option<PracticeSwarm>> {
        self.practice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, answer: Answer) {
        // Nobody listens any more once the wizard is left.
        let _ = self.answers.send(answer);
    }

    fn remember(&self, remembered: Remembered) {
        let kept = Unfinished::new(remembered, self.keys.kept());
        // The wizard works without; only the next start begins anew.
        let failed = kept.write(&self.world.folders).err().map(|error| error.to_string());
        *self.forgotten.lock().unwrap_or_else(PoisonError::into_inner) = failed;
    }

    /// Why where the wizard stands could not be kept, if it could not.
    pub(super) fn forgotten(&self) -> Option<String> {
        self.forgotten.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn start_practice(&self) {
        let mut practice = self.practice();
        if practice.as_ref().is_some_and(|swarm| !swarm.has_ended()) {
            return;
        }
        let world = &self.world;
        let recipe = Recipe {
            preset: world.preset.clone(),
            compute: world.compute,
            folders: world.folders.clone(),
            log: world.log.clone(),
            clock: world.clock.clone(),
        };
        match PracticeSwarm::start(recipe, self.answers.clone()) {
            Ok(swarm) => *practice = Some(swarm),
            Err(error) => {
                let why =
                    format!("No thread for the practice swarm ({error}): press s to try again.");
                self.tell(Answer::Practice(Practice::Failed(why)));
            }
        }
    }

    /// Does work that may take long on a thread of its own.
    fn later(&self, work: impl FnOnce(&World, &(dyn Fn(Answer) + Sync)) + Send + 'static) {
        let (world, answers) = (self.world.clone(), self.answers.clone());
        let tell = move |answer| {
            let _ = answers.send(answer);
        };
        let started =
            std::thread::Builder::new().name("setup".into()).spawn(move || work(&world, &tell));
        if let Err(error) = started {
            self.tell(Answer::Refused(format!("No thread for that ({error}): try again.")));
        }
    }

    fn with_keys(&self, work: impl FnOnce(&Keys) -> Answer + Send + 'static) {
        let keys = Arc::clone(&self.keys);
        self.later(move |_, tell| tell(work(&keys)));
    }
}
