//! `hearth earnings price`: what the price source that you named says now. Off until a source is named:
//! nobody is asked for a price whom you did not choose.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;
use url::Url;

use crate::cli::ask::{Asked, ask};
use crate::cli::{Exit, Failure, exit, signals};
use crate::clock::Clock;
use crate::config::folders::{Folders, write_privately};
use crate::config::settings::{Key, Settings, SettingsError};
use crate::earnings::chain::Known;
use crate::earnings::price::{PriceError, Quote, price_of};

/// The largest answer that is read.
const LARGEST: usize = 1 << 20;
/// In the cache folder.
const FILE: &str = "price.json";

/// What one TAO is worth in your currency, from the source that you named.
#[derive(Clone, Debug, Default, Args)]
pub struct PriceArguments {
    /// An https address that answers with JSON; else the setting price_source
    #[arg(long, value_name = "URL")]
    pub source: Option<String>,
    /// Where the number stands in the answer, such as /bittensor/usd; else price_field
    #[arg(long, value_name = "FIELD")]
    pub field: Option<String>,
    /// The currency's three letters; else price_currency
    #[arg(long, value_name = "CURRENCY")]
    pub currency: Option<String>,
    /// Settings file instead of the one in the configuration folder
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One JSON object on one line, nothing else on standard output
    #[arg(long)]
    pub json: bool,
}

/// Where prices come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source {
    url: Url,
    field: String,
    currency: String,
}

/// Why there is no price.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// Nobody named a source.
    #[error(
        "no price source is set, so nothing is shown in a currency: set price_source, price_field and \
         price_currency"
    )]
    Off,
    /// A part of it is missing.
    #[error("price_source is set, but {0} is not: `hearth config set {0} VALUE`")]
    Incomplete(&'static str),
    /// A setting cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// It does not answer.
    #[error("the price source {host} does not answer ({why}); the last price is kept")]
    Silent {
        /// Whom.
        host: String,
        /// In plain words.
        why: String,
    },
    /// It answers, but not with a price.
    #[error("the price source {host} answers with HTTP status {status}; the last price is kept")]
    Refused {
        /// Whom.
        host: String,
        /// The status.
        status: u16,
    },
    /// What it says is no price.
    #[error(transparent)]
    NoPrice(#[from] PriceError),
}

impl FetchError {
    /// Stable code.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Off => "price-off",
            Self::Incomplete(_) => "price-incomplete",
            Self::Settings(error) => error.code(),
            Self::Silent { .. } => "price-silent",
            Self::Refused { .. } => "price-refused",
            Self::NoPrice(error) => error.code(),
        }
    }
}

impl Source {
    /// As the settings have it.
    pub(crate) fn of(settings: &Settings) -> Result<Self, FetchError> {
        let Some(url) = settings.text(Key::PriceSource) else { return Err(FetchError::Off) };
        let read = |key: Key| -> Result<String, FetchError> {
            let text = settings.text(key).ok_or(FetchError::Incomplete(key.name()))?;
            key.read(&text.value).map_err(|why| settings.refuse(key, why))?;
            Ok(text.value.trim().to_owned())
        };
        let wrong = |why: &dyn std::fmt::Display| settings.refuse(Key::PriceSource, why);
        Key::PriceSource.read(&url.value).map_err(|why| wrong(&why))?;
        let url: Url = url.value.trim().parse().map_err(|error| wrong(&error))?;
        Ok(Self { url, field: read(Key::PriceField)?, currency: read(Key::PriceCurrency)? })
    }

    /// Who it is, without what may be a secret.
    fn host(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{host}{port}", self.url.scheme())
    }

