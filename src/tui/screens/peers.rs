//! The miners that the own one talks to: which way, how far, how fast, what failed and by whose fault;
//! and how others reach it.

use std::collections::{BTreeMap, BTreeSet};

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Row, Table};

use super::listed;
use crate::miner::NeighbourView;
use crate::miner::snapshot::measured::LinkView;
use crate::tui::draw::facts::{cut, scrolled, sentence};
use crate::tui::draw::pane;
use crate::tui::text::labels;
use crate::tui::text::{self, measured, screens as words};
use crate::tui::theme::Theme;
use crate::tui::view::View;

pub(super) fn peers(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) -> usize {
    let [top, bottom] = Layout::vertical([Constraint::Min(8), Constraint::Length(6)]).areas(area);
    let peers = peers_of(view);
    let both = (view, theme);
    let peers = match peers.is_empty() {
        true => listed(frame, top, words::PEERS, vec![sentence(words::NO_PEERS, theme)], both),
        false => table(frame, top, &peers, view, theme),
    };
    peers.max(listed(frame, bottom, words::REACH, reach(view, theme), both))
}

/// The columns' widths; those behind the first eight are for wide windows.
const WIDTHS: [u16; 13] = [6, 10, 8, 8, 11, 9, 7, 17, 26, 14, 10, 10, 40];

/// The columns, each with its width.
pub(super) fn columns() -> impl Iterator<Item = (&'static str, u16)> {
    labels::PEER_COLUMNS.into_iter().zip(WIDTHS)
}

/// One row for each neighbour, with its link where there is one; then the links to others.
pub(super) fn rows(view: &View) -> Vec<Vec<String>> {
    peers_of(view).into_iter().map(|peer| row(view, peer)).collect()
}

/// What a row is about: a neighbour, the link to it, or both.
type Peer<'a> = (Option<&'a NeighbourView>, Option<&'a LinkView>);

/// Each neighbour, with its link where there is one; then the links to others.
fn peers_of(view: &View) -> Vec<Peer<'_>> {
    let mut neighbours: Vec<&NeighbourView> = view.miner.neighbours.iter().collect();
    neighbours.sort_by(|a, b| (a.stage, &a.hotkey).cmp(&(b.stage, &b.hotkey)));
    let links = &view.miner.measured.links;
    let by_hotkey: BTreeMap<&str, &LinkView> =
        links.iter().rev().filter_map(|link| Some((link.hotkey.as_deref()?, link))).collect();
    let known: BTreeSet<&str> = neighbours.iter().map(|n| n.hotkey.as_str()).collect();
    let is_known = |link: &LinkView| link.hotkey.as_deref().is_some_and(|key| known.contains(key));
    let others = links.iter().filter(|link| !is_known(link)).map(|link| (None, Some(link)));
    let neighbours =
        neighbours.iter().map(|n| (Some(*n), by_hotkey.get(n.hotkey.as_str()).copied()));
    neighbours.chain(others).collect()
}

#[allow(clippy::cast_precision_loss)]
fn row(view: &View, (neighbour, link): Peer<'_>) -> Vec<String> {
    let now = view.unix as f64;
    let hotkey = neighbour.map(|n| &n.hotkey).or(link.and_then(|l| l.hotkey.as_ref()));
    let name = match (hotkey, link) {
        (Some(hotkey), _) => view.name_of(hotkey),
        (None, Some(link)) => link.node.chars().take(8).collect(),
        (None, None) => words::UNKNOWN.to_owned(),
    };
    let stage = neighbour.map(|n| n.stage).or(link.and_then(|l| l.stage));
    let heard = neighbour.and_then(|n| n.heard).or(link.and_then(|l| l.heard));
    let none = || "-".to_owned();
    let of = |tell: &dyn Fn(&LinkView) -> String| link.map_or_else(none, tell);
    let resting = link.and_then(|link| link.rests_until).filter(|until| *until > now);
    vec![
        stage.map_or_else(none, |stage| stage.to_string()),
        cut(&name, 9),
        match resting {
            Some(_) => words::RESTS.to_owned(),
            None => of(&|link| measured::way(link.way).to_owned()),
        },
        of(&|link| link.round_trip.map_or_else(none, measured::milliseconds)),
        of(&|link| link.push_speed.map_or_else(none, measured::speed)),
        of(&|link| text::thousands(link.answered)),
        of(&|link| text::thousands(measured::failed(&link.failures))),
        heard.map_or(labels::NEVER.to_owned(), |at| words::ago(now - at)),
        of(&|link| measured::blame(&link.failures)),
        neighbour.map_or_else(none, |n| cut(&n.status, 13)),
        of(&|link| text::bytes(link.sent)),
        of(&|link| text::bytes(link.received)),
        of(&|link| link.last_failure.clone().unwrap_or_default()),
    ]
}

fn table(
    frame: &mut Frame<'_>,
    area: Rect,
    peers: &[Peer<'_>],
    view: &View,
    theme: &Theme,
) -> usize {
    let mut width = area.width.saturating_sub(2);
    let columns = columns().take_while(|(_, cells)| {
        let fits = *cells <= width;
        width = width.saturating_sub(*cells);
        fits
    });
    let columns: Vec<_> = columns.collect();
    let room = usize::from(area.height.saturating_sub(3));
    let (above, mark) = scrolled(peers.len(), room, view.look.scrolled);
    let shown = peers.iter().skip(above).take(room).map(|peer| row(view, *peer));
    let rows = shown.map(|row| Row::new(row.into_iter().take(columns.len())).style(theme.quiet()));
    let widths: Vec<_> = columns.iter().map(|(_, cells)| Constraint::Length(*cells)).collect();
    let head = Row::new(columns.iter().map(|(name, _)| *name)).style(theme.dim());
    let mut block = pane(words::PEERS, theme);
    if let Some(mark) = mark {
        block = block.title_bottom(Line::styled(mark, theme.dim()));
    }
    let table = Table::new(rows, widths).column_spacing(0).header(head);
    frame.render_widget(table.block(block), area);
    peers.len().saturating_sub(room)
}

pub(super) fn reach<'a>(view: &View, theme: &Theme) -> Vec<Line<'a>> {
    match &view.miner.reach {
        None => vec![sentence(words::NO_REACH, theme)],
        Some(reach) => {
            let advice = reach.advice.iter().map(|a| Line::styled(format!(" {a}"), theme.dim()));
            std::iter::once(sentence(reach.sentence.clone(), theme)).chain(advice).collect()
        }
    }
}
