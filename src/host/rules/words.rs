//! The rules' sentences. Each says what decides and, where it is known, until when; none holds a
//! number that trembles, so that the same ruling always reads the same.

use bytesize::ByteSize;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::ruling::Rule;
use crate::config::rules::{Percent, RuleSettings};
use crate::config::units::BatteryRule;

/// When no rule stands against working.
pub(super) const NO_RULE: &str = "No rule stands against it.";

/// `22:00` today, `Mon 22:00` within a week, `1 Dec 00:00` later.
pub fn time_text(unix: f64, now: f64, zone: &TimeZone) -> String {
    let local = |unix: f64| moment(unix).map(|moment| zone.to_datetime(moment));
    let (Some(then), Some(today)) = (local(unix), local(now)) else { return "later".to_owned() };
    let clock = then.strftime("%H:%M");
    let days = today.date().until(then.date()).map_or(i32::MAX, |span| span.get_days());
    match days {
        0 => clock.to_string(),
        1..7 => then.strftime("%a %H:%M").to_string(),
        _ => then.strftime("%-d %b %H:%M").to_string(),
    }
}

/// A moment; none beyond what a calendar holds.
pub(super) fn moment(unix: f64) -> Option<Timestamp> {
    #[allow(clippy::cast_possible_truncation)]
    Timestamp::from_second(unix as i64).ok().filter(|_| unix.is_finite())
}

fn bytes(amount: u64) -> String {
    ByteSize::b(amount).display().si().to_string()
}

fn level(rules: &RuleSettings) -> (u8, u8) {
    match rules.battery {
        BatteryRule::Above(level) => (level, level.saturating_add(5).min(100)),
        BatteryRule::Pause | BatteryRule::Run => (0, 0),
    }
}

/// Why it pauses, as a clause.
fn clause(rule: Rule, rules: &RuleSettings, about: &str) -> String {
    match rule {
        Rule::TooHot => rules.temperature.map_or_else(String::new, |pair| {
            format!("the device was hotter than {} °C; it goes on at {} °C", pair.stop, pair.start)
        }),
        Rule::DiskReserve => {
            format!("less than {} of the data folder's disk are free", bytes(rules.disk_reserve))
        }
        Rule::QuotaReached => {
            let quota = rules.quota.map_or_else(String::new, bytes);
            format!("this month's {quota} are used up")
        }
        Rule::Metered => "the connection is paid by volume".to_owned(),
        Rule::BatteryLow => {
            let (low, back) = level(rules);
            format!("the battery is below {low} %; it goes on at {back} % or on mains power")
        }
        Rule::BatteryPower => "this computer runs on its battery".to_owned(),
        Rule::OutsideHours => "outside the hours you set".to_owned(),
        Rule::ProgramRunning => format!("{about} is running"),
        Rule::Fullscreen => "a program fills the screen".to_owned(),
        Rule::NetTooLow => {
            let least = rules.minimum_net.unwrap_or_default();
            format!("an hour of work would leave less than {least} after electricity")
        }
        Rule::ComputerInUse => {
            let idle = rules.idle_after.unwrap_or_default();
            let idle = humantime::format_duration(idle);
            format!("you use this computer; it goes on when nobody has for {idle}")
        }
        Rule::OtherPrograms => {
            let limit = rules.load_limit.unwrap_or(100);
            format!("other programs keep the processor busier than {limit} %")
        }
        Rule::UserPaused | Rule::RunAnyway | Rule::PowerLimit | Rule::DutyCycle | Rule::NoRule => {
            String::new()
        }
    }
}

/// The sentence of a pause.
pub(super) fn paused(
    rule: Rule,
    rules: &RuleSettings,
    about: &str,
    until: Option<String>,
) -> String {
    match (rule, until) {
        (Rule::UserPaused, None) => "You paused it.".to_owned(),
        (Rule::UserPaused, Some(until)) => format!("You paused it until {until}."),
        (rule, None) => format!("Paused: {}.", clause(rule, rules, about)),
        (rule, Some(until)) => format!("Paused until {until}: {}.", clause(rule, rules, about)),
    }
}

/// The sentence of working.
pub(super) fn running(
    rule: Rule,
    rules: &RuleSettings,
    percent: Percent,
    until: Option<String>,
) -> String {
    match rule {
        Rule::RunAnyway => {
            let until = until.unwrap_or_else(|| "later".to_owned());
            format!("It works until {until} whatever the rules say, because you asked for it.")
        }
        Rule::PowerLimit => {
            let limit = rules.power_limit.unwrap_or_default();
            format!("At {percent} to stay under {limit} W.")
        }
        Rule::DutyCycle => format!("At {percent}, as you set it."),
        _ => NO_RULE.to_owned(),
    }
}
