//! Whole screens, drawn from made-up snapshots and compared with the pictures kept in `snapshots/`.

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::samples::{conditions, several, stories};
use super::*;
use crate::tui::clipboard::text as text_of;
use crate::tui::look::{Lines, ScreenName, Search};
use crate::tui::theme::{Depth, Signs};
use crate::tui::view::View;

fn drawn(view: &View, theme: &Theme, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, view, theme)).unwrap();
    terminal.backend().buffer().clone()
}

/// Every screen in every condition, seen with a practice swarm's inside view and without.
fn everything() -> Vec<(ScreenName, String, View)> {
    let mut all = Vec::new();
    for screen in ScreenName::ALL {
        for (place, inside) in [("practice", Some(())), ("miner only", None)] {
            for (name, mut view) in conditions(inside) {
                view.look.screen = screen;
                all.push((screen, format!("{name}, {place}"), view));
            }
        }
    }
    all
}

#[test]
fn several_own_miners_are_listed_and_the_one_that_is_shown_is_never_cut_off() {
    for width in [80, 120] {
        let text = text_of(&drawn(&several(2), &Theme::colourful(), width, 24));
        let line = text.lines().nth(2).unwrap();
        assert!(
            line.contains("1 m0 cpu disabled") && line.contains("[2 m1 wgpu training]"),
            "{text}"
        );
        let last = text.lines().last().unwrap();
        assert!(last.contains("m next miner") && last.contains("d off/on"), "{text}");
    }
    let text = text_of(&drawn(&several(9), &Theme::colourful(), 80, 24));
    assert!(text.contains("[9 m8 wgpu training]"), "{text}");
    let one = View { own: Vec::new(), ..several(2) };
    let text = text_of(&drawn(&one, &Theme::colourful(), 80, 24));
    assert!(!text.contains("m0 cpu") && !text.contains("next miner"), "{text}");
}

#[test]
fn the_first_screens_look_as_kept() {
    for (name, view) in stories() {
        for (width, height) in [(80, 24), (120, 40)] {
            let buffer = drawn(&view, &Theme::colourful(), width, height);
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), text_of(&buffer));
        }
    }
}

#[test]
fn every_screen_looks_as_kept_in_every_condition() {
    for screen in ScreenName::ALL {
        for (width, height) in [(80, 24), (120, 40), (200, 60)] {
            let mut pictures = String::new();
            for (_, name, view) in everything().into_iter().filter(|(of, ..)| *of == screen) {
                let buffer = drawn(&view, &Theme::colourful(), width, height);
                pictures += &format!("== {name} ==\n{}\n", text_of(&buffer));
            }
            let name = format!("{screen:?}").to_lowercase();
            insta::assert_snapshot!(format!("screen-{name}_{width}x{height}"), pictures);
        }
    }
}

#[test]
fn what_the_model_wrote_is_shown_with_the_weights_that_wrote_it() {
    use crate::swarm::{Writing, Written};
    let mut view = crate::tui::draw::samples::view(
        crate::tui::draw::samples::training(),
        Some(crate::tui::draw::samples::swarm(["training"; 3], 9)),
    );
    view.look.writing = true;
    let mut shown = |writing| {
        view.swarm.as_mut().unwrap().writing = writing;
        text_of(&drawn(&view, &Theme::plain(), 80, 24))
    };
    assert!(shown(Writing::NotAsked).contains("a few seconds"));
    assert!(shown(Writing::UnderWay).contains("a few seconds"));
    let failed = shown(Writing::Failed { why: "the store is gone".into() });
    assert!(failed.contains("It could not write: the store is gone."), "{failed}");
    let long = "and the fox ran on ".repeat(20);
    let written = Written {
        number: 3,
        begun: "Once upon a time".into(),
        text: format!(" there was\u{1b}[2J a hen {long}."),
        epochs: (2, 2),
        loss: 3.456,
    };
    let text = shown(Writing::Done(written));
    assert!(text.contains("Once upon a time there was"), "{text}");
    assert!(text.contains("Number 3, from the merged weights of epoch 2. Loss 3.46"), "{text}");
    assert!(text.contains("g another") && text.contains("Esc close"), "{text}");
}

