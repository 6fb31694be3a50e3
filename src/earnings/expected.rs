//! What an hour of work would leave: the pay of the last day by the hour worked, at the newest prices, less
//! the watts of that work at the electricity's price of this hour. It looks ahead, so that a miner that
//! pauses because night power is cheaper knows when to go on.

use jiff::tz::TimeZone;

use super::exact::Exact;
use super::ledger::{At, Millijoules, Rows, Span, Work};
use super::money::{Amount, Rao};
use super::power::Tariff;
use super::rules::PayRules;
use super::summary::is_practice;
use super::worth::worth;

/// Milliseconds of an hour.
const HOUR: u64 = 3_600_000;
/// Milliseconds of a day.
const DAY: u64 = 24 * HOUR;

/// From what.
#[derive(Clone, Copy, Debug)]
pub struct Expectation<'a> {
    /// The ledger's rows of the last days.
    pub rows: &'a Rows,
    /// The rules of pay.
    pub rules: &'a PayRules,
    /// What a kWh costs.
    pub tariff: &'a Tariff,
    /// The watts that the user states, where nothing measures them.
    pub watts: Option<f64>,
    /// Now.
    pub now: At,
    /// This place's time.
    pub zone: &'a TimeZone,
}

/// What an hour of work from now on would leave, in the tariff's currency.
///
/// # Errors
/// Why that cannot be known, as a clause.
pub fn expected(by: &Expectation<'_>) -> Result<Exact, String> {
    let work: Vec<&Work> = by.rows.work.iter().filter(|row| !is_practice(&row.network)).collect();
    if work.is_empty() {
        return Err(match by.rows.work.is_empty() {
            true => "nothing was earned here yet",
            false => "practice points have no price",
        }
        .to_owned());
    }
    let cost = hourly_energy(by, &work)?.kwh() * by.tariff.at(by.now, by.zone).clone();
    Ok(hourly_pay(by, &work)? - cost)
}

/// The last stretches in which the device computed, and what they took an hour.
fn hourly_energy(by: &Expectation<'_>, work: &[&Work]) -> Result<Millijoules, String> {
    let computed = |row: &&&Work| row.tokens > 0 && row.energy.millijoules().is_some();
    let (mut energy, mut time) = (0_u64, 0_u64);
    for row in work.iter().rev().filter(computed) {
        energy = energy.saturating_add(row.energy.millijoules().map_or(0, |energy| energy.0));
        time = time.saturating_add(row.milliseconds());
        if time >= HOUR {
            break;
        }
    }
    let measured = Exact::from(energy).over(&Exact::from(time));
    // Thousandths of a joule in a thousandth of a second are watts.
    let stated = by.watts.and_then(Exact::of_double);
    let watts =
        measured.or(stated).ok_or("its power is not measured; `watts` states an estimate")?;
    let hour = (watts * Exact::from(HOUR)).floor().ok_or("its power makes no sense")?;
    Ok(Millijoules(hour))
}

