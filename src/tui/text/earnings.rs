//! Words about what was earned.

use crate::earnings::Exact;
use crate::earnings::formula::Period;
use crate::earnings::money::{Rao, Unit};
use crate::earnings::summary::Time;
use crate::earnings::view::{EntryView, Source, WhyView};

/// Titles of the panes.
pub const EARNED: &str = " Earned ";
/// See [`EARNED`].
pub const WALK: &str = " From work to pay ";
/// See [`EARNED`].
pub const LEDGER: &str = " The ledger, newest first ";
/// See [`EARNED`].
pub const WORK: &str = " Work that counts ";

/// Of a practice swarm.
pub const WORTHLESS: &str = "Practice points are worth nothing; they come about as pay does.";
/// Nothing is in the ledger.
pub const NOTHING_YET: &str = "Nothing is entered yet: pay is reckoned when an epoch ends.";

/// Columns of the sums.
pub const COLUMNS: [&str; 5] = ["", "earned", "paid out", "energy", "left"];

/// The name of a time.
pub fn time(time: Time) -> &'static str {
    match time {
        Time::Today => "today",
        Time::Day => "24 hours",
        Time::Week => "7 days",
        Time::Month => "30 days",
        Time::All => "in all",
    }
}

/// What is left after electricity.
pub fn net(net: &Exact, currency: &str) -> String {
    format!("{} {currency}", net.decimal(2))
}

/// What was earned, and what is left of it after electricity where that is known.
pub fn earned_and_left(earned: &str, left: Option<&str>) -> String {
    match left {
        Some(left) => format!("{earned}; {left} left after electricity"),
        None => earned.to_owned(),
    }
}

/// Why the last day paid nothing, and what to do.
pub fn why(why: &WhyView) -> String {
    format!("{} {}", why.sentence, why.advice)
}

/// Six digits after the point, as the ledger has nine.
pub fn amount(rao: Rao) -> String {
    rao.units().decimal(6)
}

/// With its unit.
pub fn amount_of(rao: Rao, unit: Unit) -> String {
    format!("{} {unit}", amount(rao))
}

/// Of all its digits those that a kilowatt-hour is billed by.
pub fn energy(millijoules: Option<u64>) -> String {
    match millijoules {
        #[allow(clippy::cast_precision_loss)]
        Some(millijoules) => format!("{:.3} kWh", millijoules as f64 / 3.6e9),
        None => "unknown".to_owned(),
    }
}

/// Where the figures come from; `ago` is how long ago the network was asked.
pub fn source(source: &Source, ago: Option<&str>) -> String {
    let asked = ago.map(|ago| format!(", asked {ago} ago")).unwrap_or_default();
    match source {
        Source::None => "No ledger is kept here.".to_owned(),
        Source::Unasked => "The network was not asked yet.".to_owned(),
        Source::Published => {
            format!("As the network publishes it{asked}. The sums are done again here.")
        }
        Source::NotPublished => format!(
            "This network does not publish what a miner gets{asked}. What your miner did is in the ledger."
        ),
        Source::Failing { why } => format!("Not known at present: {why}."),
        Source::Broken { why } => format!("Nothing is entered any more: {why}."),
    }
}

/// Whether an epoch counts at once.
pub fn period(period: Period) -> &'static str {
    match period {
        Period::Green => "counts at once: the loss was the run's lowest yet",
        Period::Frozen => "frozen until the loss reaches a new minimum",
    }
}

/// What is owed.
pub fn owed(pending: Rao, frozen: Rao, minimum: Rao) -> String {
    let frozen = match frozen {
        Rao::ZERO => String::new(),
        frozen => format!(", and {} frozen", amount(frozen)),
    };
    format!("{}{frozen}; paid out from {}", amount(pending), amount(minimum))
}

/// When the next payout comes: an estimate.
pub fn payout_in(epochs: Option<u64>) -> String {
    match epochs {
        Some(1) => "with the next green epoch, if it is like the last ones (estimate)".to_owned(),
        Some(n) => format!("in about {n} epochs like the last ones (estimate)"),
        None => "unknown".to_owned(),
    }
}

/// A share of a whole.
pub fn share(of: &Exact) -> String {
    format!("{} %", (of.clone() * Exact::from(100)).decimal(3))
}

/// The raw score and what it is multiplied by.
pub fn score(raw: &str, multiplier: Option<&str>) -> String {
    match multiplier {
        Some(multiplier) => format!("{raw}, times {multiplier}"),
        None => raw.to_owned(),
    }
}

/// Which epoch's.
pub fn of_epoch(score: &str, epoch: u64) -> String {
    format!("{score} (epoch {epoch})")
}

/// Its part of all scores.
pub fn part(share: &str, total: &str) -> String {
    format!("{share} of the run's {total}")
}

/// The run's part of the incentive, and what of that is burnt.
pub fn allocation(part: Option<&str>, burn: Option<&str>) -> String {
    match (part, burn) {
        (Some(part), Some(burn)) => format!("{part} of the incentive, of which {burn} is burnt"),
        _ => "nothing: the run is not among those that pay".to_owned(),
    }
}

/// What an epoch paid.
pub fn epoch_pays(earned: Rao, emission: Rao, unit: Unit) -> String {
    format!("{} of the epoch's {}", amount(earned), amount_of(emission, unit))
}

/// A row of the ledger, without its time.
pub fn entry(entry: &EntryView, unit: Unit) -> String {
    match entry {
        EntryView::Epoch { epoch, earned, period, .. } => {
            let frozen = if *period == Period::Frozen { ", frozen" } else { "" };
            format!("epoch {epoch}: earned {}{frozen}", amount(*earned))
        }
        EntryView::Payout { gross, net, by, .. } => {
            format!("paid out {}; {} arrived ({by})", amount_of(*gross, unit), amount(*net))
        }
    }
}

/// How long ago, at the front of a row.
pub fn ago(ago: &str) -> String {
    format!("{ago} ago")
}
