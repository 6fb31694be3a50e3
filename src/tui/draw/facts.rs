//! Facts as lines: a label, a figure, a word on it; and bars. Every screen is made of these, so that
//! labels and figures stand in the same columns everywhere.

use ratatui::text::{Line, Span};

use super::super::text;
use super::super::theme::Theme;

/// Where figures begin.
const LABEL: usize = 18;

/// A label and its figure.
pub(in crate::tui) fn fact<'a>(label: &str, value: impl Into<String>, theme: &Theme) -> Line<'a> {
    Line::from(vec![
        Span::styled(format!(" {label:<LABEL$} "), theme.dim()),
        Span::styled(value.into(), theme.number()),
    ])
}

/// A label and a sentence.
pub(in crate::tui) fn said<'a>(label: &str, words: impl Into<String>, theme: &Theme) -> Line<'a> {
    Line::from(vec![
        Span::styled(format!(" {label:<LABEL$} "), theme.dim()),
        Span::styled(words.into(), theme.quiet()),
    ])
}

/// The same for what may not be known: then the word for that.
pub(in crate::tui) fn maybe<'a>(label: &str, value: Option<String>, theme: &Theme) -> Line<'a> {
    match value {
        Some(value) => fact(label, value, theme),
        None => said(label, text::screens::UNKNOWN, theme),
    }
}

/// A sentence.
pub(in crate::tui) fn sentence<'a>(words: impl Into<String>, theme: &Theme) -> Line<'a> {
    Line::styled(format!(" {}", words.into()), theme.quiet())
}

/// A line as it is read out: without bars and columns, and with a colon after its label.
pub(in crate::tui) fn spoken(line: &Line<'_>) -> String {
    let is_chart = |c: char| matches!(c, '·' | '░' | '▁'..='█' | '\u{2800}'..='\u{28ff}');
    let mut out = String::new();
    for (place, span) in line.spans.iter().enumerate() {
        let words: Vec<&str> = span.content.split_whitespace().collect();
        let words = words.join(" ");
        if words.is_empty() || words.chars().all(is_chart) {
            continue;
        }
        let stands_apart = span.content.starts_with("   ") && !out.ends_with(':');
        match (out.is_empty(), stands_apart) {
            (true, _) => {}
            (false, true) => out.push_str(", "),
            (false, false) if words.starts_with([',', '.', ':']) => {}
            (false, false) => out.push(' '),
        }
        out.push_str(&words);
        let is_label = span.content.starts_with(' ') && span.content.ends_with(' ');
        if place == 0 && is_label && line.spans.len() > 1 && !words.ends_with(':') {
            out.push(':');
        }
    }
    out
}

/// A bar of so many cells, filled to a share from 0 to 1, and the share in percent.
pub(in crate::tui) fn bar<'a>(share: f64, cells: usize, theme: &Theme) -> Vec<Span<'a>> {
    let percent = percent(share);
    let full = cells * percent / 100;
    vec![
        Span::styled("█".repeat(full), theme.bar()),
        Span::styled("░".repeat(cells - full), theme.dim()),
        Span::styled(format!(" {percent:>3}%"), theme.number()),
    ]
}

/// A share in whole percent.
pub(in crate::tui) fn percent(share: f64) -> usize {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let percent = (share.clamp(0.0, 1.0) * 100.0).round() as usize;
    percent.min(100)
}

/// Where a list of so many lines begins in a room of so many, when it is wanted so many further down; and
/// the words for what is above and below, where not all of it is to be seen.
pub(in crate::tui) fn scrolled(
    lines: usize,
    room: usize,
    wanted: usize,
) -> (usize, Option<String>) {
    let hidden = lines.saturating_sub(room);
    let above = wanted.min(hidden);
    (above, (hidden > 0).then(|| text::screens::beyond(above, hidden - above)))
}