/// The pay of an hour of work, at the newest prices.
fn hourly_pay(by: &Expectation<'_>, work: &[&Work]) -> Result<Exact, String> {
    let currency = by.tariff.currency.as_str();
    let value = |rao: Rao, unit| {
        let worth = worth(&by.rows.prices, Amount { rao, unit }, currency, by.now);
        worth.map(|worth| worth.value).map_err(|why| why.to_string())
    };
    let day =
        Span { since: At(by.now.0.saturating_sub(DAY)), until: At(by.now.0.saturating_add(HOUR)) };
    let time: u64 = work.iter().filter(|row| day.touches(row)).map(|row| row.milliseconds()).sum();
    let hours = Exact::ratio(time, HOUR).filter(|hours| !hours.is_zero());
    let epochs =
        by.rows.epochs.iter().filter(|row| !is_practice(&row.network) && day.holds(row.at));
    let mut published = None;
    for row in epochs {
        let sum = published.unwrap_or_else(Exact::zero);
        published = Some(sum + value(row.entitlement, row.unit)?);
    }
    if let (Some(pay), Some(hours)) = (&published, &hours) {
        return pay.over(hours).ok_or_else(|| "it has not worked today".to_owned());
    }
    // The newest weight of each miner, if it stays so.
    let mut newest = std::collections::BTreeMap::new();
    for row in by.rows.standings.iter().filter(|row| !is_practice(&row.network)) {
        newest.insert((&row.network, &row.hotkey), &row.walk.weight);
    }
    if newest.is_empty() {
        return Err("the network does not publish what was earned".to_owned());
    }
    let weight: Exact = newest.into_values().cloned().sum();
    let alpha = by.rules.emission.value.a_day(&weight).over(&Exact::from(24));
    let rao = alpha.and_then(|alpha| Rao::of_units(&alpha)).ok_or("the weight makes no sense")?;
    value(rao, super::money::Unit::Alpha)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::earnings::EarningsTable;
    use crate::earnings::formula::Walk;
    use crate::earnings::ledger::{Claims, Energy, Price, RowId, StandingRow};
    use crate::earnings::money::Unit;
    use crate::earnings::power::Night;

    const NOW: At = At(1_800_000_100_000);

    fn exact(text: &str) -> Exact {
        text.parse().unwrap()
    }

    fn rows(network: &str) -> Rows {
        let price = |of, currency: &str, price: &str| Price {
            at: At(1),
            of,
            currency: currency.to_owned(),
            price: exact(price),
            source: "s".to_owned(),
        };
        let walk = Walk {
            raw: Exact::one(),
            multiplier: None,
            total: Exact::one(),
            run_total: Exact::one(),
            share: Exact::one(),
            allocation: None,
            weight: exact("0.001"),
        };
        let standing = StandingRow {
            at: At(1_800_000_000_000),
            network: network.to_owned(),
            hotkey: "m0".to_owned(),
            run: None,
            walk,
            claims: Claims::Within,
            answer: RowId(1),
        };
        let work = crate::earnings::ledger::tests::work(0);
        Rows {
            standings: vec![standing],
            work: vec![Work { network: network.to_owned(), ..work }],
            prices: vec![price(Unit::Alpha, "tao", "0.05"), price(Unit::Tao, "eur", "300")],
            ..Rows::default()
        }
    }

    fn ask(rows: &Rows, watts: Option<f64>, night: Option<Night>) -> Result<Exact, String> {
        let rules = PayRules::at(NOW, &EarningsTable::default());
        let tariff = Tariff { currency: "EUR".to_owned(), day: exact("0.5"), night };
        let zone = &TimeZone::UTC;
        expected(&Expectation { rows, rules: &rules, tariff: &tariff, watts, now: NOW, zone })
    }

    #[test]
    fn pay_by_the_newest_weight_less_the_watts_of_the_last_work() {
        // 7200 x 0.41 x 0.001 / 24 = 0.123 alpha an hour, 1.845 EUR; 6000 J a minute are 100 W: 0.05 EUR.
        assert_eq!(ask(&rows("mainnet"), None, None), Ok(exact("1.795")));
        // 2027-01-15T08:01:40Z lies in these hours: a kWh costs a tenth of it.
        let night = Night { hours: "08:00-09:00".parse().unwrap(), price: exact("0.05") };
        assert_eq!(ask(&rows("mainnet"), None, Some(night)), Ok(exact("1.84")));
        let mut unmeasured = rows("mainnet");
        unmeasured.work[0].energy = Energy::Unknown;
        assert_eq!(ask(&unmeasured, Some(1000.0), None), Ok(exact("1.345")));
        assert!(ask(&unmeasured, None, None).unwrap_err().contains("`watts`"));
    }

    #[test]
    fn what_cannot_be_known_is_said() {
        assert_eq!(
            ask(&rows("practice"), None, None).unwrap_err(),
            "practice points have no price"
        );
        assert!(ask(&Rows::default(), None, None).unwrap_err().contains("yet"));
        let mut silent = rows("mainnet");
        silent.standings.clear();
        assert!(ask(&silent, None, None).unwrap_err().contains("does not publish"));
        let mut priceless = rows("mainnet");
        priceless.prices.clear();
        assert!(ask(&priceless, None, None).unwrap_err().contains("no price of alpha"));
    }
}
