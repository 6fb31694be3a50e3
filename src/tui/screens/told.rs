//! The eight screens in lines: the same facts, read from the same functions as the pictures, under the
//! titles of their panes.

use ratatui::text::Line;

use super::{earnings, machine, network, now, peers, queue, swarm, training, transfers};
use crate::tui::draw::facts::spoken;
use crate::tui::draw::{losses, speed, stages};
use crate::tui::look::ScreenName;
use crate::tui::text::labels;
use crate::tui::text::{self, earnings as pay, measured, plain as say, screens as words};
use crate::tui::theme::Theme;
use crate::tui::view::View;

/// Wide enough that no figure is left out.
const WIDTH: usize = 120;
/// Log lines that are told, the newest last.
const LOG_LINES: usize = 20;

/// Lines of uploads and merges, the newest first.
const TRANSFER_LINES: usize = 12;

/// What a screen tells.
pub(in crate::tui) fn told(screen: ScreenName, view: &View) -> Vec<String> {
    let theme = &Theme::plain();
    let mut all = vec![format!("{}.", words::name(screen))];
    let mut pane = |title: &str, lines: Vec<String>| {
        all.push(format!("{}:", title.trim()));
        all.extend(lines.into_iter().map(|line| format!("  {line}")));
    };
    let miner = &view.miner;
    match screen {
        ScreenName::Now => {
            if miner.queue.is_some() {
                pane(words::QUEUE, read(queue::facts(view, 0, theme)));
            } else {
                pane(text::SPEED, read(speed::told(view, WIDTH, theme)));
                pane(text::LOSS, vec![loss(view)]);
            }
            pane(words::TODAY, read(now::today(view, theme)));
        }
        ScreenName::Earnings => {
            pane(pay::EARNED, read(earnings::all_earned(view, theme)));
            pane(pay::WALK, read(earnings::walk(view, theme)));
            pane(pay::LEDGER, read(earnings::ledger(view, theme)));
            pane(pay::WORK, read(earnings::work(view, theme)));
        }
        ScreenName::Training => {
            pane(words::STAGE, read(training::facts(view, theme)));
            pane(text::LOSS, vec![loss(view)]);
            let way = training::waterfall(&miner.measured.time.waterfall, WIDTH, theme);
            pane(measured::WAY, read(way));
            pane(measured::TIME, training::shares_told(&miner.measured));
        }
        ScreenName::Network => {
            pane(words::RUN, read(network::facts(view, theme)));
            let mut lines = read(stages::told(view, WIDTH, theme));
            if lines.is_empty() {
                lines.push(text::NO_STAGES_YET.to_owned());
            }
            pane(text::STAGES, lines);
            let mut lines = read(transfers::facts(view, WIDTH, theme));
            lines.truncate(TRANSFER_LINES);
            pane(measured::TRANSFERS, lines);
        }
        ScreenName::Peers => {
            pane(words::PEERS, rows(&labels::PEER_COLUMNS, peers::rows(view), words::NO_PEERS));
            pane(words::REACH, read(peers::reach(view, theme)));
        }
        ScreenName::Machine => {
            pane(words::DEVICE, read(machine::device(view, theme)));
            pane(words::RULES, read(machine::rules(view, theme)));
            pane(measured::WEEK, machine::hours(view));
        }
        ScreenName::Log => pane(text::LOG, log(view)),
        ScreenName::Swarm => match &view.swarm {
            Some(inside) => {
                let books = swarm::rows(inside, view);
                pane(words::BOOKS, rows(&words::BOOK_COLUMNS, books, text::NO_STAGES_YET));
                pane(words::LAB, read(swarm::lab(inside, view, theme)));
            }
            None => pane(words::BOOKS, vec![words::NO_SWARM.to_owned()]),
        },
    }
    all
}

fn read<'a>(lines: impl IntoIterator<Item = Line<'a>>) -> Vec<String> {
    lines.into_iter().map(|line| spoken(&line)).filter(|line| !line.is_empty()).collect()
}

fn loss(view: &View) -> String {
    losses(view).map_or(text::NO_LOSS_YET.to_owned(), |(first, last)| say::from_to(first, last))
}

/// A table, a line for each row, each figure with the name of its column.
fn rows(columns: &[&str], rows: Vec<Vec<String>>, empty: &str) -> Vec<String> {
    if rows.is_empty() {
        return vec![empty.to_owned()];
    }
    let row = |row: Vec<String>| {
        let cells =
            columns.iter().zip(row).map(|(name, cell)| (name.trim(), cell.trim().to_owned()));
        let cells = cells.filter(|(_, cell)| !cell.is_empty() && cell != "-");
        cells.map(|(name, cell)| format!("{name} {cell}")).collect::<Vec<_>>().join(", ")
    };
    rows.into_iter().map(row).collect()
}

fn log(view: &View) -> Vec<String> {
    let from = view.log.len().saturating_sub(LOG_LINES);
    match view.log.get(from..) {
        Some(lines @ [_, ..]) => lines.iter().map(|line| line.trim().to_owned()).collect(),
        _ => vec![text::NO_LOG_YET.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::draw::samples::conditions;

    /// Every screen in every condition, with a practice swarm's inside view and without.
    #[test]
    fn the_screens_are_told_as_kept() {
        for (place, inside) in [("practice", Some(())), ("miner", None)] {
            for (name, view) in conditions(inside) {
                let lines = ScreenName::ALL.into_iter().flat_map(|screen| told(screen, &view));
                let text = lines.collect::<Vec<_>>().join("\n");
                insta::assert_snapshot!(format!("{name}_{place}"), text);
            }
        }
    }

    #[test]
    fn nothing_that_is_told_needs_eyes() {
        for inside in [Some(()), None] {
            for (name, view) in conditions(inside) {
                for screen in ScreenName::ALL {
                    let lines = told(screen, &view);
                    let text = lines.join("\n");
                    assert!(lines.len() > 2, "{name}: {text}");
                    assert!(!text.contains(['█', '░', '│', '─', '╭', '·', '▁']), "{name}: {text}");
                }
            }
        }
    }
}
