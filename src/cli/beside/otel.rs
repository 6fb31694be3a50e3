//! Measurements for an OpenTelemetry collector that the user named: OTLP as JSON over HTTP, at the
//! start, every minute and at the end. Without an address there is none of this.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_http::{Bytes, HttpError, Request, Response};
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, Protocol, RetryPolicy, WithExportConfig as _,
    WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use tokio::sync::watch;
use url::{Host, Url};

use super::Running;
use crate::clock::Clock;
use crate::config::settings::{Key, Settings};
use crate::control::Control;
use crate::miner::{MinerSnapshot, Work};
use crate::network::{HttpClient, Route, Traffic};

/// Between two reports.
const EVERY: Duration = Duration::from_secs(60);
/// Between two looks at the states.
const LOOK: Duration = Duration::from_secs(1);
/// The same while somebody is told: a small epoch's phases are over in less than a second.
const CLOSE_LOOK: Duration = Duration::from_millis(100);
/// So long a collector may take; the library's own pause is never reached.
const LIMIT: Duration = Duration::from_secs(10);
/// The library has a timer of its own, which is not ours: it never comes to its turn.
const NEVER: Duration = Duration::from_secs(365 * 86_400);
/// What is sent in the last moment has so long.
const FAREWELL: Duration = Duration::from_secs(2);
/// The most of an answer that is read.
const MOST_ANSWER: usize = 64 << 10;

