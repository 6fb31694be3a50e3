//! Electricity: what the energy of a stretch of work costs by day and by night, and what is left of the
//! pay. Pure; the watts are measured elsewhere.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::exact::Exact;
use super::ledger::{At, Energy, Millijoules, Work};
use crate::config::hours::{Hours, Place};
use crate::config::settings::{Key, Settings, SettingsError};
use crate::config::units;

/// So many changes of the tariff are looked for within one stretch of work; what is beyond counts by day.
const MOST_CHANGES: usize = 1000;

/// What a kWh costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Tariff {
    /// In which currency: three letters.
    pub currency: String,
    /// A kWh, by day.
    pub day: Exact,
    /// By night, where that differs.
    pub night: Option<Night>,
}

/// The night's tariff.
#[derive(Clone, Debug, PartialEq)]
pub struct Night {
    /// When it is night.
    pub hours: Hours,
    /// A kWh.
    pub price: Exact,
}

/// Energy by tariff. The two are all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ByTariff {
    /// By day.
    pub day: Millijoules,
    /// By night.
    pub night: Millijoules,
}

impl Tariff {
    /// The tariff of these settings; none where the user named no price.
    ///
    /// # Errors
    /// A value that cannot be read.
    pub fn read(settings: &Settings) -> Result<Option<Self>, SettingsError> {
        let price = |key: Key| -> Result<Option<(Exact, String)>, SettingsError> {
            let Some(text) = settings.text(key) else { return Ok(None) };
            let read = units::or_off(&text.value, units::price);
            let Some((number, currency)) = read.map_err(|why| settings.refuse(key, why))? else {
                return Ok(None);
            };
            let exact = number.parse::<Exact>().map_err(|why| settings.refuse(key, why))?;
            Ok(Some((exact, currency)))
        };
        let Some((day, currency)) = price(Key::KwhPrice)? else { return Ok(None) };
        let night = match price(Key::KwhPriceNight)? {
            None => None,
            Some((_, other)) if other != currency => {
                let why = format!("it must be in {currency}, as kwh_price is");
                return Err(settings.refuse(Key::KwhPriceNight, why));
            }
            Some((price, _)) => {
                let text = settings.text(Key::NightHours);
                let text = text.map_or(Key::NightHours.default_words(), |given| &given.value);
                let hours = text.trim().parse::<Hours>();
                let hours = hours.map_err(|why| settings.refuse(Key::NightHours, why))?;
                Some(Night { hours, price })
            }
        };
        Ok(Some(Self { currency, day, night }))
    }

    /// What a kWh costs at this moment.
    pub fn at(&self, at: At, zone: &TimeZone) -> &Exact {
        match &self.night {
            Some(night) if is_night(night, at, zone) => &night.price,
            _ => &self.day,
        }
    }

    /// Energy that was taken evenly between two moments, by tariff.
    pub fn split(&self, since: At, until: At, energy: Millijoules, zone: &TimeZone) -> ByTariff {
        let all_day = ByTariff { day: energy, night: Millijoules(0) };
        let all_night = ByTariff { day: Millijoules(0), night: energy };
        let Some(night) = &self.night else { return all_day };
        let length = until.since(since);
        if length == 0 {
            return if is_night(night, since, zone) { all_night } else { all_day };
        }
        let (mut at, mut dark) = (since, 0_u64);
        for _ in 0..MOST_CHANGES {
            let place = place(night, at, zone);
            let change = match place {
                Place::Inside(until) | Place::Outside(until) => until.and_then(moment),
            };
            let next = change.filter(|next| *next > at && *next < until).unwrap_or(until);
            if matches!(place, Place::Inside(_)) {
                dark += next.since(at);
            }
            at = next;
            if at >= until {
                break;
            }
        }
        let share = Exact::ratio(dark, length).unwrap_or_else(Exact::zero);
        let dark = (Exact::from(energy.0) * share).floor().unwrap_or(energy.0).min(energy.0);
        ByTariff { day: Millijoules(energy.0 - dark), night: Millijoules(dark) }
    }

    /// What that costs.
    pub fn cost(&self, energy: ByTariff) -> Exact {
        let night = self.night.as_ref().map_or(&self.day, |night| &night.price);
        energy.day.kwh() * self.day.clone() + energy.night.kwh() * night.clone()
    }

    /// What a stretch of work costs; none where its energy is unknown.
    pub fn cost_of(&self, work: &Work, zone: &TimeZone) -> Option<Exact> {
        let energy = work.energy.millijoules()?;
        Some(self.cost(self.split(work.since, work.until, energy, zone)))
    }
}

