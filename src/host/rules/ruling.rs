//! What the rules decide: to work at some share of the time or to pause, with the one rule that
//! decides it, in a form that every face can show.

use serde::{Deserialize, Serialize};

use crate::config::rules::{Manner, Percent};

/// A rule, and what a user may ask for instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The device is too hot.
    TooHot,
    /// Too little of the disk is free.
    DiskReserve,
    /// The user paused it.
    UserPaused,
    /// The user wants it to work whatever the others say.
    RunAnyway,
    /// The month's bytes are used up.
    QuotaReached,
    /// The connection is paid by volume.
    Metered,
    /// The battery is too low.
    BatteryLow,
    /// The computer runs on its battery.
    BatteryPower,
    /// Not in the hours that the user set.
    OutsideHours,
    /// A program that it makes room for is running.
    ProgramRunning,
    /// A program fills the screen.
    Fullscreen,
    /// What an hour of work leaves after electricity is too little.
    NetTooLow,
    /// Somebody uses the computer.
    ComputerInUse,
    /// Other programs keep the processor busy.
    OtherPrograms,
    /// It rests now and then, to stay under a power limit.
    PowerLimit,
    /// It rests now and then, as the user set it.
    DutyCycle,
    /// Nothing stands against working all the time.
    NoRule,
}

impl Rule {
    /// The order in which rules are asked: the first that has something to say decides. What protects
    /// the machine comes first, then the user's own word, then money, then the rest; the last three
    /// do not pause.
    pub const PRECEDENCE: [Self; 17] = [
        Self::TooHot,
        Self::DiskReserve,
        Self::UserPaused,
        Self::RunAnyway,
        Self::QuotaReached,
        Self::Metered,
        Self::BatteryLow,
        Self::BatteryPower,
        Self::OutsideHours,
        Self::ProgramRunning,
        Self::Fullscreen,
        Self::NetTooLow,
        Self::ComputerInUse,
        Self::OtherPrograms,
        Self::PowerLimit,
        Self::DutyCycle,
        Self::NoRule,
    ];

    /// Stable word for scripts.
    pub fn code(self) -> &'static str {
        match self {
            Self::TooHot => "too-hot",
            Self::DiskReserve => "disk-reserve",
            Self::UserPaused => "user-paused",
            Self::RunAnyway => "run-anyway",
            Self::QuotaReached => "quota-reached",
            Self::Metered => "metered",
            Self::BatteryLow => "battery-low",
            Self::BatteryPower => "battery-power",
            Self::OutsideHours => "outside-hours",
            Self::ProgramRunning => "program-running",
            Self::Fullscreen => "fullscreen",
            Self::NetTooLow => "net-too-low",
            Self::ComputerInUse => "computer-in-use",
            Self::OtherPrograms => "other-programs",
            Self::PowerLimit => "power-limit",
            Self::DutyCycle => "duty-cycle",
            Self::NoRule => "no-rule",
        }
    }

    /// Whether it protects the machine: no user's word overrules it.
    pub fn protects(self) -> bool {
        matches!(self, Self::TooHot | Self::DiskReserve)
    }

    /// How the miner puts its work down when this rule pauses it.
    pub fn manner(self) -> Manner {
        match self {
            Self::TooHot => Manner::AtOnce,
            Self::DiskReserve | Self::QuotaReached | Self::Metered | Self::BatteryLow => {
                Manner::KeepBack
            }
            _ => Manner::Orderly,
        }
    }
}

/// What is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Work, for this share of the time.
    Run(Percent),
    /// Take nothing new.
    Pause,
}

/// A rule that is set, but about something that cannot be known here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    /// The rule.
    pub rule: Rule,
    /// Why, as a clause: "no temperature sensor is readable".
    pub why: String,
}

/// What the rules decide.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Ruling {
    /// What is decided.
    pub verdict: Verdict,
    /// The one rule that decides.
    pub rule: Rule,
    /// The same as a sentence: "Paused until 22:00: outside the hours you set."
    pub sentence: String,
    /// Since when, Unix seconds.
    pub since: f64,
    /// Until when, Unix seconds, if that is known.
    pub until: Option<f64>,
    /// Rules that are set, but about what cannot be known here.
    pub unknown: Vec<Unknown>,
}

impl Ruling {
    /// Nothing stands against working, since `since`.
    pub fn free(since: f64) -> Self {
        Self {
            verdict: Verdict::Run(Percent::FULL),
            rule: Rule::NoRule,
            sentence: super::words::NO_RULE.to_owned(),
            since,
            until: None,
            unknown: Vec::new(),
        }
    }

    /// Whether it pauses.
    pub fn pauses(&self) -> bool {
        self.verdict == Verdict::Pause
    }

    /// The share of the time that it lets the device compute; none while paused.
    pub fn percent(&self) -> Option<Percent> {
        match self.verdict {
            Verdict::Run(percent) => Some(percent),
            Verdict::Pause => None,
        }
    }
}

/// What the user asked for last, apart from the settings. Times are Unix seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "wish", rename_all = "kebab-case")]
pub enum UserWish {
    /// To go by the rules.
    #[default]
    Rules,
    /// To pause.
    Pause {
        /// Since when.
        since: f64,
        /// When it goes on by itself.
        until: Option<u64>,
    },
    /// To work whatever the rules say, except those that protect the machine.
    RunAnyway {
        /// Since when.
        since: f64,
        /// When the rules decide again.
        until: u64,
    },
}

impl UserWish {
    /// What is left of it at this time.
    pub fn at(self, unix: f64) -> Self {
        #[allow(clippy::cast_precision_loss)]
        let over = |until: u64| until as f64 <= unix;
        match self {
            Self::Pause { until: Some(until), .. } | Self::RunAnyway { until, .. }
                if over(until) =>
            {
                Self::Rules
            }
            wish => wish,
        }
    }
}
