//! Why a time paid nothing: a list of questions to the ledger, asked in one order. Each epoch has the first
//! cause that is true of it; the cause of most epochs decides, and the others are listed. What decides is
//! what would have to be different for pay to come; own work is asked about before what others did.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::chain;
use super::exact::Exact;
use super::formula::Period;
use super::ledger::{
    At, Claims, EpochRow, Payment, Rows, Span, Standing, StandingRow, Submitted, Work,
};
use super::money::{Amount, Rao, Unit};
use super::summary::counted;

/// Kinds of time in which a miner does not even try to work.
const AWAY: [&str; 5] = ["off", "pause", "start", "queue", "fault"];
/// A thousand of a thousand: what shares of time are counted in.
const MINUTE: u64 = 60_000;

/// Whether the chain knows the hotkey.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Registration {
    /// It does.
    Registered,
    /// It does not, as read at this moment.
    Missing(At),
    /// Nobody asked.
    NotAsked,
}

impl Registration {
    /// What the newest look at the chain said of that hotkey.
    pub fn of(rows: &Rows, network: &str, hotkey: &str) -> Self {
        let looks = rows.readings.iter().rev();
        let looks = looks.filter(|row| row.network == network);
        let mut said = looks.filter_map(|row| {
            let look = row.look()?;
            let whose = look.asked.hotkey?.to_string();
            (whose == hotkey).then_some(*look.registration.known()?).map(|said| (row.at, said))
        });
        match said.next() {
            None => Self::NotAsked,
            Some((_, chain::Registration::Registered { .. })) => Self::Registered,
            Some((at, chain::Registration::NotRegistered)) => Self::Missing(at),
        }
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// The ledger's rows. More than the span may be there.
    pub rows: &'a Rows,
    /// The network.
    pub network: &'a str,
    /// The miner.
    pub hotkey: &'a str,
    /// The time.
    pub span: Span,
    /// Whether the chain knows it.
    pub registration: Registration,
}

/// Why nothing was paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum Cause {
    /// The miner did not run.
    NotRunning {
        /// Milliseconds in which it ran and waited, by what for.
        away: BTreeMap<String, u64>,
    },
    /// The chain does not know the hotkey.
    NotRegistered {
        /// When that was read.
        read: At,
    },
    /// The network let it wait.
    Benched {
        /// In these epochs.
        epochs: Vec<u64>,
        /// Milliseconds by the own clock.
        milliseconds: u64,
    },
    /// It was away when the others merged.
    SleptThroughMerge {
        /// In these epochs.
        epochs: Vec<u64>,
        /// Merges that it missed.
        merges: u64,
        /// Work that was lost, and to what.
        lost: Vec<String>,
    },
    /// Its weights did not come in time.
    NoWeights {
        /// In these epochs.
        epochs: Vec<u64>,
        /// Uploads that did not come through.
        uploads_missed: u64,
    },
    /// It did too little that counts.
    TooFewActivations {
        /// In these epochs.
        epochs: Vec<u64>,
        /// Forwards by the own count.
        forwards: u64,
        /// Backwards by the own count.
        backwards: u64,
    },
    /// What it did was not found right.
    NotValidated {
        /// In these epochs.
        epochs: Vec<u64>,
        /// Checks that failed, where that is known.
        failed: Option<u64>,
    },
    /// Its run is not among those that are paid.
    RunVanished {
        /// In these epochs.
        epochs: Vec<u64>,
        /// The run.
        run: String,
    },
    /// The runs claim more than there is, so nobody is paid.
    RunsOverclaim {
        /// In these epochs.
        epochs: Vec<u64>,
    },
    /// The network did not know whom to pay.
    NoPayoutAddress {
        /// In these epochs.
        epochs: Vec<u64>,
    },
    /// Its own work was whole, but another stage's was not, and the loss reached no new minimum.
    OtherStageFailed {
        /// In these epochs.
        epochs: Vec<u64>,
        /// Which stages.
        stages: BTreeSet<u64>,
        /// What waits.
        frozen: Amount,
    },
    /// The loss reached no new minimum: what was earned waits.
    FrozenPeriod {
        /// In these epochs.
        epochs: Vec<u64>,
        /// What waits.
        frozen: Amount,
    },
    /// It earned, but not enough to be paid yet.
    BelowMinimum {
        /// What is owed.
        owed: Amount,
        /// What must be owed before it is paid.
        minimum: Rao,
        /// What is missing.
        missing: Rao,
    },
    /// Nobody says.
    Unknown {
        /// What would have to be known.
        missing: String,
    },
}

