//! What others send to this miner. Nobody is believed: sizes, times, numbers of connections and
//! bytes in memory are bounded before a message is looked at, and a push gets in only if the node
//! that QUIC proved belongs to a miner of an adjacent stage (spec 13, weaknesses 2, 26, 27).

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use iroh::EndpointId;
use iroh::endpoint::{Connection, Incoming, RecvStream, SendStream, VarInt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use super::counts::count;
use super::link::Kind;
use super::paths::OpenedBy;
use super::served::Found;
use super::{InboundPush, MAX_REQUEST, Payload, STRANGER_WINDOW, Shared};
use crate::network::line::Way;
use crate::protocol::constants::MAX_PEER_MESSAGE;
use crate::protocol::ids::{ActivationId, Hotkey, NodeId, StageIndex};
use crate::protocol::messages::{Direction, PeerStatus};
use crate::protocol::p2p::{
    self, ActivationPush, Envelope, PullRequest, Route, SignedPull, StatusCode,
};
use crate::telemetry::spent::Leg;

/// Code with which a stream is stopped or a connection closed that is not wanted.
const NOT_WANTED: VarInt = VarInt::from_u32(1);

/// Bytes read from a stream at a time.
const CHUNK: usize = 64 << 10;

/// Who is at the other end: proved by QUIC, and looked up in the registry.
struct Sender {
    node: NodeId,
    claims: Vec<(Hotkey, Option<StageIndex>)>,
}

/// Accepts connections until the endpoint is closed.
pub(super) async fn accept(shared: Arc<Shared>) {
    let all = Arc::new(Semaphore::new(shared.rules.max_inbound_connections.max(1)));
    // Strangers may only take an eighth, so that they cannot keep neighbours out.
    let strangers = Arc::new(Semaphore::new((shared.rules.max_inbound_connections / 8).max(1)));
    let mut running = JoinSet::new();
    loop {
        tokio::select! {
            incoming = shared.endpoint.accept() => {
                let Some(incoming) = incoming else { break };
                let Ok(place) = Arc::clone(&all).try_acquire_owned() else {
                    count(&shared.counters.connections_refused);
                    incoming.refuse();
                    continue;
                };
                let (shared, strangers) = (Arc::clone(&shared), Arc::clone(&strangers));
                running.spawn(async move {
                    serve_connection(shared, incoming, strangers).await;
                    drop(place);
                });
            }
            Some(ended) = running.join_next(), if !running.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection's task ended badly");
                }
            }
        }
    }
    // The endpoint is closed, and with it every connection.
    running.shutdown().await;
}

async fn serve_connection(shared: Arc<Shared>, incoming: Incoming, strangers: Arc<Semaphore>) {
    let handshake =
        shared.clock.timeout(shared.rules.connect_timeout, incoming.into_future()).await;
    let Ok(Ok(connection)) = handshake else {
        count(&shared.counters.connections_refused);
        return;
    };
    let node = node_id(&connection.remote_id());
    shared.paths.track(&node, OpenedBy::Peer, &connection);
    let mut place = None;
    if shared.directory.claimants(&node).is_empty() {
        let Ok(strangers_place) = strangers.try_acquire_owned() else {
            count(&shared.counters.connections_refused);
            connection.close(NOT_WANTED, b"too many strangers");
            return;
        };
        place = Some(strangers_place);
        connection.set_receive_window(VarInt::from_u32(STRANGER_WINDOW));
    }
    if connection.alpn() == Kind::Uni.alpn(&shared.rules) {
        serve_uni(&shared, &connection, &node).await;
    } else {
        serve_bi(&shared, &connection, &node).await;
    }
    drop(place);
}

async fn serve_uni(shared: &Arc<Shared>, connection: &Connection, node: &NodeId) {
    let mut streams = JoinSet::new();
    while let Ok(receive) = connection.accept_uni().await {
        while streams.try_join_next().is_some() {}
        streams.spawn(take_uni(Arc::clone(shared), receive, node.clone()));
    }
}

