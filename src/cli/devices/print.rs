//! The survey as lines for a person, or as events for a script.

use std::io::{self, Write};

use serde::Serialize;

use super::fit::Fit;
use super::survey::{AdapterFacts, Chosen, Survey};
use super::verdicts::StoredKind;
use crate::cli::device::finding_of;
use crate::compute::selftest::Outcome;
use crate::config::devices::DeviceSelector;
use crate::training::memory::Size;

/// One adapter.
#[derive(Serialize)]
struct AdapterEvent<'a> {
    event: &'static str,
    /// How it is written in the setting `devices`.
    selector: String,
    name: &'a str,
    backend: &'static str,
    interface: &'a str,
    class: &'a str,
    driver: &'a str,
    memory_bytes: Option<u64>,
    memory_free_bytes: Option<u64>,
    memory_shared: bool,
    chosen: bool,
    why: &'a str,
    refused: Option<&'a str>,
    self_test: SelfTest<'a>,
    fits: Option<Fit>,
}

/// What is known of an adapter's kernels.
#[derive(Serialize)]
struct SelfTest<'a> {
    /// `passed`, `replaced` (some kernels run in a slower form), `failed` or `untested`.
    verdict: &'static str,
    tested: Option<&'a str>,
    cases: usize,
    complete: bool,
    refusal: Option<&'a str>,
    kernels: &'a [StoredKind],
}

impl<'a> SelfTest<'a> {
    fn of(adapter: &'a AdapterFacts) -> Self {
        let Some(verdict) = &adapter.verdict else {
            let (verdict, tested, cases) = ("untested", None, 0);
            return Self { verdict, tested, cases, complete: false, refusal: None, kernels: &[] };
        };
        let replaced = verdict.with_outcome(Outcome::Replaced).next().is_some();
        Self {
            verdict: match (&verdict.refusal, replaced) {
                (Some(_), _) => "failed",
                (None, true) => "replaced",
                (None, false) => "passed",
            },
            tested: Some(&verdict.tested),
            cases: verdict.cases,
            complete: verdict.complete,
            refusal: verdict.refusal.as_deref(),
            kernels: &verdict.kinds,
        }
    }
}

/// The processor.
#[derive(Serialize)]
struct ProcessorEvent<'a> {
    event: &'static str,
    selector: String,
    name: &'a str,
    backend: &'static str,
    memory_free_bytes: Option<u64>,
    chosen: bool,
    fits: Option<Fit>,
}

/// What is taken.
#[derive(Serialize)]
struct ChoiceEvent<'a> {
    event: &'static str,
    backend: &'static str,
    name: &'a str,
    why: &'a str,
    bench_steps_tokens_per_second: Option<f64>,
    bench_peak_gflops: Option<f64>,
    bench_when: Option<&'a str>,
}

/// As events.
pub(super) fn json(survey: &Survey, out: &mut impl Write) -> io::Result<()> {
    let mut line = |value: serde_json::Result<String>| -> io::Result<()> {
        writeln!(out, "{}", value.map_err(io::Error::other)?)
    };
    for (place, adapter) in survey.adapters.iter().enumerate() {
        line(serde_json::to_string(&AdapterEvent {
            event: "adapter",
            selector: DeviceSelector::WgpuAt(place).to_string(),
            name: &adapter.name,
            backend: "wgpu",
            interface: &adapter.interface,
            class: &adapter.class,
            driver: &adapter.driver,
            memory_bytes: adapter.memory,
            memory_free_bytes: adapter.free,
            memory_shared: adapter.shares_memory,
            chosen: survey.chosen == Chosen::Adapter(place),
            why: &adapter.why,
            refused: adapter.refusal.as_deref(),
            self_test: SelfTest::of(adapter),
            fits: adapter.fit,
        }))?;
    }
    for verdict in survey.adapters.iter().filter_map(|adapter| adapter.verdict.as_ref()) {
        if let Some(finding) = finding_of(verdict) {
            line(serde_json::to_string(&finding))?;
        }
    }
    line(serde_json::to_string(&ProcessorEvent {
        event: "processor",
        selector: DeviceSelector::Cpu.to_string(),
        name: &survey.processor.name,
        backend: "cpu",
        memory_free_bytes: survey.processor.free,
        chosen: survey.chosen == Chosen::Processor,
        fits: survey.processor.fit,
    }))?;
    let bench = survey.bench.as_ref();
    line(serde_json::to_string(&ChoiceEvent {
        event: "choice",
        backend: if survey.chosen == Chosen::Processor { "cpu" } else { "wgpu" },
        name: survey.chosen_name(),
        why: &survey.why,
        bench_steps_tokens_per_second: bench.and_then(|b| b.best_tokens_per_second()),
        bench_peak_gflops: bench.map(|b| b.peak_gflops),
        bench_when: bench.map(|b| b.when.as_str()),
    }))
}

