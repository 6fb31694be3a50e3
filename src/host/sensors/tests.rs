//! The sensors as a whole: made-up trees, real message buses with services that lie or vanish, and a
//! real display.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::*;
use crate::host::trees::tree;

fn place(roots: &Roots, variables: &[(&str, &str)]) -> Place {
    Place {
        roots: roots.clone(),
        variables: variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        folder: std::env::temp_dir(),
        devices: vec![Computing::Processor, Computing::Processor],
    }
}

async fn read(sensors: &mut Sensors, senses: &[Sense]) -> Readings {
    let wanted = Wanted::these(senses.iter().copied(), ["steam".to_owned()]);
    let readings = sensors.read(&wanted).await;
    assert_eq!(readings.len(), 2, "one for each device");
    readings[0].clone()
}

#[tokio::test]
async fn only_what_is_asked_for_is_looked_at() {
    let (_folder, roots) = tree(&[("x", "")]);
    let mut sensors = Sensors::new(place(&roots, &[]), &Clock::system());
    assert_eq!(read(&mut sensors, &[]).await, Readings::none());
    let readings = read(&mut sensors, &[Sense::Power, Sense::Disk]).await;
    assert_eq!(readings.power, Known::Is(PowerSource::Mains), "a desktop hangs on the wall");
    assert!(readings.disk_free.get().is_some_and(|free| *free > 0));
    let rest = Readings { power: Known::NotAsked, disk_free: Known::NotAsked, ..readings };
    assert_eq!(rest, Readings::none());
}

#[tokio::test]
async fn a_machine_that_tells_nothing_gives_a_reason_for_each() {
    let (_folder, roots) = tree(&[("x", "")]);
    let mut sensors = Sensors::new(place(&roots, &[]), &Clock::system());
    let asked: Vec<Sense> = Sense::ALL.into_iter().filter(|sense| *sense != Sense::Month).collect();
    let readings = read(&mut sensors, &asked).await;
    let reasons = unknown(&readings);
    let nameless: Vec<Sense> = reasons.iter().map(|(sense, _)| *sense).collect();
    assert!(nameless.contains(&Sense::Idle) && nameless.contains(&Sense::Temperature));
    assert!(reasons.iter().all(|(_, why)| why.len() > 10), "{reasons:?}");
}

#[tokio::test]
async fn each_device_has_its_own_heat() {
    let card = "sys/bus/pci/devices/0000:03:00.0";
    let (_folder, roots) = tree(&[
        (&format!("{card}/vendor"), "0x1002"),
        (&format!("{card}/hwmon/hwmon1/temp1_input"), "80000"),
        ("sys/class/hwmon/hwmon0/name", "coretemp"),
        ("sys/class/hwmon/hwmon0/temp1_input", "50000"),
    ]);
    let mut place = place(&roots, &[]);
    place.devices = vec![Computing::Card("0000:03:00.0".to_owned()), Computing::Processor];
    let mut sensors = Sensors::new(place, &Clock::system());
    let readings = sensors.read(&Wanted::these([Sense::Temperature], [])).await;
    let heats: Vec<_> = readings.iter().map(|one| one.temperature.clone()).collect();
    assert_eq!(heats, [Known::Is(80.0), Known::Is(50.0)]);
}

#[cfg(target_os = "linux")]
mod on_a_bus {
    use dbus::Path;
    use dbus::arg::RefArg;

    use super::*;
    use crate::host::fake_bus::{FakeBus, calls, property};

    const NM: &str = "org.freedesktop.NetworkManager";

    fn boxed(value: impl RefArg + 'static) -> Option<Box<dyn RefArg>> {
        Some(Box::new(value))
    }

    #[tokio::test]
    async fn a_service_may_change_its_mind_vanish_and_come_back() {
        let Some(bus) = FakeBus::start() else { return };
        let (_folder, roots) = tree(&[("x", "")]);
        let place = place(&roots, &[("DBUS_SYSTEM_BUS_ADDRESS", &bus.address)]);
        let mut sensors = Sensors::new(place, &Clock::system());
        let mut metered = async || read(&mut sensors, &[Sense::Metered]).await.metered;
        assert!(matches!(metered().await, Known::No(_)), "nobody is there yet");
        let says = Arc::new(AtomicU32::new(1));
        let heard = Arc::clone(&says);
        let serve = || {
            let heard = Arc::clone(&heard);
            bus.serve(NM, move |message| {
                property(message, |name| {
                    (name == "Metered").then(|| boxed(heard.load(Ordering::Relaxed)))?
                })
            })
        };
        let service = serve();
        assert_eq!(metered().await, Known::Is(true));
        says.store(4, Ordering::Relaxed);
        assert_eq!(metered().await, Known::Is(false));
        // Neither a yes nor a no, and a number that does not exist.
        for lie in [0, 99] {
            says.store(lie, Ordering::Relaxed);
            assert!(matches!(metered().await, Known::No(_)));
        }
        drop(service);
        assert!(matches!(metered().await, Known::No(_)));
        says.store(3, Ordering::Relaxed);
        let _service = serve();
        assert_eq!(metered().await, Known::Is(true));
    }

