//! What a network publishes of its pay: for each epoch the scores and the losses it was reckoned from,
//! and what came of them. A practice swarm publishes it at [`PATH`]; anybody can do the sums again.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::exact::Exact;
use super::formula::{Account, Payout, PayoutTerms, Period, ScoresError, split, weights};
use super::money::{Rao, Unit};
use crate::protocol::messages::SubnetScores;

/// Where it is, below the orchestrator's address. `?after=N` leaves out the epochs up to N.
pub const PATH: &str = "/public/pay";
/// The form of what is there.
pub const VERSION: u32 = 1;

/// What a network pays, and paid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PublicPay {
    /// Form of this object.
    pub version: u32,
    /// When it was made, Unix seconds.
    pub at: u64,
    /// Run id.
    pub run: String,
    /// When the run began, Unix seconds: another run may have the same name.
    pub since: u64,
    /// What is paid in.
    pub unit: Unit,
    /// What a score counts, in words.
    pub score: String,
    /// The rules by which it pays.
    pub terms: Terms,
    /// Epochs that were closed, the oldest first.
    pub epochs: Vec<PaidEpoch>,
}

/// The rules by which a network pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// What an epoch's miners share, with what is burnt.
    pub emission: Rao,
    /// When it is paid out.
    #[serde(flatten)]
    pub payout: PayoutTerms,
}

/// One epoch: what was done in it, and what was paid for that.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaidEpoch {
    /// Which one, from 1.
    pub epoch: u64,
    /// When its last merge was over, Unix seconds.
    pub closed_at: u64,
    /// Mean of the losses of the epoch; none if there was none.
    pub loss: Option<f64>,
    /// The lowest such mean of all epochs before.
    pub lowest_before: Option<f64>,
    /// What follows from the two.
    pub period: Period,
    /// The scores.
    pub scores: SubnetScores,
    /// What nobody gets.
    pub burned: Rao,
    /// Whoever has a score or is owed something.
    pub miners: Vec<PaidMiner>,
}

/// One miner's epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PaidMiner {
    /// Its address.
    pub hotkey: String,
    /// Its stage; none if it was not there any more.
    pub stage: Option<usize>,
    /// Backwards that were accepted.
    pub backwards: u64,
    /// Partitions that were accepted.
    pub partitions: u64,
    /// Whether its weights came in time.
    pub submitted: bool,
    /// Whether it had to wait for the next epoch.
    pub benched: bool,
    /// Where it is paid; none if it named no address: then it is owed nothing.
    pub paid_to: Option<String>,
    /// Its part of this epoch.
    pub earned: Rao,
    /// What it is owed when the epoch is closed.
    pub account: Account,
    /// What was paid.
    pub payout: Option<Payout>,
}

/// Why an epoch cannot be paid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PayError {
    /// The scores make no sense.
    #[error(transparent)]
    Scores(#[from] ScoresError),
    /// More than 64 bits of rao.
    #[error("an amount is beyond 18 billion units")]
    TooMuch,
}

/// What one miner gets of an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Its part of the emission.
    pub earned: Rao,
    /// What it is owed afterwards.
    pub account: Account,
    /// What is paid.
    pub payout: Option<Payout>,
}

/// Pays an epoch: from the scores, by the terms. `owed` is what each was owed before, and `paid` says who
/// has an address to be paid at; the others' parts are burnt. Gives the shares of all that have a score
/// or are owed something, and what is burnt.
pub fn pay(
    scores: &SubnetScores,
    terms: &Terms,
    period: Period,
    owed: &BTreeMap<String, Account>,
    paid: impl Fn(&str) -> bool,
) -> Result<(BTreeMap<String, Share>, Rao), PayError> {
    let mut weight: BTreeMap<String, Exact> = BTreeMap::new();
    for miner in weights(scores)?.miners {
        let sum = weight.entry(miner.hotkey).or_insert_with(Exact::zero);
        *sum = sum.clone() + miner.walk.weight;
    }
    let mut burned = terms.emission;
    let mut shares = BTreeMap::new();
    let (parts, _) = split(terms.emission, weight.values()).ok_or(PayError::TooMuch)?;
    let scored = weight.into_keys().zip(parts);
    let rest = owed.keys().map(|hotkey| (hotkey.clone(), Rao::ZERO));
    for (hotkey, part) in scored.chain(rest) {
        if shares.contains_key(&hotkey) {
            continue;
        }
        let earned = if paid(&hotkey) { part } else { Rao::ZERO };
        burned = burned.minus(earned).ok_or(PayError::TooMuch)?;
        let before = owed.get(&hotkey).copied().unwrap_or_default();
        let closed = before.close(earned, period, &terms.payout);
        let (account, payout) = closed.ok_or(PayError::TooMuch)?;
        shares.insert(hotkey, Share { earned, account, payout });
    }
    Ok((shares, burned))
}

impl PaidEpoch {
    /// The first thing in which it differs from what its own scores come to, given what was owed before;
    /// none if it is right to the rao.
    pub fn disagreement(
        &self,
        terms: &Terms,
        owed: &BTreeMap<String, Account>,
    ) -> Option<Disagreement> {
        let period = Period::of(self.loss, self.lowest_before);
        if period != self.period {
            return Some(Disagreement::Period { published: self.period, reckoned: period });
        }
        let paid = |hotkey: &str| {
            self.miners.iter().any(|miner| miner.hotkey == hotkey && miner.paid_to.is_some())
        };
        let (shares, burned) = match pay(&self.scores, terms, period, owed, paid) {
            Ok(reckoned) => reckoned,
            Err(error) => return Some(Disagreement::Unpayable(error)),
        };
        if burned != self.burned {
            return Some(Disagreement::Burned { published: self.burned, reckoned: burned });
        }
        let differs = |miner: &&PaidMiner| {
            let published =
                Share { earned: miner.earned, account: miner.account, payout: miner.payout };
            shares.get(&miner.hotkey) != Some(&published)
        };
        if let Some(miner) = self.miners.iter().find(differs) {
            return Some(Disagreement::Miner { hotkey: miner.hotkey.clone() });
        }
        let listed = |hotkey: &String| self.miners.iter().any(|miner| miner.hotkey == *hotkey);
        let missing = shares.into_keys().find(|hotkey| !listed(hotkey));
        missing.map(|hotkey| Disagreement::Miner { hotkey })
    }

    /// What is owed after it.
    pub fn owed(&self) -> BTreeMap<String, Account> {
        let owed = self.miners.iter().filter(|miner| miner.account != Account::default());
        owed.map(|miner| (miner.hotkey.clone(), miner.account)).collect()
    }
}

/// In what a published epoch is not what its own scores come to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Disagreement {
    /// Whether it counts at once.
    #[error("it is published as {published:?}, and by its losses it is {reckoned:?}")]
    Period {
        /// As published.
        published: Period,
        /// As reckoned.
        reckoned: Period,
    },
    /// What nobody gets.
    #[error("{published} is published as burnt, and by its scores it is {reckoned}")]
    Burned {
        /// As published.
        published: Rao,
        /// As reckoned.
        reckoned: Rao,
    },
    /// One miner's part.
    #[error("what is published of {hotkey} is not what the scores come to")]
    Miner {
        /// Whose.
        hotkey: String,
    },
    /// The scores make no sense.
    #[error(transparent)]
    Unpayable(PayError),
}

#[cfg(test)]
#[path = "published_tests.rs"]
mod tests;
