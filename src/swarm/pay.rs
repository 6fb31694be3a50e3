//! What a practice swarm pays: practice points, by the same formulas as the network (spec 10.2), an epoch
//! at a time. They are worth nothing; how they come about can be looked at.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::run::{Closed, ClosedMiner, Entry};
use crate::earnings::formula::{Account, PayoutTerms, Period, weights};
use crate::earnings::money::{RAO, Rao, Unit};
use crate::earnings::published::{
    PaidEpoch, PaidMiner, PayError, PublicPay, Share, Terms, VERSION, pay,
};
use crate::protocol::messages::{MinerScore, RunIncentiveAllocation, SubnetScores};
use crate::protocol::{Hotkey, RunId};

/// Epochs whose pay can be looked at; of older ones only what is still owed is known.
pub const KEPT: usize = 256;
/// What a score counts.
const SCORE: &str = "accepted backwards plus merged partitions of the epoch";

/// By which rules a practice swarm pays.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PayRules {
    /// What an epoch's miners share, in rao of a practice point, with what is burnt.
    pub emission: Rao,
    /// The share that is burnt, 0 to 1.
    #[serde(deserialize_with = "share")]
    pub burn: f64,
    /// Less than this is not paid out, in rao.
    pub minimum: Rao,
    /// What a transfer costs, in rao.
    pub fee: Rao,
}

impl Default for PayRules {
    fn default() -> Self {
        // With six miners each waits some epochs for the minimum, as it does on the network.
        Self { emission: Rao(RAO), burn: 0.1, minimum: Rao(RAO * 4 / 10), fee: Rao(RAO / 1000) }
    }
}

impl PayRules {
    fn terms(&self) -> Terms {
        let payout = PayoutTerms { minimum: self.minimum, fee: self.fee };
        Terms { emission: self.emission, payout }
    }
}

fn share<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(from)?;
    if (0.0..=1.0).contains(&value) {
        return Ok(value);
    }
    Err(serde::de::Error::custom(format!("burn = {value}: a share lies between 0 and 1")))
}

/// Who is owed what, and what was paid for the last epochs.
#[derive(Debug, Default)]
pub struct PayBook {
    run: RunId,
    since: Duration,
    rules: PayRules,
    epochs: VecDeque<PaidEpoch>,
    payees: BTreeMap<String, String>,
}

/// What the books know of earlier pay.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RestoredPay {
    /// When the run began.
    pub since: Duration,
    /// Epochs as they were paid, the oldest first; JSON.
    pub epochs: Vec<String>,
    /// Address and where it is paid.
    pub payees: Vec<(String, String)>,
}

impl PayBook {
    /// The pay of a run that goes on from `restored`.
    pub fn new(run: RunId, rules: PayRules, restored: RestoredPay) -> Self {
        let read = |text: &String| match serde_json::from_str(text) {
            Ok(epoch) => Some(epoch),
            Err(error) => {
                tracing::warn!(%error, "an epoch's pay in the books cannot be read");
                None
            }
        };
        let epochs = restored.epochs.iter().filter_map(read).collect();
        let since = restored.since;
        Self { run, since, rules, epochs, payees: restored.payees.into_iter().collect() }
    }

    /// Where a miner is paid from now on.
    pub fn name_payee(&mut self, hotkey: &Hotkey, address: String) -> Entry {
        self.payees.insert(hotkey.to_string(), address.clone());
        Entry::Payout { hotkey: hotkey.clone(), coldkey: address }
    }

    /// Pays an epoch: gives what goes into the books.
    ///
    /// # Errors
    /// The rules name amounts that no epoch can be paid by.
    pub fn close(&mut self, closed: Closed, unix: Duration) -> Result<Entry, PayError> {
        let scores = self.scores_of(&closed.miners)?;
        let lowest_before = self.lowest();
        let period = Period::of(closed.loss, lowest_before);
        let payees = &self.payees;
        let named = |hotkey: &str| payees.contains_key(hotkey);
        let owed = self.owed();
        let (shares, burned) = pay(&scores, &self.rules.terms(), period, &owed, named)?;
        let miners = shares.into_iter().map(|(hotkey, share)| {
            let did = closed.miners.iter().find(|miner| miner.hotkey.as_str() == hotkey);
            let paid_to = self.payees.get(&hotkey).cloned();
            paid_miner(hotkey, paid_to, did, share)
        });
        let paid = PaidEpoch {
            epoch: closed.epoch,
            closed_at: unix.as_secs(),
            loss: closed.loss,
            lowest_before,
            period,
            scores,
            burned,
            miners: miners.collect(),
        };
        // Numbers and words: it always serialises.
        let record = serde_json::to_string(&paid).unwrap_or_default();
        self.epochs.push_back(paid);
        while self.epochs.len() > KEPT {
            self.epochs.pop_front();
        }
        Ok(Entry::Paid { epoch: closed.epoch, record })
    }

