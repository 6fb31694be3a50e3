//! The sensors that feed the rules: one look at everything that a rule asks for. Nothing here holds up
//! the runtime, and a source that lies, hangs or vanishes becomes a fact that is not known, with the
//! reason.

mod aside;
#[cfg(target_os = "linux")]
pub(in crate::host) mod bus;
mod desk;
mod device;
#[cfg(target_os = "linux")]
mod linux;
mod load;
mod metered;
mod programs;
mod wanted;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

pub use device::Computing;
pub use wanted::{Sense, Wanted, forget, unknown};

use self::aside::Aside;
use self::desk::Desk;
use self::device::Device;
use self::load::Load;
use super::memory::{Memory, memory};
use super::power::{Power, power};
use super::readings::{Known, PowerSource, Readings, Shown};
use super::surroundings::Variables;
use super::{Roots, disk};
use crate::clock::{Clock, Moment};

/// Where a command has to be asked, the source of power is asked for this seldom.
const POWER_EVERY: Duration =
    if cfg!(target_os = "linux") { Duration::ZERO } else { Duration::from_secs(60) };
/// A machine without a battery will hardly get one while it runs.
const NO_BATTERY_FOR: Duration =
    if cfg!(target_os = "linux") { Duration::ZERO } else { Duration::from_secs(3600) };

/// What is looked at where.
#[derive(Clone, Debug)]
pub struct Place {
    /// The files of the system.
    pub roots: Roots,
    /// The environment: displays and message buses.
    pub variables: Variables,
    /// The folder whose disk counts.
    pub folder: PathBuf,
    /// What computes: one for each of the miners.
    pub devices: Vec<Computing>,
}

/// What processes and the processor's counters say.
struct Busy {
    load: Result<f64, String>,
    programs: Option<BTreeSet<String>>,
    memory: Option<Memory>,
}

/// The sensors of this machine.
#[derive(Debug)]
pub struct Sensors {
    roots: Roots,
    folder: PathBuf,
    clock: Clock,
    desk: Aside<desk::Ask, desk::Answer>,
    busy: Aside<Wanted, Busy>,
    metered: Aside<(), Known<bool>>,
    disk: Aside<PathBuf, Option<disk::DiskSpace>>,
    devices: Vec<Aside<device::Ask, device::Answer>>,
    power: Option<(Moment, Power)>,
}

impl Sensors {
    /// Looks at nothing yet.
    pub fn new(place: Place, clock: &Clock) -> Self {
        let Place { roots, variables, folder, devices } = place;
        let of_device = |computing: Computing| {
            let (roots, clock) = (roots.clone(), clock.clone());
            Aside::new("sense-device", move || {
                let mut device = Device::new(roots, computing, clock);
                move |ask| device.answer(ask)
            })
        };
        let devices = devices.into_iter().map(of_device).collect();
        let (at, around) = (roots.clone(), variables.clone());
        let desk = Aside::new("sense-desk", move || {
            let mut desk = Desk::new(&at, &around);
            move |ask| desk.answer(ask)
        });
        let (at, time) = (roots.clone(), clock.clone());
        let busy = Aside::new("sense-busy", move || {
            let mut load = Load::new(at.clone(), time);
            move |wanted: Wanted| Busy {
                load: match wanted.has(Sense::Load) {
                    true => load.percent(),
                    false => Err(String::new()),
                },
                programs: match wanted.has(Sense::Programs) {
                    true => programs::running(&at, wanted.programs()),
                    false => None,
                },
                memory: if wanted.has_memory() { memory() } else { None },
            }
        });
        let at = roots.clone();
        let metered = Aside::new("sense-metered", move || {
            let mut network = metered::Network::new(&at, &variables);
            move |()| network.is_metered()
        });
        let disk = Aside::new("sense-disk", || |folder: PathBuf| disk::space_of(&folder));
        let clock = clock.clone();
        Self { roots, folder, clock, desk, busy, metered, disk, devices, power: None }
    }

