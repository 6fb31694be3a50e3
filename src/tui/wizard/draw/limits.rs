//! The fourth screen, and the summary after it.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::super::limits::{BACKENDS, JOINS, Limits, NETWORKS, Page, Row};
use super::super::request::Payout;
use super::super::rule_text;
use super::super::rules::RulesPage;
use super::super::state::Wizard;
use super::super::text;
use super::machine::{cut, wrapped};
use crate::config::settings::Key;
use crate::miner::State;
use crate::tui::draw::pane;
use crate::tui::theme::Theme;

pub(super) fn limits(frame: &mut Frame<'_>, area: Rect, screen: &Limits, theme: &Theme) {
    if screen.page == Page::Rules {
        return rules(frame, area, &screen.rules, theme);
    }
    let width = usize::from(area.width.saturating_sub(4));
    let mut lines = vec![Line::default()];
    for row in screen.rows() {
        lines.push(row_line(screen, row, theme));
    }
    lines.push(Line::default());
    for line in wrapped(text::row_advice(screen.row), width) {
        lines.push(Line::styled(format!("  {line}"), theme.quiet()));
    }
    if let (Row::Server, Some(Err(why))) = (screen.row, &screen.server_verdict) {
        lines.push(Line::default());
        for line in wrapped(why, width) {
            lines.push(Line::styled(format!("  {line}"), theme.state(State::Waiting)));
        }
    }
    if let Some(problem) = &screen.problem {
        lines.push(Line::default());
        for line in wrapped(problem, width) {
            lines.push(Line::styled(format!("  {line}"), theme.state(State::Fault)));
        }
    }
    frame.render_widget(Paragraph::new(lines).block(pane(" Your limits ", theme)), area);
}

fn rules(frame: &mut Frame<'_>, area: Rect, page: &RulesPage, theme: &Theme) {
    let width = usize::from(area.width.saturating_sub(4));
    let mut lines = Vec::new();
    for row in page.shown() {
        let (mark, style) =
            if row.is_marked { (" > ", theme.title()) } else { ("   ", theme.quiet()) };
        let arrow = |there: bool, sign: &'static str| {
            Span::styled(if row.is_marked && there { sign } else { "  " }, theme.title())
        };
        let unknown = page.unknown.contains_key(&row.key);
        let left = match row.key {
            Key::Hours => {
                page.hours_a_week().map(|hours| format!("  {}", rule_text::hours_left(hours)))
            }
            _ if unknown => Some(format!("  {}", rule_text::CANNOT_BE_KNOWN)),
            _ => None,
        };
        let room = width.saturating_sub(27 + left.as_ref().map_or(0, |left| left.chars().count()));
        lines.push(Line::from(vec![
            Span::styled(format!("{mark}{:<20}", rule_text::label(row.key)), style),
            arrow(row.has_less, "< "),
            Span::styled(
                if row.is_marked && page.is_typing() {
                    end_of(&row.value, room)
                } else {
                    cut(&row.value, room)
                },
                theme.number(),
            ),
            arrow(row.has_more, " >"),
            Span::styled(
                left.unwrap_or_default(),
                if unknown { theme.state(State::Waiting) } else { theme.quiet() },
            ),
        ]));
    }
    lines.push(Line::default());
    if page.problem.is_none() {
        for line in wrapped(rule_text::advice(page.key()), width) {
            lines.push(Line::styled(format!("  {line}"), theme.quiet()));
        }
    }
    if let Some(why) = page.unknown.get(&page.key()) {
        for line in wrapped(&rule_text::cannot_be_known(why), width) {
            lines.push(Line::styled(format!("  {line}"), theme.state(State::Waiting)));
        }
    }
    if let Some(problem) = &page.problem {
        for line in wrapped(problem, width) {
            lines.push(Line::styled(format!("  {line}"), theme.state(State::Fault)));
        }
    }
    frame.render_widget(Paragraph::new(lines).block(pane(" Your rules ", theme)), area);
}

/// The end of a text that is typed, where the cursor is.
fn end_of(text: &str, room: usize) -> String {
    let letters = text.chars().count();
    text.chars().skip(letters.saturating_sub(room)).collect()
}

fn row_line<'a>(screen: &Limits, row: Row, theme: &Theme) -> Line<'a> {
    let marked = row == screen.row;
    let (mark, style) = if marked { (" > ", theme.title()) } else { ("   ", theme.quiet()) };
    let word = |all: &[&str], index: usize| all.get(index).map_or("", |word| *word).to_owned();
    let value = match row {
        Row::Backend => word(&text::BACKEND_WORDS, screen.backend),
        Row::Threads => text::threads(screen.threads, screen.cores),
        Row::Network => word(&text::NETWORK_WORDS, screen.network),
        Row::Join => word(&JOINS, screen.join),
        Row::Server => {
            let cursor = if marked { "_" } else { "" };
            format!("{}{cursor}", screen.server.display().as_str())
        }
    };
    // Arrows where there is more on that side.
    let (at, count) = match row {
        Row::Backend => (screen.backend, BACKENDS.len()),
        Row::Threads => (screen.threads.map_or(screen.cores, |n| n - 1), screen.cores + 1),
        Row::Network => (screen.network, NETWORKS.len() + 1),
        Row::Join => (screen.join, JOINS.len()),
        Row::Server => (0, 1),
    };
    let arrow = |there: bool, sign: &'static str| if marked && there { sign } else { " " };
    Line::from(vec![
        Span::styled(format!("{mark}{:<20}", text::row(row)), style),
        Span::styled(format!("{} ", arrow(at > 0, "<")), theme.title()),
        Span::styled(value, theme.number()),
        Span::styled(format!(" {}", arrow(at + 1 < count, ">")), theme.title()),
    ])
}

pub(super) fn ready(frame: &mut Frame<'_>, area: Rect, wizard: &Wizard, theme: &Theme) {
    let width = usize::from(area.width.saturating_sub(4));
    let choices = wizard.choices();
    let mut lines = vec![Line::default()];
    let mut row = |label: &str, value: &str| {
        lines.push(Line::from(vec![
            Span::styled(format!("  {label:<20}"), theme.dim()),
            Span::styled(cut(value, width.saturating_sub(20)), theme.number()),
        ]));
    };
    match &wizard.key.kept {
        Some(kept) => {
            row("hotkey", &kept.address);
            row("kept in", &kept.place);
        }
        None => row("hotkey", text::NO_KEY),
    }
    row(
        "is paid",
        match (&choices.payout, choices.join.as_str()) {
            (_, "metagraph") => text::PAID_BY_CHAIN,
            (Payout::Address(address), _) => address,
            _ => text::UNPAID,
        },
    );
    row(text::row(Row::Network), &choices.network);
    row(text::row(Row::Join), &choices.join);
    row(text::row(Row::Backend), &choices.backend);
    row(text::row(Row::Threads), &text::threads(choices.cpu_threads, wizard.limits.cores));
    let hours = wizard.limits.rules.hours_a_week().map(rule_text::hours_left).unwrap_or_default();
    row(rule_text::label(Key::Hours), &rule_text::with_rules(&hours, choices.rules.len()));
    lines.push(Line::default());
    for line in wrapped(&text::next(wizard), width) {
        lines.push(Line::styled(format!("  {line}"), theme.title()));
    }
    frame.render_widget(Paragraph::new(lines).block(pane(" Your answers ", theme)), area);
}
