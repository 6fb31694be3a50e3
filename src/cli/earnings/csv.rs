//! The table of all events, one row each, by RFC 4180: what came when, what it was worth by which price, and
//! what electricity cost meanwhile. Every row names where it is known from.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use csv::{Terminator, Writer, WriterBuilder};

use super::desk::Desk;
use super::shown::moment;
use crate::earnings::exact::Exact;
use crate::earnings::formula::Period;
use crate::earnings::ledger::{At, EpochRow, PaidBy, Payment, RowId, Span, Work};
use crate::earnings::money::{Amount, Rao};
use crate::earnings::summary::{counted, is_practice};
use crate::earnings::worth::{Worth, worth};

/// The columns.
const COLUMNS: [&str; 21] = [
    "date",
    "time",
    "kind",
    "network",
    "hotkey",
    "run",
    "epoch",
    "amount",
    "unit",
    "fee",
    "net",
    "price",
    "price_source",
    "value",
    "currency",
    "kwh",
    "kwh_price",
    "electricity_cost",
    "tokens",
    "source",
    "answer_digest",
];
/// Digits after the point of values and energies.
const DIGITS: usize = 9;

/// One row; what is not known is empty.
#[derive(Default)]
struct Row {
    at: At,
    kind: &'static str,
    network: String,
    hotkey: String,
    run: String,
    epoch: Option<u64>,
    amount: Option<Amount>,
    fee: Option<Rao>,
    net: Option<Rao>,
    worth: Option<Worth>,
    kwh: Option<Exact>,
    cost: Option<Exact>,
    tokens: Option<u64>,
    source: String,
    digest: String,
}

/// The names of the columns alone.
pub(super) fn header(out: &mut impl Write) -> io::Result<()> {
    let mut table = writer(out);
    table.write_record(COLUMNS).map_err(io::Error::other)?;
    table.flush()
}

/// All events of a span.
pub(super) fn table(desk: &Desk, span: Span, out: &mut impl Write) -> io::Result<()> {
    let digests: BTreeMap<RowId, &str> =
        desk.rows.answers.iter().map(|row| (row.id, row.digest.as_str())).collect();
    let digest = |id: RowId| digests.get(&id).copied().unwrap_or_default().to_owned();
    let rows = &desk.rows;
    let payouts = rows.payouts.iter().filter(|row| span.holds(row.at));
    let epochs = rows.epochs.iter().filter(|row| span.holds(row.at));
    let work = rows.work.iter().filter(|row| span.touches(row));
    let counts: BTreeSet<&str> = counted(rows).map(|row| row.name.as_str()).collect();
    let paid = payouts.map(|row| {
        let again = !counts.contains(row.name.as_str());
        let told = payout(desk, row, digest);
        if again { Row { kind: "payout-seen-again", ..told } } else { told }
    });
    let mut all: Vec<Row> = paid.collect();
    all.extend(epochs.map(|row| epoch(desk, row, digest)));
    all.extend(work.map(|row| stretch(desk, row)));
    all.sort_by_key(|row| row.at);
    let mut table = writer(out);
    table.write_record(COLUMNS).map_err(io::Error::other)?;
    for row in &all {
        table.write_record(cells(desk, row)).map_err(io::Error::other)?;
    }
    table.flush()
}

fn writer<W: Write>(out: W) -> Writer<W> {
    WriterBuilder::new().terminator(Terminator::CRLF).from_writer(out)
}

fn payout(desk: &Desk, row: &Payment, digest: impl Fn(RowId) -> String) -> Row {
    let digest = match row.by {
        PaidBy::Answer(id) => digest(id),
        PaidBy::Stake(_) | PaidBy::Balance(_) => String::new(),
    };
    Row {
        at: row.at,
        kind: if is_practice(&row.network) { "practice-payout" } else { "payout" },
        network: row.network.clone(),
        hotkey: row.hotkey.clone().or_else(|| row.address.clone()).unwrap_or_default(),
        amount: Some(Amount { rao: row.gross, unit: row.unit }),
        fee: row.fee,
        net: Some(row.net),
        worth: valued(desk, Amount { rao: row.net, unit: row.unit }, row.at),
        source: row.by.in_words().to_owned(),
        digest,
        ..Row::default()
    }
}

