//! What a screen shows of a miner's earnings: sums over spans of time, what is owed, the way from score
//! to pay of the last epoch, and the last rows of the ledger. Made from the ledger's rows alone.

use serde::{Deserialize, Serialize};

use super::exact::Exact;
use super::formula::{Account, PayoutTerms, Period};
use super::ledger::{At, EpochRow, Payment, Rows, Work};
use super::money::{Rao, Unit};

/// So many rows of the ledger are shown.
const MOST_ROWS: usize = 24;
/// So many epochs are drawn.
const MOST_BARS: usize = 60;
/// Milliseconds of a day.
const DAY: u64 = 86_400_000;

/// Where the figures come from, or why there are none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "source", rename_all = "kebab-case")]
pub enum Source {
    /// No ledger is kept.
    #[default]
    None,
    /// The network was not asked yet.
    Unasked,
    /// The network publishes what it pays.
    Published,
    /// It does not.
    NotPublished,
    /// It did not answer, or what it says cannot be read.
    Failing {
        /// What, why and what now, in one line.
        why: String,
    },
    /// The ledger cannot be written.
    Broken {
        /// What, why and what now, in one line.
        why: String,
    },
}

/// A span of time that sums are shown for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Window {
    /// Since midnight, local time.
    Today,
    /// The last 24 hours.
    Day,
    /// The last 7 days.
    Week,
    /// The last 30 days.
    Month,
    /// All that is in the ledger.
    All,
}

impl Window {
    /// In the order in which they are shown.
    pub const ALL: [Self; 5] = [Self::Today, Self::Day, Self::Week, Self::Month, Self::All];

    /// When it began; `midnight` is that of today.
    fn since(self, now: At, midnight: At) -> At {
        match self {
            Self::Today => midnight,
            Self::Day => At(now.0.saturating_sub(DAY)),
            Self::Week => At(now.0.saturating_sub(7 * DAY)),
            Self::Month => At(now.0.saturating_sub(30 * DAY)),
            Self::All => At(0),
        }
    }
}

/// Sums over one span.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Which span.
    pub window: Window,
    /// What was earned, frozen or not.
    pub earned: Rao,
    /// What arrived.
    pub paid: Rao,
    /// Energy in thousandths of a joule; none where a part of it is not known.
    pub millijoules: Option<u64>,
    /// Tokens trained on.
    pub tokens: u64,
    /// Milliseconds that the miner ran.
    pub ran: u64,
}

/// One step of the way from a score to pay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastEpoch {
    /// Which.
    pub epoch: u64,
    /// When it was closed, Unix milliseconds.
    pub at: At,
    /// The raw score.
    pub raw: Exact,
    /// By how much it was multiplied.
    pub multiplier: Option<Exact>,
    /// All scores of the run.
    pub run_total: Exact,
    /// Its share of the run.
    pub share: Exact,
    /// The share that is burnt; none if the run has no part of the incentive.
    pub burn: Option<Exact>,
    /// The run's part of the incentive.
    pub allocation: Option<Exact>,
    /// Its weight.
    pub weight: Exact,
    /// What all share.
    pub emission: Rao,
    /// What it earned.
    pub earned: Rao,
    /// Whether it counts at once.
    pub period: Period,
    /// What is owed since.
    pub account: Account,
    /// By what terms it is paid out.
    pub terms: PayoutTerms,
    /// Where it is paid.
    pub paid_to: Option<String>,
}

/// A row of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub enum EntryView {
    /// An epoch was closed.
    Epoch {
        /// When.
        at: At,
        /// Which.
        epoch: u64,
        /// What it earned.
        earned: Rao,
        /// Whether it counts at once.
        period: Period,
    },
    /// Something was paid.
    Payout {
        /// When.
        at: At,
        /// What left the account.
        gross: Rao,
        /// What arrived.
        net: Rao,
        /// Where this is known from, in words.
        by: String,
    },
}

impl EntryView {
    /// When it was.
    pub fn at(&self) -> At {
        match self {
            Self::Epoch { at, .. } | Self::Payout { at, .. } => *at,
        }
    }
}

/// What a screen shows of one miner's earnings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EarningsView {
    /// Where the figures come from.
    pub source: Source,
    /// When the network was last asked, Unix milliseconds.
    pub asked: Option<At>,
    /// What is paid in, once something was.
    pub unit: Option<Unit>,
    /// One for each span.
    pub sums: Vec<Sum>,
    /// The last epoch that was paid.
    pub last: Option<LastEpoch>,
    /// What each of the last epochs earned, the newest last.
    pub bars: Vec<Rao>,
    /// The last rows of the ledger, the newest first.
    pub entries: Vec<EntryView>,
}

