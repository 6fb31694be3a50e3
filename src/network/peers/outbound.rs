//! What this miner asks of others: pushes, pulls, and its status told to its neighbours. Every phase
//! of a request has its own time limit (spec 6.9), so that a failure says where it happened.

use std::time::Duration;

use futures::future::join_all;
use iroh::EndpointId;
use iroh::endpoint::Connection;

use super::breaker::Blame;
use super::link::{Dialled, Kind, Link};
use super::paths::OpenedBy;
use super::{Peers, Shared};
use crate::config::constants::doubling_pause;
use crate::network::http::chain;
use crate::network::line::Way;
use crate::protocol::constants::MAX_PEER_MESSAGE;
use crate::protocol::ids::{ActivationId, NodeId, StageIndex};
use crate::protocol::messages::PeerStatus;
use crate::protocol::p2p::{self, Route, SignedPull, StatusCode};

/// Why a push did not arrive.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushError {
    /// The registry has no address for it.
    #[error("there is no address for this peer")]
    NoAddress,
    /// The peer answered, but does not take it now.
    #[error("the peer does not accept it now")]
    Refused,
    /// A phase took too long.
    #[error("the peer was too slow ({phase}, {after:?})")]
    Timeout {
        /// Which phase.
        phase: &'static str,
        /// Its limit.
        after: Duration,
    },
    /// The connection could not be made or broke.
    #[error("the connection to the peer failed: {0}")]
    Broken(String),
    /// Larger than any peer reads.
    #[error("the message has {0} bytes, more than peers read")]
    TooLarge(usize),
}

/// Why a pull gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PullError {
    /// The request did not arrive.
    #[error(transparent)]
    Request(#[from] PushError),
    /// The peer does not have it any more.
    #[error("the peer no longer has this activation")]
    Gone,
    /// The peer does not give it.
    #[error("the peer refused the request ({0:?})")]
    Refused(StatusCode),
    /// The id is longer than a request can hold.
    #[error("the activation's id is too long to be asked for")]
    Unsendable,
}

impl Peers {
    /// Pushes an encoded envelope to `to` and waits for its answer; connection trouble is retried,
    /// a refusal is not.
    pub async fn push(&self, to: &NodeId, message: &[u8]) -> Result<(), PushError> {
        let _first = self.0.line.activation(Way::Up);
        let _time = self.0.time.sending();
        let answer = self.request(to, message, 1).await?;
        if p2p::is_accepted(&answer) {
            return Ok(());
        }
        self.0.breakers.refused(to, self.0.clock.now());
        Err(PushError::Refused)
    }

    /// Pulls the serialized tensor of `activation` from `from`. The caller checks its hash.
    pub async fn pull(
        &self,
        from: &NodeId,
        activation: &ActivationId,
    ) -> Result<Vec<u8>, PullError> {
        let shared = &self.0;
        let _first = shared.line.activation(Way::Down);
        let _time = shared.time.receiving();
        let now = shared.clock.unix_millis();
        let (keypair, id) = (shared.hotkey.keypair(), activation.clone());
        let signed =
            shared.draw(|entropy| SignedPull::sign(keypair, id, now, &mut |out| entropy.fill(out)));
        let request = signed.encode().ok_or(PullError::Unsendable)?;
        let limit = shared.admission.largest_tensor() + shared.rules.activation_slack_bytes;
        let mut answer = self.request(from, &request, limit.min(MAX_PEER_MESSAGE)).await?;
        match p2p::decode_response(&answer).0 {
            StatusCode::Success => {
                answer.remove(0);
                Ok(answer)
            }
            StatusCode::NotFound | StatusCode::Expired => Err(PullError::Gone),
            status => Err(PullError::Refused(status)),
        }
    }