    #[tokio::test]
    async fn a_service_that_answers_nonsense_is_not_believed() {
        let Some(bus) = FakeBus::start() else { return };
        let (_folder, roots) = tree(&[("x", "")]);
        let place = place(&roots, &[("DBUS_SYSTEM_BUS_ADDRESS", &bus.address)]);
        let mut sensors = Sensors::new(place, &Clock::system());
        let _service = bus.serve(NM, |message| property(message, |_| boxed("yes".to_owned())));
        let metered = read(&mut sensors, &[Sense::Metered]).await.metered;
        assert!(matches!(metered, Known::No(_)), "{metered:?}");
        drop(bus);
        let metered = read(&mut sensors, &[Sense::Metered]).await.metered;
        assert!(matches!(metered, Known::No(_)), "{metered:?}");
    }

    /// A login service with one session, idle for so many seconds.
    fn login(bus: &FakeBus, kind: &'static str, idle: u64) -> crate::host::fake_bus::FakeService {
        bus.serve("org.freedesktop.login1", move |message| {
            if calls(message, "ListSessions") {
                let session = |id: &str, seat: &str| {
                    let path = Path::new(format!("/org/freedesktop/login1/session/{id}")).unwrap();
                    (id.to_owned(), 1000_u32, "ada".to_owned(), seat.to_owned(), path)
                };
                // One over the network counts not: it has no seat.
                let sessions = vec![session("_1", "seat0"), session("_2", "")];
                return Some(message.method_return().append1(sessions));
            }
            let since = Clock::system().unix() - Duration::from_secs(idle);
            let since = u64::try_from(since.as_micros()).unwrap();
            property(message, |name| match name {
                "Class" => boxed("user".to_owned()),
                "State" => boxed("active".to_owned()),
                "Type" => boxed(kind.to_owned()),
                "IdleHint" => boxed(idle > 0),
                "IdleSinceHint" | "Timestamp" => boxed(since),
                _ => None,
            })
        })
    }

    fn about(idle: &Known<Duration>, seconds: u64) -> bool {
        idle.get().is_some_and(|idle| (seconds - 1..seconds + 5).contains(&idle.as_secs()))
    }

    #[tokio::test]
    async fn the_desktop_is_asked_before_the_login_service() {
        let (Some(system), Some(session)) = (FakeBus::start(), FakeBus::start()) else { return };
        let (_folder, roots) = tree(&[("x", "")]);
        let place = place(
            &roots,
            &[
                ("DBUS_SYSTEM_BUS_ADDRESS", &system.address),
                ("DBUS_SESSION_BUS_ADDRESS", &session.address),
            ],
        );
        let mut sensors = Sensors::new(place, &Clock::system());
        let mut idle = async || read(&mut sensors, &[Sense::Idle]).await.idle;
        let nobody = idle().await;
        assert!(matches!(nobody, Known::No(_)), "{nobody:?}");
        let _login = login(&system, "tty", 900);
        let by_login = idle().await;
        assert!(about(&by_login, 900), "{by_login:?}");
        // A screen saver that counts in milliseconds.
        let started = Clock::system();
        let saver = session.serve("org.freedesktop.ScreenSaver", move |message| {
            let idle = 700_000 + u32::try_from(started.now().0.as_millis()).unwrap();
            calls(message, "GetSessionIdleTime").then(|| message.method_return().append1(idle))
        });
        let by_saver = idle().await;
        assert!(about(&by_saver, 700), "{by_saver:?}");
        let mutter = session.serve("org.gnome.Mutter.IdleMonitor", |message| {
            calls(message, "GetIdletime").then(|| message.method_return().append1(42_000_u64))
        });
        let by_mutter = idle().await;
        assert!(about(&by_mutter, 42), "{by_mutter:?}");
        // One that makes no sense at all.
        drop(mutter);
        let _mutter = session.serve("org.gnome.Mutter.IdleMonitor", |message| {
            calls(message, "GetIdletime").then(|| message.method_return().append1(u64::MAX))
        });
        let lie = idle().await;
        assert!(matches!(lie, Known::No(_)), "{lie:?}");
        drop(saver);
    }

    #[tokio::test]
    async fn somebody_at_the_desktop_is_seen_by_the_login_service() {
        let Some(system) = FakeBus::start() else { return };
        let (_folder, roots) = tree(&[("x", "")]);
        let place = place(&roots, &[("DBUS_SYSTEM_BUS_ADDRESS", &system.address)]);
        let mut sensors = Sensors::new(place, &Clock::system());
        let _login = login(&system, "wayland", 0);
        assert_eq!(read(&mut sensors, &[Sense::Idle]).await.idle, Known::Is(Duration::ZERO));
    }
}

