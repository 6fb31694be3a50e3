//! Earnings for scripts: one JSON object a line. Amounts are whole rao with their unit; values are decimals
//! as text, so that nothing is rounded on the way.

use std::io::{self, Write};

use jiff::civil::Date;
use serde_json::{Value, json};

use super::desk::Desk;
use crate::earnings::exact::Exact;
use crate::earnings::ledger::Span;
use crate::earnings::power::Net;
use crate::earnings::report::MinerDay;
use crate::earnings::summary::{Side, Time};

/// Digits after the point of values.
const DIGITS: usize = 9;

fn line(out: &mut impl Write, value: &Value) -> io::Result<()> {
    writeln!(out, "{value}")
}

fn decimal(number: Option<&Exact>) -> Option<String> {
    number.map(|number| number.decimal(DIGITS))
}

fn net(net: &Net) -> Value {
    let hour = net.an_hour();
    let by = |hours: u64| hour.clone().map(|hour| hour * Exact::from(hours));
    json!({
        "currency": net.currency,
        "earned": decimal(net.earned.as_ref()),
        "electricity": decimal(net.cost.as_ref()),
        "net": decimal(net.net.as_ref()),
        "net_per_hour": decimal(hour.as_ref()),
        "net_per_day": decimal(by(24).as_ref()),
        "net_per_month": decimal(by(720).as_ref()),
        "worked_ms": net.milliseconds,
        "unmeasured_ms": net.unmeasured,
        "kwh": net.energy.kwh().decimal(DIGITS),
        "tokens": net.tokens,
        "tokens_per_kwh": decimal(net.tokens_per_kwh().as_ref()),
        "unknown": net.unknown,
    })
}

fn side(side: &Side) -> Value {
    json!({
        "epochs": side.epochs,
        "earned": side.earned,
        "frozen": side.frozen,
        "paid": side.paid,
        "spent_ms": side.spent,
        "net": net(&side.net),
    })
}

/// Sums, steps, payouts and causes.
pub(super) fn all(desk: &Desk, span: Option<Span>, out: &mut impl Write) -> io::Result<()> {
    let times: Vec<(&str, Span)> = match span {
        Some(span) => vec![("named", span)],
        None => Time::ALL.into_iter().map(|time| (time.word(), desk.of(time))).collect(),
    };
    for (name, span) in times {
        let sum = desk.summary(span);
        let (money, practice) = (side(&sum.money), side(&sum.practice));
        line(
            out,
            &json!({
                "event": "earnings", "time": name, "since_ms": span.since, "until_ms": span.until,
                "money": money, "practice": practice,
            }),
        )?;
    }
    for (network, hotkey, steps) in desk.walks() {
        let walk = json!({ "event": "walk", "network": network, "hotkey": hotkey, "steps": steps });
        line(out, &walk)?;
    }
    let shown = span.unwrap_or(Span::ALL);
    for payout in desk.rows.payouts.iter().filter(|row| shown.holds(row.at)) {
        line(out, &json!({ "event": "payout", "payout": payout }))?;
    }
    why(desk, span.unwrap_or_else(|| desk.of(Time::Day)), out)
}

/// Why nothing was paid, for each miner.
pub(super) fn why(desk: &Desk, span: Span, out: &mut impl Write) -> io::Result<()> {
    for explained in &desk.why(span) {
        let code = explained.deciding.as_ref().map(|cause| cause.code());
        let what = explained.deciding.as_ref().map(|cause| cause.sentence());
        let fix = explained.deciding.as_ref().map(|cause| cause.advice());
        let told = json!({
            "event": "why", "code": code, "what": what, "fix": fix, "explained": explained,
        });
        line(out, &told)?;
    }
    Ok(())
}

/// The report of a day, one line for each miner.
pub(super) fn report(date: Date, days: &[MinerDay], out: &mut impl Write) -> io::Result<()> {
    for day in days {
        let told = json!({
            "event": "day", "day": date.to_string(), "network": day.network, "hotkey": day.hotkey,
            "spent_ms": day.spent, "forwards": day.forwards, "backwards": day.backwards,
            "partitions": day.partitions, "uploads": day.uploads[0],
            "uploads_missed": day.uploads[1], "merges": day.merges[0],
            "merges_missed": day.merges[1], "energy_by": day.energy_by, "earned": day.earned,
            "paid": day.paid, "net": net(&day.net), "lost": day.lost, "why": day.why,
        });
        line(out, &told)?;
    }
    Ok(())
}
