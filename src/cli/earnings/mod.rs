//! `hearth earnings`: what was earned, paid and left, from the ledger; why, step by step; the same as a table
//! for a tax return; the report of a day; and whether the ledger agrees with what servers said.

pub mod chain;
mod csv;
mod desk;
pub(super) mod own;
pub mod price;
mod shown;
mod told;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use self::desk::{Desk, Moment};
pub use self::desk::{join, priced_in, registration};
use super::exit::written;
use super::{Exit, Failure};
use crate::earnings::summary::Time;

/// What was earned, and why.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct EarningsArguments {
    /// What to show; alone, sums, the way from work to pay, and the last payouts.
    #[command(subcommand)]
    pub action: Option<EarningsAction>,
    /// Only why nothing was paid in this time: today, 24h, 7d, 30d or all
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "24h", value_parser = time)]
    pub why: Option<Time>,
    /// A table of all events, as CSV: good enough for a tax return
    #[arg(long, conflicts_with_all = ["why", "json"])]
    pub csv: bool,
    /// Begin here: a day such as 2026-08-01, or a moment such as 2026-08-01T20:00:00Z
    #[arg(long, value_name = "DAY")]
    pub since: Option<Moment>,
    /// End before this day or moment
    #[arg(long, value_name = "DAY")]
    pub until: Option<Moment>,
    /// Where the ledger is, and the settings.
    #[command(flatten)]
    pub place: PlaceArguments,
}

/// Where to look, and how to tell.
#[derive(Clone, Debug, Default, Args)]
pub struct PlaceArguments {
    /// Another ledger, such as a copy
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// Settings file instead of the one in the configuration folder
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One JSON object a line, nothing else on standard output
    #[arg(long)]
    pub json: bool,
}

/// Parts of it.
#[derive(Clone, Debug, Subcommand)]
pub enum EarningsAction {
    /// The report of a day: time in each state, tokens, kWh, earned, work lost and to what
    Report(ReportArguments),
    /// What the chain says of a hotkey and an address, read from a node that you name
    Chain(chain::ChainArguments),
    /// What one TAO is worth in your currency, from a source that you name
    Price(price::PriceArguments),
    /// Whether the ledger's rows are what the stored answers come to
    Verify(PlaceArguments),
}

/// Which day.
#[derive(Clone, Debug, Default, Args)]
pub struct ReportArguments {
    /// The day, such as 2026-08-01; today where none is named
    #[arg(long, value_name = "DAY")]
    pub day: Option<jiff::civil::Date>,
    /// Where the ledger is, and the settings.
    #[command(flatten)]
    pub place: PlaceArguments,
}

fn time(text: &str) -> Result<Time, String> {
    let words = Time::ALL.map(Time::word).join(", ");
    Time::of(text).ok_or_else(|| format!("it is one of {words}"))
}

/// Runs the command.
pub fn run(arguments: &EarningsArguments) -> Result<Exit, Failure> {
    match &arguments.action {
        Some(EarningsAction::Chain(arguments)) => chain::run(arguments),
        Some(EarningsAction::Price(arguments)) => price::run(arguments),
        Some(EarningsAction::Report(arguments)) => flushed(|out| report(arguments, out)),
        Some(EarningsAction::Verify(place)) => flushed(|out| verify(place, out)),
        None => flushed(|out| show(arguments, out)),
    }
}

/// Prints into a buffer, and gives it out as a whole.
fn flushed(
    print: impl FnOnce(&mut io::BufWriter<io::StdoutLock<'_>>) -> Result<Exit, Failure>,
) -> Result<Exit, Failure> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let exit = print(&mut out)?;
    written(out.flush()).map(|_| exit)
}

/// The desk; none, with one line, where there is no ledger yet.
fn opened(place: &PlaceArguments, out: &mut impl Write) -> Result<Option<Desk>, Failure> {
    let desk = Desk::open(place)?;
    if desk.is_none() {
        let line = "Nothing was earned here yet: `hearth run` begins the ledger.";
        written(match place.json {
            true => writeln!(out, "{}", json!({ "event": "no_ledger", "what": line })),
            false => writeln!(out, "{line}"),
        })?;
    }
    Ok(desk)
}

fn show(arguments: &EarningsArguments, out: &mut impl Write) -> Result<Exit, Failure> {
    let place = &arguments.place;
    if arguments.csv {
        // Without a ledger it is a table without events.
        let desk = Desk::open(place)?;
        let span = |desk: &Desk| desk.span(arguments.since, arguments.until);
        let table = match &desk {
            Some(desk) => csv::table(desk, span(desk), out),
            None => csv::header(out),
        };
        return written(table);
    }
    let Some(desk) = opened(place, out)? else { return Ok(Exit::Done) };
    let named = arguments.since.or(arguments.until).is_some();
    let span = named.then(|| desk.span(arguments.since, arguments.until));
    let Some(time) = arguments.why else {
        return written(match place.json {
            true => told::all(&desk, span, out),
            false => shown::all(&desk, span, out),
        });
    };
    let span = span.unwrap_or_else(|| desk.of(time));
    written(match place.json {
        true => told::why(&desk, span, out),
        false => shown::why(&desk.why(span), out),
    })
}

fn report(arguments: &ReportArguments, out: &mut impl Write) -> Result<Exit, Failure> {
    let Some(desk) = opened(&arguments.place, out)? else { return Ok(Exit::Done) };
    let (date, span) = desk.day(arguments.day)?;
    let days = desk.report(span);
    written(match arguments.place.json {
        true => told::report(date, &days, out),
        false => shown::report(date, &days, &desk, out),
    })
}

fn verify(place: &PlaceArguments, out: &mut impl Write) -> Result<Exit, Failure> {
    let Some(desk) = opened(place, out)? else { return Ok(Exit::Done) };
    let verified = desk.verify()?;
    let line = match verified.differences.len() {
        0 => format!(
            "All {} rows are what the {} stored answers come to.",
            verified.rows, verified.answers
        ),
        1 => "One row is not what the stored answers come to.".to_owned(),
        many => format!("{many} rows are not what the stored answers come to."),
    };
    let printed = if place.json {
        writeln!(out, "{}", json!({ "event": "verified", "what": line, "verified": verified }))
    } else {
        let each = |out: &mut dyn Write| -> io::Result<()> {
            verified.differences.iter().try_for_each(|difference| {
                writeln!(
                    out,
                    "  {} ({:?} only): {}",
                    difference.table, difference.only, difference.row
                )
            })
        };
        writeln!(out, "{line}").and_then(|()| each(out))
    };
    written(printed)?;
    Ok(if verified.differences.is_empty() { Exit::Done } else { Exit::Failed })
}
