//! What was earned: sums over spans of time, the way from a score to pay, the ledger's last rows, and the
//! work that pay is reckoned by. What a network does not publish reads so.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::lines;
use crate::earnings::money::{Rao, Unit};
use crate::earnings::summary::Time;
use crate::earnings::view::{EarningsView, EntryView, LastEpoch, Source, StepView, Sum};
use crate::tui::draw::facts::{fact, said, sentence};
use crate::tui::text::earnings as words;
use crate::tui::text::{self, labels, screens};
use crate::tui::theme::Theme;
use crate::tui::view::View;

/// Width of the columns of sums.
const COLUMNS: [usize; 5] = [16, 14, 14, 14, 14];
/// Below this there is no room for two columns of panes.
const WIDE: u16 = 110;
/// Cells of the chart of epochs.
const CHART: usize = 50;

pub(super) fn earnings(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let sums = earned(view, theme, spans(area));
    let height = u16::try_from(sums.len()).unwrap_or(u16::MAX).saturating_add(3).min(12);
    let [top, bottom] =
        Layout::vertical([Constraint::Length(height), Constraint::Min(6)]).areas(area);
    lines(frame, top, words::EARNED, sums, theme);
    let known = &view.miner.earnings;
    if known.last.is_none() && known.steps.is_empty() {
        return lines(frame, bottom, words::WORK, work(view, theme), theme);
    }
    if area.width < WIDE {
        return lines(frame, bottom, words::WALK, walk(view, theme), theme);
    }
    let [left, right] =
        Layout::horizontal([Constraint::Percentage(55), Constraint::Min(40)]).areas(bottom);
    let [way, did] = Layout::vertical([Constraint::Length(14), Constraint::Min(4)]).areas(left);
    lines(frame, way, words::WALK, walk(view, theme), theme);
    lines(frame, did, words::WORK, work(view, theme), theme);
    lines(frame, right, words::LEDGER, ledger(view, theme), theme);
}

/// The spans that there is room for.
fn spans(area: Rect) -> &'static [Time] {
    const FEW: &[Time] = &[Time::Today, Time::Month, Time::All];
    if area.height < 24 { FEW } else { &Time::ALL }
}

/// The sums of all spans, and where they come from.
pub(super) fn all_earned<'a>(view: &View, theme: &Theme) -> Vec<Line<'a>> {
    earned(view, theme, &Time::ALL)
}

fn earned<'a>(view: &View, theme: &Theme, times: &[Time]) -> Vec<Line<'a>> {
    let earnings = &view.miner.earnings;
    let mut told = vec![sentence(words::source(&earnings.source, ago(view).as_deref()), theme)];
    if earnings.unit == Some(Unit::Points) || (earnings.unit.is_none() && view.swarm.is_some()) {
        told.push(sentence(words::WORTHLESS, theme));
    }
    match earnings.sums.is_empty() {
        true => told.push(sentence(words::NOTHING_YET, theme)),
        false => told.extend(sums(earnings, times, theme)),
    }
    if let Some(why) = &earnings.why {
        told.push(said(labels::WHY_NOTHING, words::why(why), theme));
    }
    told.push(said(labels::PAID_TO, paid_to(view), theme));
    told
}

fn paid_to(view: &View) -> String {
    let last = view.miner.earnings.last.as_ref();
    last.and_then(|last| last.paid_to.clone()).unwrap_or_else(|| screens::UNKNOWN.to_owned())
}

fn sums<'a>(earnings: &EarningsView, times: &[Time], theme: &Theme) -> Vec<Line<'a>> {
    let row = |cells: [String; 5], style: ratatui::style::Style| {
        let spans = cells.into_iter().zip(COLUMNS).enumerate().map(|(n, (cell, width))| match n {
            0 => Span::styled(format!(" {cell:<width$}"), theme.dim()),
            _ => Span::styled(format!("{cell:>width$}"), style),
        });
        Line::from_iter(spans)
    };
    let mut header = words::COLUMNS.map(str::to_owned);
    header[0] = earnings.unit.map(|unit| unit.to_string()).unwrap_or_default();
    let amount = |rao: Rao| match (earnings.unit, &earnings.source) {
        (Some(_), _) => words::amount(rao),
        (None, Source::NotPublished) => screens::NOT_PUBLISHED.to_owned(),
        (None, _) => screens::UNKNOWN.to_owned(),
    };
    let mut all = vec![row(header, theme.dim())];
    for time in times {
        let Some(sum) = earnings.sum(*time) else { continue };
        let cells = [
            words::time(*time).to_owned(),
            amount(sum.earned),
            amount(sum.paid),
            words::energy(sum.millijoules),
            net(sum),
        ];
        all.push(row(cells, theme.number()));
    }
    all
}

/// What is left after electricity.
fn net(sum: &Sum) -> String {
    sum.net
        .as_ref()
        .map_or(screens::UNKNOWN.to_owned(), |(net, currency)| words::net(net, currency))
}

