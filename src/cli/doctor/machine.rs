//! Checks of the machine: memory, disk, power, sleep, and who else uses the card.

use super::finding::Judgement;
use super::scope::Scope;
use crate::config::settings::Key;
use crate::host::power::Power;
use crate::host::sleep::Sleep;
use crate::host::{awake, disk, memory, power, processes, sleep};
use crate::training::memory::Size;
use crate::training::snapshot::BYTES_A_WEIGHT;

/// Less than this leaves no room for a stage of any real run beside the system.
const LITTLE_MEMORY: u64 = 2_000_000_000;
/// With less than this on the disk even the practice swarm may fail.
const NO_DISK: u64 = 500_000_000;
/// A stage of a quarter of a billion weights keeps two snapshots and writes a third beside them.
const LITTLE_DISK: u64 = 250_000_000 * BYTES_A_WEIGHT * 3;

/// Whether there is memory for a stage.
pub(super) fn memory(_scope: &Scope) -> Judgement {
    memory::memory().map_or_else(
        || {
            Judgement::warning(
                "memory-unknown",
                "The system does not say how much memory is free.",
                "A stage that does not fit fails when it is built; watch the system's own monitor.",
            )
        },
        judge_memory,
    )
}

fn judge_memory(memory: memory::Memory) -> Judgement {
    let (free, total) = (Size(memory.available), Size(memory.total));
    if memory.available < LITTLE_MEMORY {
        let what = format!("Only {free} of {total} of memory are free: hardly any stage fits.");
        return Judgement::warning("memory-low", what, "Close other programs.");
    }
    Judgement::fine(format!("{free} of {total} of memory are free."))
}

/// Whether there is room for snapshots.
pub(super) fn disk(scope: &Scope) -> Judgement {
    let Ok(folders) = &scope.folders else {
        let what = "There is no folder to keep anything in, so no disk was looked at.";
        return Judgement::note(
            "not-checked",
            what,
            "Set HEARTH_HOME to a folder that may be written.",
        );
    };
    let Some(space) = disk::space_of(&folders.data) else {
        let what = format!(
            "The system does not say how much room is left for {}.",
            folders.data.display()
        );
        let fix = format!("See to it that {} are free.", Size(LITTLE_DISK));
        return Judgement::warning("disk-unknown", what, fix);
    };
    judge_disk(space, &folders.data.display().to_string())
}

fn judge_disk(space: disk::DiskSpace, folder: &str) -> Judgement {
    let free = Size(space.free);
    let fix = "Make room, or set HEARTH_HOME to a folder on another disk.";
    if space.free < NO_DISK {
        let what =
            format!("Only {free} are free on the disk of {folder}: nothing can be kept there.");
        return Judgement::error("disk-full", what, fix);
    }
    if space.free < LITTLE_DISK {
        let what = format!(
            "{free} are free on the disk of {folder}; a large stage keeps {} of snapshots.",
            Size(LITTLE_DISK)
        );
        return Judgement::warning("disk-low", what, fix);
    }
    Judgement::fine(format!("{free} are free on the disk of {folder}."))
}

/// Whether the machine is plugged in.
pub(super) async fn power(scope: &Scope) -> Judgement {
    judge_power(power::power(&scope.roots, &scope.clock).await)
}

fn judge_power(power: Power) -> Judgement {
    match power {
        Power::Mains => Judgement::fine("The machine is plugged in."),
        Power::Unknown => Judgement::fine("No battery is in use."),
        Power::Battery(left) => {
            let left = left.map(|left| format!(" ({left} % left)")).unwrap_or_default();
            let what = format!(
                "The machine runs on its battery{left}, which training empties within the hour."
            );
            Judgement::warning("on-battery", what, "Plug it in.")
        }
    }
}

/// Whether the machine falls asleep by itself.
pub(super) async fn sleep(scope: &Scope) -> Judgement {
    let sleep = sleep::sleep(&scope.roots, &scope.clock).await;
    let keeps_awake = matches!(sleep, Sleep::After(_)) && keeps_awake(scope).await;
    judge_sleep(sleep, if keeps_awake { Waker::Hearth } else { Waker::Nobody })
}

