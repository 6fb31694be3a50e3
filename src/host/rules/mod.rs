//! The rules: from the clock, the readings, the settings and the user's word to one ruling, with the
//! one rule that decides. Pure: it asks nothing of the system, and what it remembers is given to it.

mod latch;
mod power;
mod ruling;
mod words;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::ToSpan as _;
use jiff::tz::TimeZone;

pub use latch::DWELL;
pub use power::Labour;
pub use ruling::{Rule, Ruling, Unknown, UserWish, Verdict};
pub use words::time_text;

use latch::{Latch, Signal};
use power::Governor;

use super::readings::{Known, PowerSource, Readings};
use crate::clock::Moment;
use crate::config::hours::Place;
pub use crate::config::rules::Manner;
use crate::config::rules::{Meanwhile, Percent, RuleSettings};
use crate::config::units::BatteryRule;

/// A battery must be so much fuller than its limit before it goes on.
const BATTERY_BACK: u8 = 5;
/// A hot device whose sensor has gone silent is left alone for so long.
const HOT_HOLD: Duration = Duration::from_secs(600);
/// How fast the measured load follows the processor.
const LOAD_FOLLOWS: Duration = Duration::from_secs(20);
/// Other programs must have become so much quieter than the limit.
const LOAD_BACK: f64 = 0.8;
/// What is left an hour must be so much more than its limit, as a part of it, before it goes on; of a limit
/// of nothing, a part of a cent.
const NET_BACK: f64 = 0.1;
/// In units of the currency.
const NET_FLOOR: f64 = 0.001;
/// Amounts of money that an hour can leave.
const AMOUNTS: std::ops::RangeInclusive<f64> = -1e9..=1e9;
/// Temperatures that a device can have, in degrees Celsius.
const TEMPERATURES: std::ops::RangeInclusive<f64> = -50.0..=250.0;

/// The time, in the three ways that rules need it.
#[derive(Clone, Debug)]
pub struct Now<'a> {
    /// Unix seconds: hours, months, "until".
    pub unix: f64,
    /// What never jumps: how long something has lasted.
    pub steady: Moment,
    /// The local time zone.
    pub zone: &'a TimeZone,
    /// Whether the device has work to do.
    pub labour: Labour,
}

/// What the rules remember between two looks.
#[derive(Clone, Debug, PartialEq)]
pub struct Past {
    latches: BTreeMap<Rule, Latch>,
    /// Of the last ruling: its rule, and since when.
    since: Option<(Rule, f64)>,
    load: Option<(f64, Moment)>,
    governor: Governor,
}

impl Default for Past {
    fn default() -> Self {
        Self { latches: BTreeMap::new(), since: None, load: None, governor: Governor::new() }
    }
}

impl Past {
    /// The user said something: what only waits for its minute to pass waits no longer, unless it
    /// protects the machine.
    pub fn hurry(&mut self) {
        for (rule, latch) in &mut self.latches {
            if !rule.protects() {
                latch.hurry();
            }
        }
    }
}

/// What one rule makes of the readings.
struct Opinion {
    rule: Rule,
    signal: Signal,
    about: String,
}

/// Decides.
pub fn judge(
    now: &Now<'_>,
    readings: &Readings,
    rules: &RuleSettings,
    user: UserWish,
    past: &mut Past,
) -> Ruling {
    let mut unknown = Vec::new();
    note_sensors(now, readings, rules, past, &mut unknown);
    let place = words::moment(now.unix).map(|moment| rules.hours.at(moment, now.zone));
    let decided = Rule::PRECEDENCE
        .into_iter()
        .find_map(|rule| decide(rule, now, rules, user.at(now.unix), place, past))
        .unwrap_or_else(|| Decided::run(Rule::NoRule, Percent::FULL, None));
    let Decided { rule, verdict, until, since } = decided;
    let since = since.unwrap_or_else(|| match past.since {
        Some((before, since)) if before == rule => since,
        _ => now.unix,
    });
    past.since = Some((rule, since));
    let sentence = sentence(rule, verdict, until, now, rules, past);
    Ruling { verdict, rule, sentence, since, until, unknown }
}

/// What one rule decides.
struct Decided {
    rule: Rule,
    verdict: Verdict,
    until: Option<f64>,
    /// Where the rule knows it better than the past does.
    since: Option<f64>,
}

impl Decided {
    fn pause(rule: Rule, until: Option<f64>) -> Self {
        Self { rule, verdict: Verdict::Pause, until, since: None }
    }

    fn run(rule: Rule, percent: Percent, until: Option<f64>) -> Self {
        Self { rule, verdict: Verdict::Run(percent), until, since: None }
    }
}

