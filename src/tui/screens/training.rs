//! The own stage: the way of an activation as a waterfall, what its time goes into and why it idled,
//! how much of the device it uses, the loss, and the memory.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::{lines, listed};
use crate::miner::snapshot::measured::{Measured, Waterfall};
use crate::miner::snapshot::time::Activity;
use crate::tui::draw::facts::{bar, fact, maybe, percent, said, sentence};
use crate::tui::draw::loss;
use crate::tui::text::labels;
use crate::tui::text::{self, measured as words, screens};
use crate::tui::theme::Theme;
use crate::tui::view::View;

pub(super) fn training(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) -> usize {
    let [left, right] =
        Layout::horizontal([Constraint::Percentage(50), Constraint::Percentage(50)]).areas(area);
    let [way, time] = Layout::vertical([Constraint::Length(9), Constraint::Min(6)]).areas(left);
    let facts_height = if area.height >= 30 { 16 } else { 9 };
    let [curve, stage] =
        Layout::vertical([Constraint::Min(8), Constraint::Length(facts_height)]).areas(right);
    let inside = |area: Rect| usize::from(area.width.saturating_sub(2));
    let measured = &view.miner.measured;
    lines(frame, way, words::WAY, waterfall(&measured.time.waterfall, inside(way), theme), theme);
    loss(frame, curve, view, theme);
    let both = (view, theme);
    let shares = shares(measured, inside(time), theme);
    let shares = listed(frame, time, words::TIME, shares, both);
    shares.max(listed(frame, stage, screens::STAGE, facts(view, theme), both))
}

/// Cells of a leg's name, and of its figure.
const NAME: usize = 10;
const FIGURE: usize = 10;

/// The legs of an activation's way, one below the other, each where the one before it ends.
pub(super) fn waterfall<'a>(way: &Waterfall, width: usize, theme: &Theme) -> Vec<Line<'a>> {
    let legs =
        [way.queue, way.receive, way.forward, way.send, way.wait, way.backward, way.send_back];
    let whole: f64 = legs.iter().flatten().filter(|ms| ms.is_finite()).sum();
    if whole <= 0.0 {
        return vec![sentence(words::NO_WAY_YET, theme)];
    }
    let cells = width.saturating_sub(NAME + FIGURE + 3).clamp(4, 80);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let place = |ms: f64| ((ms / whole).clamp(0.0, 1.0) * cells as f64).round() as usize;
    let mut before = 0.0;
    let mut lines = Vec::new();
    for (name, leg) in words::LEGS.into_iter().zip(legs) {
        let name = Span::styled(format!(" {name:<NAME$}"), theme.dim());
        let Some(ms) = leg.filter(|ms| ms.is_finite()) else {
            lines.push(Line::from(vec![name, Span::styled(screens::UNKNOWN, theme.quiet())]));
            continue;
        };
        let from = place(before).min(cells - 1);
        before += ms;
        let to = place(before).clamp(from + 1, cells);
        lines.push(Line::from(vec![
            name,
            Span::styled("·".repeat(from), theme.dim()),
            Span::styled("█".repeat(to - from), theme.bar()),
            Span::styled("·".repeat(cells - to), theme.dim()),
            Span::styled(format!("{:>FIGURE$}", words::milliseconds(ms)), theme.number()),
        ]));
    }
    lines
}

/// What time went into, the largest first.
fn by_share(measured: &Measured) -> Vec<Activity> {
    let time = &measured.time;
    let mut all: Vec<Activity> = Activity::ALL.into_iter().collect();
    let weight = |a: &Activity| time.minute.share(*a) + time.quarter.share(*a) / 1e3;
    all.retain(|activity| weight(activity) > 0.0);
    all.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
    all
}

/// The same in sentences.
pub(super) fn shares_told(measured: &Measured) -> Vec<String> {
    let time = &measured.time;
    if time.minute.parts.is_empty() {
        return vec![words::NO_TIME_YET.to_owned()];
    }
    let told = |activity: Activity| {
        let [minute, quarter] =
            [&time.minute, &time.quarter].map(|window| percent(window.share(activity)));
        words::share(words::activity(activity), minute, quarter)
    };
    by_share(measured).into_iter().map(told).collect()
}

/// What the last minute went into, the largest first, with the last quarter of an hour beside it.
fn shares<'a>(measured: &Measured, width: usize, theme: &Theme) -> Vec<Line<'a>> {
    let time = &measured.time;
    if time.minute.parts.is_empty() {
        return vec![sentence(words::NO_TIME_YET, theme)];
    }
    let cells = width.saturating_sub(31).clamp(4, 60);
    let head = format!(" {:<18}{:>w$}{:>7}", "", words::MINUTE, words::QUARTER, w = cells + 5);
    let mut lines = vec![Line::styled(head, theme.dim())];
    for activity in by_share(measured) {
        let style = match (activity.computes(), activity.is_idle()) {
            (true, _) => theme.good(),
            (_, true) => theme.warning(),
            _ => theme.quiet(),
        };
        let mut spans = vec![Span::styled(format!(" {:<18}", words::activity(activity)), style)];
        spans.extend(bar(time.minute.share(activity), cells, theme));
        let quarter = percent(time.quarter.share(activity));
        spans.push(Span::styled(format!("{quarter:>6}%"), theme.quiet()));
        lines.push(Line::from(spans));
    }
    lines
}

pub(super) fn facts<'a>(view: &View, theme: &Theme) -> Vec<Line<'a>> {
    let miner = &view.miner;
    let held = miner.stage.map(|stage| match miner.stages {
        0 => stage.to_string(),
        stages => labels::stage_of(stage, stages),
    });
    let planned = (miner.device.planned_bytes > 0).then(|| text::bytes(miner.device.planned_bytes));
    let mut facts = vec![
        maybe(labels::STAGE, held, theme),
        fact(labels::FORWARDS, waiting(miner.work.forwards, miner.forward_queue), theme),
        fact(labels::BACKWARDS, waiting(miner.work.backwards, miner.backward_queue), theme),
        fact(labels::IN_FLIGHT, labels::some_of(miner.cache, miner.cache_capacity), theme),
        maybe(labels::MEMORY_AT_MOST, planned, theme),
    ];
    let used = &miner.measured.utilisation;
    facts.push(match (used.share, used.peak) {
        (Some(share), _) => fact(labels::OF_ITS_FLOP_S, words::utilisation(share), theme),
        (None, Some(_)) => said(labels::OF_ITS_FLOP_S, screens::UNKNOWN, theme),
        (None, None) => said(labels::OF_ITS_FLOP_S, words::NO_PEAK, theme),
    });
    if !miner.device.memory.is_empty() {
        facts.push(sentence(miner.device.memory.clone(), theme));
    }
    facts
}

fn waiting(done: u64, waiting: usize) -> String {
    match waiting {
        0 => text::thousands(done),
        some => labels::waiting(&text::thousands(done), some),
    }
}
