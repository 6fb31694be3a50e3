//! Feeds the record of a run: every event as it is told, and once a second what changed in the
//! snapshots. Writing is another thread's; nothing here waits for a disk.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use super::Running;
use crate::clock::Clock;
use crate::config::settings::{Key, Settings};
use crate::config::units;
use crate::control::{Control, Progress};
use crate::miner::MinerSnapshot;
use crate::telemetry::Event;
use crate::telemetry::record::{Change, End, Recording, Shelf, Told, changes};

/// Between two looks at the snapshots.
const EVERY: Duration = Duration::from_secs(1);
/// Losses of a swarm that a record begins with: enough for the curve, however long the run.
const MOST_LOSSES: usize = 4096;

/// Writes the record until `ending` turns true, and then its end. Hears everything from the moment it
/// is called.
pub(super) fn keep(
    running: Running,
    ending: watch::Receiver<bool>,
) -> impl Future<Output = ()> + Send + 'static {
    let events = running.events.subscribe();
    hear(running, events, ending)
}

async fn hear(
    running: Running,
    mut events: mpsc::UnboundedReceiver<Event>,
    mut ending: watch::Receiver<bool>,
) {
    let mut settings = running.settings.subscribe();
    let mut look = Look::new(running.control.clone());
    let mut recording = start(&running);
    if let Some(recording) = &mut recording {
        recording.tell(Told::State(running.clock.unix(), look.whole()));
    }
    let mut tick = Box::pin(running.clock.sleep(EVERY));
    loop {
        tokio::select! {
            Some(event) = events.recv() => {
                if let (Some(recording), Ok(json)) = (&mut recording, serde_json::to_string(&event)) {
                    recording.tell(Told::Event(running.clock.unix(), json));
                }
            }
            () = &mut tick => {
                tick = Box::pin(running.clock.sleep(EVERY));
                if let Some(recording) = &mut recording {
                    tell(recording, &mut look, &running.clock);
                }
            }
            Ok(()) = settings.changed() => match (keep_bytes(&running.settings.now()), &mut recording) {
                (None, _) => recording = None,
                (Some(keep), Some(recording)) => {
                    recording.tell(Told::Keep(keep));
                }
                (Some(_), none) => {
                    *none = start(&running);
                    if let Some(recording) = none {
                        recording.tell(Told::State(running.clock.unix(), look.whole()));
                    }
                }
            },
            _ = ending.wait_for(|ending| *ending) => break,
        }
    }
    let Some(mut recording) = recording else { return };
    while let Ok(event) = events.try_recv() {
        if let Ok(json) = serde_json::to_string(&event) {
            recording.tell(Told::Event(running.clock.unix(), json));
        }
    }
    // All of it, for the last time.
    tell(&mut recording, &mut look, &running.clock);
    let end = match &*running.control.progress.borrow() {
        Progress::Running => End::Stopped,
        Progress::Finished(_) => End::Finished,
        Progress::Failed(why) => End::Failed(why.clone()),
    };
    // It waits a moment for the disk, and this is the last thing that the run does.
    let _ = tokio::task::spawn_blocking(move || recording.finish(end)).await;
}

/// What changed since the last time; the whole state where something was missed.
fn tell(recording: &mut Recording, look: &mut Look, clock: &Clock) {
    let missed = recording.take_missed();
    if missed > 0 {
        let told = recording.tell(Told::Missed(clock.unix(), missed));
        look.must_tell_all |= told;
    }
    if look.must_tell_all {
        look.must_tell_all = !recording.tell(Told::State(clock.unix(), look.whole()));
        return;
    }
    let changes = look.changes();
    if !changes.is_empty() {
        look.must_tell_all = !recording.tell(Told::Changes(clock.unix(), changes));
    }
}

fn start(running: &Running) -> Option<Recording> {
    let keep = keep_bytes(&running.settings.now())?;
    if keep < Recording::LEAST {
        tracing::warn!(
            "no record of this run is kept: record_keep is less than {} KiB, which holds none",
            Recording::LEAST >> 10
        );
        return None;
    }
    Recording::start(Shelf::of(&running.folders.state), keep, &running.clock)
        .inspect_err(|error| tracing::warn!("no record of this run is kept: {error}"))
        .ok()
}

/// How much all records may take; none where none are kept.
fn keep_bytes(settings: &Settings) -> Option<u64> {
    let text = settings.text(Key::RecordKeep).map(|written| written.value.clone());
    let text = text.unwrap_or_else(|| Key::RecordKeep.default_words().to_owned());
    // A value that cannot be read was complained about when the settings were read.
    units::or_off(&text, units::bytes).ok().flatten()
}

