//! The second screen: the practice swarm's loss and stages, drawn as on the dashboard.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::facts::Practice;
use super::super::state::Wizard;
use super::super::text;
use super::machine::paragraph;
use crate::tui::draw::{loss, pane, stages};
use crate::tui::text::thousands;
use crate::tui::theme::Theme;
use crate::tui::view::View;

pub(super) fn practice(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, theme: &Theme) {
    let sentence = match &wizard.practice {
        Practice::Off => text::PRACTICE_OFF.to_owned(),
        Practice::Starting(what) => what.clone(),
        Practice::Failed(why) => why.clone(),
        Practice::Running(view) => return running(frame, area, wizard, view, theme),
        Practice::Stopped(Some(view)) => return running(frame, area, wizard, view, theme),
        Practice::Stopped(None) => text::PRACTICE_OFF.to_owned(),
    };
    let block = pane(" Practice swarm ", theme);
    frame.render_widget(paragraph(sentence, theme.quiet()).block(block), area);
}

fn running(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, view: &View, theme: &Theme) {
    let [main, bottom] = Layout::vertical([Constraint::Min(8), Constraint::Length(5)]).areas(area);
    let stages_width = if area.width >= 110 { 46 } else { 38 };
    let [left, right] =
        Layout::horizontal([Constraint::Min(40), Constraint::Length(stages_width)]).areas(main);
    loss(frame, left, view, theme);
    stages(frame, right, view, theme);
    let verdict = match (&wizard.practice, wizard.practice.fall()) {
        (Practice::Stopped(_), _) => text::PRACTICE_OFF.to_owned(),
        (_, Some(fall)) if fall.is_certain() => text::fall(fall.first, fall.last),
        (_, Some(fall)) => text::falling(fall.first, fall.last),
        (_, None) => text::PRACTICE_WAITS.to_owned(),
    };
    let lines = vec![
        Line::styled(format!(" {verdict}"), theme.title()),
        rates(view, theme),
        Line::styled(
            format!(" device: {} ({})", view.miner.device.name, view.miner.device.backend),
            theme.quiet(),
        ),
    ];
    frame.render_widget(Paragraph::new(lines).block(pane(" What you see ", theme)), bottom);
}

fn rates<'a>(view: &View, theme: &Theme) -> Line<'a> {
    let Some(swarm) = &view.swarm else { return Line::default() };
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let rate = thousands(swarm.tokens_per_second[0].max(0.0).round() as u64);
    Line::from(vec![
        Span::styled(" tokens/s ", theme.dim()),
        Span::styled(format!("{rate:<9}"), theme.number()),
        Span::styled("tokens ", theme.dim()),
        Span::styled(format!("{:<12}", thousands(swarm.tokens)), theme.number()),
        Span::styled("epoch ", theme.dim()),
        Span::styled(swarm.epoch.to_string(), theme.number()),
    ])
}
