//! Whether the connection is paid by volume.

use crate::host::Roots;
use crate::host::readings::Known;
use crate::host::surroundings::Variables;

/// What answers: it lives on a thread of its own.
#[cfg(target_os = "linux")]
pub(super) struct Network(super::bus::Bus);

#[cfg(target_os = "linux")]
impl Network {
    pub(super) fn new(roots: &Roots, variables: &Variables) -> Self {
        Self(super::bus::Bus::new(super::bus::system_address(roots, variables)))
    }

    /// NetworkManager: set by the user, or guessed from the kind of connection (a phone's).
    pub(super) fn is_metered(&mut self) -> Known<bool> {
        use super::bus::{BusError, Object};
        const MANAGER: Object<'_> = Object {
            service: "org.freedesktop.NetworkManager",
            path: "/org/freedesktop/NetworkManager",
            interface: "org.freedesktop.NetworkManager",
        };
        match self.0.property::<u32>(MANAGER, "Metered") {
            // Yes, and a guess that it is.
            Ok(1 | 3) => Known::Is(true),
            // No, and a guess that it is not.
            Ok(2 | 4) => Known::Is(false),
            Ok(_) => Known::No("NetworkManager does not know it of this connection".to_owned()),
            Err(BusError::NoBus | BusError::NoService(_)) => {
                Known::No("only NetworkManager knows it, and that is not running".to_owned())
            }
            Err(error) => Known::No(error.to_string()),
        }
    }
}

/// What answers.
#[cfg(not(target_os = "linux"))]
pub(super) struct Network;

#[cfg(not(target_os = "linux"))]
impl Network {
    pub(super) fn new(_roots: &Roots, _variables: &Variables) -> Self {
        Self
    }

    #[allow(clippy::unused_self)]
    pub(super) fn is_metered(&mut self) -> Known<bool> {
        Known::No("this system tells it only to programs of its own shop".to_owned())
    }
}
