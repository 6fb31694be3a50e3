//! Whether this machine falls asleep by itself: a sleeping miner loses its place and its epoch.

use std::time::Duration;

use super::Roots;
use crate::clock::Clock;

/// What is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sleep {
    /// It stays awake.
    Never,
    /// It sleeps after so long without a key or a mouse.
    After(Duration),
    /// The system does not say.
    Unknown,
}

/// What is set for a machine on mains power.
#[cfg(target_os = "linux")]
pub async fn sleep(roots: &Roots, clock: &Clock) -> Sleep {
    let system = from_systemd(roots);
    if system != Sleep::Unknown {
        return system;
    }
    const POWER: &str = "org.gnome.settings-daemon.plugins.power";
    let ask =
        async |key: &str| super::command::output(clock, "gsettings", &["get", POWER, key]).await;
    match (ask("sleep-inactive-ac-type").await, ask("sleep-inactive-ac-timeout").await) {
        (Some(kind), Some(seconds)) => from_gsettings(&kind, &seconds),
        _ => Sleep::Unknown,
    }
}

/// What is set for a machine on mains power.
#[cfg(target_os = "macos")]
pub async fn sleep(_roots: &Roots, clock: &Clock) -> Sleep {
    let said = super::command::output(clock, "pmset", &["-g"]).await;
    said.map_or(Sleep::Unknown, |said| from_pmset(&said))
}

/// What is set for a machine on mains power.
#[cfg(windows)]
pub async fn sleep(_roots: &Roots, clock: &Clock) -> Sleep {
    let arguments = ["/query", "SCHEME_CURRENT", "SUB_SLEEP", "STANDBYIDLE"];
    let said = super::command::output(clock, "powercfg", &arguments).await;
    said.map_or(Sleep::Unknown, |said| from_powercfg(&said))
}

/// What is set: not known on this system.
#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
pub async fn sleep(_roots: &Roots, _clock: &Clock) -> Sleep {
    Sleep::Unknown
}

/// systemd: sleep is impossible where its target is masked or the kernel cannot do it; it comes by
/// itself only where the administrator gave idleness an action. What a desktop does is its own.
#[cfg(any(target_os = "linux", test))]
fn from_systemd(roots: &Roots) -> Sleep {
    let masked = |target: &str| {
        let link = roots.etc.join("systemd/system").join(target);
        std::fs::read_link(link).is_ok_and(|to| to.ends_with("dev/null"))
    };
    if masked("sleep.target") || (masked("suspend.target") && masked("hibernate.target")) {
        return Sleep::Never;
    }
    let states = roots.sys.join("power/state");
    if states.exists() && super::text(&states).is_none() {
        return Sleep::Never;
    }
    let (mut action, mut after) = (None, Duration::from_secs(30 * 60));
    let mut files = vec![roots.etc.join("systemd/logind.conf")];
    files.extend(super::entries(&roots.etc.join("systemd/logind.conf.d")));
    for (name, value) in files.iter().filter_map(|file| super::text(file)).flat_map(settings) {
        match name.as_str() {
            "IdleAction" => action = Some(value),
            "IdleActionSec" => after = time_span(&value).unwrap_or(after),
            _ => {}
        }
    }
    match action.as_deref() {
        Some("suspend" | "hibernate" | "hybrid-sleep" | "suspend-then-hibernate" | "sleep") => {
            Sleep::After(after)
        }
        _ => Sleep::Unknown,
    }
}

#[cfg(any(target_os = "linux", test))]
fn settings(text: String) -> Vec<(String, String)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';']));
    let pairs = lines.filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}

/// A time as systemd writes it: seconds, or numbers with a unit.
#[cfg(any(target_os = "linux", test))]
fn time_span(text: &str) -> Option<Duration> {
    let mut total = 0;
    for word in text.split_whitespace() {
        let digits = word.chars().take_while(char::is_ascii_digit).count();
        let number: u64 = word[..digits].parse().ok()?;
        let unit = match &word[digits..] {
            "" | "s" | "sec" | "second" | "seconds" => 1,
            "m" | "min" | "minute" | "minutes" => 60,
            "h" | "hr" | "hour" | "hours" => 3600,
            _ => return None,
        };
        total += number.checked_mul(unit)?;
    }
    Some(Duration::from_secs(total))
}

