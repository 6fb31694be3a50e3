//! The first screen: devices, and a line for every topic.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::super::facts::{Adapter, Level, Line as Known, Topic, Verdict};
use super::super::state::Wizard;
use super::super::text;
use crate::tui::draw::pane;
use crate::tui::theme::Theme;

/// Columns before a topic's sentence: its level's word and its label.
const LABEL: usize = 15;

pub(super) fn machine(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, theme: &Theme) {
    let inside = usize::from(area.width.saturating_sub(2));
    let devices = devices(wizard, inside, theme);
    #[allow(clippy::cast_possible_truncation)]
    let wanted = devices.len().min(200) as u16 + 2;
    // The topics need a line each at least.
    #[allow(clippy::cast_possible_truncation)]
    let rest = Topic::ALL.len() as u16 + 2;
    let height = wanted.min(area.height.saturating_sub(rest)).max(4);
    let [top, bottom] =
        Layout::vertical([Constraint::Length(height), Constraint::Min(rest)]).areas(area);
    let devices = fitted(devices, usize::from(top.height.saturating_sub(2)), theme);
    frame.render_widget(Paragraph::new(devices).block(pane(" Devices ", theme)), top);
    let room = usize::from(bottom.height.saturating_sub(2));
    let lines = topics(wizard, inside, room, theme);
    frame.render_widget(Paragraph::new(lines).block(pane(" Checks ", theme)), bottom);
}

/// The lines that fit, and how many do not.
fn fitted<'a>(mut lines: Vec<Line<'a>>, room: usize, theme: &Theme) -> Vec<Line<'a>> {
    if lines.len() > room && room > 0 {
        let hidden = lines.len() - (room - 1);
        lines.truncate(room - 1);
        lines.push(Line::styled(format!(" … and {hidden} more lines"), theme.dim()));
    }
    lines
}

fn devices<'a>(wizard: &Wizard, width: usize, theme: &Theme) -> Vec<Line<'a>> {
    let Some(adapters) = &wizard.machine.adapters else {
        return vec![Line::styled(format!(" {}", text::LISTING), theme.dim())];
    };
    if adapters.is_empty() {
        return vec![Line::styled(format!(" {}", text::NO_DEVICE), theme.dim())];
    }
    adapters.iter().flat_map(|adapter| device(adapter, width, theme)).collect()
}

fn device<'a>(adapter: &Adapter, width: usize, theme: &Theme) -> Vec<Line<'a>> {
    let (word, why, style) = match &adapter.verdict {
        Verdict::Chosen(why) => ("used   ", why, theme.title()),
        Verdict::Possible(why) => ("could  ", why, theme.quiet()),
        Verdict::Refused(why) => ("refused", why, theme.quiet()),
    };
    let name = cut(&adapter.name, width.saturating_sub(10) / 2);
    let detail = cut(&adapter.detail, width.saturating_sub(12 + name.chars().count()));
    vec![
        Line::from(vec![
            Span::styled(format!(" {word} "), style),
            Span::styled(name, theme.number()),
            Span::styled(format!("  {detail}"), theme.quiet()),
        ]),
        Line::styled(format!("         {}", cut(why, width.saturating_sub(9))), theme.dim()),
    ]
}

/// Every topic in full where there is room; else what is fine is cut to one line first.
fn topics<'a>(wizard: &Wizard, width: usize, room: usize, theme: &Theme) -> Vec<Line<'a>> {
    let mut blocks: Vec<(Topic, Level, Vec<Line<'a>>)> = Topic::ALL
        .into_iter()
        .map(|topic| {
            let known = wizard.machine.lines.get(&topic);
            let level = match known {
                Some(Known::Known(finding)) => finding.level,
                _ => Level::Fine,
            };
            (topic, level, topic_lines(topic, known, width, theme))
        })
        .collect();
    for shorter in [Level::Fine, Level::Warning, Level::Error] {
        if blocks.iter().map(|(_, _, lines)| lines.len()).sum::<usize>() <= room {
            break;
        }
        for (topic, level, lines) in &mut blocks {
            if *level == shorter {
                let known = wizard.machine.lines.get(topic);
                *lines = vec![topic_line(*topic, known, width, theme)];
            }
        }
    }
    blocks.into_iter().flat_map(|(_, _, lines)| lines).collect()
}

/// The word, its style, the sentence, and what to do.
fn said<'k>(
    topic: Topic,
    known: Option<&'k Known>,
    theme: &Theme,
) -> (&'static str, Style, &'k str, Option<&'k str>) {
    match known {
        None => ("", theme.dim(), text::not_yet(topic), None),
        Some(Known::Working(what)) => ("…", theme.dim(), what, None),
        Some(Known::Known(finding)) => (
            text::level(finding.level),
            level_style(finding.level, theme),
            &finding.what,
            finding.fix.as_deref(),
        ),
    }
}

/// A topic in one line.
fn topic_line<'a>(topic: Topic, known: Option<&Known>, width: usize, theme: &Theme) -> Line<'a> {
    let (word, style, sentence, _) = said(topic, known, theme);
    let sentence = cut(sentence, width.saturating_sub(LABEL));
    labelled(topic, word, style, sentence, known, theme)
}

fn labelled<'a>(
    topic: Topic,
    word: &str,
    style: Style,
    sentence: String,
    known: Option<&Known>,
    theme: &Theme,
) -> Line<'a> {
    let quiet = if known.is_none() { theme.dim() } else { Style::new() };
    Line::from(vec![
        Span::styled(format!(" {word:<5}"), style),
        Span::styled(format!("{:<9}", text::topic(topic)), theme.dim()),
        Span::styled(sentence, quiet),
    ])
}

/// A topic in full: the sentence, and below it what to do.
fn topic_lines<'a>(
    topic: Topic,
    known: Option<&Known>,
    width: usize,
    theme: &Theme,
) -> Vec<Line<'a>> {
    let (word, style, sentence, fix) = said(topic, known, theme);
    let width = width.saturating_sub(LABEL);
    let mut sentences = wrapped(sentence, width).into_iter();
    let first = sentences.next().unwrap_or_default();
    let mut lines = vec![labelled(topic, word, style, first, known, theme)];
    let below = sentences.chain(fix.into_iter().flat_map(|fix| wrapped(fix, width)));
    lines.extend(
        below.map(|sentence| Line::styled(format!("{:LABEL$}{sentence}", ""), theme.quiet())),
    );
    lines
}

fn level_style(level: Level, theme: &Theme) -> Style {
    use crate::miner::State;
    match level {
        Level::Fine => theme.state(State::Training),
        Level::Warning => theme.state(State::Waiting),
        Level::Error => theme.state(State::Fault),
    }
}

/// At most so many characters; an ellipsis stands for the rest.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

/// Broken at spaces into lines of at most so many characters.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(cut(word, width)),
        }
    }
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

/// A paragraph that wraps.
pub(super) fn paragraph<'a>(text: String, style: Style) -> Paragraph<'a> {
    Paragraph::new(text).style(style).wrap(Wrap { trim: true })
}
