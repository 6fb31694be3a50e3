//! Amounts: whole numbers of rao, each with what it is a rao of. Practice points are a unit of their
//! own, so that they can be added to nothing that is money.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::exact::Exact;

/// Rao in one alpha, one TAO or one practice point.
pub const RAO: u64 = 1_000_000_000;

/// What is paid in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// The subnet's token.
    Alpha,
    /// The chain's token.
    Tao,
    /// What a practice swarm pays: it is worth nothing.
    Points,
}

impl Unit {
    /// Its word, as it is stored.
    pub fn word(self) -> &'static str {
        match self {
            Self::Alpha => "alpha",
            Self::Tao => "tao",
            Self::Points => "points",
        }
    }

    /// The unit of a stored word.
    pub fn of(word: &str) -> Option<Self> {
        [Self::Alpha, Self::Tao, Self::Points].into_iter().find(|unit| unit.word() == word)
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Alpha => "alpha",
            Self::Tao => "TAO",
            Self::Points => "practice points",
        })
    }
}

/// A billionth of a unit. All of TAO's supply is less than 2^55 of them.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Rao(pub u64);

impl Rao {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// The sum, or none beyond 64 bits.
    pub fn plus(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, or none below zero.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The part `share` of it, rounded down; none for a negative share or beyond 64 bits.
    pub fn part(self, share: &Exact) -> Option<Self> {
        (Exact::from(self.0) * share.clone()).floor().map(Self)
    }

    /// In whole units, without rounding.
    pub fn units(self) -> Exact {
        Exact::ratio(self.0, RAO).unwrap_or_else(Exact::zero)
    }

    /// So many units, rounded down to a rao; none if that is negative or beyond 64 bits.
    pub fn of_units(units: &Exact) -> Option<Self> {
        (units.clone() * Exact::from(RAO)).floor().map(Self)
    }
}

impl fmt::Display for Rao {
    /// In units, with all nine digits: `0.400000000`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0 / RAO, self.0 % RAO)
    }
}

/// So much of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Amount {
    /// How much.
    pub rao: Rao,
    /// Of what.
    pub unit: Unit,
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rao, self.unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rao_are_shown_whole_and_never_run_over() {
        assert_eq!(Rao(400_000_000).to_string(), "0.400000000");
        assert_eq!(Rao(u64::MAX).to_string(), "18446744073.709551615");
        assert_eq!(Rao(u64::MAX).plus(Rao(1)), None);
        assert_eq!(Rao(1).minus(Rao(2)), None);
        assert_eq!(Rao(10).part(&"1/3".parse().unwrap()), Some(Rao(3)));
        assert_eq!(Rao(10).part(&"-1/3".parse().unwrap()), None);
        assert_eq!(Rao::of_units(&"0.4".parse().unwrap()), Some(Rao(400_000_000)));
        assert_eq!(Rao(400_000_000).units().to_string(), "2/5");
        let points = Amount { rao: Rao(RAO), unit: Unit::Points };
        assert_eq!(points.to_string(), "1.000000000 practice points");
    }

    #[test]
    fn every_unit_is_found_by_its_word() {
        for unit in [Unit::Alpha, Unit::Tao, Unit::Points] {
            assert_eq!(Unit::of(unit.word()), Some(unit));
            let json = serde_json::to_string(&unit).unwrap();
            assert_eq!(json, format!("\"{}\"", unit.word()));
        }
        assert_eq!(Unit::of("euro"), None);
    }
}
