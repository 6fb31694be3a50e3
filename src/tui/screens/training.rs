//! The own stage: what it holds, what waits, what it takes of the memory, and the loss.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;

use super::lines;
use crate::tui::draw::facts::{fact, maybe, said, sentence};
use crate::tui::draw::loss;
use crate::tui::text::{self, screens as words};
use crate::tui::theme::Theme;
use crate::tui::view::View;

pub(super) fn training(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let wide = if area.width >= 110 { 56 } else { 40 };
    let [left, right] =
        Layout::horizontal([Constraint::Length(wide), Constraint::Min(30)]).areas(area);
    lines(frame, left, words::STAGE, stage(view, theme), theme);
    loss(frame, right, view, theme);
}

fn stage<'a>(view: &View, theme: &Theme) -> Vec<Line<'a>> {
    let miner = &view.miner;
    let held = miner.stage.map(|stage| match miner.stages {
        0 => format!("stage {stage}"),
        stages => format!("stage {stage} of 0 to {}", stages - 1),
    });
    let planned = (miner.device.planned_bytes > 0).then(|| text::bytes(miner.device.planned_bytes));
    let mut facts = vec![
        maybe("holds", held, theme),
        maybe("phase", miner.phase.as_deref().map(|p| text::phase(p).to_owned()), theme),
        fact("forwards", waiting(miner.work.forwards, miner.forward_queue), theme),
        fact("backwards", waiting(miner.work.backwards, miner.backward_queue), theme),
        fact("steps", text::thousands(miner.work.optimizer_steps), theme),
        fact("in flight", format!("{} of {}", miner.cache, miner.cache_capacity), theme),
        maybe("memory at most", planned, theme),
    ];
    if !miner.device.memory.is_empty() {
        facts.push(sentence(miner.device.memory.clone(), theme));
    }
    if let Some(epoch) = miner.recovered {
        facts.push(said("went on from", format!("the snapshot of epoch {epoch}"), theme));
    }
    facts
}

fn waiting(done: u64, waiting: usize) -> String {
    match waiting {
        0 => text::thousands(done),
        some => format!("{} ({some} waiting)", text::thousands(done)),
    }
}
