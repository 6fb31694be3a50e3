//! One picture of the wizard: a function of its state and nothing else.

mod key;
mod limits;
mod machine;
mod practice;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::limits::Page;
use super::request::Screen;
use super::rule_text;
use super::state::Wizard;
use super::text;
use crate::tui::text::{SMALLEST, too_small_for_setup};
use crate::tui::theme::Theme;

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, wizard: &Wizard, theme: &Theme) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let sentence = too_small_for_setup(area.width, area.height);
        frame.render_widget(Paragraph::new(sentence).wrap(Wrap { trim: true }), area);
        return;
    }
    let [head, steps, intro, body, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(2),
        Constraint::Min(10),
        Constraint::Length(1),
    ])
    .areas(area);
    let who = Line::from(vec![
        Span::styled(" Hearth setup", theme.title()),
        Span::styled(format!("  {}", text::WHO), theme.dim()),
    ]);
    frame.render_widget(who, head);
    frame.render_widget(progress(wizard, theme), steps);
    let intro_text = match (wizard.screen, wizard.limits.page) {
        (Screen::Limits, Page::Rules) => rule_text::INTRO,
        (screen, _) => text::intro(screen),
    };
    let sentence = Paragraph::new(intro_text).wrap(Wrap { trim: true });
    frame.render_widget(sentence.style(theme.quiet()), inset(intro));
    match wizard.screen {
        Screen::Machine => machine::machine(frame, body, wizard, theme),
        Screen::Practice => practice::practice(frame, body, wizard, theme),
        Screen::Key => key::key(frame, body, &wizard.key, theme),
        Screen::Limits => limits::limits(frame, body, &wizard.limits, theme),
        Screen::Ready => limits::ready(frame, body, wizard, theme),
    }
    footer(frame, foot, wizard, theme);
}

/// One column of space on both sides.
fn inset(area: Rect) -> Rect {
    Rect { x: area.x + 1, width: area.width.saturating_sub(2), ..area }
}

/// `1 This machine > 2 See it work > ..`, the current one marked.
fn progress<'a>(wizard: &Wizard, theme: &Theme) -> Line<'a> {
    let mut spans = vec![Span::raw(" ")];
    for (index, screen) in Screen::ALL.into_iter().enumerate() {
        if index > 0 {
            spans.push(Span::styled(" > ", theme.dim()));
        }
        let words = match screen {
            Screen::Ready => text::title(screen).to_owned(),
            _ => format!("{} {}", index + 1, text::title(screen)),
        };
        if screen == wizard.screen {
            spans.push(Span::styled(format!("[{words}]"), theme.title()));
        } else {
            spans.push(Span::styled(words, theme.dim()));
        }
    }
    Line::from(spans)
}

fn footer(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, theme: &Theme) {
    let mut spans = vec![Span::raw(" ")];
    for (key, what) in wizard.keys() {
        spans.push(Span::styled(key, theme.number()));
        spans.push(Span::styled(format!(" {what}   "), theme.quiet()));
    }
    frame.render_widget(Line::from(spans), area);
}

/// A menu, and below it what the marked item means.
fn menu<'a>(
    items: &[(&'static str, &'static str)],
    selected: usize,
    width: usize,
    theme: &Theme,
) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> = items
        .iter()
        .enumerate()
        .map(|(index, (name, _))| {
            let marked = index == selected;
            let (mark, style) =
                if marked { (" > ", theme.title()) } else { ("   ", theme.quiet()) };
            Line::styled(format!("{mark}{name}"), style)
        })
        .collect();
    lines.push(Line::default());
    let meaning = items.get(selected).map_or("", |(_, meaning)| meaning);
    for line in machine::wrapped(meaning, width) {
        lines.push(Line::raw(format!("  {line}")));
    }
    lines
}

#[cfg(test)]
mod tests;
