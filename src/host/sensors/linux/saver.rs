//! The screen saver's service. Its idle time is in seconds by its specification and in milliseconds
//! from the largest desktop that has it; how much it grows between two questions tells which.

use std::time::Duration;

use crate::clock::{Clock, Moment};
use crate::host::sensors::bus::{Bus, Object};

const SAVER: Object<'_> = Object {
    service: "org.freedesktop.ScreenSaver",
    path: "/org/freedesktop/ScreenSaver",
    interface: "org.freedesktop.ScreenSaver",
};

/// What it counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Seconds,
    Milliseconds,
}

#[derive(Debug, Default)]
pub(super) struct Saver {
    unit: Option<Unit>,
    before: Option<(Moment, u64)>,
    clock: Clock,
}

impl Saver {
    pub(super) fn idle(&mut self, bus: &mut Bus) -> Option<Duration> {
        let mut said = self.ask(bus)?;
        if self.unit.is_none() && self.before.is_none() {
            // The first question needs a second one to compare with.
            self.note(said);
            self.clock.block(Duration::from_millis(400));
            said = self.ask(bus)?;
        }
        self.note(said);
        Some(match self.unit {
            Some(Unit::Seconds) => Duration::from_secs(said),
            Some(Unit::Milliseconds) => Duration::from_millis(said),
            // It has not grown: somebody is at the keyboard.
            None => Duration::ZERO,
        })
    }

    #[allow(clippy::unused_self)]
    fn ask(&self, bus: &mut Bus) -> Option<u64> {
        let said = bus.call::<(u32,)>(SAVER, "GetSessionIdleTime", ());
        said.ok().map(|(idle,)| u64::from(idle))
    }

    fn note(&mut self, said: u64) {
        let now = self.clock.now();
        if self.unit.is_none()
            && let Some((then, before)) = self.before
        {
            self.unit = unit(now.since(then), before, said);
        }
        self.before = Some((now, said));
    }
}

/// Which unit makes the growth fit the time; none while it did not grow by it.
fn unit(passed: Duration, before: u64, now: u64) -> Option<Unit> {
    let grown = now.checked_sub(before)?;
    let millis = u64::try_from(passed.as_millis()).ok()?;
    match grown {
        _ if grown >= millis / 2 && grown > 10 * (passed.as_secs() + 1) => Some(Unit::Milliseconds),
        // A counter of seconds may stand still for less than one.
        _ if before > 0 && grown <= passed.as_secs() + 1 => Some(Unit::Seconds),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_growth_tells_the_unit() {
        let passed = Duration::from_millis(400);
        assert_eq!(unit(passed, 600_000, 600_401), Some(Unit::Milliseconds));
        assert_eq!(unit(passed, 600, 600), Some(Unit::Seconds));
        assert_eq!(unit(passed, 600, 601), Some(Unit::Seconds));
        // Somebody has just pressed a key.
        assert_eq!(unit(passed, 600_000, 12), None);
        assert_eq!(unit(passed, 0, 0), None);
        assert_eq!(unit(passed, 100, 200), None);
        assert_eq!(unit(Duration::from_secs(5), 30, 35), Some(Unit::Seconds));
    }
}
