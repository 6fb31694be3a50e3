//! Keeping the computer awake while it trains: systems send a machine to sleep when nobody types, and
//! training is not typing. The hold ends by itself when this process does, however it ends.

use crate::clock::Clock;

/// Who asks, as the system lists it.
#[cfg(any(target_os = "linux", windows))]
const WHO: &str = "Hearth";
#[cfg(any(target_os = "linux", windows))]
const WHY: &str = "training a model";

/// Why the computer cannot be kept awake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AwakeError {
    /// Nobody here could do it.
    #[error("{0}")]
    NotHere(String),
    /// The system refuses.
    #[error("the system refuses: {0}")]
    Refused(String),
}

/// The computer is kept awake as long as this is kept.
#[derive(Debug)]
pub struct Hold {
    #[cfg(target_os = "linux")]
    _lock: std::os::fd::OwnedFd,
    #[cfg(target_os = "macos")]
    _program: tokio::process::Child,
    #[cfg(windows)]
    _release: std::sync::mpsc::Sender<()>,
}

#[cfg(target_os = "linux")]
mod system {
    //! The login service (logind) keeps the machine awake as long as a file it gave is open.

    use super::{AwakeError, Clock, Hold, WHO, WHY};
    use crate::host::Roots;
    use crate::host::sensors::bus::{Bus, BusError, Object, system_address};
    use crate::host::surroundings::Variables;

    const MANAGER: Object<'_> = Object {
        service: "org.freedesktop.login1",
        path: "/org/freedesktop/login1",
        interface: "org.freedesktop.login1.Manager",
    };

    /// Keeps the computer awake.
    ///
    /// # Errors
    /// [`AwakeError`] where nobody can do it.
    pub async fn hold(
        roots: &Roots,
        variables: &Variables,
        _clock: &Clock,
    ) -> Result<Hold, AwakeError> {
        let address = system_address(roots, variables);
        let asked = tokio::task::spawn_blocking(move || ask(Bus::new(address))).await;
        asked.unwrap_or_else(|error| Err(AwakeError::NotHere(error.to_string())))
    }

    fn ask(mut bus: Bus) -> Result<Hold, AwakeError> {
        let mut lock = |what: &str| {
            bus.call::<(std::os::fd::OwnedFd,)>(MANAGER, "Inhibit", (what, WHO, WHY, "block"))
        };
        // Whether a program may stop sleep that somebody asked for is the administrator's choice; sleep
        // for want of a key press is the lesser thing.
        let said = lock("idle:sleep").or_else(|error| match error {
            BusError::Refused { .. } => lock("idle"),
            error => Err(error),
        });
        match said {
            Ok((lock,)) => Ok(Hold { _lock: lock }),
            Err(BusError::Refused { why, .. }) => Err(AwakeError::Refused(why)),
            Err(BusError::NoBus | BusError::NoService(_)) => {
                Err(AwakeError::NotHere("there is no login service (systemd-logind)".to_owned()))
            }
        }
    }
}

#[cfg(target_os = "macos")]
mod system {
    //! A tool of the system that ends with this process.

    use std::process::Stdio;

    use tokio::process::Command;

    use super::{AwakeError, Clock, Hold};
    use crate::host::Roots;
    use crate::host::surroundings::Variables;

    /// Keeps the computer awake.
    ///
    /// # Errors
    /// [`AwakeError`] where nobody can do it.
    pub async fn hold(
        _roots: &Roots,
        _variables: &Variables,
        _clock: &Clock,
    ) -> Result<Hold, AwakeError> {
        let own = std::process::id().to_string();
        let program = Command::new("/usr/bin/caffeinate")
            .args(["-i", "-w", &own])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        program
            .map(|program| Hold { _program: program })
            .map_err(|error| AwakeError::NotHere(format!("caffeinate cannot be started: {error}")))
    }
}

#[cfg(windows)]
mod system {
    //! Windows keeps awake for the sake of a thread, so one waits until it is let go.

