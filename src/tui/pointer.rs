//! What a click or the wheel means: the name of a screen, one of the own miners, a time on the scrubber,
//! a miner of the practice swarm. Where each is the drawing itself says.

use std::time::Duration;

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::draw::{Areas, status, tabs};
use super::look::ScreenName;
use super::screens;
use super::seat::Kind;
use super::text;
use super::view::View;

/// Lines that a notch of the wheel moves by.
pub(super) const NOTCH: usize = 3;

/// What was pointed at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The name of a screen.
    Screen(ScreenName),
    /// One of the own miners, from 0.
    Own(usize),
    /// A miner of the practice swarm, by its address.
    Miner(String),
    /// A time of the record.
    Time(Duration),
    /// Up, on what can be scrolled.
    Up,
    /// Down.
    Down,
}

/// What the mouse points at in such a window; nothing where that has no meaning.
pub(super) fn target(mouse: MouseEvent, area: Rect, view: &View) -> Option<Target> {
    match mouse.kind {
        MouseEventKind::ScrollUp => Some(Target::Up),
        MouseEventKind::ScrollDown => Some(Target::Down),
        MouseEventKind::Down(MouseButton::Left) => {
            clicked(Position::new(mouse.column, mouse.row), area, view)
        }
        _ => None,
    }
}

