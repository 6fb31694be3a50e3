//! One frame of a watched network.

use std::collections::BTreeMap;

use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::Frame as Content;
use crate::swarm::SwarmSnapshot;
use crate::swarm::public::PublicNetwork;
use crate::tui::draw::facts::{bar, fact, fitted, said, scrolled};
use crate::tui::draw::stages::{Crowd, swarm_lines};
use crate::tui::draw::{Curve, clean, curve, pane};
use crate::tui::screens::lines;
use crate::tui::text::labels;
use crate::tui::text::{self, screens, watched as words};
use crate::tui::theme::Theme;

/// Cells of a stage's line in windows of this width.
fn cells_of_map(width: u16) -> u16 {
    if width >= 110 { 46 } else { 38 }
}

/// Draws everything.
/// Draws it. Returns how many lines of the map are beyond its room.
pub(super) fn draw(frame: &mut ratatui::Frame<'_>, content: &Content, theme: &Theme) -> usize {
    let area = frame.area();
    if area.width < text::SMALLEST.0 || area.height < text::SMALLEST.1 {
        let sentence = text::too_small_to_watch(area.width, area.height);
        frame.render_widget(Paragraph::new(sentence).wrap(Wrap { trim: true }), area);
        return 0;
    }
    let [head, run, main, foot] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(8),
        Constraint::Min(8),
        Constraint::Length(1),
    ])
    .areas(area);
    let [left, right] =
        Layout::horizontal([Constraint::Length(cells_of_map(area.width) + 2), Constraint::Min(30)])
            .areas(main);
    first_line(frame, head, content, theme);
    lines(frame, run, screens::RUN, facts(&content.watched.network, theme), theme);
    let beyond = stages(frame, left, content, theme);
    losses(frame, right, content, theme);
    footer(frame, foot, content, theme);
    clean::clean(frame.buffer_mut(), theme.signs());
    beyond
}

fn first_line(frame: &mut ratatui::Frame<'_>, area: Rect, content: &Content, theme: &Theme) {
    let line = Line::from(vec![
        Span::styled(labels::HEARTH, theme.title()),
        Span::styled(format!("  {} ", words::WATCHING), theme.quiet()),
        Span::styled(content.watched.server.clone(), theme.number()),
    ]);
    frame.render_widget(fitted(line, usize::from(area.width)), area);
}

fn facts<'a>(network: &PublicNetwork, theme: &Theme) -> Vec<Line<'a>> {
    let miners: usize = network.stages.iter().map(|stage| stage.miners.len()).sum();
    let mut epoch = fact(labels::EPOCH, format!("{:<4}", network.epoch), theme);
    bar(network.epoch_progress, 24, theme).into_iter().for_each(|span| epoch.push_span(span));
    let behind = network.held_up_by.as_ref().map_or(words::NOBODY.to_owned(), |held| {
        let stage = network.stages.iter().find(|stage| stage.stage == held.stage);
        let percent = stage.map_or(0, |s| crate::tui::draw::facts::percent(s.progress));
        let few: Vec<String> = held.miners.iter().take(6).map(|key| short(key)).collect();
        screens::behind(held.stage, text::phase(&held.phase), percent, &few)
    });
    vec![
        said(labels::RUN, network.run.clone(), theme),
        fact(labels::STAGES_MINERS, format!("{}, {miners}", network.stages.len()), theme),
        epoch,
        fact(labels::TOKENS, text::thousands(network.tokens), theme),
        fact(labels::TOKENS_A_SECOND, words::speeds(network.tokens_per_second), theme),
        said(labels::HELD_BACK_BY, behind, theme),
    ]
}

fn short(hotkey: &str) -> String {
    hotkey.chars().take(8).collect()
}

fn stages(frame: &mut ratatui::Frame<'_>, area: Rect, content: &Content, theme: &Theme) -> usize {
    let mut block = pane(text::STAGES, theme);
    let (names, stages) = (BTreeMap::new(), &content.watched.network.stages);
    let width = usize::from(block.inner(area).width);
    let mut all = swarm_lines(Crowd { stages, own: None, names: &names }, width, theme);
    if all.is_empty() {
        all.push(Line::styled(text::NO_STAGES_YET, theme.dim()));
    }
    let height = usize::from(block.inner(area).height);
    let hidden = all.len().saturating_sub(height);
    let (above, mark) = scrolled(all.len(), height, content.choice.above);
    if let Some(mark) = mark {
        block = block.title_bottom(Line::styled(mark, theme.dim()));
    }
    let shown: Vec<Line<'_>> = all.into_iter().skip(above).take(height).collect();
    frame.render_widget(Paragraph::new(shown).wrap(Wrap { trim: false }).block(block), area);
    hidden
}

fn losses(frame: &mut ratatui::Frame<'_>, area: Rect, content: &Content, theme: &Theme) {
    let network = &content.watched.network;
    if network.losses.is_empty() {
        let empty = Line::styled(words::NO_LOSS, theme.dim());
        frame.render_widget(Paragraph::new(empty).block(pane(text::LOSS, theme)), area);
        return;
    }
    let swarm = SwarmSnapshot { losses: network.losses.clone(), ..SwarmSnapshot::default() };
    let choice = content.choice;
    let of = Curve { swarm: Some(&swarm), own: &[], scale: choice.scale, over: choice.over };
    curve(frame, area, of, theme);
}

fn footer(frame: &mut ratatui::Frame<'_>, area: Rect, content: &Content, theme: &Theme) {
    let said = match (&content.watched.trouble, content.choice.notice) {
        (_, Some(notice)) => Some((notice.to_owned(), theme.title())),
        (Some(why), None) => {
            #[allow(clippy::cast_precision_loss)]
            let age = text::duration(content.age as f64);
            Some((words::silent(why, &age), theme.bad()))
        }
        (None, None) => None,
    };
    let line = match said {
        Some((said, style)) => Line::styled(format!(" {said}"), style),
        None => {
            let press = |action| content.keys.iter().find(|b| b.action == action).map(|b| b.press);
            let keys = words::FOOTER.into_iter().filter_map(|(a, short)| Some((press(a)?, short)));
            let spans = keys.flat_map(|(press, short)| {
                let key = Span::styled(format!(" {press}"), theme.number());
                [key, Span::styled(format!(" {short}  "), theme.quiet())]
            });
            Line::from_iter(spans)
        }
    };
    frame.render_widget(fitted(line, usize::from(area.width)), area);
}
