//! The command line: one file per command, thin. Here a swarm and miners are put together.

pub mod alerts;
mod ask;
pub mod bench;
pub mod beside;
pub mod bug_report;
pub mod completions;
pub mod config;
pub mod demo;
pub mod device;
pub mod devices;
pub mod doctor;
pub mod earnings;
pub mod exit;
pub mod explain;
pub mod given;
pub mod keys;
pub mod man;
pub mod print;
pub mod reference;
pub mod replay;
pub mod run;
pub mod running;
pub mod service;
pub mod setup;
pub mod signals;
pub mod watch;

use std::panic::{AssertUnwindSafe, catch_unwind};

use clap::{Parser, Subcommand};

pub use exit::{Exit, Failure};

use crate::clock::Clock;
use crate::config::folders::Folders;
use crate::telemetry::crash;
use crate::tui::Medium;

/// Train a large language model together, at home.
#[derive(Debug, Parser)]
#[command(name = "hearth", version, about, long_about = LONG_ABOUT)]
#[command(after_long_help = reference::after_help(), args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// What to do; alone, the wizard the first time and the dashboard after that.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The dashboard in lines, for a screen reader; words that you type are the keys
    #[arg(long)]
    pub plain: bool,
}

const LONG_ABOUT: &str = "\
Hearth lets home machines train a large language model together. It is a miner for IOTA, \
subnet 9 of Bittensor (not the coin of the same name), and independent of the network's operator.

`hearth` alone sets this machine up the first time, and shows the dashboard after that. \
`hearth demo` shows the whole thing on this machine alone: no network, no key, nothing to set up.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The whole system on this machine: a practice swarm and your miner
    Demo(demo::DemoArguments),
    /// Set this machine up: devices, a practice run, your key, your limits
    Setup(setup::SetupArguments),
    /// Mine on a network with the saved settings
    Run(run::RunArguments),
    /// What the miner that runs here does, and why
    Status(running::StatusArguments),
    /// Pause the running miner: it takes no new work
    Pause(running::PauseArguments),
    /// Pause the running miner for a while: 1h, or the time given
    Snooze(running::SnoozeArguments),
    /// Let the running miner work again
    Resume(running::ResumeArguments),
    /// Switch one device of the running miner off, and keep it off
    Disable(running::SwitchArguments),
    /// Switch a device of the running miner on again
    Enable(running::SwitchArguments),
    /// Let the running miner finish this epoch, then end
    Finish(running::EndArguments),
    /// Let the running miner finish the work in hand, then end
    Stop(running::EndArguments),
    /// What a network publishes of itself: stages, miners, phases; no key is needed
    Watch(watch::WatchArguments),
    /// The miner's log: the last lines, and what is added
    Logs(running::LogsArguments),
    /// What this machine can compute with: adapters, memory, self-test, what fits
    Devices(devices::DevicesArguments),
    /// How fast this machine computes, with a checksum
    Bench(bench::BenchArguments),
    /// Look for what is wrong here, and say what to do about it
    Doctor(doctor::DoctorArguments),
    /// The settings: what they are, where they come from, and changing them
    Config(config::ConfigArguments),
    /// What a code means, why it happens, what to do now; and what words mean
    Explain(explain::ExplainArguments),
    /// What was earned, and why
    Earnings(earnings::EarningsArguments),
    /// Everything that leaves this machine: to whom, what, how much
    Privacy(run::PrivacyArguments),
    /// Play the record of a run, or list the records
    Replay(replay::ReplayArguments),
    /// A screen of a recorded run as a picture (SVG), or as text
    Screenshot(replay::ScreenshotArguments),
    /// Pack what helps to find a fault into one file, without what is private
    BugReport(bug_report::BugReportArguments),
    /// What you are told of while you do not look, and by which way
    Alerts(alerts::AlertsArguments),
    /// Make, bring, keep, show and remove hotkeys
    Keys(keys::KeysArguments),
    /// Run Hearth as a service: systemd, launchd, Windows
    Service(service::ServiceArguments),
    /// Print a shell's completions (the installer has put them in place)
    Completions(completions::CompletionsArguments),
    /// Print the manual, or write its pages into a folder
    Man(man::ManArguments),
}

/// The threads that the network, timers and faces share.
fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(
        |error| Failure::new(Exit::Failed, format!("no threads: {error}")).coded("no-threads"),
    )
}

/// Runs the command and returns how the process ends.
pub fn run(arguments: Arguments) -> Result<Exit, Failure> {
    if let Ok(folders) = Folders::find() {
        crash::report_to(&crash::folder(&folders), &Clock::system());
    }
    let ended = catch_unwind(AssertUnwindSafe(|| carry_out(arguments)));
    let ended = ended.unwrap_or_else(|_| {
        let line = format!("a part of Hearth broke; {}", crash::last_words());
        Err(Failure::new(Exit::Failed, line).coded("fault-in-hearth"))
    });
    // Whoever presses Ctrl-C twice does not wait for a driver.
    if !matches!(ended, Ok(Exit::Interrupted)) {
        crate::compute::wgpu::settle();
    }
    ended
}

fn carry_out(arguments: Arguments) -> Result<Exit, Failure> {
    let Some(command) = arguments.command else {
        let medium = if arguments.plain { Medium::Lines } else { Medium::Screen };
        return setup::start(medium);
    };
    match command {
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Setup(arguments) => setup::run(&arguments),
        Command::Run(arguments) => {
            run::run(&arguments).inspect_err(|failure| alerts::tell_of(failure, &arguments))
        }
        Command::Status(arguments) => running::status(&arguments),
        Command::Pause(arguments) => running::pause(&arguments),
        Command::Snooze(arguments) => running::snooze(&arguments),
        Command::Resume(arguments) => running::resume(&arguments),
        Command::Disable(arguments) => running::disable(&arguments),
        Command::Enable(arguments) => running::enable(&arguments),
        Command::Finish(arguments) => running::finish(&arguments),
        Command::Stop(arguments) => running::stop(&arguments),
        Command::Watch(arguments) => watch::run(&arguments),
        Command::Logs(arguments) => running::logs(&arguments),
        Command::Devices(arguments) => devices::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Config(arguments) => config::run(&arguments),
        Command::Explain(arguments) => explain::run(&arguments),
        Command::Earnings(arguments) => earnings::run(&arguments),
        Command::Privacy(arguments) => run::run_privacy(&arguments),
        Command::Replay(arguments) => replay::run(&arguments),
        Command::Screenshot(arguments) => replay::screenshot(&arguments),
        Command::BugReport(arguments) => bug_report::run(&arguments),
        Command::Alerts(arguments) => alerts::run(&arguments),
        Command::Keys(arguments) => keys::run(&arguments),
        Command::Service(arguments) => service::run(&arguments),
        Command::Completions(arguments) => completions::run(&arguments),
        Command::Man(arguments) => man::run(&arguments),
    }
}
