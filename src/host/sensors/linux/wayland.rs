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

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Read, Write};
    use std::os::unix::net::UnixListener;
    use std::sync::mpsc;

    use super::*;

    /// A compositor that knows as much of the wire as is asked of it.
    struct Compositor {
        stream: UnixStream,
        registry: u32,
        notification: u32,
    }

    fn word(bytes: &[u8], at: usize) -> u32 {
        u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
    }

    impl Compositor {
        fn send(&mut self, object: u32, opcode: u32, arguments: &[u32]) {
            let size = u32::try_from(8 + 4 * arguments.len()).unwrap();
            let words = [object, size << 16 | opcode].into_iter().chain(arguments.iter().copied());
            let bytes: Vec<u8> = words.flat_map(u32::to_ne_bytes).collect();
            // A client that has left hears nothing any more.
            let _ = self.stream.write_all(&bytes);
        }

        fn tell_of(&mut self, name: u32, interface: &str) {
            let mut text = interface.as_bytes().to_vec();
            text.push(0);
            let length = u32::try_from(text.len()).unwrap();
            text.resize(text.len().next_multiple_of(4), 0);
            let words = text.chunks_exact(4).map(|four| word(four, 0));
            let arguments: Vec<u32> = [name, length].into_iter().chain(words).chain([1]).collect();
            self.send(self.registry, 0, &arguments);
        }

        /// One request; false once the client has left.
        fn answer(&mut self) -> bool {
            let mut head = [0; 8];
            match self.stream.read_exact(&mut head) {
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    return true;
                }
                Err(_) => return false,
                Ok(()) => {}
            }
            let (object, size) = (word(&head, 0), word(&head, 4) >> 16);
            let opcode = word(&head, 4) & 0xffff;
            let mut body = vec![0; usize::try_from(size).unwrap() - 8];
            self.stream.read_exact(&mut body).unwrap();
            match (object, opcode) {
                (1, 0) => {
                    let callback = word(&body, 0);
                    self.send(callback, 0, &[0]);
                    self.send(1, 1, &[callback]);
                }
                (1, 1) => {
                    self.registry = word(&body, 0);
                    self.tell_of(1, "wl_seat");
                    self.tell_of(2, "ext_idle_notifier_v1");
                }
                // The one request with four arguments of which none is a text.
                (_, 1) if size == 20 => {
                    self.notification = word(&body, 0);
                    assert_eq!(u128::from(word(&body, 4)), FIRST.as_millis());
                }
                _ => {}
            }
            true
        }
    }

    #[test]
    fn a_compositor_tells_when_nobody_is_there_and_when_somebody_is() {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("wayland-9")).unwrap();
        let (tell, told) = mpsc::channel::<u32>();
        let (done, is_done) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let stream = listener.accept().unwrap().0;
            stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
            let mut compositor = Compositor { stream, registry: 0, notification: 0 };
            while compositor.answer() {
                if let Ok(event) = told.try_recv() {
                    assert_ne!(compositor.notification, 0, "nobody asked to be told");
                    compositor.send(compositor.notification, event, &[]);
                    done.send(()).unwrap();
                }
            }
        });
        let runtime = Some(folder.path().display().to_string());
        let mut watch = Watch::new("wayland-9", runtime.clone());
        let at = |seconds: u64| Duration::from_secs(1_800_000_000 + seconds);
        let event = |event: u32| {
            tell.send(event).unwrap();
            is_done.recv().unwrap();
        };
        assert_eq!(watch.idle(at(0)), Some(Duration::ZERO));
        event(0);
        assert_eq!(watch.idle(at(10)), Some(FIRST));
        assert_eq!(watch.idle(at(70)), Some(Duration::from_secs(60) + FIRST));
        event(1);
        assert_eq!(watch.idle(at(75)), Some(Duration::ZERO));
        // Came back and left again between two looks.
        event(0);
        assert_eq!(watch.idle(at(100)), Some(FIRST));
        event(1);
        event(0);
        assert_eq!(watch.idle(at(200)), Some(FIRST));
        drop(watch);
        thread.join().unwrap();
        // The compositor has gone.
        assert_eq!(Watch::new("wayland-9", runtime).idle(at(300)), None);
        assert_eq!(Watch::new("wayland-9", None).idle(at(300)), None);
    }
}
