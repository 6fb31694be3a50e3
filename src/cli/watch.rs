//! `hearth watch ADDRESS`: the public part of a network, without a key, on a screen or in lines. Only that
//! address is asked, and only for what it publishes.

mod print;
mod screen;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use clap::Args;
use url::Url;

use self::print::Printer;
use super::ask::{Asked, Asker};
use super::run::{self as mining, RunArguments};
use super::{Exit, Failure, signals};
use crate::clock::Clock;
use crate::config::Constants;
use crate::config::folders::Folders;
use crate::config::network::NetworkChoice;
use crate::swarm::public::{PATH, PublicNetwork, VERSION};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(2);
/// The largest answer: a swarm of thousands of miners.
const LARGEST: usize = 4 << 20;

/// What a network publishes of itself: stages, miners, phases, progress. No key is needed.
#[derive(Clone, Debug, Args)]
pub struct WatchArguments {
    /// A swarm's address, such as http://127.0.0.1:8000, or mainnet or testnet
    #[arg(value_name = "ADDRESS")]
    pub address: String,
    /// One JSON object a line, each time that something has changed
    #[arg(long, conflicts_with = "plain")]
    pub json: bool,
    /// Lines of plain text instead of a screen
    #[arg(long)]
    pub plain: bool,
    /// Look once, then end
    #[arg(long)]
    pub once: bool,
}

/// Why there is nothing to see.
#[derive(Debug, thiserror::Error)]
enum WatchError {
    /// It answers, but not with that.
    #[error(
        "{0} publishes nothing of itself: a swarm of Hearth does at {PATH}, other networks may not"
    )]
    NotPublished(Url),
    /// It answers in a newer form.
    #[error("{0} publishes in a form that this version does not know: update Hearth")]
    Newer(Url),
    /// It does not answer.
    #[error("{url} does not answer ({why}): check the address, and that the swarm runs")]
    Silent {
        /// Who.
        url: Url,
        /// In plain words.
        why: String,
    },
}

impl WatchError {
    /// Stable code.
    fn code(&self) -> &'static str {
        match self {
            Self::NotPublished(_) => "watch-not-published",
            Self::Newer(_) => "watch-newer",
            Self::Silent { .. } => "watch-silent",
        }
    }
}

/// Runs the command.
pub fn run(arguments: &WatchArguments) -> Result<Exit, Failure> {
    let server = server(&arguments.address)?;
    let runtime = super::runtime()?;
    let clock = Clock::system();
    let stopped = signals::watch();
    let on_screen = !(arguments.json || arguments.plain || arguments.once)
        && io::stdout().is_terminal()
        && io::stdin().is_terminal();
    if on_screen {
        return screen::run(&runtime, server, &clock, stopped);
    }
    let mut printer = Printer::new(arguments.json, &server);
    runtime.block_on(async {
        let mut stopped = stopped;
        let watcher = Watcher::new(server, &clock)?;
        tokio::select! {
            ended = watch(&watcher, &mut printer, arguments.once, &clock) => ended,
            _ = stopped.wait_for(|stopped| *stopped) => Ok(Exit::Done),
        }
    })
}

/// Looks again and again. A first look that fails ends it; a later one is said, and tried again.
async fn watch(
    watcher: &Watcher,
    printer: &mut Printer,
    once: bool,
    clock: &Clock,
) -> Result<Exit, Failure> {
    let mut seen = false;
    loop {
        let written = match watcher.look().await {
            Ok(network) => {
                seen = true;
                printer.show(&network)
            }
            Err(error) if !seen || once => {
                let (code, exit) = (error.code(), Exit::Failed);
                return Err(Failure::new(exit, error).coded(code));
            }
            Err(error) => printer.trouble(error.code(), &error.to_string()),
        };
        if written.is_err() || once {
            return super::exit::written(written);
        }
        clock.sleep(LOOK).await;
    }
}

/// The server that an address or a network's name means.
fn server(address: &str) -> Result<Url, Failure> {
    let choice: NetworkChoice =
        address.parse().map_err(|error| Failure::new(Exit::Usage, error))?;
    if choice == NetworkChoice::Practice {
        let line = "practice is a swarm inside its own process: give its address, as the dashboard \
                    of `hearth demo` shows it";
        return Err(Failure::new(Exit::Usage, line));
    }
    let folders = Folders::find().map_err(|error| Failure::of_folder(&error))?;
    let settings = mining::settings(&RunArguments::default(), &folders)?;
    let constants =
        settings.constants(Constants::live()).map_err(|error| Failure::of_settings(&error))?;
    Ok(mining::hosts(&choice, &constants)?.orchestrator)
}

/// Asks one server.
struct Watcher {
    asker: Asker,
}

impl Watcher {
    fn new(server: Url, clock: &Clock) -> Result<Self, Failure> {
        Asker::new(server, clock).map(|asker| Self { asker })
    }

    async fn look(&self) -> Result<PublicNetwork, WatchError> {
        let server = || self.asker.server().clone();
        let body = match self.asker.ask(PATH, None, LARGEST).await {
            Asked::Told(body) => body,
            Asked::Refused(_) | Asked::TooLarge => return Err(WatchError::NotPublished(server())),
            Asked::Silent(why) => return Err(WatchError::Silent { url: server(), why }),
        };
        match serde_json::from_slice::<PublicNetwork>(&body) {
            Ok(network) if network.version == VERSION => Ok(network),
            Ok(_) => Err(WatchError::Newer(server())),
            Err(_) => Err(WatchError::NotPublished(server())),
        }
    }
}
