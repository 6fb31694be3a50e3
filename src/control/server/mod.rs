//! The local API of a running miner: HTTP and server-sent events on loopback, for whoever knows the
//! token. It shows what [`Control`] shows and passes commands on; it never holds the miner up.

mod calls;
mod events;
mod gate;
mod ready;
mod refusal;
mod watching;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use axum::response::sse::Event as SentEvent;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::sync::{Semaphore, broadcast, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::Control;
use super::address::{Address, Posted};
use super::measures::ApiCounts;
use super::overview::{Overview, ProcessView};
use super::token::Token;
use crate::clock::{Clock, Entropy};
use crate::config::folders::{FolderError, Folders};
use crate::config::live::LiveSettings;
use crate::telemetry::Events;

/// So many connections are served at a time; more wait.
const CONNECTIONS: usize = 128;
/// A connection that asks for nothing is closed after this.
const SILENCE: Duration = Duration::from_secs(30);
/// So long the last words may take at the end.
const FAREWELL: Duration = Duration::from_secs(1);
/// Before the next try when the system gives no connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// The local API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Somebody else listens there.
    #[error(
        "TCP port {0} is taken, and the local API was to listen there: choose another with \
         `hearth config set api_port PORT`, or 0 for any"
    )]
    PortTaken(u16),
    /// The system refuses.
    #[error(
        "the local API cannot listen on 127.0.0.1, port {port} ({source}): choose another port with \
         `hearth config set api_port PORT`, or 0 for any"
    )]
    Refused {
        /// The port.
        port: u16,
        /// The system's words.
        source: io::Error,
    },
    /// The file that leads to it cannot be written.
    #[error(transparent)]
    Folder(#[from] FolderError),
}

impl ApiError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::PortTaken(_) => "api-port-taken",
            Self::Refused { .. } => "api-port-refused",
            Self::Folder(error) => error.code(),
        }
    }
}

/// What is served.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Snapshots and commands.
    pub control: Control,
    /// What happens.
    pub events: Events,
    /// The settings.
    pub settings: LiveSettings,
    /// The time.
    pub clock: Clock,
}

/// What every answer is made from.
struct Served {
    offer: Offer,
    process: ProcessView,
    port: u16,
    token: Token,
    /// Readers of events subscribe here; gone when the end has come.
    told: broadcast::WeakSender<Arc<events::Told>>,
    counts: Counts,
    stop: watch::Receiver<bool>,
}

/// What the API counts of itself.
#[derive(Debug, Default)]
struct Counts {
    /// Readers of events and snapshots, now.
    readers: AtomicI64,
    /// Events that slow readers lost.
    lost: AtomicU64,
}

impl Counts {
    fn seen(&self) -> ApiCounts {
        let readers = u64::try_from(self.readers.load(Ordering::Relaxed)).unwrap_or(0);
        ApiCounts { readers, lost: self.lost.load(Ordering::Relaxed) }
    }
}

impl Served {
    fn overview(&self) -> Overview {
        Overview::collect(&self.offer.control, &self.process)
    }
}

/// The API of this process. Dropped, it ends at once.
#[derive(Debug)]
pub struct Api {
    posted: Posted,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    clock: Clock,
}

impl Api {
    /// Listens on `port` of loopback (0: any free one), writes down where, and answers. Must be called
    /// on a tokio runtime.
    ///
    /// # Errors
    /// The port is taken, or the state folder cannot be written.
    pub fn start(
        offer: Offer,
        port: u16,
        folders: &Folders,
        entropy: &mut Entropy,
    ) -> Result<Self, ApiError> {
        let refused = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse if port != 0 => ApiError::PortTaken(port),
            _ => ApiError::Refused { port, source },
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(refused)?;
        let port = listener.local_addr().map_err(refused)?.port();

        let token = Token::draw(entropy);
        let (pid, since) = (std::process::id(), offer.clock.unix().as_secs());
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let (stop, stopped) = watch::channel(false);
        let told = broadcast::Sender::new(events::BUFFER);
        let (clock, events) = (offer.clock.clone(), offer.events.subscribe());
        let served = Arc::new(Served {
            offer,
            process: ProcessView { pid, since, version },
            port,
            token: token.clone(),
            told: told.downgrade(),
            counts: Counts::default(),
            stop: stopped.clone(),
        });
        let posted = Posted::write(folders, Address { pid, since, port, token })?;
        let tasks = vec![
            tokio::spawn(events::relay(events, told, stopped.clone())),
            tokio::spawn(listen(listener, served, stopped, clock.clone())),
        ];
        Ok(Self { posted, stop, tasks, clock })
    }

    /// Tells the readers the last news, then ends.
    pub async fn end(mut self) {
        let _ = self.stop.send(true);
        let ended = futures::future::join_all(self.tasks.iter_mut());
        // Who does not read is not waited for.
        let _ = self.clock.timeout(FAREWELL, ended).await;
    }

    /// TCP port on loopback.
    pub fn port(&self) -> u16 {
        self.posted.port()
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Serves connections until the end. Dropped, it drops them.
async fn listen(
    listener: tokio::net::TcpListener,
    served: Arc<Served>,
    stop: watch::Receiver<bool>,
    clock: Clock,
) {
    let app = calls::router(served);
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        // A semaphore that nobody closes gives a place sooner or later.
        let place = Arc::clone(&places).acquire_owned().await;
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = turned_true(stop.clone()) => break,
        };
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = accepted else {
            // No descriptors, perhaps: that passes.
            clock.sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let (app, stop) = (app.clone(), stop.clone());
        connections.spawn(async move {
            let mut server = auto::Builder::new(TokioExecutor::new());
            server.http1().timer(TokioTimer::new()).header_read_timeout(SILENCE);
            let service = TowerToHyperService::new(app);
            let connection = server.serve_connection(TokioIo::new(stream), service);
            tokio::pin!(connection);
            tokio::select! {
                // A client that goes away in the middle is no news.
                _ = &mut connection => {}
                () = turned_true(stop) => {
                    connection.as_mut().graceful_shutdown();
                    let _ = connection.await;
                }
            }
            drop(place);
        });
    }
    while connections.join_next().await.is_some() {}
}

async fn turned_true(mut watched: watch::Receiver<bool>) {
    // Who can say "stop" is gone: that is the end as well.
    let _ = watched.wait_for(|on| *on).await;
}

/// An event of a stream that never fails.
type Sent = Result<SentEvent, Infallible>;