/// Seconds in each state, by miner and word.
type Spent = Arc<Mutex<BTreeMap<(String, &'static str), f64>>>;

/// Reports until `ending` turns true.
pub(super) async fn report(running: Running, mut ending: watch::Receiver<bool>) {
    let mut settings = running.settings.subscribe();
    let spent = Spent::default();
    let mut sender = Sender::of(&running, &spent);
    let mut last = running.clock.now();
    let mut reported = None;
    let mut failing = false;
    loop {
        let now = running.clock.now();
        note_states(&running.control, now.since(last).as_secs_f64(), &spent);
        last = now;
        if let Some(sender) = &sender
            && reported.is_none_or(|at| now.since(at) >= EVERY)
        {
            reported = Some(now);
            match (sender.flush().await, failing) {
                (Ok(()), true) => {
                    tracing::info!("the OpenTelemetry collector takes measurements again");
                    failing = false;
                }
                (Err(error), false) => {
                    tracing::warn!(
                        "the OpenTelemetry collector takes no measurements ({error}); it is tried \
                         every minute"
                    );
                    failing = true;
                }
                _ => {}
            }
        }
        tokio::select! {
            () = running.clock.sleep(if sender.is_some() { CLOSE_LOOK } else { LOOK }) => {}
            Ok(()) = settings.changed() => {
                if sender.as_ref().map(|sender| &sender.address) != address(&running.settings.now()).as_ref() {
                    sender = Sender::of(&running, &spent);
                    reported = None;
                }
            }
            () = super::until_true(&mut ending) => break,
        }
    }
    if let Some(sender) = sender {
        let _ = running.clock.timeout(FAREWELL, sender.finish()).await;
    }
}

/// The collector of the settings.
fn address(settings: &Settings) -> Option<Url> {
    // One that cannot be read was complained about when the settings were read.
    settings.text(Key::OtelEndpoint)?.value.trim().parse().ok()
}

/// Adds the seconds since the last look to the state that each miner is in.
fn note_states(control: &Control, seconds: f64, spent: &Spent) {
    let mut spent = spent.lock().unwrap_or_else(PoisonError::into_inner);
    for miner in control.miners.iter() {
        let miner = miner.borrow();
        let place = (miner.name.clone(), miner.status.state.word());
        *spent.entry(place).or_default() += seconds;
    }
}

/// What measures and sends.
struct Sender {
    address: Url,
    provider: SdkMeterProvider,
}

impl Sender {
    fn of(running: &Running, spent: &Spent) -> Option<Self> {
        let address = address(&running.settings.now())?;
        match Self::start(&address, running, spent) {
            Ok(provider) => Some(Self { address, provider }),
            Err(error) => {
                tracing::warn!("no measurements are sent: {}", hidden(&address, &error));
                None
            }
        }
    }

    fn start(address: &Url, running: &Running, spent: &Spent) -> Result<SdkMeterProvider, String> {
        let said = |error: ExporterBuildError| error.to_string();
        let wire = Wire::new(address, &running.clock)?;
        let exporter = MetricExporter::builder()
            .with_http()
            .with_http_client(wire)
            .with_retry_policy(RetryPolicy::default().with_max_retries(0))
            .with_endpoint(format!("{}/v1/metrics", address.as_str().trim_end_matches('/')))
            .with_protocol(Protocol::HttpJson)
            .with_timeout(LIMIT)
            .build()
            .map_err(said)?;
        let reader = PeriodicReader::builder(exporter).with_interval(NEVER).build();
        let resource = Resource::builder_empty()
            .with_service_name("hearth")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider =
            SdkMeterProvider::builder().with_resource(resource).with_reader(reader).build();
        measure(&provider, &running.control, spent);
        Ok(provider)
    }

    /// Measures and sends now.
    async fn flush(&self) -> Result<(), String> {
        let provider = self.provider.clone();
        let flushed = tokio::task::spawn_blocking(move || provider.force_flush()).await;
        let flushed = flushed.map_err(|error| error.to_string())?;
        flushed.map_err(|error| hidden(&self.address, &error))
    }

    /// Once more, and never again.
    async fn finish(self) {
        let Self { address, provider } = self;
        let ended = tokio::task::spawn_blocking(move || provider.shutdown());
        if let Ok(Err(error)) = ended.await {
            tracing::debug!("the last measurements were not sent: {}", hidden(&address, &error));
        }
    }
}

/// An error without what it may repeat of the address.
fn hidden(address: &Url, error: &impl ToString) -> String {
    let mut words = error.to_string().replace(address.as_str(), "its address");
    if let Some(host) = address.host_str() {
        words = words.replace(host, "its host");
    }
    words
}

/// Reads one number of a miner, where there is one.
type Read = fn(&MinerSnapshot) -> Option<f64>;

/// What is measured: work, queues and states of each miner, as the dashboard shows them.
fn measure(provider: &SdkMeterProvider, control: &Control, spent: &Spent) {
    let meter = provider.meter("hearth");
    let counters: [(&'static str, fn(&Work) -> u64); 7] = [
        ("hearth.forwards", |work| work.forwards),
        ("hearth.backwards", |work| work.backwards),
        ("hearth.optimizer_steps", |work| work.optimizer_steps),
        ("hearth.partitions_merged", |work| work.partitions_merged),
        ("hearth.tokens", |work| work.tokens),
        ("hearth.bytes_sent", |work| work.bytes_sent),
        ("hearth.bytes_received", |work| work.bytes_received),
    ];
    for (name, count) in counters {
        let miners = control.miners.clone();
        meter
            .u64_observable_counter(name)
            .with_callback(move |observer| {
                for miner in miners.iter() {
                    let miner = miner.borrow();
                    observer.observe(count(&miner.work), &[of(&miner.name)]);
                }
            })
            .build();
    }
    #[allow(clippy::cast_precision_loss)]
    let gauges: [(&'static str, Read); 6] = [
        ("hearth.forward_queue", |miner| Some(miner.forward_queue as f64)),
        ("hearth.backward_queue", |miner| Some(miner.backward_queue as f64)),
        ("hearth.cache", |miner| Some(miner.cache as f64)),
        ("hearth.epoch", |miner| Some(miner.epoch as f64)),
        ("hearth.tokens_per_second", |miner| Some(miner.tokens_per_second[1])),
        ("hearth.loss", |miner| miner.losses.last().copied()),
    ];
    for (name, read) in gauges {
        let miners = control.miners.clone();
        meter
            .f64_observable_gauge(name)
            .with_callback(move |observer| {
                for miner in miners.iter() {
                    let miner = miner.borrow();
                    if let Some(value) = read(&miner) {
                        observer.observe(value, &[of(&miner.name)]);
                    }
                }
            })
            .build();
    }
    let spent = Arc::clone(spent);
    meter
        .f64_observable_counter("hearth.state_seconds")
        .with_unit("s")
        .with_callback(move |observer| {
            let spent = spent.lock().unwrap_or_else(PoisonError::into_inner);
            for ((miner, state), seconds) in spent.iter() {
                observer.observe(*seconds, &[of(miner), KeyValue::new("state", *state)]);
            }
        })
        .build();
}

fn of(miner: &str) -> KeyValue {
    KeyValue::new("miner", miner.to_owned())
}

/// Our HTTP client for the library, which calls it from a thread of its own.
#[derive(Debug)]
struct Wire {
    client: HttpClient,
    runtime: tokio::runtime::Handle,
}

impl Wire {
    fn new(address: &Url, clock: &Clock) -> Result<Self, String> {
        let local = match address.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            None => false,
        };
        let route =
            if local && address.scheme() == "http" { Route::Loopback } else { Route::Internet };
        let client = HttpClient::new(route, LIMIT, clock.clone(), Traffic::default())
            .map_err(|error| error.to_string())?;
        Ok(Self { client, runtime: tokio::runtime::Handle::current() })
    }
}

type Answered<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'a>>;

impl opentelemetry_http::HttpClient for Wire {
    fn send_bytes<'life0, 'async_trait>(
        &'life0 self,
        request: Request<Bytes>,
    ) -> Answered<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        let client = self.client.clone();
        let sent = self.runtime.spawn(async move {
            let (parts, body) = request.into_parts();
            let request = client
                .requests()
                .request(parts.method, parts.uri.to_string())
                .headers(parts.headers)
                .body(body)
                .build()
                .map_err(reqwest::Error::without_url)?;
            let answer = client.exchange(request, MOST_ANSWER, LIMIT).await?;
            let mut response = Response::new(Bytes::from(answer.body));
            *response.status_mut() = answer.status;
            Ok(response)
        });
        Box::pin(async move { sent.await.map_err(|error| Box::new(error) as HttpError)? })
    }
}