/// Whether Hearth keeps the machine awake while it trains: tried for a moment.
async fn keeps_awake(scope: &Scope) -> bool {
    let is_wanted = scope.usable_settings().is_on(Key::KeepAwake).unwrap_or(true);
    is_wanted && awake::hold(&scope.roots, &scope.variables, &scope.clock).await.is_ok()
}

/// Who keeps the machine awake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waker {
    /// Hearth, while it trains.
    Hearth,
    /// Nobody does.
    Nobody,
}

fn judge_sleep(sleep: Sleep, waker: Waker) -> Judgement {
    match sleep {
        Sleep::Never => Judgement::fine("The machine does not fall asleep by itself."),
        Sleep::After(time) => {
            let minutes = time.as_secs().div_ceil(60);
            if waker == Waker::Hearth {
                return Judgement::fine(format!(
                    "The machine falls asleep after {minutes} minutes without a key; Hearth keeps it \
                     awake while it trains."
                ));
            }
            let what = format!(
                "The machine falls asleep after {minutes} minutes without a key: a sleeping miner loses \
                 its epoch and its place."
            );
            Judgement::warning("machine-sleeps", what, STAY_AWAKE)
        }
        Sleep::Unknown => Judgement::note(
            "sleep-unknown",
            "The system does not say whether it falls asleep by itself.",
            "See to it that it does not while it is to mine.",
        ),
    }
}

#[cfg(target_os = "linux")]
const STAY_AWAKE: &str = "Start it as `systemd-inhibit --what=idle:sleep hearth run`, or switch automatic \
                          suspend off in the system's power settings.";
#[cfg(target_os = "macos")]
const STAY_AWAKE: &str = "Start it as `caffeinate -i hearth run`, or `sudo pmset -c sleep 0`.";
#[cfg(windows)]
const STAY_AWAKE: &str = "Run `powercfg /change standby-timeout-ac 0`.";
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
const STAY_AWAKE: &str = "Switch automatic sleep off in the system's power settings.";

/// Whether another program uses the card.
pub(super) fn other_miners(_scope: &Scope) -> Judgement {
    match processes::other_miners() {
        None => Judgement::note(
            "not-checked",
            "The system does not say which programs run.",
            "See to it that nothing else computes on the card.",
        ),
        Some(found) => judge_others(&found),
    }
}

fn judge_others(found: &[processes::OtherMiner]) -> Judgement {
    if found.is_empty() {
        return Judgement::fine("No other miner that is known runs on this machine.");
    }
    let names: Vec<String> =
        found.iter().map(|other| format!("{} (process {})", other.name, other.id)).collect();
    let what =
        format!("Another program computes here: {}. Two share one card badly.", names.join(", "));
    Judgement::warning(
        "other-miner",
        what,
        "Stop one of the two; Hearth leaves other programs alone.",
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cli::doctor::finding::judged;
    use crate::host::disk::DiskSpace;
    use crate::host::memory::Memory;
    use crate::host::processes::OtherMiner;

    #[test]
    fn each_fact_has_its_verdict() {
        let disk = |free| judge_disk(DiskSpace { free, total: 1 << 40 }, "/x");
        let miner = OtherMiner { name: "xmrig".into(), id: 7 };
        for (judgement, expected) in [
            (judge_memory(Memory { total: 16 << 30, available: 1 << 30 }), "memory-low"),
            (judge_memory(Memory { total: 16 << 30, available: 8 << 30 }), "fine"),
            (disk(1 << 20), "disk-full"),
            (disk(5_000_000_000), "disk-low"),
            (disk(50_000_000_000), "fine"),
            (judge_power(Power::Battery(Some(40))), "on-battery"),
            (judge_power(Power::Mains), "fine"),
            (judge_sleep(Sleep::After(Duration::from_secs(900)), Waker::Nobody), "machine-sleeps"),
            (judge_sleep(Sleep::After(Duration::from_secs(900)), Waker::Hearth), "fine"),
            (judge_sleep(Sleep::Never, Waker::Nobody), "fine"),
            (judge_sleep(Sleep::Unknown, Waker::Nobody), "sleep-unknown"),
            (judge_others(&[miner]), "other-miner"),
            (judge_others(&[]), "fine"),
        ] {
            assert_eq!(judged(&judgement), expected, "{judgement:?}");
        }
    }
}