/// The snapshots as they were told last.
struct Look {
    control: Control,
    miners: Vec<Seen>,
    /// Of the swarm, without its losses.
    swarm: Value,
    /// How many losses of the swarm there were, and how many of them the record's state has.
    losses: (usize, usize),
    progress: Progress,
    must_tell_all: bool,
}

/// One miner as it was told last.
struct Seen {
    snapshot: MinerSnapshot,
    /// Without the losses.
    value: Value,
}

impl Seen {
    fn of(snapshot: &MinerSnapshot) -> Self {
        Self { snapshot: snapshot.clone(), value: without_losses(value(snapshot)) }
    }
}

impl Look {
    fn new(control: Control) -> Self {
        let progress = Progress::Running;
        Self {
            control,
            miners: Vec::new(),
            swarm: Value::Null,
            losses: (0, 0),
            progress,
            must_tell_all: false,
        }
    }

    /// Everything, as of now.
    fn whole(&mut self) -> Value {
        self.miners = self.control.miners.iter().map(|miner| Seen::of(&miner.borrow())).collect();
        self.progress = self.control.progress.borrow().clone();
        let mut swarm = Value::Null;
        if let Some(watched) = &mut self.control.swarm {
            let all = watched.borrow_and_update();
            let few = all.with_last_losses(MOST_LOSSES);
            self.losses = (all.losses.len(), few.losses.len());
            swarm = value(&few);
            self.swarm = without_losses(swarm.clone());
        }
        json!({
            "miners": self.miners.iter().map(|seen| value(&seen.snapshot)).collect::<Vec<_>>(),
            "swarm": swarm,
            "names": *self.control.names,
            "epochs": self.control.epochs,
            "progress": self.progress,
        })
    }

    /// The steps to now from what was told last.
    fn changes(&mut self) -> Vec<Change> {
        let mut found = Vec::new();
        for (number, (miner, seen)) in self.control.miners.iter().zip(&mut self.miners).enumerate()
        {
            let now = miner.borrow().clone();
            if now == seen.snapshot {
                continue;
            }
            let place = format!("/miners/{number}");
            let new = Seen::of(&now);
            found.extend(changes(&place, &seen.value, &new.value));
            found.extend(shifted(
                format!("{place}/losses"),
                &seen.snapshot.losses,
                &new.snapshot.losses,
            ));
            *seen = new;
        }
        self.swarm_changes(&mut found);
        let progress = self.control.progress.borrow().clone();
        if progress != self.progress {
            found.push(Change::Set("/progress".to_owned(), value(&progress)));
            self.progress = progress;
        }
        found
    }

    fn swarm_changes(&mut self, found: &mut Vec<Change>) {
        let Some(watched) = &mut self.control.swarm else { return };
        if !watched.has_changed().unwrap_or(false) {
            return;
        }
        let all = watched.borrow_and_update();
        let (seen, kept) = self.losses;
        let fresh = all.losses.get(seen..).unwrap_or_default();
        let light = value(&all.with_last_losses(0));
        let light = without_losses(light);
        found.extend(changes("/swarm", &self.swarm, &light));
        self.swarm = light;
        if all.losses.len() < seen || fresh.len() > MOST_LOSSES {
            let few = all.with_last_losses(MOST_LOSSES).losses;
            self.losses = (all.losses.len(), few.len());
            found.push(Change::Set("/swarm/losses".to_owned(), value(&few)));
        } else if !fresh.is_empty() {
            let lost = (kept + fresh.len()).saturating_sub(MOST_LOSSES);
            self.losses = (all.losses.len(), kept + fresh.len() - lost);
            let more = fresh.iter().map(value).collect();
            found.push(Change::Shift("/swarm/losses".to_owned(), lost, more));
        }
    }
}

/// A list that lost some of its front and grew at its end; the whole list where it is another one.
fn shifted(place: String, old: &[f64], new: &[f64]) -> Option<Change> {
    if old == new {
        return None;
    }
    let lost =
        (0..=old.len()).find(|lost| new.starts_with(old.get(*lost..).unwrap_or_default()))?;
    let more = new.get(old.len() - lost..)?.iter().map(|loss| json!(loss)).collect();
    Some(Change::Shift(place, lost, more))
}

fn value(told: &impl serde::Serialize) -> Value {
    // Snapshots have no maps but those with texts as keys, which is all that could go wrong.
    serde_json::to_value(told).unwrap_or_default()
}

fn without_losses(mut snapshot: Value) -> Value {
    if let Some(fields) = snapshot.as_object_mut() {
        fields.remove("losses");
    }
    snapshot
}
