//! The formulas against cases worked by hand, and what must hold for any scores.

use proptest::prelude::*;

use super::*;
use crate::protocol::messages::MinerScore;

fn exact(text: &str) -> Exact {
    text.parse().unwrap()
}

fn run(id: &str, incentive: f64, active: f64, burn: f64) -> RunIncentiveAllocation {
    RunIncentiveAllocation {
        run_id: RunId::from(id),
        incentive_weight: incentive,
        burn_factor: burn,
        active_weight_fraction: active,
    }
}

fn score(hotkey: &str, run: Option<&str>, raw: f64, total: f64) -> MinerScore {
    MinerScore {
        uid: None,
        hotkey: hotkey.to_owned(),
        coldkey: None,
        run_id: run.map(RunId::from),
        raw_score: raw,
        total_score: total,
        run_weight: None,
        weight: None,
    }
}

fn scores(miner_scores: Vec<MinerScore>, runs: Vec<RunIncentiveAllocation>) -> SubnetScores {
    SubnetScores {
        miner_scores,
        runs,
        active_runs: Vec::new(),
        provider_pool_metadata: serde_json::Map::new(),
        burn_factor: 0.0,
    }
}

#[test]
fn a_case_worked_by_hand() {
    // Run a has 0.6 of the incentive, of which 0.5 is active, and burns a quarter; run b 0.4, burns nothing.
    // In a: 30 x 1.5 = 45 and 15 of 60: shares 3/4 and 1/4; weights 3/4 x 3/4 x 0.3 and 1/4 x 3/4 x 0.3.
    // In b: one miner has all of it.
    let answer = scores(
        vec![
            score("m0", Some("a"), 30.0, 45.0),
            score("m1", Some("a"), 15.0, 15.0),
            score("m2", Some("b"), 2.0, 2.0),
            score("m3", Some("b"), 1.0, -3.0),
        ],
        vec![run("a", 0.6, 0.5, 0.25), run("b", 0.4, 1.0, 0.0)],
    );
    let all = weights(&answer).unwrap();
    let walk = |n: usize| &all.miners[n].walk;
    assert_eq!(walk(0).multiplier, Some(exact("1.5")));
    assert_eq!((walk(0).share.clone(), walk(1).share.clone()), (exact("3/4"), exact("1/4")));
    assert_eq!(walk(0).weight, exact("0.16875"));
    assert_eq!(walk(1).weight, exact("0.05625"));
    assert_eq!(walk(2).weight, exact("0.4"));
    assert_eq!((walk(3).share.clone(), walk(3).weight.clone()), (Exact::zero(), Exact::zero()));
    assert_eq!(all.burned, exact("0.375"), "1 - 0.225 - 0.4");
    assert!(!all.overclaimed);

    let emission = Emission {
        blocks_per_day: 7200,
        alpha_per_block: Exact::one(),
        miners_share: exact("0.41"),
    };
    assert_eq!(emission.a_day(&walk(0).weight), exact("498.15"), "7200 x 0.41 x 0.16875");
}

#[test]
fn runs_that_claim_more_than_there_is_pay_nobody() {
    let answer = scores(
        vec![score("m0", Some("a"), 1.0, 1.0)],
        vec![run("a", 0.7, 1.0, 0.0), run("b", 0.4, 1.0, 0.0)],
    );
    let all = weights(&answer).unwrap();
    assert!(all.overclaimed);
    assert_eq!((all.miners[0].walk.weight.clone(), all.burned), (Exact::zero(), Exact::one()));
}

#[test]
fn a_run_that_vanished_gives_no_weight_and_says_so() {
    let gone =
        scores(vec![score("m0", Some("gone"), 4.0, 4.0), score("m1", None, 1.0, 1.0)], vec![]);
    let all = weights(&gone).unwrap();
    for miner in &all.miners {
        assert_eq!(
            (miner.walk.allocation.clone(), miner.walk.weight.clone()),
            (None, Exact::zero())
        );
        assert_eq!(miner.walk.share, Exact::one(), "alone in its run");
    }
}

#[test]
fn figures_that_are_none_are_refused_by_name() {
    let infinite = scores(vec![score("m0", None, f64::INFINITY, 1.0)], vec![]);
    assert_eq!(weights(&infinite).unwrap_err().code(), "scores-not-finite");
    for (incentive, active, burn) in [(1.5, 1.0, 0.0), (0.5, -0.1, 0.0), (0.5, 1.0, 2.0)] {
        let answer = scores(vec![], vec![run("a", incentive, active, burn)]);
        assert_eq!(weights(&answer).unwrap_err().code(), "scores-not-a-share");
    }
}

