//! What mines in a run: each device with the hotkey that mines on it, opened before anything starts.
//! Two of them never share a device, a key or a file.

use std::path::PathBuf;
use std::sync::Arc;

use super::arguments::{HotkeySource, RunPlan};
use super::key::{self, RunKey};
use crate::cli::bench::record;
use crate::cli::beside::sensing;
use crate::cli::demo::face;
use crate::cli::device::choice::{Chosen, choose};
use crate::cli::device::{self, Opened};
use crate::cli::keys::Passphrases;
use crate::cli::{Exit, Failure};
use crate::clock::Clock;
use crate::compute::DeviceKind;
use crate::compute::wgpu::adapters;
use crate::config::devices::{DeviceKey, DeviceSelector, KeySelector};
use crate::config::folders::{Folders, LockError, RunLock};
use crate::config::settings::Settings;
use crate::host::sensors::Computing;
use crate::miner::{DeviceSource, DeviceView, DeviceWorker, MinerError, OpenDevice};
use crate::telemetry::{Event, Severity};
use crate::training::memory::share::HostPlans;
use crate::wallet::HotkeyPair;
use crate::wallet::store::KeyName;

/// A key that will mine, and what is told of it.
pub(super) struct Signer {
    pub(super) hotkey: Arc<HotkeyPair>,
    /// Where it is kept, in words.
    pub(super) kept: String,
}

/// A device with its key.
pub(super) struct Rig {
    /// `m0`..
    pub(super) name: String,
    pub(super) signer: Signer,
    pub(super) device: DeviceSource,
    /// What its sensors are found by.
    pub(super) computing: Computing,
    /// Its identity on the network between miners.
    pub(super) peer_identity: PathBuf,
    /// Its UDP port; none for any.
    pub(super) peer_port: Option<u16>,
}

