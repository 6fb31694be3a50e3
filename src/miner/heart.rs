//! What makes a miner's pulse beat: once a second, by the miner's own task, so that nothing beats where
//! that hangs; and not while its device hangs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::model::Stage;
use crate::telemetry::pulse::Pulse;
use crate::training::worker::Worker;

/// Between two beats.
const BEAT: Duration = Duration::from_secs(1);
/// A device that works at one thing for longer than this hangs: the largest piece of work, a step of a
/// stage that fills a machine, takes a fraction of it.
const HANGS_AFTER: Duration = Duration::from_secs(600);

/// The device that a miner uses now, if it uses one. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct InUse(Arc<Mutex<Option<Worker<Stage>>>>);

impl InUse {
    /// It uses this one from now on, or none.
    pub(super) fn set(&self, worker: Option<Worker<Stage>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = worker;
    }

    fn turn(&self) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.turn()
    }
}

/// Beats for ever. Dropped, the pulse is over.
pub(super) async fn beat(pulse: Pulse, device: InUse, clock: Clock) {
    let pulse = Over(pulse);
    let mut turn = (device.turn(), clock.now());
    loop {
        clock.sleep(BEAT).await;
        let (now, at_work) = (clock.now(), device.turn());
        if at_work.is_none() || at_work != turn.0 {
            turn = (at_work, now);
        }
        if now.since(turn.1) < HANGS_AFTER {
            pulse.0.beat();
        }
    }
}

struct Over(Pulse);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_beats_while_the_task_is_polled_and_the_device_gets_on() {
        let (pulse, clock) = (Pulse::default(), Clock::system());
        let heart = tokio::spawn(beat(pulse.clone(), InUse::default(), clock.clone()));
        clock.sleep(BEAT * 3 + BEAT / 2).await;
        assert_eq!(pulse.beats(), Some(3));
        heart.abort();
        assert!(heart.await.is_err());
        assert_eq!(pulse.beats(), None, "what has ended cannot hang");
    }

    #[test]
    fn a_job_that_never_ends_is_told_from_many_short_ones() {
        let worker = Worker::<Stage>::start("test").unwrap();
        assert_eq!(worker.turn(), None);
        let (release, held) = std::sync::mpsc::channel::<()>();
        let (began, begins) = std::sync::mpsc::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let place = worker.clone();
        let placing = std::thread::spawn(move || {
            runtime.block_on(async {
                let built = place.place::<String>(move || {
                    began.send(()).unwrap();
                    held.recv().unwrap();
                    Err("no stage".to_owned())
                });
                assert!(built.await.is_err());
            });
        });
        begins.recv().unwrap();
        assert_eq!(worker.turn(), Some(1));
        release.send(()).unwrap();
        placing.join().unwrap();
    }
}
