//! The last line of a playback: that it is one, where it is, and its keys.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::keymap::Action;
use super::super::text;
use super::super::theme::Theme;
use super::super::view::View;
use crate::control::Place;
use crate::tui::text::labels;

/// The shortest bar that still says something.
const SHORTEST: usize = 6;

pub(super) fn bar(frame: &mut Frame<'_>, area: Rect, view: &View, place: &Place, theme: &Theme) {
    let state = match (place.holds, place.at >= place.length) {
        (_, true) => labels::AT_ITS_END.to_owned(),
        (true, false) => labels::HELD.to_owned(),
        (false, false) => format!("{}x", text::factor(place.speed)),
    };
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
        let share =
            if place.length.is_zero() { 1.0 } else { place.at.div_duration_f64(place.length) };
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss
        )]
        let done = ((share.clamp(0.0, 1.0) * free as f64) as usize).min(free);
        spans.push(Span::styled("━".repeat(done), theme.bar()));
        spans.push(Span::styled("─".repeat(free - done), theme.dim()));
        spans.push(Span::raw("  "));
    }
    spans.push(Span::styled(keys, theme.quiet()));
    frame.render_widget(Line::from(spans), area);
}
