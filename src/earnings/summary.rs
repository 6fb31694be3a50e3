//! What came of a time: earned, paid, spent on electricity, left. Money and practice points stay apart, each
//! with the work that was done for it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use super::exact::Exact;
use super::formula::Period;
use super::ledger::{At, EpochRow, PaidBy, Payment, Rows, Span, Work};
use super::money::{Amount, Rao, Unit};
use super::power::{Net, Tariff};
use super::why::amounts;
use super::worth::worth;

/// How networks that pay nothing are called.
const PRACTICE: &str = "practice";
/// Milliseconds of an hour.
const HOUR: u64 = 3_600_000;

/// The times that are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Time {
    /// Since midnight.
    Today,
    /// The last 24 hours.
    Day,
    /// The last 7 days.
    Week,
    /// The last 30 days.
    Month,
    /// Since the ledger was begun.
    All,
}

impl Time {
    /// All of them, the shortest first.
    pub const ALL: [Self; 5] = [Self::Today, Self::Day, Self::Week, Self::Month, Self::All];

    /// Its name.
    pub fn word(self) -> &'static str {
        match self {
            Self::Today => "today",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
            Self::All => "all",
        }
    }

    /// The time of that name.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|time| time.word() == word)
    }

    /// From when to when. It goes a little beyond now, for servers whose clock is ahead.
    pub fn span(self, now: At, zone: &TimeZone) -> Span {
        let until = At(now.0.saturating_add(HOUR));
        let back = |hours: u64| At(now.0.saturating_sub(hours * HOUR));
        let since = match self {
            Self::Today => midnight(now, zone).unwrap_or_else(|| back(24)),
            Self::Day => back(24),
            Self::Week => back(24 * 7),
            Self::Month => back(24 * 30),
            Self::All => return Span::ALL,
        };
        Span { since, until }
    }
}

/// A calendar day of this place; none beyond what a calendar holds.
pub fn day(date: jiff::civil::Date, zone: &TimeZone) -> Option<Span> {
    let at = |date: jiff::civil::Date| {
        let start = date.to_zoned(zone.clone()).ok()?.timestamp();
        u64::try_from(start.as_millisecond()).ok().map(At)
    };
    Some(Span { since: at(date)?, until: at(date.checked_add(1.day()).ok()?)? })
}

/// The date of a moment.
pub fn date(at: At, zone: &TimeZone) -> Option<jiff::civil::Date> {
    let time = Timestamp::from_millisecond(i64::try_from(at.0).ok()?).ok()?;
    Some(zone.to_datetime(time).date())
}

fn midnight(now: At, zone: &TimeZone) -> Option<At> {
    day(date(now, zone)?, zone).map(|day| day.since)
}

/// Whether a network pays nothing that is worth anything.
pub fn is_practice(network: &str) -> bool {
    network.starts_with(PRACTICE)
}

/// The payouts that count. Where a network tells what it paid, a change of stake or balance is the same
/// money seen again, and is not counted once more.
pub fn counted(rows: &Rows) -> impl Iterator<Item = &Payment> {
    let told = |row: &&Payment| matches!(row.by, PaidBy::Answer(_));
    let tell: BTreeSet<&str> =
        rows.payouts.iter().filter(told).map(|row| row.network.as_str()).collect();
    rows.payouts.iter().filter(move |row| told(row) || !tell.contains(row.network.as_str()))
}

/// By what figures become values.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// What a kWh costs.
    pub tariff: Option<&'a Tariff>,
    /// The currency of values: that of the tariff, or else of the price source.
    pub currency: Option<&'a str>,
    /// This place's time.
    pub zone: &'a TimeZone,
}

/// What came of a time on one side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Side {
    /// Epochs that were closed.
    pub epochs: usize,
    /// What was earned in them, by unit; where no network publishes epochs, what was paid.
    pub earned: Vec<Amount>,
    /// Of that, what waits for a green period.
    pub frozen: Vec<Amount>,
    /// What was paid, by unit.
    pub paid: Vec<Amount>,
    /// What is left after electricity.
    pub net: Net,
    /// Milliseconds by what they went into.
    pub spent: BTreeMap<String, u64>,
}

