//! An adapter that comes back: lost by its driver, it is opened again with kernels that its verdict
//! allows. A kernel that was in flight at two losses is banned: its slower form is used from then on,
//! and that is kept with the verdict.

use std::sync::{Arc, Mutex, PoisonError};

use super::super::devices::verdicts::{self, Verdict};
use super::open_tested;
use crate::clock::Clock;
use crate::compute::wgpu::losses::Losses;
use crate::compute::wgpu::{AdapterReport, KernelForm, WgpuDevice, adapters};
use crate::compute::{
    BuildError, Device, DeviceFault, DeviceInfo, Executor, KindSet, Layout, OpKind, Program,
    ReopenError, Reopened,
};
use crate::config::folders::Folders;

/// Programs that run one kernel after the other after a loss: some minutes of work.
const WATCHED: u32 = 2000;

/// An adapter with kernels that were tested.
#[derive(Debug)]
pub(super) struct TestedAdapter {
    device: WgpuDevice,
    verdict: Verdict,
    found: Found,
    /// What the loss of this opening means, once somebody asked.
    blame: Mutex<Option<Blame>>,
}

/// How the adapter is found again.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) place: usize,
    pub(super) report: AdapterReport,
    pub(super) folders: Folders,
    pub(super) clock: Clock,
    /// Of all its openings.
    pub(super) losses: Arc<Mutex<Losses>>,
}

impl Found {
    /// For its first opening.
    pub(super) fn first(
        (place, report): (usize, &AdapterReport),
        folders: &Folders,
        clock: &Clock,
    ) -> Self {
        let (report, folders, clock) = (report.clone(), folders.clone(), clock.clone());
        Self { place, report, folders, clock, losses: Arc::default() }
    }
}

/// What follows from a loss.
#[derive(Clone, Debug)]
enum Blame {
    Nobody,
    /// A kernel, with its form and the one that replaces it.
    Kernel(OpKind, KernelForm, Option<KernelForm>),
}

impl TestedAdapter {
    pub(super) fn new(device: WgpuDevice, verdict: Verdict, found: Found) -> Self {
        Self { device, verdict, found, blame: Mutex::default() }
    }

    /// Who is to blame for the loss of this opening. It is noted once, however often somebody tries to
    /// open it again.
    fn blame(&self) -> Blame {
        let mut blame = self.blame.lock().unwrap_or_else(PoisonError::into_inner);
        blame.get_or_insert_with(|| self.judge()).clone()
    }

    fn judge(&self) -> Blame {
        let Err(DeviceFault::Lost { why, .. }) = self.health() else { return Blame::Nobody };
        let (at, in_flight) = (self.found.clock.now().0, self.in_flight());
        let mut losses = self.found.losses.lock().unwrap_or_else(PoisonError::into_inner);
        let guilty = losses.note(at, in_flight);
        tracing::warn!(
            device = self.info().name,
            in_flight = in_flight.words(),
            losses = losses.count(),
            "the device was lost: {why}"
        );
        match guilty {
            None => Blame::Nobody,
            Some(kind) => {
                let form = self.device.choice().form(kind);
                self.keep_ban(kind, form);
                Blame::Kernel(kind, form, form.simpler())
            }
        }
    }

    /// The ban outlives the process: the next start would lose the device again.
    fn keep_ban(&self, kind: OpKind, form: KernelForm) {
        let mut verdict = self.verdict.clone();
        verdict.ban(kind, form);
        if let Err(error) = verdicts::write(&self.found.folders, &verdict) {
            tracing::warn!("the ban of a kernel is not kept: {error}");
        }
    }

    /// The adapter in today's list: at its place, or wherever one of its name is.
    fn find(&self) -> Result<(usize, AdapterReport), ReopenError> {
        let wanted = &self.found.report;
        let same = |report: &AdapterReport| {
            report.name == wanted.name
                && report.interface == wanted.interface
                && report.slot == wanted.slot
        };
        let all = adapters();
        let at_its_place = all.get(self.found.place).filter(|report| same(report));
        let place = match at_its_place {
            Some(_) => Some(self.found.place),
            None => all.iter().position(same),
        };
        place.and_then(|place| Some((place, all.get(place)?.clone()))).ok_or_else(|| {
            ReopenError::NotBack(format!("the system does not list {} any more", wanted.name))
        })
    }
}

impl Device for TestedAdapter {
    fn info(&self) -> &DeviceInfo {
        self.device.info()
    }

    fn build(
        &self,
        layout: &Layout,
        programs: &[Program],
    ) -> Result<Box<dyn Executor>, BuildError> {
        self.device.build(layout, programs)
    }

    fn health(&self) -> Result<(), DeviceFault> {
        self.device.health()
    }

    fn in_flight(&self) -> KindSet {
        self.device.in_flight()
    }

    fn give_up(&self) {
        self.device.give_up();
    }

    fn reopen(&self) -> Result<Reopened, ReopenError> {
        let blame = self.blame();
        let name = &self.info().name;
        if let Blame::Kernel(kind, _, None) = &blame {
            return Err(ReopenError::Unusable(format!(
                "{name} was lost twice in its kernel {kind}, which has no other form; update its \
                 driver, or use --backend cpu"
            )));
        }
        let (place, report) = self.find()?;
        let Found { folders, clock, losses, .. } = self.found.clone();
        let mut notice = |line: &str| tracing::info!("{line}");
        let (device, verdict) = open_tested((place, &report), &folders, &clock, &mut notice)
            .map_err(|error| ReopenError::NotBack(error.to_string()))?;
        if let Some(why) = &verdict.refusal {
            return Err(ReopenError::Unusable(format!("{name} cannot be used: {why}")));
        }
        let mut choice = device.choice();
        let mut changed = None;
        if let Blame::Kernel(kind, form, Some(slower)) = blame {
            // As in the verdict, unless that could not be written.
            if choice.form(kind) <= form {
                choice = choice.with(kind, slower);
            }
            changed = Some(format!(
                "{name} was lost twice while its kernel {kind} was at work: a slower form of it is \
                 used from now on."
            ));
        }
        let device = device.with_choice(choice);
        if self.health().is_err() {
            device.watch(WATCHED);
        }
        let found = Found { place, report, folders, clock, losses };
        Ok(Reopened { device: Arc::new(Self::new(device, verdict, found)), changed })
    }
}
