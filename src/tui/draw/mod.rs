//! One frame: a function of the [`View`] and nothing else.

pub(in crate::tui) mod clean;
pub(in crate::tui) mod facts;
mod footer;
mod log;
mod loss;
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
    let area = frame.area();
    if area.width < text::SMALLEST.0 || area.height < text::SMALLEST.1 {
        let sentence = text::too_small(area.width, area.height);
        frame.render_widget(Paragraph::new(sentence).wrap(Wrap { trim: true }), area);
        return;
    }
    let Areas { head, names, own, status, body, foot } = Areas::of(area, view);
    status::head(frame, head, view, theme);
    tabs::tabs(frame, names, view, theme);
    status::own(frame, own, view, theme);
    status::status(frame, status, view, theme);
    screens::body(frame, body, view, theme);
    footer::footer(frame, foot, view, theme);
    overlay::overlay(frame, area, view, theme);
    clean::clean(frame.buffer_mut(), theme.signs());
}

/// The frame of a pane.
pub(in crate::tui) fn pane(title: &'static str, theme: &Theme) -> Block<'static> {
    Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme.dim())
        .title(Span::styled(title, theme.quiet()))
}

/// Lines in a block, one in each row, as far as there is room. The toolkit's paragraph does the same for
/// twice the time: it can break lines, and styles every cell first.
pub(in crate::tui) fn filled(
    frame: &mut Frame<'_>,
    area: Rect,
    block: Block<'_>,
    lines: &[Line<'_>],
) {
    let inside = block.inner(area);
    frame.render_widget(block, area);
    let buffer = frame.buffer_mut();
    for (line, y) in lines.iter().zip(inside.top()..inside.bottom()) {
        buffer.set_line(inside.x, y, line, inside.width);
    }
}

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
pub(in crate::tui) mod samples;
#[cfg(test)]
mod tests;
