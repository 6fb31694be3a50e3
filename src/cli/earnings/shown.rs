//! Earnings in lines for a person.

use std::collections::BTreeMap;
use std::io::{self, Write};

use jiff::Zoned;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::desk::Desk;
use crate::earnings::exact::Exact;
use crate::earnings::ledger::{At, Span};
use crate::earnings::money::Amount;
use crate::earnings::power::Net;
use crate::earnings::report::MinerDay;
use crate::earnings::summary::{Side, Time};
use crate::earnings::why::{Cause, Explained, Paid};
use crate::tui::text;

/// So many payouts are shown.
const PAYOUTS: usize = 10;
/// Digits after the point of money.
const MONEY: usize = 4;

/// A moment of this place.
pub(super) fn moment(at: At, zone: &TimeZone) -> Option<Zoned> {
    let time = jiff::Timestamp::from_millisecond(i64::try_from(at.0).ok()?).ok()?;
    Some(time.to_zoned(zone.clone()))
}

fn minute(at: At, zone: &TimeZone) -> String {
    let zoned = moment(at, zone);
    zoned.map_or_else(|| "-".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M").to_string())
}

/// Sums, the way from work to pay, the last payouts, why nothing came.
pub(super) fn all(desk: &Desk, span: Option<Span>, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "Earnings by {}", desk.file())?;
    let times: Vec<(&str, Span)> = match span {
        Some(span) => vec![("that time", span)],
        None => Time::ALL.into_iter().map(|time| (time.word(), desk.of(time))).collect(),
    };
    let sums: Vec<_> = times.iter().map(|(name, span)| (*name, desk.summary(*span))).collect();
    writeln!(out)?;
    for (name, sum) in &sums {
        side(name, &sum.money, out)?;
    }
    if let Some((_, sum)) = sums.last() {
        for why in &sum.money.net.unknown {
            writeln!(out, "  unknown: {why}")?;
        }
    }
    if sums.iter().any(|(_, sum)| is_there(&sum.practice)) {
        writeln!(out, "\nPractice swarms; points are no money")?;
        for (name, sum) in &sums {
            side(name, &sum.practice, out)?;
        }
    }
    for (network, hotkey, steps) in desk.walks() {
        writeln!(out, "\nFrom work to pay: {hotkey} on {network}")?;
        for step in steps {
            let value = step.value.as_deref().unwrap_or("unknown");
            let basis = step.basis.in_words();
            let basis = basis.strip_prefix("unknown: ").unwrap_or(&basis);
            writeln!(out, "  {:40} {value:34}  {basis}", step.label)?;
        }
    }
    payouts(desk, span.unwrap_or(Span::ALL), out)?;
    why(&desk.why(span.unwrap_or_else(|| desk.of(Time::Day))), out)
}

fn is_there(side: &Side) -> bool {
    side.epochs > 0 || side.net.milliseconds > 0 || !side.paid.is_empty()
}

fn amounts(all: &[Amount]) -> String {
    let all: Vec<_> = all.iter().map(Amount::to_string).collect();
    if all.is_empty() { "nothing".to_owned() } else { all.join(" + ") }
}

fn side(name: &str, side: &Side, out: &mut impl Write) -> io::Result<()> {
    let mut line = format!("  {name:9} earned {}", amounts(&side.earned));
    if !side.frozen.is_empty() {
        line += &format!(" (of it {} frozen)", amounts(&side.frozen));
    }
    line += &format!(", paid {}; {}", amounts(&side.paid), energy(&side.net));
    writeln!(out, "{line}")?;
    if let Some(left) = left(&side.net) {
        writeln!(out, "            {left}")?;
    }
    Ok(())
}

fn energy(net: &Net) -> String {
    let cost = net
        .cost
        .as_ref()
        .map_or_else(String::new, |cost| format!(" for {} {}", cost.decimal(MONEY), net.currency));
    let tokens = net
        .tokens_per_kwh()
        .and_then(|tokens| tokens.floor())
        .map_or_else(String::new, |tokens| format!(", {} tokens per kWh", text::thousands(tokens)));
    let known = format!("{} kWh{cost}{tokens}", net.energy.kwh().decimal(MONEY));
    match (net.unmeasured, net.energy.0) {
        (0, _) => known,
        (_, 0) => "energy unknown".to_owned(),
        (dark, _) => {
            format!("{known}, without {} min of which it is not known", dark.div_ceil(60_000))
        }
    }
}

fn left(net: &Net) -> Option<String> {
    let (all, hour) = (net.net.as_ref()?, net.an_hour()?);
    let by = |hours: u64| (hour.clone() * Exact::from(hours)).decimal(MONEY);
    Some(format!(
        "left {} {}: {} an hour of work, {} a day, {} a month of 30 days at this rate",
        all.decimal(MONEY),
        net.currency,
        by(1),
        by(24),
        by(720)
    ))
}

