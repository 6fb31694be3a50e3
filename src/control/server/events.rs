//! The stream of events: each reader has a bounded buffer. Who reads too slowly loses the oldest and is
//! told how many; the miner never waits for anybody.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::response::sse::Event as SentEvent;
use futures::{Stream, stream};
use serde_json::json;
use tokio::sync::{broadcast, mpsc, watch};

use super::{Sent, Served, turned_true};
use crate::telemetry::Event;

/// So many events are kept for a reader that does not read.
pub(super) const BUFFER: usize = 1024;

/// An event as it is sent.
#[derive(Debug)]
pub(super) struct Told {
    word: String,
    json: String,
}

impl Told {
    fn of(event: &Event) -> Option<Self> {
        let value = serde_json::to_value(event).ok()?;
        Some(Self { word: value.get("event")?.as_str()?.to_owned(), json: value.to_string() })
    }
}

/// Passes events on to the readers there are, until the end.
pub(super) async fn relay(
    mut events: mpsc::UnboundedReceiver<Event>,
    told: broadcast::Sender<Arc<Told>>,
    stop: watch::Receiver<bool>,
) {
    let pass = |event: &Event| {
        // Where nobody listens nothing is written out.
        if told.receiver_count() > 0
            && let Some(event) = Told::of(event)
        {
            let _ = told.send(Arc::new(event));
        }
    };
    loop {
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Some(event) => pass(&event),
                None => break,
            },
            () = turned_true(stop.clone()) => break,
        }
    }
    // Dropping the sender ends the readers, once they have read what is there.
}

/// A reader; it counts itself out when it is gone.
pub(super) struct Reading(Arc<Served>);

impl Reading {
    pub(super) fn begin(served: &Arc<Served>) -> Self {
        served.counts.readers.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(served))
    }

    pub(super) fn served(&self) -> &Arc<Served> {
        &self.0
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.counts.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// All events from now on.
pub(super) fn stream(served: &Arc<Served>) -> impl Stream<Item = Sent> + use<> {
    let receiver = served.told.upgrade().map(|told| told.subscribe());
    stream::unfold((receiver, Reading::begin(served)), |(receiver, reading)| async move {
        let mut receiver = receiver?;
        let event = match receiver.recv().await {
            Ok(told) => SentEvent::default().event(&told.word).data(&told.json),
            Err(broadcast::error::RecvError::Lagged(count)) => {
                reading.served().counts.lost.fetch_add(count, Ordering::Relaxed);
                let lost = json!({ "event": "lost", "count": count });
                SentEvent::default().event("lost").data(lost.to_string())
            }
            Err(broadcast::error::RecvError::Closed) => return None,
        };
        Some((Ok(event), (Some(receiver), reading)))
    })
}
