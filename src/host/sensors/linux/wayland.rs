//! A Wayland compositor that tells when nobody has used a seat for a while (`ext-idle-notify-v1`). It
//! tells the two moments only, so they are noted: the last use is where the first one counts from.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use wayland_client::protocol::{wl_registry, wl_seat};
use wayland_client::{Connection, Dispatch, EventQueue, QueueHandle, delegate_noop};
use wayland_protocols::ext::idle_notify::v1::client::ext_idle_notification_v1::{
    self, ExtIdleNotificationV1,
};
use wayland_protocols::ext::idle_notify::v1::client::ext_idle_notifier_v1::ExtIdleNotifierV1;

/// After so long without input the compositor says that nobody is there.
const FIRST: Duration = Duration::from_secs(2);

/// A compositor that may know.
pub(super) struct Watch {
    socket: Option<PathBuf>,
    open: Option<Open>,
}

struct Open {
    queue: EventQueue<Seat>,
    seat: Seat,
}

/// What the compositor has told.
#[derive(Default)]
struct Seat {
    notifier: Option<ExtIdleNotifierV1>,
    seat: Option<wl_seat::WlSeat>,
    is_idle: bool,
    /// When it was heard that nobody is there, since 1970.
    told: Option<Duration>,
}

impl Watch {
    pub(super) fn new(name: &str, runtime: Option<String>) -> Self {
        // An absolute name is a path of its own.
        let socket = match runtime {
            Some(folder) => Some(PathBuf::from(folder).join(name)),
            None => name.starts_with('/').then(|| PathBuf::from(name)),
        };
        Self { socket, open: None }
    }

    /// How long nobody was there; none where the compositor does not tell.
    pub(super) fn idle(&mut self, unix: Duration) -> Option<Duration> {
        if self.open.is_none() {
            self.open = Open::new(self.socket.as_ref()?);
        }
        let idle = self.open.as_mut()?.idle(unix);
        if idle.is_none() {
            self.open = None;
        }
        idle
    }
}

impl Open {
    fn new(socket: &PathBuf) -> Option<Self> {
        let stream = UnixStream::connect(socket).ok()?;
        let connection = Connection::from_socket(stream).ok()?;
        let mut queue = connection.new_event_queue();
        let handle = queue.handle();
        let mut seat = Seat::default();
        let _registry = connection.display().get_registry(&handle, ());
        queue.roundtrip(&mut seat).ok()?;
        let millis = u32::try_from(FIRST.as_millis()).ok()?;
        let (notifier, of) = (seat.notifier.as_ref()?, seat.seat.as_ref()?);
        let _notification = notifier.get_idle_notification(millis, of, &handle, ());
        Some(Self { queue, seat })
    }

    fn idle(&mut self, unix: Duration) -> Option<Duration> {
        self.queue.roundtrip(&mut self.seat).ok()?;
        if !self.seat.is_idle {
            self.seat.told = None;
            return Some(Duration::ZERO);
        }
        let told = *self.seat.told.get_or_insert(unix);
        Some(unix.saturating_sub(told) + FIRST)
    }
}

impl Dispatch<wl_registry::WlRegistry, ()> for Seat {
    fn event(
        state: &mut Self,
        registry: &wl_registry::WlRegistry,
        event: wl_registry::Event,
        _: &(),
        _: &Connection,
        handle: &QueueHandle<Self>,
    ) {
        let wl_registry::Event::Global { name, interface, .. } = event else { return };
        match interface.as_str() {
            "wl_seat" if state.seat.is_none() => {
                state.seat = Some(registry.bind(name, 1, handle, ()));
            }
            "ext_idle_notifier_v1" => state.notifier = Some(registry.bind(name, 1, handle, ())),
            _ => {}
        }
    }
}

impl Dispatch<ExtIdleNotificationV1, ()> for Seat {
    fn event(
        state: &mut Self,
        _: &ExtIdleNotificationV1,
        event: ext_idle_notification_v1::Event,
        _: &(),
        _: &Connection,
        _: &QueueHandle<Self>,
    ) {
        match event {
            ext_idle_notification_v1::Event::Idled => state.is_idle = true,
            ext_idle_notification_v1::Event::Resumed => {
                // Idle again before the next look counts anew.
                state.is_idle = false;
                state.told = None;
            }
            _ => {}
        }
    }
}

delegate_noop!(Seat: ExtIdleNotifierV1);
delegate_noop!(Seat: ignore wl_seat::WlSeat);
