//! The channels that the settings name, and sending one alert through one of them.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use url::{Host, Url};

use super::{Alert, Kind, desktop};
use crate::clock::Clock;
use crate::config::settings::{Key, Settings, SettingsError};
use crate::config::units;
use crate::network::{HttpClient, Route, Traffic};

/// So long a channel may take.
const LIMIT: Duration = Duration::from_secs(15);
/// The most of an answer that is read.
const MOST_ANSWER: usize = 64 << 10;

/// One way to tell it.
#[derive(Clone, PartialEq, Eq)]
pub enum Channel {
    /// A notification on this desktop.
    Desktop,
    /// JSON to an address.
    Webhook(Url),
    /// A topic of an ntfy server.
    Ntfy(Url),
    /// A push monitor of Uptime Kuma.
    Kuma(Url),
    /// A program.
    Program(Vec<String>),
}

impl std::fmt::Debug for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Addresses and arguments hold secrets.
        f.write_str(self.name())
    }
}

/// All of what the settings say of alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Channels {
    /// The ways.
    pub all: Vec<Channel>,
    /// What about.
    pub on: Vec<Kind>,
    /// At most one about the same in this time.
    pub every: Duration,
}

/// Settings of alerts that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ChannelsError {
    /// One of them.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

impl Channels {
    /// Those of the settings.
    ///
    /// # Errors
    /// The first setting that cannot be read.
    pub fn of(settings: &Settings) -> Result<Self, ChannelsError> {
        let mut all = Vec::new();
        if settings.is_on(Key::AlertDesktop)? {
            all.push(Channel::Desktop);
        }
        for (key, channel) in [
            (Key::AlertWebhook, Channel::Webhook as fn(Url) -> Channel),
            (Key::AlertNtfy, Channel::Ntfy),
            (Key::AlertKuma, Channel::Kuma),
        ] {
            if let Some(text) = settings.text(key) {
                let url: Url = text
                    .value
                    .trim()
                    .parse()
                    .map_err(|_| settings.refuse(key, "that is no web address"))?;
                all.push(channel(url));
            }
        }
        if let Some(words) = settings.list(Key::AlertCommand)?.filter(|words| !words.is_empty()) {
            all.push(Channel::Program(words));
        }
        let default = Key::AlertOn.default_words();
        let words = settings.list(Key::AlertOn)?;
        let words = words.or_else(|| serde_json::from_str(default).ok()).unwrap_or_default();
        let mut on = Vec::new();
        for word in &words {
            let unknown =
                || settings.refuse(Key::AlertOn, format!("{word:?} is none of the words"));
            on.push(Kind::of_word(word).ok_or_else(unknown)?);
        }
        let every = settings.text(Key::AlertEvery).map(|text| text.value.as_str());
        let every = units::span(every.unwrap_or(Key::AlertEvery.default_words()))
            .map_err(|error| settings.refuse(Key::AlertEvery, error))?;
        Ok(Self { all, on, every })
    }
}

/// Why a channel did not take it. Never has the address or an argument in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SendError {
    /// No answer, or no way there.
    #[error("{0}")]
    Unreachable(String),
    /// An answer that is no yes.
    #[error("the server answered {0}")]
    Refused(u16),
    /// The program or the desktop.
    #[error("{0}")]
    Local(String),
}

impl Channel {
    /// In a word or two.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Desktop => "desktop",
            Self::Webhook(_) => "webhook",
            Self::Ntfy(_) => "ntfy",
            Self::Kuma(_) => "kuma",
            Self::Program(_) => "command",
        }
    }

    /// Sends one alert, once.
    pub(super) async fn send(&self, alert: &Alert, clock: &Clock) -> Result<(), SendError> {
        match self {
            Self::Desktop => desktop::show(alert, clock).await.map_err(SendError::Local),
            Self::Webhook(url) => post_json(url, alert, clock).await,
            Self::Ntfy(url) => publish(url, alert, clock).await,
            Self::Kuma(url) => {
                let up = alert.test || alert.kind == Kind::Recovered;
                push(url, if up { "up" } else { "down" }, &alert.title, None, clock).await
            }
            Self::Program(words) => run(words, alert, clock).await,
        }
    }
}

/// To this machine without proxies, elsewhere as the environment says.
fn client(url: &Url, clock: &Clock) -> Result<HttpClient, SendError> {
    let local = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    let route = if local && url.scheme() == "http" { Route::Loopback } else { Route::Internet };
    HttpClient::new(route, LIMIT, clock.clone(), Traffic::default())
        .map_err(|error| SendError::Unreachable(error.to_string()))
}