/// A real X server without a screen, and a person made of `xdotool`.
#[cfg(target_os = "linux")]
mod on_a_display {
    use std::io::{BufRead as _, BufReader};
    use std::process::{Child, Command, Stdio};

    use x11rb::connection::Connection as _;
    use x11rb::protocol::xproto::{
        AtomEnum, ConnectionExt as _, CreateWindowAux, PropMode, Window, WindowClass,
    };
    use x11rb::rust_connection::RustConnection;
    use x11rb::wrapper::ConnectionExt as _;

    use super::*;

    struct Display {
        server: Child,
        name: String,
    }

    impl Display {
        fn start() -> Option<Self> {
            let mut command = Command::new("Xvfb");
            command.args(["-displayfd", "1", "-screen", "0", "320x200x24", "-nolisten", "tcp"]);
            let Ok(mut server) = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
            else {
                eprintln!("skipped: there is no Xvfb");
                return None;
            };
            let mut number = String::new();
            BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
            Some(Self { server, name: format!(":{}", number.trim()) })
        }
    }

    impl Drop for Display {
        fn drop(&mut self) {
            let _ = self.server.kill();
            let _ = self.server.wait();
        }
    }

    struct Owner {
        connection: RustConnection,
        root: Window,
    }

    impl Owner {
        fn of(display: &Display) -> Self {
            let (connection, screen) = RustConnection::connect(Some(&display.name)).unwrap();
            let root = connection.setup().roots[screen].root;
            Self { connection, root }
        }

        fn atom(&self, name: &str) -> u32 {
            self.connection.intern_atom(false, name.as_bytes()).unwrap().reply().unwrap().atom
        }

        fn window(&self, states: &[&str]) -> Window {
            let id = self.connection.generate_id().unwrap();
            let kind = WindowClass::INPUT_OUTPUT;
            let aux = CreateWindowAux::new();
            self.connection
                .create_window(0, id, self.root, 0, 0, 10, 10, 0, kind, 0, &aux)
                .unwrap()
                .check()
                .unwrap();
            let states: Vec<u32> = states.iter().map(|name| self.atom(name)).collect();
            self.set(id, "_NET_WM_STATE", AtomEnum::ATOM.into(), &states);
            id
        }

        fn activate(&self, window: Window) {
            self.set(self.root, "_NET_ACTIVE_WINDOW", AtomEnum::WINDOW.into(), &[window]);
        }

        fn set(&self, of: Window, name: &str, kind: u32, values: &[u32]) {
            let name = self.atom(name);
            self.connection
                .change_property32(PropMode::REPLACE, of, name, kind, values)
                .unwrap()
                .check()
                .unwrap();
        }
    }

    #[tokio::test]
    async fn the_window_that_fills_the_screen_is_seen() {
        let Some(display) = Display::start() else { return };
        let (_folder, roots) = tree(&[("x", "")]);
        let owner = Owner::of(&display);
        let game = owner.window(&["_NET_WM_STATE_ABOVE", "_NET_WM_STATE_FULLSCREEN"]);
        let editor = owner.window(&["_NET_WM_STATE_ABOVE"]);
        let own = owner.window(&["_NET_WM_STATE_FULLSCREEN"]);
        let id = own.to_string();
        let place = place(&roots, &[("DISPLAY", &display.name), ("WINDOWID", &id)]);
        let mut sensors = Sensors::new(place, &Clock::system());
        let mut full = async || read(&mut sensors, &[Sense::Fullscreen]).await.fullscreen;
        let nobody = full().await;
        assert!(matches!(nobody, Known::No(_)), "no window manager tells: {nobody:?}");
        for (window, expected) in [(game, true), (editor, false), (own, false), (0, false)] {
            owner.activate(window);
            assert_eq!(full().await, Known::Is(expected), "{window}");
        }
        drop(display);
        assert!(matches!(full().await, Known::No(_)));
    }

    #[tokio::test]
    async fn a_moved_mouse_is_somebody() {
        let Some(display) = Display::start() else { return };
        let (_folder, roots) = tree(&[("x", "")]);
        let place = place(&roots, &[("DISPLAY", &display.name)]);
        let clock = Clock::system();
        let mut sensors = Sensors::new(place, &clock);
        let mut idle = async || read(&mut sensors, &[Sense::Idle]).await.idle;
        let first = *idle().await.get().unwrap();
        clock.sleep(Duration::from_millis(1200)).await;
        let later = *idle().await.get().unwrap();
        assert!(later >= first + Duration::from_millis(1000), "{first:?} {later:?}");
        let mut person = Command::new("xdotool");
        person.args(["mousemove", "17", "23"]).env("DISPLAY", &display.name);
        if !person.status().is_ok_and(|status| status.success()) {
            eprintln!("skipped: there is no xdotool");
            return;
        }
        let now = *idle().await.get().unwrap();
        assert!(now < later, "{later:?} {now:?}");
    }
}
