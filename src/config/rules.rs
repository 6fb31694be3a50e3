//! When and how hard the miner may work, as the user set it: the settings that the rules go by, read
//! and checked together, so that a set of rules that can never let it work is found at once.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::hours::Hours;
use super::key::Key;
use super::settings::{Settings, SettingsError};
use super::units::{self, BatteryRule};
use super::values;

/// How Hearth's own program is called.
const OWN_NAME: &str = "hearth";

/// A share of the time, from 1 to 100 %.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Percent(u8);

impl Percent {
    /// All of it.
    pub const FULL: Self = Self(100);

    /// The nearest share.
    pub fn nearest(share: f64) -> Self {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let whole = if share.is_finite() { share.round().clamp(1.0, 100.0) as u8 } else { 100 };
        Self(whole)
    }

    /// As a number from 1 to 100.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.0)
    }
}

/// How a miner puts its work down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Manner {
    /// It finishes what is in hand, and hands in what this epoch taught it when the others do.
    Orderly,
    /// It finishes what is in hand, but sends, fetches and writes no weights.
    KeepBack,
    /// It puts everything down and computes nothing.
    AtOnce,
}

/// What happens meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    /// It pauses.
    Pause,
    /// It goes on.
    Run,
}

/// A temperature to pause at and a lower one to go on at, in degrees Celsius.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StopStart {
    /// It pauses at this one.
    pub stop: f64,
    /// It goes on at this one.
    pub start: f64,
}

/// What the rules go by.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSettings {
    /// The hours of the week.
    pub hours: Hours,
    /// On battery power.
    pub battery: BatteryRule,
    /// So long nobody must have used the computer.
    pub idle_after: Option<Duration>,
    /// Of the device.
    pub temperature: Option<StopStart>,
    /// Watts that the device may take on average.
    pub power_limit: Option<f64>,
    /// How busy other programs may keep the processor, in percent.
    pub load_limit: Option<u8>,
    /// Programs that it makes room for.
    pub pause_for: Vec<String>,
    /// While a program fills the screen.
    pub fullscreen: Meanwhile,
    /// On a connection that is paid by volume.
    pub metered: Meanwhile,
    /// Bytes a calendar month.
    pub quota: Option<u64>,
    /// Bytes of the disk that stay free.
    pub disk_reserve: u64,
    /// What must be left an hour after electricity, in the currency of `kwh_price`.
    pub minimum_net: Option<f64>,
    /// The share of the time that the device computes.
    pub duty: Percent,
}

impl RuleSettings {
    /// No rule at all.
    pub fn none() -> Self {
        Self {
            hours: Hours::Always,
            battery: BatteryRule::Run,
            idle_after: None,
            temperature: None,
            power_limit: None,
            load_limit: None,
            pause_for: Vec::new(),
            fullscreen: Meanwhile::Run,
            metered: Meanwhile::Run,
            quota: None,
            disk_reserve: 0,
            minimum_net: None,
            duty: Percent::FULL,
        }
    }

    /// Reads them; what nobody set is as its default.
    ///
    /// # Errors
    /// The first value that cannot be read, or why these rules leave no time to work.
    pub fn read(settings: &Settings) -> Result<Self, SettingsError> {
        let rules = Self::read_each(settings)?;
        match rules.never_run() {
            Some((key, why)) => Err(SettingsError::NeverRuns { name: key.name(), why }),
            None => Ok(rules),
        }
    }

    /// Reads them one by one.
    ///
    /// # Errors
    /// The first value that cannot be read.
    pub fn read_each(settings: &Settings) -> Result<Self, SettingsError> {
        let list = settings.list(Key::PauseFor)?.unwrap_or_default();
        Ok(Self {
            hours: read(settings, Key::Hours, str::parse)?,
            battery: read(settings, Key::OnBattery, units::battery)?,
            idle_after: read(settings, Key::IdleAfter, |text| units::or_off(text, units::span))?,
            temperature: read(settings, Key::Temperature, |text| units::or_off(text, units::pair))?
                .map(|(stop, start)| StopStart { stop, start }),
            power_limit: read(settings, Key::PowerLimit, |text| {
                units::or_off(text, units::amount)
            })?,
            load_limit: read(settings, Key::LoadLimit, |text| units::or_off(text, units::share))?,
            pause_for: list.into_iter().filter(|name| !name.trim().is_empty()).collect(),
            fullscreen: read(settings, Key::Fullscreen, meanwhile)?,
            metered: read(settings, Key::Metered, meanwhile)?,
            quota: read(settings, Key::Quota, |text| units::or_off(text, units::bytes))?,
            disk_reserve: read(settings, Key::DiskReserve, units::bytes)?,
            minimum_net: read(settings, Key::MinimumNet, |text| units::or_off(text, units::money))?,
            duty: Percent(read(settings, Key::Duty, units::share)?),
        })
    }

