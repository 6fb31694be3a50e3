//! What the system tells a running program: the first Ctrl-C or SIGTERM asks for an orderly stop, a
//! second one of either kind ends at once, and a hang-up has the settings read again where no screen
//! hangs on the terminal. One thread of its own listens from the first moment on, so that neither a
//! busy program nor a signal between two waits lets one be missed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};
use std::time::Duration;

use tokio::sync::watch;

use super::Exit;
use crate::clock::Clock;

/// An orderly stop takes at most so long, whatever it waits for: what starts and stops programs ends
/// them by force soon after.
const LIMIT: Duration = Duration::from_secs(9);

/// What was heard, and who cares.
struct Ears {
    /// Turns true at the first signal that asks for a stop.
    stop: watch::Sender<bool>,
    /// Counts the requests to read the settings again.
    again: watch::Sender<u64>,
    /// Whether somebody finishes work when a stop is asked for.
    heeded: AtomicBool,
    /// Whether a hang-up means to read the settings again.
    rereads: AtomicBool,
    /// What is done first of all when a stop is asked for.
    first: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

static EARS: OnceLock<Ears> = OnceLock::new();

/// Begins to listen. Until [`watch()`] is called there is nothing to finish: the first signal ends the
/// program, in order, with exit code 0.
pub fn listen() {
    ears();
}

/// Turns true at the first signal. The second one ends the process with exit code 130, and so does
/// time when the caller does not come to an end.
pub fn watch() -> watch::Receiver<bool> {
    let ears = ears();
    ears.heeded.store(true, Ordering::SeqCst);
    ears.stop.subscribe()
}

/// From here on a hang-up is no end, but a request to read the settings again.
pub fn hang_up_rereads() {
    ears().rereads.store(true, Ordering::SeqCst);
}

/// Changes with each request to read the settings again.
pub fn rereads() -> watch::Receiver<u64> {
    ears().again.subscribe()
}

/// What is done first of all when a stop is asked for.
pub fn at_the_first(deed: impl FnOnce() + Send + 'static) {
    *ears().first.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(deed));
}

fn ears() -> &'static Ears {
    EARS.get_or_init(|| {
        let (ready, began) = mpsc::channel();
        // Without a thread the system's own reaction stays: to end at once.
        let _ = std::thread::Builder::new().name("signals".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async move {
                let Some(signals) = Signals::listen() else { return };
                let _ = ready.send(());
                hear(signals).await;
            });
        });
        // An error means that nothing can be heard.
        let _ = began.recv();
        Ears {
            stop: watch::Sender::new(false),
            again: watch::Sender::new(0),
            heeded: AtomicBool::new(false),
            rereads: AtomicBool::new(false),
            first: Mutex::new(None),
        }
    })
}

/// What a signal asks for.
enum Asks {
    /// To end.
    Stop,
    /// To end, or to read the settings again.
    #[cfg_attr(windows, allow(dead_code))]
    HangUp,
}

async fn hear(mut signals: Signals) {
    let ears = ears();
    until_stop(&mut signals, ears).await;
    if let Some(deed) = ears.first.lock().unwrap_or_else(PoisonError::into_inner).take() {
        deed();
    }
    ears.stop.send_replace(true);
    if !ears.heeded.load(Ordering::SeqCst) {
        // Loading a driver must not be cut off; whoever does not want to wait asks again.
        let _ = std::thread::Builder::new().name("leaving".into()).spawn(|| {
            crate::compute::wgpu::settle();
            leave(Exit::Done);
        });
    }
    let clock = Clock::system();
    tokio::select! {
        () = until_stop(&mut signals, ears) => leave(Exit::Interrupted),
        () = clock.sleep(LIMIT) => {
            tracing::warn!("the end was cut short; what was in hand is done by others");
            leave(Exit::Done);
        }
    }
}

async fn until_stop(signals: &mut Signals, ears: &Ears) {
    loop {
        match signals.next().await {
            Asks::HangUp if ears.rereads.load(Ordering::SeqCst) => {
                ears.again.send_modify(|count| *count += 1);
            }
            Asks::Stop | Asks::HangUp => return,
        }
    }
}

/// Ends the process; the terminal is the user's again.
fn leave(exit: Exit) -> ! {
    crate::tui::restore();
    std::process::exit(i32::from(exit as u8));
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hang_up: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// `None` where the system allows no handlers; its own reaction, to end at once, then stays.
    fn listen() -> Option<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let all = || {
            Ok::<_, std::io::Error>(Self {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
                hang_up: signal(SignalKind::hangup())?,
            })
        };
        all()
            .inspect_err(|error| {
                tracing::warn!("signals cannot be heard ({error}): Ctrl-C ends at once");
            })
            .ok()
    }

    async fn next(&mut self) -> Asks {
        tokio::select! {
            _ = self.interrupt.recv() => Asks::Stop,
            _ = self.terminate.recv() => Asks::Stop,
            _ = self.hang_up.recv() => Asks::HangUp,
        }
    }
}

/// Ctrl-C, Ctrl-Break, and the closing of the window, of the session or of the machine.
#[cfg(windows)]
struct Signals {
    interrupt: tokio::signal::windows::CtrlC,
    broken: tokio::signal::windows::CtrlBreak,
    closed: tokio::signal::windows::CtrlClose,
    shutdown: tokio::signal::windows::CtrlShutdown,
}

#[cfg(windows)]
impl Signals {
    fn listen() -> Option<Self> {
        use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};
        Some(Self {
            interrupt: ctrl_c().ok()?,
            broken: ctrl_break().ok()?,
            closed: ctrl_close().ok()?,
            shutdown: ctrl_shutdown().ok()?,
        })
    }

    async fn next(&mut self) -> Asks {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.broken.recv() => {}
            _ = self.closed.recv() => {}
            _ = self.shutdown.recv() => {}
        }
        Asks::Stop
    }
}