/// What `rule` decides, if it has anything to say.
fn decide(
    rule: Rule,
    now: &Now<'_>,
    rules: &RuleSettings,
    user: UserWish,
    place: Option<Place>,
    past: &Past,
) -> Option<Decided> {
    #[allow(clippy::cast_precision_loss)]
    let unix = |time: jiff::Timestamp| time.as_second() as f64;
    let closes = match place {
        Some(Place::Inside(until)) => until.map(unix),
        _ => None,
    };
    #[allow(clippy::cast_precision_loss)]
    match (rule, user) {
        (Rule::UserPaused, UserWish::Pause { since, until }) => {
            let until = until.map(|until| until as f64);
            Some(Decided { since: Some(since), ..Decided::pause(rule, until) })
        }
        (Rule::RunAnyway, UserWish::RunAnyway { since, until }) => {
            let (percent, _) = share(rules, past);
            let run = Decided::run(rule, percent, Some(until as f64));
            Some(Decided { since: Some(since), ..run })
        }
        (Rule::OutsideHours, _) => match place {
            Some(Place::Outside(until)) => Some(Decided::pause(rule, until.map(unix))),
            _ => None,
        },
        (Rule::PowerLimit | Rule::DutyCycle, _) => {
            let (percent, why) = share(rules, past);
            (why == rule).then(|| Decided::run(rule, percent, closes))
        }
        (Rule::NoRule, _) => Some(Decided::run(rule, Percent::FULL, closes)),
        (rule, _) => {
            let latch = past.latches.get(&rule).filter(|latch| latch.holds)?;
            let left = latch.left(now.steady).map(|left| now.unix + left.as_secs_f64());
            let until = match rule {
                Rule::QuotaReached => next_month(now),
                _ => None,
            };
            Some(Decided::pause(rule, left.or(until)))
        }
    }
}

/// The share of the time that the device computes, and which rule says so.
fn share(rules: &RuleSettings, past: &Past) -> (Percent, Rule) {
    let power = Percent::nearest(past.governor.percent());
    if rules.power_limit.is_some() && power < rules.duty {
        (power, Rule::PowerLimit)
    } else if rules.duty < Percent::FULL {
        (rules.duty, Rule::DutyCycle)
    } else {
        (Percent::FULL, Rule::NoRule)
    }
}

fn sentence(
    rule: Rule,
    verdict: Verdict,
    until: Option<f64>,
    now: &Now<'_>,
    rules: &RuleSettings,
    past: &Past,
) -> String {
    // The end of a minute's wait is known, but to say it would change the sentence all the time.
    let lasting = [Rule::UserPaused, Rule::RunAnyway, Rule::OutsideHours, Rule::QuotaReached];
    let until = until.filter(|_| lasting.contains(&rule));
    let until = until.map(|until| time_text(until, now.unix, now.zone));
    match verdict {
        Verdict::Run(percent) => words::running(rule, rules, percent, until),
        Verdict::Pause => {
            let about = past.latches.get(&rule).map_or("", |latch| latch.about.as_str());
            words::paused(rule, rules, about, until)
        }
    }
}

/// When this month's count begins anew, Unix seconds.
fn next_month(now: &Now<'_>) -> Option<f64> {
    let today = now.zone.to_datetime(words::moment(now.unix)?).date();
    let first = today.first_of_month().checked_add(1.month()).ok()?;
    let moment = first.to_zoned(now.zone.clone()).ok()?.timestamp();
    #[allow(clippy::cast_precision_loss)]
    Some(moment.as_second() as f64)
}

/// Takes the readings over into the rules' memory, and lists what cannot be known.
fn note_sensors(
    now: &Now<'_>,
    readings: &Readings,
    rules: &RuleSettings,
    past: &mut Past,
    unknown: &mut Vec<Unknown>,
) {
    let opinions = opinions(now, readings, rules, past, unknown);
    // A rule that is no longer set lets go at once.
    past.latches.retain(|rule, _| opinions.iter().any(|opinion| opinion.rule == *rule));
    for Opinion { rule, signal, about } in opinions {
        let latch = past.latches.entry(rule).or_insert_with(|| Latch::new(now.steady));
        let hold = if rule == Rule::TooHot { HOT_HOLD } else { DWELL };
        latch.note(signal, now.steady, hold);
        if signal == Signal::Against {
            latch.about = about;
        }
    }
    let watts = match (rules.power_limit, known(&readings.watts)) {
        (None, _) => {
            past.governor = Governor::new();
            return;
        }
        (Some(_), Ok(watts)) => sane(watts.copied(), &(0.0..=power::MOST_WATTS)),
        (Some(_), Err(why)) => Err(why),
    };
    let measured = watts.clone().unwrap_or_default();
    if let Err(why) = watts {
        unknown.push(Unknown { rule: Rule::PowerLimit, why });
    }
    if let Some(limit) = rules.power_limit {
        past.governor.note(measured, limit, now.labour, now.steady);
    }
}

/// A fact that may not be there yet, or why there is none.
fn known<T>(reading: &Known<T>) -> Result<Option<&T>, String> {
    match reading {
        Known::Is(fact) => Ok(Some(fact)),
        Known::No(why) => Err(why.clone()),
        Known::NotAsked => Ok(None),
    }
}

/// A measurement that can be true.
fn sane(value: Option<f64>, range: &std::ops::RangeInclusive<f64>) -> Result<Option<f64>, String> {
    match value {
        Some(value) if !range.contains(&value) => Err(format!("the sensor says {value}")),
        value => Ok(value),
    }
}

