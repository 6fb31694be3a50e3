//! Where the power comes from: the wall, or a battery that training empties within the hour.

use super::Roots;
use crate::clock::Clock;

/// The source of power.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// The wall, with or without a battery beside it.
    Mains,
    /// A battery, with what is left in percent where it says so.
    Battery(Option<u8>),
    /// The system does not say, as most desktops do not.
    Unknown,
}

/// The source now.
#[cfg(target_os = "linux")]
pub async fn power(roots: &Roots, _clock: &Clock) -> Power {
    from_supplies(roots)
}

/// The source now.
#[cfg(target_os = "macos")]
pub async fn power(_roots: &Roots, clock: &Clock) -> Power {
    let said = super::command::output(clock, "pmset", &["-g", "batt"]).await;
    said.map_or(Power::Unknown, |said| from_pmset(&said))
}

/// The source now.
#[cfg(windows)]
pub async fn power(_roots: &Roots, clock: &Clock) -> Power {
    const ASK: &str = "Get-CimInstance Win32_Battery | ForEach-Object { \"$($_.BatteryStatus) \
                       $($_.EstimatedChargeRemaining)\" }";
    let arguments = ["-NoProfile", "-NonInteractive", "-Command", ASK];
    let said = super::command::output(clock, "powershell", &arguments).await;
    said.map_or(Power::Unknown, |said| from_cim(&said))
}

/// The source now: not known on this system.
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
pub async fn power(_roots: &Roots, _clock: &Clock) -> Power {
    Power::Unknown
}

/// Linux: one folder a supply. A mouse has a battery too, of scope `Device`.
#[cfg(any(target_os = "linux", test))]
fn from_supplies(roots: &Roots) -> Power {
    let (mut plugged, mut unplugged, mut emptying) = (false, false, None);
    for supply in super::entries(&roots.sys.join("class/power_supply")) {
        let fact = |name: &str| super::text(&supply.join(name)).unwrap_or_default();
        if fact("scope") == "Device" {
            continue;
        }
        match fact("type").as_str() {
            "Mains" | "USB" | "Wireless" if fact("online") == "1" => plugged = true,
            "Mains" => unplugged = true,
            "Battery" if fact("status") == "Discharging" => {
                emptying = Some(fact("capacity").parse().ok());
            }
            _ => {}
        }
    }
    match emptying {
        _ if plugged => Power::Mains,
        Some(left) => Power::Battery(left),
        None if unplugged => Power::Battery(None),
        None => Power::Unknown,
    }
}

/// macOS: `Now drawing from 'Battery Power'`, then the batteries with `87%;`.
#[cfg(any(target_os = "macos", test))]
fn from_pmset(said: &str) -> Power {
    let percent = || {
        let before = said.split('%').next()?;
        let digits = before.rsplit(|c: char| !c.is_ascii_digit()).next()?;
        digits.parse().ok()
    };
    match () {
        () if said.contains("'AC Power'") => Power::Mains,
        () if said.contains("'Battery Power'") => Power::Battery(percent()),
        () => Power::Unknown,
    }
}

/// Windows: a line with status and charge for each battery; 1, 4 and 5 are the statuses of a battery
/// that is being emptied.
#[cfg(any(windows, test))]
fn from_cim(said: &str) -> Power {
    let mut words = said.split_whitespace();
    match words.next() {
        None => Power::Unknown,
        Some("1" | "4" | "5") => Power::Battery(words.next().and_then(|left| left.parse().ok())),
        Some(_) => Power::Mains,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::trees::tree;

    const MAINS: &str = "sys/class/power_supply/AC";
    const BATTERY: &str = "sys/class/power_supply/BAT0";

    fn laptop(online: &str, status: &str) -> Power {
        let (_folder, roots) = tree(&[
            (&format!("{MAINS}/type"), "Mains\n"),
            (&format!("{MAINS}/online"), online),
            (&format!("{BATTERY}/type"), "Battery\n"),
            (&format!("{BATTERY}/status"), status),
            (&format!("{BATTERY}/capacity"), "41\n"),
        ]);
        from_supplies(&roots)
    }

    #[test]
    fn a_laptop_is_on_its_battery_when_it_is_unplugged() {
        assert_eq!(laptop("1\n", "Charging\n"), Power::Mains);
        assert_eq!(laptop("1\n", "Discharging\n"), Power::Mains);
        assert_eq!(laptop("0\n", "Discharging\n"), Power::Battery(Some(41)));
    }

    #[test]
    fn a_desktop_says_nothing_and_a_mouse_is_no_machine() {
        assert_eq!(from_supplies(&tree(&[]).1), Power::Unknown);
        let mouse = "sys/class/power_supply/hid";
        let (_folder, roots) = tree(&[
            (&format!("{mouse}/type"), "Battery"),
            (&format!("{mouse}/scope"), "Device"),
            (&format!("{mouse}/status"), "Discharging"),
        ]);
        assert_eq!(from_supplies(&roots), Power::Unknown);
    }

    #[test]
    fn what_other_systems_say_is_understood() {
        let battery =
            "Now drawing from 'Battery Power'\n -InternalBattery-0 (id=1)\t87%; discharging";
        assert_eq!(from_pmset(battery), Power::Battery(Some(87)));
        assert_eq!(from_pmset("Now drawing from 'AC Power'\n"), Power::Mains);
        assert_eq!(from_pmset(""), Power::Unknown);
        assert_eq!(from_cim("1 63\r\n"), Power::Battery(Some(63)));
        assert_eq!(from_cim("2 100\r\n"), Power::Mains);
        assert_eq!(from_cim(""), Power::Unknown);
    }
}
