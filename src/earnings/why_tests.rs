//! Each answer to "why zero" by hand: one history for each, and which cause decides it.

use super::*;
use crate::earnings::formula::{Account, Allocation, PayoutTerms, Walk};
use crate::earnings::ledger::{Energy, Lost, PaidBy, RowId};

const MINIMUM: Rao = Rao(400);

fn exact(text: &str) -> Exact {
    text.parse().unwrap()
}

/// A whole epoch: earned, paid to an address, green.
fn epoch(number: u64) -> EpochRow {
    let allocation =
        Allocation { incentive: Exact::one(), active: Exact::one(), burn: Exact::zero() };
    EpochRow {
        at: At(number * 1000),
        network: "mainnet".to_owned(),
        hotkey: "m0".to_owned(),
        run: "r".to_owned(),
        began: At(0),
        epoch: number,
        walk: Walk {
            raw: exact("4"),
            multiplier: Some(Exact::one()),
            total: exact("4"),
            run_total: exact("40"),
            share: exact("0.1"),
            allocation: Some(allocation),
            weight: exact("0.1"),
        },
        claims: Claims::Within,
        period: Period::Green,
        loss: Some(3.0),
        lowest_before: Some(3.1),
        emission: Rao(1000),
        terms: PayoutTerms { minimum: MINIMUM, fee: Rao(1) },
        entitlement: Rao(100),
        account: Account::default(),
        unit: Unit::Alpha,
        stage: Some(1),
        backwards: 40,
        partitions: 2,
        submitted: Submitted::InTime,
        standing: Standing::Working,
        missing: BTreeSet::new(),
        paid_to: Some("cold".to_owned()),
        answer: RowId(1),
    }
}

/// A whole stretch of work in that epoch.
fn work(epoch: u64) -> Work {
    Work {
        network: "mainnet".to_owned(),
        hotkey: "m0".to_owned(),
        life: "l".to_owned(),
        part: epoch,
        since: At(epoch * 1000 - 900),
        until: At(epoch * 1000),
        run: Some("r".to_owned()),
        stage: Some(1),
        epoch: Some(epoch),
        forwards: 41,
        backwards: 40,
        partitions: 2,
        uploads: 1,
        uploads_missed: 0,
        weights: Submitted::InTime,
        merges: 1,
        merges_missed: 0,
        tokens: 100,
        spent: BTreeMap::from([("backward".to_owned(), 600_000)]),
        energy: Energy::Unknown,
        validated: None,
        failed: None,
        payout_address: Some("cold".to_owned()),
        lost: Vec::new(),
    }
}

fn payment(hotkey: Option<&str>, at: u64, net: u64) -> Payment {
    let by = match hotkey {
        Some(_) => PaidBy::Answer(RowId(1)),
        None => PaidBy::Balance(RowId(1)),
    };
    Payment {
        at: At(at),
        network: "mainnet".to_owned(),
        name: format!("{hotkey:?}{at}"),
        hotkey: hotkey.map(str::to_owned),
        address: Some("cold".to_owned()),
        gross: Rao(net),
        fee: None,
        net: Rao(net),
        unit: Unit::Alpha,
        by,
    }
}

fn asked(rows: &Rows, registration: Registration) -> Explained {
    let span = Span { since: At(0), until: At(100_000) };
    why(&Question { rows, network: "mainnet", hotkey: "m0", span, registration })
}

/// What decides, of three epochs each with its work, changed by these.
#[track_caller]
fn decides(of_epoch: impl Fn(&mut EpochRow), of_work: impl Fn(&mut Work)) -> Cause {
    let (mut epochs, mut all) =
        (vec![epoch(1), epoch(2), epoch(3)], vec![work(1), work(2), work(3)]);
    epochs.iter_mut().for_each(of_epoch);
    all.iter_mut().for_each(of_work);
    let rows = Rows { epochs, work: all, ..Rows::default() };
    let explained = asked(&rows, Registration::Registered);
    assert_eq!(explained.paid, Paid::Nothing);
    explained.deciding.expect("nothing was paid")
}

const ALL: [u64; 3] = [1, 2, 3];

