//! From scores to pay, step by step (spec 10.2 and 10.5): total score, share of the run, burn, the run's
//! allocation, weight, emission; then what is paid of it: the freeze, the minimum that rolls over, the
//! fee. Pure sums without rounding; the practice swarm pays by them and a miner's ledger checks by them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::exact::Exact;
use super::money::Rao;
use crate::protocol::RunId;
use crate::protocol::messages::{RunIncentiveAllocation, SubnetScores};

/// What a run gets of the subnet's incentive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allocation {
    /// The run's incentive weight, 0 to 1.
    pub incentive: Exact,
    /// The share of it that was active, 0 to 1.
    pub active: Exact,
    /// The share of what is left that is burnt, 0 to 1.
    pub burn: Exact,
}

impl Allocation {
    /// What counts of the run's incentive.
    pub fn effective(&self) -> Exact {
        self.incentive.clone() * self.active.clone()
    }
}

/// A miner's way from its score to its weight in one run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Walk {
    /// What its work was scored.
    pub raw: Exact,
    /// By how much the operator multiplied that; none for a raw score of zero.
    pub multiplier: Option<Exact>,
    /// The score that counts. A negative one counts as nothing.
    pub total: Exact,
    /// The sum of all scores of the run that count.
    pub run_total: Exact,
    /// Its share of the run, 0 to 1.
    pub share: Exact,
    /// What the run gets; none if the answer does not name the run any more.
    pub allocation: Option<Allocation>,
    /// Its share of the subnet's incentive, 0 to 1.
    pub weight: Exact,
}

/// Whose way it is.
#[derive(Clone, Debug, PartialEq)]
pub struct MinerWalk {
    /// The miner's address.
    pub hotkey: String,
    /// Its run; none where the answer names none.
    pub run: Option<RunId>,
    /// Its way.
    pub walk: Walk,
}

/// All miners' weights, and what nobody gets.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// One for each record of the answer, in its order.
    pub miners: Vec<MinerWalk>,
    /// What is left of the whole when all miners have theirs.
    pub burned: Exact,
    /// Whether the runs claim more than there is: then nobody gets anything.
    pub overclaimed: bool,
}

/// Why scores cannot be reckoned with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScoresError {
    /// Not a number at all.
    #[error("the scores name {what} of {whose} that is not a finite number")]
    NotFinite {
        /// Which figure.
        what: &'static str,
        /// Whose.
        whose: String,
    },
    /// A share that is no share.
    #[error("the scores name {what} {value} for run {run}; a share lies between 0 and 1")]
    NotAShare {
        /// Which figure.
        what: &'static str,
        /// Its value.
        value: String,
        /// Of which run.
        run: String,
    },
}

impl ScoresError {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFinite { .. } => "scores-not-finite",
            Self::NotAShare { .. } => "scores-not-a-share",
        }
    }
}

/// Every miner's weight, by spec 10.2: `total / sum of totals x (1 - burn) x (incentive x active)`.
///
/// Negative totals are dropped. If the runs claim more than the whole, nobody is paid.
pub fn weights(scores: &SubnetScores) -> Result<Weights, ScoresError> {
    let mut allocations = BTreeMap::new();
    for run in &scores.runs {
        allocations.insert(run.run_id.clone(), allocation(run)?);
    }
    let claimed: Exact = allocations.values().map(Allocation::effective).sum();
    let overclaimed = claimed > Exact::one();

    let mut read = Vec::with_capacity(scores.miner_scores.len());
    let mut totals: BTreeMap<Option<RunId>, Exact> = BTreeMap::new();
    for score in &scores.miner_scores {
        let whose = || score.hotkey.clone();
        let raw = finite(score.raw_score, "a raw score", whose)?;
        let total = finite(score.total_score, "a total score", whose)?;
        let sum = totals.entry(score.run_id.clone()).or_insert_with(Exact::zero);
        *sum = sum.clone() + counts(&total);
        read.push((score, raw, total));
    }
    let mut burned = Exact::one();
    let mut miners = Vec::with_capacity(read.len());
    for (score, raw, total) in read {
        let run_total = totals.get(&score.run_id).cloned().unwrap_or_else(Exact::zero);
        let share = counts(&total).over(&run_total).unwrap_or_else(Exact::zero);
        let allocation = score.run_id.as_ref().and_then(|run| allocations.get(run)).cloned();
        let weight = match &allocation {
            Some(of) if !overclaimed => {
                share.clone() * (Exact::one() - of.burn.clone()) * of.effective()
            }
            _ => Exact::zero(),
        };
        burned = burned - weight.clone();
        let multiplier = total.over(&raw);
        let walk = Walk { raw, multiplier, total, run_total, share, allocation, weight };
        miners.push(MinerWalk { hotkey: score.hotkey.clone(), run: score.run_id.clone(), walk });
    }
    Ok(Weights { miners, burned, overclaimed })
}

