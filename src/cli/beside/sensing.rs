//! Looks at the sensors while miners run, and tells each miner what its rules go by. How often depends
//! on whether anybody waits for the answer.

use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;

use super::net::NetGauge;
use crate::clock::Clock;
use crate::compute::{DeviceInfo, DeviceKind};
use crate::config::folders::Folders;
use crate::config::live::LiveSettings;
use crate::config::settings::{Origin, Settings};
use crate::control::Control;
use crate::host::Roots;
use crate::host::month::MonthCounter;
use crate::host::readings::{Known, Readings};
use crate::host::sensors::{Computing, Place, Sense, Sensors, Wanted, forget, unknown};
use crate::host::surroundings::variables;
use crate::miner::State;

/// Between two looks while a miner works: who comes back to the computer waits no longer than this.
const BUSY: Duration = Duration::from_secs(5);
/// Between two looks while none works.
const PAUSED: Duration = Duration::from_secs(15);

/// The sensors, and whom they are told.
#[derive(Debug)]
pub struct Sensing {
    sensors: Sensors,
    told: Vec<watch::Sender<Readings>>,
    clock: Clock,
    asks: Asks,
}

/// Who asks for facts.
#[derive(Debug)]
enum Asks {
    /// The user's rules, and the screens.
    Rules { settings: LiveSettings, month: MonthCounter, counted: Counted, net: Box<NetGauge> },
    /// The screens alone: the miners of a demo go by no rules.
    Screens,
}

/// Whether what these miners send and receive counts for the month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It goes over the line.
    Here,
    /// It stays on this machine.
    Nowhere,
}

impl Sensing {
    /// Takes a first look, so that no miner works before its rules know anything. Gives what each
    /// device's miner is told, in the order of the devices.
    pub async fn start(
        devices: Vec<Computing>,
        counted: Counted,
        settings: &LiveSettings,
        folders: &Folders,
        clock: &Clock,
    ) -> (Self, Vec<watch::Receiver<Readings>>) {
        let asks = Asks::Rules {
            settings: settings.clone(),
            month: MonthCounter::open(&folders.state, clock),
            counted,
            net: Box::new(NetGauge::new(&folders.data, clock)),
        };
        let (mut sensing, heard) = Self::new(devices, asks, &folders.data, clock);
        sensing.look().await;
        (sensing, heard)
    }

    /// For the screens alone. The first look is taken later: nobody waits for it.
    pub fn for_screens(
        devices: Vec<Computing>,
        folder: &Path,
        clock: &Clock,
    ) -> (Self, Vec<watch::Receiver<Readings>>) {
        Self::new(devices, Asks::Screens, folder, clock)
    }

    fn new(
        devices: Vec<Computing>,
        asks: Asks,
        folder: &Path,
        clock: &Clock,
    ) -> (Self, Vec<watch::Receiver<Readings>>) {
        let (told, heard): (Vec<_>, Vec<_>) =
            devices.iter().map(|_| watch::channel(Readings::none())).unzip();
        let place = Place {
            roots: Roots::system(),
            variables: variables(),
            folder: folder.to_owned(),
            devices,
        };
        (Self { sensors: Sensors::new(place, clock), told, clock: clock.clone(), asks }, heard)
    }

    /// Looks again and again, for as long as the run lasts.
    pub async fn go_on(mut self, control: Control) {
        let mut changes = match &self.asks {
            Asks::Rules { settings, .. } => Some(settings.subscribe()),
            Asks::Screens => {
                self.look().await;
                None
            }
        };
        loop {
            let pause = if is_paused(&control) { PAUSED } else { BUSY };
            match &mut changes {
                Some(changes) => tokio::select! {
                    () = self.clock.sleep(pause) => {}
                    changed = changes.changed() => if changed.is_err() { return },
                },
                None => self.clock.sleep(pause).await,
            }
            self.count(&control);
            self.look().await;
        }
    }

    fn count(&mut self, control: &Control) {
        let Asks::Rules { month, counted: Counted::Here, .. } = &mut self.asks else { return };
        for miner in control.miners.iter() {
            let snapshot = miner.borrow();
            let work = &snapshot.work;
            let bytes = work.bytes_sent.saturating_add(work.bytes_received);
            month.note(&snapshot.name, bytes);
        }
        if let Err(error) = month.keep() {
            tracing::warn!("the month's count of bytes could not be kept: {error}");
        }
    }

    async fn look(&mut self) {
        let settings = match &self.asks {
            Asks::Rules { settings, .. } => Some(settings.now()),
            Asks::Screens => None,
        };
        let wanted = match &settings {
            Some(settings) => Wanted::of(settings),
            // No rule goes by the disk here either; it is shown where the rules have theirs.
            None => Wanted::these([Sense::Disk], []),
        };
        let net_per_hour = match (&mut self.asks, &settings) {
            (Asks::Rules { net, .. }, Some(settings)) if wanted.has(Sense::Net) => {
                net.read(settings).await
            }
            _ => Known::NotAsked,
        };
        let readings = self.sensors.read(&wanted.clone().with_shown()).await;
        for (told, mut new) in self.told.iter().zip(readings) {
            new.shown.temperature = new.temperature.clone();
            new.shown.watts = new.watts.clone();
            new.shown.load = new.load.clone();
            // The rules hear what they asked for, and no more.
            for sense in Sense::ALL.into_iter().filter(|sense| !wanted.has(*sense)) {
                forget(&mut new, sense);
            }
            if let Asks::Rules { month, .. } = &self.asks
                && wanted.has(Sense::Month)
            {
                new.month_bytes = Known::Is(month.bytes());
            }
            new.net_per_hour = net_per_hour.clone();
            for (sense, _) in unknown(&new) {
                // Who set no such rule need not hear that a default can do nothing here.
                if settings.as_ref().is_none_or(|settings| !is_set(settings, sense)) {
                    forget(&mut new, sense);
                }
            }
            told.send_if_modified(|old| {
                let changed = *old != new;
                *old = new;
                changed
            });
        }
    }
}

/// Whether somebody set the rule that asks for this fact; nobody need hear of a default.
pub fn is_set(settings: &Settings, sense: Sense) -> bool {
    settings.text(sense.key()).is_some_and(|said| said.origin != Origin::Default)
}

/// What a device's sensors are found by.
pub fn computing(device: &DeviceInfo) -> Computing {
    match device.kind {
        DeviceKind::Gpu => Computing::Card(device.place.clone()),
        // A software adapter is the processor.
        DeviceKind::Cpu | DeviceKind::Oracle | DeviceKind::SoftwareGpu => Computing::Processor,
    }
}

fn is_paused(control: &Control) -> bool {
    control.miners.iter().all(|miner| {
        let state = miner.borrow().status.state;
        matches!(state, State::Paused | State::Disabled | State::Stopped | State::Fault)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rules_that_somebody_set_are_talked_about() {
        let read = |text| Settings::of_text(std::path::Path::new("config.toml"), text).unwrap();
        assert!(!is_set(&read(""), Sense::Metered));
        assert!(is_set(&read("metered = \"pause\""), Sense::Metered));
    }
}