/// Cut to so many characters, with a sign that there was more.
pub(in crate::tui) fn cut(words: &str, most: usize) -> String {
    match words.chars().count() > most {
        false => words.to_owned(),
        true => words.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// A line broken at its words into lines of so many cells; those after the first begin where figures do,
/// if there is room for that, so that labels stay a column of their own.
pub(in crate::tui) fn hung(line: Line<'_>, width: usize) -> Vec<Line<'_>> {
    if line.width() <= width {
        return vec![line];
    }
    let has_label = line.spans.first().is_some_and(|span| span.width() == LABEL + 2);
    let indent = match (has_label, width >= 3 * LABEL) {
        (true, true) => LABEL + 2,
        (true, false) => 3,
        (false, _) => 1,
    };
    let mut lines = Vec::new();
    let (mut spans, mut used) = (Vec::new(), 0);
    for span in line.spans {
        for word in span.content.split_inclusive(' ') {
            let cells = Span::raw(word.trim_end()).width();
            if used + cells > width && used > indent {
                lines.push(Line::from(std::mem::take(&mut spans)));
                spans.push(Span::raw(" ".repeat(indent)));
                used = indent;
            }
            used += Span::raw(word).width();
            spans.push(Span::styled(word.to_owned(), span.style));
        }
    }
    lines.push(Line::from(spans));
    lines.into_iter().map(|line| fitted(line, width)).collect()
}

/// A line cut to so many cells, with a sign that there was more.
pub(in crate::tui) fn fitted(line: Line<'_>, width: usize) -> Line<'_> {
    if line.width() <= width {
        return line;
    }
    let mut room = width.saturating_sub(1);
    let mut spans = Vec::new();
    for span in line.spans {
        let words: String = span
            .content
            .chars()
            .scan(room, |left, c| {
                let cells = Span::raw(c.to_string()).width();
                *left = left.checked_sub(cells)?;
                Some(c)
            })
            .collect();
        let cells = Span::raw(words.as_str()).width();
        let is_cut = cells < span.width();
        room -= cells.min(room);
        spans.push(Span::styled(words, span.style));
        if is_cut {
            spans.push(Span::styled("…", span.style));
            break;
        }
    }
    Line::from(spans)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_outside_their_range_do_not_break_a_bar() {
        for share in [-1.0, 0.0, 0.5, 1.0, 7.0, f64::NAN, f64::INFINITY] {
            let spans = bar(share, 10, &Theme::plain());
            let cells: usize = spans[..2].iter().map(|s| s.content.chars().count()).sum();
            assert_eq!(cells, 10, "{share}");
        }
    }

    #[test]
    fn a_line_is_cut_by_cells_and_not_by_letters() {
        let line = || Line::from(vec![Span::raw("abc"), Span::raw("漢字"), Span::raw("d")]);
        let text = |width| {
            fitted(line(), width).spans.iter().map(|s| s.content.to_string()).collect::<String>()
        };
        assert_eq!(text(8), "abc漢字d");
        assert_eq!(text(7), "abc漢…");
        assert_eq!(text(6), "abc漢…");
        assert_eq!(text(5), "abc…");
        assert_eq!(text(3), "ab…");
        for width in 1..9 {
            assert!(fitted(line(), width).width() <= width, "{width}");
        }
    }

    #[test]
    fn a_long_sentence_goes_on_below_its_own_beginning() {
        let theme = Theme::plain();
        let text =
            |line: &Line<'_>| line.spans.iter().map(|s| s.content.as_ref()).collect::<String>();
        let all = |line, width| hung(line, width).iter().map(text).collect::<Vec<_>>();
        let wide = all(said("why", "one two three four five six seven eight nine", &theme), 60);
        assert_eq!(wide.len(), 2, "{wide:?}");
        assert!(
            wide[1].starts_with(&" ".repeat(LABEL + 2)) && wide[1].ends_with("nine"),
            "{wide:?}"
        );
        let narrow = all(said("why", "one two three four five six seven eight nine", &theme), 30);
        assert!(narrow[1].starts_with("   ") && !narrow[1].starts_with("    "), "{narrow:?}");
        // A word that is longer than the line is cut, and there is an end to it.
        let long = all(sentence("x".repeat(200), &theme), 20);
        assert!(long.iter().all(|line| line.chars().count() <= 20), "{long:?}");
        for width in 0..70 {
            let lines = hung(said("why", "a bb ccc dddd eeeee ffffff", &theme), width);
            assert!(lines.iter().all(|line| line.width() <= width.max(1)), "{width}");
        }
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("äöüß", 3), "äö…");
    }
}
