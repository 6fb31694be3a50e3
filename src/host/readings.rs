//! What the machine is doing right now, as the rules want to know it. Anything that cannot be known here
//! says why, so that a rule about it can say so instead of being ignored.

use std::collections::BTreeSet;
use std::time::Duration;

/// A fact, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known<T> {
    /// The fact.
    Is(T),
    /// Nobody can say here; why, as a clause: "no temperature sensor is readable".
    No(String),
    /// No rule asks for it, so nobody looked.
    NotAsked,
}

impl<T> Known<T> {
    /// The fact, where there is one.
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Is(fact) => Some(fact),
            Self::No(_) | Self::NotAsked => None,
        }
    }
}

/// Where the power comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PowerSource {
    /// The wall.
    Mains,
    /// A battery, with what is left in percent where it says so.
    Battery(Option<u8>),
}

/// Everything that rules go by, read at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Readings {
    /// Where the power comes from.
    pub power: Known<PowerSource>,
    /// How long nobody has touched keyboard or mouse.
    pub idle: Known<Duration>,
    /// The hottest sensor of the device that computes, in degrees Celsius.
    pub temperature: Known<f64>,
    /// What that device takes now, in watts.
    pub watts: Known<f64>,
    /// How busy other programs keep the processor, in percent of all of it.
    pub load: Known<f64>,
    /// Those of the programs that were asked about which run now, as they were asked for.
    pub programs: Known<BTreeSet<String>>,
    /// Whether a program fills the screen.
    pub fullscreen: Known<bool>,
    /// Whether the connection is paid by volume.
    pub metered: Known<bool>,
    /// Bytes sent and received by Hearth in this calendar month.
    pub month_bytes: Known<u64>,
    /// What an hour of work leaves after electricity at the prices of this hour, in the user's currency.
    pub net_per_hour: Known<f64>,
    /// Bytes free on the disk of the data folder.
    pub disk_free: Known<u64>,
    /// What is only shown.
    pub shown: Shown,
}

/// What faces show of the machine, whether or not a rule goes by it. No rule looks here.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The hottest sensor of the device that computes, in degrees Celsius.
    pub temperature: Known<f64>,
    /// What that device takes now, in watts.
    pub watts: Known<f64>,
    /// How busy other programs keep the processor, in percent of all of it.
    pub load: Known<f64>,
    /// Bytes of the device's memory in use, and all it has. Where the processor computes, what this
    /// process has of the machine's.
    pub device_memory: Known<(u64, u64)>,
    /// Bytes of the machine's memory in use, and all there is for this process.
    pub memory: Known<(u64, u64)>,
}

impl Shown {
    /// Nothing was asked.
    pub fn none() -> Self {
        Self {
            temperature: Known::NotAsked,
            watts: Known::NotAsked,
            load: Known::NotAsked,
            device_memory: Known::NotAsked,
            memory: Known::NotAsked,
        }
    }
}

impl Readings {
    /// Nothing was asked.
    pub fn none() -> Self {
        Self {
            power: Known::NotAsked,
            idle: Known::NotAsked,
            temperature: Known::NotAsked,
            watts: Known::NotAsked,
            load: Known::NotAsked,
            programs: Known::NotAsked,
            fullscreen: Known::NotAsked,
            metered: Known::NotAsked,
            month_bytes: Known::NotAsked,
            net_per_hour: Known::NotAsked,
            disk_free: Known::NotAsked,
            shown: Shown::none(),
        }
    }
}
