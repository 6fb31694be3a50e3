//! The names of the screens with their keys; the one that is shown stands in brackets.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::look::ScreenName;
use super::super::text::screens as words;
use super::super::theme::Theme;
use super::super::view::View;

pub(super) fn tabs(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let mut spans = Vec::new();
    for screen in ScreenName::ALL {
        let mut name = format!("{} {}", view.keys.press(screen.action()), words::name(screen));
        if screen == ScreenName::Log && view.warnings() > 0 {
            name.push_str(" !");
        }
        spans.push(match screen == view.look.screen {
            true => Span::styled(format!("[{name}]"), theme.chosen()),
            false => Span::styled(format!(" {name} "), theme.quiet()),
        });
    }
    frame.render_widget(Line::from(spans), area);
}
