//! The other end of the local API: finds the Hearth that runs on this machine by its file in the state
//! folder, makes sure that it is the one, and talks to it.

mod attached;

use std::time::Duration;

use futures::{Stream, StreamExt as _};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sse_stream::SseByteStream;

use super::Order;
use super::address::Address;
use super::history::Told;
use super::overview::{News, Overview};
use crate::clock::{Clock, Entropy};
use crate::config::folders::Folders;
use crate::config::instance::{self, Owner};
use crate::network::Traffic;
use crate::network::http::{Answer, ExchangeError, HttpClient, HttpSetupError, Route};
use crate::swarm::SwarmCommand;

/// A process on the same machine answers within this, or not at all.
const PATIENCE: Duration = Duration::from_secs(5);
/// The largest answer: an overview with the losses of a long practice run.
const LARGEST: usize = 256 << 20;

/// The running Hearth cannot be reached.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is none.
    #[error("Hearth is not running here{}: start it with `hearth run`", gone(.0))]
    NotRunning(Option<Owner>),
    /// There is one that is not ready to be talked to.
    #[error("Hearth is still starting here{}: try again in a moment", process(.0))]
    Starting(Option<Owner>),
    /// There is one, but it says nothing.
    #[error(
        "Hearth runs here (process {0}), but does not answer: it may be stopped or overloaded; look \
         at its log with `hearth logs`, or end that process"
    )]
    Silent(u32),
    /// It did not do what was asked.
    #[error("{what}: {fix}")]
    Refused {
        /// Stable code.
        code: String,
        /// What is wrong.
        what: String,
        /// What to do now.
        fix: String,
    },
    /// It answers in a way that this version does not understand.
    #[error(
        "the Hearth that runs here answers in a way that this program does not understand ({0}): it \
         may be of another version; stop it with that one, and start it again"
    )]
    NotUnderstood(String),
    /// No client can be made.
    #[error(transparent)]
    Setup(#[from] HttpSetupError),
}

fn gone(owner: &Option<Owner>) -> String {
    owner.map_or_else(String::new, |owner| {
        format!(" (process {} ended without a good-bye)", owner.pid)
    })
}

fn process(owner: &Option<Owner>) -> String {
    owner.map_or_else(String::new, |owner| format!(" (process {})", owner.pid))
}

impl ClientError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotRunning(_) => "not-running",
            Self::Starting(_) => "still-starting",
            Self::Silent(_) => "api-silent",
            Self::Refused { .. } => "api-refused",
            Self::NotUnderstood(_) => "api-not-understood",
            Self::Setup(_) => "http-setup",
        }
    }
}

pub use attached::{Attached, attach};

/// A running Hearth that was found.
#[derive(Clone, Debug)]
pub struct Client {
    address: Address,
    http: HttpClient,
    clock: Clock,
}

#[derive(Deserialize)]
struct Alive {
    proof: Option<String>,
}

#[derive(Deserialize)]
struct Said {
    code: String,
    what: String,
    fix: String,
}

#[derive(Deserialize)]
struct Accepted {
    accepted: Vec<String>,
}

impl Client {
    /// Finds the Hearth that runs in these folders.
    ///
    /// # Errors
    /// There is none, or it does not answer.
    pub async fn find(folders: &Folders, clock: &Clock) -> Result<Self, ClientError> {
        let http = HttpClient::new(Route::Loopback, PATIENCE, clock.clone(), Traffic::default())?;
        let Some(address) = Address::read(folders) else {
            return Err(match instance::is_held(folders) {
                true => ClientError::Starting(instance::owner(folders)),
                // A process that was killed before it could answer leaves its words in the lock.
                false => ClientError::NotRunning(instance::owner(folders)),
            });
        };
        let client = Self { address, http, clock: clock.clone() };
        if client.is_itself().await? {
            return Ok(client);
        }
        // The file is of a process that was killed, and the port another's by now, or nobody's.
        let Address { pid, since, .. } = client.address;
        match instance::owner(folders).filter(|_| instance::is_held(folders)) {
            Some(owner) if owner.pid == pid => Err(ClientError::Silent(pid)),
            Some(owner) => Err(ClientError::Starting(Some(owner))),
            None => Err(ClientError::NotRunning(Some(Owner { pid, since }))),
        }
    }

