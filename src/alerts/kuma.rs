//! The heartbeat of a push monitor: every minute, and at once when it changes. Its silence is what the
//! monitor tells people about.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

use super::Channel;
use super::channels::push;
use crate::clock::{Clock, Moment};
use crate::miner::snapshot::{MinerSnapshot, State, Who};

/// Between two beats where nothing changes.
const EVERY: Duration = Duration::from_secs(60);

/// Beats on a task of its own: a monitor that hangs delays nothing else, and hears the newest when it
/// answers again. Dropped, it ends.
#[derive(Debug)]
pub struct Heartbeat {
    url: Url,
    /// How the miners were when they were looked at last.
    newest: watch::Sender<Health>,
    heart: JoinHandle<()>,
}

/// How all miners are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Health {
    /// None before they were looked at.
    up: Option<bool>,
    words: String,
}

impl Heartbeat {
    /// For the monitor among the channels, if there is one. Beats on the current tokio runtime.
    pub fn of(channels: &[Channel], clock: &Clock) -> Option<Self> {
        channels.iter().find_map(|channel| match channel {
            Channel::Kuma(url) => {
                let (newest, told) = watch::channel(Health::default());
                let heart = tokio::spawn(beat(url.clone(), told, clock.clone()));
                Some(Self { url: url.clone(), newest, heart })
            }
            _ => None,
        })
    }

    /// Whether it beats for the monitor among these channels.
    pub fn is_for(&self, channels: &[Channel]) -> bool {
        channels.iter().any(|channel| matches!(channel, Channel::Kuma(url) if *url == self.url))
    }

    /// How the miners are now. Never waits.
    pub fn tell(&self, miners: &[MinerSnapshot]) {
        let up = Some(!miners.iter().any(is_down));
        let words = |miner: &MinerSnapshot| {
            let status = &miner.status;
            format!("{} {}: {}", miner.name, status.state.word(), status.reason.code())
        };
        let words = miners.iter().map(words).collect::<Vec<_>>().join("; ");
        self.newest.send_replace(Health { up, words });
    }
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.heart.abort();
    }
}

/// Beats for as long as somebody tells how it is.
async fn beat(url: Url, mut told: watch::Receiver<Health>, clock: Clock) {
    let (mut last, mut ping, mut failing): (Option<(Moment, bool)>, _, _) = (None, None, false);
    loop {
        let turns =
            |health: &Health| health.up.is_some_and(|up| last.is_none_or(|(_, was)| was != up));
        let turned = async { told.wait_for(turns).await.map(drop) };
        let limit = last.map_or(EVERY, |(at, _)| EVERY.saturating_sub(clock.now().since(at)));
        let turned = clock.timeout(limit, turned).await;
        let heard = match turned {
            Ok(heard) => heard,
            // Nothing turned. A beat is due, if whoever looks at the miners still does.
            Err(_) => told.changed().await,
        };
        if heard.is_err() {
            return;
        }
        let Health { up: Some(up), words } = told.borrow_and_update().clone() else { continue };
        let now = clock.now();
        last = Some((now, up));
        match push(&url, if up { "up" } else { "down" }, &words, ping, &clock).await {
            Ok(()) => {
                ping = Some(clock.now().since(now).as_secs_f64() * 1000.0);
                if std::mem::take(&mut failing) {
                    tracing::info!("the push monitor answers again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(
                        "the push monitor does not answer: {error}. It is tried every minute"
                    );
                }
            }
        }
    }
}

/// Whether somebody should look after it. What the user asked for is no trouble.
fn is_down(miner: &MinerSnapshot) -> bool {
    let status = &miner.status;
    status.state == State::Fault || (status.who == Who::You && status.state != State::Paused)
}