#[test]
fn without_colour_the_words_are_the_same() {
    let all = stories().into_iter().map(|(name, view)| (name.to_owned(), view));
    let all = all.chain(everything().into_iter().map(|(_, name, view)| (name, view)));
    for (name, view) in all {
        for (width, height) in [(80, 24), (120, 40), (200, 60)] {
            let plain = drawn(&view, &Theme::plain(), width, height);
            for depth in [Depth::Sixteen, Depth::Indexed, Depth::True] {
                let theme = Theme::colourful().with_depth(depth);
                assert_eq!(
                    text_of(&drawn(&view, &theme, width, height)),
                    text_of(&plain),
                    "{name}"
                );
            }
            for cell in plain.content() {
                assert_eq!(cell.fg, ratatui::style::Color::Reset, "{name} uses a colour");
                assert_eq!(cell.bg, ratatui::style::Color::Reset, "{name} uses a colour");
            }
        }
    }
}

#[test]
fn nothing_on_any_screen_commands_the_terminal_and_ascii_is_ascii() {
    for (screen, name, view) in everything() {
        let shown = drawn(&view, &Theme::colourful(), 120, 40);
        for cell in shown.content() {
            let harmful = |c: char| {
                c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
            };
            assert!(!cell.symbol().chars().any(harmful), "{screen:?} {name}: {:?}", cell.symbol());
        }
        let plain = drawn(&view, &Theme::plain().with_signs(Signs::Ascii), 120, 40);
        assert!(text_of(&plain).is_ascii(), "{screen:?} {name}");
    }
}

#[test]
fn every_size_is_drawn_without_a_panic() {
    let all = stories().into_iter().map(|(_, view)| view);
    for view in all.chain(everything().into_iter().map(|(.., view)| view)) {
        for (width, height) in
            [(1, 1), (20, 5), (79, 24), (80, 23), (80, 24), (200, 60), (80, 100), (300, 24)]
        {
            let text = text_of(&drawn(&view, &Theme::colourful(), width, height));
            if width == 79 {
                assert!(text.contains("80 x 24"), "{text}");
            }
        }
    }
}

#[test]
fn every_screen_has_the_status_line_and_its_own_name_in_brackets() {
    for (screen, name, view) in everything() {
        let text = text_of(&drawn(&view, &Theme::plain(), 80, 24));
        let state = view.miner.status.state.word().to_uppercase();
        assert!(text.contains(&format!(" {state}  for ")), "{screen:?} {name}: {text}");
        assert!(text.contains("done by: "), "{screen:?} {name}: {text}");
        assert!(text.contains(&format!(" {}", text::screens::name(screen))), "{text}");
        let names = text.lines().nth(1).unwrap();
        let shown = names.split_once('[').and_then(|(_, rest)| rest.split_once(']')).unwrap().0;
        assert!(shown.contains(text::screens::name(screen)), "{names}");
    }
}

#[test]
fn the_log_is_searched_filtered_and_scrolled() {
    let (_, mut view) = conditions(None).into_iter().find(|(name, _)| *name == "trouble").unwrap();
    view.look.screen = ScreenName::Log;
    let shown = |view: &View| text_of(&drawn(view, &Theme::plain(), 80, 24));
    assert!(shown(&view).contains("14 of 14") && shown(&view).contains("uploading"));
    view.look.lines = Lines::Warnings;
    assert!(shown(&view).contains("13 of 14") && !shown(&view).contains(": uploading"));
    view.look.search = Search::For("STORE".into());
    let text = shown(&view);
    assert!(text.contains("1 of 14") && text.contains("the store said 503"), "{text}");
    view.look.search = Search::For("nowhere".into());
    assert!(shown(&view).contains("No line has that"));
    view.look.search = Search::Off;
    view.look.above = 1;
    let text = shown(&view);
    assert!(!text.contains("the store said 503") && text.contains("tried 11 times"), "{text}");
}

/// Not a measurement, which is `benches/`: a guard against a frame that takes ten times what it should.
#[test]
fn a_large_frame_is_drawn_in_little_time() {
    let clock = crate::clock::Clock::system();
    for (_, name, view) in everything() {
        let began = clock.now();
        for _ in 0..3 {
            drawn(&view, &Theme::colourful(), 200, 50);
        }
        let took = clock.now().since(began) / 3;
        assert!(took < std::time::Duration::from_millis(250), "{name}: {took:?}");
    }
}
