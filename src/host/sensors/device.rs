//! How hot the device that computes is, and what power it takes: NVIDIA's cards by the library of their
//! driver, others and the processor by the files of the kernel.

use std::path::{Path, PathBuf};

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;

use crate::clock::{Clock, Moment};
use crate::host::readings::Known;
use crate::host::{Roots, entries, file_name, text};

/// What computes, as far as its sensors are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Computing {
    /// The processor.
    Processor,
    /// A card, by its place on the PCI bus (`0000:01:00.0`); empty where that is not known.
    Card(String),
}

/// Which of them is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) temperature: bool,
    pub(super) watts: bool,
    pub(super) memory: bool,
}

/// The answers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) temperature: Known<f64>,
    pub(super) watts: Known<f64>,
    /// In use, and all.
    pub(super) memory: Known<(u64, u64)>,
}

/// NVIDIA's number on the PCI bus.
const NVIDIA: &str = "0x10de";
/// So many questions pass before a library that did not answer is loaded again.
const PATIENCE: u32 = 12;

/// What answers: it lives on a thread of its own.
pub(super) struct Device {
    roots: Roots,
    computing: Computing,
    clock: Clock,
    nvidia: Nvidia,
    energy: Option<(Moment, Vec<u64>)>,
}

impl Device {
    pub(super) fn new(roots: Roots, computing: Computing, clock: Clock) -> Self {
        Self { roots, computing, clock, nvidia: Nvidia::default(), energy: None }
    }

    pub(super) fn answer(&mut self, ask: Ask) -> Answer {
        let known = |said: Result<f64, String>| said.map_or_else(Known::No, Known::Is);
        Answer {
            temperature: match ask.temperature {
                true => known(self.temperature().and_then(plausible_heat)),
                false => Known::NotAsked,
            },
            watts: match ask.watts {
                true => known(self.watts().and_then(plausible_power)),
                false => Known::NotAsked,
            },
            memory: match ask.memory {
                true => self.memory().map_or_else(Known::No, Known::Is),
                false => Known::NotAsked,
            },
        }
    }

    fn temperature(&mut self) -> Result<f64, String> {
        match self.computing.clone() {
            Computing::Processor => self.processor_heat(),
            Computing::Card(place) if self.is_nvidia(&place) => self
                .nvidia
                .ask(&place, |card| card.temperature(TemperatureSensor::Gpu).map(f64::from)),
            Computing::Card(place) => hottest(&self.card_monitors(&place)?)
                .ok_or_else(|| "the card's driver shows no temperature".to_owned()),
        }
    }

    fn watts(&mut self) -> Result<f64, String> {
        match self.computing.clone() {
            Computing::Processor => self.processor_power(),
            Computing::Card(place) if self.is_nvidia(&place) => self
                .nvidia
                .ask(&place, |card| card.power_usage().map(|milli| f64::from(milli) / 1e3)),
            Computing::Card(place) => {
                let monitors = self.card_monitors(&place)?;
                let of =
                    |name: &str| monitors.iter().find_map(|monitor| number(&monitor.join(name)));
                // Microwatts.
                let said = of("power1_average").or_else(|| of("power1_input"));
                said.map(|micro| micro / 1e6)
                    .ok_or_else(|| "the card's driver does not show the power it takes".to_owned())
            }
        }
    }

    fn memory(&mut self) -> Result<(u64, u64), String> {
        match self.computing.clone() {
            Computing::Processor => {
                let own = crate::host::memory::own();
                let all = crate::host::memory::memory().map(|memory| memory.total);
                own.zip(all).ok_or_else(|| "the system does not say how much is in use".to_owned())
            }
            Computing::Card(place) if self.is_nvidia(&place) => self
                .nvidia
                .ask(&place, |card| card.memory_info().map(|memory| (memory.used, memory.total))),
            Computing::Card(place) => {
                let folder = self.card_folder(&place);
                let of = |name: &str| text(&folder.join(name))?.parse().ok();
                of("mem_info_vram_used")
                    .zip(of("mem_info_vram_total"))
                    .ok_or_else(|| "the card's driver does not show its memory".to_owned())
            }
        }
    }

    /// By the number of its maker; where the kernel shows none, NVIDIA's library is asked.
    fn is_nvidia(&self, place: &str) -> bool {
        match text(&self.card_folder(place).join("vendor")) {
            Some(vendor) => vendor == NVIDIA,
            None => !cfg!(target_os = "macos"),
        }
    }