fn payouts(desk: &Desk, span: Span, out: &mut impl Write) -> io::Result<()> {
    let all = desk.rows.payouts.iter().filter(|row| span.holds(row.at));
    let mut last: Vec<_> = all.rev().take(PAYOUTS).collect();
    if last.is_empty() {
        return writeln!(out, "\nNo payouts.");
    }
    last.reverse();
    writeln!(out, "\nLast payouts")?;
    for row in last {
        let fee = row.fee.map_or_else(|| "fee unknown".to_owned(), |fee| format!("fee {fee}"));
        let whose = row.hotkey.as_deref().or(row.address.as_deref()).unwrap_or("-");
        let net = Amount { rao: row.net, unit: row.unit };
        writeln!(
            out,
            "  {}  {net} ({fee})  {whose}  {}",
            minute(row.at, &desk.zone),
            row.by.in_words()
        )?;
    }
    Ok(())
}

/// Why nothing was paid, for each miner.
pub(super) fn why(all: &[Explained], out: &mut impl Write) -> io::Result<()> {
    if all.is_empty() {
        return writeln!(out, "\nNo miner of this machine is in the ledger yet.");
    }
    for explained in all {
        writeln!(out, "\nWhy: {} on {}", explained.hotkey, explained.network)?;
        why_one(explained, out)?;
    }
    Ok(())
}

fn why_one(explained: &Explained, out: &mut impl Write) -> io::Result<()> {
    let cause = |out: &mut dyn Write, lead: &str, cause: &Cause| {
        writeln!(out, "  {lead}{}", cause.sentence())?;
        writeln!(out, "    {} (hearth explain {})", cause.advice(), cause.code())
    };
    match &explained.paid {
        Paid::Nothing => writeln!(out, "  Nothing was paid in this time.")?,
        Paid::Alone { amounts: paid } => {
            writeln!(out, "  {} were paid in this time.", amounts(paid))?;
        }
        Paid::Together { amounts: paid, miners } => writeln!(
            out,
            "  {} came to an address that {miners} miners share: which of them earned it, nobody says.",
            amounts(paid)
        )?,
    }
    if let Some(deciding) = &explained.deciding {
        cause(out, "", deciding)?;
    }
    explained.others.iter().try_for_each(|other| cause(out, "Also: ", other))
}

/// The report of a day.
pub(super) fn report(
    date: Date,
    days: &[MinerDay],
    desk: &Desk,
    out: &mut impl Write,
) -> io::Result<()> {
    writeln!(out, "{date}, in the time of this place, by {}", desk.file())?;
    if days.is_empty() {
        return writeln!(out, "No miner worked on this day.");
    }
    for day in days {
        writeln!(out, "\n{} on {}", day.hotkey, day.network)?;
        writeln!(out, "  time      {}", spent(&day.spent))?;
        writeln!(
            out,
            "  work      {} forwards, {} backwards, {} tokens; {} partitions merged",
            text::thousands(day.forwards),
            text::thousands(day.backwards),
            text::thousands(day.tokens),
            text::thousands(day.partitions),
        )?;
        let ([up, up_missed], [merged, merges_missed]) = (day.uploads, day.merges);
        writeln!(
            out,
            "  handed in {up} uploads, {up_missed} failed; {merged} merges, {merges_missed} missed"
        )?;
        let by: Vec<_> = day.energy_by.iter().map(String::as_str).collect();
        writeln!(out, "  energy    {} ({})", energy(&day.net), by.join("; "))?;
        writeln!(out, "  earned    {}, paid {}", amounts(&day.earned), amounts(&day.paid))?;
        if let Some(left) = left(&day.net) {
            writeln!(out, "            {left}")?;
        }
        for why in &day.net.unknown {
            writeln!(out, "            unknown: {why}")?;
        }
        if day.lost.is_empty() {
            writeln!(out, "  lost      nothing")?;
        }
        for lost in &day.lost {
            writeln!(out, "  lost      {} backwards: {}", lost.backwards, lost.to)?;
        }
        why_one(&day.why, out)?;
    }
    Ok(())
}

/// `backward 2h 3m, pause 10m`, the longest first.
fn spent(spent: &BTreeMap<String, u64>) -> String {
    let mut all: Vec<_> = spent.iter().filter(|(_, ms)| **ms > 0).collect();
    all.sort_by_key(|(what, ms)| (std::cmp::Reverse(**ms), what.as_str()));
    let whole: u64 = spent.values().sum();
    let one = |(what, ms): (&String, &u64)| {
        let seconds = std::time::Duration::from_secs(ms.div_ceil(1000));
        format!("{what} {}", humantime::format_duration(seconds))
    };
    let parts: Vec<_> = all.into_iter().map(one).collect();
    let whole = humantime::format_duration(std::time::Duration::from_secs(whole / 1000));
    if parts.is_empty() {
        "none".to_owned()
    } else {
        format!("{whole} in all: {}", parts.join(", "))
    }
}
