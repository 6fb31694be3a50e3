//! The desktop on Linux, from whoever tells: GNOME's compositor, Wayland, X11, the screen saver's
//! service, and the system's login service, in this order. The login service comes last because many
//! desktops tell it nothing; it is all that a service without a session can ask.

mod login;
mod saver;
mod wayland;
mod x11;

use std::time::Duration;

use super::bus::{Bus, Object, session_address, system_address};
use crate::host::Roots;
use crate::host::readings::Known;
use crate::host::surroundings::Variables;

/// Everything that may know.
pub(super) struct Desktop {
    system: Bus,
    session: Bus,
    saver: saver::Saver,
    x11: x11::Screen,
    wayland: Option<wayland::Watch>,
    is_wayland: bool,
}

impl Desktop {
    pub(super) fn new(roots: &Roots, variables: &Variables) -> Self {
        let set = |name: &str| variables.get(name).filter(|text| !text.is_empty()).cloned();
        let socket = set("WAYLAND_DISPLAY");
        Self {
            system: Bus::new(system_address(roots, variables)),
            session: Bus::new(session_address(variables)),
            saver: saver::Saver::default(),
            x11: x11::Screen::new(set("DISPLAY"), set("WINDOWID")),
            is_wayland: socket.is_some(),
            wayland: socket.map(|name| wayland::Watch::new(&name, set("XDG_RUNTIME_DIR"))),
        }
    }

    pub(super) fn idle(&mut self, unix: Duration) -> Known<Duration> {
        if let Some(idle) = self.mutter() {
            return Known::Is(idle);
        }
        if let Some(idle) = self.wayland.as_mut().and_then(|watch| watch.idle(unix)) {
            return Known::Is(idle);
        }
        // The X server inside a Wayland session sees only what its own windows are told.
        if !self.is_wayland
            && let Some(idle) = self.x11.idle()
        {
            return Known::Is(idle);
        }
        if let Some(idle) = self.saver.idle(&mut self.session) {
            return Known::Is(idle);
        }
        login::idle(&mut self.system, unix)
    }

    pub(super) fn fullscreen(&mut self) -> Known<bool> {
        if self.is_wayland {
            return Known::No("Wayland does not tell programs what fills the screen".to_owned());
        }
        self.x11.fullscreen()
    }

    /// GNOME: milliseconds.
    fn mutter(&mut self) -> Option<Duration> {
        const MONITOR: Object<'_> = Object {
            service: "org.gnome.Mutter.IdleMonitor",
            path: "/org/gnome/Mutter/IdleMonitor/Core",
            interface: "org.gnome.Mutter.IdleMonitor",
        };
        let said = self.session.call::<(u64,)>(MONITOR, "GetIdletime", ());
        said.ok().map(|(idle,)| Duration::from_millis(idle))
    }
}
