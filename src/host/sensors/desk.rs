//! Whether somebody uses this computer: how long keyboard and mouse have been still, and whether a
//! program fills the screen. Each system tells it in its own way, and a Linux desktop in several; the
//! first that knows is believed.

use std::time::Duration;

use crate::host::Roots;
use crate::host::readings::Known;
use crate::host::surroundings::Variables;

/// Which of the two is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) idle: bool,
    pub(super) fullscreen: bool,
    /// Time since 1970.
    pub(super) unix: Duration,
}

/// The answers.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) idle: Known<Duration>,
    pub(super) fullscreen: Known<bool>,
}

/// What answers: it lives on a thread of its own.
pub(super) struct Desk {
    #[cfg(target_os = "linux")]
    inner: super::linux::Desktop,
    #[cfg(windows)]
    is_service: bool,
}

impl Desk {
    #[cfg_attr(not(target_os = "linux"), allow(unused_variables))]
    pub(super) fn new(roots: &Roots, variables: &Variables) -> Self {
        Self {
            #[cfg(target_os = "linux")]
            inner: super::linux::Desktop::new(roots, variables),
            #[cfg(windows)]
            is_service: !variables.contains_key("SESSIONNAME"),
        }
    }

    pub(super) fn answer(&mut self, ask: Ask) -> Answer {
        let idle = if ask.idle { plausible(self.idle(ask.unix)) } else { Known::NotAsked };
        let fullscreen = if ask.fullscreen { self.fullscreen() } else { Known::NotAsked };
        Answer { idle, fullscreen }
    }

    #[cfg(target_os = "linux")]
    fn idle(&mut self, unix: Duration) -> Known<Duration> {
        self.inner.idle(unix)
    }

    #[cfg(target_os = "linux")]
    fn fullscreen(&mut self) -> Known<bool> {
        self.inner.fullscreen()
    }

    #[cfg(target_os = "macos")]
    fn idle(&mut self, _unix: Duration) -> Known<Duration> {
        // Answered by a command, beside this thread.
        Known::NotAsked
    }

    #[cfg(windows)]
    fn idle(&mut self, _unix: Duration) -> Known<Duration> {
        if self.is_service {
            return Known::No("a service cannot see who uses this computer".to_owned());
        }
        match user_idle2::UserIdle::get_time() {
            Ok(idle) => Known::Is(Duration::from_millis(
                u64::try_from(idle.as_milliseconds()).unwrap_or(u64::MAX),
            )),
            Err(_) => Known::No("Windows does not say when keys were last pressed".to_owned()),
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
    fn idle(&mut self, _unix: Duration) -> Known<Duration> {
        Known::No("this system does not say whether anybody uses it".to_owned())
    }

    #[cfg(not(target_os = "linux"))]
    #[allow(clippy::unused_self)]
    fn fullscreen(&mut self) -> Known<bool> {
        Known::No("this system does not tell other programs what fills the screen".to_owned())
    }
}

/// A year without a key is a counter that was never set, not a person who is away.
fn plausible(idle: Known<Duration>) -> Known<Duration> {
    const LONGEST: Duration = Duration::from_secs(366 * 86_400);
    match idle {
        Known::Is(idle) if idle > LONGEST => {
            Known::No("the time since the last key press makes no sense".to_owned())
        }
        idle => idle,
    }
}

/// macOS: nanoseconds since the last event, in the tree of devices.
#[cfg(target_os = "macos")]
pub(super) async fn idle_by_command(clock: &crate::clock::Clock) -> Known<Duration> {
    let arguments = ["-c", "IOHIDSystem", "-d", "4", "-S"];
    let said = crate::host::command::output(clock, "ioreg", &arguments).await;
    match said.as_deref().and_then(from_ioreg) {
        Some(idle) => plausible(Known::Is(idle)),
        None => Known::No("macOS does not say when keys were last pressed".to_owned()),
    }
}

/// `"HIDIdleTime" = 123456789`.
#[cfg(any(target_os = "macos", test))]
fn from_ioreg(said: &str) -> Option<Duration> {
    let line = said.lines().find(|line| line.contains("\"HIDIdleTime\""))?;
    let number = line.split('=').nth(1)?.trim();
    number.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macos_counts_in_nanoseconds() {
        let said = "+-o Root\n  | {\n  |   \"HIDIdleTime\" = 93000000000\n  | }\n";
        assert_eq!(from_ioreg(said), Some(Duration::from_secs(93)));
        assert_eq!(from_ioreg("\"HIDIdleTime\" = <0100>"), None);
        assert_eq!(from_ioreg(""), None);
    }

    #[test]
    fn a_counter_that_was_never_set_is_no_reading() {
        assert!(matches!(plausible(Known::Is(Duration::from_secs(u64::MAX))), Known::No(_)));
        let hour = Known::Is(Duration::from_secs(3600));
        assert_eq!(plausible(hour.clone()), hour);
    }
}
