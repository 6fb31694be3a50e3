//! What a screen shows of a miner's earnings: sums over spans of time, what is owed, the way from score
//! to pay of the last epoch, and the last rows of the ledger. Made from the ledger's rows alone.

use serde::{Deserialize, Serialize};

use super::exact::Exact;
use super::formula::{Account, PayoutTerms, Period};
use super::ledger::{At, EpochRow, Payment, Rows};
use super::money::{Amount, Rao, Unit};
use super::rules::PayRules;
use super::summary::{By, Time, summary};
use super::walk::{Step, Walker};
use super::why::{Question, Registration, why};

/// So many rows of the ledger are shown.
const MOST_ROWS: usize = 24;
/// So many epochs are drawn.
const MOST_BARS: usize = 60;

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

/// Sums over one span.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    /// Which span.
    pub time: Time,
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
    /// What is left after electricity, with its currency; none where something of it is not known.
    pub net: Option<(Exact, String)>,
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

/// A step from work to pay, where no epoch was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepView {
    /// What it is.
    pub label: String,
    /// The figure, or why there is none, and where it is from.
    pub told: String,
}

/// Why the last day paid nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyView {
    /// What happened.
    pub sentence: String,
    /// What to do.
    pub advice: String,
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
    /// Why the last day paid nothing; none where it paid, or nothing was asked yet.
    pub why: Option<WhyView>,
    /// The last epoch that was paid.
    pub last: Option<LastEpoch>,
    /// The way to pay, as far as it is known, where no epoch was published.
    pub steps: Vec<StepView>,
    /// What each of the last epochs earned, the newest last.
    pub bars: Vec<Rao>,
    /// The last rows of the ledger, the newest first.
    pub entries: Vec<EntryView>,
}

/// By what a view is made.
#[derive(Clone, Copy, Debug)]
pub struct Looked<'a> {
    /// The rows of the ledger.
    pub rows: &'a Rows,
    /// The network.
    pub network: &'a str,
    /// The miner.
    pub hotkey: &'a str,
    /// By what figures become values.
    pub by: By<'a>,
    /// The rules that nobody publishes.
    pub rules: &'a PayRules,
    /// Whether the chain knows the miner.
    pub registration: Registration,
    /// Now.
    pub now: At,
}

impl EarningsView {
    /// What the rows of one miner come to.
    pub fn of(looked: &Looked<'_>) -> Self {
        let Looked { rows, network, hotkey, by, now, .. } = *looked;
        let own = own(rows, network, hotkey);
        let unit = own.epochs.last().map(|row| row.unit);
        let unit = unit.or_else(|| own.payouts.last().map(|paid| paid.unit));
        let sums = Time::ALL.map(|time| sum(&own, time, unit, by, now));
        let mut entries: Vec<EntryView> =
            own.epochs.iter().rev().take(MOST_ROWS).map(epoch_entry).collect();
        entries.extend(own.payouts.iter().rev().take(MOST_ROWS).map(payout_entry));
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.at()));
        entries.truncate(MOST_ROWS);
        let last = own.epochs.last().map(last);
        let newest = own.epochs.len().saturating_sub(MOST_BARS);
        Self {
            source: Source::Unasked,
            asked: None,
            unit,
            sums: sums.into(),
            why: why_of(looked),
            steps: if last.is_none() { steps(looked) } else { Vec::new() },
            last,
            bars: own.epochs[newest..].iter().map(|row| row.entitlement).collect(),
            entries,
        }
    }

    /// The sums of a time.
    pub fn sum(&self, time: Time) -> Option<&Sum> {
        self.sums.iter().find(|sum| sum.time == time)
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

/// The rows of one miner. A payment of which only the address is known counts as its own.
fn own(rows: &Rows, network: &str, hotkey: &str) -> Rows {
    let is = |of: &str, whose: &str| of == network && whose == hotkey;
    let paid = |paid: &&Payment| {
        paid.network == network && paid.hotkey.as_deref().is_none_or(|whose| whose == hotkey)
    };
    let epochs = rows.epochs.iter().filter(|row| is(&row.network, &row.hotkey));
    let work = rows.work.iter().filter(|row| is(&row.network, &row.hotkey));
    Rows {
        epochs: epochs.cloned().collect(),
        payouts: rows.payouts.iter().filter(paid).cloned().collect(),
        work: work.cloned().collect(),
        prices: rows.prices.clone(),
        ..Rows::default()
    }
}

fn sum(own: &Rows, time: Time, unit: Option<Unit>, by: By<'_>, now: At) -> Sum {
    let summed = summary(own, time.span(now, by.zone), by);
    let practice = unit == Some(Unit::Points);
    let side = if practice { summed.practice } else { summed.money };
    let of = |amounts: &[Amount]| {
        let found = amounts.iter().find(|amount| Some(amount.unit) == unit);
        found.map_or(Rao::ZERO, |amount| amount.rao)
    };
    let measured = side.net.unmeasured == 0 && side.net.milliseconds > 0;
    Sum {
        time,
        earned: of(&side.earned),
        paid: of(&side.paid),
        millijoules: measured.then_some(side.net.energy.0),
        tokens: side.net.tokens,
        ran: side.net.milliseconds,
        net: side.net.net.map(|net| (net, side.net.currency)),
    }
}

fn why_of(looked: &Looked<'_>) -> Option<WhyView> {
    let Looked { rows, network, hotkey, registration, by, now, .. } = *looked;
    let span = Time::Day.span(now, by.zone);
    let explained = why(&Question { rows, network, hotkey, span, registration });
    let cause = explained.deciding?;
    Some(WhyView { sentence: cause.sentence(), advice: cause.advice().to_owned() })
}

fn steps(looked: &Looked<'_>) -> Vec<StepView> {
    let Looked { rows, network, hotkey, rules, by, now, .. } = *looked;
    let walker = Walker { rows, network, hotkey, rules, currency: by.currency, now };
    let told = |step: Step| {
        let basis = step.basis.in_words();
        let told = match step.value {
            Some(value) => format!("{value} ({basis})"),
            None => basis,
        };
        StepView { label: step.label.to_owned(), told }
    };
    walker.steps().into_iter().map(told).collect()
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

fn epoch_entry(row: &EpochRow) -> EntryView {
    EntryView::Epoch { at: row.at, epoch: row.epoch, earned: row.entitlement, period: row.period }
}

fn payout_entry(paid: &Payment) -> EntryView {
    EntryView::Payout {
        at: paid.at,
        gross: paid.gross,
        net: paid.net,
        by: paid.by.in_words().to_owned(),
    }
}
