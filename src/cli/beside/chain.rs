//! What the chain and the price source say while a miner runs. Both are asked now and then, if the user
//! named them; what they say is kept for a time when they do not answer, and entered into the ledger.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Running;
use crate::cli::earnings::chain::{keep, watch};
use crate::cli::earnings::price::{self, FetchError, Source};
use crate::clock::Clock;
use crate::config::Constants;
use crate::config::folders::Folders;
use crate::config::network::NetworkChoice;
use crate::config::settings::{Key, Settings};
use crate::earnings::chain::{
    Account, ChainError, Holding, Look, Movement, Note, Reading, Registration, Watch,
};
use crate::earnings::ledger::{self, At, FILE_NAME, Ledger, LedgerError, PaidBy, Payment, Price};
use crate::earnings::{Rao, Unit};
use crate::telemetry::{Event, Events, Severity};

/// Between two tries to enter something into a ledger that is not there or cannot be written.
const AGAIN: Duration = Duration::from_secs(5);
/// Whoever mines begins the ledger; where nobody did after so many tries, it is begun here.
const TRIES: u32 = 6;
/// Of so many readings one is entered, beside those by which something moved: the ledger is kept for ever.
const ENTERED_OF: u32 = 6;
/// The most that waits to be entered; of more, the oldest goes.
const MOST_WAITING: usize = 256;

/// For as long as the run lasts.
pub(super) async fn follow(running: Running) {
    let Some(network) = network(&running) else { return };
    let hotkeys = running.control.miners.iter();
    let follower = Follower {
        network,
        hotkeys: hotkeys.filter_map(|miner| miner.borrow().hotkey.parse().ok()).collect(),
        settings: running.settings.now(),
        folders: running.folders.clone(),
        say: running.say.clone(),
        clock: running.clock.clone(),
    };
    follower.follow().await;
}

/// The network's name; none for a practice swarm, which is on no chain and pays nothing of worth.
fn network(running: &Running) -> Option<String> {
    let chosen = running.settings.now().get::<NetworkChoice>(Key::Network).ok()?;
    let chosen = chosen.map_or(NetworkChoice::Mainnet, |chosen| chosen.value);
    let practises = running.control.swarm.is_some() || chosen == NetworkChoice::Practice;
    (!practises).then(|| chosen.to_string())
}

/// Whoever follows the chain and the prices.
#[derive(Clone, Debug)]
struct Follower {
    network: String,
    /// The own miners'.
    hotkeys: Vec<Account>,
    settings: Arc<Settings>,
    folders: Folders,
    say: Events,
    clock: Clock,
}

/// What is to be entered into the ledger.
#[derive(Debug)]
enum Entry {
    /// A reading, and what moved since the one before.
    Chain { reading: Box<ledger::Reading>, moved: Vec<Movement>, network: String },
    /// A price.
    Price(Price),
}

impl Follower {
    async fn follow(&self) {
        let (enter, entries) = mpsc::channel(MOST_WAITING);
        let book = Book {
            file: self.folders.data.join(FILE_NAME),
            waiting: VecDeque::new(),
            ledger: None,
            tries: 0,
            clock: self.clock.clone(),
        };
        tokio::join!(self.chain(enter.clone()), self.price(enter), book.keep(entries));
    }

    fn watches(&self) -> Vec<Watch> {
        let mut watches = Vec::new();
        for hotkey in &self.hotkeys {
            match watch(&self.settings, Some(*hotkey), &self.folders, &self.clock) {
                Ok((watch, _)) => watches.push(watch),
                // Nobody named a node: nobody is asked, and that is no news.
                Err(failure) if failure.code == ChainError::NoEndpoint.code() => return Vec::new(),
                Err(failure) => {
                    tracing::warn!("the chain is not read: {failure}");
                    return Vec::new();
                }
            }
        }
        watches
    }

    async fn chain(&self, enter: mpsc::Sender<Entry>) {
        let mut watches = self.watches();
        let mut failing = false;
        let mut read = vec![0_u32; watches.len()];
        while !watches.is_empty() {
            let mut pause = Duration::MAX;
            for (index, watch) in watches.iter_mut().enumerate() {
                let before = watch.known().and_then(|known| known.reading.registration.known());
                let before = before.copied();
                let mut look = watch.look(self.clock.unix()).await;
                pause = pause.min(watch.pause());
                // What is held belongs to the address that all of them share: it is told once.
                if index > 0 {
                    look.movements.clear();
                }
                self.tell(&look, before);
                note_trouble(look.trouble.as_ref(), &mut failing);
                if let Some(known) = look.known.filter(|_| look.trouble.is_none()) {
                    keep(&self.folders, &known);
                    let due = read[index].is_multiple_of(ENTERED_OF);
                    read[index] = read[index].wrapping_add(1);
                    if !due && look.movements.is_empty() {
                        continue;
                    }
                    for entry in entries(&known.reading, look.movements, &self.network) {
                        send(&enter, entry);
                    }
                }
            }
            self.clock.sleep(pause).await;
        }
    }