async fn serve_bi(shared: &Arc<Shared>, connection: &Connection, node: &NodeId) {
    let mut streams = JoinSet::new();
    // How many there are at a time is bounded by the transport's settings.
    while let Ok((send, receive)) = connection.accept_bi().await {
        while streams.try_join_next().is_some() {}
        streams.spawn(take_bi(Arc::clone(shared), send, receive, node.clone()));
    }
}

async fn take_uni(shared: Arc<Shared>, mut receive: RecvStream, node: NodeId) {
    let limit = shared.rules.max_status_bytes;
    let Some((message, _held)) = read_message(&shared, &mut receive, limit).await else { return };
    let envelope =
        Envelope::parse_as(shared.tags, &message).filter(|known| known.route == Route::PeerStatus);
    let status = envelope.and_then(|envelope| p2p::decode::<PeerStatus>(&envelope).ok());
    let Some(mut status) = status else {
        count(&shared.counters.garbage);
        return;
    };
    // A status counts only for the hotkey whose node sent it.
    let claims = shared.directory.claimants(&node);
    let Some((hotkey, _)) = claims.iter().find(|(h, _)| h.as_str() == status.source_hotkey) else {
        count(&shared.counters.statuses_ignored);
        return;
    };
    shared.breakers.heard_somebody();
    shared.breakers.came(&node, shared.clock.now(), message.len());
    status.last_status_received = shared.clock.unix_seconds();
    shared.directory.hear(hotkey, status);
    count(&shared.counters.statuses);
}

async fn take_bi(shared: Arc<Shared>, mut send: SendStream, mut receive: RecvStream, node: NodeId) {
    let sender = Sender { claims: shared.directory.claimants(&node), node };
    let limit = message_limit(&shared, &sender);
    // Whoever may only ask for something sends nothing that is waited for.
    let time = (limit > MAX_REQUEST).then(|| shared.time.receiving());
    let began = shared.clock.now();
    let message = read_message(&shared, &mut receive, limit).await;
    let took = shared.clock.now().since(began);
    drop(time);
    if let Some((message, _)) = &message
        && !sender.claims.is_empty()
    {
        shared.breakers.came(&sender.node, shared.clock.now(), message.len());
    }
    let Some((message, held)) = message else {
        answer(&shared, &mut send, StatusCode::Error, &[]).await;
        return;
    };
    let envelope = Envelope::parse_as(shared.tags, &message)
        .filter(|known| known.route == Route::ActivationPush);
    let push =
        envelope.map(|envelope| ActivationPush::decode(&envelope).map(|p| detach(p, &message)));
    match push {
        Some(Ok((header, place))) => {
            let tensor_file = match place {
                Place::Within(range) => Payload::within(message, range),
                Place::Copied(bytes) => Payload::from(bytes),
            };
            shared.time.leg_took(Leg::Receive, took);
            take_push(&shared, &mut send, header, tensor_file, sender).await;
        }
        Some(Err(error)) => garbage(&shared, &mut send, &sender, &error).await,
        None => match p2p::decode_pull(&message) {
            Ok(PullRequest::Signed(request)) => serve_pull(&shared, &mut send, &request).await,
            Ok(PullRequest::Unsigned(_)) => {
                refuse_pull(&shared, &mut send, StatusCode::Unauthorized).await;
            }
            Err(error) => garbage(&shared, &mut send, &sender, &error).await,
        },
    }
    drop(held);
}

async fn garbage(
    shared: &Shared,
    send: &mut SendStream,
    sender: &Sender,
    error: &(dyn std::error::Error + Sync),
) {
    count(&shared.counters.garbage);
    tracing::debug!(peer = sender.node.as_str(), %error, "unreadable message");
    answer(shared, send, StatusCode::Error, &[]).await;
}

/// A push without its tensor.
struct Header {
    activation: ActivationId,
    direction: Direction,
    sample_path: Option<String>,
    target: Option<StageIndex>,
}

/// Where a push's tensor is.
enum Place {
    Within(Range<usize>),
    Copied(Vec<u8>),
}

