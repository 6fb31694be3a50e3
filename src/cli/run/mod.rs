//! `hearth run`: mining on a network with the saved settings, one miner for each device.

mod arguments;
mod key;
mod limits;
mod mine;
mod practice;
mod privacy;
mod rigs;
mod starts;

use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;

pub use arguments::{Consent, HotkeySource, Relays, RunArguments, RunPlan};
pub(super) use arguments::{compute, devices, hosts, hotkey, joining, network, relays};
pub use mine::hub_of;
pub use privacy::{PrivacyArguments, run as run_privacy};
pub(super) use rigs::source;

use super::beside::systemd;
use super::demo::face::{self, Shown};
use super::print::Style;
use super::{Exit, Failure, signals};
use crate::clock::Clock;
use crate::config::folders::{Folders, prepare};
use crate::config::instance::{InstanceError, InstanceLock};
use crate::config::live::LiveSettings;
use crate::config::network::NetworkChoice;
use crate::config::settings::{Key, Settings, SettingsError};
use crate::miner::Joining;
use crate::telemetry::logs::{self, Wanted};
use crate::telemetry::{Event, Severity, crash};
use mine::Mine;
use starts::{Caution, Start};

/// Runs the command.
pub fn run(arguments: &RunArguments) -> Result<Exit, Failure> {
    signals::listen();
    let shown = Shown::of(arguments.headless, arguments.json, arguments.plain);
    let style = shown.style;
    if style.is_some() {
        signals::hang_up_rereads();
    }
    let log = face::start_log(style);
    let folders = Folders::find().map_err(|error| Failure::of_folder(&error))?;
    let settings = settings(arguments, &folders)?;
    if let Some(error) = settings.check().first() {
        return Err(Failure::of_settings(error));
    }
    open_logs(&settings, &folders)?;
    let live = live(settings.clone(), arguments, &folders);
    let clock = Clock::system();
    // Held until the end of the run.
    let _only = InstanceLock::take(&folders, &clock).map_err(|error| already(&error))?;
    if arguments::network(&settings)? == NetworkChoice::Practice {
        let compute = compute(&settings)?;
        one_device(arguments, &settings)?;
        return practice::run(arguments, compute, live, &folders, shown, log);
    }
    if !arguments.faults.is_empty() {
        let line = "--faults is for a practice swarm: add --network practice, or leave it out";
        return Err(Failure::new(Exit::Usage, line));
    }
    let plan = RunPlan::new(&settings)?;
    let signers = rigs::signers(&plan, &settings, &folders)?;
    if plan.consent == Consent::Needed && !agrees(arguments)? {
        return Ok(Exit::Done);
    }
    let locks = rigs::locks(&signers, &folders)?;
    prepare(&folders.data).map_err(|error| Failure::of_folder(&error))?;
    let start = begin(arguments, &folders, &clock, style)?;
    let ended = (|| {
        let (rigs, findings) = rigs::open(&plan, signers, &folders, &clock)?;
        face::tell(style, &findings, &clock)?;
        let runtime = super::runtime()?;
        let mine = Mine { plan, settings: live, folders, rigs, shown, log };
        let ended = runtime.block_on(mine.run(&clock));
        // Whatever still sleeps or serves is of no use any more.
        runtime.shutdown_background();
        ended
    })();
    start.ended(&ended);
    drop(locks);
    ended
}

/// Writes down that the run begins, unless the last ones crashed one after the other.
fn begin(
    arguments: &RunArguments,
    folders: &Folders,
    clock: &Clock,
    style: Option<Style>,
) -> Result<Start, Failure> {
    crash::report_to(&crash::folder(folders), clock);
    let caution = if arguments.again { Caution::Again } else { Caution::Usual };
    let begun = Start::begin(folders, clock, caution);
    match &begun {
        Ok(start) => {
            let start = start.clone();
            signals::at_the_first(move || {
                systemd::stopping();
                start.asked();
            });
        }
        Err(failure) => {
            let finding = Event::Finding {
                severity: Severity::Error,
                code: failure.code.to_owned(),
                what: failure.line.clone(),
                fix: String::new(),
            };
            face::tell(style, &[finding], clock)?;
        }
    }
    begun
}

