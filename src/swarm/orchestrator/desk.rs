//! Where calls, rules and books meet: one lock around the rules, everything they decide written to the
//! books before anybody is answered, then told to the faces.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use tokio::sync::{Mutex, mpsc, watch};

use super::answer::Refused;
use super::attestation::Challenges;
use super::board::Board;
use super::books::{Books, BooksError};
use super::rates::Rates;
use crate::clock::{Clock, Entropy, Moment};
use crate::earnings::published::PublicPay;
use crate::protocol::messages::{ModelConfig, ModelMetadata, SubnetScores};
use crate::protocol::{ActivationHash, ActivationId, ChunkNumber, Hotkey, RunId};
use crate::swarm::pay::PayBook;
use crate::swarm::practice::PublishedChunk;
use crate::swarm::public::PublicNetwork;
use crate::swarm::queue::Queue;
use crate::swarm::rules::Rules;
use crate::swarm::run::{Comparison, Entry, MergedPartition, Outcome, Run, SpotCheck};
use crate::swarm::snapshot::{Lab, SwarmSnapshot, Writing};
use crate::swarm::store::Store;
use crate::telemetry::{Event, Events};

/// A power cut costs the books so much, and nothing that a stage moved on by.
const FLUSH: Duration = Duration::from_secs(5);

/// What is public stays as it is for so long.
const PUBLIC_FOR: Duration = Duration::from_secs(1);

/// What every miner of the run is told.
#[derive(Clone, Debug, PartialEq)]
pub struct RunFacts {
    /// The run.
    pub run_id: RunId,
    /// The model.
    pub model_cfg: ModelConfig,
    /// Splits and hyper-parameters.
    pub model_metadata: ModelMetadata,
    /// Partitions of each stage's weights.
    pub num_partitions: usize,
    /// Version that requests must name.
    pub spec_version: u32,
}

/// A piece of work for the first stage.
#[derive(Debug)]
pub(super) struct Handed {
    pub(super) id: ActivationId,
    /// Object of its text.
    pub(super) sample: String,
    /// Object that its forward must be uploaded as, if it is spot-checked.
    pub(super) upload: Option<String>,
}

/// The orchestrator's desk.
#[derive(Debug)]
pub(in crate::swarm) struct Desk {
    pub(super) facts: RunFacts,
    pub(super) store: Arc<Store>,
    pub(super) clock: Clock,
    events: Events,
    names: BTreeMap<Hotkey, String>,
    paper: Mutex<Paper>,
    rules: SyncMutex<Arc<Rules>>,
    pub(super) challenges: SyncMutex<Challenges>,
    rates: SyncMutex<Rates>,
    ids: SyncMutex<Entropy>,
    snapshot: watch::Sender<SwarmSnapshot>,
    failure: watch::Sender<Option<String>>,
    /// What anybody may see, and when it was put together.
    public: SyncMutex<Option<(Moment, Arc<str>)>>,
}

/// What only one call may touch at a time.
#[derive(Debug)]
struct Paper {
    run: Run,
    queue: Queue,
    books: Books,
    pay: PayBook,
    board: Board,
    samples: mpsc::Receiver<String>,
    /// Since when something was written and not flushed.
    unflushed: Option<Moment>,
}

impl Desk {
    pub(super) fn new(
        facts: RunFacts,
        run: Run,
        queue: Queue,
        books: Books,
        pay: PayBook,
        samples: mpsc::Receiver<String>,
        store: Arc<Store>,
        clock: Clock,
        events: Events,
    ) -> Self {
        Self {
            names: run.plan().names.clone(),
            rules: SyncMutex::new(Arc::new(run.plan().rules.clone())),
            paper: Mutex::new(Paper {
                run,
                queue,
                books,
                pay,
                board: Board::default(),
                samples,
                unflushed: None,
            }),
            challenges: SyncMutex::default(),
            rates: SyncMutex::default(),
            ids: SyncMutex::new(Entropy::system()),
            snapshot: watch::Sender::new(SwarmSnapshot::default()),
            failure: watch::Sender::new(None),
            public: SyncMutex::default(),
            facts,
            store,
            clock,
            events,
        }
    }