    /// Says what somebody should know.
    fn tell(&self, look: &Look, before: Option<Registration>) {
        for note in &look.notes {
            let severity = match note {
                Note::Reorganised { .. } => Severity::Warning,
                Note::Runtime { .. } => Severity::Info,
            };
            let (code, what) = (note.code().to_owned(), note.words());
            self.say.emit(Event::Finding { severity, code, what, fix: String::new() });
        }
        let now = look.known.as_ref().and_then(|known| known.reading.registration.known());
        let lost = (before, now.copied());
        if let (Some(Registration::Registered { uid }), Some(Registration::NotRegistered)) = lost {
            self.say.emit(Event::Finding {
                severity: Severity::Warning,
                code: "chain-place-lost".to_owned(),
                what: format!("The hotkey is no longer registered: it had uid {uid}."),
                fix: "Join as one of a pool, or register it again; what that costs cannot be \
                      recovered."
                    .to_owned(),
            });
        }
    }

    async fn price(&self, enter: mpsc::Sender<Entry>) {
        let source = match Source::of(&self.settings) {
            Ok(source) => source,
            Err(FetchError::Off) => return,
            Err(error) => {
                tracing::warn!(code = error.code(), "no price is fetched: {error}");
                return;
            }
        };
        let constants = self.settings.constants(Constants::live()).unwrap_or_default().chain;
        let mut failing = false;
        loop {
            match source.fetch(&self.clock).await {
                Ok(quote) => {
                    price::keep(&self.folders, &quote);
                    let price = Price {
                        at: At::of_seconds(quote.at),
                        of: Unit::Tao,
                        currency: quote.currency.to_lowercase(),
                        price: quote.price,
                        source: quote.source,
                    };
                    send(&enter, Entry::Price(price));
                    failing = false;
                }
                Err(error) if !failing => {
                    tracing::warn!(code = error.code(), "{error}");
                    failing = true;
                }
                Err(_) => {}
            }
            self.clock.sleep(constants.every).await;
        }
    }
}

fn send(enter: &mpsc::Sender<Entry>, entry: Entry) {
    if enter.try_send(entry).is_err() {
        tracing::warn!("the ledger takes nothing in: something that the chain says is not entered");
    }
}

fn note_trouble(trouble: Option<&ChainError>, failing: &mut bool) {
    match (trouble, *failing) {
        (Some(error), false) => tracing::warn!(code = error.code(), "{error}"),
        (None, true) => tracing::info!("the chain is read again"),
        _ => {}
    }
    *failing = trouble.is_some();
}

/// What a reading brings into the ledger.
fn entries(reading: &Reading, moved: Vec<Movement>, network: &str) -> Vec<Entry> {
    let at = At::of_seconds(reading.read_at);
    let mut entries = Vec::new();
    if let Ok(body) = serde_json::to_string(reading) {
        let (what, network) = (ledger::Reading::CHAIN.to_owned(), network.to_owned());
        let row = ledger::Reading { at, network: network.clone(), what, body };
        entries.push(Entry::Chain { reading: Box::new(row), moved, network });
    }
    entries
}

/// Enters what comes into the ledger.
#[derive(Debug)]
struct Book {
    file: PathBuf,
    waiting: VecDeque<Entry>,
    ledger: Option<Ledger>,
    tries: u32,
    clock: Clock,
}

impl Book {
    async fn keep(mut self, mut entries: mpsc::Receiver<Entry>) {
        let mut failing = false;
        loop {
            match self.waiting.is_empty() {
                true => match entries.recv().await {
                    Some(entry) => self.waiting.push_back(entry),
                    // Nobody is asked for anything.
                    None => return,
                },
                false => self.clock.sleep(AGAIN).await,
            }
            while let Ok(entry) = entries.try_recv() {
                self.waiting.push_back(entry);
            }
            while self.waiting.len() > MOST_WAITING {
                self.waiting.pop_front();
            }
            match self.enter_all().await {
                Ok(()) => failing = false,
                Err(error) if !failing => {
                    tracing::warn!("what the chain says waits for the ledger: {error}");
                    failing = true;
                }
                Err(_) => {}
            }
        }
    }

    /// Enters what waits, oldest first; nothing while others may still begin the ledger.
    async fn enter_all(&mut self) -> Result<(), LedgerError> {
        self.tries = self.tries.saturating_add(1);
        if self.ledger.is_none() && (self.file.exists() || self.tries > TRIES) {
            let now = At::of_seconds(self.clock.unix().as_secs());
            self.ledger = Some(Ledger::open(&self.file, now).await?.0);
        }
        let Some(ledger) = &mut self.ledger else { return Ok(()) };
        while let Some(entry) = self.waiting.front() {
            match entry {
                Entry::Price(price) => drop(ledger.record_price(price).await?),
                Entry::Chain { reading, moved, network } => {
                    let row = ledger.record_reading(reading).await?;
                    for movement in moved {
                        if let Some(payment) = payment(movement, reading.at, network, row) {
                            ledger.record_payment(&payment).await?;
                        }
                    }
                }
            }
            self.waiting.pop_front();
        }
        Ok(())
    }
}

/// What came to the address, as the ledger has it. It may have been anybody's.
fn payment(movement: &Movement, at: At, network: &str, row: ledger::RowId) -> Option<Payment> {
    let gain = movement.gain()?;
    let (word, by) = match movement.what {
        Holding::FreeBalance => ("balance", PaidBy::Balance(row)),
        Holding::Stake => ("stake", PaidBy::Stake(row)),
    };
    Some(Payment {
        at,
        network: network.to_owned(),
        name: format!("{word}-{}-{}", movement.address, movement.to.number),
        hotkey: None,
        address: Some(movement.address.to_string()),
        gross: gain.rao,
        fee: None::<Rao>,
        net: gain.rao,
        unit: gain.unit,
        by,
    })
}

#[cfg(test)]
#[cfg(feature = "chain")]
#[path = "chain_tests.rs"]
mod tests;