fn allocation(run: &RunIncentiveAllocation) -> Result<Allocation, ScoresError> {
    let share = |what: &'static str, value: f64| {
        let exact = finite(value, what, || run.run_id.to_string())?;
        match exact.is_negative() || exact > Exact::one() {
            true => Err(ScoresError::NotAShare {
                what,
                value: value.to_string(),
                run: run.run_id.to_string(),
            }),
            false => Ok(exact),
        }
    };
    Ok(Allocation {
        incentive: share("an incentive weight", run.incentive_weight)?,
        active: share("an active fraction", run.active_weight_fraction)?,
        burn: share("a burn factor", run.burn_factor)?,
    })
}

fn finite(
    value: f64,
    what: &'static str,
    whose: impl FnOnce() -> String,
) -> Result<Exact, ScoresError> {
    Exact::of_double(value).ok_or_else(|| ScoresError::NotFinite { what, whose: whose() })
}

fn counts(total: &Exact) -> Exact {
    if total.is_negative() { Exact::zero() } else { total.clone() }
}

/// What a subnet's miners are given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emission {
    /// Blocks of a day.
    pub blocks_per_day: u64,
    /// Alpha that the subnet gets a block.
    pub alpha_per_block: Exact,
    /// The miners' share of it.
    pub miners_share: Exact,
}

impl Emission {
    /// Alpha a day at `weight`, if it stays so (spec 10.5: an estimate).
    pub fn a_day(&self, weight: &Exact) -> Exact {
        let blocks = Exact::from(self.blocks_per_day);
        blocks * self.alpha_per_block.clone() * self.miners_share.clone() * weight.clone()
    }
}

/// Divides `pot` by weights, each part rounded down to a rao; the rest is burnt. None if the weights are
/// no shares of one whole.
pub fn split<'a>(
    pot: Rao,
    weights: impl IntoIterator<Item = &'a Exact>,
) -> Option<(Vec<Rao>, Rao)> {
    let mut burned = pot;
    let mut parts = Vec::new();
    for weight in weights {
        let part = pot.part(weight)?;
        burned = burned.minus(part)?;
        parts.push(part);
    }
    Some((parts, burned))
}

/// When and how an entitlement is paid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PayoutTerms {
    /// Less than this is not paid, it rolls over.
    pub minimum: Rao,
    /// What a transfer costs; the receiver bears it.
    pub fee: Rao,
}

/// Whether a billing period counts at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Period {
    /// The loss reached a new minimum of the run within it.
    Green,
    /// It did not: what was earned waits for the next green period.
    Frozen,
}

impl Period {
    /// By the period's loss and the lowest of all before it. Without losses before, it is green;
    /// without a loss of its own, it is frozen.
    pub fn of(loss: Option<f64>, lowest_before: Option<f64>) -> Self {
        match (loss, lowest_before) {
            (Some(loss), None) if loss.is_finite() => Self::Green,
            (Some(loss), Some(lowest)) if loss < lowest => Self::Green,
            _ => Self::Frozen,
        }
    }
}

/// What a miner is owed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Will be paid once it reaches the minimum.
    pub pending: Rao,
    /// Waits for a green period.
    pub frozen: Rao,
}

/// What is paid of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payout {
    /// What leaves the account.
    pub gross: Rao,
    /// What the transfer costs of it.
    pub fee: Rao,
    /// What arrives.
    pub net: Rao,
}

impl Account {
    /// Closes a billing period in which `earned` was added. None beyond 64 bits.
    pub fn close(
        self,
        earned: Rao,
        period: Period,
        terms: &PayoutTerms,
    ) -> Option<(Self, Option<Payout>)> {
        let account = match period {
            Period::Frozen => Self { frozen: self.frozen.plus(earned)?, ..self },
            Period::Green => {
                let pending = self.pending.plus(self.frozen)?.plus(earned)?;
                Self { pending, frozen: Rao::ZERO }
            }
        };
        let gross = account.pending;
        let due = period == Period::Green && gross >= terms.minimum && gross > terms.fee;
        let net = gross.minus(terms.fee).filter(|_| due);
        Some(match net {
            Some(net) => {
                let payout = Payout { gross, fee: terms.fee, net };
                (Self { pending: Rao::ZERO, ..account }, Some(payout))
            }
            None => (account, None),
        })
    }
}

#[cfg(test)]
#[path = "formula_tests.rs"]
mod tests;