impl Cause {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotRunning { .. } => "zero-not-running",
            Self::NotRegistered { .. } => "zero-not-registered",
            Self::Benched { .. } => "zero-benched",
            Self::SleptThroughMerge { .. } => "zero-slept-through-merge",
            Self::NoWeights { .. } => "zero-no-weights",
            Self::TooFewActivations { .. } => "zero-too-few-activations",
            Self::NotValidated { .. } => "zero-not-validated",
            Self::RunVanished { .. } => "zero-run-vanished",
            Self::RunsOverclaim { .. } => "zero-runs-overclaim",
            Self::NoPayoutAddress { .. } => "zero-no-payout-address",
            Self::OtherStageFailed { .. } => "zero-other-stage",
            Self::FrozenPeriod { .. } => "zero-frozen",
            Self::BelowMinimum { .. } => "zero-below-minimum",
            Self::Unknown { .. } => "zero-unknown",
        }
    }

    /// What happened, with the figures that show it.
    pub fn sentence(&self) -> String {
        match self {
            Self::NotRunning { away } if away.is_empty() => {
                "The miner did not run in this time.".to_owned()
            }
            Self::NotRunning { away } => {
                let away: Vec<_> =
                    away.iter().map(|(what, ms)| format!("{what} {} min", ms / MINUTE)).collect();
                format!("The miner ran, but did no work: {}.", away.join(", "))
            }
            Self::NotRegistered { .. } => {
                "The chain does not know this hotkey on the subnet.".to_owned()
            }
            Self::Benched { epochs, milliseconds } => {
                let own = milliseconds / MINUTE;
                format!("The network let it wait{}; {own} min by the own clock.", in_epochs(epochs))
            }
            Self::SleptThroughMerge { epochs, merges, lost } => {
                let lost =
                    if lost.is_empty() { String::new() } else { format!(": {}", lost.join("; ")) };
                format!("It was away for {merges} merges{}{lost}.", in_epochs(epochs))
            }
            Self::NoWeights { epochs, uploads_missed } => format!(
                "Its weights did not come in time{}; {uploads_missed} uploads failed.",
                in_epochs(epochs)
            ),
            Self::TooFewActivations { epochs, forwards, backwards } => format!(
                "It did too little that counts{}: {forwards} forwards and {backwards} backwards by the \
                 own count.",
                in_epochs(epochs)
            ),
            Self::NotValidated { epochs, failed } => {
                let failed = failed.map_or_else(String::new, |n| format!("; {n} checks failed"));
                format!("Its work was scored as nothing{}{failed}.", in_epochs(epochs))
            }
            Self::RunVanished { epochs, run } => {
                format!("The run {run} is not among those that are paid{}.", in_epochs(epochs))
            }
            Self::RunsOverclaim { epochs } => format!(
                "The runs claimed more than the subnet has{}: then nobody is paid.",
                in_epochs(epochs)
            ),
            Self::NoPayoutAddress { epochs } => {
                format!("The network knew no address to pay{}.", in_epochs(epochs))
            }
            Self::OtherStageFailed { epochs, stages, frozen } => {
                let stages: Vec<_> = stages.iter().map(u64::to_string).collect();
                format!(
                    "Its own work was whole, but weights of stage {} did not come and the loss reached \
                     no new minimum{}: {frozen} wait.",
                    stages.join(", "),
                    in_epochs(epochs)
                )
            }
            Self::FrozenPeriod { epochs, frozen } => format!(
                "The loss reached no new minimum{}: {frozen} wait for a period in which it does.",
                in_epochs(epochs)
            ),
            Self::BelowMinimum { owed, minimum, missing } => format!(
                "{owed} are owed, which is less than the minimum of {minimum}: it rolls over, {missing} \
                 are missing."
            ),
            Self::Unknown { missing } => format!("Nobody says why: {missing}."),
        }
    }

    /// What to do.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NotRunning { .. } => {
                "Start it with `hearth run`, or look which rule pauses it: `hearth status`."
            }
            Self::NotRegistered { .. } => {
                "Register the hotkey, or join the pool, which needs no registration."
            }
            Self::Benched { .. } => {
                "Nothing, if it joined in the middle of an epoch; else see `hearth logs` for the reason."
            }
            Self::SleptThroughMerge { .. } => {
                "Keep the computer awake (keep_awake), or set hours that end with an epoch."
            }
            Self::NoWeights { .. } => {
                "Look at the uploads in `hearth earnings report`, and at the line with `hearth doctor`."
            }
            Self::TooFewActivations { .. } => {
                "Let it run longer at a time; the first minutes of a session wait for others."
            }
            Self::NotValidated { .. } => {
                "Run `hearth devices`: a device that computes wrongly is found there."
            }
            Self::RunVanished { .. } => "Start the miner again: it is given a run that is paid.",
            Self::RunsOverclaim { .. } => {
                "Nothing here: the operator must correct the runs' shares."
            }
            Self::NoPayoutAddress { .. } => {
                "Set payout_address: `hearth config set payout_address`."
            }
            Self::OtherStageFailed { .. } | Self::FrozenPeriod { .. } => {
                "Nothing: what waits is paid when the loss reaches a new minimum."
            }
            Self::BelowMinimum { .. } => "Nothing: it is paid when the minimum is reached.",
            Self::Unknown { .. } => {
                "Look again tomorrow; with chain_endpoint set, the chain is asked what came."
            }
        }
    }
}