    /// One look at what is asked for: the readings of each device, in the order of the devices. The
    /// month's bytes are counted elsewhere.
    pub async fn read(&mut self, wanted: &Wanted) -> Vec<Readings> {
        let clock = self.clock.clone();
        let desk = desk::Ask {
            idle: wanted.has(Sense::Idle),
            fullscreen: wanted.has(Sense::Fullscreen),
            unix: clock.unix(),
        };
        let of_device = device::Ask {
            temperature: wanted.has(Sense::Temperature),
            watts: wanted.has(Sense::Watts),
            memory: wanted.has_memory(),
        };
        let asks_busy =
            wanted.has(Sense::Load) || wanted.has(Sense::Programs) || wanted.has_memory();
        let asks_device = of_device != device::Ask::default();
        let (desk, busy, metered, disk, power, devices) = tokio::join!(
            on(desk.idle || desk.fullscreen, ask_desk(&mut self.desk, &clock, desk)),
            on(asks_busy, self.busy.ask(&clock, wanted.clone())),
            on(wanted.has(Sense::Metered), self.metered.ask(&clock, ())),
            on(wanted.has(Sense::Disk), self.disk.ask(&clock, self.folder.clone())),
            on(wanted.has(Sense::Power), ask_power(&mut self.power, &self.roots, &clock)),
            on(asks_device, ask_devices(&mut self.devices, &clock, of_device)),
        );
        let memory = match &busy {
            _ if !wanted.has_memory() => Known::NotAsked,
            Some(Some(Busy { memory: Some(memory), .. })) => {
                Known::Is((memory.total.saturating_sub(memory.available), memory.total))
            }
            Some(Some(_)) => no("the system does not say how much memory is free"),
            None | Some(None) => late(),
        };
        let (load, programs) = match busy {
            None => (Known::NotAsked, Known::NotAsked),
            Some(None) => (late_if(wanted, Sense::Load), late_if(wanted, Sense::Programs)),
            Some(Some(busy)) => (
                if wanted.has(Sense::Load) { known(busy.load) } else { Known::NotAsked },
                match busy.programs {
                    _ if !wanted.has(Sense::Programs) => Known::NotAsked,
                    Some(programs) => Known::Is(programs),
                    None => no("the system does not show which programs run"),
                },
            ),
        };
        let (idle, fullscreen) = match desk {
            None => (Known::NotAsked, Known::NotAsked),
            Some(None) => (late_if(wanted, Sense::Idle), late_if(wanted, Sense::Fullscreen)),
            Some(Some(answer)) => (answer.idle, answer.fullscreen),
        };
        let shared = Readings {
            power: power.unwrap_or(Known::NotAsked),
            idle,
            load,
            programs,
            fullscreen,
            metered: metered.map_or(Known::NotAsked, |said| said.unwrap_or_else(late)),
            disk_free: disk.map_or(Known::NotAsked, |said| match said {
                Some(Some(space)) => Known::Is(space.free),
                Some(None) => no("the system does not say how much of the disk is free"),
                None => late(),
            }),
            shown: Shown { memory, ..Shown::none() },
            ..Readings::none()
        };
        let Some(devices) = devices else { return vec![shared; self.devices.len()] };
        let of_each = devices.into_iter().map(|answer| {
            let (temperature, watts, device_memory) = match answer {
                Some(answer) => (answer.temperature, answer.watts, answer.memory),
                None => (
                    late_if(wanted, Sense::Temperature),
                    late_if(wanted, Sense::Watts),
                    if wanted.has_memory() { late() } else { Known::NotAsked },
                ),
            };
            let shown = Shown { device_memory, ..shared.shown.clone() };
            Readings { temperature, watts, shown, ..shared.clone() }
        });
        of_each.collect()
    }
}

/// Asks only where it is wanted.
async fn on<T>(is_wanted: bool, asking: impl Future<Output = T>) -> Option<T> {
    if is_wanted { Some(asking.await) } else { None }
}

async fn ask_desk(
    desk: &mut Aside<desk::Ask, desk::Answer>,
    clock: &Clock,
    ask: desk::Ask,
) -> Option<desk::Answer> {
    #[cfg(target_os = "macos")]
    let by_command = on(ask.idle, desk::idle_by_command(clock)).await;
    let answer = desk.ask(clock, ask).await;
    #[cfg(target_os = "macos")]
    let answer =
        answer.map(|answer| desk::Answer { idle: by_command.unwrap_or(Known::NotAsked), ..answer });
    answer
}

async fn ask_devices(
    devices: &mut [Aside<device::Ask, device::Answer>],
    clock: &Clock,
    ask: device::Ask,
) -> Vec<Option<device::Answer>> {
    futures::future::join_all(devices.iter_mut().map(|device| device.ask(clock, ask))).await
}

/// A machine that says nothing of its power has no battery: it hangs on the wall.
async fn ask_power(
    last: &mut Option<(Moment, Power)>,
    roots: &Roots,
    clock: &Clock,
) -> Known<PowerSource> {
    let now = clock.now();
    let said = match *last {
        Some((then, said)) if now.since(then) < good_for(said) => said,
        _ => {
            let said = power(roots, clock).await;
            *last = Some((now, said));
            said
        }
    };
    Known::Is(match said {
        Power::Mains | Power::Unknown => PowerSource::Mains,
        Power::Battery(left) => PowerSource::Battery(left.filter(|left| *left <= 100)),
    })
}

/// How long an answer counts.
fn good_for(power: Power) -> Duration {
    match power {
        Power::Unknown => NO_BATTERY_FOR,
        Power::Mains | Power::Battery(_) => POWER_EVERY,
    }
}

fn known<T>(said: Result<T, String>) -> Known<T> {
    said.map_or_else(Known::No, Known::Is)
}

fn no<T>(why: &str) -> Known<T> {
    Known::No(why.to_owned())
}

fn late<T>() -> Known<T> {
    no("the system does not answer")
}

fn late_if<T>(wanted: &Wanted, sense: Sense) -> Known<T> {
    if wanted.has(sense) { late() } else { Known::NotAsked }
}

#[cfg(test)]
mod tests;
