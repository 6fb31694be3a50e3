//! The report of one day: for each miner its time in each state, what it did, took and earned, what was
//! lost and to what, and why nothing was paid if nothing was.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::ledger::{Energy, Lost, Millijoules, Rows, Span, Submitted, Work};
use super::money::Amount;
use super::power::Net;
use super::summary::{By, is_practice, summary};
use super::why::{Explained, Question, Registration, why};

/// One miner's day.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MinerDay {
    /// The network.
    pub network: String,
    /// The miner.
    pub hotkey: String,
    /// Milliseconds by what they went into.
    pub spent: BTreeMap<String, u64>,
    /// Forwards done.
    pub forwards: u64,
    /// Backwards done.
    pub backwards: u64,
    /// Partitions merged and accepted.
    pub partitions: u64,
    /// Uploads that came through, and that did not.
    pub uploads: [u64; 2],
    /// Merges that it took part in, and that it missed.
    pub merges: [u64; 2],
    /// Epochs by whether its weights came in time, by the own count.
    pub weights_missed: u64,
    /// Tokens trained on.
    pub tokens: u64,
    /// Energy of all work of which it is known.
    pub energy: Millijoules,
    /// How the energy is known.
    pub energy_by: BTreeSet<String>,
    /// What was earned, by unit.
    pub earned: Vec<Amount>,
    /// What was paid, by unit.
    pub paid: Vec<Amount>,
    /// What is left after electricity.
    pub net: Net,
    /// Work that was lost, and to what.
    pub lost: Vec<Lost>,
    /// Why nothing was paid, or what stood against more.
    pub why: Explained,
}

/// All miners of the rows, by network and hotkey.
pub fn miners(rows: &Rows) -> BTreeSet<(String, String)> {
    let work = rows.work.iter().map(|row| (row.network.clone(), row.hotkey.clone()));
    let epochs = rows.epochs.iter().map(|row| (row.network.clone(), row.hotkey.clone()));
    let standings = rows.standings.iter().map(|row| (row.network.clone(), row.hotkey.clone()));
    work.chain(epochs).chain(standings).collect()
}

/// Reports a time, for each miner that has a row in it.
pub fn report(
    rows: &Rows,
    span: Span,
    by: By<'_>,
    registration: impl Fn(&str, &str) -> Registration,
) -> Vec<MinerDay> {
    let day = |(network, hotkey): (String, String)| {
        let own = own(rows, &network, &hotkey);
        let active = own.work.iter().any(|row| span.touches(row))
            || own.epochs.iter().any(|row| span.holds(row.at));
        if !active {
            return None;
        }
        let registration = registration(&network, &hotkey);
        let question = Question { rows, network: &network, hotkey: &hotkey, span, registration };
        Some(miner_day(&own, span, by, why(&question), network.clone(), hotkey.clone()))
    };
    miners(rows).into_iter().filter_map(day).collect()
}

/// The rows of one miner, with the prices of all.
fn own(rows: &Rows, network: &str, hotkey: &str) -> Rows {
    let is = |its: &str, other: &str| its == network && other == hotkey;
    Rows {
        epochs: rows.epochs.iter().filter(|row| is(&row.network, &row.hotkey)).cloned().collect(),
        work: rows.work.iter().filter(|row| is(&row.network, &row.hotkey)).cloned().collect(),
        payouts: rows
            .payouts
            .iter()
            .filter(|row| is(&row.network, row.hotkey.as_deref().unwrap_or_default()))
            .cloned()
            .collect(),
        prices: rows.prices.clone(),
        ..Rows::default()
    }
}

fn miner_day(
    own: &Rows,
    span: Span,
    by: By<'_>,
    why: Explained,
    network: String,
    hotkey: String,
) -> MinerDay {
    let both = summary(own, span, by);
    let side = if is_practice(&network) { both.practice } else { both.money };
    let work: Vec<&Work> = own.work.iter().filter(|row| span.touches(row)).collect();
    let sum =
        |of: fn(&Work) -> u64| work.iter().fold(0_u64, |sum, row| sum.saturating_add(of(row)));
    let energy_by = work.iter().map(|row| match &row.energy {
        Energy::Measured { by, .. } => format!("measured by {by}"),
        Energy::Estimated { from, .. } => format!("estimate: {from}"),
        Energy::Unknown => "unknown for a part".to_owned(),
    });
    MinerDay {
        network,
        hotkey,
        spent: side.spent,
        forwards: sum(|row| row.forwards),
        backwards: sum(|row| row.backwards),
        partitions: sum(|row| row.partitions),
        uploads: [sum(|row| row.uploads), sum(|row| row.uploads_missed)],
        merges: [sum(|row| row.merges), sum(|row| row.merges_missed)],
        weights_missed: sum(|row| u64::from(row.weights == Submitted::Missing)),
        tokens: side.net.tokens,
        energy: side.net.energy,
        energy_by: energy_by.collect(),
        earned: side.earned,
        paid: side.paid,
        net: side.net,
        lost: work.iter().flat_map(|row| row.lost.iter().cloned()).collect(),
        why,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::earnings::ledger::At;
    use crate::earnings::ledger::tests::work;
    use jiff::tz::TimeZone;

    #[test]
    fn a_day_says_what_was_done_taken_and_lost_by_each_miner() {
        let other =
            Work { hotkey: "m1".to_owned(), energy: Energy::Unknown, lost: Vec::new(), ..work(1) };
        let rows = Rows { work: vec![work(0), work(1), other, work(5000)], ..Rows::default() };
        let since = At(1_800_000_000_000);
        let span = Span { since, until: At(since.0 + 86_400_000) };
        let by = By { tariff: None, currency: None, zone: &TimeZone::UTC };
        let days = report(&rows, span, by, |_, _| Registration::NotAsked);
        assert_eq!(days.iter().map(|day| &*day.hotkey).collect::<Vec<_>>(), ["m0", "m1"]);
        let m0 = &days[0];
        // Two minutes of that day, not the one three days later.
        assert_eq!((m0.spent["backward"], m0.spent["pause"]), (100_000, 20_000));
        assert_eq!((m0.backwards, m0.tokens, m0.merges), (8, 8192, [2, 0]));
        assert_eq!((m0.energy, m0.lost.len()), (Millijoules(12_000_000), 2));
        assert_eq!(m0.energy_by, BTreeSet::from(["measured by NVML".to_owned()]));
        assert_eq!(days[1].net.unmeasured, 60_000);
        assert!(days[1].energy_by.contains("unknown for a part"));
        assert_eq!(m0.why.deciding.as_ref().unwrap().code(), "zero-unknown");
    }
}
