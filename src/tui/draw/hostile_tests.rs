//! Texts that others wrote, clocks that jump, and what a second that passes changes.

use std::sync::Arc;

use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;

use super::samples::conditions;
use super::*;
use crate::miner::{NeighbourView, Reason};
use crate::tui::clipboard::text as text_of;
use crate::tui::look::{ScreenName, Search};
use crate::tui::theme::Signs;
use crate::tui::view::View;

fn drawn(view: &View, theme: &Theme, (width, height): (u16, u16)) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, view, theme)).unwrap();
    terminal.backend().buffer().clone()
}

fn condition(wanted: &str, inside: Option<()>) -> View {
    let (_, view) = conditions(inside).into_iter().find(|(name, _)| *name == wanted).unwrap();
    view
}

/// What somebody may have put into a name, a status or a log line: bytes that are no text, commands of
/// terminals, marks that turn the writing around or take no room, and letters of every width.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "\\PC{0,12}",
        proptest::collection::vec(any::<u8>(), 0..12)
            .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        any::<char>().prop_map(String::from),
        proptest::sample::select(vec![
            "\u{1b}[2J",
            "\u{1b}]0;owned\u{7}",
            "\u{9b}31m",
            "\u{90}q\u{9c}",
            "\r\n",
            "\t",
            "\u{8}\u{8}",
            "\u{202e}",
            "\u{2066}",
            "\u{200b}",
            "\u{feff}",
            "\u{e0041}",
            "漢字",
            "e\u{301}\u{301}",
            "\u{1f468}\u{200d}\u{1f469}",
            "\u{fe0f}",
            "\u{0}",
        ])
        .prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

/// The view with these texts wherever somebody else's words are shown.
fn with_texts(mut view: View, texts: &[String]) -> View {
    let mut texts = texts.iter().cycle().cloned();
    let mut next = || texts.next().unwrap_or_default();
    view.names = Arc::new(view.names.keys().map(|key| (key.clone(), next())).collect());
    let miner = &mut view.miner;
    (miner.name, miner.hotkey, miner.run) = (next(), next(), Some(next()));
    (miner.phase, miner.status.next) = (Some(next()), next());
    miner.status.reason = Reason::NetworkTrouble { what: next() };
    (miner.device.name, miner.device.memory, miner.device.backend) = (next(), next(), next());
    miner.ruling.sentence = next();
    for neighbour in &mut miner.neighbours {
        *neighbour = NeighbourView { hotkey: next(), status: next(), ..neighbour.clone() };
    }
    for link in &mut miner.measured.links {
        (link.node, link.hotkey, link.last_failure) = (next(), Some(next()), Some(next()));
    }
    for transfer in &mut miner.measured.transfers {
        transfer.file = next();
    }
    if let Some(reach) = &mut miner.reach {
        (reach.sentence, reach.advice) = (next(), Some(next()));
    }
    if let Some(swarm) = &mut view.swarm {
        (swarm.run, swarm.address) = (next(), next());
        for stage in &mut swarm.stages {
            stage.phase = next();
            for miner in &mut stage.miners {
                (miner.hotkey, miner.status) = (next(), next());
            }
        }
    }
    view.log = std::sync::Arc::new((0..60).map(|_| next()).collect());
    view.look.search = Search::For(next());
    view
}

/// What a terminal would take for a command, or what turns or hides what stands beside it.
fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_commands_the_terminal_wherever_it_comes_from(
        texts in prop::collection::vec(hostile(), 1..40),
        trouble in any::<bool>(),
        wide in any::<bool>(),
    ) {
        let inside = trouble.then_some(());
        let view = condition(if trouble { "trouble" } else { "normal" }, inside);
        let mut view = with_texts(view, &texts);
        let window = if wide { (200, 60) } else { (80, 24) };
        for screen in ScreenName::ALL {
            view.look.screen = screen;
            let shown = drawn(&view, &Theme::colourful(), window);
            for cell in shown.content() {
                prop_assert!(!cell.symbol().chars().any(is_harmful), "{screen:?} {:?}", cell.symbol());
                prop_assert!(cell.symbol().chars().count() <= 4, "{screen:?} {:?}", cell.symbol());
            }
            let ascii = drawn(&view, &Theme::plain().with_signs(Signs::Ascii), window);
            prop_assert!(text_of(&ascii).is_ascii(), "{screen:?}");
        }
    }

    /// A wall clock may stand anywhere, and the times in a snapshot as well.
    #[test]
    fn a_clock_that_jumps_changes_times_and_nothing_else(
        unix in prop_oneof![Just(0), Just(u64::MAX), any::<u64>(), 0..4_000_000_000_u64],
        since in prop_oneof![Just(f64::NAN), Just(f64::INFINITY), -1e12..1e12_f64],
    ) {
        for (name, view) in conditions(Some(())) {
            let mut view = view.at(unix);
            view.miner.status.since = since;
            for screen in ScreenName::ALL {
                view.look.screen = screen;
                let text = text_of(&drawn(&view, &Theme::plain(), (80, 24)));
                let state = view.miner.status.state.word().to_uppercase();
                prop_assert!(text.contains(&state), "{name} {screen:?}: {text}");
            }
        }
    }
}

/// While only time passes, a frame differs from the one before in the figures of times alone: a
/// terminal far away is sent a few bytes a second, not a screen.
#[test]
fn a_second_that_passes_changes_figures_only() {
    for inside in [None, Some(())] {
        for (name, mut view) in conditions(inside) {
            for screen in ScreenName::ALL {
                view.look.screen = screen;
                let frame = |unix| drawn(&view.clone().at(unix), &Theme::colourful(), (200, 60));
                let (before, after) = (frame(1_042), frame(1_043));
                let changed = before.diff(&after);
                for (x, y, cell) in &changed {
                    let is_figure = cell.symbol().chars().all(|c| c.is_ascii_digit());
                    assert!(is_figure, "{name} {screen:?} {x},{y}: {:?}", cell.symbol());
                }
                assert!(changed.len() <= 120, "{name} {screen:?}: {} cells", changed.len());
                assert!(frame(1_042).diff(&before).is_empty(), "{name} {screen:?}");
            }
        }
    }
}