    use std::sync::mpsc;
    use std::time::Duration;

    use super::{AwakeError, Clock, Hold, WHO, WHY};
    use crate::host::Roots;
    use crate::host::surroundings::Variables;

    /// Keeps the computer awake.
    ///
    /// # Errors
    /// [`AwakeError`] where nobody can do it.
    pub async fn hold(
        _roots: &Roots,
        _variables: &Variables,
        clock: &Clock,
    ) -> Result<Hold, AwakeError> {
        let (release, released) = mpsc::channel::<()>();
        let (said, heard) = tokio::sync::oneshot::channel();
        let thread = std::thread::Builder::new().name("keep-awake".to_owned()).spawn(move || {
            let held = keepawake::Builder::default().idle(true).app_name(WHO).reason(WHY).create();
            let told = held.as_ref().map(|_| ()).map_err(ToString::to_string);
            // Until the other end is dropped.
            if said.send(told).is_ok() {
                let _ = released.recv();
            }
            drop(held);
        });
        thread.map_err(|error| AwakeError::NotHere(error.to_string()))?;
        match clock.timeout(Duration::from_secs(3), heard).await {
            Ok(Ok(Ok(()))) => Ok(Hold { _release: release }),
            Ok(Ok(Err(why))) => Err(AwakeError::Refused(why)),
            _ => Err(AwakeError::NotHere("Windows does not answer".to_owned())),
        }
    }
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
mod system {
    use super::{AwakeError, Clock, Hold};
    use crate::host::Roots;
    use crate::host::surroundings::Variables;

    /// Keeps the computer awake: not known how on this system.
    ///
    /// # Errors
    /// Always.
    pub async fn hold(
        _roots: &Roots,
        _variables: &Variables,
        _clock: &Clock,
    ) -> Result<Hold, AwakeError> {
        Err(AwakeError::NotHere("this system has no way to ask for it".to_owned()))
    }
}

pub use system::hold;

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::io::Read as _;
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::sync::Mutex;

    use super::*;
    use crate::host::fake_bus::{FakeBus, calls};
    use crate::host::surroundings::Variables;
    use crate::host::trees::tree;

    #[tokio::test]
    async fn the_computer_stays_awake_exactly_as_long_as_it_is_asked_to() {
        let Some(bus) = FakeBus::start() else { return };
        let (_folder, roots) = tree(&[("x", "")]);
        let name = "DBUS_SYSTEM_BUS_ADDRESS".to_owned();
        let variables = Variables::from([(name, bus.address.clone())]);
        let clock = Clock::system();
        let nobody = hold(&roots, &variables, &clock).await.unwrap_err();
        assert!(matches!(nobody, AwakeError::NotHere(_)), "{nobody}");

        let (given, mut kept) = UnixStream::pair().unwrap();
        let given = Mutex::new(Some(OwnedFd::from(given)));
        let _login = bus.serve("org.freedesktop.login1", move |message| {
            let (what, who) = message.read2::<&str, &str>().ok()?;
            assert_eq!((calls(message, "Inhibit"), who), (true, "Hearth"));
            // This administrator lets nobody stop sleep that was asked for.
            if what != "idle" {
                let denied = c"Permission denied";
                let name = "org.freedesktop.DBus.Error.AccessDenied".into();
                return Some(message.error(&name, denied));
            }
            let given = given.lock().unwrap().take()?;
            Some(message.method_return().append1(given))
        });
        let held = hold(&roots, &variables, &clock).await.unwrap();
        kept.set_nonblocking(true).unwrap();
        let still = kept.read(&mut [0; 1]).unwrap_err();
        assert_eq!(still.kind(), std::io::ErrorKind::WouldBlock);
        drop(held);
        kept.set_nonblocking(false).unwrap();
        assert_eq!(kept.read(&mut [0; 1]).unwrap(), 0, "the lock is let go");
    }
}
