//! What lies on top of a screen: the help, a question, and how it all ended.

use ratatui::Frame;
use ratatui::layout::{Constraint, Flex, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Paragraph, Wrap};

use super::super::keymap::{Action, Binding, LAB};
use super::super::look::ScreenName;
use super::super::question::Question;
use super::super::seat::Kind;
use super::super::text::{self, writing as words};
use super::super::theme::Theme;
use super::super::view::View;
use super::pane;
use crate::config::keys::Press;
use crate::control::Progress;
use crate::swarm::Writing;
use crate::tui::text::labels;

pub(super) fn overlay(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    if view.look.help {
        return help(frame, area, view, theme);
    }
    if let Some(question) = view.look.question {
        return ask(frame, area, question, view, theme);
    }
    if view.look.writing {
        return writing(frame, area, view, theme);
    }
    // The screens beside the first can still be read when all is over.
    if view.look.screen != ScreenName::Now {
        return;
    }
    match &view.progress {
        Progress::Running => {}
        Progress::Finished(summary) => ending(frame, area, text::FINISHED, summary, theme),
        Progress::Failed(why) => ending(frame, area, text::FAILED, why, theme),
    }
}

fn ask(frame: &mut Frame<'_>, area: Rect, question: Question, view: &View, theme: &Theme) {
    let width = area.width.saturating_sub(8).min(72);
    let meaning = question.text(view);
    let mut lines = vec![Line::styled(format!(" {meaning}"), theme.quiet()), Line::default()];
    let mut rows = rows_of(&meaning, width) + 1;
    let no = (view.keys.press(Action::Close), text::questions::NO.to_owned());
    let choices = question.choices(view).into_iter();
    let choices = choices.filter_map(|c| Some((*c.keys.first()?, c.words))).chain([no]);
    for (press, words) in choices {
        rows += rows_of(&words, width.saturating_sub(8));
        lines.push(Line::from(vec![
            Span::styled(format!(" {:<6}", press.to_string()), theme.number()),
            Span::styled(words, theme.quiet()),
        ]));
    }
    let place = centred(area, width, rows + 2);
    frame.render_widget(Clear, place);
    let paragraph = Paragraph::new(lines).wrap(Wrap { trim: false });
    frame.render_widget(paragraph.block(pane(question.title(), theme)), place);
}

/// How many rows words take in a pane of this width, roughly, and never too few.
fn rows_of(words: &str, width: u16) -> u16 {
    let room = usize::from(width.saturating_sub(10)).max(1);
    let rows: usize = words.lines().map(|line| line.chars().count().div_ceil(room).max(1)).sum();
    u16::try_from(rows).unwrap_or(u16::MAX / 2)
}

/// Lines of the help: the eight screens are one, and so are the keys that move in the log.
fn help_lines(view: &View) -> Vec<(String, &'static str)> {
    let bindings = view.bindings();
    let is_screen = |b: &Binding| ScreenName::of_action(b.action).is_some();
    let press = |action| view.keys.press(action);
    let past = view.kind == Kind::Past;
    let pair = |one, other| format!("{} {}", press(one), press(other));
    let screens = match (press(Action::Now), press(Action::Swarm)) {
        (Press::Char('1'), Press::Char('8')) => labels::ALL_SCREENS.to_owned(),
        (first, last) => format!("{first} .. {last}"),
    };
    let mut lines =
        vec![(labels::HELP_NOW.to_owned(), text::advice::of(&view.miner.status.reason))];
    for binding in &bindings {
        if binding.action == Action::NextScreen {
            lines.push((screens.clone(), text::keys::SCREENS));
        }
        match binding.action {
            Action::Up => {
                let last = if past { Action::PageDown } else { Action::Newest };
                let keys = format!("{} .. {}", binding.press, press(last));
                lines.push((keys, text::keys::MOVE));
            }
            Action::NextMiner => {
                let keys = format!("{} {}", binding.press, press(Action::PreviousMiner));
                lines.push((keys, text::keys::MINERS));
            }
            Action::StartMiner => {
                let keys = LAB.map(|action| press(action).to_string()).join(" ");
                lines.push((keys, text::keys::LAB));
            }
            Action::Rewind => lines.push((pair(Action::Rewind, Action::Ahead), text::keys::STEPS)),
            Action::FarBack => {
                lines.push((pair(Action::FarBack, Action::FarAhead), text::keys::LEAPS));
            }
            Action::Faster => {
                lines.push((pair(Action::Faster, Action::Slower), text::keys::SPEEDS))
            }
            // In a replay they go to the ends of the record.
            Action::Oldest if past => {
                lines.push((pair(Action::Oldest, Action::Newest), text::keys::ENDS));
            }
            Action::PreviousMiner
            | Action::Ahead
            | Action::FarAhead
            | Action::Slower
            | Action::KillMiner
            | Action::SlowMiner
            | Action::CheatMiner
            | Action::Down
            | Action::PageUp
            | Action::PageDown
            | Action::Oldest
            | Action::Newest => {}
            _ if is_screen(binding) => {}
            _ => lines.push((binding.press.to_string(), binding.long)),
        }
    }
    lines
}

