//! The training phase's common ground: what its loops share, and how the first of them that sees the
//! end tells the others.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{mpsc, watch};

use super::desk::Desk;
use super::keep::KeepNews;
use super::queue::SpotCheck;
use super::services::Services;
use super::terms::Terms;
use crate::config::rules::{Manner, Percent};
use crate::model::StepReport;
use crate::model::tokenizer::Tokenizer;
use crate::network::CallError;
use crate::network::peers::Peers;
use crate::network::publisher::Publisher;
use crate::protocol::messages::{
    Direction, LossReportRequest, RunConfigResponse, SubmitActivationRequest,
};
use crate::protocol::{ActivationId, Epoch, Phase, ServerError};

/// How the training phase ended.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainingEnd {
    /// The stage is in this phase now.
    Phase(Phase),
    /// The stage has gone on to this epoch without this miner, whose weights are of an older one.
    NewEpoch(Epoch),
    /// The orchestrator said something that ends it.
    Server(ServerError),
    /// The user asked for it, and what was in hand is done (or had its time).
    Stopped,
    /// The stage is lost, and could not be mended within the phase; in plain words.
    Lost(String),
}

/// What the miner is to do: work or pause, and when it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Now.
    pub act: Act,
    /// In the end.
    pub end: End,
}

/// What it is to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Work, for this share of the time.
    Work(Percent),
    /// Take nothing new, and put down what is in hand in this manner.
    Pause(Manner),
}

/// When it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Nobody has said.
    Open,
    /// When this epoch's work is handed in and merged.
    WithEpoch,
    /// When the work in hand is finished.
    Now,
}

impl Wish {
    /// To work all the time, with no end.
    pub const WORK: Self = Self { act: Act::Work(Percent::FULL), end: End::Open };

    /// Whether it works and goes on.
    pub fn works(self) -> bool {
        matches!(self.act, Act::Work(_)) && !self.stops()
    }

    /// How it pauses, if it does.
    pub fn pauses(self) -> Option<Manner> {
        match self.act {
            Act::Pause(manner) if !self.stops() => Some(manner),
            _ => None,
        }
    }

    /// Whether it leaves as soon as the work in hand is finished.
    pub fn stops(self) -> bool {
        self.end == End::Now
    }

    /// Whether it leaves with this epoch.
    pub fn finishes(self) -> bool {
        self.end == End::WithEpoch
    }
}

/// Why there is nothing to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Idle {
    /// The orchestrator does not answer; in a sentence.
    Network(String),
    /// Some stage is not training yet.
    OtherStage,
    /// Every forward waits for its gradient.
    CacheFull,
    /// No activation has come.
    NoActivation,
}

/// News of the training phase, for whoever shows it.
#[derive(Clone, Debug, PartialEq)]
pub enum News {
    /// Work is done.
    Busy,
    /// Nothing to do.
    Idle(Idle),
    /// A forward was done.
    Forward,
    /// A backward was done.
    Backward,
    /// A step was taken.
    Step(StepReport),
    /// The last stage computed a loss.
    Loss(ActivationId, f64),
    /// A piece of work was lost; in plain words.
    WorkLost(String),
    /// The orchestrator benched this miner, or did so no longer.
    Benched(bool),
    /// What became of writing beside the work.
    Keeping(KeepNews),
    /// The stage was lost, and is there again as it was.
    Mended,
}

/// Takes news. Called from the training loops: must return at once.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn tell(&self, news: News);
}

/// What is told to the orchestrator about one activation.
#[derive(Clone, Debug)]
pub(super) struct Report {
    /// Before the activation itself, so that no loss is lost when its report ends the phase.
    pub(super) loss: Option<LossReportRequest>,
    pub(super) submit: SubmitActivationRequest,
    /// The output goes to the object store as well.
    pub(super) spot_check: Option<(SpotCheck, Arc<Vec<u8>>)>,
}

/// What the loops of one training phase share.
pub(super) struct Floor<'a> {
    pub(super) services: &'a Services,
    pub(super) desk: &'a Desk,
    pub(super) publisher: &'a Publisher,
    pub(super) peers: &'a Peers,
    pub(super) tokenizer: Option<&'a Tokenizer>,
    pub(super) observer: &'a dyn Observer,
    /// As they were when the phase began; only what cannot change is read from here.
    pub(super) terms: Terms,
    /// Most activations of a first stage under way, where the user set it.
    pub(super) in_flight: Option<usize>,
    /// The stage's epoch by the last heartbeat before the weights were loaded.
    pub(super) heard: Epoch,
    /// What the miner is to do.
    pub(super) wish: watch::Receiver<Wish>,
    /// Reports that wait for the push they belong to.
    awaiting: Mutex<HashMap<(ActivationId, Direction), Report>>,
    /// Reports that are not answered yet, waiting ones included.
    unreported: AtomicUsize,
    /// Reports that can go out.
    pub(super) ready: mpsc::UnboundedSender<Report>,
    /// Whether every stage trains.
    pipeline_open: AtomicBool,
    /// A new run configuration, to be applied between two pieces of work.
    pub(super) config: Mutex<Option<RunConfigResponse>>,
    end: Mutex<Option<TrainingEnd>>,
}

