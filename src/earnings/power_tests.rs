//! Energy by day and by night, its price and what is left, by hand.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::earnings::ledger::Submitted;

fn exact(text: &str) -> Exact {
    text.parse().unwrap()
}

fn at(text: &str) -> At {
    let time: Timestamp = text.parse().unwrap();
    At(u64::try_from(time.as_millisecond()).unwrap())
}

fn tariff() -> Tariff {
    let hours = "22:00-06:00".parse().unwrap();
    let night = Some(Night { hours, price: exact("0.20") });
    Tariff { currency: "EUR".to_owned(), day: exact("0.30"), night }
}

fn work(since: &str, until: &str, energy: Energy) -> Work {
    let (since, until) = (at(since), at(until));
    Work {
        network: "mainnet".to_owned(),
        hotkey: "m0".to_owned(),
        life: "l".to_owned(),
        part: 0,
        since,
        until,
        run: None,
        stage: None,
        epoch: None,
        forwards: 0,
        backwards: 0,
        partitions: 0,
        uploads: 0,
        uploads_missed: 0,
        weights: Submitted::NotAsked,
        merges: 0,
        merges_missed: 0,
        tokens: 1_000_000,
        spent: BTreeMap::from([("backward".to_owned(), until.since(since))]),
        energy,
        validated: None,
        failed: None,
        payout_address: None,
        lost: Vec::new(),
    }
}

fn measured(kwh: u64) -> Energy {
    let millijoules = Millijoules(kwh * Millijoules::KWH);
    Energy::Measured { millijoules, by: "NVML".to_owned() }
}

#[test]
fn an_evening_that_goes_into_the_night_is_split_at_the_hour() {
    let tariff = tariff();
    // Three hours by day, one by night; 4 kWh: 3 x 0.30 + 1 x 0.20.
    let evening = work("2026-08-01T19:00:00Z", "2026-08-01T23:00:00Z", measured(4));
    assert_eq!(tariff.cost_of(&evening, &TimeZone::UTC), Some(exact("1.1")));
    // In Berlin it is 21 to 1 o'clock: one hour by day, three by night.
    let berlin = TimeZone::get("Europe/Berlin").unwrap();
    assert_eq!(tariff.cost_of(&evening, &berlin), Some(exact("0.9")));
    // Two whole days: 16 hours by day and 8 by night, each.
    let days = work("2026-08-01T10:00:00Z", "2026-08-03T10:00:00Z", measured(48));
    assert_eq!(tariff.cost_of(&days, &TimeZone::UTC), Some(exact("12.8")));
    assert_eq!(tariff.at(at("2026-08-01T22:00:00Z"), &TimeZone::UTC), &exact("0.20"));
    assert_eq!(tariff.at(at("2026-08-01T06:00:00Z"), &TimeZone::UTC), &exact("0.30"));
    // A clock that was set back: what was taken counts when it began.
    let back = work("2026-08-01T23:00:00Z", "2026-08-01T12:00:00Z", measured(1));
    assert_eq!(tariff.cost_of(&back, &TimeZone::UTC), Some(exact("0.2")));
    let flat = Tariff { night: None, ..tariff };
    assert_eq!(flat.cost_of(&evening, &TimeZone::UTC), Some(exact("1.2")));
}

#[test]
fn what_is_left_an_hour_is_what_was_earned_less_the_electricity() {
    let two = [
        work("2026-08-01T10:00:00Z", "2026-08-01T12:00:00Z", measured(1)),
        work("2026-08-01T12:00:00Z", "2026-08-01T14:00:00Z", stated(500.0, 7_200_000)),
    ];
    let net = Net::of(&two, Ok(exact("1.60")), Some(&tariff()), &TimeZone::UTC);
    // 2 kWh at 0.30; 1.00 left over four hours.
    assert_eq!((net.cost.clone(), net.net.clone()), (Some(exact("0.6")), Some(exact("1"))));
    assert_eq!(net.an_hour(), Some(exact("0.25")));
    assert_eq!(net.tokens_per_kwh(), Some(exact("1000000")));
    assert_eq!(net.unknown, [""; 0]);
}

#[test]
fn what_nobody_knows_is_said_and_not_taken_for_nothing() {
    let dark = [work("2026-08-01T10:00:00Z", "2026-08-01T12:00:00Z", Energy::Unknown)];
    let net = Net::of(&dark, Ok(exact("1")), Some(&tariff()), &TimeZone::UTC);
    assert_eq!((net.cost, net.net, net.unmeasured), (None, None, 7_200_000));
    assert!(net.unknown[0].contains("120 minutes"), "{:?}", net.unknown);
    let lit = [work("2026-08-01T10:00:00Z", "2026-08-01T12:00:00Z", measured(1))];
    let net = Net::of(&lit, Err("no price of TAO".to_owned()), None, &TimeZone::UTC);
    assert_eq!((net.net.clone(), net.an_hour(), net.unknown.len()), (None, None, 2));
    assert_eq!(stated(f64::NAN, 5), Energy::Unknown);
    assert_eq!(stated(1e9, 5), Energy::Unknown);
}

#[test]
fn the_settings_name_price_night_and_currency() {
    let read = |text: &str| Tariff::read(&Settings::of_text(Path::new("c"), text).unwrap());
    assert_eq!(read("").unwrap(), None);
    assert_eq!(read("kwh_price = \"off\"").unwrap(), None);
    let both = read("kwh_price = \"0.30 EUR\"\nkwh_price_night = \"0.20 eur\"").unwrap().unwrap();
    assert_eq!(both, tariff());
    let other = read("kwh_price = \"0.30 EUR\"\nkwh_price_night = \"0.20 CHF\"").unwrap_err();
    assert!(other.to_string().contains("must be in EUR"), "{other}");
    assert_eq!(read("kwh_price = \"much\"").unwrap_err().code(), "config-value");
    let hours = "kwh_price = \"0.30 EUR\"\nkwh_price_night = \"0.20 EUR\"\nnight_hours = \"late\"";
    assert_eq!(read(hours).unwrap_err().code(), "config-value");
}

proptest! {
    #[test]
    fn day_and_night_are_all_of_it(
        since in 0u64..4_000_000_000_000, length in 0u64..200_000_000, energy in any::<u64>(),
    ) {
        let split = tariff().split(At(since), At(since + length), Millijoules(energy), &TimeZone::UTC);
        prop_assert_eq!(u128::from(split.day.0) + u128::from(split.night.0), u128::from(energy));
    }
}
