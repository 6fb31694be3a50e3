//! The way from work to pay, with figures worked by hand: published, ruled, estimated, unknown.

use super::*;
use crate::config::earnings::EarningsTable;
use crate::earnings::ledger::{Price, RowId, RunRow};

const NOW: At = At(1_790_000_000_000);

fn rules() -> PayRules {
    PayRules::at(NOW, &EarningsTable::default())
}

fn steps(rows: &Rows, currency: Option<&str>) -> Vec<Step> {
    let rules = rules();
    Walker { rows, network: "mainnet", hotkey: "m0", rules: &rules, currency, now: NOW }.steps()
}

#[track_caller]
fn step<'a>(steps: &'a [Step], label: &str) -> (Option<&'a str>, &'a Basis) {
    let step = steps.iter().find(|step| step.label == label).expect(label);
    (step.value.as_deref(), &step.basis)
}

fn exact(text: &str) -> Exact {
    text.parse().unwrap()
}

fn prices() -> Vec<Price> {
    let price = |of, currency: &str, price| Price {
        at: At(1),
        of,
        currency: currency.to_owned(),
        price: exact(price),
        source: format!("the {currency} source"),
    };
    vec![price(Unit::Alpha, "tao", "0.05"), price(Unit::Tao, "eur", "300")]
}

#[test]
fn without_any_score_an_equal_share_is_an_estimate_and_says_so() {
    let work = crate::earnings::ledger::tests::work(0);
    let work = Work { network: "mainnet".to_owned(), until: NOW, ..work };
    let run = RunRow {
        at: At(5),
        network: "mainnet".to_owned(),
        run: "r".to_owned(),
        burn: exact("0.8"),
        incentive: exact("0.5"),
        miners: 20,
        answer: RowId(1),
    };
    let rows = Rows { work: vec![work], runs: vec![run], prices: prices(), ..Rows::default() };
    let all = steps(&rows, Some("eur"));
    let published = Basis::Published { question: "GET /common/get_run_info", at: At(5) };
    assert_eq!(step(&all, "raw score").0, None);
    assert_eq!(step(&all, "burn"), (Some("0.800000000"), &published));
    // 1/20 x 0.2 x 0.5 = 0.005; 7200 x 1 x 0.41 x 0.005 = 14.76 alpha, 0.738 TAO, 221.4 EUR.
    let (weight, basis) = step(&all, "weight");
    assert_eq!(weight, Some("0.005000000"));
    let from = "an equal share of the run's 20 miners".to_owned();
    assert_eq!(basis, &Basis::Estimate { from });
    assert_eq!(step(&all, "your part").0, Some("14.760000000 alpha a day"));
    assert_eq!(step(&all, "in TAO").0, Some("0.738000000 TAO"));
    assert_eq!(step(&all, "in your currency").0, Some("221.400000000 EUR"));
    // 0.4 alpha at 14.76 a day: within a day.
    assert_eq!(step(&all, "until the minimum").0, Some("about 1 day"));
    assert_eq!(step(&all, "payout minimum").0, Some("0.400000000 alpha"));
    assert_eq!((step(&all, "owed").0, step(&all, "transfer fee").0), (None, None));
    assert_eq!(step(&all, "work of the last 24 h").1, &Basis::Measured);
}

#[test]
fn without_prices_nothing_has_a_value_and_without_anything_all_is_unknown() {
    let none = steps(&Rows::default(), None);
    for label in ["raw score", "share of the run", "burn", "until the minimum"] {
        let (value, basis) = step(&none, label);
        assert!(value.is_none() && matches!(basis, Basis::Unknown { .. }), "{label}");
    }
    let standing = StandingRow {
        at: At(7),
        network: "mainnet".to_owned(),
        hotkey: "m0".to_owned(),
        run: Some("r".to_owned()),
        walk: Walk {
            raw: exact("2"),
            multiplier: Some(exact("1.5")),
            total: exact("3"),
            run_total: exact("12"),
            share: exact("0.25"),
            allocation: Some(crate::earnings::formula::Allocation {
                incentive: exact("0.5"),
                active: exact("0.8"),
                burn: exact("0.9"),
            }),
            weight: exact("0.01"),
        },
        claims: Claims::Within,
        answer: RowId(1),
    };
    let rows = Rows { standings: vec![standing], ..Rows::default() };
    let all = steps(&rows, None);
    let order: Vec<_> = all.iter().map(|step| step.label).collect();
    assert_eq!(
        order,
        [
            "work of the last 24 h",
            "raw score",
            "multiplier",
            "total score",
            "all miners of the run",
            "share of the run",
            "burn",
            "the run's allocation",
            "weight",
            "the subnet's miners get",
            "your part",
            "in TAO",
            "in your currency",
            "owed",
            "payout minimum",
            "transfer fee",
            "freeze",
            "until the minimum",
        ]
    );
    assert_eq!(step(&all, "the run's allocation").0, Some("0.400000000"));
    // 7200 x 0.41 x 0.01.
    assert_eq!(step(&all, "your part").0, Some("29.520000000 alpha a day"));
    assert_eq!((step(&all, "in TAO").0, step(&all, "in your currency").0), (None, None));
}

