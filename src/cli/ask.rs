//! Asks a server what it publishes to anybody: one GET, no key, bounded in size and time.

use std::time::Duration;

use url::Url;

use super::{Exit, Failure};
use crate::clock::Clock;
use crate::config::network::Hosts;
use crate::network::Traffic;
use crate::network::http::{ExchangeError, HttpClient, Route};

/// A server that says nothing for this long says nothing.
const PATIENCE: Duration = Duration::from_secs(10);

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// The server's answer, as it came.
    Told(Vec<u8>),
    /// It answers, but there is no such thing, or not for anybody.
    NotPublished,
    /// It does not answer; why, as a clause.
    Silent(String),
}

/// Asks one server.
#[derive(Debug)]
pub struct Asker {
    http: HttpClient,
    server: Url,
}

impl Asker {
    /// Nothing is asked yet.
    ///
    /// # Errors
    /// The system gives no HTTP client.
    pub fn new(server: Url, clock: &Clock) -> Result<Self, Failure> {
        let local = Hosts::of_server(&server).are_local();
        let route = if local { Route::Loopback } else { Route::Internet };
        let http = HttpClient::new(route, PATIENCE, clock.clone(), Traffic::default())
            .map_err(|error| Failure::new(Exit::Failed, error).coded("http-setup"))?;
        Ok(Self { http, server })
    }

    /// Whom it asks.
    pub fn server(&self) -> &Url {
        &self.server
    }

    /// Asks for what lies at `path`; the answer may have `largest` bytes.
    pub async fn ask(&self, path: &str, query: Option<&str>, largest: usize) -> Asked {
        let mut url = self.server.clone();
        url.set_path(&format!("{}{path}", self.server.path().trim_end_matches('/')));
        url.set_query(query);
        let request = match self.http.requests().get(url).build() {
            Ok(request) => request,
            Err(error) => return Asked::Silent(error.without_url().to_string()),
        };
        match self.http.exchange(request, largest, PATIENCE).await {
            Ok(answer) if answer.status.is_success() => Asked::Told(answer.body),
            Ok(answer) if answer.status.is_server_error() => {
                Asked::Silent(answer.status.to_string())
            }
            Ok(_) | Err(ExchangeError::TooLarge(_)) => Asked::NotPublished,
            Err(error) => Asked::Silent(error.to_string()),
        }
    }
}
