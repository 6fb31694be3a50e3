//! `hearth doctor`: the preflight. Every check gives exactly one finding; each error and warning has
//! its fix. The wizard shows the same checks through [`examine`].

mod chain;
mod checks;
mod finding;
mod graphics;
mod keys;
mod machine;
mod network;
mod rules;
mod scope;
mod settings;
mod several;
mod system;

use std::io::{self, IsTerminal as _, Write};
use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

pub use checks::{Check, checks, examine};
pub use finding::{Area, Finding, Judgement};
pub use network::Target;
pub use rules::unknown_here;
pub use scope::{Asking, Scope};

use super::exit::written;
use super::print::{Printer, Style};
use super::{Exit, Failure};
use crate::clock::Clock;
use crate::config::settings::Key;
use crate::telemetry::Severity;

/// Look at this machine, the settings, the keys and the network, and say what to do about it.
#[derive(Clone, Debug, Default, Args)]
pub struct DoctorArguments {
    /// One JSON object a line, nothing else on standard output
    #[arg(long)]
    pub json: bool,
    /// Ask nobody outside this machine
    #[arg(long)]
    pub offline: bool,
    /// Network to look at: mainnet, testnet, or a server's address
    #[arg(long, value_name = "NETWORK")]
    pub network: Option<String>,
    /// Settings file instead of the one in the configuration folder
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Runs all checks and prints what they found.
pub fn run(arguments: &DoctorArguments) -> Result<Exit, Failure> {
    let clock = Clock::system();
    let asking = if arguments.offline { Asking::Nobody } else { Asking::Network };
    let flags = vec![(Key::Network, arguments.network.clone())];
    let scope = Arc::new(Scope::of_user(arguments.config.as_deref(), flags, asking, &clock));
    let runtime = super::runtime()?;
    let mut printer = Printer::new(Style::Json, io::stdout(), clock);
    let mut findings = Vec::new();
    let mut broken = None;
    let progress = ProgressLine { all: checks(&scope).len(), shown: !arguments.json };
    runtime.block_on(examine(&scope, |finding| {
        if arguments.json {
            broken = printer.event(&finding.event()).err().or(broken.take());
        }
        findings.push(finding);
        progress.show(findings.len());
    }));
    progress.end();
    // What still waits for an answer is of no use any more.
    runtime.shutdown_background();
    let printed = match (broken, arguments.json) {
        (Some(error), _) => Err(error),
        (None, true) => Ok(()),
        (None, false) => print(&findings, &mut io::stdout().lock()),
    };
    written(printed)?;
    let worst = findings.iter().map(|finding| finding.severity).max();
    Ok(if worst == Some(Severity::Error) { Exit::Failed } else { Exit::Done })
}

/// How many checks are through, on a line of the terminal that is written over.
struct ProgressLine {
    all: usize,
    shown: bool,
}

impl ProgressLine {
    fn write(&self, text: &str) {
        if self.shown && io::stderr().is_terminal() {
            eprint!("\r\x1b[K{text}");
        }
    }

    fn show(&self, done: usize) {
        self.write(&format!("{done} of {} checks", self.all));
    }

    fn end(&self) {
        self.write("");
    }
}

/// Prints the findings in their groups: the worst last, where the eye is.
fn print(findings: &[Finding], out: &mut impl Write) -> io::Result<()> {
    for area in in_order(findings) {
        writeln!(out, "{}", area.title())?;
        let mut group: Vec<&Finding> = findings.iter().filter(|found| found.area == area).collect();
        group.sort_by_key(|found| (found.severity, found.check));
        for found in group {
            print_one(found, out)?;
        }
        writeln!(out)?;
    }
    writeln!(out, "{}", verdict(findings))
}

/// The groups; those with the worst findings last.
fn in_order(findings: &[Finding]) -> Vec<Area> {
    let mut areas: Vec<Area> = findings.iter().map(|found| found.area).collect();
    areas.sort();
    areas.dedup();
    let worst = |area: &Area| {
        findings.iter().filter(|found| found.area == *area).map(|found| found.severity).max()
    };
    areas.sort_by_key(worst);
    areas
}

fn print_one(found: &Finding, out: &mut impl Write) -> io::Result<()> {
    let word = match (found.severity, found.fix.is_empty()) {
        (Severity::Info, true) => "ok      ",
        (Severity::Info, false) => "note    ",
        (Severity::Warning, _) => "warning ",
        (Severity::Error, _) => "ERROR   ",
    };
    writeln!(out, "  {word} {}", found.what)?;
    match found.severity {
        Severity::Info if found.fix.is_empty() => Ok(()),
        Severity::Info => writeln!(out, "            {}", found.fix),
        _ => writeln!(out, "            Fix: {} (hearth explain {})", found.fix, found.code),
    }
}

/// The last line.
fn verdict(findings: &[Finding]) -> String {
    let count = |severity| findings.iter().filter(|found| found.severity == severity).count();
    let many = |n: usize, word: &str| format!("{n} {word}{}", if n == 1 { "" } else { "s" });
    let checks = many(findings.len(), "check");
    match (count(Severity::Error), count(Severity::Warning)) {
        (0, 0) => format!("{checks}: all is well."),
        (0, warnings) => {
            format!("{checks}: {}, nothing that stops Hearth.", many(warnings, "warning"))
        }
        (errors, warnings) => {
            format!("{checks}: {} to fix, {}.", many(errors, "error"), many(warnings, "warning"))
        }
    }
}

#[cfg(test)]
mod tests;
