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

/// What came before a moment: of long times only that is kept, so that a ledger of years need not be read
/// again for every row that is added.
#[derive(Clone, Debug, PartialEq)]
pub struct Kept {
    /// The moment.
    pub until: At,
    /// Sums of what came before it, for the long times.
    sums: Vec<Sum>,
}

/// Times whose beginning lies so far back that older rows are only kept as sums.
const LONG: [Time; 3] = [Time::Week, Time::Month, Time::All];

impl Kept {
    /// What the rows before `until` come to. `looked` must hold all rows of the ledger.
    pub fn of(looked: &Looked<'_>, until: At) -> Self {
        let Looked { rows, network, hotkey, by, now, .. } = *looked;
        let own = own(rows, network, hotkey);
        let unit = unit_of(&own);
        let (before, _) = parted(own, until);
        let sums = LONG.map(|time| sum(&before, time, unit, by, now));
        Self { until, sums: sums.into() }
    }
}

/// By what a view is made.
#[derive(Clone, Copy, Debug)]
pub struct Looked<'a> {
    /// The rows of the ledger: those of the last day and all after `kept`, or all of them.
    pub rows: &'a Rows,
    /// What came before, if not all rows are given.
    pub kept: Option<&'a Kept>,
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
        let unit = unit_of(&own);
        let after = looked.kept.map(|kept| parted(own.clone(), kept.until).1);
        let sums = Time::ALL.map(|time| {
            let before = looked.kept.and_then(|kept| kept.sums.iter().find(|sum| sum.time == time));
            match (before, &after) {
                (Some(before), Some(after)) => before.plus(&sum(after, time, unit, by, now)),
                _ => sum(&own, time, unit, by, now),
            }
        });
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

    /// The same, where nothing was earned lately: what was last is still what was last.
    pub fn or_last_of(self, before: &Self) -> Self {
        if self.last.is_some() || before.last.is_none() {
            return self;
        }
        let Self { unit, last, steps, bars, entries, .. } = before.clone();
        Self { unit, last, steps, bars, entries, ..self }
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

fn unit_of(own: &Rows) -> Option<Unit> {
    let unit = own.epochs.last().map(|row| row.unit);
    unit.or_else(|| own.payouts.last().map(|paid| paid.unit))
}

/// The rows before a moment and those from it on. A stretch of work belongs to where it ended.
fn parted(all: Rows, at: At) -> (Rows, Rows) {
    let Rows { epochs, payouts, work, prices, .. } = all;
    let (old_epochs, epochs) = epochs.into_iter().partition(|row| row.at < at);
    let (old_payouts, payouts) = payouts.into_iter().partition(|paid| paid.at < at);
    let (old_work, work) = work.into_iter().partition(|row| row.until < at);
    let rows = |epochs, payouts, work| Rows {
        epochs,
        payouts,
        work,
        prices: prices.clone(),
        ..Rows::default()
    };
    (rows(old_epochs, old_payouts, old_work), rows(epochs, payouts, work))
}

impl Sum {
    /// The two together; what is not known of one is not known of both, unless it has no work.
    fn plus(&self, other: &Self) -> Self {
        let known = |own: Option<u64>, ran: u64| if ran == 0 { Some(0) } else { own };
        let energy = known(self.millijoules, self.ran).zip(known(other.millijoules, other.ran));
        let ran = self.ran.saturating_add(other.ran);
        let add = |a: Rao, b: Rao| Rao(a.0.saturating_add(b.0));
        Self {
            time: self.time,
            earned: add(self.earned, other.earned),
            paid: add(self.paid, other.paid),
            millijoules: energy.filter(|_| ran > 0).map(|(a, b)| a.saturating_add(b)),
            tokens: self.tokens.saturating_add(other.tokens),
            ran,
            net: match (&self.net, &other.net) {
                (Some((a, currency)), Some((b, same))) if currency == same => {
                    Some((a.clone() + b.clone(), currency.clone()))
                }
                _ => None,
            },
        }
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

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::*;
    use crate::config::earnings::EarningsTable;
    use crate::earnings::ledger::Millijoules;
    use crate::earnings::ledger::tests::{answer, public_pay, work};
    use crate::earnings::ledger::{AnswerKind, Energy, RowId, Work};

    /// Three days: an epoch and a stretch of work each hour.
    fn rows() -> Rows {
        let pay = public_pay(&[(&[("m0", 3.0), ("m1", 1.0)], 3.0)]);
        let told = answer(AnswerKind::PublicPay, serde_json::to_vec(&pay).unwrap(), 1);
        let derived = crate::earnings::derive::derive(RowId(1), &told).unwrap();
        let epoch = derived.epochs[0].clone();
        let hour = |n: u64| At(1_800_000_000_000 + n * 3_600_000);
        let energy = Energy::Measured { millijoules: Millijoules(1000), by: "sensor".into() };
        let stretch = |n: u64| Work {
            network: epoch.network.clone(),
            hotkey: epoch.hotkey.clone(),
            since: hour(n),
            until: hour(n + 1),
            energy: energy.clone(),
            ..work(n)
        };
        Rows {
            epochs: (0..72).map(|n| EpochRow { at: hour(n), epoch: n, ..epoch.clone() }).collect(),
            work: (0..72).map(stretch).collect(),
            ..Rows::default()
        }
    }

    #[test]
    fn what_is_kept_and_what_came_after_is_the_same_as_all() {
        let rows = rows();
        let first = &rows.epochs[0];
        let (network, hotkey) = (first.network.clone(), first.hotkey.clone());
        let now = At(rows.work.last().unwrap().until.0);
        let rules = PayRules::at(now, &EarningsTable::default());
        let by = By { tariff: None, currency: None, zone: &TimeZone::UTC };
        let registration = Registration::NotAsked;
        let (network, hotkey, rules) = (network.as_str(), hotkey.as_str(), &rules);
        let looked =
            Looked { rows: &rows, kept: None, network, hotkey, by, rules, registration, now };
        let whole = EarningsView::of(&looked);
        assert_eq!(whole.sum(Time::All).unwrap().earned.0, 72 * first.entitlement.0);
        assert_eq!(whole.sum(Time::All).unwrap().millijoules, Some(72_000));
        assert!(whole.sum(Time::Day).unwrap().earned < whole.sum(Time::Week).unwrap().earned);
        // In the middle of a stretch, and at its end.
        for until in [At(now.0 - 20 * 3_600_000 - 5), At(now.0 - 20 * 3_600_000)] {
            let kept = Kept::of(&looked, until);
            let recent = At(now.0 - 25 * 3_600_000);
            let few = Rows {
                epochs: rows.epochs.iter().filter(|row| row.at >= recent).cloned().collect(),
                work: rows.work.iter().filter(|row| row.until >= recent).cloned().collect(),
                ..Rows::default()
            };
            let part = Looked { rows: &few, kept: Some(&kept), ..looked };
            assert_eq!(EarningsView::of(&part).sums, whole.sums);
        }
        // Days later nothing was added: the last epoch is still shown.
        let kept = Kept::of(&looked, At(now.0 + 1));
        let later = Looked { rows: &Rows::default(), kept: Some(&kept), ..looked };
        let shown = EarningsView::of(&later).or_last_of(&whole);
        assert_eq!((shown.last, shown.unit, shown.bars), (whole.last, whole.unit, whole.bars));
        assert_eq!(shown.sums.last(), whole.sums.last());
    }
}