    fn owed(&self) -> BTreeMap<String, Account> {
        self.epochs.back().map(PaidEpoch::owed).unwrap_or_default()
    }

    fn lowest(&self) -> Option<f64> {
        let last = self.epochs.back()?;
        last.loss.into_iter().chain(last.lowest_before).reduce(f64::min)
    }

    /// The scores of an epoch as a validator would be told them (spec 10.2).
    fn scores_of(&self, miners: &[ClosedMiner]) -> Result<SubnetScores, PayError> {
        let score = |miner: &ClosedMiner| {
            let raw = miner.score() as f64;
            MinerScore {
                uid: None,
                hotkey: miner.hotkey.to_string(),
                coldkey: self.payees.get(miner.hotkey.as_str()).cloned(),
                run_id: Some(self.run.clone()),
                raw_score: raw,
                total_score: raw,
                run_weight: None,
                weight: None,
            }
        };
        let allocation = RunIncentiveAllocation {
            run_id: self.run.clone(),
            incentive_weight: 1.0,
            burn_factor: self.rules.burn,
            active_weight_fraction: 1.0,
        };
        let mut scores = SubnetScores {
            miner_scores: miners.iter().map(score).collect(),
            runs: vec![allocation],
            active_runs: vec![self.run.clone()],
            provider_pool_metadata: serde_json::Map::new(),
            burn_factor: self.rules.burn,
        };
        let reckoned = weights(&scores)?;
        for (score, miner) in scores.miner_scores.iter_mut().zip(reckoned.miners) {
            score.run_weight = Some(miner.walk.share.to_double());
            score.weight = Some(miner.walk.weight.to_double());
        }
        scores.burn_factor = reckoned.burned.to_double();
        Ok(scores)
    }

    /// The scores of the last epoch; of a new run, none.
    pub fn scores(&self) -> SubnetScores {
        let last = self.epochs.back().map(|epoch| epoch.scores.clone());
        last.or_else(|| self.scores_of(&[]).ok()).unwrap_or_else(|| SubnetScores {
            miner_scores: Vec::new(),
            runs: Vec::new(),
            active_runs: Vec::new(),
            provider_pool_metadata: serde_json::Map::new(),
            burn_factor: 1.0,
        })
    }

    /// What anybody may see of the epochs after `after`.
    pub fn public(&self, after: u64, unix: Duration) -> PublicPay {
        PublicPay {
            version: VERSION,
            at: unix.as_secs(),
            run: self.run.to_string(),
            since: self.since.as_secs(),
            unit: Unit::Points,
            score: SCORE.to_owned(),
            terms: self.rules.terms(),
            epochs: self.epochs.iter().filter(|paid| paid.epoch > after).cloned().collect(),
        }
    }
}