/// Separates a push from the message that it borrows from, without copying the tensor.
fn detach(push: ActivationPush<'_>, message: &[u8]) -> (Header, Place) {
    let place = match push.tensor_bytes {
        Cow::Owned(bytes) => Place::Copied(bytes),
        Cow::Borrowed(bytes) => {
            let start = (bytes.as_ptr() as usize).wrapping_sub(message.as_ptr() as usize);
            Place::Within(start..start.wrapping_add(bytes.len()))
        }
    };
    let header = Header {
        activation: push.activation_id,
        direction: push.direction,
        sample_path: push.sample_path,
        target: push.target_layer,
    };
    (header, place)
}

/// How much a sender may send: an activation if it could be a neighbour's, else a pull request.
fn message_limit(shared: &Shared, sender: &Sender) -> usize {
    let neighbour = shared.admission.stage().is_some_and(|own| {
        let adjacent = |stage: StageIndex| stage.0 + 1 == own.0 || stage.0 == own.0 + 1;
        sender.claims.iter().any(|(_, stage)| stage.is_some_and(adjacent))
    });
    if neighbour {
        let expected =
            shared.admission.largest_tensor().saturating_add(shared.rules.activation_slack_bytes);
        expected.clamp(MAX_REQUEST, MAX_PEER_MESSAGE)
    } else {
        MAX_REQUEST
    }
}

/// Reads a whole message of at most `limit` bytes; `None` (counted) if that does not work. The
/// permit stands for the memory that the message takes.
async fn read_message(
    shared: &Shared,
    receive: &mut RecvStream,
    limit: usize,
) -> Option<(Vec<u8>, Option<OwnedSemaphorePermit>)> {
    let reading = read_bounded(shared, receive, limit);
    let counter = match shared.clock.timeout(shared.rules.inbound_timeout, reading).await {
        Ok(Ok(message)) => {
            shared.traffic.add_received(message.0.len());
            return Some(message);
        }
        Ok(Err(Unread::TooLarge)) => &shared.counters.too_large,
        Ok(Err(Unread::OverBudget)) => &shared.counters.over_budget,
        Ok(Err(Unread::Broken)) => &shared.counters.broken,
        Err(_) => &shared.counters.too_slow,
    };
    count(counter);
    // The rest is not wanted; without this the sender would go on sending. An error only says that
    // the stream has ended already.
    let stopped = receive.stop(NOT_WANTED);
    drop(stopped);
    None
}

enum Unread {
    TooLarge,
    OverBudget,
    Broken,
}

async fn read_bounded(
    shared: &Shared,
    receive: &mut RecvStream,
    limit: usize,
) -> Result<(Vec<u8>, Option<OwnedSemaphorePermit>), Unread> {
    let mut message = Vec::new();
    let mut held: Option<OwnedSemaphorePermit> = None;
    while let Some(chunk) = receive.read_chunk(CHUNK).await.map_err(|_| Unread::Broken)? {
        if message.len() + chunk.len() > limit {
            return Err(Unread::TooLarge);
        }
        let size = u32::try_from(chunk.len()).unwrap_or(u32::MAX);
        let budget = Arc::clone(&shared.inbound_bytes).try_acquire_many_owned(size);
        let more = budget.map_err(|_| Unread::OverBudget)?;
        match &mut held {
            Some(held) => held.merge(more),
            None => held = Some(more),
        }
        message.extend_from_slice(&chunk);
    }
    Ok((message, held))
}

