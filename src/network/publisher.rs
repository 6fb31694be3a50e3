//! The outbound queue of activations and gradients (spec 6.9): gradients first, then in order; eight
//! pushes at a time; a forward that is refused goes to another peer, a gradient waits for its own.

mod queue;
mod sent;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use super::directory::Peer;
use super::peers::{Peers, PushError};
use crate::clock::{Clock, Entropy, Moment};
use crate::config::constants::{PublisherConstants, doubling_pause};
use crate::protocol::ids::{ActivationId, Hotkey, NodeId, StageIndex};
use crate::protocol::messages::{Direction, PeerStatus};
use crate::protocol::p2p::{self, ActivationPush, Route};
use crate::protocol::peer_selection;
use queue::{Item, Queue};
pub use sent::SentForwards;

/// One activation or gradient to push.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// The activation.
    pub activation: ActivationId,
    /// Which way.
    pub direction: Direction,
    /// The serialized tensor, exactly as hashed and served.
    pub tensor_file: Arc<Vec<u8>>,
    /// Where the last stage finds the targets.
    pub sample_path: Option<String>,
    /// The own stage.
    pub source: StageIndex,
    /// Who gets it.
    pub target: Target,
}

/// Who gets a push.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Any miner of this stage that can take it (forwards); chosen anew for each try.
    AnyOf(StageIndex),
    /// One of these nodes, of a miner of that stage (backwards).
    Nodes(Vec<NodeId>, StageIndex),
}

impl Target {
    fn stage(&self) -> StageIndex {
        match self {
            Self::AnyOf(stage) | Self::Nodes(_, stage) => *stage,
        }
    }
}

/// What became of an [`Outbound`].
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    /// The activation.
    pub activation: ActivationId,
    /// Which way.
    pub direction: Direction,
    /// Delivered, or given up.
    pub outcome: Outcome,
}

/// How a push ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A peer accepted it.
    Delivered {
        /// Which node.
        to: NodeId,
        /// Tries that counted, this one included.
        tries: u32,
        /// From enqueueing to acceptance.
        took: Duration,
    },
    /// Given up; the cached forward, if any, is to be dropped.
    Dropped(Dropped),
}

/// Why a push was given up.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Dropped {
    /// Not delivered before its deadline.
    #[error("no peer took it within {after:?}; last: {last}")]
    Deadline {
        /// The deadline.
        after: Duration,
        /// What kept it.
        last: String,
    },
    /// All tries failed.
    #[error("{tries} tries failed; last: {last}")]
    Tries {
        /// How many.
        tries: u32,
        /// The last failure.
        last: String,
    },
    /// It can never be sent.
    #[error("it cannot be sent: {0}")]
    Unsendable(String),
}

/// Everything a [`Publisher`] needs.
#[derive(Debug)]
pub struct PublisherSetup {
    /// The endpoint to send from.
    pub peers: Peers,
    /// The own hotkey, named in each push.
    pub hotkey: Hotkey,
    /// Where it is noted which node was sent which forward.
    pub sent: SentForwards,
    /// Numbers.
    pub rules: PublisherConstants,
    /// The time.
    pub clock: Clock,
    /// For choosing peers.
    pub entropy: Entropy,
}

/// Handle of the publishing task; it ends when the handle is dropped, without finishing its work.
pub struct Publisher {
    orders: mpsc::UnboundedSender<Order>,
    pending: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("pending", &self.pending()).finish_non_exhaustive()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

enum Order {
    Push(Box<Outbound>, Moment),
    Clear,
}

impl Publisher {
    /// Starts the task. Results come out of the receiver, one for each push that was not cleared.
    pub fn start(setup: PublisherSetup) -> (Self, mpsc::UnboundedReceiver<Published>) {
        let (orders, orders_out) = mpsc::unbounded_channel();
        let (results, results_out) = mpsc::unbounded_channel();
        let pending = Arc::new(AtomicUsize::new(0));
        let work = Work {
            clock: setup.clock,
            rules: setup.rules,
            peers: setup.peers,
            hotkey: setup.hotkey,
            sent: setup.sent,
            entropy: setup.entropy,
            queue: Queue::default(),
            running: JoinSet::new(),
            results,
            pending: Arc::clone(&pending),
        };
        let task = tokio::spawn(work.run(orders_out));
        (Self { orders, pending, task }, results_out)
    }

    /// Enqueues a push. Memory is bounded by the caller, who holds one cache place per activation.
    pub fn publish(&self, outbound: Outbound, now: Moment) {
        self.pending.fetch_add(1, Ordering::Relaxed);
        // Fails only when the task is gone, that is while the program ends.
        let sent = self.orders.send(Order::Push(Box::new(outbound), now));
        drop(sent);
    }

