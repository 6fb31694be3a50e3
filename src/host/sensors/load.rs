//! How busy other programs keep the processor: all of its work but our own, since the last look. The
//! rules make a slower measure of it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::{Clock, Moment};
use crate::host::Roots;

/// A look soon after another compares with an earlier one.
const WINDOW: Duration = Duration::from_secs(4);
/// The first answer compares with a moment ago.
const FIRST: Duration = Duration::from_millis(250);

/// Counters of the processor's time, in its own small unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Count {
    /// Of all cores, working or not.
    all: u64,
    /// Of them working.
    busy: u64,
    /// Of that for this process.
    own: u64,
}

/// What answers: it lives on a thread of its own.
pub(super) struct Load {
    source: Source,
    clock: Clock,
    counted: VecDeque<(Moment, Count)>,
}

impl Load {
    pub(super) fn new(roots: Roots, clock: Clock) -> Self {
        Self { source: Source::new(roots), clock, counted: VecDeque::new() }
    }

    /// In percent of all cores.
    pub(super) fn percent(&mut self) -> Result<f64, String> {
        let silent = || "the system does not say how busy the processor is".to_owned();
        if self.counted.is_empty() {
            self.note(self.clock.now()).ok_or_else(silent)?;
            self.clock.block(FIRST);
        }
        let now = self.note(self.clock.now()).ok_or_else(silent)?;
        let before = self.counted.front().map(|(_, count)| *count);
        before
            .and_then(|before| between(before, now))
            .ok_or_else(|| "the processor's counters make no sense yet".to_owned())
    }

    fn note(&mut self, at: Moment) -> Option<Count> {
        let Some(count) = self.source.count() else {
            self.counted.clear();
            return None;
        };
        // Counters that go back have been set anew: nothing before them can be compared.
        if self.counted.back().is_some_and(|(_, last)| count.all < last.all) {
            self.counted.clear();
        }
        self.counted.push_back((at, count));
        // The oldest that is kept is the youngest outside the window.
        while self.counted.len() > 2
            && self.counted.get(1).is_some_and(|(then, _)| at.since(*then) >= WINDOW)
        {
            self.counted.pop_front();
        }
        Some(count)
    }
}

#[allow(clippy::cast_precision_loss)]
fn between(before: Count, now: Count) -> Option<f64> {
    let all = now.all.checked_sub(before.all).filter(|all| *all > 0)?;
    let busy = now.busy.saturating_sub(before.busy);
    let others = busy.saturating_sub(now.own.saturating_sub(before.own));
    Some((others as f64 / all as f64 * 100.0).min(100.0))
}

/// Linux: the kernel's counters.
#[cfg(target_os = "linux")]
struct Source {
    roots: Roots,
}

#[cfg(target_os = "linux")]
impl Source {
    fn new(roots: Roots) -> Self {
        Self { roots }
    }

    fn count(&self) -> Option<Count> {
        let machine = crate::host::text(&self.roots.proc.join("stat"))?;
        let own = crate::host::text(&self.roots.proc.join("self/stat"))?;
        let (all, busy) = of_machine(&machine)?;
        Some(Count { all, busy, own: of_process(&own)? })
    }
}

/// Elsewhere: the system's own shares, added up over the time between two questions.
#[cfg(not(target_os = "linux"))]
struct Source {
    system: Option<sysinfo::System>,
    own: Option<sysinfo::Pid>,
    cores: f64,
    so_far: Count,
}

#[cfg(not(target_os = "linux"))]
impl Source {
    /// Each look counts as so many units, of which shares are taken.
    const UNITS: f64 = 10_000.0;

