//! The rules of pay that no server publishes, each with the day since when it holds and with where it is
//! known from. They change; the file's `[earnings]` table overrides each.

use serde::Serialize;

use super::exact::Exact;
use super::formula::{Emission, PayoutTerms};
use super::ledger::At;
use super::money::Rao;
use crate::config::earnings::EarningsTable;

/// A rule, since when it holds and who says so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dated<T> {
    /// The rule.
    pub value: T,
    /// The day since when it holds or was seen: `2026-02-13`.
    pub since: &'static str,
    /// Who says so.
    pub source: &'static str,
}

impl<T> Dated<T> {
    /// In a few words, to stand behind a figure.
    pub fn origin(&self) -> String {
        match self.since {
            "" => self.source.to_owned(),
            since => format!("{}, since {since}", self.source),
        }
    }
}

/// What the user wrote.
const OVERRIDDEN: &str = "your [earnings] setting";
/// The guide for those who train at home.
const GUIDE: &str = "the network's guide for training at home";
/// The chain's own rules.
const CHAIN: &str = "the chain's rules for subnets";
/// The open code of the network's validators.
const VALIDATORS: &str = "the validators' open code";

/// The payout minimum's history: Unix seconds, the day, and how much.
const MINIMA: [(u64, &str, u64); 2] =
    [(0, "before 2026-02-13", 2_000_000_000), (1_770_940_800, "2026-02-13", 400_000_000)];

/// All of them, as they hold at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PayRules {
    /// Less than this is not paid out, it rolls over.
    pub minimum: Dated<Rao>,
    /// What a transfer costs; none where nobody says.
    pub fee: Option<Dated<Rao>>,
    /// What the subnet's miners are given.
    pub emission: Dated<Emission>,
    /// The share that is burnt where nobody publishes it.
    pub fallback_burn: Dated<Exact>,
    /// Hours between two payouts.
    pub every_hours: Dated<Exact>,
}

impl PayRules {
    /// The rules at `at`, with what the user overrides.
    pub fn at(at: At, table: &EarningsTable) -> Self {
        let given = |name: &str| table.get(name).and_then(|text| text.parse::<Exact>().ok());
        let mine = |value: Exact| Dated { value, since: "", source: OVERRIDDEN };
        let known = |value: Option<Exact>, since, source| Dated {
            value: value.unwrap_or_else(Exact::zero),
            since,
            source,
        };
        let rao = |dated: Dated<Exact>| Dated {
            value: Rao::of_units(&dated.value).unwrap_or(Rao(u64::MAX)),
            since: dated.since,
            source: dated.source,
        };
        let seconds = at.0 / 1000;
        let minimum = MINIMA.into_iter().rev().find(|(from, ..)| *from <= seconds);
        let minimum =
            minimum.map(|(_, since, rao)| Dated { value: Rao(rao), since, source: GUIDE });
        let minimum = given("payout_minimum").map(|value| rao(mine(value))).or(minimum);
        let share = given("miners_share");
        let (blocks, alpha) = (given("blocks_per_day"), given("alpha_per_block"));
        let overridden = share.is_some() || blocks.is_some() || alpha.is_some();
        let emission = Emission {
            blocks_per_day: blocks.and_then(|blocks| blocks.floor()).unwrap_or(7200),
            alpha_per_block: alpha.unwrap_or_else(Exact::one),
            miners_share: share.or_else(|| Exact::ratio(41, 100)).unwrap_or_else(Exact::zero),
        };
        let (since, source) = if overridden { ("", OVERRIDDEN) } else { ("2025-02-13", CHAIN) };
        Self {
            minimum: minimum.unwrap_or(Dated { value: Rao::ZERO, since: "", source: GUIDE }),
            fee: given("transfer_fee").map(|value| rao(mine(value))),
            emission: Dated { value: emission, since, source },
            fallback_burn: given("fallback_burn")
                .map_or_else(|| known(Exact::ratio(4, 5), "2025-07", VALIDATORS), mine),
            every_hours: given("payout_hours")
                .map_or_else(|| known(Some(Exact::from(24)), "2026-02-13", GUIDE), mine),
        }
    }

    /// When and how an entitlement is paid out. A fee that nobody knows counts as nothing here, and is
    /// shown as unknown.
    pub fn terms(&self) -> PayoutTerms {
        let fee = self.fee.as_ref().map_or(Rao::ZERO, |fee| fee.value);
        PayoutTerms { minimum: self.minimum.value, fee }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> At {
        let time: jiff::Timestamp = text.parse().unwrap();
        At(u64::try_from(time.as_millisecond()).unwrap())
    }

    #[test]
    fn the_minimum_is_the_one_of_the_day() {
        let none = EarningsTable::default();
        let minimum = |text| PayRules::at(at(text), &none).minimum;
        assert_eq!(minimum("2026-02-12T23:59:59Z").value, Rao(2_000_000_000));
        let now = minimum("2026-02-13T00:00:00Z");
        assert_eq!(now.value, Rao(400_000_000));
        assert_eq!(now.origin(), "the network's guide for training at home, since 2026-02-13");
    }

    #[test]
    fn the_user_knows_better() {
        let table = "payout_minimum = 0.5\ntransfer_fee = 0.001\nalpha_per_block = \"0.5\"";
        let table = EarningsTable::read(&table.parse().unwrap()).unwrap();
        let rules = PayRules::at(at("2026-08-01T00:00:00Z"), &table);
        let terms = rules.terms();
        assert_eq!((terms.minimum, terms.fee), (Rao(500_000_000), Rao(1_000_000)));
        assert_eq!(rules.minimum.origin(), OVERRIDDEN);
        // 7200 blocks x 0.5 x 0.41 x a hundredth.
        let day = rules.emission.value.a_day(&Exact::ratio(1, 100).unwrap());
        assert_eq!(day, "14.76".parse().unwrap());
        assert_eq!(PayRules::at(At(0), &EarningsTable::default()).fee, None);
    }
}
