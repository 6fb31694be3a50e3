//! Opening the device a command works on: the best backend that is really there, and whose kernels
//! compute what they should.

mod adapter;
pub mod choice;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;

use choice::Chosen;

use super::devices::verdicts::{self, StoredKind, Verdict, VerdictKey};
use super::{Exit, Failure};
use crate::clock::Clock;
use crate::compute::cpu::CpuDevice;
use crate::compute::selftest::{self, Outcome, Progress, Thoroughness};
use crate::compute::wgpu::{AdapterChoice, AdapterReport, OpenError, WgpuDevice, adapters};
use crate::compute::{Device, DeviceKind};
use crate::config::folders::Folders;
use crate::telemetry::{Event, Severity};
use adapter::{Found, TestedAdapter};

/// So long a self-test goes on when nobody asked for it, once every kernel has been run.
pub const TEST_TIME: Duration = Duration::from_secs(10);
/// So long it may take to run every kernel once, which compiles it.
pub const TEST_LIMIT: Duration = Duration::from_secs(300);

/// Whether a self-test that nobody asked for has taken long enough.
pub fn patience(elapsed: Duration, progress: Progress) -> ControlFlow<()> {
    let limit = if progress.covered { TEST_TIME } else { TEST_LIMIT };
    if elapsed < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
}

/// The backends on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// A GPU if there is one, else the processor. Never a software GPU.
    Auto,
    /// A GPU through Vulkan, Metal or DX12; a software adapter where there is no GPU.
    Wgpu,
    /// The processor's cores.
    Cpu,
}

/// What is to compute, and how much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compute {
    /// What.
    pub backend: Backend,
    /// Threads, where the processor does; all of them when there is none.
    pub threads: Option<usize>,
}

impl From<Backend> for Compute {
    fn from(backend: Backend) -> Self {
        Self { backend, threads: None }
    }
}

/// An open device, and what the user should know about it.
#[derive(Debug)]
pub struct Opened {
    /// The device.
    pub device: Arc<dyn Device>,
    /// Findings of the self-test.
    pub findings: Vec<Event>,
}

/// Opens a device. A GPU whose kernels have not been tested with this driver is tested first, which
/// `notice` is told in words; the verdict is kept in the cache folder.
///
/// # Errors
/// [`Failure`] if no device of the kind can be used.
pub fn open(
    compute: impl Into<Compute>,
    folders: &Folders,
    clock: &Clock,
    notice: &mut dyn FnMut(&str),
) -> Result<Opened, Failure> {
    let Compute { backend, threads } = compute.into();
    if backend == Backend::Cpu {
        return Ok(processor(threads, Vec::new()));
    }
    let mut findings = Vec::new();
    let mut last: Option<Failure> = None;
    for (place, report) in adapters().iter().enumerate() {
        let software = report.kind == DeviceKind::SoftwareGpu;
        if report.refusal.is_some() || (software && backend == Backend::Auto) {
            continue;
        }
        match open_tested((place, report), folders, clock, notice) {
            Ok((device, verdict)) => {
                findings.extend(finding_of(&verdict));
                if let Some(why) = verdict.refusal {
                    let line = format!("{} cannot be used: {why}. {}", report.name, remedy());
                    last = Some(Failure::new(Exit::NoDevice, line).coded("kernel-failed"));
                    continue;
                }
                let found = Found::first((place, report), folders, clock);
                let device = Arc::new(TestedAdapter::new(device, verdict, found));
                return Ok(Opened { device, findings });
            }
            Err(error) => {
                tracing::info!("{error}");
                last = Some(Failure::new(Exit::NoDevice, error));
            }
        }
    }
    match (backend, last) {
        (Backend::Wgpu, Some(failure)) => Err(failure),
        (Backend::Wgpu, None) => WgpuDevice::open(&AdapterChoice::AllowSoftware)
            .map(|device| Opened { device: Arc::new(device), findings })
            .map_err(|error| Failure::new(Exit::NoDevice, error)),
        (_, why) => {
            let why = why.map_or("none found".to_owned(), |failure| failure.line);
            tracing::info!("no GPU: {why}; using the processor");
            Ok(processor(threads, findings))
        }
    }
}

/// Opens a device that was chosen among several, like [`open`]. It is looked for again, so that it is
/// found after others have come or gone.
///
/// # Errors
/// [`Failure`] if it is not there any more, cannot be opened or computes wrong numbers.
pub fn open_chosen(
    chosen: &Chosen,
    folders: &Folders,
    clock: &Clock,
    notice: &mut dyn FnMut(&str),
) -> Result<Opened, Failure> {
    let (place, wanted) = match chosen {
        Chosen::Processor(threads) => return Ok(processor(*threads, Vec::new())),
        Chosen::Adapter(place, report) => (*place, report),
    };
    let all = adapters();
    let is_it = |report: &AdapterReport| {
        report.name == wanted.name
            && report.interface == wanted.interface
            && report.slot == wanted.slot
    };
    let gone = || {
        let line = format!(
            "{} is not there any more: plug it in or load its driver, then start again",
            wanted.name
        );
        Failure::new(Exit::NoDevice, line).coded("device-unknown")
    };
    let place = match all.get(place).is_some_and(is_it) {
        true => place,
        false => all.iter().position(is_it).ok_or_else(gone)?,
    };
    let (device, verdict) = open_tested((place, &all[place]), folders, clock, notice)
        .map_err(|error| Failure::new(Exit::NoDevice, error))?;
    let findings = finding_of(&verdict).into_iter().collect();
    if let Some(why) = verdict.refusal {
        let line = format!("{} cannot be used: {why}. {}", wanted.name, remedy());
        return Err(Failure::new(Exit::NoDevice, line).coded("kernel-failed"));
    }
    let found = Found::first((place, &all[place]), folders, clock);
    Ok(Opened { device: Arc::new(TestedAdapter::new(device, verdict, found)), findings })
}

