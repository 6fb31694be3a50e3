//! The heartbeat of a push monitor: every minute, and at once when it changes. Its silence is what the
//! monitor tells people about.

use std::time::Duration;

use url::Url;

use super::Channel;
use super::channels::push;
use crate::clock::{Clock, Moment};
use crate::miner::snapshot::{MinerSnapshot, State, Who};

/// Between two beats where nothing changes.
const EVERY: Duration = Duration::from_secs(60);

/// What is told, and when.
#[derive(Debug)]
pub struct Heartbeat {
    url: Url,
    last: Option<(Moment, bool)>,
    /// Milliseconds that the last beat took.
    ping: Option<f64>,
    failing: bool,
}

impl Heartbeat {
    /// For the monitor among the channels, if there is one.
    pub fn of(channels: &[Channel]) -> Option<Self> {
        channels.iter().find_map(|channel| match channel {
            Channel::Kuma(url) => {
                Some(Self { url: url.clone(), last: None, ping: None, failing: false })
            }
            _ => None,
        })
    }

    /// Beats if it is time to.
    pub async fn beat(&mut self, miners: &[MinerSnapshot], clock: &Clock) {
        let up = !miners.iter().any(is_down);
        let now = clock.now();
        if self.last.is_some_and(|(at, was)| was == up && now.since(at) < EVERY) {
            return;
        }
        self.last = Some((now, up));
        let told: Vec<String> = miners
            .iter()
            .map(|miner| {
                format!(
                    "{} {}: {}",
                    miner.name,
                    miner.status.state.word(),
                    miner.status.reason.code()
                )
            })
            .collect();
        let status = if up { "up" } else { "down" };
        match push(&self.url, status, &told.join("; "), self.ping, clock).await {
            Ok(()) => {
                self.ping = Some(clock.now().since(now).as_secs_f64() * 1000.0);
                if std::mem::take(&mut self.failing) {
                    tracing::info!("the push monitor answers again");
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.failing, true) {
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
