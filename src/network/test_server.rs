//! A real HTTP server on loopback for this module's tests: any router, or one that records what it
//! is asked and answers by a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};

use crate::clock::{Clock, Entropy};
use crate::config::Constants;
use crate::network::{HttpClient, Orchestrator, Route, Traffic};
use crate::wallet::HotkeyPair;

/// Serves `router` for the rest of the test; gives the base URL without a trailing slash.
pub(crate) async fn start(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

/// A client for servers on this machine.
pub(crate) fn client() -> HttpClient {
    let (clock, traffic) = (Clock::system(), Traffic::default());
    HttpClient::new(Route::Loopback, Duration::from_secs(5), clock, traffic).unwrap()
}

/// The orchestrator at `base`, as a key of its own, with a short pause between attempts.
pub(crate) fn orchestrator(base: &str) -> Orchestrator {
    let mut constants = Constants::practice();
    constants.http.failure_pause = Duration::from_millis(20);
    let hotkey = Arc::new(HotkeyPair::generate(&mut Entropy::seeded(1, "hotkey")));
    let entropy = Entropy::seeded(2, "requests");
    Orchestrator::new(client(), base.parse().unwrap(), hotkey, &constants, Clock::system(), entropy)
}

/// One request as the server saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) uri: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Seen {
    /// A header's text; empty if it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A server that answers by a script; when the script is over, with its last answer.
#[derive(Clone)]
pub(crate) struct Scripted {
    pub(crate) base: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Scripted {
    pub(crate) async fn start(answers: &[(u16, &str)]) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let script: VecDeque<(u16, String)> =
            answers.iter().map(|(status, body)| (*status, (*body).to_owned())).collect();
        let script = Arc::new(Mutex::new(script));
        let record = Arc::clone(&seen);
        let router = Router::new().fallback(
            move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                record.lock().unwrap().push(Seen { method, uri: uri.to_string(), headers, body });
                let mut script = script.lock().unwrap();
                let (status, text) = script.front().unwrap().clone();
                if script.len() > 1 {
                    script.pop_front();
                }
                async move { (StatusCode::from_u16(status).unwrap(), text) }
            },
        );
        Self { base: start(router).await, seen }
    }

    /// Everything asked so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}
