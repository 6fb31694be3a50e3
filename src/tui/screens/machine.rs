//! This machine: its device, and the rule that decides now how hard it works.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;

use super::lines;
use crate::tui::draw::facts::{fact, maybe, said, sentence};
use crate::tui::text::{self, screens as words};
use crate::tui::theme::Theme;
use crate::tui::view::View;

pub(super) fn machine(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let [top, bottom] = Layout::vertical([Constraint::Length(8), Constraint::Min(6)]).areas(area);
    lines(frame, top, words::DEVICE, device(view, theme), theme);
    lines(frame, bottom, words::RULES, rules(view, theme), theme);
}

fn device<'a>(view: &View, theme: &Theme) -> Vec<Line<'a>> {
    let device = &view.miner.device;
    let some = |bytes: u64| (bytes > 0).then(|| text::bytes(bytes));
    let mut facts = vec![
        fact("name", device.name.clone(), theme),
        fact("computes by", device.backend.clone(), theme),
        maybe("stage", some(device.stage_bytes), theme),
        maybe("miner, at most", some(device.planned_bytes), theme),
    ];
    if !device.memory.is_empty() {
        facts.push(sentence(device.memory.clone(), theme));
    }
    facts
}

#[allow(clippy::cast_precision_loss)]
fn rules<'a>(view: &View, theme: &Theme) -> Vec<Line<'a>> {
    let ruling = &view.miner.ruling;
    let now = view.unix as f64;
    let decides = match ruling.percent() {
        Some(percent) => format!("it may work at {percent}"),
        None => "it pauses".to_owned(),
    };
    let until = ruling
        .until
        .map_or(words::NO_END.to_owned(), |until| format!("in {}", text::duration(until - now)));
    let mut facts = vec![
        fact("decides now", ruling.rule.code().replace('-', " "), theme),
        fact("so that", decides, theme),
        sentence(ruling.sentence.clone(), theme),
        said("since", words::ago(now - ruling.since), theme),
        said("until", until, theme),
    ];
    for unknown in &ruling.unknown {
        let rule = unknown.rule.code().replace('-', " ");
        facts.push(said("cannot be kept to", format!("{rule}: {}", unknown.why), theme));
    }
    facts
}