#[test]
fn what_a_network_pays_is_shown_as_published_and_points_are_worth_nothing() {
    let pay = crate::earnings::ledger::tests::public_pay(&[(&[("m0", 3.0), ("m1", 1.0)], 3.0)]);
    let answer = crate::earnings::ledger::tests::answer(
        AnswerKind::PublicPay,
        serde_json::to_vec(&pay).unwrap(),
        1,
    );
    let derived = crate::earnings::derive::derive(RowId(1), &answer).unwrap();
    let rows = Rows { epochs: derived.epochs, prices: prices(), ..Rows::default() };
    let rules = rules();
    let walker = Walker {
        rows: &rows,
        network: "practice",
        hotkey: "m1",
        rules: &rules,
        currency: Some("eur"),
        now: NOW,
    };
    let all = walker.steps();
    // A quarter of nine tenths of 1.000000007 points; 0.4 less 0.225 at 0.225 an epoch.
    assert_eq!(step(&all, "earned in the epoch").0, Some("0.225000001 practice points"));
    assert_eq!(
        step(&all, "owed, rolls over below the minimum").0,
        Some("0.225000001 practice points")
    );
    assert_eq!(step(&all, "until the minimum").0, Some("about 1 epoch"));
    assert_eq!(step(&all, "worth").0, None);
    let published = all.iter().filter(|step| matches!(step.basis, Basis::Published { .. })).count();
    assert_eq!(published, 16);
}

/// A look at the chain: registered or not, 8.2 alpha in a tempo of 360 blocks, a pool of 5 TAO to 100 alpha.
fn look(registered: bool) -> crate::earnings::ledger::Reading {
    use chain::{Account, Asked, BlockHash, BlockRef, Fact, Place, Pool, Registration, Unknown};
    let missing = || Unknown::NotRegistered;
    let registration = match registered {
        true => Registration::Registered { uid: 77 },
        false => Registration::NotRegistered,
    };
    let body = chain::Reading {
        place: Place { genesis: BlockHash([1; 32]), netuid: 9 },
        asked: Asked { hotkey: Some(Account([2; 32])), coldkey: None },
        block: BlockRef { number: 4321, hash: BlockHash([4; 32]) },
        runtime: 1,
        block_time: Fact::Known(0),
        read_at: 0,
        registration: Fact::Known(registration),
        owner: Fact::Unknown(missing()),
        immunity_left: Fact::Unknown(missing()),
        incentive: match registered {
            true => Fact::Known(exact("0.005")),
            false => Fact::Unknown(missing()),
        },
        emission: Fact::Known(Rao(8_200_000_000)),
        hotkey_alpha: Fact::Unknown(missing()),
        stake: Fact::Known(Rao(5)),
        coldkey_alpha: Fact::Known(Rao(5)),
        free: Fact::Unknown(missing()),
        pool: Fact::Known(Pool { tao: Rao(5), alpha: Rao(100) }),
        burn: Fact::Unknown(missing()),
        tempo: Fact::Known(360),
        subnet_emission: Fact::Unknown(missing()),
    };
    crate::earnings::ledger::Reading {
        at: At(9),
        network: "mainnet".to_owned(),
        what: crate::earnings::ledger::Reading::CHAIN.to_owned(),
        body: serde_json::to_string(&body).unwrap(),
    }
}

#[test]
fn what_the_chain_says_is_shown_with_its_block_and_gives_the_price_of_alpha() {
    use crate::earnings::why::Registration;
    let rows = Rows { readings: vec![look(true)], ..Rows::default() };
    let hotkey = chain::Account([2; 32]).to_string();
    let rules = rules();
    let (network, currency, now) = ("mainnet", None, NOW);
    let walker = Walker { rows: &rows, network, hotkey: &hotkey, rules: &rules, currency, now };
    let all = walker.steps();
    let by = Basis::Chain { block: 4321, at: At(9) };
    assert_eq!(step(&all, "registered"), (Some("yes, uid 77"), &by));
    assert_eq!(step(&all, "incentive"), (Some("0.005000000"), &by));
    // 20 tempos a day.
    assert_eq!(step(&all, "by the chain").0, Some("164.000000000 alpha a day"));
    let prices = crate::earnings::worth::pool_prices(&rows.readings);
    assert_eq!((prices.len(), prices[0].price.clone()), (1, exact("0.05")));
    assert_eq!(Registration::of(&rows, "mainnet", &hotkey), Registration::Registered);
    assert_eq!(Registration::of(&rows, "mainnet", "m0"), Registration::NotAsked);
    let gone = Rows { readings: vec![look(true), look(false)], ..Rows::default() };
    assert_eq!(Registration::of(&gone, "mainnet", &hotkey), Registration::Missing(At(9)));
    let walker = Walker { rows: &gone, ..walker };
    assert_eq!(step(&walker.steps(), "registered").0, Some("no"));
}