#[test]
fn nobody_scored_anything_and_all_is_burnt() {
    let answer = scores(vec![score("m0", Some("a"), 0.0, 0.0)], vec![run("a", 1.0, 1.0, 0.0)]);
    let all = weights(&answer).unwrap();
    assert_eq!((all.miners[0].walk.multiplier.clone(), all.burned), (None, Exact::one()));
}

#[test]
fn a_payout_waits_for_the_minimum_and_a_green_period() {
    let terms = PayoutTerms { minimum: Rao(400), fee: Rao(10) };
    let close =
        |account: Account, earned, period| account.close(Rao(earned), period, &terms).unwrap();
    let (first, paid) = close(Account::default(), 150, Period::Green);
    assert_eq!((first, paid), (Account { pending: Rao(150), frozen: Rao(0) }, None), "rolls over");
    let (second, paid) = close(first, 300, Period::Frozen);
    assert_eq!((second, paid), (Account { pending: Rao(150), frozen: Rao(300) }, None));
    let (third, paid) = close(second, 5, Period::Green);
    assert_eq!(third, Account::default());
    assert_eq!(paid, Some(Payout { gross: Rao(455), fee: Rao(10), net: Rao(445) }));
    // A fee that eats all of it is no payout.
    let dear = PayoutTerms { minimum: Rao(0), fee: Rao(10) };
    assert_eq!(Account::default().close(Rao(10), Period::Green, &dear).unwrap().1, None);
    let full = Account { pending: Rao(u64::MAX), frozen: Rao(0) };
    assert_eq!(full.close(Rao(1), Period::Green, &terms), None);
}

#[test]
fn a_period_is_green_when_its_loss_is_the_lowest_yet() {
    for (loss, before, is) in [
        (Some(3.0), None, Period::Green),
        (Some(2.9), Some(3.0), Period::Green),
        (Some(3.0), Some(3.0), Period::Frozen),
        (Some(f64::NAN), Some(3.0), Period::Frozen),
        (Some(f64::NAN), None, Period::Frozen),
        (None, Some(3.0), Period::Frozen),
        (None, None, Period::Frozen),
    ] {
        assert_eq!(Period::of(loss, before), is, "{loss:?} after {before:?}");
    }
}

proptest! {
    #[test]
    fn shares_of_a_run_sum_to_one_and_weights_with_burn_too(
        totals in prop::collection::vec((0usize..3, -5.0f64..1e6), 1..40),
        factors in prop::array::uniform3((0.0f64..0.33, 0.0f64..=1.0, 0.0f64..=1.0)),
        pot in 0u64..u64::MAX / 2,
    ) {
        let names = ["a", "b", "c"];
        let runs = names.iter().zip(factors).map(|(name, (w, a, b))| run(name, w, a, b)).collect();
        let miners =
            totals.iter().map(|(of, total)| score("m", Some(names[*of]), *total, *total)).collect();
        let all = weights(&scores(miners, runs)).unwrap();
        for name in names {
            let of_run = || all.miners.iter().filter(|m| m.run.as_ref() == Some(&RunId::from(name)));
            let share: Exact = of_run().map(|m| m.walk.share.clone()).sum();
            let counted = of_run().any(|m| !m.walk.total.is_negative() && !m.walk.total.is_zero());
            prop_assert_eq!(share, if counted { Exact::one() } else { Exact::zero() });
        }
        let given: Exact = all.miners.iter().map(|m| m.walk.weight.clone()).sum();
        prop_assert_eq!(given + all.burned.clone(), Exact::one());
        prop_assert!(!all.burned.is_negative());

        let (parts, burned) = split(Rao(pot), all.miners.iter().map(|m| &m.walk.weight)).unwrap();
        let sum: u64 = parts.iter().map(|part| part.0).sum::<u64>() + burned.0;
        prop_assert_eq!(sum, pot);
    }

    #[test]
    fn no_rao_is_lost_between_earning_and_payout(
        periods in prop::collection::vec((0u64..1_000_000, any::<bool>()), 0..60),
        minimum in 0u64..2_000_000, fee in 0u64..5_000,
    ) {
        let terms = PayoutTerms { minimum: Rao(minimum), fee: Rao(fee) };
        let (mut account, mut paid, mut earned) = (Account::default(), 0, 0);
        for (rao, green) in periods {
            let period = if green { Period::Green } else { Period::Frozen };
            let (next, payout) = account.close(Rao(rao), period, &terms).unwrap();
            account = next;
            earned += rao;
            if let Some(payout) = payout {
                prop_assert_eq!(payout.net.0 + payout.fee.0, payout.gross.0);
                prop_assert!(payout.gross >= terms.minimum && payout.net > Rao::ZERO);
                paid += payout.gross.0;
            }
            prop_assert_eq!(paid + account.pending.0 + account.frozen.0, earned);
        }
    }
}