    /// Whether the process at that port has the token. It is asked for a proof: the token itself goes
    /// to nobody who does not have it.
    async fn is_itself(&self) -> Result<bool, ClientError> {
        let question = Entropy::system().uuid();
        let path = format!("/health?question={question}");
        let request = self.http.requests().get(self.url(&path));
        match self.exchange(request).await {
            Ok(answer) => {
                let alive: Option<Alive> = serde_json::from_slice(&answer.body).ok();
                let proof = alive.and_then(|alive| alive.proof).unwrap_or_default();
                Ok(self.address.token.proves(&question, &proof))
            }
            Err(ExchangeError::Timeout(_)) => Err(ClientError::Silent(self.address.pid)),
            Err(ExchangeError::Transport(_) | ExchangeError::TooLarge(_)) => Ok(false),
        }
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Everything, now.
    ///
    /// # Errors
    /// It does not answer, or not as expected.
    pub async fn overview(&self) -> Result<Overview, ClientError> {
        self.call(self.request(Method::GET, "/v1/snapshot")).await
    }

    /// What its miners did over the last day.
    ///
    /// # Errors
    /// It does not answer, or not as expected.
    pub async fn history(&self) -> Result<Told, ClientError> {
        self.call(self.request(Method::GET, "/v1/history")).await
    }

    /// Gives an order. Answers with the names of the miners that take it.
    ///
    /// # Errors
    /// It was refused, or does not answer.
    pub async fn order(&self, order: &Order) -> Result<Vec<String>, ClientError> {
        let request = with_json(self.request(Method::POST, "/v1/commands"), order)?;
        Ok(self.call::<Accepted>(request).await?.accepted)
    }

    /// Gives the practice swarm an order.
    ///
    /// # Errors
    /// It was refused, or does not answer.
    pub async fn order_swarm(&self, command: &SwarmCommand) -> Result<(), ClientError> {
        let request = with_json(self.request(Method::POST, "/v1/swarm/commands"), command)?;
        self.call::<serde_json::Value>(request).await.map(drop)
    }

    /// The news from now on: everything once, then each change. Ends when the process does.
    ///
    /// # Errors
    /// It does not answer, or not as expected.
    pub async fn news(
        &self,
    ) -> Result<impl Stream<Item = Result<News, ClientError>> + use<>, ClientError> {
        let sent = self.request(Method::GET, "/v1/snapshots").send();
        let response = match self.clock.timeout(PATIENCE, sent).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(not_understood(&error.without_url())),
            Err(_) => return Err(ClientError::Silent(self.address.pid)),
        };
        if response.status() != StatusCode::OK {
            return Err(not_understood(&response.status()));
        }
        let events = SseByteStream::new(response.bytes_stream());
        Ok(events.filter_map(|event| async move {
            match event {
                // A comment that only keeps the connection alive has no data.
                Ok(event) => event.data.map(|data| {
                    serde_json::from_str(&data).map_err(|error| not_understood(&error))
                }),
                Err(error) => Some(Err(not_understood(&error))),
            }
        }))
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.address.base())
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let token = self.address.token.text();
        self.http.requests().request(method, self.url(path)).bearer_auth(token.as_str())
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<Answer, ExchangeError> {
        let request =
            request.build().map_err(|error| ExchangeError::Transport(error.to_string()))?;
        self.http.exchange(request, LARGEST, PATIENCE).await
    }

    async fn call<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        let answer = self.exchange(request).await.map_err(|error| match error {
            ExchangeError::Timeout(_) => ClientError::Silent(self.address.pid),
            other => not_understood(&other),
        })?;
        if !answer.status.is_success() {
            return Err(match serde_json::from_slice::<Said>(&answer.body) {
                Ok(Said { code, what, fix }) => ClientError::Refused { code, what, fix },
                Err(_) => not_understood(&answer.status),
            });
        }
        serde_json::from_slice(&answer.body).map_err(|error| not_understood(&error))
    }
}

fn not_understood(why: &dyn std::fmt::Display) -> ClientError {
    ClientError::NotUnderstood(why.to_string())
}

fn with_json(
    request: RequestBuilder,
    body: &impl Serialize,
) -> Result<RequestBuilder, ClientError> {
    let body = serde_json::to_vec(body).map_err(|error| not_understood(&error))?;
    Ok(request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body))
}
