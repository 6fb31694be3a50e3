//! The map of a swarm on a screen of its own: each stage with its miners, to scroll in and to click on. A
//! miner that was clicked on stands out, and is told of below.

use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::text::Line;

use super::cells::Pane;
use super::facts::{fitted, scrolled};
use super::filled;
use super::stages::{Crowd, miner_line, names_line, stage_line};
use crate::swarm::{MinerView, StageView, SwarmSnapshot};
use crate::tui::text::{self, labels, screens as words};
use crate::tui::theme::Theme;
use crate::tui::view::View;

/// One line of the map.
#[derive(Clone, Copy)]
enum Row<'a> {
    Stage(&'a StageView),
    Miner(&'a MinerView),
    /// All miners of a stage, where that fits.
    Miners(&'a StageView),
}

/// The lines in a pane of so many cells: one for each miner, or one for all of a stage where there is no
/// room for that but for all names.
fn rows(crowd: Crowd<'_>, inside: Rect) -> Vec<Row<'_>> {
    let (width, height) = (usize::from(inside.width), usize::from(inside.height));
    let stages = crowd.stages.iter();
    let lines: usize = stages.clone().map(|stage| 1 + stage.miners.len()).sum();
    let fits = |stage: &StageView| {
        stage.miners.len() < width && names_line(crowd, stage).chars().count() <= width
    };
    if lines > height && 2 * crowd.stages.len() <= height && stages.clone().all(fits) {
        return stages.flat_map(|stage| [Row::Stage(stage), Row::Miners(stage)]).collect();
    }
    let of = |stage| std::iter::once(Row::Stage(stage)).chain(stage.miners.iter().map(Row::Miner));
    stages.flat_map(of).collect()
}

/// Draws it. Returns how many lines there are beyond the room.
pub(in crate::tui) fn map(
    frame: &mut Frame<'_>,
    area: Rect,
    swarm: &SwarmSnapshot,
    view: &View,
    theme: &Theme,
) -> usize {
    let inside = Pane::inner(area);
    let (width, height) = (usize::from(inside.width), usize::from(inside.height));
    let crowd = Crowd::of(swarm, view);
    let rows = rows(crowd, inside);
    let (above, mark) = scrolled(rows.len(), height, view.look.scrolled);
    let chosen = view.look.chosen.as_deref();
    let line = |row: &Row<'_>| match row {
        Row::Stage(stage) => stage_line(stage, width, theme),
        Row::Miners(stage) => Line::styled(names_line(crowd, stage), theme.quiet()),
        Row::Miner(miner) if chosen == Some(&miner.hotkey) => {
            miner_line(crowd, miner, width, theme).patch_style(theme.found())
        }
        Row::Miner(miner) => miner_line(crowd, miner, width, theme),
    };
    let mut lines: Vec<Line<'_>> = rows.iter().skip(above).take(height).map(line).collect();
    if lines.is_empty() {
        lines.push(Line::styled(text::NO_STAGES_YET, theme.dim()));
    }
    let mut pane = Pane::new(text::STAGES, theme);
    if let Some(mark) = mark {
        pane = pane.aside(Line::styled(mark, theme.dim()));
    }
    if let Some(told) = told_of_chosen(swarm, view) {
        pane = pane.below(fitted(Line::styled(told, theme.title()), width));
    }
    filled(frame, area, &pane, &lines);
    rows.len().saturating_sub(height)
}

/// The miner that was chosen, in a line.
fn told_of_chosen(swarm: &SwarmSnapshot, view: &View) -> Option<String> {
    let chosen = view.look.chosen.as_ref()?;
    let all = swarm.stages.iter().flat_map(|s| s.miners.iter().map(move |miner| (s, miner)));
    let (stage, miner) = all.into_iter().find(|(_, miner)| miner.hotkey == *chosen)?;
    let passes = labels::passes(miner.forwards, miner.backwards);
    Some(words::shown(&view.name_of(chosen), stage.stage, &miner.status, passes.trim()))
}

/// Address of the miner at a cell.
pub(in crate::tui) fn miner_at(area: Rect, cell: Position, view: &View) -> Option<String> {
    let swarm = view.swarm.as_ref()?;
    let inside = Pane::inner(area);
    let row = inside.contains(cell).then(|| usize::from(cell.y - inside.y))?;
    let crowd = Crowd::of(swarm, view);
    let rows = rows(crowd, inside);
    let (above, _) = scrolled(rows.len(), usize::from(inside.height), view.look.scrolled);
    match rows.get(above + row)? {
        Row::Stage(_) => None,
        Row::Miner(miner) => Some(miner.hotkey.clone()),
        Row::Miners(stage) => {
            let mut end = labels::all_backwards("").chars().count();
            let column = usize::from(cell.x - inside.x);
            let mut ends = stage.miners.iter().map(|miner| {
                let start = end;
                end += crowd.name_and_work(miner).chars().count() + super::stages::APART.len();
                (start..end, miner)
            });
            let found = ends.find(|(cells, _)| cells.contains(&column));
            found.map(|(_, miner)| miner.hotkey.clone())
        }
    }
}