#[test]
fn nobody_ran_a_miner() {
    let none = asked(&Rows::default(), Registration::NotAsked);
    assert_eq!(none.deciding, Some(Cause::NotRunning { away: BTreeMap::new() }));
    // It ran, and was paused the whole time.
    let spent = BTreeMap::from([("pause".to_owned(), 540_000), ("start".to_owned(), 60_000)]);
    let rows = Rows { work: vec![Work { spent: spent.clone(), ..work(1) }], ..Rows::default() };
    let paused = asked(&rows, Registration::NotAsked).deciding.unwrap();
    assert_eq!(paused, Cause::NotRunning { away: spent });
    assert_eq!(paused.sentence(), "The miner ran, but did no work: pause 9 min, start 1 min.");
}

#[test]
fn the_chain_does_not_know_the_hotkey() {
    let rows = Rows { work: vec![work(1)], ..Rows::default() };
    let gone = asked(&rows, Registration::Missing(At(7)));
    assert_eq!(gone.deciding, Some(Cause::NotRegistered { read: At(7) }));
}

#[test]
fn it_was_benched() {
    let benched = decides(
        |row| row.standing = Standing::Benched,
        |work| {
            work.spent.insert("benched".to_owned(), 60_000);
        },
    );
    assert_eq!(benched, Cause::Benched { epochs: ALL.into(), milliseconds: 180_000 });
    // Known from the own clock alone.
    let spent = BTreeMap::from([("benched".to_owned(), 700), ("receive".to_owned(), 300)]);
    let rows = Rows { work: vec![Work { spent, ..work(1) }], ..Rows::default() };
    let alone = asked(&rows, Registration::NotAsked).deciding.unwrap();
    assert_eq!(alone, Cause::Benched { epochs: vec![], milliseconds: 700 });
}

#[test]
fn it_slept_through_the_merge() {
    let slept = decides(
        |row| row.submitted = Submitted::Missing,
        |work| {
            (work.merges, work.merges_missed, work.weights) = (0, 1, Submitted::Missing);
            if work.epoch == Some(2) {
                work.lost.push(Lost { backwards: 40, to: "the machine slept".to_owned() });
            }
        },
    );
    let lost = vec!["40 backwards, the machine slept".to_owned()];
    assert_eq!(slept, Cause::SleptThroughMerge { epochs: ALL.into(), merges: 3, lost });
}

#[test]
fn its_weights_did_not_come() {
    let missed = decides(|row| row.submitted = Submitted::Missing, |work| work.uploads_missed = 2);
    assert_eq!(missed, Cause::NoWeights { epochs: ALL.into(), uploads_missed: 6 });
    assert_eq!(
        missed.sentence(),
        "Its weights did not come in time in epochs 1 to 3; 6 uploads failed."
    );
}

#[test]
fn it_did_too_little() {
    let idle = decides(
        |row| {
            (row.backwards, row.partitions) = (0, 0);
            row.walk.total = Exact::zero();
        },
        |work| (work.forwards, work.backwards) = (8, 0),
    );
    let too_few = Cause::TooFewActivations { epochs: ALL.into(), forwards: 24, backwards: 0 };
    assert_eq!(idle, too_few);
}

#[test]
fn its_work_was_scored_as_nothing() {
    for total in ["0", "-3"] {
        let wrong = decides(|row| row.walk.total = exact(total), |work| work.failed = Some(1));
        assert_eq!(wrong, Cause::NotValidated { epochs: ALL.into(), failed: Some(3) });
    }
    let unknown = decides(|row| row.walk.total = Exact::zero(), |_| {});
    assert_eq!(unknown, Cause::NotValidated { epochs: ALL.into(), failed: None });
}

#[test]
fn its_run_vanished_or_the_runs_claim_too_much() {
    let vanished = decides(|row| row.walk.allocation = None, |_| {});
    assert_eq!(vanished, Cause::RunVanished { epochs: ALL.into(), run: "r".to_owned() });
    let over = decides(|row| row.claims = Claims::Over, |_| {});
    assert_eq!(over, Cause::RunsOverclaim { epochs: ALL.into() });
}

#[test]
fn nobody_knew_whom_to_pay() {
    let nobody = decides(|row| row.paid_to = None, |work| work.payout_address = None);
    assert_eq!(nobody, Cause::NoPayoutAddress { epochs: ALL.into() });
    let rows = Rows { work: vec![Work { payout_address: None, ..work(1) }], ..Rows::default() };
    let alone = asked(&rows, Registration::NotAsked).deciding.unwrap();
    assert_eq!(alone, Cause::NoPayoutAddress { epochs: vec![] });
}

