//! What the machine does, as its sensors say, beside the limits that the rules set; and the week of the
//! hours rule.

use serde::{Deserialize, Serialize};

/// A reading, or why there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "known", rename_all = "kebab-case")]
pub enum Reading<T> {
    /// It is this.
    Is {
        /// The reading.
        value: T,
    },
    /// It cannot be known here.
    No {
        /// Why, as a clause: "no temperature sensor is readable".
        why: String,
    },
    /// Nobody looked: no rule asks for it, and no face is open.
    #[default]
    NotAsked,
}

impl<T> Reading<T> {
    /// The reading, where there is one.
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Is { value } => Some(value),
            Self::No { .. } | Self::NotAsked => None,
        }
    }
}

/// What the device that computes says of itself, and what the rules allow it. Own measurement, by the
/// driver or the system; limits from the settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeviceReadings {
    /// Its hottest sensor, in degrees Celsius.
    pub temperature: Reading<f64>,
    /// It pauses at this temperature, and goes on at the second; none without that rule.
    pub temperature_limit: Option<(f64, f64)>,
    /// What it takes, in watts.
    pub watts: Reading<f64>,
    /// Watts that it may take on average; none without that rule.
    pub watts_limit: Option<f64>,
    /// Bytes of the device's memory in use, by whomever; of the process where the device is the
    /// processor.
    pub memory: Reading<u64>,
    /// Bytes of memory it has.
    pub memory_total: Reading<u64>,
}

/// How busy other programs keep the processor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LoadLimit {
    /// In percent of all of it, Hearth itself not counted.
    pub others: Reading<f64>,
    /// It pauses above this; none without that rule.
    pub limit: Option<u8>,
}

/// The week of the hours rule, in half hours from Monday 00:00 local time: seven texts of 48 letters,
/// `#` where it may work and `.` where not. Half an hour of which it may work only a part counts as
/// allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WeekGrid(pub Vec<String>);

impl WeekGrid {
    /// Cells of a day.
    pub const CELLS: usize = 48;

    /// Whether it may work in a cell: day from 0 for Monday, half hour from 0. True where there is no
    /// grid, that is no such rule.
    pub fn allows(&self, day: usize, half_hour: usize) -> bool {
        self.0.get(day).and_then(|day| day.as_bytes().get(half_hour)).is_none_or(|c| *c == b'#')
    }
}

/// The machine.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineView {
    /// The device that this miner computes with.
    pub device: DeviceReadings,
    /// The processor.
    pub load: LoadLimit,
    /// Bytes of this machine's memory in use and in all.
    pub memory: Reading<(u64, u64)>,
    /// Bytes free on the disk of the data folder.
    pub disk_free: Reading<u64>,
    /// Bytes that must stay free there.
    pub disk_reserve: u64,
    /// The hours rule; seven empty days where there is none.
    pub week: WeekGrid,
    /// The largest share of the time that the device may compute, in percent, by the settings.
    pub duty: u8,
}
