//! This machine: its device with readings and limits, the rule that decides now how hard it works, and
//! the hours of the week.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use super::{lines, listed};
use crate::miner::snapshot::machine::{MachineView, Reading, WeekGrid};
use crate::tui::draw::facts::{fact, said, sentence};
use crate::tui::text::labels;
use crate::tui::text::{self, measured, screens as words};
use crate::tui::theme::Theme;
use crate::tui::view::{HalfHour, View};

pub(super) fn machine(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) -> usize {
    let [top, bottom] = Layout::vertical([Constraint::Length(8), Constraint::Min(10)]).areas(area);
    // Half hours where there is room for them, else hours.
    let each = if area.width >= 116 { Cell::HalfHour } else { Cell::Hour };
    let week = 7 + u16::try_from(WeekGrid::CELLS / each.half_hours()).unwrap_or(48);
    let [left, right] =
        Layout::horizontal([Constraint::Min(30), Constraint::Length(week)]).areas(bottom);
    lines(frame, right, measured::WEEK, grid(view, each, theme), theme);
    let both = (view, theme);
    let device = listed(frame, top, words::DEVICE, device(view, theme), both);
    device.max(listed(frame, left, words::RULES, rules(view, theme), both))
}

/// What one cell of the week stands for.
#[derive(Clone, Copy)]
enum Cell {
    HalfHour,
    Hour,
}

impl Cell {
    fn half_hours(self) -> usize {
        match self {
            Self::HalfHour => 1,
            Self::Hour => 2,
        }
    }
}

/// A reading with what the rules allow; why, where there is none.
fn reading<'a, T>(
    label: &str,
    reading: &Reading<T>,
    words_of: impl Fn(&T) -> String,
    limit: &str,
    theme: &Theme,
) -> Line<'a> {
    match reading {
        Reading::Is { value } => {
            let mut line = fact(label, words_of(value), theme);
            line.push_span(Span::styled(limit.to_owned(), theme.quiet()));
            line
        }
        Reading::No { why } => said(label, format!("{}: {why}{limit}", words::UNKNOWN), theme),
        Reading::NotAsked => said(label, format!("{}{limit}", measured::NOT_READ), theme),
    }
}

pub(super) fn device<'a>(view: &View, theme: &Theme) -> Vec<Line<'a>> {
    let (device, all) = (&view.miner.device, &view.miner.measured.machine);
    let own = &all.device;
    let name = format!("{} ({})", device.name, device.backend);
    let pauses =
        own.temperature_limit.map_or(String::new(), |(stop, start)| labels::pauses_at(stop, start));
    let at_most = own.watts_limit.map_or(String::new(), labels::at_most_watts);
    let others = all.load.limit.map_or(String::new(), labels::pauses_above);
    let of = own.memory_total.get().map_or(String::new(), |all| labels::of(&text::bytes(*all)));
    let planned = match device.planned_bytes {
        0 => String::new(),
        bytes => labels::this_miner(&text::bytes(bytes)),
    };
    let mut name = fact(labels::DEVICE, name, theme);
    name.push_span(Span::styled(planned, theme.quiet()));
    vec![
        name,
        reading(labels::TEMPERATURE, &own.temperature, |t| format!("{t:>5.1} °C"), &pauses, theme),
        reading(labels::POWER, &own.watts, |w| format!("{w:>5.1} W"), &at_most, theme),
        reading(
            labels::DEVICE_MEMORY,
            &own.memory,
            |m| labels::in_use(&text::bytes(*m)),
            &of,
            theme,
        ),
        reading(
            labels::OTHER_PROGRAMS,
            &all.load.others,
            |o| labels::of_processor(*o),
            &others,
            theme,
        ),
        memory_and_disk(all, theme),
    ]
}

/// What is left of this machine's memory and disk, in one line.
fn memory_and_disk<'a>(all: &MachineView, theme: &Theme) -> Line<'a> {
    let memory = all.memory.get().map_or(words::UNKNOWN.to_owned(), |(used, of)| {
        labels::in_use_of(&text::bytes(*used), &text::bytes(*of))
    });
    let free = all.disk_free.get();
    let disk = free.map_or(words::UNKNOWN.to_owned(), |b| labels::free(&text::bytes(*b)));
    let style = match free {
        Some(free) if *free < all.disk_reserve => theme.bad(),
        _ => theme.number(),
    };
    let mut line = fact(labels::MEMORY, memory, theme);
    line.push_span(Span::styled(labels::DISK, theme.dim()));
    line.push_span(Span::styled(disk, style));
    if all.disk_reserve > 0 {
        let kept = words::kept(&text::bytes(all.disk_reserve));
        line.push_span(Span::styled(kept, theme.quiet()));
    }
    line
}

