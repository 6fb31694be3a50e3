//! `hearth devices`: what this machine can compute with. The same survey is the first screen of the
//! wizard and part of the doctor.

pub mod fit;
mod print;
pub mod survey;
pub mod verdicts;

use std::io::{self, IsTerminal as _, Write as _};
use std::ops::ControlFlow;

use clap::Args;

use super::device::test;
use super::exit::written;
use super::{Exit, Failure};
use crate::clock::Clock;
use crate::compute::cpu::CpuDevice;
use crate::compute::selftest::{self, Progress, Thoroughness};
use crate::compute::wgpu::{AdapterChoice, WgpuDevice, adapters};
use crate::compute::{Device, DeviceInfo, DeviceKind};
use crate::config::folders::Folders;

pub use fit::Fit;
pub use survey::{AdapterFacts, Chosen, ProcessorFacts, Survey, survey};
pub use verdicts::Verdict;

/// What this machine can compute with.
#[derive(Clone, Debug, Default, Args)]
pub struct DevicesArguments {
    /// Test the kernels of the processor and every adapter now, whatever is known of them
    #[arg(long)]
    pub test: bool,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(arguments: &DevicesArguments) -> Result<Exit, Failure> {
    let folders = Folders::find().map_err(|error| Failure::of_folder(&error))?;
    if arguments.test {
        test_all(&folders)?;
    }
    let survey = survey(Some(&folders));
    let mut out = io::stdout().lock();
    let printed = if arguments.json {
        print::json(&survey, &mut out)
    } else {
        print::readable(&survey, &mut out)
    };
    written(printed)
}

/// Tests the processor and every adapter that can be used; how far it is goes to standard error.
fn test_all(folders: &Folders) -> Result<(), Failure> {
    let clock = Clock::system();
    let mut shown = ProgressLine::new();
    test_processor(&mut shown)?;
    let mut tested = 0;
    let reports = adapters();
    for (place, report) in reports.iter().enumerate().filter(|(_, r)| r.refusal.is_none()) {
        match WgpuDevice::open(&AdapterChoice::Place(place)) {
            Ok(device) => {
                let verdict = test(&device, report, folders, &clock, &mut |progress| {
                    shown.show(&report.name, progress);
                    ControlFlow::Continue(())
                });
                shown.end();
                eprintln!("{}: {} ({:.1} s)", report.name, verdict.words(), verdict.seconds);
                tested += 1;
            }
            Err(error) => eprintln!("{error}"),
        }
    }
    if tested == 0 && reports.iter().any(|report| report.kind == DeviceKind::Gpu) {
        return Err(Failure::new(Exit::NoDevice, "no adapter could be opened; see above"));
    }
    Ok(())
}

/// Tests the processor's kernels, which follow what instructions it has. There is nothing to replace
/// them with, so the verdict is not kept.
fn test_processor(shown: &mut ProgressLine) -> Result<(), Failure> {
    let device = CpuDevice::new(None);
    let DeviceInfo { kind, name, .. } = device.info();
    let report = selftest::run(&device, Thoroughness::of(*kind), &mut |progress| {
        shown.show(name, progress);
        ControlFlow::Continue(())
    });
    shown.end();
    match report.refusal() {
        Some(why) => {
            let line = format!("{name} cannot be used: {why}. Test its memory and cooling");
            Err(Failure::new(Exit::NoDevice, line).coded("kernel-failed"))
        }
        None => {
            eprintln!("{name}: passed, {} cases", report.done);
            Ok(())
        }
    }
}

/// Tests the adapter at a place of the survey's list and keeps the verdict. `watch` is told before
/// every case, and may stop the test.
///
/// # Errors
/// [`Failure`] if the adapter cannot be opened.
pub fn self_test(
    place: usize,
    folders: &Folders,
    clock: &Clock,
    watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Verdict, Failure> {
    let gone = || Failure::new(Exit::NoDevice, "the adapter is not there any more; look again");
    let report = adapters().into_iter().nth(place).ok_or_else(gone)?;
    let device = WgpuDevice::open(&AdapterChoice::Place(place))
        .map_err(|error| Failure::new(Exit::NoDevice, error))?;
    Ok(test(&device, &report, folders, clock, watch))
}

/// One line on standard error that is written over, where that is a terminal.
struct ProgressLine {
    terminal: bool,
}

impl ProgressLine {
    fn new() -> Self {
        Self { terminal: io::stderr().is_terminal() }
    }

    fn show(&self, name: &str, progress: Progress) {
        if self.terminal {
            let Progress { done, total, kind, .. } = progress;
            eprint!("\r\x1b[K{name}: {done} of {total} cases, {kind}");
            // A progress line that cannot be shown is no loss.
            let _ = io::stderr().flush();
        }
    }

    fn end(&mut self) {
        if self.terminal {
            eprint!("\r\x1b[K");
        }
    }
}
