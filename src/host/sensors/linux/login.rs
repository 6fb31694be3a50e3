//! What the login service (logind) knows of the sessions at this machine's own screen and keyboard.
//!
//! Each session is asked by itself: the service's answer for the whole machine says "not idle" as long
//! as anybody keeps the machine awake, and that may be Hearth.

use std::time::Duration;

use dbus::Path;

use crate::host::readings::Known;
use crate::host::sensors::bus::{Bus, BusError, Object};

const SERVICE: &str = "org.freedesktop.login1";
const SESSION: &str = "org.freedesktop.login1.Session";

/// One session: its id, user, user's name, seat and object.
type Listed = (String, u32, String, String, Path<'static>);

/// What counts of a session.
struct Session {
    /// Somebody waits to be let in; nobody works.
    is_greeter: bool,
    /// A desktop must tell by itself that nobody uses it; a text console is watched.
    is_desktop: bool,
    is_idle: bool,
    /// Microseconds since 1970 of the last change; 0 if there was none.
    changed: u64,
    /// Microseconds since 1970 of its begin.
    begun: u64,
}

pub(super) fn idle(bus: &mut Bus, unix: Duration) -> Known<Duration> {
    match sessions(bus) {
        Ok(sessions) => judge(&sessions, unix),
        Err(BusError::NoBus | BusError::NoService(_)) => {
            Known::No("no desktop and no login service tells whether anybody is here".to_owned())
        }
        Err(error @ BusError::Refused { .. }) => Known::No(error.to_string()),
    }
}

fn sessions(bus: &mut Bus) -> Result<Vec<Session>, BusError> {
    let at = Object {
        service: SERVICE,
        path: "/org/freedesktop/login1",
        interface: "org.freedesktop.login1.Manager",
    };
    let (listed,): (Vec<Listed>,) = bus.call(at, "ListSessions", ())?;
    let at_a_seat = listed.into_iter().filter(|(_, _, _, seat, _)| !seat.is_empty());
    let mut found = Vec::new();
    for (.., path) in at_a_seat {
        // A session may end between two questions.
        found.extend(session(bus, &path).ok().flatten());
    }
    Ok(found)
}

/// None for one that is not a person's.
fn session(bus: &mut Bus, path: &Path<'_>) -> Result<Option<Session>, BusError> {
    let at = Object { service: SERVICE, path, interface: SESSION };
    let class: String = bus.property(at, "Class")?;
    let state: String = bus.property(at, "State")?;
    if !matches!(class.as_str(), "user" | "greeter" | "lock-screen" | "user-early")
        || state == "closing"
    {
        return Ok(None);
    }
    let kind: String = bus.property(at, "Type")?;
    Ok(Some(Session {
        is_greeter: class == "greeter",
        is_desktop: matches!(kind.as_str(), "x11" | "wayland" | "mir"),
        is_idle: bus.property(at, "IdleHint")?,
        changed: bus.property(at, "IdleSinceHint")?,
        begun: bus.property(at, "Timestamp")?,
    }))
}

/// The person who was active last counts.
fn judge(sessions: &[Session], unix: Duration) -> Known<Duration> {
    let since = |micros: u64| unix.saturating_sub(Duration::from_micros(micros));
    let people: Vec<&Session> = sessions.iter().filter(|session| !session.is_greeter).collect();
    if people.is_empty() {
        // A screen that waits for a login: nobody has worked since it appeared.
        let waiting = sessions.iter().map(|greeter| since(greeter.begun)).min();
        return waiting.map_or_else(
            || Known::No("nobody is logged in at this machine's own screen".to_owned()),
            Known::Is,
        );
    }
    let mut shortest = None;
    for person in people {
        let idle = match person {
            Session { is_idle: true, changed, .. } => since(*changed),
            Session { is_desktop: true, changed: 0, .. } => {
                return Known::No(
                    "the desktop does not tell the system whether anybody is there".to_owned(),
                );
            }
            _ => Duration::ZERO,
        };
        shortest = Some(shortest.map_or(idle, |least: Duration| least.min(idle)));
    }
    Known::Is(shortest.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_800_000_000);

    fn desktop(idle_for: Option<u64>, changed: bool) -> Session {
        let seconds = NOW.as_secs() - idle_for.unwrap_or(50);
        Session {
            is_greeter: false,
            is_desktop: true,
            is_idle: idle_for.is_some(),
            changed: if changed { seconds * 1_000_000 } else { 0 },
            begun: (NOW.as_secs() - 9_000) * 1_000_000,
        }
    }

    fn seconds(n: u64) -> Known<Duration> {
        Known::Is(Duration::from_secs(n))
    }

    #[test]
    fn the_one_who_was_active_last_counts() {
        assert_eq!(judge(&[desktop(Some(700), true)], NOW), seconds(700));
        assert_eq!(judge(&[desktop(Some(700), true), desktop(Some(90), true)], NOW), seconds(90));
        assert_eq!(judge(&[desktop(Some(700), true), desktop(None, true)], NOW), seconds(0));
    }

    #[test]
    fn a_desktop_that_never_told_is_not_believed_to_be_in_use() {
        assert!(matches!(judge(&[desktop(None, false)], NOW), Known::No(_)));
        let console = Session { is_desktop: false, ..desktop(None, false) };
        assert_eq!(judge(&[console], NOW), seconds(0));
    }

    #[test]
    fn where_nobody_is_logged_in_nobody_is_seen() {
        assert!(matches!(judge(&[], NOW), Known::No(_)));
        let greeter = Session { is_greeter: true, ..desktop(None, false) };
        assert_eq!(judge(&[greeter], NOW), seconds(9_000));
    }

    #[test]
    fn a_clock_that_was_set_back_is_survived() {
        let later = Session { changed: u64::MAX, ..desktop(Some(1), true) };
        assert_eq!(judge(&[later], NOW), seconds(0));
    }
}
