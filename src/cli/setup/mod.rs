//! `hearth setup`, and `hearth` alone: the wizard with everything it asks for, or the same answers
//! from flags. Here the screens meet devices, keys, the practice swarm and the settings.

mod arguments;
mod desk;
mod kept;
mod keys;
mod machine;
mod practice;
mod quiet;
mod save;

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;
use std::sync::mpsc;

pub use arguments::SetupArguments;

use super::run::RunArguments;
use super::running::attach;
use super::{Exit, Failure, signals};
use crate::clock::Clock;
use crate::config::folders::Folders;
use crate::config::settings::{FILE_NAME, Key, Settings};
use crate::telemetry::logs;
use crate::tui::Medium;
use crate::tui::wizard::{self, Outcome, Remembered, Wizard};
use crate::wallet::store::KeyStores;
use desk::{Desk, World};
use kept::Unfinished;

/// Said where the wizard cannot be shown.
const NO_TERMINAL: &str = "there is no terminal here to ask on: set up with hearth setup \
                           --non-interactive (see hearth setup --help), then hearth run --headless; \
                           hearth demo --headless shows a practice run";

/// Said where there is nothing to run yet, and no wizard is wanted.
const NOT_SET_UP: &str = "this machine is not set up, and the wizard has no form in lines: answer by \
                          flags with hearth setup --non-interactive (see hearth setup --help), then \
                          hearth --plain; hearth demo --plain shows a practice run";

/// Runs `hearth setup`.
pub fn run(arguments: &SetupArguments) -> Result<Exit, Failure> {
    if arguments.non_interactive || arguments.json {
        return quiet::run(arguments);
    }
    if !has_terminal() {
        return Err(Failure::new(Exit::Usage, NO_TERMINAL));
    }
    let folders = Folders::find().map_err(|error| Failure::of_folder(&error))?;
    let settings = read_settings(arguments, &folders)?;
    match show(arguments, &folders, &settings)? {
        Outcome::Mine => {
            let arguments = RunArguments { config: arguments.config.clone(), ..Default::default() };
            match attach::if_running(&folders, Medium::Screen) {
                Some(ended) => ended,
                None => super::run::run(&arguments),
            }
        }
        Outcome::Finished => {
            println!(
                "Hearth is set up. `hearth` starts mining; `hearth setup` changes the answers."
            );
            Ok(Exit::Done)
        }
        Outcome::Left => Ok(Exit::Done),
    }
}

/// Runs `hearth` alone: the screen of the miner that runs here already; where none does, the wizard until
/// it was finished once, and a miner with its dashboard after that.
pub fn start(medium: Medium) -> Result<Exit, Failure> {
    let plain = medium == Medium::Lines;
    if !plain && !has_terminal() {
        return Err(Failure::new(Exit::Usage, NO_TERMINAL));
    }
    let folders = Folders::find().map_err(|error| Failure::of_folder(&error))?;
    if let Some(ended) = attach::if_running(&folders, medium) {
        return ended;
    }
    let arguments = SetupArguments { practice_preset: "demo".into(), ..Default::default() };
    let settings = read_settings(&arguments, &folders)?;
    let has_keys = || {
        KeyStores::open(&folders.data, &Clock::system()).list().is_ok_and(|keys| !keys.is_empty())
    };
    let new = !settings.has_saved() && settings.text(Key::HotkeyFile).is_none() && !has_keys();
    if new || Unfinished::read(&folders).is_some() {
        return match plain {
            true => Err(Failure::new(Exit::Usage, NOT_SET_UP)),
            false => run(&arguments),
        };
    }
    super::run::run(&RunArguments { plain, ..Default::default() })
}

fn has_terminal() -> bool {
    io::stdout().is_terminal() && io::stdin().is_terminal()
}

fn read_settings(arguments: &SetupArguments, folders: &Folders) -> Result<Settings, Failure> {
    let environment = |name: &str| std::env::var(name).ok();
    // A file that is named and not there yet is made at the end.
    let named = arguments.config.as_deref().filter(|path| path.exists());
    Settings::read(named, &folders.config, environment, arguments.flags())
        .map_err(|error| Failure::of_settings(&error))
}

fn settings_path(arguments: &SetupArguments, folders: &Folders) -> PathBuf {
    arguments.config.clone().unwrap_or_else(|| folders.config.join(FILE_NAME))
}

/// Shows the wizard from where it was left. The terminal is the user's own again when this returns.
fn show(
    arguments: &SetupArguments,
    folders: &Folders,
    settings: &Settings,
) -> Result<Outcome, Failure> {
    let unfinished = Unfinished::read(folders);
    let hotkey = unfinished.as_ref().and_then(|unfinished| unfinished.hotkey.clone());
    let usual = save::choices(settings).map_err(|error| Failure::of_settings(&error))?;
    let remembered = match unfinished {
        Some(unfinished) => unfinished.wizard,
        None => Remembered { choices: usual, ..Remembered::default() },
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let mut state = Wizard::new(remembered, cores);
    let (told, answers) = mpsc::channel();
    let world = world(arguments, folders, settings)?;
    let desk = Desk::new(world, hotkey, told);
    let runtime = super::runtime()?;
    let stop = signals::watch();
    let ended = wizard::run(&mut state, &|request| desk.ask(request), &answers, &stop);
    if desk.is_practising() {
        println!("The practice swarm finishes what it has in hand …");
    }
    desk.close();
    if let (Ok(Outcome::Left), forgotten) = (&ended, desk.forgotten()) {
        println!(
            "{}",
            match forgotten {
                None => "Your answers are kept: `hearth` goes on where you left.".to_owned(),
                Some(why) => format!("Your answers are not kept: {why}."),
            }
        );
    }
    runtime.shutdown_background();
    ended.map_err(|error| Failure::new(Exit::Failed, error))
}

fn world(
    arguments: &SetupArguments,
    folders: &Folders,
    settings: &Settings,
) -> Result<World, Failure> {
    Ok(World {
        folders: folders.clone(),
        settings: settings_path(arguments, folders),
        given: settings.clone(),
        compute: super::run::compute(settings)?,
        preset: arguments.practice_preset.clone(),
        log: logs::to_ring(),
        clock: Clock::system(),
    })
}
