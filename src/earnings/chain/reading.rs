//! What one look at the chain says: each fact with its value, or with the one reason why it has none.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::address::{Account, BlockRef, Place};
use crate::earnings::{Exact, Rao};

/// Whom the chain is asked about. The node is told these addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The key that works.
    pub hotkey: Option<Account>,
    /// The address that is paid.
    pub coldkey: Option<Account>,
}

/// A value, or why there is none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact<T> {
    /// What the chain says.
    Known(T),
    /// Why it says nothing.
    Unknown(Unknown),
}

impl<T> Fact<T> {
    /// The value, if there is one.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    /// The same of another value.
    pub fn map<U>(self, of: impl FnOnce(T) -> U) -> Fact<U> {
        match self {
            Self::Known(value) => Fact::Known(of(value)),
            Self::Unknown(why) => Fact::Unknown(why),
        }
    }

    /// Of two facts one, if both are known; else the first reason.
    pub fn with<U, V>(self, other: Fact<U>, of: impl FnOnce(T, U) -> Fact<V>) -> Fact<V> {
        match (self, other) {
            (Self::Known(one), Fact::Known(two)) => of(one, two),
            (Self::Unknown(why), _) | (_, Fact::Unknown(why)) => Fact::Unknown(why),
        }
    }
}

/// Why a fact has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "snake_case")]
pub enum Unknown {
    /// No address was given for it.
    #[error("not asked: no {what} was given")]
    NotAsked {
        /// Which address is missing.
        what: String,
    },
    /// It is a fact about registered hotkeys.
    #[error("the hotkey is not registered")]
    NotRegistered,
    /// The chain has no such storage.
    #[error("this chain has no {storage}")]
    NotInMetadata {
        /// The pallet and its storage.
        storage: String,
    },
    /// There is nothing under this name.
    #[error("{storage} holds nothing for it")]
    Absent {
        /// The pallet and its storage.
        storage: String,
    },
    /// There is more of it than is read.
    #[error("{storage} holds more than this version reads")]
    TooMany {
        /// The pallet and its storage.
        storage: String,
    },
    /// What is there has another form than expected.
    #[error("{storage} holds something that this version cannot read")]
    Undecodable {
        /// The pallet and its storage.
        storage: String,
    },
}

/// Whether a hotkey has a place on the subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// It has.
    Registered {
        /// Its place.
        uid: u16,
    },
    /// It has not.
    NotRegistered,
}

/// What the subnet's pool holds. Its ratio is the price of alpha in TAO.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// TAO in it.
    pub tao: Rao,
    /// Alpha in it.
    pub alpha: Rao,
}

impl Pool {
    /// TAO for one alpha, without fee and for an amount that moves nothing; none for an empty pool.
    pub fn price(&self) -> Option<Exact> {
        Exact::ratio(self.tao.0, self.alpha.0)
    }
}

/// One look at the chain: all of it as of one final block.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// Which chain and subnet.
    pub place: Place,
    /// Whom it was asked about.
    pub asked: Asked,
    /// The newest final block of the node that was asked.
    pub block: BlockRef,
    /// Version of the chain's runtime at that block.
    pub runtime: u32,
    /// When that block was made, in seconds since 1970 (`Timestamp.Now`).
    pub block_time: Fact<u64>,
    /// When it was read, in seconds since 1970.
    pub read_at: u64,
    /// Whether the hotkey is registered (`Uids`).
    pub registration: Fact<Registration>,
    /// The coldkey that owns the hotkey (`Owner`).
    pub owner: Fact<Account>,
    /// Blocks until it may lose its place to a newcomer; 0 where it may now (`BlockAtRegistration`,
    /// `ImmunityPeriod`).
    pub immunity_left: Fact<u64>,
    /// Its share of the subnet's incentive in the last tempo, from 0 to 1 (`Incentive` over 65535).
    pub incentive: Fact<Exact>,
    /// Alpha that it got in the last tempo (`Emission`).
    pub emission: Fact<Rao>,
    /// Alpha of everybody on the hotkey (`TotalHotkeyAlpha`).
    pub hotkey_alpha: Fact<Rao>,
    /// Alpha of the coldkey on the hotkey: its part of the line above by its shares (`Alpha` over
    /// `TotalHotkeyShares`, or their successors `AlphaV2` and `TotalHotkeySharesV2`), rounded down.
    pub stake: Fact<Rao>,
    /// Alpha of the coldkey on this subnet, on whichever hotkeys it is (those of `StakingHotkeys`, and the
    /// hotkey that was asked about), each counted as the line above.
    pub coldkey_alpha: Fact<Rao>,
    /// TAO that the coldkey holds and can spend (`System.Account`, free).
    pub free: Fact<Rao>,
    /// The subnet's pool (`SubnetTAO`, `SubnetAlphaIn`).
    pub pool: Fact<Pool>,
    /// TAO that a registration costs now (`Burn`).
    pub burn: Fact<Rao>,
    /// Blocks between two settlements (`Tempo`).
    pub tempo: Fact<u64>,
    /// Alpha that the subnet gives out with each block (`SubnetAlphaOutEmission`).
    pub subnet_emission: Fact<Rao>,
}

impl Reading {
    /// How old the block was when it was read.
    pub fn block_age(&self) -> Option<Duration> {
        let made = self.block_time.known()?;
        Some(Duration::from_secs(self.read_at.saturating_sub(*made)))
    }
}

/// A reading, and what became of earlier ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The reading.
    pub reading: Reading,
    /// Blocks of earlier readings that are not on the chain any more, oldest first.
    pub gone: Vec<BlockRef>,
}