#[allow(clippy::cast_precision_loss)]
pub(super) fn rules<'a>(view: &View, theme: &Theme) -> Vec<Line<'a>> {
    let ruling = &view.miner.ruling;
    let now = view.unix as f64;
    let decides = match ruling.percent() {
        Some(percent) => labels::may_work(&percent.to_string()),
        None => labels::IT_PAUSES.to_owned(),
    };
    let until = ruling
        .until
        .map_or(words::NO_END.to_owned(), |until| labels::after(&text::duration(until - now)));
    let mut facts = vec![
        fact(labels::DECIDES_NOW, ruling.rule.code().replace('-', " "), theme),
        fact(labels::SO_THAT, decides, theme),
        sentence(ruling.sentence.clone(), theme),
        said(labels::SINCE, words::ago(now - ruling.since), theme),
        said(labels::UNTIL, until, theme),
    ];
    for unknown in &ruling.unknown {
        let rule = unknown.rule.code().replace('-', " ");
        facts.push(said(labels::CANNOT_BE_KEPT_TO, format!("{rule}: {}", unknown.why), theme));
    }
    facts
}

/// The week: a full cell where it may work, a dot where not; now stands out.
fn grid<'a>(view: &View, each: Cell, theme: &Theme) -> Vec<Line<'a>> {
    let machine = &view.miner.measured.machine;
    let week = &machine.week;
    let step = each.half_hours();
    let cells = WeekGrid::CELLS / step;
    let mut lines = vec![axis(cells, theme)];
    for (day, name) in measured::DAYS.into_iter().enumerate() {
        let mut spans = vec![Span::styled(format!(" {name} "), theme.dim())];
        for cell in 0..cells {
            let allowed = (0..step).any(|half| week.allows(day, cell * step + half));
            let (sign, style) = if allowed { ("█", theme.bar()) } else { ("·", theme.dim()) };
            let HalfHour { day: today, half_hour } = view.half_hour;
            let is_now = day == today && cell == half_hour / step;
            spans.push(match is_now {
                true => Span::styled(if allowed { "O" } else { "o" }, theme.found()),
                false => Span::styled(sign, style),
            });
        }
        lines.push(Line::from(spans));
    }
    lines
}

/// The week in sentences.
pub(super) fn hours(view: &View) -> Vec<String> {
    let week = &view.miner.measured.machine.week;
    let whole = |day: usize| (0..WeekGrid::CELLS).all(|half| week.allows(day, half));
    if (0..measured::DAYS.len()).all(whole) {
        return vec![measured::ALL_WEEK.to_owned()];
    }
    let day = |(day, name): (usize, &str)| {
        let mut spans: Vec<(usize, usize)> = Vec::new();
        for half in (0..WeekGrid::CELLS).filter(|half| week.allows(day, *half)) {
            match spans.last_mut() {
                Some((_, end)) if *end == half => *end += 1,
                _ => spans.push((half, half + 1)),
            }
        }
        measured::hours_of(name, &spans)
    };
    measured::DAYS.into_iter().enumerate().map(day).collect()
}

/// The hours above the days.
fn axis<'a>(cells: usize, theme: &Theme) -> Line<'a> {
    let every = cells / 4;
    let hours: String = (0..4).map(|part| format!("{:<every$}", part * 6)).collect();
    Line::styled(format!("     {hours}"), theme.dim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_says_why_there_is_none() {
        let text =
            |line: Line<'_>| line.spans.iter().map(|s| s.content.to_string()).collect::<String>();
        let theme = Theme::plain();
        let words_of = |value: &u64| value.to_string();
        let is = reading("x", &Reading::Is { value: 7 }, words_of, ", at most 9", &theme);
        assert!(text(is).trim_end().ends_with("7, at most 9"));
        let no = reading("x", &Reading::No { why: "no sensor".into() }, words_of, "", &theme);
        assert!(text(no).ends_with("unknown: no sensor"));
        assert!(text(reading("x", &Reading::NotAsked, words_of, "", &theme)).ends_with("not read"));
    }
}