    /// Tells `status` to every node of the miners of `stages`, all at once; gives how many nodes it
    /// reached. Failures matter to nobody: the next broadcast comes in seconds.
    pub async fn broadcast_status(&self, status: &PeerStatus, stages: &[StageIndex]) -> usize {
        let message = match p2p::encode_as(self.0.tags, Route::PeerStatus, status) {
            Ok(message) => message,
            Err(error) => {
                tracing::warn!(%error, "the own status cannot be encoded");
                return 0;
            }
        };
        let peers = stages.iter().flat_map(|stage| self.0.directory.peers_of(*stage));
        // One that rests tells us its own status when it is back.
        let nodes: Vec<NodeId> = peers
            .flat_map(|peer| peer.nodes)
            .filter(|node| node.is_dialable() && !self.is_resting(&node.id))
            .map(|node| node.id)
            .collect();
        let sent = join_all(nodes.iter().map(|node| self.tell(node, &message))).await;
        sent.into_iter().filter(|reached| *reached).count()
    }

    /// Sends one status; whether it arrived.
    async fn tell(&self, to: &NodeId, message: &[u8]) -> bool {
        let link = self.0.links.to(to);
        let work = async {
            let connection = self.0.connection(&link, to, Kind::Uni).await?;
            let sent = async {
                let mut stream = connection.open_uni().await.map_err(broken)?;
                stream.write_all(message).await.map_err(broken)?;
                stream.finish().map_err(broken)?;
                stream.stopped().await.map_err(broken)?;
                Ok(())
            };
            let sent: Result<(), PushError> = sent.await;
            if sent.is_err() {
                link.discard(Kind::Uni, &connection).await;
            }
            sent
        };
        match self.0.clock.timeout(self.0.rules.status_timeout, work).await {
            Ok(Ok(())) => {
                let now = self.0.clock.now();
                self.0.breakers.answered(to, now);
                self.0.breakers.exchanged(to, now, (message.len(), 0), Duration::ZERO);
                self.0.traffic.add_sent(message.len());
                true
            }
            Ok(Err(error)) => {
                tracing::debug!(peer = to.as_str(), %error, "status not sent");
                false
            }
            Err(late) => {
                tracing::debug!(peer = to.as_str(), %late, "status not sent");
                false
            }
        }
    }

    /// Sends `message` on a stream of its own and reads an answer of at most `limit` bytes.
    async fn request(
        &self,
        to: &NodeId,
        message: &[u8],
        limit: usize,
    ) -> Result<Vec<u8>, PushError> {
        if message.len() > MAX_PEER_MESSAGE {
            return Err(PushError::TooLarge(message.len()));
        }
        let rules = &self.0.rules;
        let link = self.0.links.to(to);
        let work = async {
            let _slot = link.requests.acquire().await.map_err(broken)?;
            self.0.breakers.starts(to, self.0.clock.now());
            let mut failed = 0;
            loop {
                let error = match self.0.request_once(&link, to, message, limit).await {
                    Ok(answer) => {
                        self.0.breakers.answered(to, self.0.clock.now());
                        return Ok(answer);
                    }
                    Err(error) => error,
                };
                let passing = matches!(error, PushError::Timeout { .. } | PushError::Broken(_));
                if passing {
                    self.0.note_failure(to, &error);
                }
                // One that is left alone from now on is not asked again; others are.
                if !passing || failed + 1 >= rules.attempts || self.is_resting(to) {
                    return Err(error);
                }
                let pause = doubling_pause(rules.first_retry_pause, failed, rules.max_retry_pause);
                failed += 1;
                self.0.clock.sleep(pause).await;
            }
        };
        let timed_out = |after| PushError::Timeout { phase: "all of it", after };
        let limit = rules.push_timeout;
        self.0.clock.timeout(limit, work).await.map_err(|late| timed_out(late.0))?
    }
}

