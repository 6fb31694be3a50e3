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

use super::draw::facts::hung;
use super::draw::{filled, pane};
use super::look::ScreenName;
use super::text::screens as words;
use super::theme::Theme;
use super::view::View;

pub(super) use log::time_at;
pub(super) use swarm::at as miner_at;
pub(super) use told::told;

/// Draws the screen that is chosen.
pub(super) fn body(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let draw = match view.look.screen {
        ScreenName::Now => now::now,
        ScreenName::Earnings => earnings::earnings,
        ScreenName::Training => training::training,
        ScreenName::Network => network::network,
        ScreenName::Peers => peers::peers,
        ScreenName::Machine => machine::machine,
        ScreenName::Log => log::log,
        ScreenName::Swarm => swarm::swarm,
    };
    draw(frame, area, view, theme);
}

/// Lines in a pane; long sentences go on in the next line.
pub(super) fn lines(
    frame: &mut Frame<'_>,
    area: Rect,
    title: &'static str,
    lines: Vec<Line<'_>>,
    theme: &Theme,
) {
    let block = pane(title, theme);
    let inside = block.inner(area);
    let (width, height) = (usize::from(inside.width), usize::from(inside.height));
    let mut shown: Vec<Line<'_>> = lines.into_iter().flat_map(|line| hung(line, width)).collect();
    let hidden = shown.len().saturating_sub(height);
    let block = match hidden {
        0 => block,
        _ => block.title_bottom(Line::styled(words::more_lines(hidden), theme.dim())),
    };
    shown.truncate(height);
    filled(frame, area, block, &shown);
}
