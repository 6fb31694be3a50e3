//! Log lines: the newest at the bottom, or where the reader has scrolled to; what was searched for
//! stands out.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::super::text;
use super::super::theme::Theme;
use super::super::view::{View, is_warning};
use super::{Pane, filled};

pub(in crate::tui) fn log(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    let rows = usize::from(Pane::inner(area).height);
    let word = view.look.search.word();
    let mut lines: Vec<Line<'_>> = view
        .log_lines()
        .rev()
        .skip(view.look.above)
        .take(rows)
        .map(|line| marked(line, word, theme))
        .collect();
    lines.reverse();
    if lines.is_empty() {
        let words =
            if view.log.is_empty() { text::NO_LOG_YET } else { text::screens::NOTHING_FOUND };
        lines.push(Line::styled(words, theme.dim()));
    }
    filled(frame, area, &Pane::new(text::LOG, theme), &lines);
}

/// A line with what was searched for marked in it.
fn marked<'a>(line: &'a str, word: &str, theme: &Theme) -> Line<'a> {
    let style = if is_warning(line) { theme.warning() } else { theme.quiet() };
    if word.is_empty() {
        return Line::styled(line, style);
    }
    let (lower, word) = (line.to_lowercase(), word.to_lowercase());
    // Where letters change their length with their case, the places would not be the same.
    if lower.len() != line.len() {
        return Line::styled(line, style);
    }
    let mut spans = Vec::new();
    let mut from = 0;
    for (at, _) in lower.match_indices(&word) {
        push(&mut spans, line.get(from..at), style);
        push(&mut spans, line.get(at..at + word.len()), theme.found());
        from = at + word.len();
    }
    push(&mut spans, line.get(from..), style);
    Line::from(spans)
}

fn push<'a>(spans: &mut Vec<Span<'a>>, part: Option<&'a str>, style: Style) {
    spans.extend(part.filter(|part| !part.is_empty()).map(|part| Span::styled(part, style)));
}
