//! An X11 display: the time since the last input, and the state of the active window.

use std::time::Duration;

use x11rb::connection::Connection as _;
use x11rb::protocol::screensaver::ConnectionExt as _;
use x11rb::protocol::xproto::{Atom, AtomEnum, ConnectionExt as _, Window};
use x11rb::rust_connection::RustConnection;

use crate::host::readings::Known;

/// The display of the session, if there is one.
pub(super) struct Screen {
    display: Option<String>,
    /// The window of the terminal that Hearth runs in: that one may fill the screen.
    own_window: Option<Window>,
    open: Option<Open>,
}

struct Open {
    connection: RustConnection,
    root: Window,
    active: Atom,
    state: Atom,
    fullscreen: Atom,
}

impl Screen {
    pub(super) fn new(display: Option<String>, own_window: Option<String>) -> Self {
        let own_window = own_window.and_then(|id| id.parse().ok());
        Self { display, own_window, open: None }
    }

    pub(super) fn idle(&mut self) -> Option<Duration> {
        self.display.as_ref()?;
        self.ask(|open| {
            let said = open.connection.screensaver_query_info(open.root).ok()?.reply().ok()?;
            Some(Duration::from_millis(said.ms_since_user_input.into()))
        })
    }

    pub(super) fn fullscreen(&mut self) -> Known<bool> {
        if self.display.is_none() {
            return Known::No("there is no desktop that could be asked".to_owned());
        }
        let own = self.own_window;
        let said = self.ask(|open| open.fullscreen(own));
        said.map_or_else(
            || Known::No("the desktop does not tell which window is active".to_owned()),
            Known::Is,
        )
    }

    /// A connection that fails is opened anew at the next question.
    fn ask<T>(&mut self, question: impl Fn(&Open) -> Option<T>) -> Option<T> {
        if self.open.is_none() {
            self.open = Open::new(self.display.as_deref());
        }
        let answer = question(self.open.as_ref()?);
        if answer.is_none() {
            self.open = None;
        }
        answer
    }
}

impl Open {
    fn new(display: Option<&str>) -> Option<Self> {
        let (connection, screen) = RustConnection::connect(display).ok()?;
        let root = connection.setup().roots.get(screen)?.root;
        let atom = |name: &str| {
            Some(connection.intern_atom(false, name.as_bytes()).ok()?.reply().ok()?.atom)
        };
        let (active, state, fullscreen) = (
            atom("_NET_ACTIVE_WINDOW")?,
            atom("_NET_WM_STATE")?,
            atom("_NET_WM_STATE_FULLSCREEN")?,
        );
        Some(Self { connection, root, active, state, fullscreen })
    }

    /// None where no window manager says which window is active.
    fn fullscreen(&self, own: Option<Window>) -> Option<bool> {
        let active = self.values(self.root, self.active, AtomEnum::WINDOW.into())?;
        let Some(window) = active.first().copied().filter(|window| *window != 0) else {
            return Some(false);
        };
        if Some(window) == own {
            return Some(false);
        }
        // The window may have closed since.
        let states = self.values(window, self.state, AtomEnum::ATOM.into()).unwrap_or_default();
        Some(states.contains(&self.fullscreen))
    }

    /// A property's numbers; none where there is no such property.
    fn values(&self, of: Window, property: Atom, kind: Atom) -> Option<Vec<u32>> {
        let asked = self.connection.get_property(false, of, property, kind, 0, 64).ok()?;
        asked.reply().ok()?.value32().map(Iterator::collect)
    }
}
