//! The third screen: one picture a step.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use zeroize::Zeroizing;

use super::super::facts::{AddressVerdict, WalletKey};
use super::super::field::Field;
use super::super::key::{Drawn, KeyScreen, Step};
use super::super::request::Payout;
use super::super::text;
use super::machine::{cut, wrapped};
use super::menu;
use crate::tui::draw::pane;
use crate::tui::theme::Theme;

/// Columns of a word with its number.
const WORD: usize = 18;

pub(super) fn key(frame: &mut Frame<'_>, area: Rect, screen: &KeyScreen, theme: &Theme) {
    let width = usize::from(area.width.saturating_sub(4));
    let mut lines = vec![Line::default()];
    match &screen.step {
        Step::Choose { selected } => {
            let ways: Vec<_> = screen.key_ways().into_iter().map(text::key_way).collect();
            lines.extend(menu(&ways, *selected, width, theme));
            lines.extend(about_key(screen, width, theme));
        }
        Step::Words(drawn) => lines.extend(words(drawn, width, theme)),
        Step::Pick { folder, keys, selected } => {
            lines.extend(wallets(folder, keys, *selected, width, theme));
        }
        Step::Payout { selected } => {
            let ways: Vec<_> = screen.pay_ways().into_iter().map(text::pay_way).collect();
            lines.extend(menu(&ways, *selected, width, theme));
            lines.extend(about_payout(screen, width, theme));
        }
        Step::Address { field, verdict } => {
            lines.extend(typed(&screen.step, field, width, theme));
            lines.extend(judged(verdict.as_ref(), width, theme));
            lines.push(Line::default());
            lines.extend(sentences(text::NEVER_ASKED, width, theme));
        }
        Step::ColdkeyMade { address, file } => lines.extend(made(address, file.as_deref(), theme)),
        _ => {
            if let Some(field) = screen.field() {
                lines.extend(typed(&screen.step, field, width, theme));
            }
            if let (Step::Passphrase { .. }, Some(store)) = (&screen.step, &screen.store) {
                lines.push(Line::default());
                lines.extend(sentences(&store.words, width, theme));
            }
        }
    }
    lines.push(Line::default());
    if let Some(problem) = &screen.problem {
        let style = theme.state(crate::miner::State::Fault);
        lines.extend(
            wrapped(problem, width).into_iter().map(|l| Line::styled(format!("  {l}"), style)),
        );
    }
    if let Some(busy) = screen.busy {
        lines.push(Line::styled(format!("  {busy}"), theme.title()));
    }
    frame.render_widget(Paragraph::new(lines).block(pane(text::step(&screen.step), theme)), area);
}

fn sentences<'a>(sentence: &str, width: usize, theme: &Theme) -> Vec<Line<'a>> {
    wrapped(sentence, width)
        .into_iter()
        .map(|line| Line::styled(format!("  {line}"), theme.quiet()))
        .collect()
}

fn pair<'a>(label: &str, value: &str, theme: &Theme) -> Line<'a> {
    Line::from(vec![
        Span::styled(format!("  {label:<10}"), theme.dim()),
        Span::styled(value.to_owned(), theme.number()),
    ])
}

fn about_key<'a>(screen: &KeyScreen, width: usize, theme: &Theme) -> Vec<Line<'a>> {
    let mut lines = vec![Line::default()];
    if let Some(kept) = &screen.kept {
        lines.push(pair("key here", &kept.address, theme));
        lines.push(pair("kept in", &cut(&kept.place, width.saturating_sub(10)), theme));
        lines.push(Line::default());
    }
    if let Some(store) = &screen.store {
        lines.extend(sentences(&store.words, width, theme));
    }
    lines
}

fn about_payout<'a>(screen: &KeyScreen, width: usize, theme: &Theme) -> Vec<Line<'a>> {
    let mut lines = vec![Line::default()];
    match &screen.kept {
        Some(kept) => {
            lines.push(pair("hotkey", &kept.address, theme));
            lines.push(pair("kept in", &cut(&kept.place, width.saturating_sub(10)), theme));
        }
        None => lines.push(pair("hotkey", text::NO_KEY, theme)),
    }
    let paid = match &screen.payout {
        Payout::Address(address) => address,
        Payout::Later => text::UNPAID,
        Payout::Undecided => text::UNDECIDED,
    };
    lines.push(pair("is paid", paid, theme));
    lines.push(Line::default());
    lines.extend(sentences(text::NEVER_ASKED, width, theme));
    lines
}

