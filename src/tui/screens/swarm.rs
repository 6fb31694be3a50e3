//! The practice swarm from inside: what its orchestrator's books say of every miner. A network does not
//! publish that, so elsewhere the screen says how to see one.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Position, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Row, Table};

use super::lines;
use crate::config::keys::Action;
use crate::swarm::{MinerView, StageView, SwarmSnapshot};
use crate::tui::draw::facts::{cut, fact, scrolled, sentence};
use crate::tui::draw::pane;
use crate::tui::seat::Kind;
use crate::tui::text::labels;
use crate::tui::text::{self, screens as words};
use crate::tui::theme::Theme;
use crate::tui::view::{Fate, View};

pub(super) fn swarm(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) -> usize {
    let Some(swarm) = &view.swarm else {
        lines(frame, area, words::BOOKS, vec![sentence(words::NO_SWARM, theme)], theme);
        return 0;
    };
    let [top, bottom] = areas(area);
    lines(frame, bottom, words::LAB, lab(swarm, view, theme), theme);
    books(frame, top, swarm, view, theme)
}

/// The books, and what can be done.
fn areas(area: Rect) -> [Rect; 2] {
    Layout::vertical([Constraint::Min(8), Constraint::Length(5)]).areas(area)
}

/// Address of the miner whose row is at a cell of the screen.
pub(in crate::tui) fn at(area: Rect, cell: Position, view: &View) -> Option<String> {
    let [books, _] = areas(area);
    let inside = Rect {
        x: books.x + 1,
        y: books.y + 2,
        width: books.width.saturating_sub(2),
        height: books.height.saturating_sub(3),
    };
    let row = usize::from(inside.contains(cell).then(|| cell.y - inside.y)?);
    let row = first_row(view, usize::from(inside.height)) + row;
    let mut all = view.swarm.iter().flat_map(|s| &s.stages).flat_map(|stage| &stage.miners);
    all.nth(row).map(|miner| miner.hotkey.clone())
}

/// What can be done to the swarm's miners, and to which.
pub(super) fn lab<'a>(swarm: &SwarmSnapshot, view: &View, theme: &Theme) -> Vec<Line<'a>> {
    if view.kind == Kind::Past {
        return vec![sentence(words::LAB_PAST, theme)];
    }
    let chosen = view.chosen().map_or(words::UNKNOWN.to_owned(), |miner| {
        let holds = |stage: &&StageView| stage.miners.iter().any(|m| m.hotkey == miner.hotkey);
        let stage = swarm.stages.iter().find(holds).map_or(0, |stage| stage.stage);
        words::chosen(&view.name_of(&miner.hotkey), stage, view.fate(&miner.hotkey))
    });
    let press = |action| view.keys.press(action).to_string();
    let keys = [Action::StartMiner, Action::KillMiner, Action::SlowMiner].map(press);
    let keys = words::lab_keys(keys.each_ref().map(String::as_str), swarm.lab.spare);
    vec![
        fact(labels::CHOSEN, chosen, theme),
        sentence(keys, theme),
        Line::styled(format!(" {}", words::cheat(&press(Action::CheatMiner))), theme.dim()),
    ]
}

/// What the books say of each miner, in the order of the columns.
pub(super) fn rows(swarm: &SwarmSnapshot, view: &View) -> Vec<Vec<String>> {
    let all = swarm.stages.iter().flat_map(|s| s.miners.iter().map(move |m| (s, m)));
    let row = |(stage, miner): (&StageView, &MinerView)| {
        let you = if miner.hotkey == view.miner.hotkey { labels::YOU } else { "" };
        let status = match view.fate(&miner.hotkey) {
            Fate::Killed => words::KILLED,
            Fate::Slowed => words::SLOWED,
            Fate::Free => &miner.status,
        };
        vec![
            stage.stage.to_string(),
            text::phase(&stage.phase).to_owned(),
            format!("{}{you}", cut(&view.name_of(&miner.hotkey), 10)),
            cut(status, 10),
            text::thousands(miner.forwards),
            text::thousands(miner.backwards),
            text::thousands(miner.partitions),
            text::thousands(whole(miner.score)),
        ]
    };
    all.map(row).collect()
}

/// The first row that is shown where there is room for so many: the chosen miner is always among them.
fn first_row(view: &View, room: usize) -> usize {
    if view.kind == Kind::Past {
        return view.look.scrolled;
    }
    let mut all = view.swarm.iter().flat_map(|s| &s.stages).flat_map(|stage| &stage.miners);
    let chosen = view.chosen().map(|miner| &miner.hotkey);
    let place = all.position(|miner| Some(&miner.hotkey) == chosen).unwrap_or(0);
    (place + 1).saturating_sub(room)
}

fn books(
    frame: &mut Frame<'_>,
    area: Rect,
    swarm: &SwarmSnapshot,
    view: &View,
    theme: &Theme,
) -> usize {
    let chosen = view.chosen().filter(|_| view.kind != Kind::Past).map(|miner| &miner.hotkey);
    let keys = swarm.stages.iter().flat_map(|stage| &stage.miners).map(|miner| &miner.hotkey);
    let marks: Vec<(bool, bool)> =
        keys.map(|key| (*key == view.miner.hotkey, Some(key) == chosen)).collect();
    let all = rows(swarm, view);
    let room = usize::from(area.height.saturating_sub(3));
    let hidden = all.len().saturating_sub(room);
    let (above, mark) = scrolled(all.len(), room, first_row(view, room));
    let rows =
        all.into_iter().zip(marks).skip(above).take(room).map(|(mut cells, (own, chosen))| {
            if let Some(stage) = cells.first_mut() {
                *stage = format!("{} {stage}", if chosen { '>' } else { ' ' });
            }
            let aligned = cells.into_iter().zip(FIGURES).map(|(cell, cells)| right(cell, cells));
            let row = Row::new(aligned);
            row.style(match (chosen, own) {
                (true, _) => theme.found(),
                (false, true) => theme.number(),
                (false, false) => theme.quiet(),
            })
        });
    let widths = [6, 11, 16, 11, 9, 10, 8, 7].map(Constraint::Length);
    let head = Row::new(words::BOOK_COLUMNS.map(str::to_owned)).style(theme.dim());
    let mut block = pane(words::BOOKS, theme);
    if let Some(mark) = mark {
        block = block.title_bottom(Line::styled(mark, theme.dim()));
    }
    let table = Table::new(rows, widths).column_spacing(0).header(head);
    frame.render_widget(table.block(block), area);
    hidden
}

/// Cells of each column's figures, which stand at its right end; 0 for words.
const FIGURES: [usize; 8] = [0, 0, 0, 0, 9, 10, 8, 7];

fn right(figure: String, cells: usize) -> String {
    format!("{figure:>cells$}")
}

fn whole(score: f64) -> u64 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = score.max(0.0).round() as u64;
    whole
}
