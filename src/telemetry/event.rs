//! The event record: one enum for everything that `--json` prints (design: a stable interface that
//! scripts and checks read), and the channel that carries it from the engine to the faces.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::protocol::messages::FileType;

/// Something that happened. Serialises to one JSON object with the field `event`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// A miner changed its state, or the reason for it.
    State {
        /// Name of the miner: `m0`..
        miner: String,
        /// Word of the state.
        state: String,
        /// Stable code of the reason.
        reason: String,
        /// Unix seconds.
        since: f64,
    },
    /// The place in the registration queue changed.
    Queue {
        /// Name of the miner.
        miner: String,
        /// Wire word of the ticket's status.
        status: String,
        /// How many are before it, if the server tells.
        place: Option<u64>,
        /// The best place so far.
        best: Option<u64>,
        /// When the ticket was drawn, Unix seconds.
        since: f64,
    },
    /// A stage entered a phase.
    Phase {
        /// 0-based.
        stage: usize,
        /// From 1.
        epoch: u64,
        /// Wire word of the phase.
        phase: String,
    },
    /// A loss was reported for an activation that reached the last stage.
    Loss {
        /// From 1.
        epoch: u64,
        /// Activation id.
        activation: String,
        /// Mean cross-entropy in nats per token.
        loss: f64,
    },
    /// A miner took an optimizer step.
    Step {
        /// Name of the miner.
        miner: String,
        /// 0-based.
        stage: usize,
        /// Learning rate.
        lr: f64,
        /// Norm of the accumulated gradient before clipping.
        grad_norm: f64,
    },
    /// A stage finished merging.
    Merge {
        /// 0-based.
        stage: usize,
        /// The epoch that ended.
        epoch: u64,
        /// How many partitions were merged.
        partitions: usize,
    },
    /// How far an upload is: at its start, at most once a second, and at its end.
    Upload {
        /// Name of the miner.
        miner: String,
        /// Wire word of what it is: `weights`, `partition`, `optimizer_state`.
        file: FileType,
        /// Bytes sent.
        sent: u64,
        /// Bytes of the object.
        total: u64,
        /// Parts that the store has.
        parts_done: usize,
        /// All parts.
        parts: usize,
        /// Over the last ten seconds.
        bytes_per_second: f64,
        /// Seconds until the deadline, if one is known; negative when it has passed.
        deadline_in: Option<f64>,
        /// Whether it will be there in time.
        verdict: UploadVerdict,
        /// Seconds to spare, or seconds too late; null while nothing can be said.
        by_seconds: Option<f64>,
    },
    /// A check found against a miner, or for it.
    Evidence {
        /// Name of the miner.
        miner: String,
        /// Which check.
        check: String,
        /// What was seen.
        detail: String,
    },
    /// Text written by the whole model.
    Sample {
        /// Before or after training.
        when: SampleWhen,
        /// The text.
        text: String,
    },
    /// One line of a preflight, or a warning on the way.
    Finding {
        /// How bad.
        severity: Severity,
        /// Stable code.
        code: String,
        /// What is wrong.
        what: String,
        /// What to do now.
        fix: String,
    },
    /// The end of a demo.
    Summary(Box<Summary>),
}

/// Whether an upload meets its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UploadVerdict {
    /// At its present speed it does.
    Fits,
    /// It does not.
    Misses,
    /// No deadline or no speed is known yet.
    Unknown,
}

/// When a text sample was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SampleWhen {
    /// With the first weights.
    Before,
    /// With the weights of the last merge.
    After,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For information.
    Info,
    /// Works, but not as it should.
    Warning,
    /// Does not work.
    Error,
}

/// What a demo did, counted from its events.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Epochs whose merge completed in every stage.
    pub epochs: u64,
    /// Pipeline stages.
    pub stages: usize,
    /// Miners of all stages.
    pub miners: usize,
    /// Backend word: `cpu`, `wgpu`.
    pub backend: String,
    /// Device name.
    pub device: String,
    /// Forwards of all miners.
    pub forwards: u64,
    /// Backwards of all miners.
    pub backwards: u64,
    /// Optimizer steps of all miners.
    pub optimizer_steps: u64,
    /// Partitions merged, of all stages and epochs.
    pub partitions_merged: u64,
    /// Mean of the first 16 losses.
    pub loss_first: f64,
    /// Mean of the last 16 losses.
    pub loss_last: f64,
    /// Cross-entropy of a unigram model fitted on the same source, on text not seen.
    pub loss_unigram: f64,
    /// Cross-entropy of a bigram model fitted on the same source, on text not seen.
    pub loss_bigram: f64,
    /// Tokens that reached the last stage.
    pub tokens: u64,
    /// Of those, a second of training.
    pub tokens_per_second: f64,
    /// Miners that validation punished.
    pub caught: Vec<String>,
    /// Wall time of the whole demo.
    pub seconds: f64,
}

/// The channel: everybody may emit, every subscriber gets every event in order. Never blocks and
/// never drops, since summaries are counted from it; a subscriber that is gone is forgotten.
#[derive(Clone, Debug, Default)]
pub struct Events {
    subscribers: Arc<Mutex<Vec<mpsc::UnboundedSender<Event>>>>,
}

impl Events {
    /// A channel without subscribers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells all subscribers.
    pub fn emit(&self, event: Event) {
        let mut subscribers = self.subscribers.lock().unwrap_or_else(PoisonError::into_inner);
        subscribers.retain(|subscriber| subscriber.send(event.clone()).is_ok());
    }

    /// All events from now on.
    pub fn subscribe(&self) -> mpsc::UnboundedReceiver<Event> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        receiver
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_event_field() {
        let json =
            serde_json::to_string(&Event::Phase { stage: 1, epoch: 2, phase: "training".into() })
                .unwrap();
        assert_eq!(json, r#"{"event":"phase","stage":1,"epoch":2,"phase":"training"}"#);
        let upload = Event::Upload {
            miner: "m0".into(),
            file: FileType::OptimizerState,
            sent: 5,
            total: 10,
            parts_done: 0,
            parts: 1,
            bytes_per_second: 2.5,
            deadline_in: Some(3.0),
            verdict: UploadVerdict::Fits,
            by_seconds: Some(1.0),
        };
        assert_eq!(
            serde_json::to_string(&upload).unwrap(),
            r#"{"event":"upload","miner":"m0","file":"optimizer_state","sent":5,"total":10,"parts_done":0,"parts":1,"bytes_per_second":2.5,"deadline_in":3.0,"verdict":"fits","by_seconds":1.0}"#
        );
        let json = serde_json::to_string(&Event::Summary(Box::default())).unwrap();
        assert!(json.starts_with(r#"{"event":"summary","epochs":0,"#), "{json}");
    }

    #[test]
    fn every_subscriber_gets_every_event_in_order() {
        let events = Events::new();
        let (mut a, mut b) = (events.subscribe(), events.subscribe());
        for stage in 0..3 {
            events.emit(Event::Merge { stage, epoch: 1, partitions: 4 });
        }
        for stage in 0..3 {
            let expected = Event::Merge { stage, epoch: 1, partitions: 4 };
            assert_eq!(a.try_recv().unwrap(), expected);
            assert_eq!(b.try_recv().unwrap(), expected);
        }
        assert!(a.try_recv().is_err());
    }
}
