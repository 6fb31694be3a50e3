//! The stages with their miners and phases.

use std::collections::BTreeMap;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::super::text;
use super::super::theme::Theme;
use super::super::view::View;
use super::{Pane, filled, pane};
use crate::swarm::{MinerView, StageView, SwarmSnapshot};
use crate::tui::text::labels;

/// All of them in lines of so many cells.
pub(in crate::tui) fn told<'a>(view: &View, width: usize, theme: &Theme) -> Vec<Line<'a>> {
    match &view.swarm {
        Some(swarm) => swarm_lines(Crowd::of(swarm, view), width, theme),
        None => outside_lines(view, theme),
    }
}

/// The miners of a swarm, as they are to be named.
#[derive(Clone, Copy, Debug)]
pub(in crate::tui) struct Crowd<'a> {
    /// Its stages.
    pub(in crate::tui) stages: &'a [StageView],
    /// Address of the own miner, which stands out.
    pub(in crate::tui) own: Option<&'a str>,
    /// Short names by address.
    pub(in crate::tui) names: &'a BTreeMap<String, String>,
}

impl<'a> Crowd<'a> {
    pub(super) fn of(swarm: &'a SwarmSnapshot, view: &'a View) -> Self {
        Self { stages: &swarm.stages, own: Some(&view.miner.hotkey), names: &view.names }
    }

    fn name(&self, miner: &MinerView) -> String {
        let you = if self.own == Some(&miner.hotkey) { labels::YOU } else { "" };
        format!("{}{you}", text::name_of(self.names, &miner.hotkey))
    }

    /// In a line of several.
    pub(super) fn name_and_work(&self, miner: &MinerView) -> String {
        format!("{} {}", self.name(miner), miner.backwards)
    }
}

pub(in crate::tui) fn stages(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let inside = Pane::inner(area);
    let (width, height) = (usize::from(inside.width), usize::from(inside.height));
    let mut lines = match &view.swarm {
        Some(swarm) => {
            let crowd = Crowd::of(swarm, view);
            let lines: usize = swarm.stages.iter().map(|stage| 1 + stage.miners.len()).sum();
            match lines > height {
                true => compact_lines(crowd, width, theme),
                false => swarm_lines(crowd, width, theme),
            }
        }
        None => outside_lines(view, theme),
    };
    if lines.is_empty() {
        lines.push(Line::styled(text::NO_STAGES_YET, theme.dim()));
    }
    if lines.len() > height && height > 0 {
        let hidden = lines.len() - (height - 1);
        lines.truncate(height - 1);
        lines.push(Line::styled(labels::more(hidden), theme.dim()));
    }
    match view.swarm.is_some() {
        true => filled(frame, area, &Pane::new(text::STAGES, theme), &lines),
        // Sentences are longer than the pane is wide.
        false => {
            let words = Paragraph::new(lines).wrap(Wrap { trim: true });
            frame.render_widget(words.block(pane(text::STAGES, theme)), area);
        }
    }
}

/// A line for each stage, and one for each of its miners.
pub(in crate::tui) fn swarm_lines<'a>(
    crowd: Crowd<'_>,
    width: usize,
    theme: &Theme,
) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    for stage in crowd.stages {
        lines.push(stage_line(stage, width, theme));
        lines.extend(stage.miners.iter().map(|miner| miner_line(crowd, miner, width, theme)));
    }
    lines
}

pub(super) fn miner_line<'a>(
    crowd: Crowd<'_>,
    miner: &MinerView,
    width: usize,
    theme: &Theme,
) -> Line<'a> {
    let name = format!("  {}", crowd.name(miner));
    let mut done = labels::backwards(miner.backwards);
    if width >= 44 {
        done = labels::passes(miner.forwards, miner.backwards);
    }
    Line::from(vec![
        Span::styled(format!("{name:<11}"), theme.number()),
        Span::styled(format!("{:<10}", miner.status), theme.quiet()),
        Span::styled(done, theme.quiet()),
    ])
}

/// Between two miners in one line.
pub(super) const APART: &str = "  ";

/// All miners of a stage in one line.
pub(super) fn names_line(crowd: Crowd<'_>, stage: &StageView) -> String {
    let miners: Vec<String> = stage.miners.iter().map(|miner| crowd.name_and_work(miner)).collect();
    labels::all_backwards(&miners.join(APART))
}

/// Two lines a stage: its phase, and its miners with their backwards.
fn compact_lines<'a>(crowd: Crowd<'_>, width: usize, theme: &Theme) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    for stage in crowd.stages {
        lines.push(stage_line(stage, width, theme));
        // More than that is beyond the edge anyway.
        let miners: Vec<String> =
            stage.miners.iter().take(width).map(|miner| crowd.name_and_work(miner)).collect();
        lines.push(Line::styled(labels::all_backwards(&miners.join(APART)), theme.quiet()));
    }
    lines
}

pub(super) fn stage_line<'a>(stage: &StageView, width: usize, theme: &Theme) -> Line<'a> {
    let label = format!("{} {:<9} ", stage.stage, text::phase(&stage.phase));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let percent = (stage.progress.clamp(0.0, 1.0) * 100.0).round() as usize;
    let room = width.saturating_sub(6 + label.chars().count() + 5).min(24);
    let full = room * percent / 100;
    Line::from(vec![
        Span::styled(labels::STAGE_BAR, theme.dim()),
        Span::styled(label, theme.number()),
        Span::styled("█".repeat(full), theme.bar()),
        Span::styled("░".repeat(room - full), theme.dim()),
        Span::styled(format!(" {percent:>3}%"), theme.quiet()),
    ])
}

/// A miner whose swarm is elsewhere: its place in the queue, its neighbours, how they reach it.
pub(in crate::tui) fn outside_lines<'a>(view: &View, theme: &Theme) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    if let Some(queue) = &view.miner.queue {
        let number =
            |n: Option<u64>| n.map_or_else(|| text::screens::UNKNOWN.to_owned(), |n| n.to_string());
        let place = number(queue.places.last().map(|told| told.1));
        let best = number(queue.best);
        lines.push(Line::styled(text::queue_place(&place, &best), theme.number()));
    }
    lines.extend(neighbour_lines(view, theme));
    if let Some(reach) = &view.miner.reach {
        lines.push(Line::styled(reach.sentence.clone(), theme.quiet()));
        lines.extend(reach.advice.iter().map(|advice| Line::styled(advice.clone(), theme.dim())));
    }
    lines
}

fn neighbour_lines<'a>(view: &View, theme: &Theme) -> Vec<Line<'a>> {
    let mut neighbours: Vec<_> = view.miner.neighbours.iter().collect();
    neighbours.sort_by(|a, b| (a.stage, &a.hotkey).cmp(&(b.stage, &b.hotkey)));
    neighbours
        .into_iter()
        .map(|n| {
            Line::from(vec![
                Span::styled(labels::stage_number(n.stage), theme.dim()),
                Span::styled(format!("{:<9}", view.name_of(&n.hotkey)), theme.number()),
                Span::styled(
                    if n.heard.is_some() { n.status.clone() } else { labels::NEVER_HEARD.into() },
                    theme.quiet(),
                ),
            ])
        })
        .collect()
}