/// `in epochs 3 to 5`, `in 7 epochs from 3 to 12`; nothing where none is named.
fn in_epochs(epochs: &[u64]) -> String {
    match epochs {
        [] => String::new(),
        [one] => format!(" in epoch {one}"),
        [first, .., last] if last - first + 1 == epochs.len() as u64 => {
            format!(" in epochs {first} to {last}")
        }
        [first, .., last] => format!(" in {} epochs from {first} to {last}", epochs.len()),
    }
}

/// What came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "paid", rename_all = "kebab-case")]
pub enum Paid {
    /// Nothing.
    Nothing,
    /// This much, to this miner.
    Alone {
        /// By unit.
        amounts: Vec<Amount>,
    },
    /// This much to its address, which other miners have too: whose it is, nobody can say.
    Together {
        /// By unit.
        amounts: Vec<Amount>,
        /// How many own miners have that address.
        miners: usize,
    },
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The network.
    pub network: String,
    /// The miner.
    pub hotkey: String,
    /// What came.
    #[serde(flatten)]
    pub paid: Paid,
    /// Why nothing came; none where something did.
    pub deciding: Option<Cause>,
    /// What else stood against more.
    pub others: Vec<Cause>,
}

/// Which question found something, in the order in which they are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Found {
    Benched,
    Slept,
    NoWeights,
    TooFew,
    NotValidated,
    RunVanished,
    Overclaim,
    NoAddress,
    OtherStage,
    Frozen,
}

/// Everything of one miner in the span.
struct Own<'a> {
    epochs: Vec<&'a EpochRow>,
    standing: Option<&'a StandingRow>,
    work: Vec<&'a Work>,
}

