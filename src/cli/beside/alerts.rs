//! Watches the run for what is worth an alert, and hands it to the channels of the settings as they
//! are. Without a channel nothing is sent to anybody.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::Running;
use crate::alerts::{Alert, Channels, Heartbeat, Limit, Post, Watcher};
use crate::miner::MinerSnapshot;
use crate::telemetry::Event;

/// Between two looks at the snapshots.
const EVERY: Duration = Duration::from_secs(1);
/// What is told in the last moment has so long.
const FAREWELL: Duration = Duration::from_secs(2);

/// Whether somebody watched in this process.
static WATCHED: AtomicBool = AtomicBool::new(false);

/// Whether a run of this process was watched, and so told of its own end.
pub(super) fn has_watched() -> bool {
    WATCHED.load(Ordering::Relaxed)
}

/// Watches until `ending` turns true. Hears everything from the moment it is called.
pub(super) fn watch(
    running: Running,
    ending: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send + 'static {
    let events = running.events.subscribe();
    WATCHED.store(true, Ordering::Relaxed);
    hear(running, events, ending)
}

async fn hear(
    running: Running,
    mut events: mpsc::UnboundedReceiver<Event>,
    mut ending: watch::Receiver<bool>,
) {
    let clock = &running.clock;
    let mut changed = running.settings.subscribe();
    let mut teller = Teller::new(&running);
    let mut watcher = Watcher::default();
    let mut tick = Box::pin(clock.sleep(EVERY));
    loop {
        tokio::select! {
            Some(event) = events.recv() => {
                let alert = watcher.hear(&event, clock.unix_seconds());
                teller.tell(alert);
            }
            () = &mut tick => {
                tick = Box::pin(clock.sleep(EVERY));
                let miners = snapshots(&running);
                for miner in &miners {
                    let alerts = watcher.look(miner, clock.unix_seconds());
                    teller.tell(alerts);
                }
                teller.tell_held();
                if let Some(heartbeat) = &teller.heartbeat {
                    heartbeat.tell(&miners);
                }
            }
            Ok(()) = changed.changed() => teller.heed(&running),
            () = super::until_true(&mut ending) => break,
        }
    }
    for miner in snapshots(&running) {
        let alerts = watcher.look(&miner, clock.unix_seconds());
        teller.tell(alerts);
    }
    teller.post.finish(FAREWELL, clock).await;
}

fn snapshots(running: &Running) -> Vec<MinerSnapshot> {
    running.control.miners.iter().map(|miner| miner.borrow().clone()).collect()
}

/// The channels with what is held back before them.
struct Teller {
    channels: Channels,
    limit: Limit,
    post: Post,
    heartbeat: Option<Heartbeat>,
    clock: crate::clock::Clock,
}

impl Teller {
    fn new(running: &Running) -> Self {
        let channels = channels(running);
        Self {
            limit: Limit::new(channels.every),
            post: Post::start(&channels.all, &running.clock),
            heartbeat: Heartbeat::of(&channels.all, &running.clock),
            channels,
            clock: running.clock.clone(),
        }
    }

    /// Follows the settings as they are now; what was told stays told.
    fn heed(&mut self, running: &Running) {
        let channels = channels(running);
        if channels == self.channels {
            return;
        }
        self.limit.set_every(channels.every);
        self.post.set_channels(&channels.all, &self.clock);
        if !self.heartbeat.as_ref().is_some_and(|heartbeat| heartbeat.is_for(&channels.all)) {
            self.heartbeat = Heartbeat::of(&channels.all, &self.clock);
        }
        self.channels = channels;
    }

    fn tell(&mut self, alerts: impl IntoIterator<Item = Alert>) {
        for alert in alerts {
            if !self.channels.on.contains(&alert.kind) {
                continue;
            }
            if let Some(alert) = self.limit.pass(alert, self.clock.now()) {
                self.post.send(&alert);
            }
        }
    }

    fn tell_held(&mut self) {
        for alert in self.limit.due(self.clock.now()) {
            self.post.send(&alert);
        }
    }
}

fn channels(running: &Running) -> Channels {
    Channels::of(&running.settings.now()).unwrap_or_else(|error| {
        tracing::warn!("no alerts are sent: {error}");
        Channels { all: Vec::new(), on: Vec::new(), every: Duration::from_secs(900) }
    })
}
