//! Carries alerts to their channels: each channel has a bounded queue and a carrier of its own, which
//! tries again after a growing while. A channel that fails is said once in the log.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::{Alert, Channel};
use crate::clock::Clock;

/// Alerts that wait for one channel.
const QUEUE: usize = 32;
/// Before the second and every later try.
const AGAIN: [Duration; 4] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
];

/// All channels with their carriers. Dropped, what was not carried yet is lost.
#[derive(Debug)]
pub struct Post {
    carriers: Vec<Carrier>,
}

/// Who carries alerts to one channel.
#[derive(Debug)]
struct Carrier {
    channel: Channel,
    /// None once there is nothing more to carry.
    queue: Option<mpsc::Sender<Alert>>,
    task: JoinHandle<()>,
}

impl Carrier {
    fn start(channel: &Channel, clock: &Clock) -> Self {
        let (queue, alerts) = mpsc::channel(QUEUE);
        let task = tokio::spawn(carry(channel.clone(), alerts, clock.clone()));
        Self { channel: channel.clone(), queue: Some(queue), task }
    }
}

impl Drop for Carrier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A channel that does not take anything, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// The channel.
    pub channel: &'static str,
    /// In words without its address.
    pub why: String,
}

impl Post {
    /// A carrier for each channel, on the current tokio runtime.
    pub fn start(channels: &[Channel], clock: &Clock) -> Self {
        let mut post = Self { carriers: Vec::new() };
        post.set_channels(channels, clock);
        post
    }

    /// Carries to these channels from now on. One that was there before keeps what waits for it;
    /// one that is gone is sent nothing more.
    pub fn set_channels(&mut self, channels: &[Channel], clock: &Clock) {
        self.carriers.retain(|carrier| channels.contains(&carrier.channel));
        // A push monitor has a heartbeat instead.
        for channel in channels.iter().filter(|channel| !matches!(channel, Channel::Kuma(_))) {
            if !self.carriers.iter().any(|carrier| carrier.channel == *channel) {
                self.carriers.push(Carrier::start(channel, clock));
            }
        }
    }

    /// Hands an alert to every channel. Never waits; a queue that is full loses it.
    pub fn send(&self, alert: &Alert) {
        for Carrier { channel, queue, .. } in &self.carriers {
            if queue.as_ref().is_some_and(|queue| queue.try_send(alert.clone()).is_err()) {
                tracing::debug!("an alert for {} was dropped: too many wait", channel.name());
            }
        }
    }

    /// Lets the carriers finish what they have, within `limit`.
    pub async fn finish(mut self, limit: Duration, clock: &Clock) {
        self.carriers.iter_mut().for_each(|carrier| drop(carrier.queue.take()));
        let tasks = self.carriers.iter_mut().map(|carrier| &mut carrier.task);
        let _ = clock.timeout(limit, futures::future::join_all(tasks)).await;
    }

    /// Sends one alert through every channel, once, and says what came of each.
    pub async fn once(
        channels: &[Channel],
        alert: &Alert,
        clock: &Clock,
    ) -> Vec<(&'static str, Result<(), Failing>)> {
        let sends = channels.iter().map(|channel| async move {
            let sent = channel.send(alert, clock).await;
            let failing = |error: super::channels::SendError| Failing {
                channel: channel.name(),
                why: error.to_string(),
            };
            (channel.name(), sent.map_err(failing))
        });
        futures::future::join_all(sends).await
    }
}

async fn carry(channel: Channel, mut alerts: mpsc::Receiver<Alert>, clock: Clock) {
    let mut said = false;
    while let Some(alert) = alerts.recv().await {
        let mut pauses = AGAIN.iter();
        loop {
            let Err(error) = channel.send(&alert, &clock).await else {
                if std::mem::take(&mut said) {
                    tracing::info!("alerts go through {} again", channel.name());
                }
                break;
            };
            if !std::mem::replace(&mut said, true) {
                tracing::warn!(
                    "alerts do not go through {}: {error}. It is tried again",
                    channel.name()
                );
            }
            let Some(pause) = pauses.next() else { break };
            clock.sleep(*pause).await;
        }
    }
}