    fn card_folder(&self, place: &str) -> PathBuf {
        self.roots.sys.join("bus/pci/devices").join(place.to_lowercase())
    }

    fn card_monitors(&self, place: &str) -> Result<Vec<PathBuf>, String> {
        if cfg!(target_os = "macos") {
            return Err("macOS shows it to the administrator only".to_owned());
        }
        if place.is_empty() {
            return Err("the driver does not tell which of the cards it is".to_owned());
        }
        let monitors = entries(&self.card_folder(place).join("hwmon"));
        match monitors.is_empty() {
            false => Ok(monitors),
            true => Err("the card's driver shows no sensors".to_owned()),
        }
    }

    #[cfg(any(target_os = "linux", test))]
    fn processor_heat(&self) -> Result<f64, String> {
        const SENSORS: [&str; 6] =
            ["coretemp", "k10temp", "zenpower", "cpu_thermal", "cpu-thermal", "soc_thermal"];
        let named = |folder: &PathBuf| {
            text(&folder.join("name")).is_some_and(|name| SENSORS.contains(&name.as_str()))
        };
        let monitors: Vec<PathBuf> =
            entries(&self.roots.sys.join("class/hwmon")).into_iter().filter(named).collect();
        if let Some(heat) = hottest(&monitors) {
            return Ok(heat);
        }
        let zones = entries(&self.roots.sys.join("class/thermal")).into_iter().filter(|zone| {
            text(&zone.join("type"))
                .is_some_and(|kind| kind == "x86_pkg_temp" || kind.starts_with("cpu"))
        });
        let heats = zones.filter_map(|zone| number(&zone.join("temp"))).map(|milli| milli / 1e3);
        heats
            .filter(|heat| is_heat(*heat))
            .max_by(f64::total_cmp)
            .ok_or_else(|| "no temperature sensor of the processor is readable".to_owned())
    }

    #[cfg(not(any(target_os = "linux", test)))]
    #[allow(clippy::unused_self)]
    fn processor_heat(&self) -> Result<f64, String> {
        let none = || "no temperature sensor of the processor is readable".to_owned();
        let components = sysinfo::Components::new_with_refreshed_list().map_err(|_| none())?;
        let heats = components.iter().filter_map(|one| one.temperature().map(f64::from));
        heats.filter(|heat| is_heat(*heat)).max_by(f64::total_cmp).ok_or_else(none)
    }

    /// Counters of energy in microjoules: power is what they grew by since the last question.
    fn processor_power(&mut self) -> Result<f64, String> {
        if cfg!(target_os = "macos") {
            return Err("macOS shows it to the administrator only".to_owned());
        }
        let packages: Vec<PathBuf> = entries(&self.roots.sys.join("class/powercap"))
            .into_iter()
            .filter(|zone| {
                text(&zone.join("name")).is_some_and(|name| name.starts_with("package-"))
            })
            .collect();
        if packages.is_empty() {
            return Err("the processor has no readable energy counter".to_owned());
        }
        if self.energy.is_none() {
            self.energy = Some((self.clock.now(), counters(&packages)?));
            self.clock.block(std::time::Duration::from_millis(200));
        }
        let (now, counted) = (self.clock.now(), counters(&packages)?);
        let Some((then, before)) = self.energy.replace((now, counted.clone())) else {
            return Err("the processor's energy counter was just found".to_owned());
        };
        let seconds = now.since(then).as_secs_f64();
        let mut joules = 0.0;
        for ((now, before), package) in counted.iter().zip(&before).zip(&packages) {
            let range = number(&package.join("max_energy_range_uj"));
            joules += grown(*before, *now, range) / 1e6;
        }
        match seconds > 0.0 && counted.len() == before.len() {
            true => Ok(joules / seconds),
            false => Err("the processor's energy counters changed".to_owned()),
        }
    }
}

fn counters(packages: &[PathBuf]) -> Result<Vec<u64>, String> {
    let counted: Option<Vec<u64>> =
        packages.iter().map(|package| text(&package.join("energy_uj"))?.parse().ok()).collect();
    counted
        .ok_or_else(|| "only the administrator may read the processor's energy counter".to_owned())
}

/// A counter begins again at its range.
#[allow(clippy::cast_precision_loss)]
fn grown(before: u64, now: u64, range: Option<f64>) -> f64 {
    match now.checked_sub(before) {
        Some(grown) => grown as f64,
        None => (range.unwrap_or_default() - before as f64 + now as f64).max(0.0),
    }
}

