//! Looks at the sensors while miners run, and tells each miner what its rules go by. How often depends
//! on whether anybody waits for the answer.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::compute::{DeviceInfo, DeviceKind};
use crate::config::folders::Folders;
use crate::config::live::LiveSettings;
use crate::config::settings::{Origin, Settings};
use crate::control::Control;
use crate::host::Roots;
use crate::host::month::MonthCounter;
use crate::host::readings::{Known, Readings};
use crate::host::sensors::{Computing, Place, Sense, Sensors, Wanted, unknown};
use crate::host::surroundings::variables;
use crate::miner::State;

/// Between two looks while a miner works: who comes back to the computer waits no longer than this.
const BUSY: Duration = Duration::from_secs(5);
/// Between two looks while all are paused.
const PAUSED: Duration = Duration::from_secs(15);

/// The sensors, and whom they are told.
#[derive(Debug)]
pub struct Sensing {
    sensors: Sensors,
    told: Vec<watch::Sender<Readings>>,
    month: MonthCounter,
    settings: LiveSettings,
    clock: Clock,
    /// What has been said of a fact that is not known.
    said: BTreeMap<Sense, String>,
}

impl Sensing {
    /// Takes a first look, so that no miner works before its rules know anything. Gives what each
    /// device's miner is told, in the order of the devices.
    pub async fn start(
        devices: &[&DeviceInfo],
        settings: &LiveSettings,
        folders: &Folders,
        clock: &Clock,
    ) -> (Self, Vec<watch::Receiver<Readings>>) {
        let place = Place {
            roots: Roots::system(),
            variables: variables(),
            folder: folders.data.clone(),
            devices: devices.iter().map(|device| computing(device)).collect(),
        };
        let (told, heard) = devices
            .iter()
            .map(|_| watch::channel(Readings::none()))
            .unzip::<_, _, Vec<_>, Vec<_>>();
        let mut sensing = Self {
            sensors: Sensors::new(place, clock),
            told,
            month: MonthCounter::open(&folders.state, clock),
            settings: settings.clone(),
            clock: clock.clone(),
            said: BTreeMap::new(),
        };
        sensing.look().await;
        (sensing, heard)
    }

    /// Looks again and again, for as long as the run lasts.
    pub async fn go_on(mut self, control: Control) {
        let mut changes = self.settings.subscribe();
        changes.mark_unchanged();
        loop {
            let pause = if is_paused(&control) { PAUSED } else { BUSY };
            tokio::select! {
                () = self.clock.sleep(pause) => {}
                changed = changes.changed() => if changed.is_err() { return },
            }
            for miner in control.miners.iter() {
                let snapshot = miner.borrow();
                let work = &snapshot.work;
                let bytes = work.bytes_sent.saturating_add(work.bytes_received);
                self.month.note(&snapshot.name, bytes);
            }
            if let Err(error) = self.month.keep() {
                tracing::warn!("the month's count of bytes could not be kept: {error}");
            }
            self.look().await;
        }
    }

    async fn look(&mut self) {
        let settings = self.settings.now();
        let wanted = Wanted::of(&settings);
        let readings = match wanted.is_empty() {
            true => vec![Readings::none(); self.told.len()],
            false => self.sensors.read(&wanted).await,
        };
        for (told, mut new) in self.told.iter().zip(readings) {
            if wanted.has(Sense::Month) {
                new.month_bytes = Known::Is(self.month.bytes());
            }
            for (sense, why) in unknown(&new) {
                // Each reason is said once, and only where somebody set the rule.
                if is_set(&settings, sense) && self.said.get(&sense) != Some(&why) {
                    tracing::warn!("the rule {} cannot be kept here: {why}", sense.key().name());
                    self.said.insert(sense, why);
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
fn computing(device: &DeviceInfo) -> Computing {
    match device.kind {
        DeviceKind::Gpu => Computing::Card(device.place.clone()),
        // A software adapter is the processor.
        DeviceKind::Cpu | DeviceKind::Oracle | DeviceKind::SoftwareGpu => Computing::Processor,
    }
}

fn is_paused(control: &Control) -> bool {
    control.miners.iter().all(|miner| miner.borrow().status.state == State::Paused)
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
