//! The words of the page of rules.

use super::rules::{NIGHTS, NIGHTS_AND_WEEKENDS};
use crate::config::settings::Key;

/// The sentence under the title.
pub const INTRO: &str = "When Hearth may work, and how much of the disk and the line it takes.";

/// No program is named.
pub const NO_PROGRAMS: &str = "no program";
/// Hours that end where they begin.
pub const NO_HOURS: &str = "These hours leave no time to work: 0 hours a week.";

/// Hours that cannot be read.
pub fn hours_wrong(why: &str) -> String {
    format!("Such as mon-fri 22:00-07:00, sat-sun 00:00-24:00: {why}.")
}

/// How much of a week is left.
pub fn hours_left(hours: f64) -> String {
    match (hours, (hours * 10.0).round() / 10.0) {
        (168.0.., _) => "all week".to_owned(),
        (_, 1.0) => "1 hour a week".to_owned(),
        (_, hours) => format!("{hours} hours a week"),
    }
}

/// Beside a rule that is about something that is not known on this machine.
pub const CANNOT_BE_KNOWN: &str = "not known here";

/// Why it is not known, and what that means.
pub fn cannot_be_known(why: &str) -> String {
    format!("This rule can do nothing here: {why}.")
}

/// The summary of the rules.
pub fn with_rules(hours: &str, changed: usize) -> String {
    match changed {
        0 => hours.to_owned(),
        1 => format!("{hours}; 1 rule is yours"),
        n => format!("{hours}; {n} rules are yours"),
    }
}

/// The label of a rule.
pub fn label(key: Key) -> &'static str {
    match key {
        Key::Hours => "it may work",
        Key::IdleAfter => "while you are here",
        Key::OnBattery => "on battery",
        Key::Temperature => "when it gets hot",
        Key::PauseFor => "makes room for",
        Key::Fullscreen => "full screen",
        Key::Metered => "paid by volume",
        Key::UploadLimit => "sends weights",
        Key::DownloadLimit => "fetches weights",
        Key::DiskCap => "takes of the disk",
        Key::DiskReserve => "leaves of the disk",
        Key::KeepAwake => "computer's sleep",
        other => other.name(),
    }
}

/// What a rule is set to.
pub fn value(key: Key, value: &str) -> String {
    let (pauses, goes_on) = ("it pauses".to_owned(), "it goes on".to_owned());
    let rate = |value: &str| format!("at most {value} Mbit/s");
    match (key, value) {
        (Key::Hours, NIGHTS) => "nights, 22:00 to 07:00".to_owned(),
        (Key::Hours, NIGHTS_AND_WEEKENDS) => "nights, and all weekend".to_owned(),
        (Key::IdleAfter, "off") => "it works".to_owned(),
        (Key::IdleAfter, time) => format!("it waits until you are away {time}"),
        (Key::OnBattery | Key::Fullscreen | Key::Metered, "pause") => pauses,
        (Key::OnBattery | Key::Fullscreen | Key::Metered, "run") => goes_on,
        (Key::OnBattery, level) => format!("it goes on down to {level}"),
        (Key::Temperature, "off") => "as the device sees fit".to_owned(),
        (Key::Temperature, pair) => match pair.split_once('/') {
            Some((stop, start)) => format!("pauses at {stop} °C, goes on at {start} °C"),
            None => pair.to_owned(),
        },
        (Key::UploadLimit | Key::DownloadLimit, "off") => "as fast as it can".to_owned(),
        (Key::UploadLimit | Key::DownloadLimit, limit) => rate(limit),
        (Key::DiskCap, "off") => "what it needs".to_owned(),
        (Key::DiskCap, amount) => format!("at most {amount}"),
        (Key::DiskReserve, amount) => format!("at least {amount}"),
        (Key::KeepAwake, "true") => "kept awake while it trains".to_owned(),
        (Key::KeepAwake, _) => "as the system is set".to_owned(),
        (_, value) => value.to_owned(),
    }
}

/// What a rule means.
pub fn advice(key: Key) -> &'static str {
    match key {
        Key::Hours => {
            "The hours of the week in which it may work. One step beyond the last is your own, such \
             as mon-fri 22:00-07:00, sat 10:00-18:00."
        }
        Key::IdleAfter => {
            "Whether it works while somebody uses keyboard or mouse, or only once nobody has for a \
             while."
        }
        Key::OnBattery => "What happens when the computer runs on its battery.",
        Key::Temperature => {
            "At which temperature of the device that computes it pauses, and at which lower one it \
             goes on."
        }
        Key::PauseFor => {
            "It pauses while one of these programs runs: type names with commas between them, such as \
             steam, blender."
        }
        Key::Fullscreen => "What happens while a program, a game or a film, fills the screen.",
        Key::Metered => "What happens on a connection that is paid by volume, such as a phone's.",
        Key::UploadLimit | Key::DownloadLimit => {
            "How much of the line weights may take. The small messages of training always go first."
        }
        Key::DiskCap => "How much of the disk Hearth's files may fill; the oldest go first.",
        Key::DiskReserve => "With less than this free on the disk it pauses.",
        Key::KeepAwake => {
            "Only while it trains. Paused or waiting for long, it lets the computer sleep."
        }
        _ => "",
    }
}