fn processor(threads: Option<usize>, findings: Vec<Event>) -> Opened {
    Opened { device: Arc::new(CpuDevice::new(threads)), findings }
}

/// Opens an adapter with the kernels that its verdict allows; tests it if there is none yet.
fn open_tested(
    (place, report): (usize, &AdapterReport),
    folders: &Folders,
    clock: &Clock,
    notice: &mut dyn FnMut(&str),
) -> Result<(WgpuDevice, Verdict), OpenError> {
    let device = paced(WgpuDevice::open(&AdapterChoice::Place(place))?, clock)?;
    if let Some(verdict) = verdicts::read(folders, &VerdictKey::of(report)) {
        return Ok((device.with_choice(verdict.choice()), verdict));
    }
    notice(&format!(
        "Testing the kernels of {}, once for this driver ({}) ...",
        report.name,
        if report.driver.is_empty() { "unnamed" } else { &report.driver },
    ));
    let start = clock.now();
    let verdict = test(&device, report, folders, clock, &mut |progress| {
        patience(clock.now().since(start), progress)
    });
    notice(&format!("{}: {} ({:.1} s).", report.name, verdict.words(), verdict.seconds));
    Ok((device.with_choice(verdict.choice()), verdict))
}

/// A GPU that is given as much at once as it can do without being taken for one that hangs.
fn paced(device: WgpuDevice, clock: &Clock) -> Result<WgpuDevice, OpenError> {
    // No watchdog looks at a processor.
    if device.info().kind != DeviceKind::Gpu {
        return Ok(device);
    }
    let name = device.info().name.clone();
    device
        .paced(&|| clock.now().0)
        .map_err(|error| OpenError::Refused { name, why: error.to_string() })
}

/// Tests an open adapter's kernels and keeps the verdict, if every kernel was run. `watch` may stop
/// it after any case.
pub fn test(
    device: &WgpuDevice,
    report: &AdapterReport,
    folders: &Folders,
    clock: &Clock,
    watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Verdict {
    let start = clock.now();
    let result = selftest::run(device, Thoroughness::of(report.kind), watch);
    let seconds = clock.now().since(start).as_secs_f64();
    let verdict = Verdict::new(VerdictKey::of(report), &result, clock.iso8601(), seconds);
    // What was not even tried once is tried again at the next start.
    if (result.covered || verdict.refusal.is_some())
        && let Err(error) = verdicts::write(folders, &verdict)
    {
        tracing::warn!("the kernels will be tested again at the next start: {error}");
    }
    verdict
}

/// What the user should know of a verdict: kernels that run in a slower form, or that the device is
/// not used. None if there is nothing.
pub fn finding_of(verdict: &Verdict) -> Option<Event> {
    let VerdictKey { adapter, driver, .. } = &verdict.key;
    if let Some(why) = &verdict.refusal {
        return Some(Event::Finding {
            severity: Severity::Warning,
            code: "kernel-failed".to_owned(),
            what: format!("{adapter} failed the self-test and is not used: {why}."),
            fix: remedy().to_owned(),
        });
    }
    let (banned, wrong): (Vec<_>, Vec<_>) =
        verdict.with_outcome(Outcome::Replaced).partition(|kind| kind.is_banned());
    let names = |kinds: &[&StoredKind]| {
        kinds.iter().map(|kind| kind.kernel.as_str()).collect::<Vec<_>>().join(", ")
    };
    let fix = "Update the driver; Hearth tests the fast form again with another one.".to_owned();
    if wrong.is_empty() && !banned.is_empty() {
        let names = names(&banned);
        return Some(Event::Finding {
            severity: Severity::Warning,
            code: "kernel-banned".to_owned(),
            what: format!(
                "{adapter}: it was lost twice in the fast form of {names} with its driver ({driver}); \
                 a slower form is used."
            ),
            fix,
        });
    }
    if wrong.is_empty() {
        return None;
    }
    let names = names(&wrong);
    Some(Event::Finding {
        severity: Severity::Warning,
        code: "kernel-replaced".to_owned(),
        what: format!(
            "{adapter}: the fast form of {names} computes wrong numbers with its driver ({driver}); \
             a slower form is used."
        ),
        fix,
    })
}

fn remedy() -> &'static str {
    "Update its driver, then run `hearth devices --test`; `--backend cpu` works without it."
}
