//! A playback: the last line, which says that it is one, where it is, and its keys; and the scrubber.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::super::keymap::Action;
use super::super::text;
use super::super::theme::Theme;
use super::super::view::View;
use super::facts::fitted;
use super::{Pane, filled};
use crate::control::Place;
use crate::tui::text::labels;

/// The shortest bar that still says something.
const SHORTEST: usize = 6;

pub(super) fn bar(frame: &mut Frame<'_>, area: Rect, view: &View, place: &Place, theme: &Theme) {
    let state = state(place);
    let time = labels::time_of(&text::clock(place.at), &text::clock(place.length));
    let press = |action| view.keys.press(action).to_string();
    let keys = text::replay_keys(
        &press(Action::Hold),
        [&press(Action::Rewind), &press(Action::Ahead)],
        &press(Action::Quit),
    );
    let head = format!(" {} {state}  {time}  ", text::REPLAY);
    let free =
        usize::from(area.width).saturating_sub(head.chars().count() + keys.chars().count() + 2);
    let mut spans = vec![
        Span::styled(format!(" {} ", text::REPLAY), theme.title()),
        Span::styled(format!("{state}  "), theme.number()),
        Span::styled(format!("{time}  "), theme.quiet()),
    ];
    if free >= SHORTEST {
        spans.extend(line(place.share(), free, theme));
        spans.push(Span::raw("  "));
    }
    spans.push(Span::styled(keys, theme.quiet()));
    super::line(frame, area, &Line::from(spans));
}

/// Whether it plays, and how fast.
fn state(place: &Place) -> String {
    match (place.holds, place.at >= place.length) {
        (_, true) => labels::AT_ITS_END.to_owned(),
        (true, false) => labels::HELD.to_owned(),
        (false, false) => format!("{}x", text::factor(place.speed)),
    }
}

/// A line of so many cells, done to a share.
fn line<'a>(share: f64, cells: usize, theme: &Theme) -> [Span<'a>; 2] {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let done = ((share * cells as f64) as usize).min(cells);
    [
        Span::styled("━".repeat(done), theme.bar()),
        Span::styled("─".repeat(cells - done), theme.dim()),
    ]
}

/// Rows of the scrubber, with its frame.
pub(in crate::tui) const SCRUBBER: u16 = 4;
/// Cells on both sides of its line: the frame, and the times.
const SIDE: u16 = 10;

/// The record as a line to move on, with the time that is shown.
pub(in crate::tui) fn scrubber(
    frame: &mut Frame<'_>,
    area: Rect,
    view: &View,
    place: &Place,
    theme: &Theme,
) {
    let cells = usize::from(track(area).width);
    let length = text::clock(place.length);
    let mut first = vec![Span::styled(format!("{:>8} ", "0:00"), theme.dim())];
    let knob = cells.saturating_sub(1);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
    let done = ((place.share() * knob as f64).round() as usize).min(knob);
    first.push(Span::styled("━".repeat(done), theme.bar()));
    first.push(Span::styled("●", theme.title()));
    first.push(Span::styled("─".repeat(knob - done), theme.dim()));
    first.push(Span::styled(format!(" {length}"), theme.dim()));
    let press = |action| view.keys.press(action).to_string();
    let pair = |one, other| [press(one), press(other)];
    let (step, leap, ends) = (
        pair(Action::Rewind, Action::Ahead),
        pair(Action::FarBack, Action::FarAhead),
        pair(Action::Oldest, Action::Newest),
    );
    let keys = text::scrub_keys(
        step.each_ref().map(String::as_str),
        place.step(),
        leap.each_ref().map(String::as_str),
        place.leap(),
        ends.each_ref().map(String::as_str),
    );
    let second = Line::from(vec![
        Span::styled(
            format!(" {}", labels::time_of(&text::clock(place.at), &length)),
            theme.number(),
        ),
        Span::styled(format!("  {}  {}", state(place), place.then), theme.quiet()),
        Span::styled(format!("   {keys}"), theme.quiet()),
    ]);
    let inside = usize::from(Pane::inner(area).width);
    let lines = [fitted(Line::from(first), inside), fitted(second, inside)];
    filled(frame, area, &Pane::new(text::RECORD, theme), &lines);
}

/// Where its line is.
fn track(area: Rect) -> Rect {
    let width = area.width.saturating_sub(2 * SIDE);
    Rect { x: area.x + SIDE, y: area.y + 1, width, height: 1 }
}

/// The time that a cell of the scrubber stands for; none beside its line.
pub(in crate::tui) fn time_at(area: Rect, cell: Position, place: &Place) -> Option<Duration> {
    let track = track(area);
    if !track.contains(cell) {
        return None;
    }
    let share = f64::from(cell.x - track.x) / f64::from(track.width.saturating_sub(1).max(1));
    Some(place.length.mul_f64(share))
}