/// What came of a time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// From when to when.
    pub span: Span,
    /// Networks that pay money.
    pub money: Side,
    /// Practice swarms.
    pub practice: Side,
}

/// Sums a time up.
pub fn summary(rows: &Rows, span: Span, by: By<'_>) -> Summary {
    let side = |practice: fn(&str) -> bool| side(rows, span, by, practice);
    Summary { span, money: side(|network| !is_practice(network)), practice: side(is_practice) }
}

fn side(rows: &Rows, span: Span, by: By<'_>, here: fn(&str) -> bool) -> Side {
    let work: Vec<&Work> =
        rows.work.iter().filter(|row| here(&row.network) && span.touches(row)).collect();
    let epochs: Vec<&EpochRow> =
        rows.epochs.iter().filter(|row| here(&row.network) && span.holds(row.at)).collect();
    let payouts: Vec<&Payment> =
        counted(rows).filter(|row| here(&row.network) && span.holds(row.at)).collect();
    let paid = amounts(payouts.iter().copied());
    let published = sums(epochs.iter().map(|row| (row.unit, row.entitlement)));
    let earned = if epochs.is_empty() { paid.clone() } else { published };
    let frozen = epochs.iter().filter(|row| row.period == Period::Frozen);
    let frozen = sums(frozen.map(|row| (row.unit, row.entitlement)));
    let value = match epochs.is_empty() {
        true => valued(rows, by, payouts.iter().map(|row| (row.at, row.net, row.unit))),
        false => valued(rows, by, epochs.iter().map(|row| (row.at, row.entitlement, row.unit))),
    };
    let mut spent = BTreeMap::new();
    for (what, ms) in work.iter().flat_map(|row| &row.spent) {
        let sum: &mut u64 = spent.entry(what.clone()).or_default();
        *sum = sum.saturating_add(*ms);
    }
    let net = Net::of(work, value, by.tariff, by.zone);
    Side { epochs: epochs.len(), earned, frozen, paid, net, spent }
}

/// What all of it was worth, each at its time.
fn valued(
    rows: &Rows,
    by: By<'_>,
    all: impl Iterator<Item = (At, Rao, Unit)>,
) -> Result<Exact, String> {
    let mut sum = Exact::zero();
    for (at, rao, unit) in all.filter(|(_, rao, _)| *rao > Rao::ZERO) {
        let currency = by.currency.ok_or("no currency is set (price_currency)")?;
        let value = worth(&rows.prices, Amount { rao, unit }, currency, at);
        sum = sum + value.map_err(|why| why.to_string())?.value;
    }
    Ok(sum)
}

