//! `hearth earnings chain`: one look at the chain, in lines or as JSON. What was read is kept, so that a
//! node that does not answer leaves the last known values, with their age.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::own::own_hotkey;
use crate::cli::{Exit, Failure, exit, signals};
use crate::clock::Clock;
use crate::config::Constants;
use crate::config::chain::ChainConstants;
use crate::config::folders::{Folders, write_privately};
use crate::config::network::NetworkChoice;
use crate::config::settings::{Key, Settings};
use crate::earnings::chain::{
    Account, Asked, ChainError, Endpoint, Known, Look, Place, Reader, Watch,
};

/// Readings that are kept, the newest of each pair of addresses.
const KEPT: usize = 16;
/// In the cache folder.
const FILE: &str = "chain.json";

/// What the chain says of a hotkey and an address. Nothing is signed; the node is told both addresses.
#[derive(Clone, Debug, Default, Args)]
pub struct ChainArguments {
    /// A node of the chain, such as ws://127.0.0.1:9944; else the setting chain_endpoint
    #[arg(long, value_name = "URL")]
    pub endpoint: Option<String>,
    /// The hotkey to ask about, as its address; else this machine's own
    #[arg(long, value_name = "ADDRESS")]
    pub hotkey: Option<String>,
    /// The address that is paid; else the setting payout_address
    #[arg(long, value_name = "ADDRESS")]
    pub coldkey: Option<String>,
    /// mainnet or testnet; else the setting network
    #[arg(long, value_name = "NETWORK")]
    pub network: Option<String>,
    /// Settings file instead of the one in the configuration folder
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// One JSON object on one line, nothing else on standard output
    #[arg(long)]
    pub json: bool,
}

/// Runs the command.
pub fn run(arguments: &ChainArguments) -> Result<Exit, Failure> {
    let folders = Folders::find().map_err(|error| Failure::of_folder(&error))?;
    let flags = vec![
        (Key::ChainEndpoint, arguments.endpoint.clone()),
        (Key::Network, arguments.network.clone()),
        (Key::PayoutAddress, arguments.coldkey.clone()),
    ];
    let read = |name: &str| std::env::var(name).ok();
    let settings = Settings::read(arguments.config.as_deref(), &folders.config, read, flags)
        .map_err(|error| Failure::of_settings(&error))?;
    let clock = Clock::system();
    let hotkey = match &arguments.hotkey {
        Some(text) => Some(text.parse::<Account>().map_err(|error| {
            Failure::new(Exit::Usage, format!("the hotkey is {error}")).coded("chain-address")
        })?),
        None => own_hotkey(&settings, &folders, &clock),
    };
    let (mut watch, constants) = watch(&settings, hotkey, &folders, &clock)?;
    let runtime = crate::cli::runtime()?;
    let mut stopped = signals::watch();
    let look = runtime.block_on(async {
        tokio::select! {
            look = watch.look(clock.unix()) => Some(look),
            _ = stopped.wait_for(|stopped| *stopped) => None,
        }
    });
    let Some(look) = look else { return Ok(Exit::Done) };
    if let Some(known) = &look.known {
        keep(&folders, known);
    }
    let mut out = io::stdout().lock();
    let printed = match arguments.json {
        true => as_json(&look, clock.unix(), &mut out),
        false => in_lines(&look, &constants, clock.unix(), &mut out),
    };
    exit::written(printed)?;
    match look.trouble {
        Some(error) => Err(failure(&error)),
        None => Ok(Exit::Done),
    }
}

/// A watch of the settings' chain, with what was known when it was last looked at.
pub(crate) fn watch(
    settings: &Settings,
    hotkey: Option<Account>,
    folders: &Folders,
    clock: &Clock,
) -> Result<(Watch, ChainConstants), Failure> {
    watch_within(settings, hotkey, folders, clock, Duration::MAX)
}