async fn exchange(
    url: &Url,
    clock: &Clock,
    build: impl FnOnce(&reqwest::Client) -> reqwest::RequestBuilder,
) -> Result<(), SendError> {
    let client = client(url, clock)?;
    let request = build(client.requests())
        .build()
        .map_err(|error| SendError::Unreachable(hidden(url, &error.without_url().to_string())))?;
    let answer = client
        .exchange(request, MOST_ANSWER, LIMIT)
        .await
        .map_err(|error| SendError::Unreachable(hidden(url, &error.to_string())))?;
    match answer.status.is_success() {
        true => Ok(()),
        false => Err(SendError::Refused(answer.status.as_u16())),
    }
}

/// The library's words without what it may repeat of the address.
fn hidden(url: &Url, words: &str) -> String {
    let mut words = words.replace(url.as_str(), "its address");
    if let Some(host) = url.host_str() {
        words = words.replace(host, "its host");
    }
    words
}

async fn post_json(url: &Url, alert: &Alert, clock: &Clock) -> Result<(), SendError> {
    let body = document(alert);
    exchange(url, clock, |client| {
        client.post(url.clone()).header("content-type", "application/json").body(body)
    })
    .await
}

/// The alert as JSON; `text` and `content` are what chat programs show.
fn document(alert: &Alert) -> String {
    let mut fields = serde_json::to_value(alert).unwrap_or_default();
    if let Some(fields) = fields.as_object_mut() {
        let line = format!("{}: {}", alert.title, alert.full_text());
        fields.insert("app".into(), "hearth".into());
        fields.insert("text".into(), line.clone().into());
        fields.insert("content".into(), line.into());
    }
    fields.to_string()
}

async fn publish(url: &Url, alert: &Alert, clock: &Clock) -> Result<(), SendError> {
    let (priority, tag) = match alert.kind {
        kind if kind.is_urgent() && !alert.test => ("high", "warning"),
        Kind::Recovered => ("default", "white_check_mark"),
        _ => ("default", "information_source"),
    };
    let title: String = alert
        .title
        .chars()
        .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' })
        .collect();
    exchange(url, clock, |client| {
        client
            .post(url.clone())
            .header("title", title)
            .header("priority", priority)
            .header("tags", format!("{tag},{}", alert.kind.word()))
            .body(alert.full_text())
    })
    .await
}

/// Tells a push monitor how it is.
pub(super) async fn push(
    url: &Url,
    status: &str,
    message: &str,
    ping: Option<f64>,
    clock: &Clock,
) -> Result<(), SendError> {
    let mut full = url.clone();
    // The address that Uptime Kuma shows for copying has these already.
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| !matches!(name.as_ref(), "status" | "msg" | "ping"))
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    full.query_pairs_mut()
        .clear()
        .extend_pairs(kept)
        .append_pair("status", status)
        .append_pair("msg", message)
        .append_pair("ping", &ping.map_or_else(String::new, |ping| format!("{ping:.0}")));
    exchange(url, clock, |client| client.get(full)).await
}

/// Runs the program: the alert as JSON on its input, its parts as variables. No shell is between.
async fn run(words: &[String], alert: &Alert, clock: &Clock) -> Result<(), SendError> {
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let local =
        |what: &str, error: &std::io::Error| SendError::Local(format!("{what} ({})", error.kind()));
    let mut child = Command::new(program)
        .args(arguments)
        .env("HEARTH_ALERT_EVENT", alert.kind.word())
        .env("HEARTH_ALERT_MINER", alert.miner.as_deref().unwrap_or_default())
        .env("HEARTH_ALERT_TITLE", &alert.title)
        .env("HEARTH_ALERT_TEXT", alert.full_text())
        .env("HEARTH_ALERT_CODE", &alert.code)
        .env("HEARTH_ALERT_TEST", if alert.test { "1" } else { "" })
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| local("the program cannot be started", &error))?;
    let input = child.stdin.take();
    let ended = clock.timeout(LIMIT, async {
        if let Some(mut input) = input {
            // A program that does not read its input is no worse for it.
            let _ = input.write_all(document(alert).as_bytes()).await;
        }
        child.wait().await
    });
    match ended.await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(SendError::Local(format!("the program ended with {status}"))),
        Ok(Err(error)) => Err(local("the program was lost", &error)),
        Err(_) => {
            Err(SendError::Local(format!("the program took more than {} s", LIMIT.as_secs())))
        }
    }
}