/// The hottest of the sensors that say something plausible, in degrees. Where AMD's processors show
/// the real temperature (`Tdie`), the one that their fans are driven by (`Tctl`) is left out: it may
/// be too high by design.
fn hottest(monitors: &[PathBuf]) -> Option<f64> {
    let mut found: Vec<(String, f64)> = Vec::new();
    for input in monitors.iter().flat_map(|monitor| entries(monitor)) {
        let name = file_name(&input);
        let Some(stem) = name.strip_suffix("_input").filter(|stem| stem.starts_with("temp")) else {
            continue;
        };
        let label = text(&input.with_file_name(format!("{stem}_label"))).unwrap_or_default();
        let heat = number(&input).map(|milli| milli / 1e3).filter(|heat| is_heat(*heat));
        found.extend(heat.map(|heat| (label, heat)));
    }
    let has_die = found.iter().any(|(label, _)| label == "Tdie");
    let counting = found.into_iter().filter(|(label, _)| !(has_die && label == "Tctl"));
    counting.map(|(_, heat)| heat).max_by(f64::total_cmp)
}

fn number(file: &Path) -> Option<f64> {
    text(file)?.parse().ok()
}

/// Whether a chip can be this hot; a broken sensor says 0, or far too much.
fn is_heat(degrees: f64) -> bool {
    (1.0..=150.0).contains(&degrees)
}

fn plausible_heat(degrees: f64) -> Result<f64, String> {
    match is_heat(degrees) {
        true => Ok(degrees),
        false => Err("the device's sensor says nothing plausible".to_owned()),
    }
}

fn plausible_power(watts: f64) -> Result<f64, String> {
    match (0.0..=5_000.0).contains(&watts) {
        true => Ok(watts),
        false => Err("the device says nothing plausible about its power".to_owned()),
    }
}

/// The library that comes with NVIDIA's driver.
#[derive(Default)]
struct Nvidia {
    library: Option<Nvml>,
    /// Questions to let pass before it is tried again.
    rest: u32,
}

