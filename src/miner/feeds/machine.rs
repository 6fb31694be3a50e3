//! What the machine's sensors say, beside the limits that the rules set.

use crate::config::hours::Hours;
use crate::config::rules::RuleSettings;
use crate::host::readings::{Known, Readings, Shown};
use crate::miner::board::Board;
use crate::miner::snapshot::machine::{DeviceReadings, LoadLimit, MachineView, Reading, WeekGrid};

/// Memory is told of in steps of so many bytes: finer ones would only make figures flicker.
const GRAIN: u64 = 16 << 20;

/// Shows it.
pub(in crate::miner) fn show(board: &Board, readings: &Readings, rules: &RuleSettings) {
    let machine = view(readings, rules);
    board.update(|snapshot| snapshot.measured.machine = machine);
}

fn view(readings: &Readings, rules: &RuleSettings) -> MachineView {
    let Shown { temperature, watts, load, device_memory, memory } = &readings.shown;
    MachineView {
        device: DeviceReadings {
            temperature: map(temperature, |degrees| tenths(*degrees)),
            temperature_limit: rules.temperature.map(|limit| (limit.stop, limit.start)),
            watts: map(watts, |watts| tenths(*watts)),
            watts_limit: rules.power_limit,
            memory: map(device_memory, |(used, _)| coarse(*used)),
            memory_total: map(device_memory, |(_, all)| *all),
        },
        load: LoadLimit { others: map(load, |percent| percent.round()), limit: rules.load_limit },
        memory: map(memory, |(used, all)| (coarse(*used), *all)),
        disk_free: map(&readings.disk_free, |free| coarse(*free)),
        disk_reserve: rules.disk_reserve,
        week: week(&rules.hours),
        duty: rules.duty.get(),
    }
}

fn week(hours: &Hours) -> WeekGrid {
    let day = |day: [bool; WeekGrid::CELLS]| day.map(|may| if may { '#' } else { '.' });
    let days = hours.grid().into_iter().flatten();
    WeekGrid(days.map(|cells| day(cells).into_iter().collect()).collect())
}

fn map<T, U>(known: &Known<T>, change: impl Fn(&T) -> U) -> Reading<U> {
    match known {
        Known::Is(value) => Reading::Is { value: change(value) },
        Known::No(why) => Reading::No { why: why.clone() },
        Known::NotAsked => Reading::NotAsked,
    }
}

fn coarse(bytes: u64) -> u64 {
    bytes / GRAIN * GRAIN
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::rules::{Percent, StopStart};

    #[test]
    fn readings_stand_beside_the_limits_of_their_rules_and_say_why_there_are_none() {
        let rules = RuleSettings {
            hours: "mon-fri 22:15-07:00".parse().unwrap(),
            temperature: Some(StopStart { stop: 85.0, start: 75.0 }),
            duty: Percent::nearest(50.0),
            ..RuleSettings::none()
        };
        let shown = Shown {
            temperature: Known::Is(61.26),
            watts: Known::No("only the administrator may read it".into()),
            device_memory: Known::Is((100 << 20, 1 << 30)),
            ..Shown::none()
        };
        let view = view(&Readings { shown, ..Readings::none() }, &rules);
        assert_eq!(view.device.temperature.get(), Some(&61.3));
        assert_eq!(view.device.temperature_limit, Some((85.0, 75.0)));
        assert!(matches!(&view.device.watts, Reading::No { why } if why.contains("administrator")));
        assert_eq!(view.device.memory.get(), Some(&(96 << 20)));
        assert_eq!(view.device.memory_total.get(), Some(&(1 << 30)));
        assert_eq!((view.load.others, view.duty), (Reading::NotAsked, 50));
        // Monday from 22:00 (a part of that half hour), Saturday until 07:00.
        let allowed = |day, half| view.week.allows(day, half);
        assert!(allowed(0, 44) && !allowed(0, 43) && !allowed(0, 0) && allowed(1, 0));
        assert!(allowed(5, 13) && !allowed(5, 14) && !allowed(6, 47));
        assert!(WeekGrid::default().allows(3, 20), "without the rule it may always");
    }
}
