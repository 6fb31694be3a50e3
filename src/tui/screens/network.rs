//! The run: its stages and their miners with their phases, who holds it back, how far it is, and where
//! the own miner stands among the others.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::Line;

use super::listed;
use crate::miner::{MinerSnapshot, State};
use crate::swarm::SwarmSnapshot;
use crate::swarm::public::held_up_by;
use crate::tui::draw::facts::{fact, maybe, percent, said};
use crate::tui::draw::{map, stages};
use crate::tui::text::labels;
use crate::tui::text::{self, screens as words};
use crate::tui::theme::Theme;
use crate::tui::view::View;

pub(super) fn network(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) -> usize {
    let [top, left, right] = areas(area);
    let both = (view, theme);
    let run = listed(frame, top, words::RUN, facts(view, theme), both);
    let stages = match &view.swarm {
        Some(swarm) => map::map(frame, left, swarm, view, theme),
        None => {
            let mut lines = stages::outside_lines(view, theme);
            if lines.is_empty() {
                lines.push(Line::styled(text::NO_STAGES_YET, theme.dim()));
            }
            listed(frame, left, text::STAGES, lines, both)
        }
    };
    run.max(stages).max(super::transfers::transfers(frame, right, view, theme))
}

/// The run, the map, what is sent.
fn areas(area: Rect) -> [Rect; 3] {
    let [top, bottom] = Layout::vertical([Constraint::Length(8), Constraint::Min(6)]).areas(area);
    let halves = [Constraint::Percentage(50), Constraint::Percentage(50)];
    let [left, right] = Layout::horizontal(halves).areas(bottom);
    [top, left, right]
}

/// Address of the miner that the map has at a cell of the screen.
pub(in crate::tui) fn miner_at(area: Rect, cell: Position, view: &View) -> Option<String> {
    let [_, map, _] = areas(area);
    map::miner_at(map, cell, view)
}

pub(super) fn facts<'a>(view: &View, theme: &Theme) -> Vec<Line<'a>> {
    match &view.swarm {
        Some(swarm) => inside(swarm, view, theme),
        None => outside(view, theme),
    }
}

fn inside<'a>(swarm: &SwarmSnapshot, view: &View, theme: &Theme) -> Vec<Line<'a>> {
    let miners: usize = swarm.stages.iter().map(|stage| stage.miners.len()).sum();
    let epoch = labels::epoch_done(swarm.epoch, percent(swarm.epoch_progress));
    let behind = held_up_by(&swarm.stages).map_or(words::NOBODY.to_owned(), |held| {
        let late: Vec<String> = held.miners.iter().map(|miner| view.name_of(miner)).collect();
        let stage = swarm.stages.iter().find(|stage| stage.stage == held.stage);
        let done = stage.map_or(0, |stage| percent(stage.progress));
        words::behind(held.stage, text::phase(&held.phase), done, &late)
    });
    let rank = rank(swarm, &view.miner.hotkey);
    vec![
        said(labels::RUN, swarm.run.clone(), theme),
        fact(labels::STAGES_MINERS, format!("{}, {miners}", swarm.stages.len()), theme),
        fact(labels::EPOCH, epoch, theme),
        fact(labels::TOKENS, text::thousands(swarm.tokens), theme),
        said(labels::HELD_BACK_BY, behind, theme),
        maybe(
            labels::YOUR_RANK,
            rank.map(|(rank, margin)| words::rank(rank, miners, margin)),
            theme,
        ),
    ]
}

fn outside<'a>(view: &View, theme: &Theme) -> Vec<Line<'a>> {
    let miner = &view.miner;
    let stages = (miner.stages > 0).then(|| miner.stages.to_string());
    let epoch = (miner.epoch > 0).then(|| miner.epoch.to_string());
    vec![
        said(labels::RUN, miner.run.clone().unwrap_or_else(|| words::UNKNOWN.to_owned()), theme),
        maybe(labels::STAGES, stages, theme),
        maybe(labels::EPOCH, epoch, theme),
        said(labels::HELD_BACK_BY, held_back(miner), theme),
        said(labels::PROGRESS, words::NOT_PUBLISHED, theme),
        said(labels::YOUR_RANK, words::NOT_PUBLISHED, theme),
    ]
}

/// What the own miner knows of that without the swarm's inside: whom it waits for itself.
fn held_back(miner: &MinerSnapshot) -> String {
    match miner.status.state {
        State::Waiting => miner.status.next.clone(),
        _ => words::NOT_PUBLISHED.to_owned(),
    }
}

/// Where a miner stands by its score, from 1, and how far it is ahead of the next.
fn rank(swarm: &SwarmSnapshot, hotkey: &str) -> Option<(usize, Option<f64>)> {
    let all = || swarm.stages.iter().flat_map(|stage| &stage.miners);
    let own = all().find(|miner| miner.hotkey == hotkey)?;
    let before = all().filter(|miner| miner.score > own.score).count();
    let below = all().filter(|m| m.hotkey != hotkey && m.score <= own.score).map(|m| m.score);
    let next = below.max_by(f64::total_cmp);
    Some((before + 1, next.map(|next| own.score - next)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::swarm::{MinerView, StageView};

    fn stage(stage: usize, epoch: u64, phase: &str, progress: f64, scores: &[f64]) -> StageView {
        let miner = |(i, score): (usize, &f64)| MinerView {
            hotkey: format!("{stage}{i}"),
            status: "training".into(),
            forwards: 0,
            backwards: 0,
            partitions: 0,
            score: *score,
        };
        let miners = scores.iter().enumerate().map(miner).collect();
        StageView { stage, phase: phase.into(), epoch, progress, miners }
    }

    fn of(stages: Vec<StageView>) -> SwarmSnapshot {
        SwarmSnapshot { stages, ..SwarmSnapshot::default() }
    }

    #[test]
    fn the_rank_counts_those_before_and_the_margin_those_behind() {
        let swarm = of(vec![
            stage(0, 1, "training", 0.0, &[5.0, 9.0]),
            stage(1, 1, "training", 0.0, &[3.0, 5.0]),
        ]);
        assert_eq!(rank(&swarm, "01"), Some((1, Some(4.0))));
        assert_eq!(rank(&swarm, "00"), Some((2, Some(0.0))));
        assert_eq!(rank(&swarm, "10"), Some((4, None)));
        assert_eq!(rank(&swarm, "nobody"), None);
    }
}