/// From the last epoch's score to what it paid.
pub(super) fn walk<'a>(view: &View, theme: &Theme) -> Vec<Line<'a>> {
    let earnings = &view.miner.earnings;
    let (Some(last), Some(unit)) = (&earnings.last, earnings.unit) else {
        let step = |step: &StepView| said(&step.label, step.told.clone(), theme);
        let steps: Vec<Line<'a>> = earnings.steps.iter().map(step).collect();
        return if steps.is_empty() { vec![sentence(words::NOTHING_YET, theme)] } else { steps };
    };
    let mut told = steps(last, unit, theme);
    let next = words::payout_in(earnings.epochs_to_payout());
    told.push(said(labels::NEXT_PAYOUT, next, theme));
    told.push(said(labels::LAST_EPOCHS, chart(earnings), theme));
    told
}

fn steps<'a>(last: &LastEpoch, unit: Unit, theme: &Theme) -> Vec<Line<'a>> {
    let multiplier = last.multiplier.as_ref().map(|by| by.decimal(3));
    let score = words::score(&last.raw.decimal(0), multiplier.as_deref());
    let part = words::part(&words::share(&last.share), &last.run_total.decimal(0));
    let (of, burn) =
        (last.allocation.as_ref().map(words::share), last.burn.as_ref().map(words::share));
    let owed = words::owed(last.account.pending, last.account.frozen, last.terms.minimum);
    vec![
        fact(labels::SCORE, words::of_epoch(&score, last.epoch), theme),
        fact(labels::SHARE, part, theme),
        fact(labels::RUN_GETS, words::allocation(of.as_deref(), burn.as_deref()), theme),
        fact(labels::WEIGHT, words::share(&last.weight), theme),
        fact(labels::EARNED, words::epoch_pays(last.earned, last.emission, unit), theme),
        said(labels::PERIOD, words::period(last.period), theme),
        fact(labels::OWED, owed, theme),
    ]
}

/// What the last epochs earned, each as high as its part of the highest.
fn chart(earnings: &EarningsView) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let from = earnings.bars.len().saturating_sub(CHART);
    let shown = &earnings.bars[from..];
    let high = shown.iter().map(|rao| rao.0).max().unwrap_or(0).max(1);
    let block = |rao: u64| BLOCKS[(u128::from(rao) * 7 / u128::from(high)).min(7) as usize];
    shown.iter().map(|rao| block(rao.0)).collect()
}

/// The last rows of the ledger.
pub(super) fn ledger<'a>(view: &View, theme: &Theme) -> Vec<Line<'a>> {
    let earnings = &view.miner.earnings;
    let Some(unit) = earnings.unit else { return vec![sentence(words::NOTHING_YET, theme)] };
    let row = |entry: &EntryView| {
        let ago = words::ago(&since(view, entry.at().0));
        said(&ago, words::entry(entry, unit), theme)
    };
    earnings.entries.iter().map(row).collect()
}

pub(super) fn work<'a>(view: &View, theme: &Theme) -> Vec<Line<'a>> {
    let work = &view.miner.work;
    let books = view.swarm.iter().flat_map(|swarm| &swarm.stages).flat_map(|stage| &stage.miners);
    let own = books.into_iter().find(|miner| miner.hotkey == view.miner.hotkey);
    let score = own.map_or(screens::NOT_PUBLISHED.to_owned(), |own| {
        format!("{:.0} ({})", own.score, screens::SCORE)
    });
    vec![
        fact(labels::BACKWARDS, text::thousands(work.backwards), theme),
        fact(labels::OF_THIS_EPOCH, text::thousands(work.backwards_this_epoch), theme),
        fact(labels::PARTITIONS_MERGED, text::thousands(work.partitions_merged), theme),
        fact(labels::TOKENS, text::thousands(work.tokens), theme),
        fact(labels::SENT, text::bytes(work.bytes_sent), theme),
        fact(labels::RECEIVED, text::bytes(work.bytes_received), theme),
        said(labels::SCORE, score, theme),
    ]
}

/// What the Now screen says of it: earned today, and when the next payout is due.
pub(super) fn in_short<'a>(view: &View, theme: &Theme) -> Vec<Line<'a>> {
    let earnings = &view.miner.earnings;
    let today = earnings.sum(Time::Today).zip(earnings.unit);
    let earned = match (today, &earnings.source) {
        (Some((today, unit)), _) => words::earned_and_left(
            &words::amount_of(today.earned, unit),
            today.net.as_ref().map(|(net, currency)| words::net(net, currency)).as_deref(),
        ),
        (None, Source::NotPublished) => screens::NOT_PUBLISHED.to_owned(),
        (None, _) => screens::UNKNOWN.to_owned(),
    };
    let next = words::payout_in(earnings.epochs_to_payout());
    vec![fact(labels::EARNED, earned, theme), said(labels::NEXT_PAYOUT, next, theme)]
}

fn ago(view: &View) -> Option<String> {
    view.miner.earnings.asked.map(|at| since(view, at.0))
}

/// How long ago a moment was, in Unix milliseconds.
fn since(view: &View, millis: u64) -> String {
    #[allow(clippy::cast_precision_loss)]
    text::duration(view.unix.saturating_sub(millis / 1000) as f64)
}
