//! The orchestrator of a practice swarm: real HTTP on loopback, every request signed and checked, the
//! bridge on the same port, all rules in [`crate::swarm::run`], everything written to the books.

use std::future::IntoFuture;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, Request, State};
use axum::http::{Response, header};
use axum::response::IntoResponse as _;
use axum::routing::get;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::earnings::published;
use crate::protocol::epistula::HEADER_REQUEST_ID;
use crate::protocol::messages::Flag;
use crate::swarm::bridge::Bridge;
use crate::swarm::pay::PayBook;
use crate::swarm::public;
use crate::swarm::queue::Queue;
use crate::swarm::run::Run;
use crate::swarm::snapshot::SwarmSnapshot;
use crate::swarm::store::Store;
use crate::telemetry::Events;

mod answer;
mod attestation;
mod board;
mod books;
mod calls;
mod desk;
mod rates;
mod registration;
mod request;
mod rows;
mod samples;
mod schema;
mod telemetry;
mod transfer;

#[cfg(test)]
pub(super) mod tests;

pub use crate::swarm::rules::Rules;
pub(super) use answer::{Refused, respond};
pub use books::{Books, BooksError, Shelf};
pub(super) use desk::Desk;
pub use desk::RunFacts;
pub(super) use request::bounded;
pub use samples::Texts;

/// Between two looks at the clock: time limits and snapshots need no more.
const TICK: Duration = Duration::from_millis(250);
/// How long a shutdown waits for calls that are being answered.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(3);

/// Why the orchestrator does not listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another program has the port.
    #[error(
        "port {0} is taken by another program; stop it, or choose another port (0 takes any free one)"
    )]
    PortTaken(u16),
    /// The system refused.
    #[error("cannot listen on port {port} of this machine: {source}")]
    Refused {
        /// The port asked for.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
}

/// What an orchestrator works with.
#[derive(Debug)]
pub struct Equipment {
    /// What miners are told.
    pub facts: RunFacts,
    /// The rules, restored from the books.
    pub run: Run,
    /// Who waits, restored from the books.
    pub queue: Queue,
    /// The books.
    pub books: Books,
    /// What was paid, restored from the books.
    pub pay: PayBook,
    /// Where objects lie.
    pub store: Arc<Store>,
    /// Where samples come from.
    pub texts: Texts,
    /// Time.
    pub clock: Clock,
    /// Where news go.
    pub events: Events,
}

/// A running orchestrator. Ends when dropped.
#[derive(Debug)]
pub struct Orchestrator {
    desk: Arc<Desk>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
    helpers: Vec<JoinHandle<()>>,
}

impl Drop for Orchestrator {
    fn drop(&mut self) {
        self.server.abort();
        self.helpers.iter().for_each(JoinHandle::abort);
    }
}

/// Takes a port of this machine; 0 takes any free one.
///
/// # Errors
/// The port is taken, or the system refuses it.
pub async fn listen(port: u16) -> Result<TcpListener, ListenError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::PortTaken(port),
        _ => ListenError::Refused { port, source },
    })
}

impl Orchestrator {
    /// Starts to answer on `listener`.
    ///
    /// # Errors
    /// The listener has no address.
    pub async fn start(listener: TcpListener, equipment: Equipment) -> io::Result<Self> {
        let Equipment { facts, run, queue, books, pay, store, texts, clock, events } = equipment;
        let address = listener.local_addr()?;
        let (sender, samples) = mpsc::channel(samples::READY);
        // Names of their own for each start: those of the last one are still to be removed.
        let prefix = format!("{}/samples/{}", facts.run_id, clock.unix_millis());
        let stored = Arc::clone(&store);
        let desk = Desk::new(facts, run, queue, books, pay, samples, store, clock.clone(), events);
        let desk = Arc::new(desk);
        desk.set_address(format!("http://{address}")).await;
        desk.tick().await;
        let bridge = Bridge::new(clock.clone());
        let app = Router::new()
            .nest("/bridge", bridge.router())
            .route(public::PATH, get(publish))
            .route(published::PATH, get(publish_pay))
            .fallback(serve)
            .with_state(Arc::clone(&desk));
        let (stop, stopped) = oneshot::channel();
        let server = axum::serve(listener, app).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        let server = tokio::spawn(async move {
            if let Err(error) = server.into_future().await {
                tracing::error!(%error, "orchestrator");
            }
        });
        let failing = Arc::clone(&desk);
        let fail = move |reason| failing.fail(reason);
        let packing = Arc::clone(&desk);
        let pack = move |text: String| {
            if packing.rules().is_on(Flag::CompressS3Files) {
                samples::gzip(&text)
            } else {
                text.into_bytes()
            }
        };
        let helpers = vec![
            tokio::spawn(tick(Arc::clone(&desk), bridge, clock)),
            tokio::spawn(samples::fill(texts, stored, prefix, pack, sender, fail)),
        ];
        Ok(Self { desk, address, stop: Some(stop), server, helpers })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What faces see.
    pub fn snapshots(&self) -> watch::Receiver<SwarmSnapshot> {
        self.desk.snapshots()
    }

    /// What made the swarm unable to go on, once something did.
    pub fn failures(&self) -> watch::Receiver<Option<String>> {
        self.desk.failures()
    }

    pub(super) fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Answers what is being asked, then ends.
    pub async fn shutdown(mut self, clock: &Clock) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = clock.timeout(SHUTDOWN_LIMIT, &mut self.server).await;
    }
}

/// What anybody may see, without a key.
async fn publish(State(desk): State<Arc<Desk>>) -> Response<Body> {
    let headers =
        [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "max-age=1")];
    (headers, desk.public().to_string()).into_response()
}

/// What was paid, and for what; for anybody, without a key.
async fn publish_pay(State(desk): State<Arc<Desk>>, RawQuery(query): RawQuery) -> Response<Body> {
    let query = query.unwrap_or_default();
    let after = query.split('&').find_map(|pair| pair.strip_prefix("after="));
    let after = after.and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
    let pay = serde_json::to_string(&desk.public_pay(after).await).unwrap_or_default();
    ([(header::CONTENT_TYPE, "application/json")], pay).into_response()
}

/// Every call but the bridge's and what is public.
async fn serve(State(desk): State<Arc<Desk>>, request: Request) -> Response<Body> {
    let request_id = request.headers().get(HEADER_REQUEST_ID).cloned();
    answer::respond(answer_one(&desk, request).await, request_id)
}

async fn answer_one(desk: &Arc<Desk>, request: Request) -> Result<Value, Refused> {
    let (version, rules) = (desk.facts.spec_version, desk.rules());
    let call = request::Signed::check(request, &desk.clock, version, &rules).await?;
    desk.may_call(&call.hotkey, call.call())?;
    desk.seen(&call.hotkey).await;
    calls::dispatch(desk, &call).await
}

async fn tick(desk: Arc<Desk>, bridge: Bridge, clock: Clock) {
    loop {
        clock.sleep(TICK).await;
        desk.tick().await;
        bridge.evict();
    }
}