/// What every rule that is set and goes by a sensor makes of the readings.
fn opinions(
    now: &Now<'_>,
    readings: &Readings,
    rules: &RuleSettings,
    past: &mut Past,
    unknown: &mut Vec<Unknown>,
) -> Vec<Opinion> {
    let mut opinions = Vec::new();
    let mut give = |rule, said: Result<Option<Signal>, String>, about: &str| {
        let signal = match said {
            Ok(signal) => signal.unwrap_or(Signal::Unknown),
            Err(why) => {
                unknown.push(Unknown { rule, why });
                Signal::Unknown
            }
        };
        opinions.push(Opinion { rule, signal, about: about.to_owned() });
    };
    if let Some(pair) = rules.temperature {
        let read = known(&readings.temperature).and_then(|t| sane(t.copied(), &TEMPERATURES));
        let said = read.map(|read| read.map(|t| limits(t >= pair.stop, t <= pair.start)));
        give(Rule::TooHot, said, "");
    }
    if rules.disk_reserve > 0 {
        let enough = rules.disk_reserve.saturating_add(rules.disk_reserve / 10);
        let said = known(&readings.disk_free)
            .map(|free| free.map(|free| limits(*free < rules.disk_reserve, *free >= enough)));
        give(Rule::DiskReserve, said, "");
    }
    if let Some(quota) = rules.quota {
        let said = known(&readings.month_bytes);
        give(Rule::QuotaReached, said.map(|read| read.map(|read| either(*read >= quota))), "");
    }
    if rules.metered == Meanwhile::Pause {
        let said = known(&readings.metered);
        give(Rule::Metered, said.map(|metered| metered.map(|metered| either(*metered))), "");
    }
    match rules.battery {
        BatteryRule::Run => {}
        BatteryRule::Pause => {
            let said = known(&readings.power);
            let on_battery = |power: &PowerSource| either(*power != PowerSource::Mains);
            give(Rule::BatteryPower, said.map(|power| power.map(on_battery)), "");
        }
        BatteryRule::Above(level) => give(Rule::BatteryLow, battery(readings, level), ""),
    }
    if !rules.pause_for.is_empty() {
        let said = known(&readings.programs);
        let name = said.as_ref().ok().copied().flatten().and_then(|names| names.first());
        let name = name.cloned().unwrap_or_default();
        let said = said.map(|names| names.map(|names| either(!names.is_empty())));
        give(Rule::ProgramRunning, said, &name);
    }
    if rules.fullscreen == Meanwhile::Pause {
        let said = known(&readings.fullscreen);
        give(Rule::Fullscreen, said.map(|full| full.map(|full| either(*full))), "");
    }
    if let Some(least) = rules.minimum_net {
        let back = least + least.abs().max(NET_FLOOR) * NET_BACK;
        let read = known(&readings.net_per_hour).and_then(|net| sane(net.copied(), &AMOUNTS));
        let said = read.map(|net| net.map(|net| limits(net < least, net >= back)));
        give(Rule::NetTooLow, said, "");
    }
    if let Some(after) = rules.idle_after {
        // The wait before going on is part of the time that the user set.
        let nearly = after.saturating_sub(DWELL.min(after / 2));
        let said = known(&readings.idle);
        let said = said.map(|idle| idle.map(|idle| limits(*idle < nearly, *idle >= nearly)));
        give(Rule::ComputerInUse, said, "");
    }
    if let Some(limit) = rules.load_limit {
        let read = known(&readings.load).and_then(|load| sane(load.copied(), &(0.0..=100.0)));
        let limit = f64::from(limit);
        let said = read.map(|load| {
            let load = load.map(|load| smoothed(&mut past.load, load, now.steady));
            load.map(|load| limits(load > limit, load <= limit * LOAD_BACK))
        });
        give(Rule::OtherPrograms, said, "");
    }
    opinions
}

fn either(against: bool) -> Signal {
    limits(against, !against)
}

fn limits(against: bool, fine: bool) -> Signal {
    match (against, fine) {
        (true, _) => Signal::Against,
        (false, true) => Signal::Fine,
        (false, false) => Signal::Between,
    }
}

fn battery(readings: &Readings, level: u8) -> Result<Option<Signal>, String> {
    let back = level.saturating_add(BATTERY_BACK).min(100);
    match known(&readings.power)? {
        None => Ok(None),
        Some(PowerSource::Mains) => Ok(Some(Signal::Fine)),
        Some(PowerSource::Battery(Some(left @ 0..=100))) => {
            Ok(Some(limits(*left < level, *left >= back)))
        }
        Some(PowerSource::Battery(_)) => Err("the battery does not say how full it is".to_owned()),
    }
}

/// Follows a value slowly: one busy moment is no busy computer.
fn smoothed(past: &mut Option<(f64, Moment)>, value: f64, now: Moment) -> f64 {
    let smooth = match *past {
        None => value,
        Some((before, at)) => {
            let weight = (-now.since(at).as_secs_f64() / LOAD_FOLLOWS.as_secs_f64()).exp();
            before * weight + value * (1.0 - weight)
        }
    };
    *past = Some((smooth, now));
    smooth
}

#[cfg(test)]
mod tests;