impl<'a> Own<'a> {
    fn of(question: &Question<'a>) -> Self {
        let Question { rows, network, hotkey, span, .. } = *question;
        let epochs =
            rows.epochs.iter().filter(|row| row.network == network && row.hotkey == hotkey);
        let mut standings =
            rows.standings.iter().filter(|row| row.network == network && row.hotkey == hotkey);
        let work = rows.work.iter().filter(|row| row.network == network && row.hotkey == hotkey);
        Self {
            epochs: epochs.filter(|row| span.holds(row.at)).collect(),
            standing: standings.rfind(|row| span.holds(row.at)),
            work: work.filter(|row| span.touches(row)).collect(),
        }
    }

    fn sum(&self, of: impl Fn(&Work) -> u64) -> u64 {
        self.work.iter().fold(0, |sum, row| sum.saturating_add(of(row)))
    }

    /// The work of one epoch.
    fn in_epoch(&self, epoch: u64) -> impl Iterator<Item = &&'a Work> {
        self.work.iter().filter(move |row| row.epoch == Some(epoch))
    }

    fn slept(&self, epoch: u64) -> bool {
        let missed: u64 = self.in_epoch(epoch).map(|row| row.merges_missed).sum();
        let merged: u64 = self.in_epoch(epoch).map(|row| row.merges).sum();
        missed > 0 && merged == 0
    }

    /// The first thing that is true of an epoch; none where it was earned in and counts.
    fn of_epoch(&self, row: &EpochRow) -> Option<Found> {
        let nothing = row.walk.total.is_zero() || row.walk.total.is_negative();
        let idle = row.backwards == 0 && row.partitions == 0;
        if row.standing == Standing::Benched {
            Some(Found::Benched)
        } else if row.submitted == Submitted::Missing && self.slept(row.epoch) {
            Some(Found::Slept)
        } else if row.submitted == Submitted::Missing {
            Some(Found::NoWeights)
        } else if idle {
            Some(Found::TooFew)
        } else if nothing {
            Some(Found::NotValidated)
        } else if row.walk.allocation.is_none() {
            Some(Found::RunVanished)
        } else if row.claims == Claims::Over {
            Some(Found::Overclaim)
        } else if row.paid_to.is_none() {
            Some(Found::NoAddress)
        } else if row.period == Period::Frozen {
            let others = row.missing.iter().any(|stage| Some(*stage) != row.stage);
            Some(if others { Found::OtherStage } else { Found::Frozen })
        } else {
            None
        }
    }

    /// What the own notes alone say, where the network publishes no epochs.
    fn of_work(&self) -> Vec<Found> {
        let mut found = Vec::new();
        let all = self.sum(Work::milliseconds);
        if self.sum(|work| work.spent_on("benched")) * 2 > all {
            found.push(Found::Benched);
        }
        let submitted = self.work.iter().any(|work| work.weights == Submitted::InTime);
        let missing = self.work.iter().any(|work| work.weights == Submitted::Missing);
        if !submitted && self.sum(|work| work.merges_missed) > 0 {
            found.push(Found::Slept);
        } else if !submitted && missing {
            found.push(Found::NoWeights);
        }
        if self.sum(|work| work.backwards) == 0 {
            found.push(Found::TooFew);
        }
        let failed = self.sum(|work| work.failed.unwrap_or_default());
        let right = self.sum(|work| work.validated.unwrap_or_default());
        let scored = self
            .standing
            .is_some_and(|row| row.walk.total.is_zero() || row.walk.total.is_negative());
        if (failed > 0 && right == 0) || scored {
            found.push(Found::NotValidated);
        }
        if let Some(row) = self.standing {
            if row.walk.allocation.is_none() {
                found.push(Found::RunVanished);
            }
            if row.claims == Claims::Over {
                found.push(Found::Overclaim);
            }
        }
        if self.work.iter().all(|work| work.payout_address.is_none()) {
            found.push(Found::NoAddress);
        }
        found
    }

    /// The cause that was found in these epochs, with its evidence.
    fn cause(&self, found: Found, epochs: &[&EpochRow]) -> Cause {
        let numbers = || epochs.iter().map(|row| row.epoch).collect::<Vec<_>>();
        // Where no epoch is named, all of the work is the evidence.
        let about = |of: fn(&Work) -> u64| match epochs.is_empty() {
            true => self.sum(of),
            false => {
                epochs.iter().flat_map(|row| self.in_epoch(row.epoch)).map(|work| of(work)).sum()
            }
        };
        let waits = || {
            let unit = epochs.first().map_or(Unit::Alpha, |row| row.unit);
            let rao = epochs.last().map_or(Rao::ZERO, |row| row.account.frozen);
            Amount { rao, unit }
        };
        match found {
            Found::Benched => {
                let milliseconds = about(|work| work.spent_on("benched"));
                Cause::Benched { epochs: numbers(), milliseconds }
            }
            Found::Slept => {
                let lost = self.work.iter().flat_map(|work| &work.lost);
                let lost = lost.map(|lost| format!("{} backwards, {}", lost.backwards, lost.to));
                let merges = about(|work| work.merges_missed);
                Cause::SleptThroughMerge { epochs: numbers(), merges, lost: lost.collect() }
            }
            Found::NoWeights => {
                let uploads_missed = about(|work| work.uploads_missed);
                Cause::NoWeights { epochs: numbers(), uploads_missed }
            }
            Found::TooFew => Cause::TooFewActivations {
                epochs: numbers(),
                forwards: about(|work| work.forwards),
                backwards: about(|work| work.backwards),
            },
            Found::NotValidated => {
                let known = self.work.iter().any(|work| work.failed.is_some());
                let failed = known.then(|| about(|work| work.failed.unwrap_or_default()));
                Cause::NotValidated { epochs: numbers(), failed }
            }
            Found::RunVanished => {
                let run = epochs.first().map(|row| row.run.clone());
                let run = run.or_else(|| self.standing.and_then(|row| row.run.clone()));
                Cause::RunVanished { epochs: numbers(), run: run.unwrap_or_default() }
            }
            Found::Overclaim => Cause::RunsOverclaim { epochs: numbers() },
            Found::NoAddress => Cause::NoPayoutAddress { epochs: numbers() },
            Found::OtherStage => {
                let own: BTreeSet<u64> = epochs.iter().filter_map(|row| row.stage).collect();
                let stages = epochs.iter().flat_map(|row| row.missing.iter().copied());
                let stages = stages.filter(|stage| !own.contains(stage)).collect();
                Cause::OtherStageFailed { epochs: numbers(), stages, frozen: waits() }
            }
            Found::Frozen => Cause::FrozenPeriod { epochs: numbers(), frozen: waits() },
        }
    }

    /// What is owed and cannot be paid yet.
    fn below_minimum(&self) -> Option<Cause> {
        let last = self.epochs.last()?;
        let missing = last.terms.minimum.minus(last.account.pending)?;
        let owes = last.account.pending > Rao::ZERO && missing > Rao::ZERO;
        owes.then_some(Cause::BelowMinimum {
            owed: Amount { rao: last.account.pending, unit: last.unit },
            minimum: last.terms.minimum,
            missing,
        })
    }
}

