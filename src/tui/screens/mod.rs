//! The eight screens, one file each: what is below the status line. A screen draws what the snapshots
//! hold; what a network does not tell reads "not published", what nobody here knows "unknown".

mod earnings;
mod log;
mod machine;
mod network;
mod now;
mod peers;
mod queue;
mod swarm;
mod told;
mod training;
mod transfers;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::draw::facts::{hung, scrolled};
use super::draw::{Pane, filled};
use super::look::ScreenName;
use super::text::screens as words;
use super::theme::Theme;
use super::view::View;

pub(super) use log::time_at;
pub(super) use network::miner_at as miner_on_map;
pub(super) use swarm::at as miner_at;
pub(super) use told::told;

/// Draws the screen that is chosen. Returns how many lines its longest list has beyond its room, where it
/// can be scrolled.
pub(super) fn body(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) -> usize {
    let still = |draw: fn(&mut Frame<'_>, Rect, &View, &Theme), frame: &mut Frame<'_>| {
        draw(frame, area, view, theme);
        0
    };
    match view.look.screen {
        ScreenName::Now => still(now::now, frame),
        ScreenName::Earnings => still(earnings::earnings, frame),
        ScreenName::Training => training::training(frame, area, view, theme),
        ScreenName::Network => network::network(frame, area, view, theme),
        ScreenName::Peers => peers::peers(frame, area, view, theme),
        ScreenName::Machine => machine::machine(frame, area, view, theme),
        // It has its own way to be scrolled.
        ScreenName::Log => still(log::log, frame),
        ScreenName::Swarm => swarm::swarm(frame, area, view, theme),
    }
}

/// Lines in a pane, as [`lines`], that can be scrolled. Returns how many there are beyond the room.
pub(super) fn listed(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &'static str,
    lines: Vec<Line<'_>>,
    (view, theme): (&View, &Theme),
) -> usize {
    let inside = Pane::inner(area);
    let (width, height) = (usize::from(inside.width), usize::from(inside.height));
    let all: Vec<Line<'_>> = lines.into_iter().flat_map(|line| hung(line, width)).collect();
    let (above, mark) = scrolled(all.len(), height, view.look.scrolled);
    let mut pane = Pane::new(title, theme);
    if let Some(mark) = mark {
        pane = pane.below(Line::styled(mark, theme.dim()));
    }
    filled(frame, area, &pane, all.get(above..).unwrap_or_default());
    all.len().saturating_sub(height)
}

/// Lines in a pane; long sentences go on in the next line.
pub(super) fn lines(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &'static str,
    lines: Vec<Line<'_>>,
    theme: &Theme,
) {
    let inside = Pane::inner(area);
    let (width, height) = (usize::from(inside.width), usize::from(inside.height));
    let mut shown: Vec<Line<'_>> = lines.into_iter().flat_map(|line| hung(line, width)).collect();
    let hidden = shown.len().saturating_sub(height);
    let mut pane = Pane::new(title, theme);
    if hidden > 0 {
        pane = pane.below(Line::styled(words::more_lines(hidden), theme.dim()));
    }
    shown.truncate(height);
    filled(frame, area, &pane, &shown);
}