    /// Which rule never lets it work, and why, as a clause; none if it can work.
    pub fn never_run(&self) -> Option<(Key, String)> {
        if self.hours.minutes_a_week() == 0 {
            return Some((Key::Hours, format!("{} has no length", self.hours)));
        }
        if self.quota == Some(0) {
            return Some((Key::Quota, "nothing may be sent or received".to_owned()));
        }
        let own = self.pause_for.iter().find(|name| {
            let name = name.trim().to_lowercase();
            name.strip_suffix(".exe").unwrap_or(&name) == OWN_NAME
        });
        own.map(|name| (Key::PauseFor, format!("{name} is Hearth itself, which always runs then")))
    }

    /// Hours of an ordinary week in which it may work, as far as the clock decides.
    pub fn hours_a_week(&self) -> f64 {
        match self.never_run() {
            Some(_) => 0.0,
            None => f64::from(self.hours.minutes_a_week()) / 60.0,
        }
    }
}

/// A setting, or what counts while nobody says anything.
fn read<T, E: fmt::Display>(
    settings: &Settings,
    key: Key,
    read: impl Fn(&str) -> Result<T, E>,
) -> Result<T, SettingsError> {
    let text = settings.text(key).map_or(key.default_words(), |given| given.value.as_str());
    read(text.trim()).map_err(|why| settings.refuse(key, why))
}

fn meanwhile(text: &str) -> Result<Meanwhile, String> {
    match text {
        "pause" => Ok(Meanwhile::Pause),
        "run" => Ok(Meanwhile::Run),
        other => Err(values::one_of(other, &["pause", "run"]).err().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn rules(text: &str) -> Result<RuleSettings, SettingsError> {
        RuleSettings::read(&Settings::of_text(Path::new("config.toml"), text).unwrap())
    }

    #[test]
    fn defaults_let_it_work_all_week() {
        let rules = rules("").unwrap();
        assert_eq!(rules.hours_a_week(), 168.0);
        assert_eq!(rules.duty, Percent::FULL);
        assert_eq!((rules.metered, rules.fullscreen), (Meanwhile::Pause, Meanwhile::Run));
        assert_eq!((rules.battery, rules.disk_reserve), (BatteryRule::Pause, 5_000_000_000));
    }

    #[test]
    fn every_setting_is_taken_over() {
        let rules = rules(
            "hours = \"22:00-07:00\"\non_battery = \"40%\"\nidle_after = \"10m\"\n\
             temperature = \"85/75\"\npower_limit = \"200\"\nload_limit = \"50%\"\n\
             pause_for = [\"steam\"]\nfullscreen = \"pause\"\nmetered = \"run\"\n\
             quota = \"200GB\"\ndisk_reserve = \"1GB\"\nduty = \"60%\"\n",
        )
        .unwrap();
        assert_eq!(rules.hours_a_week(), 63.0);
        assert_eq!(rules.temperature, Some(StopStart { stop: 85.0, start: 75.0 }));
        assert_eq!((rules.power_limit, rules.load_limit), (Some(200.0), Some(50)));
        assert_eq!(rules.pause_for, ["steam"]);
        assert_eq!((rules.duty.get(), rules.quota), (60, Some(200_000_000_000)));
    }

    #[test]
    fn rules_that_never_let_it_work_are_said_at_once() {
        for text in
            ["hours = \"mon 10:00-10:00\"", "quota = \"0GB\"", "pause_for = [\"Hearth.exe\"]"]
        {
            let error = rules(text).unwrap_err();
            assert!(error.to_string().contains("leave 0 hours a week"), "{error}");
            assert_eq!(error.code(), "rules-never-run");
        }
    }

    #[test]
    fn what_cannot_be_read_names_its_setting() {
        let error = rules("hours = \"at night\"").unwrap_err().to_string();
        assert!(error.contains("hours") && error.contains("night"), "{error}");
    }
}
