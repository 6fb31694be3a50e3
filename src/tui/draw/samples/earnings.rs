//! Earnings as the dashboard's tests show them: of a practice swarm, of a network that publishes nothing,
//! in trouble, and of more than anybody earns.

use crate::earnings::Exact;
use crate::earnings::formula::{Account, PayoutTerms, Period};
use crate::earnings::ledger::At;
use crate::earnings::money::{Rao, Unit};
use crate::earnings::summary::Time;
use crate::earnings::view::{EarningsView, EntryView, LastEpoch, Source, StepView, Sum, WhyView};

/// Milliseconds of the moment at which the samples are looked at.
const NOW: u64 = 1_042_000;

fn sums(earned: u64, paid: u64, millijoules: Option<u64>, left: Option<&str>) -> Vec<Sum> {
    let net: Option<Exact> = left.map(|left| left.parse().unwrap());
    let sum = |time| Sum {
        time,
        earned: Rao(earned),
        paid: Rao(paid),
        millijoules,
        tokens: 61_440,
        ran: 600_000,
        net: net.clone().map(|net| (net, "EUR".to_owned())),
    };
    Time::ALL.map(sum).into()
}

fn last(period: Period, account: Account) -> LastEpoch {
    let exact = |text: &str| -> Exact { text.parse().unwrap() };
    LastEpoch {
        epoch: 8,
        at: At(NOW - 8_000),
        raw: exact("12"),
        multiplier: Some(Exact::one()),
        run_total: exact("72"),
        share: exact("1/6"),
        burn: Some(exact("0.1")),
        allocation: Some(Exact::one()),
        weight: exact("0.15"),
        emission: Rao(1_000_000_000),
        earned: Rao(150_000_000),
        period,
        account,
        terms: PayoutTerms { minimum: Rao(400_000_000), fee: Rao(1_000_000) },
        paid_to: Some("5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY".into()),
    }
}

/// Of a practice swarm that pays.
pub(super) fn practice() -> EarningsView {
    let epoch = |n: u64| EntryView::Epoch {
        at: At(NOW - 4_000 * n),
        epoch: 10 - n,
        earned: Rao(150_000_000),
        period: Period::Green,
    };
    let payout = EntryView::Payout {
        at: At(NOW - 20_000),
        gross: Rao(437_500_000),
        net: Rao(436_500_000),
        by: "published by the network".into(),
    };
    EarningsView {
        source: Source::Published,
        asked: Some(At(NOW - 5_000)),
        unit: Some(Unit::Points),
        sums: sums(1_212_500_000, 910_500_000, Some(90_000_000), None),
        why: None,
        steps: Vec::new(),
        last: Some(last(Period::Green, Account { pending: Rao(300_000_000), frozen: Rao(0) })),
        bars: (0..20).map(|n| Rao(100_000_000 + 10_000_000 * (n % 6))).collect(),
        entries: (2..6).map(epoch).chain([payout]).collect(),
    }
}

/// Of a network that does not say what a miner gets.
pub(super) fn unpublished() -> EarningsView {
    EarningsView {
        source: Source::NotPublished,
        asked: Some(At(NOW - 600_000)),
        sums: sums(0, 0, Some(90_000_000), Some("-0.0123")),
        why: Some(WhyView {
            sentence: "Nobody says why: this network publishes no scores.".into(),
            advice: "Look again tomorrow.".into(),
        }),
        steps: vec![
            StepView {
                label: "the run's burn".into(),
                told: "0.8 (published (GET /common/get_run_info))".into(),
            },
            StepView { label: "weight".into(), told: "unknown: not published".into() },
        ],
        ..EarningsView::default()
    }
}

/// Frozen, and the server is silent.
pub(super) fn troubled() -> EarningsView {
    let why = "http://127.0.0.1:8000 does not answer (connection refused); it is asked again";
    let account = Account { pending: Rao(150_000_000), frozen: Rao(300_000_000) };
    let frozen =
        EntryView::Epoch { at: At(NOW - 90_000), epoch: 8, earned: Rao(0), period: Period::Frozen };
    EarningsView {
        source: Source::Failing { why: why.into() },
        unit: Some(Unit::Alpha),
        last: Some(LastEpoch {
            allocation: None,
            burn: None,
            paid_to: None,
            ..last(Period::Frozen, account)
        }),
        bars: vec![Rao(0); 4],
        entries: vec![frozen],
        ..unpublished()
    }
}

/// More than there is.
pub(super) fn overlong() -> EarningsView {
    let most = Rao(u64::MAX);
    let why = "what a server says of itself, at length ".repeat(20);
    let account = Account { pending: most, frozen: most };
    EarningsView {
        source: Source::Broken { why },
        unit: Some(Unit::Tao),
        sums: sums(u64::MAX, u64::MAX, Some(u64::MAX), Some("-12345678901234567890")),
        last: Some(LastEpoch { earned: most, emission: most, ..last(Period::Green, account) }),
        bars: vec![most; 60],
        ..practice()
    }
}