fn help(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let lines = help_lines(view);
    let line = |(press, long): &(String, &'static str)| {
        Line::from(vec![
            Span::styled(format!(" {press:<9} "), theme.number()),
            Span::styled(*long, theme.quiet()),
        ])
    };
    let room = usize::from(area.height.saturating_sub(3));
    // Two columns where one is too high.
    let columns = if lines.len() > room { 2 } else { 1 };
    let rows = lines.len().div_ceil(columns).min(room);
    #[allow(clippy::cast_possible_truncation)]
    let (width, height) = (if columns == 2 { area.width.min(150) } else { 74 }, rows as u16 + 3);
    let place = centred(area, width, height);
    frame.render_widget(Clear, place);
    let block = pane(text::keys::HELP, theme)
        .title_bottom(Line::styled(format!(" {} ", text::keys::HELP_FOOT), theme.dim()));
    let inside = block.inner(place);
    frame.render_widget(block, place);
    let areas = Layout::horizontal(vec![Constraint::Fill(1); columns]).split(inside);
    for (area, part) in areas.iter().zip(lines.chunks(rows.max(1))) {
        frame.render_widget(Paragraph::new(part.iter().map(line).collect::<Vec<_>>()), *area);
    }
}

/// What the swarm's model writes, and with which weights.
fn writing(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let past = view.playback.is_some();
    let (text, below) = match view.swarm.as_ref().map(|swarm| &swarm.writing) {
        Some(Writing::Done(written)) => {
            let text = Line::from(vec![
                Span::styled(written.begun.as_str(), theme.dim()),
                Span::styled(written.text.as_str(), theme.number()),
            ]);
            (vec![text], words::written(written))
        }
        Some(Writing::Failed { why }) => {
            (vec![Line::styled(words::failed(why), theme.quiet())], String::new())
        }
        Some(Writing::NotAsked) if past => {
            (vec![Line::styled(words::NOTHING, theme.quiet())], String::new())
        }
        // A wish that is on its way counts as heard.
        _ => (vec![Line::styled(words::UNDER_WAY, theme.quiet())], String::new()),
    };
    let press = |action| view.keys.press(action).to_string();
    let another = if past { None } else { Some(press(Action::Write)) };
    let keys = words::keys(another.as_deref(), &press(Action::Close));
    let mut lines = text;
    lines.push(Line::default());
    lines.extend((!below.is_empty()).then(|| Line::styled(below, theme.quiet())));
    lines.push(Line::styled(keys, theme.dim()));
    let width = area.width.saturating_sub(8).min(72);
    let room = usize::from(width.saturating_sub(10)).max(1);
    let rows: usize = lines.iter().map(|line| line.width().div_ceil(room).max(1)).sum();
    let place = centred(area, width, u16::try_from(rows).unwrap_or(u16::MAX / 2) + 2);
    frame.render_widget(Clear, place);
    let paragraph = Paragraph::new(lines).wrap(Wrap { trim: false });
    frame.render_widget(paragraph.block(pane(words::TITLE, theme)), place);
}

fn ending(frame: &mut Frame<'_>, area: Rect, title: &'static str, words: &str, theme: &Theme) {
    let width = area.width.saturating_sub(4).min(100);
    let paragraph =
        Paragraph::new(words.to_owned()).wrap(Wrap { trim: false }).block(pane(title, theme));
    let wrapped: usize = words
        .lines()
        .map(|line| {
            line.chars().count().div_ceil(usize::from(width.saturating_sub(4)).max(1)).max(1)
        })
        .sum();
    #[allow(clippy::cast_possible_truncation)]
    let height = (wrapped.min(200) as u16 + 2).min(area.height.saturating_sub(4));
    let place = centred(area, width, height);
    frame.render_widget(Clear, place);
    frame.render_widget(paragraph, place);
}

fn centred(area: Rect, width: u16, height: u16) -> Rect {
    let [area] = Layout::horizontal([Constraint::Length(width)]).flex(Flex::Center).areas(area);
    let [area] = Layout::vertical([Constraint::Length(height)]).flex(Flex::Center).areas(area);
    area
}
