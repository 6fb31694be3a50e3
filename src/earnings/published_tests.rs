//! An epoch's pay, by hand; and that any change of a published figure is noticed.

use super::*;
use crate::protocol::RunId;
use crate::protocol::messages::{MinerScore, RunIncentiveAllocation};

fn scores(of: &[(&str, f64)], burn: f64) -> SubnetScores {
    let run = RunId::from("r");
    let score = |(hotkey, raw): &(&str, f64)| MinerScore {
        uid: None,
        hotkey: (*hotkey).to_owned(),
        coldkey: None,
        run_id: Some(run.clone()),
        raw_score: *raw,
        total_score: *raw,
        run_weight: None,
        weight: None,
    };
    let allocation = RunIncentiveAllocation {
        run_id: run.clone(),
        incentive_weight: 1.0,
        burn_factor: burn,
        active_weight_fraction: 1.0,
    };
    SubnetScores {
        miner_scores: of.iter().map(score).collect(),
        runs: vec![allocation],
        active_runs: vec![run.clone()],
        provider_pool_metadata: serde_json::Map::new(),
        burn_factor: burn,
    }
}

const TERMS: Terms =
    Terms { emission: Rao(1000), payout: PayoutTerms { minimum: Rao(400), fee: Rao(7) } };

fn share(earned: u64, pending: u64, frozen: u64, payout: Option<(u64, u64, u64)>) -> Share {
    let account = Account { pending: Rao(pending), frozen: Rao(frozen) };
    let payout =
        payout.map(|(gross, fee, net)| Payout { gross: Rao(gross), fee: Rao(fee), net: Rao(net) });
    Share { earned: Rao(earned), account, payout }
}

#[test]
fn an_epoch_is_paid_by_hand() {
    // Shares 3/7, 3/7, 1/7 of 0.9 x 1000: 385.7, 385.7, 128.6. m2 named no address, m9 left and is owed.
    let scores = scores(&[("m0", 3.0), ("m1", 3.0), ("m2", 1.0)], 0.1);
    let owed = BTreeMap::from([
        ("m0".to_owned(), Account { pending: Rao(20), frozen: Rao(0) }),
        ("m9".to_owned(), Account { pending: Rao(100), frozen: Rao(300) }),
    ]);
    let paid = |hotkey: &str| hotkey != "m2";
    let (green, burned) = pay(&scores, &TERMS, Period::Green, &owed, paid).unwrap();
    assert_eq!(green["m0"], share(385, 0, 0, Some((405, 7, 398))));
    assert_eq!(green["m1"], share(385, 385, 0, None), "below the minimum");
    assert_eq!(green["m2"], share(0, 0, 0, None));
    assert_eq!(green["m9"], share(0, 0, 0, Some((400, 7, 393))), "thawed");
    assert_eq!(burned, Rao(1000 - 385 - 385));

    let (frozen, _) = pay(&scores, &TERMS, Period::Frozen, &owed, paid).unwrap();
    assert_eq!(frozen["m0"], share(385, 20, 385, None));
    assert_eq!(frozen["m9"], share(0, 100, 300, None));
}

fn published() -> (PaidEpoch, BTreeMap<String, Account>) {
    let scores = scores(&[("m0", 3.0), ("m1", 1.0)], 0.0);
    let owed = BTreeMap::new();
    let (shares, burned) = pay(&scores, &TERMS, Period::Green, &owed, |_| true).unwrap();
    let miner = |(hotkey, share): (String, Share)| PaidMiner {
        paid_to: Some(hotkey.clone()),
        hotkey,
        stage: Some(0),
        backwards: 1,
        partitions: 1,
        submitted: true,
        benched: false,
        earned: share.earned,
        account: share.account,
        payout: share.payout,
    };
    let epoch = PaidEpoch {
        epoch: 1,
        closed_at: 7,
        loss: Some(3.0),
        lowest_before: None,
        period: Period::Green,
        scores,
        burned,
        miners: shares.into_iter().map(miner).collect(),
    };
    (epoch, owed)
}

#[test]
fn a_published_epoch_agrees_with_its_scores_and_no_figure_can_be_changed() {
    let (right, owed) = published();
    assert_eq!(right.disagreement(&TERMS, &owed), None);
    let json = serde_json::to_string(&right).unwrap();
    assert_eq!(serde_json::from_str::<PaidEpoch>(&json).unwrap(), right);

    let wrong = |change: fn(&mut PaidEpoch)| {
        let mut epoch = right.clone();
        change(&mut epoch);
        epoch.disagreement(&TERMS, &owed)
    };
    assert!(matches!(wrong(|e| e.loss = None), Some(Disagreement::Period { .. })));
    assert!(matches!(wrong(|e| e.burned = Rao(1)), Some(Disagreement::Burned { .. })));
    let m0 = |hotkey: &str| Some(Disagreement::Miner { hotkey: hotkey.to_owned() });
    assert_eq!(wrong(|e| e.miners[0].earned = Rao(749)), m0("m0"));
    assert_eq!(wrong(|e| e.miners[0].payout = None), m0("m0"));
    assert_eq!(wrong(|e| e.miners[1].account.frozen = Rao(1)), m0("m1"));
    let silent = wrong(|e| {
        e.miners.truncate(1);
    });
    assert!(silent.is_some(), "m1 is left out");
    let nonsense = wrong(|e| e.scores.runs[0].burn_factor = 2.0);
    assert!(matches!(nonsense, Some(Disagreement::Unpayable(_))));
    assert_eq!(right.owed().keys().collect::<Vec<_>>(), ["m1"], "m0 was paid");
}