fn place(night: &Night, at: At, zone: &TimeZone) -> Place {
    let now = i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    now.map_or(Place::Outside(None), |now| night.hours.at(now, zone))
}

fn is_night(night: &Night, at: At, zone: &TimeZone) -> bool {
    matches!(place(night, at, zone), Place::Inside(_))
}

fn moment(time: Timestamp) -> Option<At> {
    u64::try_from(time.as_millisecond()).ok().map(At)
}

/// What the user says that the device takes.
pub fn stated_watts(settings: &Settings) -> Option<f64> {
    let text = settings.text(Key::Watts)?;
    // What cannot be read was complained about when the settings were read.
    units::or_off(&text.value, units::amount).ok().flatten()
}

/// The energy of so many milliseconds at these watts, as a statement of the user's.
pub fn stated(watts: f64, milliseconds: u64) -> Energy {
    let sane = watts.is_finite() && (0.0..=100_000.0).contains(&watts);
    let exact = Exact::of_double(watts).filter(|_| sane);
    let millijoules = exact.and_then(|watts| (watts * Exact::from(milliseconds)).floor());
    match millijoules {
        Some(all) => Energy::Estimated {
            millijoules: Millijoules(all),
            from: format!("{watts} W as you stated it, for the time it ran"),
        },
        None => Energy::Unknown,
    }
}

/// What a stretch of time earned and cost, in one currency, and what is left. Parts that nobody knows are
/// none, with the reason.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Net {
    /// The currency; empty where there is no price of electricity.
    pub currency: String,
    /// What was earned.
    pub earned: Option<Exact>,
    /// What its electricity cost.
    pub cost: Option<Exact>,
    /// What is left.
    pub net: Option<Exact>,
    /// Milliseconds of work.
    pub milliseconds: u64,
    /// Energy of all work of which it is known.
    pub energy: Millijoules,
    /// Milliseconds of work of which nobody knows the energy.
    pub unmeasured: u64,
    /// Tokens trained on.
    pub tokens: u64,
    /// Why something is unknown.
    pub unknown: Vec<String>,
}

impl Net {
    /// Of all that was worked, and of what it earned in `currency` or why that is unknown.
    pub fn of<'a>(
        work: impl IntoIterator<Item = &'a Work>,
        earned: Result<Exact, String>,
        tariff: Option<&Tariff>,
        zone: &TimeZone,
    ) -> Self {
        let mut net = Self {
            currency: tariff.map_or_else(String::new, |tariff| tariff.currency.clone()),
            earned: None,
            cost: tariff.map(|_| Exact::zero()),
            net: None,
            milliseconds: 0,
            energy: Millijoules(0),
            unmeasured: 0,
            tokens: 0,
            unknown: Vec::new(),
        };
        for work in work {
            net.milliseconds = net.milliseconds.saturating_add(work.milliseconds());
            net.tokens = net.tokens.saturating_add(work.tokens);
            match work.energy.millijoules() {
                Some(Millijoules(energy)) => {
                    net.energy = Millijoules(net.energy.0.saturating_add(energy));
                }
                None => net.unmeasured = net.unmeasured.saturating_add(work.milliseconds()),
            }
            let cost = tariff.and_then(|tariff| tariff.cost_of(work, zone));
            net.cost = net.cost.map(|sum| sum + cost.unwrap_or_else(Exact::zero));
        }
        if tariff.is_none() {
            net.unknown.push("what a kWh costs is not set (kwh_price)".to_owned());
        }
        if net.unmeasured > 0 {
            let minutes = net.unmeasured.div_ceil(60_000);
            net.unknown.push(format!(
                "the power of {minutes} minutes was not measured; `watts` states an estimate"
            ));
            net.cost = None;
        }
        match earned {
            Ok(earned) => net.earned = Some(earned),
            Err(why) => net.unknown.push(why),
        }
        net.net = match (&net.earned, &net.cost) {
            (Some(earned), Some(cost)) => Some(earned.clone() - cost.clone()),
            _ => None,
        };
        net
    }

    /// What is left an hour, at the rate of this stretch; none without time.
    pub fn an_hour(&self) -> Option<Exact> {
        let hours = Exact::ratio(self.milliseconds, 3_600_000)?;
        self.net.as_ref()?.over(&hours)
    }

    /// Tokens for each kWh; none without energy.
    pub fn tokens_per_kwh(&self) -> Option<Exact> {
        Exact::from(self.tokens).over(&self.energy.kwh())
    }
}

#[cfg(test)]
#[path = "power_tests.rs"]
mod tests;
