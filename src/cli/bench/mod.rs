//! `hearth bench`: how fast this machine computes, measured offline, with results that must agree
//! with the reference in f64. The last result of each device is kept.

pub mod items;
pub mod kernels;
pub mod measure;
mod print;
pub mod record;
pub mod stages;

use std::io;

use clap::Args;

use super::device::{self, Backend};
use super::exit::written;
use super::{Exit, Failure};
use crate::clock::Clock;
use crate::compute::{BuildError, Device, DeviceFault, DeviceKind, Form};
use crate::config::folders::Folders;
use crate::model::{PlanError, StageError};

use items::{Scale, others, square};
use measure::Effort;
use record::{BenchRecord, Checksum, KernelResult, StageResult};
use stages::StageItem;

/// How fast this machine computes.
#[derive(Clone, Debug, Args)]
pub struct BenchArguments {
    /// A look of some seconds instead of numbers to compare
    #[arg(long)]
    pub quick: bool,
    /// What to measure
    #[arg(long, value_enum, default_value = "auto", env = "HEARTH_BACKEND")]
    pub backend: Backend,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// How thorough a benchmark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Within ten seconds on two cores.
    Quick,
    /// Some minutes at most.
    Full,
}

/// What a benchmark says while it goes on.
#[derive(Debug)]
pub enum BenchStep<'a> {
    /// It begins with this.
    Begins(&'a str),
    /// A kernel was measured.
    Kernel(&'a KernelResult),
    /// A stage was measured.
    Stage(&'a StageResult),
    /// Something cannot be measured here: what, and why.
    Skipped(&'a str, &'a str),
}

/// A benchmark could not be finished.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The device cannot take it.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The device failed.
    #[error(transparent)]
    Device(#[from] DeviceFault),
    /// A stage failed.
    #[error(transparent)]
    Stage(#[from] StageError),
    /// A stage cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// Results are wrong.
    #[error(
        "{what} on {device} does not agree with the reference: {got:e} instead of {want:e}, off by {error:.1e} where {limit:.0e} is allowed; do not mine with this device: update its driver, or use --backend cpu"
    )]
    Wrong {
        /// What was computed.
        what: String,
        /// The device.
        device: String,
        /// Its checksum.
        got: f64,
        /// The reference's.
        want: f64,
        /// Relative error.
        error: f64,
        /// What is allowed.
        limit: f64,
    },
}

impl BenchError {
    /// The stable word of an error that `hearth explain` says more about than about its exit code.
    fn code(&self) -> Option<&'static str> {
        match self {
            Self::Wrong { .. } => Some("results-wrong"),
            _ => None,
        }
    }
}

/// Runs the command.
pub fn run(arguments: &BenchArguments) -> Result<Exit, Failure> {
    let folders = Folders::find().map_err(|error| Failure::of_folder(&error))?;
    let clock = Clock::system();
    let opened =
        device::open(arguments.backend, &folders, &clock, &mut |line| eprintln!("{line}"))?;
    let depth = if arguments.quick { Depth::Quick } else { Depth::Full };
    let mut printer = print::Printer::new(arguments.json, io::stdout());
    let told = opened.findings.iter().try_for_each(|finding| printer.finding(finding));
    let mut told = told.and_then(|()| printer.device(opened.device.info()));
    let result = bench(opened.device.as_ref(), depth, &clock, &mut |step| {
        if told.is_ok() {
            told = printer.step(&step);
        }
    });
    let record = result.map_err(|error| {
        let exit = match error {
            BenchError::Build(_) | BenchError::Device(_) => Exit::NoDevice,
            _ => Exit::Failed,
        };
        let code = error.code().unwrap_or(exit.code());
        Failure::new(exit, error).coded(code)
    })?;
    record::keep(&folders, &record).map_err(|error| Failure::of_folder(&error))?;
    written(told.and_then(|()| printer.end(&record)))
}

/// Measures a device. `tell` is told of every step.
///
/// # Errors
/// [`BenchError`] if the device fails or its results are wrong.
pub fn bench(
    device: &dyn Device,
    depth: Depth,
    clock: &Clock,
    tell: &mut dyn FnMut(BenchStep<'_>),
) -> Result<BenchRecord, BenchError> {
    let start = clock.now();
    let mut bench = Bench { device, depth, clock, tell, kernels: Vec::new(), stages: Vec::new() };
    bench.products()?;
    bench.others()?;
    bench.steps()?;
    let info = device.info();
    let copies = bench.kernels.iter().filter(|kernel| kernel.kernel == "copy");
    let copy_gigabytes = copies.map(|kernel| kernel.gigabytes).fold(0.0, f64::max);
    let checks = || {
        let kernels = bench.kernels.iter().map(|kernel| kernel.check);
        kernels.chain(bench.stages.iter().map(|stage| stage.check))
    };
    Ok(BenchRecord {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        when: clock.iso8601(),
        quick: depth == Depth::Quick,
        backend: info.backend.to_owned(),
        device: info.name.clone(),
        driver: info.driver.clone(),
        peak_gflops: bench.peak(),
        copy_gigabytes,
        checksum: checks().map(|check| check.device).sum(),
        reference: checks().map(|check| check.reference).sum(),
        worst: checks().map(|check| check.error / check.limit).fold(0.0, f64::max),
        seconds: clock.now().since(start).as_secs_f64(),
        kernels: bench.kernels,
        stages: bench.stages,
    })
}

/// A benchmark under way.
struct Bench<'a> {
    device: &'a dyn Device,
    depth: Depth,
    clock: &'a Clock,
    tell: &'a mut dyn FnMut(BenchStep<'_>),
    kernels: Vec<KernelResult>,
    stages: Vec<StageResult>,
}