/// What a floor is made of.
pub(super) struct FloorParts<'a> {
    pub(super) services: &'a Services,
    pub(super) desk: &'a Desk,
    pub(super) publisher: &'a Publisher,
    pub(super) peers: &'a Peers,
    pub(super) tokenizer: Option<&'a Tokenizer>,
    pub(super) observer: &'a dyn Observer,
    pub(super) terms: Terms,
    pub(super) in_flight: Option<usize>,
    pub(super) heard: Epoch,
    pub(super) wish: watch::Receiver<Wish>,
}

impl<'a> Floor<'a> {
    pub(super) fn new(parts: FloorParts<'a>) -> (Self, mpsc::UnboundedReceiver<Report>) {
        let (ready, reports) = mpsc::unbounded_channel();
        let floor = Self {
            services: parts.services,
            desk: parts.desk,
            publisher: parts.publisher,
            peers: parts.peers,
            tokenizer: parts.tokenizer,
            observer: parts.observer,
            terms: parts.terms,
            in_flight: parts.in_flight,
            heard: parts.heard,
            wish: parts.wish,
            awaiting: Mutex::default(),
            unreported: AtomicUsize::new(0),
            ready,
            pipeline_open: AtomicBool::new(false),
            config: Mutex::default(),
            end: Mutex::default(),
        };
        (floor, reports)
    }

    /// Until the miner is to work: whoever asks servers for something rests as long as it pauses.
    pub(super) async fn until_it_works(&self) {
        let mut wish = self.wish.clone();
        if wish.wait_for(|wish| wish.works()).await.is_err() {
            // Whoever could wish for something is gone, and so is the miner.
            std::future::pending::<()>().await;
        }
    }

    /// The share of the time that the device computes.
    pub(super) fn percent(&self) -> Percent {
        match *self.wish.borrow() {
            Wish { act: Act::Work(percent), end: End::Open | End::WithEpoch } => percent,
            // What is in hand is finished without rests: somebody waits for the end of it.
            _ => Percent::FULL,
        }
    }

    /// Ends the phase; the first word counts.
    pub(super) fn finish(&self, end: TrainingEnd) {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(end);
        self.desk.ring();
    }

    /// How the phase ended, if it did.
    pub(super) fn ended(&self) -> Option<TrainingEnd> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks at a failed call: an application error that concerns the phase or the miner ends the
    /// phase; anything else is the caller's business.
    pub(super) fn heed(&self, error: &CallError) {
        match error.server() {
            Some(error) if error.is_about_attestation() => {
                self.finish(TrainingEnd::Server(error.clone()));
            }
            Some(
                ServerError::LayerState { actual: Phase::Training, .. } | ServerError::Other { .. },
            )
            | None => {}
            Some(error) => self.finish(TrainingEnd::Server(error.clone())),
        }
    }

    pub(super) fn is_open(&self) -> bool {
        self.pipeline_open.load(Ordering::Acquire)
    }

    pub(super) fn set_open(&self, open: bool) {
        if self.pipeline_open.swap(open, Ordering::AcqRel) != open {
            self.desk.ring();
        }
    }

    /// Keeps a report until its push is through.
    pub(super) fn report_after_push(
        &self,
        id: &ActivationId,
        direction: Direction,
        report: Report,
    ) {
        let mut awaiting = self.awaiting.lock().unwrap_or_else(PoisonError::into_inner);
        if awaiting.insert((id.clone(), direction), report).is_none() {
            self.unreported.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Lets a report go that needs no push.
    pub(super) fn report_now(&self, report: Report) {
        self.unreported.fetch_add(1, Ordering::AcqRel);
        // Nobody takes it any more only when the phase is over.
        drop(self.ready.send(report));
    }

    /// A report was answered, or could not be sent.
    pub(super) fn reported(&self) {
        self.unreported.fetch_sub(1, Ordering::AcqRel);
    }

    /// Reports that are not answered yet.
    pub(super) fn unreported(&self) -> usize {
        self.unreported.load(Ordering::Acquire)
    }

    /// The report that waited for this push.
    pub(super) fn pushed(&self, id: &ActivationId, direction: Direction) -> Option<Report> {
        let mut awaiting = self.awaiting.lock().unwrap_or_else(PoisonError::into_inner);
        awaiting.remove(&(id.clone(), direction))
    }
}
