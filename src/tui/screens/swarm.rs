//! The practice swarm from inside: what its orchestrator's books say of every miner. A network does not
//! publish that, so elsewhere the screen says how to see one.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Row, Table};

use super::lines;
use crate::swarm::{MinerView, StageView, SwarmSnapshot};
use crate::tui::draw::facts::{cut, sentence};
use crate::tui::draw::pane;
use crate::tui::text::labels;
use crate::tui::text::{self, screens as words};
use crate::tui::theme::Theme;
use crate::tui::view::View;

pub(super) fn swarm(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let Some(swarm) = &view.swarm else {
        return lines(frame, area, words::BOOKS, vec![sentence(words::NO_SWARM, theme)], theme);
    };
    let [top, bottom] = Layout::vertical([Constraint::Min(8), Constraint::Length(5)]).areas(area);
    books(frame, top, swarm, view, theme);
    lines(frame, bottom, words::LAB, vec![sentence(words::LAB_EMPTY, theme)], theme);
}

/// What the books say of each miner, in the order of the columns.
pub(super) fn rows(swarm: &SwarmSnapshot, view: &View) -> Vec<Vec<String>> {
    let all = swarm.stages.iter().flat_map(|s| s.miners.iter().map(move |m| (s, m)));
    let row = |(stage, miner): (&StageView, &MinerView)| {
        let you = if miner.hotkey == view.miner.hotkey { labels::YOU } else { "" };
        vec![
            stage.stage.to_string(),
            text::phase(&stage.phase).to_owned(),
            format!("{}{you}", cut(&view.name_of(&miner.hotkey), 10)),
            cut(&miner.status, 10),
            text::thousands(miner.forwards),
            text::thousands(miner.backwards),
            text::thousands(miner.partitions),
            text::thousands(whole(miner.score)),
        ]
    };
    all.map(row).collect()
}

fn books(frame: &mut Frame<'_>, area: Rect, swarm: &SwarmSnapshot, view: &View, theme: &Theme) {
    let own: Vec<bool> = swarm
        .stages
        .iter()
        .flat_map(|stage| &stage.miners)
        .map(|miner| miner.hotkey == view.miner.hotkey)
        .collect();
    let all = rows(swarm, view);
    let room = usize::from(area.height.saturating_sub(3));
    let hidden = all.len().saturating_sub(room);
    let rows = all.into_iter().zip(own).take(room).map(|(cells, own)| {
        let aligned = cells.into_iter().zip(FIGURES).map(|(cell, cells)| right(cell, cells));
        let row = Row::new(aligned);
        row.style(if own { theme.number() } else { theme.quiet() })
    });
    let widths = [6, 11, 16, 11, 9, 10, 8, 7].map(Constraint::Length);
    let head = Row::new(words::BOOK_COLUMNS.map(str::to_owned)).style(theme.dim());
    let mut block = pane(words::BOOKS, theme);
    if hidden > 0 {
        block = block.title_bottom(Line::styled(words::more(hidden), theme.dim()));
    }
    let table = Table::new(rows, widths).column_spacing(0).header(head);
    frame.render_widget(table.block(block), area);
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