impl Bench<'_> {
    fn effort(&self) -> Effort {
        match self.depth {
            Depth::Quick => Effort::QUICK,
            Depth::Full => Effort::FULL,
        }
    }

    /// The best matrix product so far, in GFLOP/s.
    fn peak(&self) -> f64 {
        let products = self.kernels.iter().filter(|kernel| kernel.kernel.starts_with("gemm"));
        products.map(|kernel| kernel.gflops).fold(0.0, f64::max)
    }

    /// Square products, as large as there is time for, then the other two forms at the last size.
    fn products(&mut self) -> Result<(), BenchError> {
        let (sizes, limit): (&[usize], f64) = match self.depth {
            Depth::Quick => (&[256, 512, 1024], 0.15),
            Depth::Full => (&[256, 512, 1024, 2048, 4096], 1.0),
        };
        let mut last = sizes[0];
        for size in sizes {
            // Twice the size is eight times the work.
            let expected = self.kernels.last().map_or(0.0, |kernel| 8.0 * kernel.seconds.median);
            if expected > limit {
                break;
            }
            self.kernel(&square(Form::NT, *size))?;
            last = *size;
        }
        self.kernel(&square(Form::NN, last))?;
        self.kernel(&square(Form::TN, last))
    }

    fn others(&mut self) -> Result<(), BenchError> {
        // The real sizes where they are done in milliseconds.
        let real = self.depth == Depth::Full && self.peak() > 1000.0;
        let items = others(if real { Scale::Real } else { Scale::Small });
        items.iter().try_for_each(|item| self.kernel(item))
    }

    fn kernel(&mut self, item: &items::Item) -> Result<(), BenchError> {
        let what = format!("{} {}", item.kind(), item.shape);
        (self.tell)(BenchStep::Begins(&what));
        let result = kernels::bench(item, self.device, self.clock, self.effort())?;
        self.agree(&what, result.check)?;
        (self.tell)(BenchStep::Kernel(&result));
        self.kernels.push(result);
        Ok(())
    }

    fn steps(&mut self) -> Result<(), BenchError> {
        for item in stages::presets() {
            self.step(&item)?;
        }
        if self.depth == Depth::Quick {
            return Ok(());
        }
        let what = "a layer of the 1B model";
        match stages::live_layer(self.peak(), 2.0) {
            None => {
                (self.tell)(BenchStep::Skipped(what, "this device would take minutes for a step"))
            }
            Some(item) => match self.room_for(&item) {
                Ok(()) => match self.step(&item) {
                    Err(BenchError::Build(error @ BuildError::OutOfMemory { .. })) => {
                        (self.tell)(BenchStep::Skipped(what, &error.to_string()));
                    }
                    other => other?,
                },
                Err(why) => (self.tell)(BenchStep::Skipped(what, &why)),
            },
        }
        Ok(())
    }

    fn step(&mut self, item: &StageItem) -> Result<(), BenchError> {
        let what = format!("a {} step of {}", item.sort(), item.model);
        (self.tell)(BenchStep::Begins(&what));
        // Steps are long and steady; three tell enough.
        let effort = Effort { least: 3, ..self.effort() };
        let result = stages::bench(item, self.device, self.clock, effort, self.peak())?;
        self.agree(&what, result.check)?;
        (self.tell)(BenchStep::Stage(&result));
        self.stages.push(result);
        Ok(())
    }

    /// Whether the stage, and what the reference needs beside it, has room in the memory that is free.
    fn room_for(&self, item: &StageItem) -> Result<(), String> {
        let plan = item.spec.plan().map_err(|error| error.to_string())?;
        let info = self.device.info();
        let stage = plan.bytes() as u64;
        // Its weights once more on the device for the check, and in f64 on the host.
        let (again, reference) = (4 * plan.param_count() as u64, 8 * plan.param_count() as u64);
        let (on_device, on_host) = match info.kind {
            DeviceKind::Gpu => (stage + again, reference),
            _ => (0, stage + again + reference),
        };
        let lacks = |needed: u64, there: Option<u64>| there.is_some_and(|there| there < needed);
        if lacks(on_device, info.memory) || lacks(on_host, crate::host::memory::available()) {
            return Err("there is not enough free memory".to_owned());
        }
        Ok(())
    }

    /// Wrong results end a benchmark: its numbers would be worth nothing.
    fn agree(&self, what: &str, check: Checksum) -> Result<(), BenchError> {
        if check.agrees() {
            return Ok(());
        }
        let Checksum { device: got, reference: want, error, limit } = check;
        let device = self.device.info().name.clone();
        Err(BenchError::Wrong { what: what.to_owned(), device, got, want, error, limit })
    }
}

#[cfg(test)]
mod tests;