/// Answers.
pub fn why(question: &Question<'_>) -> Explained {
    let own = Own::of(question);
    let paid = paid(question);
    let mut causes = causes(question, &own);
    if causes.is_empty() && paid == Paid::Nothing {
        let missing = match own.epochs.is_empty() {
            true => "the network publishes neither scores nor losses of this time to miners",
            false => "by what is published, it should have been paid",
        };
        causes.push(Cause::Unknown { missing: missing.to_owned() });
    }
    let mut causes = causes.into_iter();
    let deciding = if paid == Paid::Nothing { causes.next() } else { None };
    Explained {
        network: question.network.to_owned(),
        hotkey: question.hotkey.to_owned(),
        paid,
        deciding,
        others: causes.collect(),
    }
}

/// All that is true, what decides first.
fn causes(question: &Question<'_>, own: &Own<'_>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let worked = own.sum(|work| {
        work.spent.iter().filter(|(what, _)| !AWAY.contains(&what.as_str())).map(|(_, ms)| ms).sum()
    });
    let counted = own.epochs.iter().any(|row| row.backwards > 0 || row.partitions > 0);
    if worked == 0 && !counted {
        let mut away = BTreeMap::new();
        for (what, ms) in own.work.iter().flat_map(|work| &work.spent) {
            *away.entry(what.clone()).or_default() += ms;
        }
        causes.push(Cause::NotRunning { away });
    }
    if let Registration::Missing(read) = question.registration {
        causes.push(Cause::NotRegistered { read });
    }
    if own.epochs.is_empty() {
        if causes.is_empty() {
            causes.extend(own.of_work().into_iter().map(|found| own.cause(found, &[])));
        }
        return causes;
    }
    let mut by_cause: BTreeMap<Found, Vec<&EpochRow>> = BTreeMap::new();
    for row in &own.epochs {
        if let Some(found) = own.of_epoch(row) {
            by_cause.entry(found).or_default().push(row);
        }
    }
    let earned = own.epochs.iter().any(|row| own.of_epoch(row).is_none());
    let mut found: Vec<_> = by_cause.into_iter().collect();
    // The cause of most epochs first; of as many, the one that is asked about first.
    found.sort_by_key(|(found, epochs)| (std::cmp::Reverse(epochs.len()), *found));
    let found = found.into_iter().map(|(found, epochs)| own.cause(found, &epochs));
    // Where an epoch counts and nothing came of it, it is for the minimum.
    let below = own.below_minimum();
    match below {
        Some(below) if earned => {
            causes.push(below);
            causes.extend(found);
        }
        below => {
            causes.extend(found);
            causes.extend(below);
        }
    }
    causes
}