impl EarningsView {
    /// What the rows of one miner come to. `rows` hold those of all miners of the ledger, and the epochs
    /// and payouts of `unit` alone are summed.
    pub fn of(rows: &Rows, hotkey: &str, network: &str, now: At, midnight: At) -> Self {
        let own = |row: &&EpochRow| row.hotkey == hotkey && row.network == network;
        let epochs: Vec<&EpochRow> = rows.epochs.iter().filter(own).collect();
        let payouts = rows.payouts.iter().filter(|paid| paid.network == network);
        let payouts = payouts.filter(|paid| paid.hotkey.as_deref().is_none_or(|by| by == hotkey));
        let unit = epochs.last().map(|row| row.unit);
        let payouts: Vec<&Payment> = payouts.filter(|paid| Some(paid.unit) == unit).collect();
        let work = rows.work.iter().filter(|w| w.hotkey == hotkey && w.network == network);
        let work: Vec<&Work> = work.collect();
        let sums = Window::ALL.map(|window| {
            sum(window, window.since(now, midnight), (&epochs, unit), &payouts, &work)
        });
        let mut entries: Vec<EntryView> =
            epochs.iter().rev().take(MOST_ROWS).map(epoch_entry).collect();
        entries.extend(payouts.iter().rev().take(MOST_ROWS).map(payout_entry));
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.at()));
        entries.truncate(MOST_ROWS);
        let newest = epochs.len().saturating_sub(MOST_BARS);
        Self {
            source: Source::Unasked,
            asked: None,
            unit,
            sums: sums.into(),
            last: epochs.last().map(|row| last(row)),
            bars: epochs[newest..].iter().map(|row| row.entitlement).collect(),
            entries,
        }
    }

    /// The sums of a span.
    pub fn sum(&self, window: Window) -> Option<&Sum> {
        self.sums.iter().find(|sum| sum.window == window)
    }

    /// How many epochs like the last ones it takes until the minimum is reached: an estimate. None while
    /// nothing is known, or nothing comes in.
    pub fn epochs_to_payout(&self) -> Option<u64> {
        let last = self.last.as_ref()?;
        let owed = last.account.pending.plus(last.account.frozen)?;
        let missing = last.terms.minimum.minus(owed).unwrap_or(Rao::ZERO);
        let recent: Vec<u64> = self.bars.iter().rev().take(8).map(|rao| rao.0).collect();
        let mean = recent.iter().sum::<u64>() / (recent.len() as u64).max(1);
        (mean > 0).then(|| missing.0.div_ceil(mean).max(1))
    }
}

fn sum(
    window: Window,
    since: At,
    (epochs, unit): (&[&EpochRow], Option<Unit>),
    payouts: &[&Payment],
    work: &[&Work],
) -> Sum {
    let of_unit = epochs.iter().filter(|row| Some(row.unit) == unit && row.at >= since);
    let all = |rao: &mut dyn Iterator<Item = Rao>| {
        Rao(rao.fold(0, |sum: u64, rao| sum.saturating_add(rao.0)))
    };
    let work: Vec<&&Work> = work.iter().filter(|stretch| stretch.until >= since).collect();
    let energy = |stretch: &&&Work| stretch.energy.millijoules().map(|energy| energy.0);
    let known: Vec<u64> = work.iter().filter_map(energy).collect();
    let whole = known.len() == work.len() && !work.is_empty();
    Sum {
        window,
        earned: all(&mut of_unit.map(|row| row.entitlement)),
        paid: all(&mut payouts.iter().filter(|paid| paid.at >= since).map(|paid| paid.net)),
        millijoules: whole.then(|| known.iter().sum()),
        tokens: work.iter().map(|stretch| stretch.tokens).sum(),
        ran: work.iter().map(|stretch| stretch.milliseconds()).sum(),
    }
}

fn last(row: &EpochRow) -> LastEpoch {
    LastEpoch {
        epoch: row.epoch,
        at: row.at,
        raw: row.walk.raw.clone(),
        multiplier: row.walk.multiplier.clone(),
        run_total: row.walk.run_total.clone(),
        share: row.walk.share.clone(),
        burn: row.walk.allocation.as_ref().map(|of| of.burn.clone()),
        allocation: row.walk.allocation.as_ref().map(super::formula::Allocation::effective),
        weight: row.walk.weight.clone(),
        emission: row.emission,
        earned: row.entitlement,
        period: row.period,
        account: row.account,
        terms: row.terms,
        paid_to: row.paid_to.clone(),
    }
}

fn epoch_entry(row: &&EpochRow) -> EntryView {
    EntryView::Epoch { at: row.at, epoch: row.epoch, earned: row.entitlement, period: row.period }
}

fn payout_entry(paid: &&Payment) -> EntryView {
    EntryView::Payout {
        at: paid.at,
        gross: paid.gross,
        net: paid.net,
        by: paid.by.in_words().to_owned(),
    }
}