/// The same for somebody who waits no longer than `limit` for a look.
pub(crate) fn watch_within(
    settings: &Settings,
    hotkey: Option<Account>,
    folders: &Folders,
    clock: &Clock,
    limit: Duration,
) -> Result<(Watch, ChainConstants), Failure> {
    let of_settings = |error| Failure::of_settings(&error);
    let endpoint = settings.text(Key::ChainEndpoint).map(|text| text.value.clone());
    let endpoint: Endpoint =
        endpoint.unwrap_or_default().parse().map_err(|error: ChainError| failure(&error))?;
    let mut constants = settings.constants(Constants::live()).map_err(of_settings)?.chain;
    constants.limit = constants.limit.min(limit);
    let network = settings.get::<NetworkChoice>(Key::Network).map_err(of_settings)?;
    let place = match network.map(|network| network.value) {
        Some(NetworkChoice::Practice) => {
            let line = "a practice swarm has no chain: name a network, such as --network mainnet";
            return Err(Failure::new(Exit::Usage, line).coded("chain-practice"));
        }
        Some(NetworkChoice::Testnet) => &constants.testnet,
        Some(NetworkChoice::Mainnet | NetworkChoice::Server(_)) | None => &constants.mainnet,
    };
    let place = Place::of(place).map_err(|error| {
        let line = format!("constants.chain names a chain wrongly: {error}");
        Failure::new(Exit::Configuration, line).coded("config-broken")
    })?;
    let coldkey = settings.get::<Account>(Key::PayoutAddress).map_err(of_settings)?;
    let asked = Asked { hotkey, coldkey: coldkey.map(|account| account.value) };
    let reader = Reader::new(endpoint, place, &constants, clock.clone());
    let known = kept(folders)
        .into_iter()
        .find(|known| known.reading.asked == asked && known.reading.place == place);
    Ok((Watch::new(reader, asked, known, &constants), constants))
}

fn failure(error: &ChainError) -> Failure {
    let exit = if error.may_pass() { Exit::Failed } else { Exit::Configuration };
    Failure::new(exit, error).coded(error.code())
}

/// What was read before. A file that cannot be read is as good as none: it can be read again.
fn kept(folders: &Folders) -> Vec<Known> {
    let text = std::fs::read(folders.cache.join(FILE)).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Keeps a reading. Without a place to keep it, the next look has nothing to fall back on; that is no
/// reason to end this one.
pub(crate) fn keep(folders: &Folders, known: &Known) {
    let mut all = kept(folders);
    let of = |known: &Known| (known.reading.asked, known.reading.place);
    all.retain(|other| of(other) != of(known));
    all.insert(0, known.clone());
    all.truncate(KEPT);
    if let Ok(text) = serde_json::to_vec(&all) {
        let written = write_privately(&folders.cache.join(FILE), &text);
        if let Err(error) = written {
            tracing::warn!("what the chain said could not be kept: {error}");
        }
    }
}

fn as_json(look: &Look, now: Duration, out: &mut impl Write) -> io::Result<()> {
    let trouble = look.trouble.as_ref();
    let line = json!({
        "event": "chain",
        "reading": look.known.as_ref().map(|known| &known.reading),
        "age_seconds": look.known.as_ref().map(|known| known.age(now).as_secs()),
        "stale": look.known.as_ref().and_then(|known| known.stale.as_ref()),
        "trouble": trouble.map(|error| json!({ "code": error.code(), "words": error.to_string() })),
        "notes": look.notes,
        "movements": look.movements,
    });
    writeln!(out, "{line}")
}

fn in_lines(
    look: &Look,
    constants: &ChainConstants,
    now: Duration,
    out: &mut impl Write,
) -> io::Result<()> {
    for note in &look.notes {
        writeln!(out, "note: {}.", note.words())?;
    }
    let Some(known) = &look.known else { return Ok(()) };
    match known.stale {
        Some(_) => writeln!(
            out,
            "The last that is known of the chain, read {} ago: {}",
            Known::human(known.age(now)),
            known.reading.title()
        )?,
        None => writeln!(out, "The chain at {}", known.reading.title())?,
    }
    for row in known.reading.rows(constants.block_time) {
        writeln!(out, "  {:12} {}", row.label, row.words)?;
    }
    for movement in &look.movements {
        writeln!(out, "  {:12} {}", "since then", movement.words())?;
    }
    Ok(())
}
