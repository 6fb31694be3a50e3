//! Which facts the rules ask for. A fact that no rule asks for is not read: a miner that is left alone
//! all night should cost nothing.

use std::collections::BTreeSet;

use crate::config::settings::{Key, Settings};
use crate::host::readings::{Known, Readings};

/// A fact that a rule can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sense {
    /// Where the power comes from.
    Power,
    /// Whether somebody uses this computer.
    Idle,
    /// How hot the device is.
    Temperature,
    /// How much power the device takes.
    Watts,
    /// How busy other programs are.
    Load,
    /// Which programs run.
    Programs,
    /// Whether a program fills the screen.
    Fullscreen,
    /// Whether the connection is paid by volume.
    Metered,
    /// What was sent and received in this month.
    Month,
    /// What an hour of work leaves.
    Net,
    /// How much of the disk is free.
    Disk,
}

impl Sense {
    /// All of them, in the order of their rules.
    pub const ALL: [Self; 11] = [
        Self::Power,
        Self::Idle,
        Self::Temperature,
        Self::Watts,
        Self::Load,
        Self::Programs,
        Self::Fullscreen,
        Self::Metered,
        Self::Month,
        Self::Net,
        Self::Disk,
    ];

    /// The rule that asks for it.
    pub fn key(self) -> Key {
        match self {
            Self::Power => Key::OnBattery,
            Self::Idle => Key::IdleAfter,
            Self::Temperature => Key::Temperature,
            Self::Watts => Key::PowerLimit,
            Self::Load => Key::LoadLimit,
            Self::Programs => Key::PauseFor,
            Self::Fullscreen => Key::Fullscreen,
            Self::Metered => Key::Metered,
            Self::Month => Key::Quota,
            Self::Net => Key::MinimumNet,
            Self::Disk => Key::DiskReserve,
        }
    }

    /// The value of its rule that asks for nothing.
    fn no_rule(self) -> &'static str {
        match self {
            Self::Power | Self::Fullscreen | Self::Metered => "run",
            Self::Programs => "",
            _ => "off",
        }
    }
}

/// The facts that are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    senses: BTreeSet<Sense>,
    programs: BTreeSet<String>,
    /// What no rule goes by.
    memory: bool,
}

impl Wanted {
    /// Those that the rules of these settings need. A rule that nobody set counts as its default says.
    pub fn of(settings: &Settings) -> Self {
        let programs: BTreeSet<String> =
            settings.list(Key::PauseFor).ok().flatten().unwrap_or_default().into_iter().collect();
        let asks = |sense: &Sense| {
            if *sense == Sense::Programs {
                return !programs.is_empty();
            }
            let key = sense.key();
            let said = settings.text(key).map(|said| said.value.trim().to_lowercase());
            said.as_deref().unwrap_or(key.default_words()) != sense.no_rule()
        };
        let senses = Sense::ALL.into_iter().filter(asks).collect();
        Self { senses, programs, memory: false }
    }

    /// Exactly these, and these programs.
    pub fn these(
        senses: impl IntoIterator<Item = Sense>,
        programs: impl IntoIterator<Item = String>,
    ) -> Self {
        let (senses, programs) = (senses.into_iter().collect(), programs.into_iter().collect());
        Self { senses, programs, memory: false }
    }

    /// These, and what faces show besides.
    #[must_use]
    pub fn with_shown(mut self) -> Self {
        self.senses.extend([Sense::Temperature, Sense::Watts, Sense::Load]);
        self.memory = true;
        self
    }

    /// Whether the memory in use is asked for.
    pub(super) fn has_memory(&self) -> bool {
        self.memory
    }

    /// Whether it is asked for.
    pub fn has(&self, sense: Sense) -> bool {
        self.senses.contains(&sense)
    }

    /// Whether anything is asked for.
    pub fn is_empty(&self) -> bool {
        self.senses.is_empty()
    }

    /// All that is asked for.
    pub fn senses(&self) -> impl Iterator<Item = Sense> + '_ {
        self.senses.iter().copied()
    }

    /// The programs whose running matters.
    pub fn programs(&self) -> &BTreeSet<String> {
        &self.programs
    }
}

/// What was asked for and cannot be known here, with the reason.
pub fn unknown(readings: &Readings) -> Vec<(Sense, String)> {
    fn why<T>(fact: &Known<T>) -> Option<String> {
        match fact {
            Known::No(why) => Some(why.clone()),
            Known::Is(_) | Known::NotAsked => None,
        }
    }
    let all = Sense::ALL.into_iter().map(|sense| {
        let why = match sense {
            Sense::Power => why(&readings.power),
            Sense::Idle => why(&readings.idle),
            Sense::Temperature => why(&readings.temperature),
            Sense::Watts => why(&readings.watts),
            Sense::Load => why(&readings.load),
            Sense::Programs => why(&readings.programs),
            Sense::Fullscreen => why(&readings.fullscreen),
            Sense::Metered => why(&readings.metered),
            Sense::Month => why(&readings.month_bytes),
            Sense::Net => why(&readings.net_per_hour),
            Sense::Disk => why(&readings.disk_free),
        };
        why.map(|why| (sense, why))
    });
    all.flatten().collect()
}

/// Takes a fact out again, as if nobody had asked for it.
pub fn forget(readings: &mut Readings, sense: Sense) {
    match sense {
        Sense::Power => readings.power = Known::NotAsked,
        Sense::Idle => readings.idle = Known::NotAsked,
        Sense::Temperature => readings.temperature = Known::NotAsked,
        Sense::Watts => readings.watts = Known::NotAsked,
        Sense::Load => readings.load = Known::NotAsked,
        Sense::Programs => readings.programs = Known::NotAsked,
        Sense::Fullscreen => readings.fullscreen = Known::NotAsked,
        Sense::Metered => readings.metered = Known::NotAsked,
        Sense::Month => readings.month_bytes = Known::NotAsked,
        Sense::Net => readings.net_per_hour = Known::NotAsked,
        Sense::Disk => readings.disk_free = Known::NotAsked,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn wanted(text: &str) -> Wanted {
        Wanted::of(&Settings::of_text(Path::new("config.toml"), text).unwrap())
    }

    #[test]
    fn the_defaults_ask_for_what_harms_nobody_and_is_cheap() {
        let senses: Vec<Sense> = wanted("").senses().collect();
        assert_eq!(senses, [Sense::Power, Sense::Metered, Sense::Disk]);
    }

    #[test]
    fn each_rule_asks_for_its_own_fact() {
        for (text, sense) in [
            ("on_battery = \"40%\"", Sense::Power),
            ("idle_after = \"10m\"", Sense::Idle),
            ("temperature = \"85/75\"", Sense::Temperature),
            ("power_limit = 200", Sense::Watts),
            ("load_limit = \"50%\"", Sense::Load),
            ("pause_for = [\"steam\"]", Sense::Programs),
            ("fullscreen = \"pause\"", Sense::Fullscreen),
            ("metered = \"pause\"", Sense::Metered),
            ("quota = \"200GB\"", Sense::Month),
            ("minimum_net = 0", Sense::Net),
        ] {
            assert!(wanted(text).has(sense), "{text}");
        }
        let nothing =
            "on_battery = \"run\"\nmetered = \"run\"\npause_for = []\nidle_after = \"off\"";
        assert_eq!(wanted(nothing).senses().collect::<Vec<_>>(), [Sense::Disk]);
        assert_eq!(wanted("pause_for = [\"Steam\", \"blender\"]").programs().len(), 2);
    }
}
