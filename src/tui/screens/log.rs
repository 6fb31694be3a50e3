//! The log on all the room there is: searched, filtered, followed or scrolled.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::{Line, Span};

use crate::tui::draw::{self, playback};
use crate::tui::look::{Lines, Search};
use crate::tui::text::screens as words;
use crate::tui::theme::Theme;
use crate::tui::view::View;

pub(super) fn log(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let [scrubber, top, main] = areas(area, view);
    if let Some(place) = &view.playback {
        playback::scrubber(frame, scrubber, view, place, theme);
    }
    draw::line(frame, top, &state(view, theme));
    draw::log(frame, main, view, theme);
}

/// The scrubber of a replay, what of the log is shown, the log.
fn areas(area: Rect, view: &View) -> [Rect; 3] {
    let scrubber = if view.playback.is_some() { playback::SCRUBBER } else { 0 };
    Layout::vertical([Constraint::Length(scrubber), Constraint::Length(1), Constraint::Min(4)])
        .areas(area)
}

/// The time of the record that a cell of the screen stands for.
pub(in crate::tui) fn time_at(area: Rect, cell: Position, view: &View) -> Option<Duration> {
    let [scrubber, ..] = areas(area, view);
    playback::time_at(scrubber, cell, view.playback.as_ref()?)
}

/// What of the log is shown.
fn state<'a>(view: &View, theme: &Theme) -> Line<'a> {
    let shown = view.log_lines().count();
    let which = match view.look.lines {
        Lines::All => words::ALL_LINES,
        Lines::Warnings => words::WARNINGS,
    };
    let place = match view.look.above {
        0 => words::FOLLOWS.to_owned(),
        above => words::above(above),
    };
    let mut spans = vec![
        Span::styled(format!(" {which}: "), theme.dim()),
        Span::styled(words::of(shown, view.log.len()), theme.number()),
        Span::styled(format!("   {place}"), theme.quiet()),
    ];
    if let Search::For(word) = &view.look.search {
        spans.push(Span::styled(format!("   {} ", words::WITH), theme.dim()));
        spans.push(Span::styled(word.clone(), theme.number()));
    }
    Line::from(spans)
}
