//! What systemd is told, where it asks to be (`NOTIFY_SOCKET`): that the miner runs, how it is in one
//! truthful line, that it is about to end, and a sign of life, given only while the engine gets on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::select_all;

use super::Running;
use crate::clock::Clock;
use crate::control::Control;
use crate::miner::{MinerSnapshot, State};
use crate::telemetry::pulse::Pulse;

/// The status line is told at most so often.
const PACE: Duration = Duration::from_secs(1);

/// Says that the miner runs, and does what it should.
pub fn ready() {
    socket::send(Word::Ready);
}

/// Says that the settings are read again; [`ready`] must follow.
pub fn reloading() {
    socket::send(Word::Reloading);
}

/// Says, once, that the end has begun.
pub fn stopping() {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::SeqCst) {
        socket::send(Word::Stopping);
    }
}

/// Tells it all for as long as the run lasts.
pub(super) async fn tell(running: Running) {
    if !socket::is_there() {
        return;
    }
    ready();
    tokio::join!(
        status(&running.control, &running.clock),
        watchdog(&running.pulses, &running.control, &running.clock),
    );
}

/// The status line whenever it differs, and once that the end has begun.
async fn status(control: &Control, clock: &Clock) {
    let mut miners: Vec<_> = control.miners.iter().cloned().collect();
    let mut said = String::new();
    loop {
        let snapshots: Vec<MinerSnapshot> =
            miners.iter_mut().map(|miner| miner.borrow_and_update().clone()).collect();
        let ends = |snapshot: &MinerSnapshot| {
            matches!(snapshot.status.state, State::Stopping | State::Stopped | State::Fault)
        };
        if snapshots.iter().all(ends) {
            stopping();
        }
        let line = line(&snapshots);
        if line != said {
            socket::send(Word::Status(&line));
            said = line;
        }
        let changes = miners.iter_mut().map(|miner| Box::pin(miner.changed()));
        if select_all(changes).await.0.is_err() {
            // A miner that has ended says no more.
            return;
        }
        clock.sleep(PACE).await;
    }
}

/// How the miners are, in one line.
fn line(snapshots: &[MinerSnapshot]) -> String {
    let one = |snapshot: &MinerSnapshot| {
        let status = &snapshot.status;
        let place = match snapshot.stage {
            Some(stage) => format!(", stage {stage}, epoch {}", snapshot.epoch),
            None => String::new(),
        };
        let next = if status.next.is_empty() || status.next == "nothing" {
            String::new()
        } else {
            format!(" Next: {}.", status.next.trim_end_matches('.'))
        };
        let sentence = status.reason.sentence();
        format!("{}{place}: {}.{next}", status.state.word(), sentence.trim_end_matches('.'))
    };
    match snapshots {
        [only] => one(only),
        all => {
            let lines: Vec<String> =
                all.iter().map(|snapshot| format!("{} {}", snapshot.name, one(snapshot))).collect();
            lines.join(" ")
        }
    }
}

/// A sign of life at half of the time that systemd waits for one, while every miner's pulse beats. A
/// miner that holds a place in the queue is never given up: a start anew would be no gain there, and
/// its place is looked after by a task of its own.
async fn watchdog(pulses: &[Pulse], control: &Control, clock: &Clock) {
    let Some(limit) = socket::watchdog() else { return };
    let mut before = Vec::new();
    loop {
        let beats: Vec<Option<u64>> = pulses.iter().map(Pulse::beats).collect();
        let queued = || control.miners.iter().any(|miner| miner.borrow().queue.is_some());
        if is_alive(&before, &beats) || queued() {
            socket::send(Word::Alive);
        } else {
            tracing::error!("the engine stands still; the service manager will start it again");
        }
        before = beats;
        clock.sleep(limit / 2).await;
    }
}

/// Whether each pulse that has not ended went on; the first look has nothing to compare with.
fn is_alive(before: &[Option<u64>], now: &[Option<u64>]) -> bool {
    before.iter().zip(now).all(|(before, now)| now.is_none() || now > before)
}

/// What systemd can be told.
enum Word<'a> {
    Ready,
    Reloading,
    Stopping,
    Alive,
    Status(&'a str),
}

#[cfg(target_os = "linux")]
mod socket {
    //! The socket of systemd, by the crate for it.

    use std::time::Duration;

    use sd_notify::NotifyState;

    use super::Word;

    pub(super) fn is_there() -> bool {
        std::env::var_os("NOTIFY_SOCKET").is_some_and(|name| !name.is_empty())
    }

    pub(super) fn watchdog() -> Option<Duration> {
        sd_notify::watchdog_enabled().filter(|limit| *limit >= Duration::from_secs(2))
    }

    pub(super) fn send(word: Word<'_>) {
        if !is_there() {
            return;
        }
        let told = match word {
            Word::Ready => sd_notify::notify(&[NotifyState::Ready]),
            Word::Stopping => sd_notify::notify(&[NotifyState::Stopping]),
            Word::Alive => sd_notify::notify(&[NotifyState::Watchdog]),
            Word::Status(line) => sd_notify::notify(&[NotifyState::Status(line)]),
            Word::Reloading => NotifyState::monotonic_usec_now()
                .and_then(|now| sd_notify::notify(&[NotifyState::Reloading, now])),
        };
        if let Err(error) = told {
            tracing::debug!("systemd does not hear: {error}");
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod socket {
    //! There is no systemd here.

    use std::time::Duration;

    use super::Word;

    pub(super) fn is_there() -> bool {
        false
    }

    pub(super) fn watchdog() -> Option<Duration> {
        None
    }

    pub(super) fn send(word: Word<'_>) {
        match word {
            Word::Ready | Word::Reloading | Word::Stopping | Word::Alive => {}
            Word::Status(line) => tracing::trace!("{line}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_that_stands_still_is_no_life() {
        assert!(is_alive(&[], &[Some(0), Some(0)]));
        assert!(is_alive(&[Some(1), Some(5)], &[Some(2), Some(6)]));
        assert!(!is_alive(&[Some(1), Some(5)], &[Some(2), Some(5)]));
        assert!(is_alive(&[Some(1), Some(5)], &[None, Some(6)]), "one has ended");
    }
}