    fn new(_roots: Roots) -> Self {
        #[allow(clippy::cast_precision_loss)]
        let cores = std::thread::available_parallelism().map_or(1.0, |n| n.get() as f64);
        let own = sysinfo::get_current_pid().ok();
        Self {
            system: sysinfo::System::new().ok(),
            own,
            cores,
            so_far: Count { all: 0, busy: 0, own: 0 },
        }
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn count(&mut self) -> Option<Count> {
        use sysinfo::{ProcessRefreshKind, ProcessesToUpdate};
        let (system, own) = (self.system.as_mut()?, self.own?);
        system.refresh_cpu_usage();
        system.refresh_processes_specifics(
            ProcessesToUpdate::Some(&[own]),
            false,
            ProcessRefreshKind::nothing().with_cpu(),
        );
        let busy = f64::from(system.global_cpu_usage()) / 100.0;
        let mine = f64::from(system.process(own)?.cpu_usage()) / 100.0 / self.cores;
        let units = |share: f64| (share.clamp(0.0, 1.0) * Self::UNITS) as u64;
        self.so_far.all += units(1.0);
        self.so_far.busy += units(busy);
        self.so_far.own += units(mine);
        Some(self.so_far)
    }
}

/// All time and time at work, of the line `cpu  user nice system idle iowait irq softirq steal ..`.
/// Time that a host gave to others is no time of this machine.
#[cfg(any(target_os = "linux", test))]
fn of_machine(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().find(|line| line.starts_with("cpu "))?;
    let numbers: Option<Vec<u64>> =
        line.split_whitespace().skip(1).take(7).map(|word| word.parse().ok()).collect();
    let [user, nice, system, idle, waiting, hard, soft] = numbers?.try_into().ok()?;
    let busy = user + nice + system + hard + soft;
    Some((busy + idle + waiting, busy))
}

/// Time in user and kernel mode: the 12th and 13th word after the name, which stands in brackets and
/// may hold anything.
#[cfg(any(target_os = "linux", test))]
fn of_process(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut words = rest.split_whitespace().skip(11);
    let mut next = || words.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::host::trees::tree;

    fn machine(busy: u64, idle: u64) -> String {
        format!("cpu  {busy} 0 0 {idle} 0 0 0 99999 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n")
    }

    fn process(own: u64) -> String {
        format!("42 (a (b) c) S 1 42 42 0 -1 4194560 1 0 0 0 {own} 0 7 7 20 0 9 0 1 1 1\n")
    }

    #[test]
    fn our_own_work_does_not_count() {
        let (folder, roots) =
            tree(&[("proc/stat", &machine(1000, 1000)), ("proc/self/stat", &process(100))]);
        let mut load = Load::new(roots, Clock::system());
        assert!(load.percent().is_err(), "nothing has happened between the first two looks");
        let write = |path: &str, text: String| {
            std::fs::write(folder.path().join(path), text).unwrap();
        };
        // 1000 more of 2000 worked, 600 of them for us: 400 of 2000 by others.
        write("proc/stat", machine(2000, 2000));
        write("proc/self/stat", process(700));
        assert!((load.percent().unwrap() - 20.0).abs() < 1e-9);
        // Counters that were set anew.
        write("proc/stat", machine(10, 10));
        assert!(load.percent().is_err());
        write("proc/stat", machine(110, 10));
        assert!((load.percent().unwrap() - 100.0).abs() < 1e-9);
        write("proc/stat", "nonsense".to_owned());
        assert!(load.percent().is_err());
    }

    #[test]
    fn a_look_compares_with_one_of_some_seconds_ago() {
        let (folder, roots) =
            tree(&[("proc/stat", &machine(0, 1)), ("proc/self/stat", &process(0))]);
        let mut load = Load::new(roots, Clock::system());
        let mut at = Moment::default();
        for (busy, idle) in (0..10).map(|second| (second * 25, second * 75)) {
            std::fs::write(folder.path().join("proc/stat"), machine(busy, idle)).unwrap();
            load.note(at).unwrap();
            at = at + Duration::from_secs(1);
        }
        let (first, last) = (load.counted[0], load.counted[load.counted.len() - 1]);
        assert_eq!(last.0.since(first.0), WINDOW);
        assert!((between(first.1, last.1).unwrap() - 25.0).abs() < 1e-9);
    }

    #[test]
    fn this_machine_has_a_load() {
        let mut load = Load::new(Roots::system(), Clock::system());
        let percent = load.percent().unwrap();
        assert!((0.0..=100.0).contains(&percent), "{percent}");
    }
}