    /// Drops everything that waits or is on its way (end of an epoch). No results come for those.
    pub fn clear(&self) {
        let sent = self.orders.send(Order::Clear);
        drop(sent);
    }

    /// Pushes that wait or are on their way.
    pub fn pending(&self) -> usize {
        self.pending.load(Ordering::Relaxed)
    }
}

/// Why there is nobody to send to now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Nobody {
    /// The registry has nobody.
    Known,
    /// All have failed several times in a row and are left alone for a while.
    Answers,
    /// All have refused.
    Accepts,
    /// None is in training.
    Trains,
}

impl Nobody {
    fn as_str(self) -> &'static str {
        match self {
            Self::Known => "no peer of that stage is known",
            Self::Answers => "the peers of that stage do not answer",
            Self::Accepts => "every peer of that stage refused it",
            Self::Trains => "no peer of that stage is training",
        }
    }
}

/// What one try came to.
enum Tried {
    Delivered(NodeId),
    Refused,
    Failed(PushError),
    Unsendable(String),
}

struct Work {
    clock: Clock,
    rules: PublisherConstants,
    peers: Peers,
    hotkey: Hotkey,
    sent: SentForwards,
    entropy: Entropy,
    queue: Queue,
    running: JoinSet<(Item, NodeId, Tried)>,
    results: mpsc::UnboundedSender<Published>,
    pending: Arc<AtomicUsize>,
}

impl Work {
    async fn run(mut self, mut orders: mpsc::UnboundedReceiver<Order>) {
        loop {
            self.start_ready();
            let wake = self.queue.next_wake().map(|at| at.since(self.clock.now()));
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Push(outbound, now)) => self.queue.push(Item::new(*outbound, now)),
                    Some(Order::Clear) => self.clear().await,
                    None => return,
                },
                Some(ended) = self.running.join_next(), if !self.running.is_empty() => match ended {
                    Ok((item, node, tried)) => self.conclude(item, node, tried),
                    Err(error) => tracing::error!(%error, "a push ended badly"),
                },
                () = self.clock.sleep(wake.unwrap_or_default()), if wake.is_some() => {}
            }
        }
    }

    /// Starts tries while there are workers and items whose pause is over.
    fn start_ready(&mut self) {
        while self.running.len() < self.rules.workers.max(1) {
            let Some(mut item) = self.queue.pop(self.clock.now()) else { return };
            if self.clock.now().since(item.enqueued) >= self.rules.deadline {
                let (after, last) = (self.rules.deadline, item.last.clone());
                self.finish(&item, Outcome::Dropped(Dropped::Deadline { after, last }));
                continue;
            }
            match self.choose(&item) {
                Ok(node) => self.start(item, node),
                Err(nobody) => {
                    if item.last.is_empty() || nobody != Nobody::Known {
                        nobody.as_str().clone_into(&mut item.last);
                    }
                    item.refused_by.clear();
                    self.delay(item, self.rules.no_peer_pause);
                }
            }
        }
    }

    fn start(&mut self, mut item: Item, node: NodeId) {
        if item.outbound.direction == Direction::Forward {
            // Noted before it is sent: the gradient can be here before the answer is.
            self.sent.note(&item.outbound.activation, &node);
        }
        let peers = self.peers.clone();
        let hotkey = self.hotkey.clone();
        self.running.spawn(async move {
            let tried = attempt(&peers, &hotkey, &mut item, &node).await;
            (item, node, tried)
        });
    }

    /// The node for the next try of `item`: spec 6.10, without those that do not answer.
    fn choose(&mut self, item: &Item) -> Result<NodeId, Nobody> {
        let nodes: Vec<NodeId> = match &item.outbound.target {
            Target::Nodes(nodes, _) => {
                let answering = nodes.iter().filter(|node| !self.peers.is_resting(node));
                answering.cloned().collect()
            }
            Target::AnyOf(stage) => self.nodes_of_one(*stage, &item.refused_by)?,
        };
        nodes.get(self.entropy.below(nodes.len())).cloned().ok_or(Nobody::Answers)
    }

    /// The nodes of a miner of `stage`, drawn by weight.
    fn nodes_of_one(
        &mut self,
        stage: StageIndex,
        refused_by: &[Hotkey],
    ) -> Result<Vec<NodeId>, Nobody> {
        let mut candidates: Vec<Peer> = self.peers.directory().peers_of(stage);
        candidates.retain(|peer| peer.is_routable() && !refused_by.contains(&peer.hotkey));
        if candidates.is_empty() {
            return Err(if refused_by.is_empty() { Nobody::Known } else { Nobody::Accepts });
        }
        for peer in &mut candidates {
            peer.nodes.retain(|node| node.is_dialable() && !self.peers.is_resting(&node.id));
        }
        candidates.retain(|peer| !peer.nodes.is_empty());
        if candidates.is_empty() {
            return Err(Nobody::Answers);
        }
        let statuses: Vec<PeerStatus> = candidates.iter().map(|peer| peer.status.clone()).collect();
        let chosen = peer_selection::choose(&statuses, self.entropy.unit());
        let chosen = chosen.and_then(|chosen| candidates.into_iter().nth(chosen));
        let chosen =
            chosen.ok_or(if refused_by.is_empty() { Nobody::Trains } else { Nobody::Accepts });
        Ok(chosen?.nodes.into_iter().map(|node| node.id).collect())
    }

    fn conclude(&mut self, mut item: Item, node: NodeId, tried: Tried) {
        match tried {
            Tried::Delivered(to) => {
                let took = self.clock.now().since(item.enqueued);
                let tries = item.failed + 1;
                self.finish(&item, Outcome::Delivered { to, tries, took });
            }
            Tried::Unsendable(why) => {
                self.finish(&item, Outcome::Dropped(Dropped::Unsendable(why)));
            }
            Tried::Refused => {
                "the peer refused it".clone_into(&mut item.last);
                let claimants = self.peers.directory().claimants(&node);
                let others = matches!(item.outbound.target, Target::AnyOf(_));
                item.refused_by.extend(claimants.into_iter().map(|(hotkey, _)| hotkey));
                // A forward may go to another peer at once; a gradient waits.
                let pause = if others { Duration::ZERO } else { self.rules.no_peer_pause };
                self.delay(item, pause);
            }
            Tried::Failed(error) => self.retry(item, &error),
        }
    }

    fn retry(&mut self, mut item: Item, error: &PushError) {
        item.failed += 1;
        item.last = error.to_string();
        if item.failed >= self.rules.max_tries {
            let dropped = Dropped::Tries { tries: item.failed, last: item.last.clone() };
            self.finish(&item, Outcome::Dropped(dropped));
            return;
        }
        let (first, most) = (self.rules.first_retry_pause, self.rules.max_retry_pause);
        let pause = doubling_pause(first, item.failed - 1, most);
        self.delay(item, pause);
    }

    /// Puts `item` back, not before `pause` is over, but at its deadline at the latest.
    fn delay(&mut self, item: Item, pause: Duration) {
        let deadline = item.enqueued + self.rules.deadline;
        let at = (self.clock.now() + pause).min(deadline);
        self.queue.push_later(item, at);
    }

    fn finish(&self, item: &Item, outcome: Outcome) {
        self.pending.fetch_sub(1, Ordering::Relaxed);
        if let Outcome::Dropped(why) = &outcome {
            tracing::warn!(activation = item.outbound.activation.as_str(), %why, "push given up");
        }
        let (activation, direction) = (item.outbound.activation.clone(), item.outbound.direction);
        // Nobody listens any more only while the program ends.
        let sent = self.results.send(Published { activation, direction, outcome });
        drop(sent);
    }

    async fn clear(&mut self) {
        let waiting = self.queue.clear();
        let running = self.running.len();
        self.running.shutdown().await;
        self.pending.fetch_sub(waiting + running, Ordering::Relaxed);
    }
}

