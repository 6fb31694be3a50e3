//! The names of the screens with their keys; the one that is shown stands in brackets.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::look::ScreenName;
use super::super::text::screens as words;
use super::super::theme::Theme;
use super::super::view::View;

/// The name of a screen with its key.
fn name(screen: ScreenName, view: &View) -> String {
    let mark = if screen == ScreenName::Log && view.warnings() > 0 { " !" } else { "" };
    format!("{} {}{mark}", view.keys.press(screen.action()), words::name(screen))
}

pub(super) fn tabs(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let span = |screen| match screen == view.look.screen {
        true => Span::styled(format!("[{}]", name(screen, view)), theme.chosen()),
        false => Span::styled(format!(" {} ", name(screen, view)), theme.quiet()),
    };
    super::line(frame, area, &Line::from_iter(ScreenName::ALL.map(span)));
}

/// The screen whose name is at a cell of the line, counted from 0.
pub(in crate::tui) fn at(cell: u16, view: &View) -> Option<ScreenName> {
    let mut end = 0;
    ScreenName::ALL.into_iter().find(|screen| {
        end += name(*screen, view).chars().count() + 2;
        usize::from(cell) < end
    })
}