/// Spec 6.5: refuse, or accept, wait until the sender has acknowledged our answer, and only then
/// hand the push on, so that a sender that missed the answer and sends again is not counted twice.
async fn take_push(
    shared: &Shared,
    send: &mut SendStream,
    push: Header,
    tensor_file: Payload,
    sender: Sender,
) {
    let hotkey = match admit(shared, &push, &sender) {
        Ok(hotkey) => hotkey,
        Err(counter) => {
            count(counter);
            answer(shared, send, StatusCode::Error, &[]).await;
            return;
        }
    };
    let queue = match push.direction {
        Direction::Forward => &shared.forwards,
        Direction::Backward => &shared.backwards,
    };
    let Some(place) = reserve(queue) else {
        count(&shared.counters.pushes_queue_full);
        answer(shared, send, StatusCode::Error, &[]).await;
        return;
    };
    if !answer(shared, send, StatusCode::Success, &[]).await {
        count(&shared.counters.pushes_unacknowledged);
        return;
    }
    count(&shared.counters.pushes_accepted);
    shared.breakers.heard_somebody();
    let received = shared.clock.now();
    place.send(InboundPush {
        activation: push.activation,
        direction: push.direction,
        tensor_file,
        sample_path: push.sample_path,
        from: sender.node,
        sender: hotkey,
        received,
    });
}

/// A place in the queue; `None` if it is full or nobody reads it any more.
fn reserve(queue: &mpsc::Sender<InboundPush>) -> Option<mpsc::Permit<'_, InboundPush>> {
    queue.try_reserve().ok()
}

/// Whether a push may come in, and in whose name; else the counter of the reason.
fn admit<'a>(
    shared: &'a Shared,
    push: &Header,
    sender: &Sender,
) -> Result<Hotkey, &'a std::sync::atomic::AtomicU64> {
    let counters = &shared.counters;
    let own = shared.admission.stage().ok_or(&counters.pushes_not_training)?;
    let wanted = match push.direction {
        Direction::Forward => own.0.checked_sub(1),
        Direction::Backward => own.0.checked_add(1),
    };
    let claim = sender.claims.iter().find(|(_, stage)| stage.map(|s| s.0) == wanted);
    let (hotkey, _) = claim.filter(|_| wanted.is_some()).ok_or(&counters.pushes_from_strangers)?;
    if push.target.is_some_and(|target| target != own) {
        return Err(&counters.pushes_misdirected);
    }
    match push.direction {
        Direction::Forward if !shared.admission.takes_forwards() => {
            Err(&counters.pushes_not_training)
        }
        Direction::Backward
            if !shared.admission.awaits_backward(&push.activation, &sender.node) =>
        {
            Err(&counters.pushes_unasked)
        }
        _ => Ok(hotkey.clone()),
    }
}

/// Spec 6.6: any valid signer is served.
async fn serve_pull(shared: &Shared, send: &mut SendStream, request: &SignedPull) {
    if request.verify(shared.clock.unix_millis()).is_err() {
        refuse_pull(shared, send, StatusCode::Unauthorized).await;
        return;
    }
    let found = shared.served().get(&request.activation_id, shared.clock.now());
    match found {
        Found::Fresh(bytes) => {
            count(&shared.counters.pulls_served);
            let _first = shared.line.activation(Way::Up);
            answer(shared, send, StatusCode::Success, &bytes).await;
        }
        Found::Expired => refuse_pull(shared, send, StatusCode::Expired).await,
        Found::Nothing => refuse_pull(shared, send, StatusCode::NotFound).await,
    }
}

async fn refuse_pull(shared: &Shared, send: &mut SendStream, status: StatusCode) {
    count(&shared.counters.pulls_refused);
    answer(shared, send, status, &[]).await;
}

/// Sends the status byte and `bytes`; whether the other side acknowledged all of it.
async fn answer(shared: &Shared, send: &mut SendStream, status: StatusCode, bytes: &[u8]) -> bool {
    let work = async {
        send.write_all(&[status as u8]).await.ok()?;
        if !bytes.is_empty() {
            send.write_all(bytes).await.ok()?;
        }
        send.finish().ok()?;
        // `Some` would be a code with which the reader stopped us: it did not read it all.
        send.stopped().await.ok()?.is_none().then_some(())
    };
    let limit = shared.rules.send_timeout;
    let acknowledged = matches!(shared.clock.timeout(limit, work).await, Ok(Some(())));
    if acknowledged {
        shared.traffic.add_sent(1 + bytes.len());
    }
    acknowledged
}

fn node_id(id: &EndpointId) -> NodeId {
    NodeId::from_bytes(id.as_bytes())
}
