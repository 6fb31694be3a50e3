//! The first screen: how fast it goes, what it earns, what the device does, and the queue, or the phase
//! and the loss.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;

use super::{earnings, lines, queue, transfers};
use crate::tui::draw::{log, loss, speed, stages};
use crate::tui::text::screens as words;
use crate::tui::theme::Theme;
use crate::tui::view::View;

pub(super) fn now(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    if view.miner.queue.is_some() {
        return waiting(frame, area, view, theme);
    }
    let log_height = if area.height >= 30 { 8 } else { 0 };
    let [speeds, today, main, below] = Layout::vertical([
        Constraint::Length(6),
        Constraint::Length(4),
        Constraint::Min(6),
        Constraint::Length(log_height),
    ])
    .areas(area);
    speed::speed(frame, speeds, view, theme);
    earned_today(frame, today, view, theme);
    let wide = if area.width >= 110 { 46 } else { 38 };
    let [left, right] =
        Layout::horizontal([Constraint::Min(40), Constraint::Length(wide)]).areas(main);
    match transfers::under_way(view) {
        true => {
            transfers::transfers(frame, left, view, theme);
        }
        false => loss(frame, left, view, theme),
    }
    stages(frame, right, view, theme);
    if log_height > 0 {
        log(frame, below, view, theme);
    }
}

/// While it waits to be let in, that is what happens now.
fn waiting(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let height = if area.height >= 30 { 14 } else { 11 };
    let [place, today, below] =
        Layout::vertical([Constraint::Length(height), Constraint::Length(4), Constraint::Min(3)])
            .areas(area);
    queue::queue(frame, place, view, theme);
    earned_today(frame, today, view, theme);
    log(frame, below, view, theme);
}

fn earned_today(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    lines(frame, area, words::TODAY, today(view, theme), theme);
}

pub(super) fn today<'a>(view: &View, theme: &Theme) -> Vec<Line<'a>> {
    earnings::in_short(view, theme)
}
