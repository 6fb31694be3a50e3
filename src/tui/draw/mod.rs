//! One frame: a function of the [`View`] and nothing else.

mod loss;
mod overlay;
mod playback;
mod speed;
mod stages;
mod status;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, BorderType, Paragraph, Wrap};

use super::keymap;
use super::text;
use super::theme::Theme;
use super::view::View;

pub(in crate::tui) use loss::loss;
pub(in crate::tui) use stages::stages;

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, view: &View, theme: &Theme) {
    let area = frame.area();
    if area.width < text::SMALLEST.0 || area.height < text::SMALLEST.1 {
        let sentence = text::too_small(area.width, area.height);
        frame.render_widget(Paragraph::new(sentence).wrap(Wrap { trim: true }), area);
        return;
    }
    let speed_height = 6;
    let log_height = if area.height >= 36 { 8 } else { 3 };
    let own_height = u16::from(!view.own.is_empty());
    let [head, own, status, main, speed, log, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(own_height),
        Constraint::Length(3),
        Constraint::Min(8),
        Constraint::Length(speed_height),
        Constraint::Length(log_height),
        Constraint::Length(1),
    ])
    .areas(area);
    let stages_width = if area.width >= 110 { 46 } else { 38 };
    let [left, right] =
        Layout::horizontal([Constraint::Min(40), Constraint::Length(stages_width)]).areas(main);

    status::head(frame, head, view, theme);
    status::own(frame, own, view, theme);
    status::status(frame, status, view, theme);
    loss(frame, left, view, theme);
    stages(frame, right, view, theme);
    speed::speed(frame, speed, view, theme);
    self::log(frame, log, view, theme);
    footer(frame, foot, view, theme);
    overlay::overlay(frame, area, view, theme);
}

/// The frame of a pane.
pub(in crate::tui) fn pane(title: &'static str, theme: &Theme) -> Block<'static> {
    Block::bordered()
        .border_type(BorderType::Rounded)
        .border_style(theme.dim())
        .title(Span::styled(title, theme.quiet()))
}

fn log(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let block = pane(text::LOG, theme);
    let inside = block.inner(area);
    let rows = usize::from(inside.height);
    let lines: Vec<Line<'_>> = if view.log.is_empty() {
        vec![Line::styled(text::NO_LOG_YET, theme.dim())]
    } else {
        let from = view.log.len().saturating_sub(rows);
        view.log.iter().skip(from).map(|line| Line::styled(line.clone(), theme.quiet())).collect()
    };
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

/// The keys that do something here.
fn keys(view: &View) -> Vec<keymap::Binding> {
    match (&view.playback, view.attached) {
        (Some(_), _) => keymap::PLAYBACK.to_vec(),
        (None, Some(_)) => keymap::elsewhere(view.own.len()),
        (None, None) => keymap::living(view.own.len()),
    }
}

fn footer(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    if view.quitting {
        frame.render_widget(Line::styled(format!(" {}", text::QUITTING), theme.title()), area);
        return;
    }
    if let Some(place) = &view.playback {
        playback::bar(frame, area, place, theme);
        return;
    }
    let mut spans = vec![Span::raw(" ")];
    let shown = |binding: &&keymap::Binding| {
        let short = binding.key.len() == 1 || binding.action == keymap::Action::Next;
        short && !binding.short.is_empty()
    };
    for binding in keys(view).iter().filter(shown) {
        spans.push(Span::styled(binding.key, theme.number()));
        spans.push(Span::styled(format!(" {}   ", binding.short), theme.quiet()));
    }
    frame.render_widget(Line::from(spans), area);
}

#[cfg(test)]
mod tests;
