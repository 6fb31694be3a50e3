//! Keeps the computer awake while a miner works, and lets it sleep while all are paused, stopped, or
//! wait for long.

use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt as _};

use super::Running;
use crate::clock::{Clock, Moment};
use crate::config::live::LiveSettings;
use crate::config::settings::Key;
use crate::control::Control;
use crate::host::Roots;
use crate::host::awake::{Hold, hold};
use crate::host::surroundings::variables;
use crate::miner::State;

/// Between two epochs everybody waits for somebody; longer than this is no such wait.
const SHORT_WAIT: Duration = Duration::from_secs(180);

/// Whether a miner needs the computer awake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    /// It may sleep.
    None,
    /// It waits, and goes on soon or not.
    Wait,
    /// It works.
    Work,
}

/// For as long as the run lasts.
pub(super) async fn keep(running: Running) {
    let Running { control, settings, clock, .. } = running;
    let mut changes = settings.subscribe();
    let mut worked: Option<Moment> = None;
    let mut held: Option<Hold> = None;
    let mut said = false;
    loop {
        let states = states(&control);
        let need = need(&states);
        let now = clock.now();
        if need == Need::Work {
            worked = Some(now);
        }
        let waits = worked.map(|worked| now.since(worked)).filter(|waited| *waited < SHORT_WAIT);
        let wanted = match need {
            Need::Work => true,
            Need::Wait => waits.is_some(),
            Need::None => false,
        };
        if need == Need::None {
            worked = None;
        }
        if wanted && is_on(&settings) {
            if held.is_none() && !said {
                match hold(&Roots::system(), &variables(), &clock).await {
                    Ok(hold) => {
                        tracing::debug!("the computer is kept awake");
                        held = Some(hold);
                    }
                    Err(error) => {
                        // Once is enough: nothing will change about it during a run.
                        said = true;
                        tracing::info!("the computer is not kept awake: {error}");
                    }
                }
            }
        } else if held.take().is_some() {
            tracing::debug!("the computer may sleep");
        }
        // Told by somebody, or until the wait has been long.
        let over = wait_over(&clock, need, waits);
        tokio::select! {
            () = changed(&control, &states) => {}
            changed = changes.changed() => if changed.is_err() { return },
            () = over => {}
        }
    }
}

async fn wait_over(clock: &Clock, need: Need, waited: Option<Duration>) {
    match (need, waited) {
        (Need::Wait, Some(waited)) => clock.sleep(SHORT_WAIT.saturating_sub(waited)).await,
        _ => std::future::pending().await,
    }
}

fn is_on(settings: &LiveSettings) -> bool {
    settings.now().is_on(Key::KeepAwake).unwrap_or(true)
}

fn states(control: &Control) -> Vec<State> {
    control.miners.iter().map(|miner| miner.borrow().status.state).collect()
}

/// The most that any of the miners needs.
fn need(states: &[State]) -> Need {
    let needs = states.iter().map(|state| match state {
        State::Loading | State::Training | State::Uploading | State::Merging | State::Stopping => {
            Need::Work
        }
        State::Waiting | State::Registering | State::Starting => Need::Wait,
        State::Paused | State::Disabled | State::Stopped | State::Fault => Need::None,
    });
    needs.max().unwrap_or(Need::None)
}

/// Until the state of a miner is another one than it was.
async fn changed(control: &Control, states: &[State]) {
    let mut waiting: FuturesUnordered<_> = control
        .miners
        .iter()
        .zip(states)
        .map(|(miner, state)| {
            let mut miner = miner.clone();
            async move {
                // One that has ended changes no more.
                if miner.wait_for(|snapshot| snapshot.status.state != *state).await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        })
        .collect();
    waiting.next().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_miner_decides() {
        assert_eq!(need(&[State::Paused, State::Training]), Need::Work);
        assert_eq!(need(&[State::Paused, State::Waiting]), Need::Wait);
        assert_eq!(need(&[State::Stopped, State::Fault, State::Paused]), Need::None);
        assert_eq!(need(&[]), Need::None);
    }
}
