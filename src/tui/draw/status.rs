//! The two lines on top: who and where, and the status line: state, reason, since when, what must
//! happen next, who must do it, and when.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::text;
use super::super::theme::Theme;
use super::super::view::{OwnMiner, View};
use super::facts::fitted;
use crate::tui::text::labels;

pub(super) fn head(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let right = match view.miner.stage {
        Some(stage) => labels::holds(&view.miner.name, stage),
        None => labels::no_stage(&view.miner.name),
    };
    let mut left = vec![Span::styled(labels::HEARTH, theme.title())];
    let place = match &view.playback {
        Some(playback) => text::replay_of(&playback.recorded),
        None => text::place(view.swarm.is_some(), view.kind),
    };
    let style = if view.playback.is_some() { theme.title() } else { theme.quiet() };
    left.push(Span::styled(format!("  {place}"), style));
    if let Some(run) = &view.miner.run {
        let used = 9 + place.len() + 6 + run.chars().count() + 2 + right.len();
        if used <= usize::from(area.width) {
            left.push(Span::styled(labels::run(run), theme.dim()));
        }
    }
    frame.render_widget(Line::from(left), area);
    #[allow(clippy::cast_possible_truncation)]
    let width = (right.len() as u16).min(area.width);
    let place = Rect { x: area.right() - width, width, ..area };
    frame.render_widget(Line::styled(right, theme.quiet()), place);
}

/// One's own miners, where there are several: the one that is shown stands out, and is never cut off.
pub(super) fn own(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let words = |place: usize, miner: &OwnMiner| {
        let (name, backend) = (&miner.name, &miner.backend);
        format!("{} {name} {backend} {}", place + 1, miner.state.word())
    };
    let all: Vec<String> = view.own.iter().enumerate().map(|(n, m)| words(n, m)).collect();
    let shown = view.own.iter().position(|miner| miner.shown).unwrap_or(0);
    let width =
        |from: usize| 9 + all[from..=shown].iter().map(|text| text.len() + 5).sum::<usize>();
    let mut from = 0;
    while from < shown && width(from) > usize::from(area.width) {
        from += 1;
    }
    let mut spans = vec![Span::styled(labels::YOURS, theme.dim())];
    for (miner, text) in view.own.iter().zip(all).skip(from) {
        let style = if miner.shown { theme.title() } else { theme.quiet() };
        let text = if miner.shown { format!("[{text}]") } else { format!(" {text} ") };
        spans.push(Span::styled(text, style));
        spans.push(Span::raw("   "));
    }
    frame.render_widget(Line::from(spans), area);
}

pub(super) fn status(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let status = &view.miner.status;
    #[allow(clippy::cast_precision_loss)]
    let age = text::duration(view.unix as f64 - status.since);
    let first = Line::from(vec![
        Span::raw(" "),
        Span::styled(status.state.word().to_uppercase(), theme.state(status.state)),
        Span::styled(labels::lasts(&age), theme.quiet()),
        Span::raw(status.reason.sentence()),
    ]);
    let second = Line::from(vec![
        Span::styled(labels::NEXT, theme.dim()),
        Span::styled(status.next.clone(), theme.quiet()),
    ]);
    let third = Line::from(vec![
        Span::styled(labels::DONE_BY, theme.dim()),
        Span::styled(text::who(status.who), theme.quiet()),
        Span::styled(labels::EXPECTED, theme.dim()),
        Span::styled(text::eta(status.eta), theme.quiet()),
        Span::styled(text::rules(&view.miner.ruling), theme.quiet()),
    ]);
    let width = usize::from(area.width);
    let fourth = Line::from(vec![
        Span::styled(labels::ADVICE, theme.dim()),
        Span::styled(text::advice::of(&status.reason), theme.quiet()),
    ]);
    let lines = [first, second, third, fourth].map(|line| fitted(line, width));
    frame.render_widget(Paragraph::new(lines.to_vec()), area);
}
