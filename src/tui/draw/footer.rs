//! The last line: the keys that matter here, or a word on what a key just did.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::super::look::{ScreenName, Search};
use super::super::text;
use super::super::theme::Theme;
use super::super::view::View;
use super::playback;

pub(super) fn footer(frame: &mut Frame<'_>, area: Rect, view: &View, theme: &Theme) {
    if let Search::Typing(word) = &view.look.search {
        let line = Line::from(vec![
            Span::styled(text::screens::SEARCH, theme.quiet()),
            Span::styled(format!("{word}_"), theme.number()),
            Span::styled(text::screens::SEARCH_KEYS, theme.dim()),
        ]);
        super::line(frame, area, &line);
        return;
    }
    if let Some(word) = said(view) {
        super::line(frame, area, &Line::styled(format!(" {word}"), theme.title()));
        return;
    }
    if let Some(place) = &view.playback {
        playback::bar(frame, area, view, place, theme);
        return;
    }
    super::line(frame, area, &keys(view, usize::from(area.width), theme));
}

fn said(view: &View) -> Option<&'static str> {
    if view.look.quitting { Some(text::QUITTING) } else { view.look.notice }
}

/// As many of them as there is room for; those of this screen first.
fn keys<'a>(view: &View, width: usize, theme: &Theme) -> Line<'a> {
    let bindings = view.bindings();
    let of_screen = text::screens::footer(view.look.screen).iter();
    let here = of_screen.filter_map(|(action, words)| {
        bindings.iter().find(|b| b.action == *action).map(|b| (b.press, *words))
    });
    let named = bindings.iter().filter(|b| !b.short.is_empty()).map(|b| (b.press, b.short));
    let always: Vec<_> = match view.look.screen {
        ScreenName::Log => named.filter(|(_, short)| *short != "snooze").collect(),
        _ => named.collect(),
    };
    let mut spans = vec![Span::raw(" ")];
    let mut used = 1;
    // What one needs most comes last in the list of bindings, and must not be what is left out.
    let needed = if view.own.is_empty() { 3 } else { 5 };
    let last = always.iter().rev().take(needed).rev();
    let rest = always.iter().take(always.len().saturating_sub(needed));
    let mut room = width.saturating_sub(last.clone().map(|k| length(*k)).sum::<usize>() + 1);
    for key in here.chain(rest.copied()) {
        let wide = length(key);
        if wide > room {
            continue;
        }
        room -= wide;
        push(&mut spans, key, theme);
        used += wide;
    }
    for key in last {
        if used + length(*key) <= width + 3 {
            push(&mut spans, *key, theme);
            used += length(*key);
        }
    }
    Line::from(spans)
}

fn length((press, words): (crate::config::keys::Press, &str)) -> usize {
    press.to_string().chars().count() + 1 + words.chars().count() + 3
}

fn push(
    spans: &mut Vec<Span<'_>>,
    (press, words): (crate::config::keys::Press, &str),
    theme: &Theme,
) {
    spans.push(Span::styled(press.to_string(), theme.number()));
    spans.push(Span::styled(format!(" {words}   "), theme.quiet()));
}
