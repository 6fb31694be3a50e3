//! Keeps the ledger while miners run: what they did and what it took, and what the network says of their
//! pay. It watches; no miner waits for it. What it finds is shown on the miners' snapshots.

mod pay;
mod stretch;
mod trouble;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use url::Url;

use self::pay::Payday;
use self::stretch::Stretch;
use self::trouble::Trouble;
use crate::cli::earnings::{priced_in, registration};
use crate::clock::{Clock, Entropy, Moment, local_zone};
use crate::config::earnings::EarningsTable;
use crate::config::live::LiveSettings;
use crate::config::network::NetworkChoice;
use crate::config::values::JoinWay;
use crate::earnings::ledger::{At, FILE_NAME, Ledger, LedgerError, Opened, Rows, Span};
use crate::earnings::power::{Tariff, stated_watts};
use crate::earnings::rules::PayRules;
use crate::earnings::summary::By;
use crate::earnings::view::{EarningsView, Kept, Looked, Source};
use crate::miner::{MinerSnapshot, Purse, State};
use crate::telemetry::{Event, Events, Severity};

/// Between two looks at the miners while one works.
const BUSY: Duration = Duration::from_secs(1);
/// The same while none does.
const RESTING: Duration = Duration::from_secs(15);
/// What is shown is made anew at most so often; it takes longer the longer the ledger is.
const SHOWN: Duration = Duration::from_secs(5);
/// Making it may take this part of the time.
const MOST_SHARE: u32 = 50;
/// All of the ledger is read so often; in between only the last day, and what came since.
const WHOLE: Duration = Duration::from_secs(3600);
/// Rows that are so old have been entered.
const SETTLED: u64 = 600_000;
/// Milliseconds of a day, and some: what is sometimes read.
const RECENT: u64 = 26 * 3_600_000;

/// A miner whose work is entered.
#[derive(Debug)]
pub struct Earner {
    /// Its address.
    pub hotkey: String,
    /// What it does.
    pub snapshot: watch::Receiver<MinerSnapshot>,
    /// What its time went into, and where its earnings are shown.
    pub purse: Purse,
    /// Where it is paid, as the network is told; none if it is told nothing.
    pub paid_to: Option<String>,
}

/// What a ledger is kept of.
#[derive(Debug)]
pub struct Keeping {
    /// The folder in which it lies.
    pub folder: PathBuf,
    /// The network, as the user names it.
    pub network: NetworkChoice,
    /// Its orchestrator.
    pub server: Url,
    /// How it is joined.
    pub join: JoinWay,
    /// The settings by which pay is valued; none in a demo.
    pub settings: Option<LiveSettings>,
    /// The miners.
    pub earners: Vec<Earner>,
    /// Where something is said that the user should know.
    pub say: Events,
    /// The time.
    pub clock: Clock,
}

impl Keeping {
    /// Keeps the ledger until `ending` turns true, and then enters the rest.
    pub async fn go_on(self, mut ending: watch::Receiver<bool>) {
        let mut keeper = match Keeper::open(self).await {
            Ok(keeper) => keeper,
            Err((keeping, error)) => return keeping.give_up(error),
        };
        loop {
            let pause = if keeper.rests() { RESTING } else { BUSY };
            let ended = tokio::select! {
                () = keeper.keeping.clock.sleep(pause) => false,
                () = super::until_true(&mut ending) => true,
            };
            if let Err(error) = keeper.look(ended).await {
                return keeper.keeping.give_up(error);
            }
            if ended {
                return;
            }
        }
    }

    /// Says why nothing is entered any more. Mining goes on.
    fn give_up(&self, error: LedgerError) {
        let trouble = Trouble::Ledger(error);
        self.tell(&trouble);
        for earner in &self.earners {
            let source = Source::Broken { why: trouble.to_string() };
            let view = earner.snapshot.borrow().earnings.clone();
            earner.purse.show(EarningsView { source, ..view });
        }
    }

    fn tell(&self, trouble: &Trouble) {
        tracing::warn!("{trouble}");
        self.say.emit(Event::Finding {
            severity: Severity::Warning,
            code: trouble.code().to_owned(),
            what: trouble.to_string(),
            fix: trouble.fix().to_owned(),
        });
    }

    fn now(&self) -> At {
        At(self.clock.unix_millis())
    }
}

/// An open ledger and what goes into it.
struct Keeper {
    keeping: Keeping,
    ledger: Ledger,
    stretches: Vec<Stretch>,
    payday: Option<Payday>,
    /// When what is shown may be made anew.
    show_after: Moment,
    /// Whether something is new since it was made.
    news: bool,
    /// What came before, of each miner, and when all was read.
    kept: Option<(Moment, Vec<Kept>)>,
}