fn paid_miner(
    hotkey: String,
    paid_to: Option<String>,
    did: Option<&ClosedMiner>,
    share: Share,
) -> PaidMiner {
    PaidMiner {
        stage: did.map(|miner| miner.stage),
        backwards: did.map_or(0, |miner| miner.backwards),
        partitions: did.map_or(0, |miner| miner.partitions),
        submitted: did.is_some_and(|miner| miner.submitted),
        benched: did.is_some_and(|miner| miner.benched),
        hotkey,
        paid_to,
        earned: share.earned,
        account: share.account,
        payout: share.payout,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn miner(n: u8, backwards: u64, partitions: u64) -> ClosedMiner {
        ClosedMiner {
            hotkey: Hotkey::from_public_key(&[n; 32]),
            stage: 0,
            backwards,
            partitions,
            submitted: true,
            benched: false,
        }
    }

    fn closed(epoch: u64, loss: f64) -> Closed {
        let miners = vec![miner(1, 6, 3), miner(2, 2, 1), miner(3, 0, 0)];
        Closed { epoch, loss: Some(loss), miners }
    }

    #[test]
    fn an_epoch_is_paid_restored_and_can_be_reckoned_again() {
        let mut book = PayBook::new("r".into(), PayRules::default(), RestoredPay::default());
        for n in [1, 2] {
            let hotkey = Hotkey::from_public_key(&[n; 32]);
            book.name_payee(&hotkey, hotkey.to_string());
        }
        let mut kept = RestoredPay::default();
        for (epoch, loss) in [(1, 7.0), (2, 7.5), (3, 6.0)] {
            let entry = book.close(closed(epoch, loss), Duration::from_secs(epoch)).unwrap();
            let Entry::Paid { record, .. } = entry else { panic!("{entry:?}") };
            kept.epochs.push(record);
        }
        kept.payees = book.payees.clone().into_iter().collect();
        let public = book.public(0, Duration::from_secs(9));
        let periods: Vec<Period> = public.epochs.iter().map(|epoch| epoch.period).collect();
        assert_eq!(periods, [Period::Green, Period::Frozen, Period::Green]);
        let mut owed = BTreeMap::new();
        for epoch in &public.epochs {
            assert_eq!(epoch.disagreement(&public.terms, &owed), None, "epoch {}", epoch.epoch);
            owed = epoch.owed();
        }
        // 9 of 12 and 3 of 12 of 0.9 points, three times; the third epoch thaws the second.
        let of = |n: u8| Hotkey::from_public_key(&[n; 32]).to_string();
        let last = |n: u8| public.epochs[2].miners.iter().find(|m| m.hotkey == of(n)).unwrap();
        assert_eq!(public.epochs[0].miners[0].earned.0 % 225_000_000, 0);
        assert_eq!(
            last(1).payout.unwrap().gross,
            Rao(2 * 675_000_000),
            "the first was paid at once"
        );
        assert_eq!(last(2).payout.unwrap().gross, Rao(3 * 225_000_000), "rolled over twice");
        assert_eq!(last(3).paid_to, None);
        assert_eq!(public.epochs[2].burned, Rao(100_000_000));

        let again = PayBook::new("r".into(), PayRules::default(), kept);
        assert_eq!(again.public(0, Duration::from_secs(9)), public);
        assert_eq!(again.public(2, Duration::from_secs(9)).epochs.len(), 1);
        assert_eq!(again.scores(), public.epochs[2].scores);
    }

    #[test]
    fn old_epochs_are_forgotten_and_what_is_owed_is_not() {
        let rules = PayRules { minimum: Rao(u64::MAX), ..PayRules::default() };
        let mut book = PayBook::new("r".into(), rules, RestoredPay::default());
        let hotkey = Hotkey::from_public_key(&[1; 32]);
        book.name_payee(&hotkey, hotkey.to_string());
        let count = KEPT as u64 + 44;
        for epoch in 1..=count {
            book.close(closed(epoch, 1e6 - epoch as f64), Duration::ZERO).unwrap();
        }
        let public = book.public(0, Duration::ZERO);
        assert_eq!((public.epochs.len(), public.epochs[0].epoch), (KEPT, 45));
        let owed = book.owed()[hotkey.as_str()];
        assert_eq!(owed.pending, Rao(count * 675_000_000));
    }

    #[test]
    fn a_burn_that_is_no_share_is_refused() {
        assert!(toml::from_str::<PayRules>("burn = 0.5").is_ok());
        for text in ["burn = 1.5", "burn = -0.1", "burn = nan", "emission = -1", "fees = 1"] {
            assert!(toml::from_str::<PayRules>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_run_that_paid_nothing_yet_says_so() {
        let book = PayBook::new("r".into(), PayRules::default(), RestoredPay::default());
        assert!(book.public(0, Duration::ZERO).epochs.is_empty());
        assert_eq!(book.scores().miner_scores, []);
        assert_eq!(book.scores().burn_factor, 1.0, "all is burnt while nobody has a score");
    }
}
