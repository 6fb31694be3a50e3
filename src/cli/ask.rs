//! Asks a server what it publishes to anybody: one GET, no key, bounded in size and time.

use std::time::Duration;

use reqwest::StatusCode;
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
    /// It answers with this status instead: there is no such thing, or not for anybody.
    Refused(StatusCode),
    /// It answers with more than anybody would publish there.
    TooLarge,
    /// It does not answer; why, as a clause.
    Silent(String),
}

impl Asked {
    /// The same of a server's own word: one that fails counts as silent.
    fn of_server(self) -> Self {
        match self {
            Self::Refused(status) if status.is_server_error() => Self::Silent(status.to_string()),
            other => other,
        }
    }
}

/// Asks for what lies at `url`; the answer may have `largest` bytes.
pub async fn ask(url: &Url, largest: usize, clock: &Clock) -> Asked {
    match client(url, clock) {
        Ok(http) => get(&http, url.clone(), largest).await,
        Err(why) => Asked::Silent(why),
    }
}

fn client(url: &Url, clock: &Clock) -> Result<HttpClient, String> {
    let local = Hosts::of_server(url).are_local();
    let route = if local { Route::Loopback } else { Route::Internet };
    HttpClient::new(route, PATIENCE, clock.clone(), Traffic::default())
        .map_err(|error| error.to_string())
}

async fn get(http: &HttpClient, url: Url, largest: usize) -> Asked {
    let request = match http.requests().get(url).build() {
        Ok(request) => request,
        Err(error) => return Asked::Silent(error.without_url().to_string()),
    };
    match http.exchange(request, largest, PATIENCE).await {
        Ok(answer) if answer.status.is_success() => Asked::Told(answer.body),
        Ok(answer) => Asked::Refused(answer.status),
        Err(ExchangeError::TooLarge(_)) => Asked::TooLarge,
        Err(error) => Asked::Silent(error.to_string()),
    }
}

/// Asks one server again and again.
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
        let http = client(&server, clock)
            .map_err(|why| Failure::new(Exit::Failed, why).coded("http-setup"))?;
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
        get(&self.http, url, largest).await.of_server()
    }
}