fn clicked(cell: Position, area: Rect, view: &View) -> Option<Target> {
    // Below that there is no screen to click on.
    if area.width < text::SMALLEST.0 || area.height < text::SMALLEST.1 {
        return None;
    }
    let areas = Areas::of(area, view);
    if areas.names.contains(cell) {
        return tabs::at(cell.x - areas.names.x, view).map(Target::Screen);
    }
    if areas.own.contains(cell) {
        return status::own_at(cell.x - areas.own.x, view, area.width).map(Target::Own);
    }
    match view.look.screen {
        ScreenName::Swarm if view.kind != Kind::Past => {
            screens::miner_at(areas.body, cell, view).map(Target::Miner)
        }
        ScreenName::Network => screens::miner_on_map(areas.body, cell, view).map(Target::Miner),
        ScreenName::Log => screens::time_at(areas.body, cell, view).map(Target::Time),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::KeyModifiers;

    use super::*;
    use crate::control::Place;
    use crate::tui::draw::samples::{conditions, several, training, view};

    fn click(column: u16, row: u16) -> MouseEvent {
        let kind = MouseEventKind::Down(MouseButton::Left);
        MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }
    }

    fn drawn(view: &View, area: Rect) -> Vec<String> {
        let mut terminal =
            ratatui::Terminal::new(ratatui::backend::TestBackend::new(area.width, area.height))
                .unwrap();
        let theme = crate::tui::theme::Theme::plain();
        terminal.draw(|frame| crate::tui::draw(frame, view, &theme)).unwrap();
        let text = crate::tui::clipboard::text(terminal.backend().buffer());
        text.lines().map(str::to_owned).collect()
    }

    /// The first cell of a word on the picture.
    fn place_of(word: &str, view: &View, area: Rect) -> (u16, u16) {
        let lines = drawn(view, area);
        let found = lines.iter().enumerate().find_map(|(row, line)| {
            let at = line.find(word)?;
            Some((line[..at].chars().count() as u16, row as u16))
        });
        found.unwrap_or_else(|| panic!("{word} is not in {lines:#?}"))
    }

    #[test]
    fn a_click_means_what_is_drawn_there() {
        for area in [Rect::new(0, 0, 80, 24), Rect::new(0, 0, 200, 60)] {
            let mut shown = several(3);
            shown.log = std::sync::Arc::new(vec![" WARN one".into()]);
            for screen in ScreenName::ALL {
                let word = crate::tui::text::screens::name(screen);
                let (x, y) = place_of(word, &shown, area);
                assert_eq!(
                    target(click(x, y), area, &shown),
                    Some(Target::Screen(screen)),
                    "{word}"
                );
            }
            for (place, own) in shown.own.clone().iter().enumerate() {
                let (x, y) = place_of(&format!("{} {} ", place + 1, own.name), &shown, area);
                assert_eq!(target(click(x, y), area, &shown), Some(Target::Own(place)));
            }
            assert_eq!(target(click(5, area.height / 2), area, &shown), None);
        }
        let tiny = Rect::new(0, 0, 20, 5);
        assert_eq!(target(click(1, 1), tiny, &several(3)), None);
    }

    #[test]
    fn a_click_on_a_miner_of_the_swarm_chooses_it() {
        let area = Rect::new(0, 0, 80, 24);
        let inside = crate::tui::draw::samples::swarm(["training"; 3], 9);
        let mut shown = view(training(), Some(inside.clone()));
        shown.look.screen = ScreenName::Swarm;
        for stage in &inside.stages {
            for miner in &stage.miners {
                let name = shown.name_of(&miner.hotkey);
                let (x, y) = place_of(&format!("training   {name}"), &shown, area);
                let found = target(click(x + 12, y), area, &shown);
                assert_eq!(found, Some(Target::Miner(miner.hotkey.clone())), "{name}");
            }
        }
        assert_eq!(target(click(4, 6), area, &shown), None, "the head is no miner");
        shown.kind = Kind::Past;
        assert_eq!(target(click(10, 8), area, &shown), None);
    }

    /// Each cell of the map that means a miner is in a line with its name, and a click on it tells of it.
    #[test]
    fn a_click_on_the_map_shows_the_miner_that_is_there() {
        let mut named = std::collections::BTreeSet::new();
        for (condition, mut shown) in conditions(Some(())) {
            shown.look.screen = ScreenName::Network;
            let areas = [Rect::new(0, 0, 80, 24), Rect::new(0, 0, 200, 60)];
            for (area, scrolled) in areas.into_iter().flat_map(|a| [(a, 0), (a, 9), (a, 9_999)]) {
                shown.look.scrolled = scrolled;
                let lines = drawn(&shown, area);
                for y in 0..area.height {
                    for x in 0..area.width {
                        let Some(Target::Miner(key)) = target(click(x, y), area, &shown) else {
                            continue;
                        };
                        let (name, line) = (shown.name_of(&key), &lines[usize::from(y)]);
                        assert!(
                            line.contains(&name),
                            "{condition} {x},{y}: {name} is not in {line}"
                        );
                        if named.insert((condition, area.width, key.clone())) {
                            let mut chosen = shown.clone();
                            chosen.look.chosen = Some(key);
                            let told = format!(" {name} in stage ");
                            let picture = drawn(&chosen, area);
                            assert!(
                                picture.iter().any(|line| line.contains(&told)),
                                "{picture:#?}"
                            );
                        }
                    }
                }
            }
        }
        assert!(named.len() > 30, "{named:?}");
    }

    #[test]
    fn the_scrubber_is_a_line_from_the_beginning_to_the_end() {
        let area = Rect::new(0, 0, 80, 24);
        let mut played = view(training(), None).played(Place {
            recorded: "2026-11-22 20:00".into(),
            then: "2026-11-22 20:03".into(),
            at: Duration::from_secs(380),
            length: Duration::from_secs(760),
            speed: 1.0,
            holds: true,
            unix: 1_042,
        });
        played.look.screen = ScreenName::Log;
        let (x, y) = place_of("●", &played, area);
        let Some(Target::Time(time)) = target(click(x, y), area, &played) else { panic!() };
        assert!(time.abs_diff(Duration::from_secs(380)) < Duration::from_secs(10), "{time:?}");
        let (first, _) = place_of("━", &played, area);
        assert_eq!(target(click(first, y), area, &played), Some(Target::Time(Duration::ZERO)));
        assert_eq!(target(click(2, y), area, &played), None);
        played.look.screen = ScreenName::Now;
        assert_eq!(target(click(x, y), area, &played), None);
    }
}