impl Keeper {
    async fn open(keeping: Keeping) -> Result<Self, (Keeping, LedgerError)> {
        let file = keeping.folder.join(FILE_NAME);
        let (ledger, opened) = match Ledger::open(&file, keeping.now()).await {
            Ok(opened) => opened,
            Err(error) => return Err((keeping, error)),
        };
        if let Opened::PutAside(kept) = opened {
            keeping.tell(&Trouble::PutAside(kept));
        }
        let life = Entropy::system().uuid();
        let (network, clock) = (keeping.network.to_string(), &keeping.clock);
        let stretches = keeping
            .earners
            .iter()
            .map(|earner| Stretch::new(&network, earner, &life, clock))
            .collect();
        let payday = Payday::new(&keeping.network, &keeping.server, clock);
        let show_after = clock.now();
        Ok(Self { keeping, ledger, stretches, payday, show_after, news: true, kept: None })
    }

    fn rests(&self) -> bool {
        self.keeping.earners.iter().all(|earner| {
            let state = earner.snapshot.borrow().status.state;
            matches!(state, State::Paused | State::Disabled | State::Stopped | State::Fault)
        })
    }

    /// Enters what is new, and shows it.
    async fn look(&mut self, ended: bool) -> Result<(), LedgerError> {
        let mut turned = ended;
        let settings = self.keeping.settings.as_ref().map(LiveSettings::now);
        let watts = settings.and_then(|settings| stated_watts(&settings));
        for (stretch, earner) in self.stretches.iter_mut().zip(&self.keeping.earners) {
            if let Some(work) = stretch.look(earner, ended, watts) {
                turned = true;
                self.ledger.record_work(&work).await?;
            }
        }
        if let Some(payday) = &mut self.payday {
            let whose: BTreeSet<String> =
                self.keeping.earners.iter().map(|earner| earner.hotkey.clone()).collect();
            let epochs = self.keeping.earners.iter().map(|earner| earner.snapshot.borrow().epoch);
            let when = (turned, epochs.max().unwrap_or(0));
            let found = payday.look(&mut self.ledger, &whose, when, &self.keeping.clock).await?;
            turned |= found.news;
            found.said.iter().for_each(|trouble| self.keeping.tell(trouble));
        }
        self.news |= turned;
        self.show().await
    }

    async fn show(&mut self) -> Result<(), LedgerError> {
        let began = self.keeping.clock.now();
        if began < self.show_after {
            return Ok(());
        }
        if self.news {
            self.kept.take_if(|(read, _)| began.since(*read) >= WHOLE);
            let since = match self.kept {
                Some(_) => At(self.keeping.now().0.saturating_sub(RECENT)),
                None => Span::ALL.since,
            };
            let rows = self.ledger.read().rows(Span { since, ..Span::ALL }).await?;
            self.show_rows(&rows, began);
            self.news = false;
        } else {
            self.show_source();
        }
        let took = self.keeping.clock.now().since(began);
        self.show_after = began + SHOWN.max(took * MOST_SHARE);
        Ok(())
    }

    /// Shows what the rows come to. They are all there are where nothing is kept yet.
    fn show_rows(&mut self, rows: &Rows, read: Moment) {
        let keeping = &self.keeping;
        let settings = keeping.settings.as_ref().map(LiveSettings::now);
        // What cannot be read was complained about when the settings were read.
        let tariff = settings.as_ref().and_then(|settings| Tariff::read(settings).ok().flatten());
        let (now, zone) = (keeping.now(), local_zone());
        let own = EarningsTable::default();
        let table = settings.as_ref().map_or(&own, |settings| settings.earnings());
        let rules = PayRules::at(now, table);
        let currency = tariff.as_ref().map(|tariff| tariff.currency.clone());
        let currency = currency.or_else(|| priced_in(rows));
        let by = By { tariff: tariff.as_ref(), currency: currency.as_deref(), zone: &zone };
        let network = keeping.network.to_string();
        let until = At(now.0.saturating_sub(SETTLED));
        let mut kept = Vec::new();
        for (place, earner) in keeping.earners.iter().enumerate() {
            let (network, hotkey) = (network.as_str(), earner.hotkey.as_str());
            let registration = registration(keeping.join, rows, network, hotkey);
            let before = self.kept.as_ref().and_then(|(_, kept)| kept.get(place));
            let rules = &rules;
            let looked =
                Looked { rows, kept: before, network, hotkey, by, rules, registration, now };
            if before.is_none() {
                kept.push(Kept::of(&looked, until));
            }
            let view = EarningsView::of(&looked);
            let before = earner.snapshot.borrow().earnings.clone();
            self.show_view(earner, view.or_last_of(&before));
        }
        if !kept.is_empty() {
            self.kept = Some((read, kept));
        }
    }

    /// Only whether the network answers may have changed.
    fn show_source(&self) {
        for earner in &self.keeping.earners {
            let view = earner.snapshot.borrow().earnings.clone();
            self.show_view(earner, view);
        }
    }

    fn show_view(&self, earner: &Earner, view: EarningsView) {
        let payday = self.payday.as_ref();
        let (source, asked) = payday.map_or((Source::Unasked, None), Payday::source);
        earner.purse.show(EarningsView { source, asked, ..view });
    }
}
