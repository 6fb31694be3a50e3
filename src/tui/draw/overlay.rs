//! What lies on top of the dashboard: the help, and how it ended.

use ratatui::Frame;
use ratatui::layout::{Constraint, Flex, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph, Wrap};

use super::super::text;
use super::super::theme::Theme;
use super::super::view::View;
use super::{keys, pane};
use crate::control::Progress;

pub(super) fn overlay(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    if view.help {
        help(frame, area, view, theme);
        return;
    }
    if view.pausing {
        let cost = view.miner.pause_cost().pause;
        ending(frame, area, text::PAUSE, &format!("{cost}\n{}", text::PAUSE_KEYS), theme);
        return;
    }
    if view.asking {
        ask(frame, area, theme);
        return;
    }
    match &view.progress {
        Progress::Running => {}
        Progress::Finished(summary) => ending(frame, area, text::FINISHED, summary, theme),
        Progress::Failed(why) => ending(frame, area, text::FAILED, why, theme),
    }
}

fn ask(frame: &mut Frame<'_>, area: Rect, theme: &Theme) {
    let place = centred(area, 56, 4);
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(text::ASK_STOP).block(pane(text::STOP, theme)), place);
}

fn help(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let bindings = keys(view);
    let lines: Vec<Line<'_>> = bindings
        .iter()
        .map(|binding| {
            Line::from(vec![
                Span::styled(format!(" {:<8}", binding.key), theme.number()),
                Span::styled(binding.long, theme.quiet()),
            ])
        })
        .collect();
    #[allow(clippy::cast_possible_truncation)]
    let height = bindings.len() as u16 + 2;
    let place = centred(area, 70, height);
    frame.render_widget(Clear, place);
    frame.render_widget(Paragraph::new(lines).block(pane(text::HELP, theme)), place);
}

fn ending(frame: &mut Frame<'_>, area: Rect, title: &'static str, words: &str, theme: &Theme) {
    let width = area.width.saturating_sub(4).min(100);
    let paragraph =
        Paragraph::new(words.to_owned()).wrap(Wrap { trim: false }).block(pane(title, theme));
    let wrapped: usize = words
        .lines()
        .map(|line| {
            line.chars().count().div_ceil(usize::from(width.saturating_sub(4)).max(1)).max(1)
        })
        .sum();
    #[allow(clippy::cast_possible_truncation)]
    let height = (wrapped.min(200) as u16 + 2).min(area.height.saturating_sub(4));
    let place = centred(area, width, height);
    frame.render_widget(Clear, place);
    frame.render_widget(paragraph, place);
}

fn centred(area: Rect, width: u16, height: u16) -> Rect {
    let [area] = Layout::horizontal([Constraint::Length(width)]).flex(Flex::Center).areas(area);
    let [area] = Layout::vertical([Constraint::Length(height)]).flex(Flex::Center).areas(area);
    area
}