/// The practice swarm's miners share one device: several are asked for in vain.
fn one_device(arguments: &RunArguments, settings: &Settings) -> Result<(), Failure> {
    const ONE: &str = "the practice swarm of `--network practice` computes on one device";
    if !arguments.devices.is_empty() {
        let line = format!("{ONE}: leave --device out, and choose it with --backend");
        return Err(Failure::new(Exit::Usage, line));
    }
    if !arguments::devices(settings)?.is_empty() {
        face::notice(&format!("Your setting `devices` is left aside: {ONE}."));
    }
    Ok(())
}

/// The settings of a command line that takes the flags of a run.
pub(super) fn settings(arguments: &RunArguments, folders: &Folders) -> Result<Settings, Failure> {
    read(arguments, &folders.config).map_err(|error| Failure::of_settings(&error))
}

/// What file, environment and flags say; where they name no hotkey, the one that systemd hands over.
fn read(arguments: &RunArguments, folder: &Path) -> Result<Settings, SettingsError> {
    let environment = |name: &str| std::env::var(name).ok();
    let flags = arguments.flags();
    let mut settings = Settings::read(arguments.config.as_deref(), folder, environment, flags)?;
    let named = [Key::Hotkey, Key::HotkeyFile, Key::Devices];
    if named.into_iter().all(|key| settings.text(key).is_none())
        && let Some(path) = key::credential(environment)
    {
        settings.assume(Key::HotkeyFile, &path.display().to_string());
    }
    Ok(settings)
}

/// From here on what happens is in the log files as well.
fn open_logs(settings: &Settings, folders: &Folders) -> Result<(), Failure> {
    let wanted = Wanted::of(settings).map_err(|error| Failure::of_settings(&error))?;
    logs::to_files(&logs::folder(folders), wanted, &Clock::system())
        .map_err(|error| Failure::of_folder(&error))?;
    tracing::info!("Hearth {} begins, process {}", env!("CARGO_PKG_VERSION"), std::process::id());
    Ok(())
}

/// The same settings, to be read again while it runs.
fn live(now: Settings, arguments: &RunArguments, folders: &Folders) -> LiveSettings {
    let (arguments, folder) = (arguments.clone(), folders.config.clone());
    LiveSettings::new(now, move || read(&arguments, &folder))
}

/// The failure of a second one.
fn already(error: &InstanceError) -> Failure {
    match error {
        InstanceError::Running(_) => Failure::new(Exit::AlreadyRunning, error),
        InstanceError::Folder(error) => Failure::of_folder(error),
    }
}

/// Working without being paid needs a yes: from the terminal, or beforehand.
fn agrees(arguments: &RunArguments) -> Result<bool, Failure> {
    const UNPAID: &str = "No payout address is set: the pool pays nobody for this miner's work, and \
                          nothing is paid later for the time until there is one.";
    let by_hand = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if !by_hand || arguments.json {
        let what_now = "Set one with --payout-address, or agree with --accept-unpaid.";
        return Err(
            Failure::new(Exit::Configuration, format!("{UNPAID} {what_now}")).coded("payout-unset")
        );
    }
    let broken =
        |error| Failure::new(Exit::Failed, format!("the terminal: {error}")).coded("terminal-lost");
    eprint!("{UNPAID}\nWork unpaid? [y/N] ");
    std::io::stderr().flush().map_err(broken)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(broken)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

/// How a miner joins, in words.
pub(super) fn joining_words(joining: &Joining) -> String {
    match joining {
        Joining::Metagraph => "metagraph (the chain pays the hotkey's owner)".to_owned(),
        Joining::Pool(Some(payout)) => format!("pool (paid to {payout})"),
        Joining::Pool(None) => "pool (nobody is paid)".to_owned(),
    }
}