/// What came in the span.
fn paid(question: &Question<'_>) -> Paid {
    let Question { rows, network, hotkey, span, .. } = *question;
    let here = |row: &&Payment| row.network == network && span.holds(row.at) && row.net > Rao::ZERO;
    let alone = counted(rows).filter(here);
    let alone = amounts(alone.filter(|row| row.hotkey.as_deref() == Some(hotkey)));
    if !alone.is_empty() {
        return Paid::Alone { amounts: alone };
    }
    let addresses_of = |hotkey: &str| -> BTreeSet<&str> {
        let work = rows.work.iter().filter(|row| row.network == network && row.hotkey == hotkey);
        work.filter_map(|row| row.payout_address.as_deref()).collect()
    };
    let addresses = addresses_of(hotkey);
    let shared = counted(rows).filter(here).filter(|row| {
        row.hotkey.is_none() && row.address.as_deref().is_some_and(|at| addresses.contains(at))
    });
    let shared = amounts(shared);
    if shared.is_empty() {
        return Paid::Nothing;
    }
    let own: BTreeSet<&str> = rows
        .work
        .iter()
        .filter(|row| row.network == network)
        .map(|row| row.hotkey.as_str())
        .collect();
    let miners = own.iter().filter(|own| !addresses_of(own).is_disjoint(&addresses)).count();
    match miners {
        0 | 1 => Paid::Alone { amounts: shared },
        miners => Paid::Together { amounts: shared, miners },
    }
}

/// The sums by unit: what is no money is in no sum with money.
pub fn amounts<'a>(payments: impl IntoIterator<Item = &'a Payment>) -> Vec<Amount> {
    let mut sums: BTreeMap<Unit, Exact> = BTreeMap::new();
    for payment in payments {
        let sum = sums.entry(payment.unit).or_insert_with(Exact::zero);
        *sum = sum.clone() + Exact::from(payment.net.0);
    }
    let amount =
        |(unit, sum): (Unit, Exact)| Amount { rao: Rao(sum.floor().unwrap_or(u64::MAX)), unit };
    sums.into_iter().map(amount).collect()
}

#[cfg(test)]
#[path = "why_tests.rs"]
mod tests;