/// The right to mine with each of the keys; let go of together.
#[derive(Debug)]
pub(super) struct Locks(#[allow(dead_code)] Vec<RunLock>);

/// The keys of a run, in the order of its devices. May ask for passphrases.
pub(super) fn signers(
    plan: &RunPlan,
    settings: &Settings,
    folders: &Folders,
) -> Result<Vec<Signer>, Failure> {
    let sources = sources(plan)?;
    let mut passphrases = Passphrases::new(settings);
    let mut signers: Vec<Signer> = Vec::new();
    for (place, source) in sources.iter().enumerate() {
        let RunKey { pair, kept } = key::open(source, &mut passphrases, folders)?;
        // The same key may be kept under two names.
        let same = |other: &Signer| other.hotkey.address() == pair.address();
        if let Some(before) = signers.iter().position(same) {
            return Err(same_key(&plan.devices[before], &plan.devices[place]));
        }
        signers.push(Signer { hotkey: Arc::new(pair), kept });
    }
    Ok(signers)
}

/// Where the keys come from; none of them twice.
fn sources(plan: &RunPlan) -> Result<Vec<HotkeySource>, Failure> {
    if plan.devices.is_empty() {
        return Ok(vec![plan.hotkey.clone()]);
    }
    for (place, device) in plan.devices.iter().enumerate() {
        let before = plan.devices[..place].iter().find(|other| other.hotkey == device.hotkey);
        if let Some(before) = before {
            return Err(same_key(before, device));
        }
    }
    plan.devices.iter().map(|device| source(&device.hotkey)).collect()
}

/// Where one device's key comes from.
pub(in crate::cli) fn source(hotkey: &KeySelector) -> Result<HotkeySource, Failure> {
    Ok(match hotkey {
        KeySelector::File(path) => HotkeySource::File(path.clone()),
        KeySelector::Kept(name) => {
            let name: KeyName = name.parse().map_err(|error| {
                let line = format!("in `devices`: {error}");
                Failure::new(Exit::Configuration, line).coded("config-value")
            })?;
            HotkeySource::Stored(Some(name))
        }
    })
}

fn same_key(one: &DeviceKey, other: &DeviceKey) -> Failure {
    let line = format!(
        "{} and {} have the same hotkey ({}): each device needs its own, or the network drops one \
         of them; make one with `hearth keys new --from NAME --device 2`",
        one.device, other.device, other.hotkey
    );
    Failure::new(Exit::Configuration, line).coded("hotkey-repeated")
}

/// The right to mine with all of them, or with none.
pub(super) fn locks(signers: &[Signer], folders: &Folders) -> Result<Locks, Failure> {
    let take = |signer: &Signer| RunLock::take(folders, signer.hotkey.address());
    let locks: Result<Vec<RunLock>, LockError> = signers.iter().map(take).collect();
    Ok(Locks(locks.map_err(|error| Failure::new(exit_of_lock(&error), error))?))
}

fn exit_of_lock(error: &LockError) -> Exit {
    match error {
        LockError::Held { .. } => Exit::AlreadyRunning,
        LockError::Folder(_) => Exit::Disk,
    }
}

/// The devices of a run, opened, each with its key. What the user should know of them comes beside.
pub(super) fn open(
    plan: &RunPlan,
    signers: Vec<Signer>,
    folders: &Folders,
    clock: &Clock,
) -> Result<(Vec<Rig>, Vec<Event>), Failure> {
    let (sources, findings) = match &plan.devices[..] {
        [] => one(plan, folders, clock)?,
        several => many(plan, several, folders, clock)?,
    };
    let rigs = signers.into_iter().zip(sources).enumerate().map(
        |(place, (signer, (device, computing)))| {
            let own = match &plan.devices[..] {
                [] => "peer-identity".to_owned(),
                _ => format!("peer-identity-{}", signer.hotkey.address()),
            };
            Ok(Rig {
                name: format!("m{place}"),
                device,
                computing,
                peer_identity: folders.data.join(own),
                peer_port: port(plan.peer_port, place)?,
                signer,
            })
        },
    );
    Ok((rigs.collect::<Result<_, Failure>>()?, findings))
}

/// The ports follow each other.
fn port(first: Option<u16>, place: usize) -> Result<Option<u16>, Failure> {
    let Some(first) = first else { return Ok(None) };
    match usize::from(first).checked_add(place).map(u16::try_from) {
        Some(Ok(port)) => Ok(Some(port)),
        _ => {
            let line = format!(
                "peer_port is {first}, and device {place} would need a port above 65535: choose a \
                 lower one"
            );
            Err(Failure::new(Exit::Configuration, line).coded("config-value"))
        }
    }
}

/// A device, and what its sensors are found by.
type Sourced = (DeviceSource, Computing);

/// The usual case: the best device, or the one of the settings.
fn one(
    plan: &RunPlan,
    folders: &Folders,
    clock: &Clock,
) -> Result<(Vec<Sourced>, Vec<Event>), Failure> {
    let compute = plan.compute;
    let Opened { device, findings } = device::open(compute, folders, clock, &mut face::notice)?;
    let computing = sensing::computing(device.info());
    let peak = record::peak_flops(folders, device.info());
    let worker = DeviceWorker::start(device).map_err(|error| no_thread(&error))?.with_peak(peak);
    let again = opener(folders, clock, move |folders, clock, notice| {
        device::open(compute, folders, clock, notice)
    });
    let source = DeviceSource::new(worker.view(), Some(worker), again);
    Ok((vec![(source, computing)], findings))
}

/// Each of the devices named. One that cannot be opened is its own miner's fault, not the others'.
fn many(
    plan: &RunPlan,
    devices: &[DeviceKey],
    folders: &Folders,
    clock: &Clock,
) -> Result<(Vec<Sourced>, Vec<Event>), Failure> {
    let selectors: Vec<DeviceSelector> =
        devices.iter().map(|device| device.device.clone()).collect();
    let chosen = choose(&selectors, &adapters(), plan.compute.threads)?;
    let (mut sources, mut findings) = (Vec::new(), Vec::new());
    let plans = HostPlans::new(crate::host::memory::own);
    for one in chosen {
        if let (Chosen::Processor(Some(threads)), None) = (&one, plan.compute.threads) {
            findings.push(threads_told(*threads));
        }
        let (view, ready) = match device::open_chosen(&one, folders, clock, &mut face::notice) {
            Ok(opened) => {
                findings.extend(opened.findings);
                let peak = record::peak_flops(folders, opened.device.info());
                let worker =
                    DeviceWorker::start(opened.device).map_err(|error| no_thread(&error))?;
                let worker = worker.with_peak(peak);
                (worker.view(), Some(worker.with_plans(plans.clone())))
            }
            // Its miner meets the same failure and shows it.
            Err(failure) => {
                tracing::warn!("{failure}");
                (view(&one), None)
            }
        };
        let computing = computing(&one);
        let again = opener(folders, clock, move |folders, clock, notice| {
            device::open_chosen(&one, folders, clock, notice)
        });
        let plans = plans.clone();
        let again: OpenDevice = Arc::new(move || Ok(again()?.with_plans(plans.clone())));
        sources.push((DeviceSource::new(view, ready, again), computing));
    }
    Ok((sources, findings))
}

/// What the sensors of a device are found by that may not be open yet.
fn computing(chosen: &Chosen) -> Computing {
    match chosen {
        Chosen::Adapter(_, report) if report.kind == DeviceKind::Gpu => {
            Computing::Card(report.slot.clone())
        }
        // A software adapter is the processor.
        Chosen::Adapter(..) | Chosen::Processor(_) => Computing::Processor,
    }
}

/// What is known of a device that is not open.
fn view(chosen: &Chosen) -> DeviceView {
    let (backend, name) = match chosen {
        Chosen::Processor(_) => ("cpu", format!("{} processor", std::env::consts::ARCH)),
        Chosen::Adapter(_, report) => ("wgpu", report.name.clone()),
    };
    DeviceView { backend: backend.to_owned(), name, ..DeviceView::default() }
}

/// Opens a device once more, in the middle of a run: what there is to say goes to the log.
fn opener(
    folders: &Folders,
    clock: &Clock,
    open: impl Fn(&Folders, &Clock, &mut dyn FnMut(&str)) -> Result<Opened, Failure>
    + Send
    + Sync
    + 'static,
) -> OpenDevice {
    let (folders, clock) = (folders.clone(), clock.clone());
    Arc::new(move || {
        let opened = open(&folders, &clock, &mut |line| tracing::info!("{line}"))
            .map_err(|failure| MinerError::NoDevice(failure.line))?;
        for finding in &opened.findings {
            if let Event::Finding { what, fix, .. } = finding {
                tracing::warn!("{what} {fix}");
            }
        }
        let peak = record::peak_flops(&folders, opened.device.info());
        DeviceWorker::start(opened.device)
            .map(|worker| worker.with_peak(peak))
            .map_err(|error| MinerError::Failed(format!("no thread for the device: {error}")))
    })
}

fn threads_told(threads: usize) -> Event {
    let plural = if threads == 1 { "" } else { "s" };
    Event::Finding {
        severity: Severity::Info,
        code: "cpu-threads".to_owned(),
        what: format!(
            "The processor computes with {threads} thread{plural}: one core is left for the other \
             devices."
        ),
        fix: "`--cpu-threads N` sets another number.".to_owned(),
    }
}

fn no_thread(error: &std::io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("no thread for the device: {error}")).coded("no-threads")
}
