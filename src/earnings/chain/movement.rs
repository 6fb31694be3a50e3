//! What changed at an address between two readings: the only sign of a payout that the chain gives
//! without reading every block. It says that something came or went, never from whom or why: a transfer
//! of the user's own looks the same. It belongs to the address, so two miners with one coldkey share it.

use serde::{Deserialize, Serialize};

use super::address::{Account, BlockRef};
use super::reading::{Fact, Reading};
use crate::earnings::{Amount, Rao, Unit};

/// What may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holding {
    /// TAO that an address can spend.
    FreeBalance,
    /// Alpha of a coldkey on the subnet, on whichever hotkeys.
    Stake,
}

impl Holding {
    /// Where the evidence comes from, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::FreeBalance => "change of balance at the payout address",
            Self::Stake => "change of stake at the payout address",
        }
    }

    /// What it is counted in.
    pub fn unit(self) -> Unit {
        match self {
            Self::FreeBalance => Unit::Tao,
            Self::Stake => Unit::Alpha,
        }
    }
}

/// A holding that is not what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Movement {
    /// Which holding.
    pub what: Holding,
    /// Whose: the coldkey.
    pub address: Account,
    /// How much it was.
    pub before: Rao,
    /// How much it is.
    pub after: Rao,
    /// The block of the older reading.
    pub from: BlockRef,
    /// The block of the newer one: it happened after the older and not after this.
    pub to: BlockRef,
}

impl Movement {
    /// What came; none where something went.
    pub fn gain(&self) -> Option<Amount> {
        let rao = self.after.minus(self.before)?;
        (rao > Rao::ZERO).then_some(Amount { rao, unit: self.what.unit() })
    }

    /// What happened, in a line. It never says that it was a payout: that cannot be seen.
    pub fn words(&self) -> String {
        let what = match self.what {
            Holding::FreeBalance => "the balance of the payout address",
            Holding::Stake => "the stake of the payout address",
        };
        let (word, amount) = match (self.gain(), self.loss()) {
            (Some(gain), _) => ("grew", gain),
            (None, Some(loss)) => ("fell", loss),
            (None, None) => return format!("{what} stayed the same"),
        };
        let (from, to) = (self.from.number, self.to.number);
        format!(
            "{what} {word} by {amount} between blocks {from} and {to}; the chain does not say why"
        )
    }

    /// What went; none where something came.
    pub fn loss(&self) -> Option<Amount> {
        let rao = self.before.minus(self.after)?;
        (rao > Rao::ZERO).then_some(Amount { rao, unit: self.what.unit() })
    }
}

/// What changed from `older` to `newer`. Nothing is said of two readings that are not of the same chain,
/// subnet and addresses, in the wrong order, or without the value in both.
pub fn movements(older: &Reading, newer: &Reading) -> Vec<Movement> {
    let same = older.place == newer.place && older.asked == newer.asked;
    if !same || newer.block.number <= older.block.number {
        return Vec::new();
    }
    let Some(address) = newer.asked.coldkey else { return Vec::new() };
    let moved = |what, older_value: &Fact<Rao>, newer_value: &Fact<Rao>| {
        let (before, after) = (*older_value.known()?, *newer_value.known()?);
        (before != after).then_some(Movement {
            what,
            address,
            before,
            after,
            from: older.block,
            to: newer.block,
        })
    };
    [
        moved(Holding::FreeBalance, &older.free, &newer.free),
        moved(Holding::Stake, &older.coldkey_alpha, &newer.coldkey_alpha),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::earnings::chain::reading::{Asked, Unknown};
    use crate::earnings::chain::{BlockHash, Place};

    fn reading(block: u64, free: Option<u64>, stake: Option<u64>) -> Reading {
        let fact = |value: Option<u64>| {
            value.map_or(Fact::Unknown(Unknown::NotRegistered), |rao| Fact::Known(Rao(rao)))
        };
        Reading {
            place: Place { genesis: BlockHash([1; 32]), netuid: 9 },
            asked: Asked { hotkey: Some(Account([2; 32])), coldkey: Some(Account([3; 32])) },
            block: BlockRef { number: block, hash: BlockHash([4; 32]) },
            runtime: 1,
            block_time: Fact::Known(0),
            read_at: 0,
            registration: Fact::Unknown(Unknown::NotRegistered),
            owner: Fact::Unknown(Unknown::NotRegistered),
            immunity_left: Fact::Unknown(Unknown::NotRegistered),
            incentive: Fact::Unknown(Unknown::NotRegistered),
            emission: Fact::Unknown(Unknown::NotRegistered),
            hotkey_alpha: fact(None),
            stake: fact(None),
            coldkey_alpha: fact(stake),
            free: fact(free),
            pool: Fact::Unknown(Unknown::NotRegistered),
            burn: fact(None),
            tempo: Fact::Unknown(Unknown::NotRegistered),
            subnet_emission: fact(None),
        }
    }

    #[test]
    fn what_came_and_what_went_is_told_to_the_rao() {
        let older = reading(10, Some(500), Some(1_000_000_000));
        let newer = reading(20, Some(499), Some(1_400_000_001));
        let all = movements(&older, &newer);
        assert_eq!(all.len(), 2);
        let (free, stake) = (&all[0], &all[1]);
        assert_eq!((free.what, free.address), (Holding::FreeBalance, Account([3; 32])));
        assert_eq!(free.loss().unwrap().to_string(), "0.000000001 TAO");
        assert_eq!(free.gain(), None);
        assert_eq!((stake.what, stake.address), (Holding::Stake, Account([3; 32])));
        assert_eq!(stake.gain().unwrap().to_string(), "0.400000001 alpha");
        assert_eq!((stake.from.number, stake.to.number), (10, 20));
        let text = serde_json::to_string(stake).unwrap();
        assert_eq!(serde_json::from_str::<Movement>(&text).unwrap(), *stake);
    }

    #[test]
    fn nothing_is_made_of_readings_that_cannot_be_compared() {
        let older = reading(10, Some(1), Some(1));
        assert_eq!(movements(&older, &reading(20, Some(1), Some(1))), []);
        assert_eq!(movements(&older, &reading(20, None, None)), [], "not known now");
        assert_eq!(movements(&reading(10, None, None), &reading(20, Some(9), Some(9))), []);
        assert_eq!(movements(&reading(20, Some(9), Some(9)), &older), [], "the wrong order");
        let mut other = reading(20, Some(9), Some(9));
        other.asked.hotkey = Some(Account([9; 32]));
        assert_eq!(movements(&older, &other), [], "another hotkey");
        let mut other = reading(20, Some(9), Some(9));
        other.place.genesis = BlockHash([9; 32]);
        assert_eq!(movements(&older, &other), [], "another chain");
    }
}
