//! Uploads and merges: parts, speed, and whether they will be there in time.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::listed;
use crate::miner::snapshot::measured::{MergeView, TransferView};
use crate::miner::snapshot::transfers::Deadline;
use crate::tui::draw::facts::{bar, cut, sentence};
use crate::tui::text::labels;
use crate::tui::text::{self, measured as words};
use crate::tui::theme::Theme;
use crate::tui::view::View;

pub(super) fn transfers(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) -> usize {
    let width = usize::from(area.width).saturating_sub(2);
    listed(frame, area, words::TRANSFERS, facts(view, width, theme), (view, theme))
}

/// The last two merges, and the transfers, the newest first.
pub(super) fn facts<'a>(view: &View, width: usize, theme: &Theme) -> Vec<Line<'a>> {
    let measured = &view.miner.measured;
    let now = view.unix;
    let mut shown: Vec<Line<'a>> = Vec::new();
    for merge in measured.merges.iter().rev().take(2) {
        shown.push(merge_line(merge, now, theme));
    }
    for transfer in measured.transfers.iter().rev() {
        shown.extend(transfer_lines(transfer, now, width, theme));
    }
    if shown.is_empty() {
        shown.push(sentence(words::NO_TRANSFERS, theme));
    }
    shown
}

/// Whether what an epoch's end is made of is under way.
pub(super) fn under_way(view: &View) -> bool {
    let measured = &view.miner.measured;
    measured.transfers.iter().any(|t| t.ended.is_none() && t.file != "activation")
        || measured.merges.iter().any(|merge| merge.ended.is_none())
}

#[allow(clippy::cast_precision_loss)]
fn took(began: f64, ended: Option<f64>, missing: usize, now: u64) -> String {
    match ended {
        Some(ended) => words::ended(missing, &text::duration(ended - began)),
        None => words::since(&text::duration(now as f64 - began)),
    }
}

fn merge_line<'a>(merge: &MergeView, now: u64, theme: &Theme) -> Line<'a> {
    let took = took(merge.began, merge.ended, merge.of.saturating_sub(merge.done), now);
    Line::from(vec![
        Span::styled(labels::MERGE, theme.dim()),
        Span::styled(words::merge(merge.epoch, merge.done, merge.of, &took), theme.quiet()),
    ])
}

#[allow(clippy::cast_precision_loss)]
fn transfer_lines<'a>(
    transfer: &TransferView,
    now: u64,
    width: usize,
    theme: &Theme,
) -> [Line<'a>; 2] {
    let share =
        if transfer.total == 0 { 0.0 } else { transfer.sent as f64 / transfer.total as f64 };
    let cells = width.saturating_sub(36).clamp(4, 40);
    let name = cut(&words::file(&transfer.file), 10);
    let mut first = vec![Span::styled(format!(" {name:<11}"), theme.number())];
    first.extend(bar(share, cells, theme));
    let parts = labels::parts(transfer.parts_done, transfer.parts);
    first.push(Span::styled(parts, theme.quiet()));
    let mut second = vec![Span::raw(" ".repeat(12))];
    match transfer.ended {
        Some(_) => {
            let missing = transfer.parts.saturating_sub(transfer.parts_done);
            let took = took(transfer.began, transfer.ended, missing, now);
            second.push(Span::styled(took, theme.quiet()));
        }
        None => {
            let style = match transfer.verdict {
                Deadline::Misses { .. } => theme.bad(),
                Deadline::Fits { .. } => theme.good(),
                Deadline::Unknown => theme.quiet(),
            };
            second.push(Span::styled(words::verdict(transfer.verdict), style));
            let speed = format!(", {}", words::speed(transfer.bytes_per_second));
            second.push(Span::styled(speed, theme.quiet()));
        }
    }
    if width >= 60 {
        let sizes = labels::sizes(&text::bytes(transfer.sent), &text::bytes(transfer.total));
        second.push(Span::styled(sizes, theme.quiet()));
    }
    if let Some(limit) = transfer.held_back.filter(|_| transfer.ended.is_none()) {
        second.push(Span::styled(words::held_back(limit), theme.warning()));
    }
    [Line::from(first), Line::from(second)]
}
