//! The two lines on top: who and where, and the status line: state, reason, since when, what must
//! happen next, who must do it, and when.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::text;
use super::super::theme::Theme;
use super::super::view::{OwnMiner, View};
use super::facts::fitted;
use crate::tui::text::labels;

pub(super) fn head(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let right = match view.miner.stage {
        Some(stage) => labels::holds(&view.miner.name, stage),
        None => labels::no_stage(&view.miner.name),
    };
    let mut left = vec![Span::styled(labels::HEARTH, theme.title())];
    let place = match &view.playback {
        Some(playback) => text::replay_of(&playback.recorded),
        None => text::place(view.swarm.is_some(), view.kind),
    };
    let style = if view.playback.is_some() { theme.title() } else { theme.quiet() };
    left.push(Span::styled(format!("  {place}"), style));
    if let Some(run) = &view.miner.run {
        let used = 9 + place.len() + 6 + run.chars().count() + 2 + right.len();
        if used <= usize::from(area.width) {
            left.push(Span::styled(labels::run(run), theme.dim()));
        }
    }
    super::line(frame, area, &Line::from(left));
    #[allow(clippy::cast_possible_truncation)]
    let width = (right.len() as u16).min(area.width);
    let place = Rect { x: area.right() - width, width, ..area };
    super::line(frame, place, &Line::styled(right, theme.quiet()));
}

/// The own miners that there is room for, as they are written; the one that is shown among them.
fn row_of_own(view: &View, width: u16) -> Vec<(usize, String)> {
    let words = |(place, miner): (usize, &OwnMiner)| {
        let text = format!("{} {} {} {}", place + 1, miner.name, miner.backend, miner.state.word());
        let text = if miner.shown { format!("[{text}]") } else { format!(" {text} ") };
        (place, format!("{text}{:GAP$}", ""))
    };
    let mut all: Vec<(usize, String)> = view.own.iter().enumerate().map(words).collect();
    let shown = view.own.iter().position(|miner| miner.shown).unwrap_or(0);
    let cells = |part: &[(usize, String)]| {
        labels::YOURS.len() + part.iter().map(|(_, text)| text.chars().count()).sum::<usize>()
    };
    let mut from = 0;
    while from < shown && cells(&all[from..=shown]) > usize::from(width) {
        from += 1;
    }
    all.drain(..from);
    all
}

/// Cells between two of them.
const GAP: usize = 3;

/// One's own miners, where there are several: the one that is shown stands out, and is never cut off.
pub(super) fn own(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let mut spans = vec![Span::styled(labels::YOURS, theme.dim())];
    for (place, text) in row_of_own(view, area.width) {
        let shown = view.own.get(place).is_some_and(|miner| miner.shown);
        spans.push(Span::styled(text, if shown { theme.title() } else { theme.quiet() }));
    }
    super::line(frame, area, &Line::from(spans));
}

/// Which of the own miners is at a cell of their line, counted from 0.
pub(in crate::tui) fn own_at(cell: u16, view: &View, width: u16) -> Option<usize> {
    let mut end = labels::YOURS.len();
    if usize::from(cell) < end {
        return None;
    }
    let row = row_of_own(view, width).into_iter();
    row.map(|(place, text)| {
        end += text.chars().count();
        (place, end)
    })
    .find(|(_, end)| usize::from(cell) < *end)
    .map(|(place, _)| place)
}

pub(super) fn status(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let status = &view.miner.status;
    #[allow(clippy::cast_precision_loss)]
    let age = text::duration(view.unix as f64 - status.since);
    let first = Line::from(vec![
        Span::raw(" "),
        Span::styled(status.state.word().to_uppercase(), theme.state(status.state)),
        Span::styled(labels::lasts(&age), theme.quiet()),
        Span::raw(status.reason.sentence()),
    ]);
    let second = Line::from(vec![
        Span::styled(labels::NEXT, theme.dim()),
        Span::styled(status.next.clone(), theme.quiet()),
    ]);
    let third = Line::from(vec![
        Span::styled(labels::DONE_BY, theme.dim()),
        Span::styled(text::who(status.who), theme.quiet()),
        Span::styled(labels::EXPECTED, theme.dim()),
        Span::styled(text::eta(status.eta), theme.quiet()),
        Span::styled(text::rules(&view.miner.ruling), theme.quiet()),
    ]);
    let width = usize::from(area.width);
    let fourth = Line::from(vec![
        Span::styled(labels::ADVICE, theme.dim()),
        Span::styled(text::advice::of(&status.reason), theme.quiet()),
    ]);
    for (line, y) in [first, second, third, fourth].into_iter().zip(area.top()..area.bottom()) {
        super::line(frame, Rect { y, ..area }, &fitted(line, width));
    }
}