    /// A new unpredictable id.
    pub(super) fn random_id(&self) -> String {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).uuid()
    }

    /// What faces see.
    pub(super) fn snapshots(&self) -> watch::Receiver<SwarmSnapshot> {
        self.snapshot.subscribe()
    }

    /// What anybody may see. It is put together once a second at most, however many ask.
    pub(super) fn public(&self) -> Arc<str> {
        let now = self.clock.now();
        let mut kept = self.public.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, text)) = &*kept
            && now.since(*at) < PUBLIC_FOR
        {
            return Arc::clone(text);
        }
        let public = PublicNetwork::of(&self.snapshot.borrow(), self.clock.unix().as_secs());
        // Numbers and words: it always serialises.
        let text: Arc<str> = serde_json::to_string(&public).unwrap_or_default().into();
        *kept = Some((now, Arc::clone(&text)));
        text
    }

    /// What anybody may see of the pay of epochs after `after`.
    pub(super) async fn public_pay(&self, after: u64) -> PublicPay {
        self.paper.lock().await.pay.public(after, self.clock.unix())
    }

    /// The scores of the last epoch.
    pub(super) async fn scores(&self) -> SubnetScores {
        self.paper.lock().await.pay.scores()
    }

    /// Where a miner is paid from now on.
    pub(super) async fn name_payee(
        self: &Arc<Self>,
        hotkey: &Hotkey,
        address: String,
    ) -> Result<(), Refused> {
        let mut paper = self.paper.lock().await;
        let entry = paper.pay.name_payee(hotkey, address);
        let written = paper.books.write(&[entry]).await;
        written.map_err(|error| {
            self.fail(error.to_string());
            Refused::Internal(error.to_string())
        })
    }

    /// What made the swarm unable to go on, once something did.
    pub(super) fn failures(&self) -> watch::Receiver<Option<String>> {
        self.failure.subscribe()
    }

    /// Says that the swarm cannot go on. The first reason stays.
    pub(super) fn fail(&self, reason: String) {
        self.failure.send_if_modified(|old| {
            let first = old.is_none();
            old.get_or_insert(reason);
            first
        });
    }

    /// Lets `act` look at or change the run, moves the stages on, and writes down what came of it.
    pub(in crate::swarm) async fn with<T>(
        self: &Arc<Self>,
        act: impl FnOnce(&mut Run, Moment) -> T,
    ) -> Result<T, Refused> {
        let mut paper = self.paper.lock().await;
        let result = act(&mut paper.run, self.clock.now());
        self.settle(&mut paper).await?;
        Ok(result)
    }

    /// The same with the registration queue, which then is as far as it can be. Time comes as the
    /// run's and as Unix time.
    pub(super) async fn with_queue<T>(
        self: &Arc<Self>,
        act: impl FnOnce(&mut Run, &mut Queue, Moment, Duration) -> T,
    ) -> Result<T, Refused> {
        let mut paper = self.paper.lock().await;
        let Paper { run, queue, .. } = &mut *paper;
        let result = act(run, queue, self.clock.now(), self.clock.unix());
        self.settle(&mut paper).await?;
        Ok(result)
    }

    /// Writes rows of calls that no rule looks at.
    pub(super) async fn write(self: &Arc<Self>, entries: &[Entry]) -> Result<(), Refused> {
        let written = self.paper.lock().await.books.write(entries).await;
        written.map_err(|error| {
            self.fail(error.to_string());
            Refused::Internal(error.to_string())
        })
    }

    /// The rules as they are now.
    pub(super) fn rules(&self) -> Arc<Rules> {
        Arc::clone(&self.rules.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces the rules of the living swarm.
    pub(in crate::swarm) async fn set_rules(self: &Arc<Self>, rules: Rules) {
        let mut paper = self.paper.lock().await;
        paper.run.set_rules(rules.clone(), self.clock.now());
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(rules);
        // A failure is kept in `failure`; there is nobody to answer here.
        let _ = self.settle(&mut paper).await;
    }

    /// Counts a call, if it is not one too many.
    pub(super) fn may_call(&self, hotkey: &Hotkey, call: &'static str) -> Result<(), Refused> {
        let rate = self.rules().rate_of(call);
        let now = self.clock.now();
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        if rates.take(hotkey, call, rate, now) {
            return Ok(());
        }
        let message = format!("{call} may be called {} times a second", rate.per_second);
        Err(Refused::Request(StatusCode::TOO_MANY_REQUESTS, message))
    }

    /// The newest merged partitions of every stage, with presigned addresses.
    pub(in crate::swarm) async fn published(&self) -> Vec<Vec<PublishedChunk>> {
        let paper = self.paper.lock().await;
        let stages = (0..paper.run.plan().stages).map(|stage| {
            let presigned = |(chunk, merged): (ChunkNumber, MergedPartition)| PublishedChunk {
                chunk,
                epoch: merged.epoch,
                url: self.store.presign_get(&merged.object),
                object: merged.object,
            };
            paper.run.published(stage).into_iter().map(presigned).collect()
        });
        stages.collect()
    }

    /// What became of the wish for a text: told at once.
    pub(in crate::swarm) async fn set_writing(&self, writing: Writing) {
        let mut paper = self.paper.lock().await;
        paper.board.writing = writing;
        self.publish(&mut paper, self.clock.now());
    }

    /// What was done to the miners on purpose: told at once.
    pub(in crate::swarm) async fn set_lab(&self, lab: Lab) {
        let mut paper = self.paper.lock().await;
        paper.board.lab = lab;
        self.publish(&mut paper, self.clock.now());
    }

    /// Hands out up to `wanted` activations, as many as the rules allow and samples are ready.
    pub(super) async fn hand_out(
        self: &Arc<Self>,
        hotkey: &Hotkey,
        wanted: usize,
    ) -> Result<Vec<Handed>, Refused> {
        let mut paper = self.paper.lock().await;
        let now = self.clock.now();
        let allowed = paper.run.allowance(hotkey, wanted)?;
        let mut handed = Vec::new();
        while handed.len() < allowed
            && let Ok(sample) = paper.samples.try_recv()
        {
            let id = paper.run.hand_out(hotkey, sample.clone(), now);
            let upload = paper.run.draw_spot_check(hotkey, &id);
            handed.push(Handed { id, sample, upload });
        }
        self.settle(&mut paper).await?;
        Ok(handed)
    }

    /// Moves stages on, writes the books, tells the faces.
    async fn settle(self: &Arc<Self>, paper: &mut Paper) -> Result<(), Refused> {
        let now = self.clock.now();
        paper.run.advance(now);
        seat_the_next(&mut paper.run, &mut paper.queue, now, self.clock.unix());
        let outcome = paper.run.take_outcome();
        let Outcome { mut entries, events, compare, prune, spot_checks, closed } = outcome;
        entries.extend(paper.queue.take_entries());
        for closed in closed {
            match paper.pay.close(closed, self.clock.unix()) {
                Ok(paid) => entries.push(paid),
                Err(error) => tracing::warn!(%error, "an epoch cannot be paid"),
            }
        }
        let turned = turns(&events);
        if let Err(error) = write(paper, &entries, &events, now).await {
            self.fail(error.to_string());
            return Err(Refused::Internal(error.to_string()));
        }
        for event in events {
            paper.board.note(&event, now, paper.run.tokens());
            self.events.emit(event);
        }
        if turned {
            self.publish(paper, now);
        }
        for comparison in compare {
            tokio::spawn(Arc::clone(self).compare(comparison));
        }
        for check in spot_checks {
            tokio::spawn(Arc::clone(self).spot_check(check));
        }
        if !prune.is_empty() {
            tokio::spawn(Arc::clone(self).prune(prune));
        }
        Ok(())
    }

    /// Moves on what time alone moves, and shows the faces where things stand.
    pub(super) async fn tick(self: &Arc<Self>) {
        let mut paper = self.paper.lock().await;
        // A failure is kept in `failure`; there is nobody to answer here.
        let _ = self.settle(&mut paper).await;
        self.publish(&mut paper, self.clock.now());
    }

    /// The baselines of the text are known.
    pub(in crate::swarm) async fn set_baselines(&self, unigram: f64, bigram: f64) {
        self.paper.lock().await.board.baselines = Some((unigram, bigram));
    }

    /// Where the orchestrator listens.
    pub(super) async fn set_address(&self, address: String) {
        self.paper.lock().await.board.address = address;
    }

    fn publish(&self, paper: &mut Paper, now: Moment) {
        let snapshot = paper.board.snapshot(&paper.run, now);
        self.snapshot.send_replace(snapshot);
    }

    /// Reads two copies of a chunk and says so when they are not the same to the bit.
    async fn compare(self: Arc<Self>, comparison: Comparison) {
        let Comparison { stage, epoch, chunk, copies } = comparison;
        let mut hashes = Vec::new();
        for (hotkey, object) in &copies {
            match self.store.read(object).await {
                Ok(bytes) => hashes.push(ActivationHash::of(&bytes)),
                Err(error) => {
                    tracing::warn!(%hotkey, %error, "a merged partition cannot be compared");
                    return;
                }
            }
        }
        if hashes.first() == hashes.get(1) {
            return;
        }
        let names = copies.map(|(hotkey, _)| self.name(&hotkey));
        for (miner, twin) in [(&names[0], &names[1]), (&names[1], &names[0])] {
            let detail = format!(
                "epoch {epoch}, stage {stage}, partition {chunk}: not the same as the copy of {twin}"
            );
            let (miner, check) = (miner.clone(), "merged_partition".to_owned());
            self.events.emit(Event::Evidence { miner, check, detail });
        }
    }

    /// Compares the uploaded bytes of a forward with the hash that was reported for them.
    async fn spot_check(self: Arc<Self>, check: SpotCheck) {
        let SpotCheck { hotkey, activation, object, hash } = check;
        let detail = match self.store.read(&object).await {
            Ok(bytes) if ActivationHash::of(&bytes).to_string() == hash => return,
            Ok(_) => format!("{activation}: the uploaded bytes are not those that were reported"),
            Err(_) => {
                format!("{activation}: the forward was reported as uploaded and is not there")
            }
        };
        let (miner, check) = (self.name(&hotkey), "spot_check".to_owned());
        self.events.emit(Event::Evidence { miner, check, detail });
    }

    fn name(&self, hotkey: &Hotkey) -> String {
        self.names.get(hotkey).cloned().unwrap_or_else(|| hotkey.to_string())
    }

    async fn prune(self: Arc<Self>, objects: Vec<String>) {
        for object in objects {
            if let Err(error) = self.store.delete(&object).await {
                tracing::warn!(%error, "an old object stays in the store");
            }
        }
    }

    /// A sign of life of `hotkey`.
    pub(super) async fn seen(self: &Arc<Self>, hotkey: &Hotkey) {
        let now = self.clock.now();
        self.paper.lock().await.run.seen(hotkey, now);
    }

    /// One number from the books.
    #[cfg(test)]
    pub(super) async fn count(&self, query: &'static str) -> i64 {
        self.paper.lock().await.books.count(query).await.unwrap()
    }
}

/// Whether a stage moved on.
fn turns(events: &[Event]) -> bool {
    events.iter().any(|event| matches!(event, Event::Phase { .. }))
}

/// Writes the books; at a turn of a stage, and every few seconds, down to the disk. Objects that an
/// earlier state of the books names go only after that.
async fn write(
    paper: &mut Paper,
    entries: &[Entry],
    events: &[Event],
    now: Moment,
) -> Result<(), BooksError> {
    paper.books.write(entries).await?;
    if !entries.is_empty() {
        paper.unflushed.get_or_insert(now);
    }
    let turned = turns(events);
    if paper.unflushed.is_some_and(|since| turned || now.since(since) >= FLUSH) {
        paper.books.flush().await?;
        paper.unflushed = None;
    }
    Ok(())
}

/// Moves the queue on and gives seats to those whose turn it is.
pub(super) fn seat_the_next(run: &mut Run, queue: &mut Queue, now: Moment, unix: Duration) {
    let seats = run.free_seats();
    for ticket in queue.advance(&run.plan().rules.queue, seats, unix) {
        let node_id = &ticket.request.p2p_node_id;
        let result = run.register(&ticket.hotkey, node_id, now).map(drop);
        queue.seated(ticket.place, &result, unix);
    }
}