    /// Asks once.
    pub(crate) async fn fetch(&self, clock: &Clock) -> Result<Quote, FetchError> {
        let host = || self.host();
        let body = match ask(&self.url, LARGEST, clock).await {
            Asked::Told(body) => body,
            Asked::Refused(status) => {
                let status = status.as_u16();
                return Err(FetchError::Refused { host: host(), status });
            }
            Asked::TooLarge => {
                let why = "its answer is larger than any price".to_owned();
                return Err(FetchError::Silent { host: host(), why });
            }
            Asked::Silent(why) => return Err(FetchError::Silent { host: host(), why }),
        };
        Ok(Quote {
            price: price_of(&body, &self.field)?,
            currency: self.currency.clone(),
            source: self.host(),
            at: clock.unix().as_secs(),
        })
    }

    /// The last price that this source gave, if it was kept.
    pub(crate) fn last(&self, folders: &Folders) -> Option<Quote> {
        let text = std::fs::read(folders.cache.join(FILE)).ok()?;
        let quote: Quote = serde_json::from_slice(&text).ok()?;
        (quote.currency == self.currency && quote.source == self.host()).then_some(quote)
    }
}

/// Keeps a price for a time when the source does not answer.
pub(crate) fn keep(folders: &Folders, quote: &Quote) {
    let Ok(text) = serde_json::to_vec(quote) else { return };
    if let Err(error) = write_privately(&folders.cache.join(FILE), &text) {
        tracing::warn!("the price could not be kept: {error}");
    }
}

/// Runs the command.
pub fn run(arguments: &PriceArguments) -> Result<Exit, Failure> {
    let folders = Folders::find().map_err(|error| Failure::of_folder(&error))?;
    let flags = vec![
        (Key::PriceSource, arguments.source.clone()),
        (Key::PriceField, arguments.field.clone()),
        (Key::PriceCurrency, arguments.currency.clone()),
    ];
    let read = |name: &str| std::env::var(name).ok();
    let settings = Settings::read(arguments.config.as_deref(), &folders.config, read, flags)
        .map_err(|error| Failure::of_settings(&error))?;
    let source = Source::of(&settings).map_err(|error| failure(&error))?;
    let clock = Clock::system();
    let runtime = crate::cli::runtime()?;
    let mut stopped = signals::watch();
    let fetched = runtime.block_on(async {
        tokio::select! {
            fetched = source.fetch(&clock) => Some(fetched),
            _ = stopped.wait_for(|stopped| *stopped) => None,
        }
    });
    let (quote, trouble) = match fetched {
        None => return Ok(Exit::Done),
        Some(Ok(quote)) => {
            keep(&folders, &quote);
            (Some(quote), None)
        }
        Some(Err(error)) => (source.last(&folders), Some(error)),
    };
    let printed = print(arguments.json, quote.as_ref(), trouble.as_ref(), clock.unix());
    exit::written(printed)?;
    trouble.map_or(Ok(Exit::Done), |error| Err(failure(&error)))
}

fn failure(error: &FetchError) -> Failure {
    let exit = match error {
        FetchError::Off | FetchError::Incomplete(_) | FetchError::Settings(_) => {
            Exit::Configuration
        }
        _ => Exit::Failed,
    };
    Failure::new(exit, error).coded(error.code())
}

fn print(
    json: bool,
    quote: Option<&Quote>,
    trouble: Option<&FetchError>,
    now: Duration,
) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let age = |quote: &Quote| now.saturating_sub(Duration::from_secs(quote.at));
    if json {
        let trouble =
            trouble.map(|error| json!({ "code": error.code(), "words": error.to_string() }));
        let line = json!({
            "event": "price",
            "quote": quote,
            "age_seconds": quote.map(|quote| age(quote).as_secs()),
            "trouble": trouble,
        });
        return writeln!(out, "{line}");
    }
    let Some(quote) = quote else { return Ok(()) };
    let when = match trouble {
        Some(_) => format!("read {} ago, the last that is known", Known::human(age(quote))),
        None => "now".to_owned(),
    };
    let (price, currency) = (quote.price.decimal(2), &quote.currency);
    writeln!(out, "1 TAO = {price} {currency} ({when}, from {})", quote.source)
}
