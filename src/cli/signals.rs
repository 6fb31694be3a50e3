//! Ctrl-C and SIGTERM: the first asks for an orderly stop, the second Ctrl-C ends at once.

use tokio::sync::watch;

use super::Exit;

/// Turns true at the first signal. The second Ctrl-C ends the process with exit code 130.
pub fn watch() -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(false);
    tokio::spawn(async move {
        first().await;
        let _ = sender.send(true);
        loop {
            if tokio::signal::ctrl_c().await.is_ok() {
                crate::tui::restore();
                std::process::exit(i32::from(Exit::Interrupted as u8));
            }
        }
    });
    receiver
}

#[cfg(unix)]
async fn first() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminate = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}

#[cfg(not(unix))]
async fn first() {
    let _ = tokio::signal::ctrl_c().await;
}
