//! Speed in three windows, this epoch's progress, the work done, and the device.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::text;
use super::super::theme::Theme;
use super::super::view::View;
use super::facts::{bar, fitted};
use super::{Pane, filled};
use crate::tui::text::labels;

/// The same as lines of so many cells.
pub(in crate::tui) fn told<'a>(view: &View, width: usize, theme: &Theme) -> [Line<'a>; 4] {
    [rates(view, theme), epoch(view, width, theme), work(view, theme), device(view, theme)]
}

pub(in crate::tui) fn speed(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let width = usize::from(Pane::inner(area).width);
    let lines: Vec<_> =
        told(view, width, theme).into_iter().map(|line| fitted(line, width)).collect();
    filled(frame, area, &Pane::new(text::SPEED, theme), &lines);
}

fn pair<'a>(label: &str, value: String, theme: &Theme) -> [Span<'a>; 2] {
    [
        Span::styled(format!(" {label} "), theme.dim()),
        Span::styled(format!("{value:<9}"), theme.number()),
    ]
}

fn rates<'a>(view: &View, theme: &Theme) -> Line<'a> {
    let windows = view.swarm.as_ref().map_or(view.miner.tokens_per_second, |s| s.tokens_per_second);
    let whose = if view.swarm.is_some() { labels::SWARM_SPEED } else { labels::OWN_SPEED };
    let mut spans = vec![Span::styled(whose, theme.quiet())];
    for (label, rate) in labels::WINDOWS.into_iter().zip(windows) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let rate = text::thousands(rate.max(0.0).round() as u64);
        spans.extend(pair(label, rate, theme));
    }
    Line::from(spans)
}

fn epoch<'a>(view: &View, width: usize, theme: &Theme) -> Line<'a> {
    let (epoch, progress) =
        view.swarm.as_ref().map_or((view.miner.epoch, None), |s| (s.epoch, Some(s.epoch_progress)));
    let label = match view.epochs {
        Some(epochs) => labels::epoch_of(epoch.min(epochs), epochs),
        None => labels::epoch(epoch),
    };
    let Some(progress) = progress else {
        let phase = view.miner.phase.as_deref().map_or(text::screens::UNKNOWN, text::phase);
        let words = labels::phase(&label, phase);
        return Line::styled(words, theme.quiet());
    };
    let room = width.saturating_sub(label.len() + 7).min(60);
    let label = Span::styled(label, theme.quiet());
    Line::from_iter(std::iter::once(label).chain(bar(progress, room, theme)))
}

fn work<'a>(view: &View, theme: &Theme) -> Line<'a> {
    let work = &view.miner.work;
    let mut spans = vec![Span::styled(labels::YOUR_WORK, theme.quiet())];
    for (label, n) in [
        (labels::FORWARDS, work.forwards),
        (labels::BACKWARDS, work.backwards),
        (labels::STEPS, work.optimizer_steps),
        (labels::MERGED, work.partitions_merged),
    ] {
        spans.push(Span::styled(format!(" {label} "), theme.dim()));
        spans.push(Span::styled(format!("{:<6}", text::thousands(n)), theme.number()));
    }
    Line::from(spans)
}

fn device<'a>(view: &View, theme: &Theme) -> Line<'a> {
    let device = &view.miner.device;
    let mut line = labels::device(&device.name, &device.backend);
    if device.stage_bytes > 0 {
        line.push_str(&labels::stage_takes(&text::bytes(device.stage_bytes)));
    }
    let readings = &view.miner.measured.machine.device;
    if let Some(degrees) = readings.temperature.get() {
        line.push_str(&format!(", {degrees:.0} °C"));
    }
    if let Some(watts) = readings.watts.get() {
        line.push_str(&format!(", {watts:.0} W"));
    }
    line.push_str(&labels::flight(view.miner.cache, view.miner.cache_capacity));
    Line::styled(line, theme.quiet())
}