/// For a person.
pub(super) fn readable(survey: &Survey, out: &mut impl Write) -> io::Result<()> {
    for (place, adapter) in survey.adapters.iter().enumerate() {
        let mark = if survey.chosen == Chosen::Adapter(place) { "*" } else { " " };
        writeln!(out, "{mark} {} ({}, {})", adapter.name, adapter.class, adapter.interface)?;
        let driver = if adapter.driver.is_empty() { "unknown" } else { &adapter.driver };
        writeln!(out, "    written    {}", DeviceSelector::WgpuAt(place))?;
        writeln!(out, "    driver     {driver}")?;
        writeln!(out, "    memory     {}", memory(adapter))?;
        writeln!(out, "    choice     {}", adapter.why)?;
        let test = adapter.verdict.as_ref().map_or_else(
            || "not tested yet: `hearth devices --test`, or the first start, does it".to_owned(),
            |verdict| format!("{} (on {})", verdict.words(), verdict.tested),
        );
        writeln!(out, "    self-test  {test}")?;
        for kind in adapter.verdict.iter().flat_map(|v| v.with_outcome(Outcome::Replaced)) {
            writeln!(out, "               {} runs in its form `{}`", kind.kernel, kind.form)?;
        }
        writeln!(out, "    fits       {}", fits(adapter.fit))?;
    }
    let mark = if survey.chosen == Chosen::Processor { "*" } else { " " };
    writeln!(out, "{mark} {}", survey.processor.name)?;
    let free = survey.processor.free.map_or("unknown".to_owned(), |b| Size(b).to_string());
    writeln!(out, "    written    {}", DeviceSelector::Cpu)?;
    writeln!(out, "    memory     {free} free")?;
    writeln!(out, "    fits       {}", fits(survey.processor.fit))?;
    writeln!(out, "\nHearth takes {}: {}.", survey.chosen_name(), survey.why)?;
    match &survey.bench {
        Some(bench) => writeln!(out, "Last benchmark: {}.", bench.words()),
        None => writeln!(out, "Not measured yet: `hearth bench`."),
    }?;
    writeln!(
        out,
        "Several at once: `hearth run --device DEVICE=HOTKEY`, once for each, as written above."
    )
}

fn memory(adapter: &AdapterFacts) -> String {
    let of = if adapter.shares_memory { "of the machine's own" } else { "of its own" };
    match (adapter.memory, adapter.free) {
        (Some(all), Some(free)) => format!("{} {of}, {} free", Size(all), Size(free)),
        (Some(all), None) => format!("{} {of}, how much is free is unknown", Size(all)),
        (None, Some(free)) => format!("shares the machine's, {} free", Size(free)),
        (None, None) => "unknown".to_owned(),
    }
}

fn fits(fit: Option<Fit>) -> String {
    fit.map_or("unknown: neither driver nor system tells the memory".to_owned(), |fit| fit.words())
}
