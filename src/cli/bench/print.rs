//! A benchmark as lines for a person, or as events for a script.

use std::io::{self, Write};

use serde::Serialize;

use super::BenchStep;
use super::record::{BenchRecord, Checksum, KernelResult, StageResult};
use crate::cli::print;
use crate::clock::Clock;
use crate::compute::DeviceInfo;
use crate::telemetry::Event;

/// A result with the name of its event.
#[derive(Serialize)]
struct Line<'a, T> {
    event: &'static str,
    #[serde(flatten)]
    what: &'a T,
}

/// What is measured.
#[derive(Serialize)]
struct DeviceLine<'a> {
    event: &'static str,
    backend: &'a str,
    name: &'a str,
    driver: &'a str,
}

/// The end of a benchmark: what was measured is in the lines before.
#[derive(Serialize)]
struct EndLine<'a> {
    event: &'static str,
    version: &'a str,
    when: &'a str,
    quick: bool,
    backend: &'a str,
    device: &'a str,
    driver: &'a str,
    peak_gflops: f64,
    copy_gigabytes: f64,
    checksum: f64,
    reference: f64,
    worst: f64,
    agrees: bool,
    seconds: f64,
}

/// Writes a benchmark's results. What it begins with goes to standard error.
pub(super) struct Printer<W> {
    json: bool,
    out: W,
    headed: Option<Table>,
}

/// The table that was begun last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Table {
    Kernels,
    Stages,
}

impl<W: Write> Printer<W> {
    pub(super) fn new(json: bool, out: W) -> Self {
        Self { json, out, headed: None }
    }

    pub(super) fn finding(&mut self, finding: &Event) -> io::Result<()> {
        let style = if self.json { print::Style::Json } else { print::Style::Readable };
        print::Printer::new(style, &mut self.out, Clock::system()).event(finding)
    }

    pub(super) fn device(&mut self, info: &DeviceInfo) -> io::Result<()> {
        let DeviceInfo { backend, name, driver, .. } = info;
        if self.json {
            return self.line(&DeviceLine { event: "device", backend, name, driver });
        }
        let driver = if driver.is_empty() { String::new() } else { format!(", {driver}") };
        writeln!(self.out, "{name} ({backend}{driver})")
    }

    pub(super) fn step(&mut self, step: &BenchStep<'_>) -> io::Result<()> {
        match step {
            BenchStep::Begins(what) => eprintln!("measuring {what}"),
            BenchStep::Skipped(what, why) => eprintln!("left out: {what}: {why}"),
            BenchStep::Kernel(result) if self.json => {
                self.line(&Line { event: "kernel", what: result })?;
            }
            BenchStep::Stage(result) if self.json => {
                self.line(&Line { event: "stage_step", what: result })?;
            }
            BenchStep::Kernel(result) => self.kernel(result)?,
            BenchStep::Stage(result) => self.stage(result)?,
        }
        Ok(())
    }

    pub(super) fn end(&mut self, record: &BenchRecord) -> io::Result<()> {
        if self.json {
            return self.line(&EndLine {
                event: "bench",
                version: &record.version,
                when: &record.when,
                quick: record.quick,
                backend: &record.backend,
                device: &record.device,
                driver: &record.driver,
                peak_gflops: record.peak_gflops,
                copy_gigabytes: record.copy_gigabytes,
                checksum: record.checksum,
                reference: record.reference,
                worst: record.worst,
                // Else it would have ended before.
                agrees: record.worst <= 1.0,
                seconds: record.seconds,
            });
        }
        writeln!(
            self.out,
            "\nAt best {:.1} GFLOP/s, {:.1} GB/s copied. Checksum {:.6}, of the reference {:.6}: they \
             agree (largest error {:.0} % of what is allowed). {:.0} s.",
            record.peak_gflops,
            record.copy_gigabytes,
            record.checksum,
            record.reference,
            100.0 * record.worst,
            record.seconds,
        )
    }

    fn kernel(&mut self, result: &KernelResult) -> io::Result<()> {
        if self.headed != Some(Table::Kernels) {
            self.headed = Some(Table::Kernels);
            writeln!(
                self.out,
                "\n{:<19} {:<35} {:>10} {:>19} {:>9} {:>8}  error",
                "kernel", "size", "ms", "quartiles", "GFLOP/s", "GB/s"
            )?;
        }
        writeln!(
            self.out,
            "{:<19} {:<35} {:>10.3} {:>9.3} {:>9.3} {:>9.1} {:>8.1}  {}",
            result.kernel,
            result.shape,
            1e3 * result.seconds.median,
            1e3 * result.seconds.low,
            1e3 * result.seconds.high,
            result.gflops,
            result.gigabytes,
            error(result.check),
        )
    }

    fn stage(&mut self, result: &StageResult) -> io::Result<()> {
        if self.headed != Some(Table::Stages) {
            self.headed = Some(Table::Stages);
            writeln!(
                self.out,
                "\n{:<19} {:<35} {:>10} {:>19} {:>9} {:>8}  error",
                "training step", "size", "ms", "quartiles", "tokens/s", "of peak"
            )?;
        }
        let layers = if result.layers == 1 { "layer" } else { "layers" };
        writeln!(
            self.out,
            "{:<19} {:<35} {:>10.3} {:>9.3} {:>9.3} {:>9.0} {:>6.1} %  {}",
            format!("{} {}", result.model, result.stage),
            format!("{} {layers}, {} x {} tokens", result.layers, result.batch, result.sequence),
            1e3 * result.seconds.median,
            1e3 * result.seconds.low,
            1e3 * result.seconds.high,
            result.tokens_per_second,
            100.0 * result.share_of_peak,
            error(result.check),
        )
    }

    fn line(&mut self, value: &impl Serialize) -> io::Result<()> {
        writeln!(self.out, "{}", serde_json::to_string(value).map_err(io::Error::other)?)?;
        self.out.flush()
    }
}

fn error(check: Checksum) -> String {
    format!("{:.0e} of {:.0e}", check.error, check.limit)
}