#[test]
fn another_stage_failed_or_the_loss_just_did_not_fall() {
    let frozen = |row: &mut EpochRow| {
        row.period = Period::Frozen;
        row.account = Account { pending: Rao(0), frozen: Rao(100 * row.epoch) };
    };
    let waits = Amount { rao: Rao(300), unit: Unit::Alpha };
    let other = decides(
        |row| {
            frozen(row);
            row.missing = BTreeSet::from([2]);
        },
        |_| {},
    );
    let stages = BTreeSet::from([2]);
    assert_eq!(other, Cause::OtherStageFailed { epochs: ALL.into(), stages, frozen: waits });
    // A neighbour of the own stage is none of another stage.
    let just = decides(
        |row| {
            frozen(row);
            row.missing = BTreeSet::from([1]);
        },
        |_| {},
    );
    assert_eq!(just, Cause::FrozenPeriod { epochs: ALL.into(), frozen: waits });
    assert_eq!(
        just.sentence(),
        "The loss reached no new minimum in epochs 1 to 3: 0.000000300 alpha wait for a period in \
         which it does."
    );
}

#[test]
fn it_is_below_the_minimum() {
    let below = decides(
        |row| row.account = Account { pending: Rao(100 * row.epoch), frozen: Rao(0) },
        |_| {},
    );
    let owed = Amount { rao: Rao(300), unit: Unit::Alpha };
    assert_eq!(below, Cause::BelowMinimum { owed, minimum: MINIMUM, missing: Rao(100) });
    assert!(below.sentence().contains("0.000000100 are missing"), "{}", below.sentence());
}

#[test]
fn nobody_says() {
    let rows = Rows { work: vec![work(1)], ..Rows::default() };
    let unknown = asked(&rows, Registration::NotAsked).deciding.unwrap();
    assert_eq!(unknown.code(), "zero-unknown");
    // Whole epochs, nothing owed, nothing paid: the network is asked for, not the user.
    assert_eq!(decides(|_| {}, |_| {}).code(), "zero-unknown");
}

#[test]
fn the_cause_of_most_epochs_decides_and_the_others_are_listed() {
    let mut epochs = vec![epoch(1), epoch(2), epoch(3)];
    epochs[0].standing = Standing::Benched;
    epochs[1].paid_to = None;
    epochs[2].paid_to = None;
    let rows = Rows { epochs, work: vec![work(1), work(2), work(3)], ..Rows::default() };
    let explained = asked(&rows, Registration::Registered);
    assert_eq!(explained.deciding.unwrap().code(), "zero-no-payout-address");
    let others: Vec<_> = explained.others.iter().map(Cause::code).collect();
    assert_eq!(others, ["zero-benched"]);
}

#[test]
fn a_payout_is_no_zero_and_one_to_a_shared_address_belongs_to_nobody_alone() {
    let rows = Rows {
        epochs: vec![EpochRow { paid_to: None, ..epoch(1) }, epoch(2)],
        work: vec![work(1), work(2)],
        payouts: vec![payment(Some("m0"), 500, 7), payment(Some("m1"), 600, 50)],
        ..Rows::default()
    };
    let explained = asked(&rows, Registration::Registered);
    let seven = vec![Amount { rao: Rao(7), unit: Unit::Alpha }];
    assert_eq!((explained.paid, explained.deciding), (Paid::Alone { amounts: seven }, None));
    assert_eq!(explained.others[0].code(), "zero-no-payout-address");

    let other = Work { hotkey: "m1".to_owned(), ..work(1) };
    let mut rows = Rows {
        work: vec![work(1), other],
        payouts: vec![payment(None, 500, 9), payment(None, 500_000, 9)],
        ..Rows::default()
    };
    let nine = vec![Amount { rao: Rao(9), unit: Unit::Alpha }];
    let shared = asked(&rows, Registration::NotAsked).paid;
    assert_eq!(shared, Paid::Together { amounts: nine.clone(), miners: 2 });
    rows.work.pop();
    assert_eq!(asked(&rows, Registration::NotAsked).paid, Paid::Alone { amounts: nine });
}