impl Nvidia {
    fn ask<T>(
        &mut self,
        place: &str,
        question: impl Fn(&nvml_wrapper::Device<'_>) -> Result<T, nvml_wrapper::error::NvmlError>,
    ) -> Result<T, String> {
        if self.rest > 0 {
            self.rest -= 1;
            return Err("NVIDIA's library does not answer".to_owned());
        }
        let asked = self.asked(place, question);
        if asked.is_err() {
            // After a reset of the driver only a library that is loaded again knows its cards.
            (self.library, self.rest) = (None, PATIENCE);
        }
        asked
    }

    fn asked<T>(
        &mut self,
        place: &str,
        question: impl Fn(&nvml_wrapper::Device<'_>) -> Result<T, nvml_wrapper::error::NvmlError>,
    ) -> Result<T, String> {
        let why = |error| format!("NVIDIA's library does not answer ({error})");
        let library = match self.library.take() {
            Some(library) => library,
            None => {
                Nvml::init().map_err(|_| "NVIDIA's library is not there to be asked".to_owned())?
            }
        };
        let library = self.library.insert(library);
        let card = match place {
            // Nothing to choose between where there is only one.
            "" if library.device_count().is_ok_and(|cards| cards == 1) => {
                library.device_by_index(0)
            }
            "" => return Err("the driver does not tell which of the cards it is".to_owned()),
            place => library.device_by_pci_bus_id(place),
        };
        question(&card.map_err(why)?).map_err(why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::trees::tree;

    const CARD: &str = "sys/bus/pci/devices/0000:03:00.0";

    fn asked(files: &[(&str, &str)], computing: Computing) -> Answer {
        let (_folder, roots) = tree(files);
        Device::new(roots, computing, Clock::system()).answer(Ask {
            temperature: true,
            watts: true,
            memory: false,
        })
    }

    fn processor(files: &[(&str, &str)]) -> Answer {
        asked(files, Computing::Processor)
    }

    #[test]
    fn a_card_is_found_by_its_place_and_its_hottest_sensor_counts() {
        let monitor = format!("{CARD}/hwmon/hwmon4");
        let other = "sys/bus/pci/devices/0000:04:00.0";
        let answer = asked(
            &[
                (&format!("{CARD}/vendor"), "0x1002\n"),
                (&format!("{monitor}/name"), "amdgpu\n"),
                (&format!("{monitor}/temp1_input"), "61000\n"),
                (&format!("{monitor}/temp2_input"), "74000\n"),
                (&format!("{monitor}/power1_average"), "143000000\n"),
                (&format!("{other}/vendor"), "0x1002\n"),
                (&format!("{other}/hwmon/hwmon5/temp1_input"), "99000\n"),
            ],
            Computing::Card("0000:03:00.0".to_owned()),
        );
        assert_eq!((answer.temperature, answer.watts), (Known::Is(74.0), Known::Is(143.0)));
    }

    #[test]
    fn sensors_that_lie_are_not_believed() {
        for lie in ["0\n", "-128000\n", "255000\n", "NaN\n", "warm\n", ""] {
            let answer = processor(&[
                ("sys/class/hwmon/hwmon0/name", "coretemp\n"),
                ("sys/class/hwmon/hwmon0/temp1_input", lie),
            ]);
            assert!(matches!(answer.temperature, Known::No(_)), "{lie:?}: {answer:?}");
        }
        // One that lies beside one that does not.
        let answer = processor(&[
            ("sys/class/hwmon/hwmon0/name", "coretemp\n"),
            ("sys/class/hwmon/hwmon0/temp1_input", "255000\n"),
            ("sys/class/hwmon/hwmon0/temp2_input", "66000\n"),
        ]);
        assert_eq!(answer.temperature, Known::Is(66.0));
    }

    #[test]
    fn the_processors_own_sensors_count_and_no_others() {
        let answer = processor(&[
            ("sys/class/hwmon/hwmon0/name", "nvme\n"),
            ("sys/class/hwmon/hwmon0/temp1_input", "90000\n"),
            ("sys/class/hwmon/hwmon1/name", "k10temp\n"),
            ("sys/class/hwmon/hwmon1/temp1_input", "82000\n"),
            ("sys/class/hwmon/hwmon1/temp1_label", "Tctl\n"),
            ("sys/class/hwmon/hwmon1/temp2_input", "55000\n"),
            ("sys/class/hwmon/hwmon1/temp2_label", "Tdie\n"),
        ]);
        assert_eq!(answer.temperature, Known::Is(55.0));
        let board = processor(&[
            ("sys/class/thermal/thermal_zone0/type", "acpitz\n"),
            ("sys/class/thermal/thermal_zone0/temp", "20000\n"),
            ("sys/class/thermal/thermal_zone1/type", "cpu-thermal\n"),
            ("sys/class/thermal/thermal_zone1/temp", "48000\n"),
        ]);
        assert_eq!(board.temperature, Known::Is(48.0));
    }

    #[test]
    fn power_is_what_the_energy_counter_grew_by() {
        let (folder, roots) = tree(&[
            ("sys/class/powercap/intel-rapl:0/name", "package-0\n"),
            ("sys/class/powercap/intel-rapl:0/energy_uj", "1000000\n"),
            ("sys/class/powercap/intel-rapl:0/max_energy_range_uj", "262143328850\n"),
            ("sys/class/powercap/intel-rapl:0:0/name", "core\n"),
        ]);
        let mut device = Device::new(roots, Computing::Processor, Clock::system());
        let ask = Ask { watts: true, ..Ask::default() };
        assert_eq!(device.answer(ask).watts, Known::Is(0.0));
        let counter = folder.path().join("sys/class/powercap/intel-rapl:0/energy_uj");
        // The two looks may be a few microseconds apart.
        std::fs::write(counter, "1000050\n").unwrap();
        let Known::Is(watts) = device.answer(ask).watts else { panic!("no power") };
        assert!(watts > 0.0);
        std::fs::remove_dir_all(folder.path().join("sys")).unwrap();
        assert!(matches!(device.answer(ask).watts, Known::No(_)));
    }

    #[test]
    fn a_counter_that_begins_again_has_grown() {
        assert!((grown(90, 10, Some(100.0)) - 20.0).abs() < 1e-9);
        assert!((grown(90, 10, None)).abs() < 1e-9);
        assert!((grown(10, 90, Some(100.0)) - 80.0).abs() < 1e-9);
    }

    #[test]
    fn a_machine_without_sensors_says_so() {
        let answer = processor(&[]);
        assert!(matches!(answer.temperature, Known::No(_)));
        assert!(matches!(answer.watts, Known::No(_)));
        let card = asked(
            &[(&format!("{CARD}/vendor"), "0x8086\n")],
            Computing::Card("0000:03:00.0".to_owned()),
        );
        assert!(matches!(card.temperature, Known::No(_)), "{card:?}");
    }
}