fn sums(all: impl Iterator<Item = (Unit, Rao)>) -> Vec<Amount> {
    let mut sums: BTreeMap<Unit, Exact> = BTreeMap::new();
    for (unit, rao) in all {
        let sum = sums.entry(unit).or_insert_with(Exact::zero);
        *sum = sum.clone() + Exact::from(rao.0);
    }
    let amount =
        |(unit, sum): (Unit, Exact)| Amount { rao: Rao(sum.floor().unwrap_or(u64::MAX)), unit };
    sums.into_iter().map(amount).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::earnings::ledger::tests::{answer, public_pay, work};
    use crate::earnings::ledger::{AnswerKind, Price, RowId};

    #[test]
    fn money_and_points_are_never_in_one_sum() {
        let pay = public_pay(&[(&[("m0", 3.0), ("m1", 1.0)], 3.0), (&[("m0", 1.0)], 4.0)]);
        let told = answer(AnswerKind::PublicPay, serde_json::to_vec(&pay).unwrap(), 1);
        let derived = crate::earnings::derive::derive(RowId(1), &told).unwrap();
        let alpha = Payment {
            at: At(1_800_000_000_000),
            network: "mainnet".to_owned(),
            name: "n".to_owned(),
            hotkey: None,
            address: None,
            gross: Rao(2_000_000_000),
            fee: None,
            net: Rao(2_000_000_000),
            unit: Unit::Alpha,
            by: PaidBy::Stake(RowId(1)),
        };
        let mut payouts = derived.payouts;
        payouts.push(alpha);
        let price = |of, currency: &str, price: &str| Price {
            at: At(1),
            of,
            currency: currency.to_owned(),
            price: price.parse().unwrap(),
            source: "s".to_owned(),
        };
        let rows = Rows {
            epochs: derived.epochs,
            payouts,
            work: vec![work(0), Work { network: "mainnet".to_owned(), ..work(1) }],
            prices: vec![price(Unit::Alpha, "tao", "0.05"), price(Unit::Tao, "EUR", "300")],
            ..Rows::default()
        };
        let tariff =
            Tariff { currency: "EUR".to_owned(), day: "0.3".parse().unwrap(), night: None };
        let by = By { tariff: Some(&tariff), currency: Some("EUR"), zone: &TimeZone::UTC };
        let Summary { money, practice, .. } = summary(&rows, Span::ALL, by);
        let two = Amount { rao: Rao(2_000_000_000), unit: Unit::Alpha };
        assert_eq!((money.earned, money.paid, money.epochs), (vec![two], vec![two], 0));
        // 2 x 0.05 x 300 less 6000 J, which are a 600th of a kWh, at 0.30.
        assert_eq!(money.net.net, Some("29.9995".parse().unwrap()));
        assert_eq!((money.net.tokens, practice.net.tokens), (4096, 4096));
        assert!(practice.earned.iter().all(|amount| amount.unit == Unit::Points));
        // 0.675, 0.225, then all nine tenths in a frozen period.
        assert_eq!(practice.earned[0].rao, Rao(675_000_004 + 225_000_001 + 900_000_006));
        assert_eq!(practice.frozen[0].rao, Rao(900_000_006));
        assert_eq!(practice.net.earned, None, "worth nothing, and not even zero");
        assert_eq!(practice.spent["backward"], 50_000);
    }

    #[test]
    fn what_the_network_tells_and_the_chain_shows_is_counted_once() {
        let payment = |network: &str, name: &str, by| Payment {
            at: At(5),
            network: network.to_owned(),
            name: name.to_owned(),
            hotkey: None,
            address: None,
            gross: Rao(7),
            fee: None,
            net: Rao(7),
            unit: Unit::Alpha,
            by,
        };
        let payouts = vec![
            payment("tells", "a", PaidBy::Answer(RowId(1))),
            payment("tells", "b", PaidBy::Stake(RowId(1))),
            payment("silent", "c", PaidBy::Balance(RowId(2))),
        ];
        let rows = Rows { payouts, ..Rows::default() };
        let names: Vec<&str> = counted(&rows).map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["a", "c"]);
        let by = By { tariff: None, currency: None, zone: &TimeZone::UTC };
        assert_eq!(summary(&rows, Span::ALL, by).money.paid[0].rao, Rao(14));
    }

    #[test]
    fn today_begins_at_the_midnight_of_this_place() {
        let berlin = TimeZone::get("Europe/Berlin").unwrap();
        let time: Timestamp = "2026-08-01T23:30:00Z".parse().unwrap();
        let now = At(u64::try_from(time.as_millisecond()).unwrap());
        let midnight: Timestamp = "2026-08-01T22:00:00Z".parse().unwrap();
        let since = Time::Today.span(now, &berlin).since;
        assert_eq!(since, At(u64::try_from(midnight.as_millisecond()).unwrap()));
        assert_eq!(now.since(Time::Week.span(now, &berlin).since), 7 * 24 * HOUR);
        // The night on which the clocks go back has 25 hours.
        let long = day(jiff::civil::date(2026, 10, 25), &berlin).unwrap();
        assert_eq!(long.until.since(long.since), 25 * HOUR);
        for time in Time::ALL {
            assert_eq!(Time::of(time.word()), Some(time));
        }
    }
}
