//! Ctrl-C and SIGTERM: the first asks for an orderly stop, the second Ctrl-C ends at once.

use tokio::sync::watch;

use super::Exit;

/// Turns true at the first signal. The second Ctrl-C ends the process with exit code 130.
pub fn watch() -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    // Listening begins here, once: a signal between two waits is not lost.
    let listening = Signals::listen();
    tokio::spawn(async move {
        let Some(mut signals) = listening else { return std::future::pending().await };
        signals.any().await;
        let _ = sender.send(true);
        signals.interrupt().await;
        crate::tui::restore();
        std::process::exit(i32::from(Exit::Interrupted as u8));
    });
    receiver
}

/// The signals that stop a program.
#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    /// `None` where the system allows no handlers; its own reaction, to end at once, then stays.
    fn listen() -> Option<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt());
        let terminate = signal(SignalKind::terminate());
        match (interrupt, terminate) {
            (Ok(interrupt), Ok(terminate)) => Some(Self { interrupt, terminate }),
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!("signals cannot be heard ({error}): Ctrl-C ends at once");
                None
            }
        }
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    async fn interrupt(&mut self) {
        self.interrupt.recv().await;
    }
}

#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn listen() -> Option<Self> {
        tokio::signal::windows::ctrl_c().ok().map(Self)
    }

    async fn any(&mut self) {
        self.0.recv().await;
    }

    async fn interrupt(&mut self) {
        self.0.recv().await;
    }
}
