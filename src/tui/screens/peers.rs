//! The miners that the own one talks to, and how others reach it.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Row, Table};

use super::lines;
use crate::miner::NeighbourView;
use crate::tui::draw::facts::{cut, sentence};
use crate::tui::draw::pane;
use crate::tui::text::screens as words;
use crate::tui::theme::Theme;
use crate::tui::view::View;

pub(super) fn peers(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let [top, bottom] = Layout::vertical([Constraint::Min(8), Constraint::Length(6)]).areas(area);
    match view.miner.neighbours.is_empty() {
        true => lines(frame, top, words::PEERS, vec![sentence(words::NO_PEERS, theme)], theme),
        false => table(frame, top, view, theme),
    }
    lines(frame, bottom, words::REACH, reach(view, theme), theme);
}

fn table(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let mut neighbours: Vec<&NeighbourView> = view.miner.neighbours.iter().collect();
    neighbours.sort_by(|a, b| (a.stage, &a.hotkey).cmp(&(b.stage, &b.hotkey)));
    let room = usize::from(area.height.saturating_sub(3));
    let hidden = neighbours.len().saturating_sub(room);
    let rows = neighbours.iter().take(room).map(|n| {
        #[allow(clippy::cast_precision_loss)]
        let heard = n.heard.map_or("never".to_owned(), |at| words::ago(view.unix as f64 - at));
        let name = cut(&view.name_of(&n.hotkey), 12);
        Row::new([n.stage.to_string(), name, cut(&n.status, 14), heard]).style(theme.quiet())
    });
    let widths = [
        Constraint::Length(6),
        Constraint::Length(13),
        Constraint::Length(15),
        Constraint::Min(14),
    ];
    let head = Row::new(["stage", "miner", "says it is", "last heard"]).style(theme.dim());
    let mut block = pane(words::PEERS, theme);
    if hidden > 0 {
        block = block.title_bottom(Line::styled(words::more(hidden), theme.dim()));
    }
    frame.render_widget(Table::new(rows, widths).header(head).block(block), area);
}

fn reach<'a>(view: &View, theme: &Theme) -> Vec<Line<'a>> {
    match &view.miner.reach {
        None => vec![sentence(words::NO_REACH, theme)],
        Some(reach) => {
            let advice =
                reach.advice.iter().map(|advice| Line::styled(format!(" {advice}"), theme.dim()));
            std::iter::once(sentence(reach.sentence.clone(), theme)).chain(advice).collect()
        }
    }
}
