//! What was earned. There is no ledger of payouts in this version, and the screen says so; what the own
//! miner did, which is what pay is reckoned by, is known and shown.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};

use super::lines;
use crate::tui::draw::facts::{fact, said, sentence};
use crate::tui::text::labels;
use crate::tui::text::{self, screens as words};
use crate::tui::theme::Theme;
use crate::tui::view::View;

pub(super) fn earnings(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let [top, bottom] = Layout::vertical([Constraint::Length(8), Constraint::Min(6)]).areas(area);
    lines(frame, top, words::EARNED, earned(view, theme), theme);
    lines(frame, bottom, words::WORK, work(view, theme), theme);
}

pub(super) fn earned<'a>(view: &View, theme: &Theme) -> Vec<ratatui::text::Line<'a>> {
    let practice = view.swarm.is_some();
    let (earned, payout) = match practice {
        true => (words::PRACTICE_PAYS, labels::NONE),
        false => (words::NO_LEDGER, words::NOT_PUBLISHED),
    };
    let empty = if practice { words::LEDGER_PRACTICE } else { words::LEDGER_EMPTY };
    vec![
        said(labels::TODAY, earned, theme),
        said(labels::NEXT_PAYOUT, payout, theme),
        said(labels::PAID_TO, view.miner.hotkey.clone(), theme),
        sentence(empty, theme),
    ]
}

pub(super) fn work<'a>(view: &View, theme: &Theme) -> Vec<ratatui::text::Line<'a>> {
    let work = &view.miner.work;
    let books = view.swarm.iter().flat_map(|swarm| &swarm.stages).flat_map(|stage| &stage.miners);
    let own = books.into_iter().find(|miner| miner.hotkey == view.miner.hotkey);
    let score = own.map_or(words::NOT_PUBLISHED.to_owned(), |own| {
        format!("{:.0} ({})", own.score, words::SCORE)
    });
    vec![
        fact(labels::BACKWARDS, text::thousands(work.backwards), theme),
        fact(labels::OF_THIS_EPOCH, text::thousands(work.backwards_this_epoch), theme),
        fact(labels::PARTITIONS_MERGED, text::thousands(work.partitions_merged), theme),
        fact(labels::TOKENS, text::thousands(work.tokens), theme),
        fact(labels::SENT, text::bytes(work.bytes_sent), theme),
        fact(labels::RECEIVED, text::bytes(work.bytes_received), theme),
        said(labels::SCORE, score, theme),
    ]
}
