//! One frame: a function of the [`View`] and nothing else.

pub(in crate::tui) mod cells;
pub(in crate::tui) mod clean;
pub(in crate::tui) mod facts;
mod footer;
mod log;
mod loss;
pub(in crate::tui) mod map;
mod overlay;
pub(in crate::tui) mod playback;
pub(in crate::tui) mod speed;
pub(in crate::tui) mod stages;
pub(in crate::tui) mod status;
pub(in crate::tui) mod tabs;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph, Wrap};

use super::screens;
use super::text;
use super::theme::Theme;
use super::view::View;

pub(in crate::tui) use cells::Pane;
use cells::put;
pub(in crate::tui) use clean::words;
pub(in crate::tui) use log::log;
pub(in crate::tui) use loss::{Curve, curve, loss, losses};
pub(in crate::tui) use stages::stages;

/// Where the parts of a screen are.
#[derive(Clone, Copy, Debug)]
pub(in crate::tui) struct Areas {
    head: Rect,
    /// The names of the screens.
    pub(in crate::tui) names: Rect,
    /// One's own miners, where there are several.
    pub(in crate::tui) own: Rect,
    status: Rect,
    /// The screen that is chosen.
    pub(in crate::tui) body: Rect,
    foot: Rect,
}

impl Areas {
    /// In a window that is large enough.
    pub(in crate::tui) fn of(area: Rect, view: &View) -> Self {
        let own_height = u16::from(!view.own.is_empty());
        // In a small window the help has the advice.
        let status_height = if area.height >= 30 { 4 } else { 3 };
        let [head, names, own, status, body, foot] = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Length(own_height),
            Constraint::Length(status_height),
            Constraint::Min(8),
            Constraint::Length(1),
        ])
        .areas(area);
        Self { head, names, own, status, body, foot }
    }
}

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, view: &View, theme: &Theme) {
    measured(frame, view, theme);
}

/// The same. Returns how many lines the longest list of the screen has beyond its room: so far it can be
/// scrolled.
pub(in crate::tui) fn measured(frame: &mut Frame<'_>, view: &View, theme: &Theme) -> usize {
    let area = frame.area();
    if area.width < text::SMALLEST.0 || area.height < text::SMALLEST.1 {
        let sentence = text::too_small(area.width, area.height);
        frame.render_widget(Paragraph::new(sentence).wrap(Wrap { trim: true }), area);
        return 0;
    }
    let Areas { head, names, own, status, body, foot } = Areas::of(area, view);
    status::head(frame, head, view, theme);
    tabs::tabs(frame, names, view, theme);
    status::own(frame, own, view, theme);
    status::status(frame, status, view, theme);
    let beyond = screens::body(frame, body, view, theme);
    footer::footer(frame, foot, view, theme);
    overlay::overlay(frame, area, view, theme);
    clean::clean(frame.buffer_mut(), theme.signs());
    beyond
}

/// The frame of a pane.
pub(in crate::tui) fn pane(title: &'static str, theme: &Theme) -> Block<'static> {
    Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme.dim())
        .title(Span::styled(title, theme.quiet()))
}

/// Lines in a pane, one in each row, as far as there is room.
pub(in crate::tui) fn filled(
    frame: &mut Frame<'_>,
    area: Rect,
    pane: &Pane<'_>,
    lines: &[Line<'_>],
) {
    let buffer = frame.buffer_mut();
    let inside = pane.draw(buffer, area);
    for (line, y) in lines.iter().zip(inside.top()..inside.bottom()) {
        put(buffer, (inside.x, y), line, inside.width);
    }
}

/// A line on its own.
pub(in crate::tui) fn line(frame: &mut Frame<'_>, area: Rect, line: &Line<'_>) {
    put(frame.buffer_mut(), (area.x, area.y), line, area.width);
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
pub(in crate::tui) mod samples;
#[cfg(test)]
mod tests;