impl Shared {
    async fn request_once(
        &self,
        link: &Link,
        to: &NodeId,
        message: &[u8],
        limit: usize,
    ) -> Result<Vec<u8>, PushError> {
        let connection = self.connection(link, to, Kind::Bi).await?;
        let began = self.clock.now();
        let answer = self.converse(&connection, message, limit).await;
        if let Ok(answer) = &answer {
            let now = self.clock.now();
            let bytes = (message.len(), answer.len());
            self.breakers.exchanged(to, now, bytes, now.since(began));
        }
        if answer.is_err() {
            link.discard(Kind::Bi, &connection).await;
        }
        answer
    }

    async fn converse(
        &self,
        connection: &Connection,
        message: &[u8],
        limit: usize,
    ) -> Result<Vec<u8>, PushError> {
        let rules = &self.rules;
        let phase =
            |phase| move |late: crate::clock::TimedOut| PushError::Timeout { phase, after: late.0 };
        let open = self.clock.timeout(rules.stream_open_timeout, connection.open_bi());
        let (mut send, mut receive) = open.await.map_err(phase("stream open"))?.map_err(broken)?;
        let sending = async {
            match send.write_all(message).await {
                // A receiver that refuses early stops the stream and answers on the other one.
                Err(iroh::endpoint::WriteError::Stopped(_)) => Ok(()),
                Err(error) => Err(broken(error)),
                Ok(()) => send.finish().map_err(broken),
            }
        };
        self.clock.timeout(rules.send_timeout, sending).await.map_err(phase("send"))??;
        self.traffic.add_sent(message.len());
        let answer = self.clock.timeout(rules.receive_timeout, receive.read_to_end(limit));
        let answer = answer.await.map_err(phase("answer"))?.map_err(broken)?;
        self.traffic.add_received(answer.len());
        Ok(answer)
    }

    /// An open connection to `to`: the kept one, or a new one.
    async fn connection(
        &self,
        link: &Link,
        to: &NodeId,
        kind: Kind,
    ) -> Result<Connection, PushError> {
        let mut slot = link.slot(kind).lock().await;
        let open = |kept: &&Dialled| kept.connection.close_reason().is_none();
        if let Some(kept) = slot.as_ref().filter(open) {
            return Ok(kept.connection.clone());
        }
        let mut moving = link.moves();
        loop {
            let moves = *moving.borrow_and_update();
            let dialled = tokio::select! {
                dialled = self.dial(to, kind) => dialled,
                // The peer is elsewhere meanwhile: dial there.
                Ok(()) = moving.changed() => continue,
            };
            let connection = dialled?;
            self.paths.track(to, OpenedBy::Us, &connection);
            *slot = Some(Dialled { connection: connection.clone(), moves, at: self.clock.now() });
            return Ok(connection);
        }
    }

    async fn dial(&self, to: &NodeId, kind: Kind) -> Result<Connection, PushError> {
        let known = self.directory.address_of(to).ok_or(PushError::NoAddress)?;
        let id = EndpointId::from_bytes(&to.to_bytes()).map_err(|_| PushError::NoAddress)?;
        let address = self.reach.dial_address(id, &known);
        if address.is_empty() {
            return Err(PushError::NoAddress);
        }
        let limit = self.rules.connect_timeout;
        let dialling = self.endpoint.connect(address, kind.alpn(&self.rules));
        match self.clock.timeout(limit, dialling).await {
            Ok(connection) => connection.map_err(|error| PushError::Broken(chain(&error))),
            Err(late) => Err(PushError::Timeout { phase: "connect", after: late.0 }),
        }
    }

    fn note_failure(&self, node: &NodeId, error: &PushError) {
        let blame = self.breakers.failed(node, self.clock.now(), error.to_string());
        if blame == Blame::Peer && self.paths.is_relayed(node) {
            self.breakers.failed_at_relay(node, self.clock.now());
        }
        tracing::debug!(peer = node.as_str(), ?blame, %error, "an attempt failed");
    }
}

fn broken(error: impl std::error::Error) -> PushError {
    PushError::Broken(chain(&error))
}