fn epoch(desk: &Desk, row: &EpochRow, digest: impl Fn(RowId) -> String) -> Row {
    let amount = Amount { rao: row.entitlement, unit: row.unit };
    Row {
        at: row.at,
        kind: match (is_practice(&row.network), row.period) {
            (true, Period::Green) => "practice-epoch",
            (true, Period::Frozen) => "practice-epoch-frozen",
            (false, Period::Green) => "epoch",
            (false, Period::Frozen) => "epoch-frozen",
        },
        network: row.network.clone(),
        hotkey: row.hotkey.clone(),
        run: row.run.clone(),
        epoch: Some(row.epoch),
        amount: Some(amount),
        worth: valued(desk, amount, row.at),
        source: "published by the network; not paid yet".to_owned(),
        digest: digest(row.answer),
        ..Row::default()
    }
}

fn stretch(desk: &Desk, row: &Work) -> Row {
    use crate::earnings::ledger::Energy;
    Row {
        at: row.since,
        kind: if is_practice(&row.network) { "practice-work" } else { "work" },
        network: row.network.clone(),
        hotkey: row.hotkey.clone(),
        run: row.run.clone().unwrap_or_default(),
        epoch: row.epoch,
        kwh: row.energy.millijoules().map(|energy| energy.kwh()),
        cost: desk.tariff.as_ref().and_then(|tariff| tariff.cost_of(row, &desk.zone)),
        tokens: Some(row.tokens),
        source: match &row.energy {
            Energy::Measured { by, .. } => format!("energy measured by {by}"),
            Energy::Estimated { from, .. } => format!("energy estimated: {from}"),
            Energy::Unknown => "energy unknown".to_owned(),
        },
        ..Row::default()
    }
}

fn valued(desk: &Desk, amount: Amount, at: At) -> Option<Worth> {
    worth(&desk.rows.prices, amount, desk.currency.as_deref()?, at).ok()
}

fn cells(desk: &Desk, row: &Row) -> [String; COLUMNS.len()] {
    let zoned = moment(row.at, &desk.zone);
    let format = |format: &str| {
        zoned.as_ref().map_or_else(String::new, |at| at.strftime(format).to_string())
    };
    let decimal =
        |number: &Option<Exact>| number.as_ref().map_or_else(String::new, |n| n.decimal(DIGITS));
    let rao = |rao: Option<Rao>| rao.map_or_else(String::new, |rao| rao.to_string());
    let number = |n: Option<u64>| n.map_or_else(String::new, |n| n.to_string());
    let worth = row.worth.as_ref();
    let price = worth.map(|worth| {
        worth.prices.iter().fold(Exact::one(), |all, price| all * price.price.clone())
    });
    let sources = worth.map_or_else(String::new, |worth| {
        let sources: Vec<_> = worth.prices.iter().map(|price| price.source.as_str()).collect();
        sources.join("; ")
    });
    let kwh_price = row.cost.as_ref().zip(row.kwh.as_ref()).and_then(|(cost, kwh)| cost.over(kwh));
    let priced = worth.is_some() || row.cost.is_some();
    let currency = desk.currency.clone().filter(|_| priced).unwrap_or_default();
    let unit = row.amount.map_or("", |amount| amount.unit.word());
    [
        format("%Y-%m-%d"),
        format("%H:%M:%S%:z"),
        row.kind.to_owned(),
        plain(&row.network),
        plain(&row.hotkey),
        plain(&row.run),
        number(row.epoch),
        rao(row.amount.map(|amount| amount.rao)),
        unit.to_owned(),
        rao(row.fee),
        rao(row.net),
        decimal(&price),
        plain(&sources),
        decimal(&worth.map(|worth| worth.value.clone())),
        currency,
        decimal(&row.kwh),
        decimal(&kwh_price),
        decimal(&row.cost),
        number(row.tokens),
        plain(&row.source),
        row.digest.clone(),
    ]
}

/// A text that no spreadsheet takes for a formula: some of it comes from servers.
fn plain(text: &str) -> String {
    match text.chars().next() {
        Some('=' | '+' | '-' | '@' | '\t' | '\r') => format!("'{text}"),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_a_server_is_no_formula() {
        assert_eq!(plain("=HYPERLINK(\"x\")"), "'=HYPERLINK(\"x\")");
        assert_eq!((plain("r1").as_str(), plain("").as_str()), ("r1", ""));
    }
}