/// The words in columns, numbered downwards.
fn words<'a>(drawn: &Drawn, width: usize, theme: &Theme) -> Vec<Line<'a>> {
    let words: Vec<&str> = drawn.words.reveal().split_whitespace().collect();
    let columns = (width / WORD).clamp(1, 4);
    let rows = words.len().div_ceil(columns);
    let mut lines = Vec::new();
    for row in 0..rows {
        let mut spans = vec![Span::raw("  ")];
        for column in 0..columns {
            let index = column * rows + row;
            let Some(word) = words.get(index) else { continue };
            spans.push(Span::styled(format!("{:>2} ", index + 1), theme.dim()));
            spans.push(Span::styled(format!("{word:<width$}", width = WORD - 3), theme.number()));
        }
        lines.push(Line::from(spans));
    }
    lines.push(Line::default());
    lines.extend(sentences(text::words_advice(drawn.purpose), width, theme));
    lines
}

/// What is to be typed, and what was: its end, where it is too long.
fn typed<'a>(step: &Step, field: &Field, width: usize, theme: &Theme) -> Vec<Line<'a>> {
    let mut lines = sentences(&text::prompt(step), width, theme);
    lines.push(Line::default());
    let shown: Zeroizing<String> = field.display();
    let room = width.saturating_sub(4).max(1);
    let characters: Vec<char> = shown.chars().collect();
    let rows: Vec<String> = characters.chunks(room).map(|row| row.iter().collect()).collect();
    let from = rows.len().saturating_sub(4);
    let mut rows: Vec<String> = rows.into_iter().skip(from).collect();
    match rows.last_mut() {
        Some(last) => last.push('_'),
        None => rows.push("_".into()),
    }
    for (index, row) in rows.into_iter().enumerate() {
        let mark = if index == 0 { "  > " } else { "    " };
        lines.push(Line::from(vec![
            Span::styled(mark, theme.title()),
            Span::styled(row, theme.number()),
        ]));
    }
    lines
}

fn judged<'a>(verdict: Option<&AddressVerdict>, width: usize, theme: &Theme) -> Vec<Line<'a>> {
    use crate::miner::State;
    let (sentence, style) = match verdict {
        None => return vec![Line::default()],
        Some(AddressVerdict::Incomplete(sentence)) => (sentence, theme.quiet()),
        Some(AddressVerdict::Good(sentence)) => (sentence, theme.state(State::Training)),
        Some(AddressVerdict::Bad(sentence)) => (sentence, theme.state(State::Waiting)),
        Some(AddressVerdict::Secret(sentence)) => (sentence, theme.state(State::Fault)),
    };
    let mut lines = vec![Line::default()];
    lines.extend(
        wrapped(sentence, width).into_iter().map(|l| Line::styled(format!("  {l}"), style)),
    );
    lines
}

fn wallets<'a>(
    folder: &str,
    keys: &[WalletKey],
    selected: usize,
    width: usize,
    theme: &Theme,
) -> Vec<Line<'a>> {
    /// So many are shown around the marked one.
    const SHOWN: usize = 12;
    let mut lines = vec![pair("folder", &cut(folder, width.saturating_sub(10)), theme)];
    lines.push(Line::default());
    let from = selected.saturating_sub(SHOWN / 2).min(keys.len().saturating_sub(SHOWN));
    for (index, key) in keys.iter().enumerate().skip(from).take(SHOWN) {
        let (mark, style) =
            if index == selected { (" > ", theme.title()) } else { ("   ", theme.quiet()) };
        let name = cut(&format!("{}/{}", key.wallet, key.hotkey), 22);
        let (Ok(about) | Err(about)) = &key.address;
        lines.push(Line::from(vec![
            Span::styled(format!("{mark}{name:<23}"), style),
            Span::styled(cut(about, width.saturating_sub(25)), theme.quiet()),
        ]));
    }
    if keys.len() > SHOWN {
        lines.push(Line::styled(format!("  {} in all", keys.len()), theme.dim()));
    }
    lines
}

fn made<'a>(address: &str, file: Option<&str>, theme: &Theme) -> Vec<Line<'a>> {
    let mut lines = vec![pair("is paid", address, theme)];
    if let Some(file) = file {
        lines.push(pair("file", file, theme));
    }
    lines.push(Line::default());
    lines.push(Line::styled(format!("  {}", text::FORGOTTEN), theme.quiet()));
    lines
}