/// One try. The envelope is built at the first and kept for the others.
async fn attempt(peers: &Peers, hotkey: &Hotkey, item: &mut Item, node: &NodeId) -> Tried {
    let envelope = match &item.envelope {
        Some(envelope) => Arc::clone(envelope),
        None => match envelope(peers, hotkey, &item.outbound) {
            Ok(envelope) => Arc::clone(item.envelope.insert(Arc::new(envelope))),
            Err(why) => return Tried::Unsendable(why),
        },
    };
    match peers.push(node, &envelope).await {
        Ok(()) => Tried::Delivered(node.clone()),
        Err(PushError::Refused) => Tried::Refused,
        Err(error @ PushError::TooLarge(_)) => Tried::Unsendable(error.to_string()),
        Err(error) => Tried::Failed(error),
    }
}

fn envelope(peers: &Peers, hotkey: &Hotkey, outbound: &Outbound) -> Result<Vec<u8>, String> {
    let push = ActivationPush {
        activation_id: outbound.activation.clone(),
        direction: outbound.direction,
        source_hotkey: hotkey.to_string(),
        source_p2p_node_ids: vec![peers.node_id().clone()],
        tensor_bytes: Cow::Borrowed(outbound.tensor_file.as_slice()),
        sample_path: outbound.sample_path.clone(),
        source_layer: Some(outbound.source),
        target_layer: Some(outbound.target.stage()),
    };
    p2p::encode_as(peers.tags(), Route::ActivationPush, &push).map_err(|error| error.to_string())
}