/// GNOME's own settings: a quoted word, and seconds of which none means never.
#[cfg(any(target_os = "linux", test))]
fn from_gsettings(kind: &str, seconds: &str) -> Sleep {
    let number = seconds.split_whitespace().last().and_then(|word| word.parse::<u64>().ok());
    match (kind.trim().trim_matches('\''), number) {
        ("nothing", _) | (_, Some(0)) => Sleep::Never,
        ("suspend" | "hibernate", Some(seconds)) => Sleep::After(Duration::from_secs(seconds)),
        _ => Sleep::Unknown,
    }
}

/// macOS: a line ` sleep   10 (...)`, in minutes of which none means never.
#[cfg(any(target_os = "macos", test))]
fn from_pmset(said: &str) -> Sleep {
    let minutes = said.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next() == Some("sleep")).then(|| words.next()?.parse::<u64>().ok())?
    });
    match minutes {
        None => Sleep::Unknown,
        Some(0) => Sleep::Never,
        Some(minutes) => Sleep::After(Duration::from_secs(minutes * 60)),
    }
}

/// Windows: the last two hexadecimal numbers are the seconds on mains and on battery; the words around
/// them are in the user's language.
#[cfg(any(windows, test))]
fn from_powercfg(said: &str) -> Sleep {
    let hexadecimal = |word: &str| u64::from_str_radix(word.strip_prefix("0x")?, 16).ok();
    let numbers: Vec<u64> = said.split_whitespace().filter_map(hexadecimal).collect();
    match numbers[..] {
        [.., 0, _] => Sleep::Never,
        [.., seconds, _] => Sleep::After(Duration::from_secs(seconds)),
        _ => Sleep::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::trees::tree;

    fn minutes(n: u64) -> Sleep {
        Sleep::After(Duration::from_secs(60 * n))
    }

    #[test]
    fn the_administrators_settings_are_read_with_their_overrides() {
        let conf = "etc/systemd/logind.conf";
        assert_eq!(
            from_systemd(&tree(&[(conf, "[Login]\n#IdleAction=suspend\n")]).1),
            Sleep::Unknown
        );
        let (_folder, roots) = tree(&[(conf, "[Login]\nIdleAction=suspend\n")]);
        assert_eq!(from_systemd(&roots), minutes(30));
        let (_folder, roots) = tree(&[
            (conf, "[Login]\nIdleAction=ignore\n"),
            (
                "etc/systemd/logind.conf.d/10-home.conf",
                "[Login]\nIdleAction=suspend\nIdleActionSec=1h 5min\n",
            ),
        ]);
        assert_eq!(from_systemd(&roots), minutes(65));
    }

    #[test]
    fn a_kernel_that_cannot_sleep_does_not() {
        let (_folder, roots) = tree(&[("sys/power/state", "\n")]);
        assert_eq!(from_systemd(&roots), Sleep::Never);
        let (_folder, roots) = tree(&[("sys/power/state", "freeze mem disk\n")]);
        assert_eq!(from_systemd(&roots), Sleep::Unknown);
    }

    #[cfg(unix)]
    #[test]
    fn a_masked_target_keeps_the_machine_awake() {
        let (folder, roots) = tree(&[("etc/systemd/system/x", "")]);
        let link = folder.path().join("etc/systemd/system/sleep.target");
        std::os::unix::fs::symlink("/dev/null", link).unwrap();
        assert_eq!(from_systemd(&roots), Sleep::Never);
    }

    #[test]
    fn what_desktops_and_other_systems_say_is_understood() {
        assert_eq!(from_gsettings("'suspend'\n", "900\n"), minutes(15));
        assert_eq!(from_gsettings("'nothing'\n", "900\n"), Sleep::Never);
        assert_eq!(from_gsettings("'suspend'\n", "0\n"), Sleep::Never);
        let pmset = " displaysleep         10\n sleep                1 (sleep prevented by x)\n";
        assert_eq!(from_pmset(pmset), minutes(1));
        assert_eq!(from_pmset(" sleep 0\n"), Sleep::Never);
        let powercfg = "Mögliche Einstellung: 0xffffffff\n Netz: 0x00000708\n Akku: 0x0000012c\n";
        assert_eq!(from_powercfg(powercfg), minutes(30));
        assert_eq!(from_powercfg("a 0x00000000\n b 0x0000012c"), Sleep::Never);
        assert_eq!(from_powercfg(""), Sleep::Unknown);
    }
}
