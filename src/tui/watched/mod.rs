//! A network from outside: the map of its stages and miners, who holds it back, how far it is, its loss.
//! Only what it publishes to anybody, drawn with the widgets of the dashboard. There is nothing to order.

mod draw;

use std::time::Duration;

use crossterm::event::{self, Event as Input, KeyEvent, KeyEventKind, MouseEventKind};
use tokio::sync::watch;

use super::keymap::{self, Action, Binding, Keys};
use super::look::{Over, Scale};
use super::pointer::NOTCH;
use super::seat::{Kind, Run, Swarm};
use super::{Left, Picture, TuiError, clipboard};
use crate::clock::Clock;
use crate::config::screen::Mouse;
use crate::swarm::public::PublicNetwork;

/// Between two looks at what is known.
const LOOK: Duration = Duration::from_millis(100);
/// None of it is ours.
const NOTHING_OWN: Run = Run { miners: 0, swarm: Swarm::None };
/// Lines that a page key moves by.
const PAGE: usize = 10;

/// What is known of the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Watched {
    /// Whom we ask.
    pub server: String,
    /// What it said last.
    pub network: PublicNetwork,
    /// Why it says nothing now, in plain words.
    pub trouble: Option<String>,
}

/// What is chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Choice {
    scale: Scale,
    over: Over,
    /// Lines of the map above the window.
    above: usize,
    notice: Option<&'static str>,
}

/// One frame's content.
#[derive(Clone, Debug, PartialEq)]
struct Frame {
    watched: Watched,
    choice: Choice,
    /// How old what is shown is, where it does not answer; whole seconds.
    age: u64,
    keys: Vec<Binding>,
}

/// Shows it until the user leaves. Blocks its thread.
pub fn run(
    watched: &watch::Receiver<Watched>,
    (keys, mouse): (&Keys, Mouse),
    clock: &Clock,
    stop: &watch::Receiver<bool>,
) -> Result<Left, TuiError> {
    let mut seat = Seat {
        choice: Choice::default(),
        keys: keymap::bindings(keys, Kind::Watched, NOTHING_OWN),
    };
    let mut picture = Picture::open(draw::draw, mouse)?;
    loop {
        if *stop.borrow() {
            return Ok(Left::Asked);
        }
        let frame = seat.frame(watched.borrow().clone(), clock.unix().as_secs());
        picture.show(frame)?;
        let beyond = picture.beyond;
        if !event::poll(LOOK)? {
            continue;
        }
        match event::read()? {
            Input::Key(key) if key.kind != KeyEventKind::Release => match seat.press(key, beyond) {
                Done::Stay => {}
                Done::Leave => return Ok(Left::Quit),
                Done::Copy => {
                    picture.copy()?;
                    seat.choice.notice = Some(clipboard::COPIED);
                }
                Done::Suspend => picture.put_aside(clock)?,
            },
            Input::Mouse(mouse) => seat.wheel(mouse.kind, beyond),
            Input::Resize(..) => picture.stretched(),
            _ => {}
        }
    }
}

/// Who sits in front of it.
struct Seat {
    choice: Choice,
    keys: Vec<Binding>,
}

/// What a key leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Done {
    Stay,
    Leave,
    Copy,
    Suspend,
}

impl Seat {
    fn frame(&self, watched: Watched, now: u64) -> Frame {
        let age = watched.trouble.as_ref().map_or(0, |_| now.saturating_sub(watched.network.at));
        Frame { watched, choice: self.choice, age, keys: self.keys.clone() }
    }

    /// The wheel scrolls the map, by at most so many lines in all.
    fn wheel(&mut self, kind: MouseEventKind, most: usize) {
        let above = self.choice.above.min(most);
        self.choice.above = match kind {
            MouseEventKind::ScrollUp => above.saturating_sub(NOTCH),
            MouseEventKind::ScrollDown => (above + NOTCH).min(most),
            _ => above,
        };
    }

    /// A key; the map can be scrolled by at most so many lines.
    fn press(&mut self, key: KeyEvent, most: usize) -> Done {
        let choice = &mut self.choice;
        choice.notice = None;
        choice.above = choice.above.min(most);
        match keymap::action(key, &self.keys) {
            Some(Action::Quit | Action::Interrupt) => return Done::Leave,
            Some(Action::Copy) => return Done::Copy,
            Some(Action::Suspend) => return Done::Suspend,
            Some(Action::Scale) => choice.scale = choice.scale.other(),
            Some(Action::Axis) => choice.over = choice.over.other(),
            Some(Action::Up) => choice.above = choice.above.saturating_sub(1),
            Some(Action::Down) => choice.above = (choice.above + 1).min(most),
            Some(Action::PageUp) => choice.above = choice.above.saturating_sub(PAGE),
            Some(Action::PageDown) => choice.above = (choice.above + PAGE).min(most),
            Some(Action::Oldest) => choice.above = 0,
            Some(Action::Newest) => choice.above = most,
            _ => {}
        }
        Done::Stay
    }
}

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::*;
    use crate::tui::clipboard::text as text_of;
    use crate::tui::draw::samples::swarm;
    use crate::tui::theme::Theme;

    fn seat() -> Seat {
        let keys = keymap::bindings(&Keys::default(), Kind::Watched, NOTHING_OWN);
        Seat { choice: Choice::default(), keys }
    }

    fn watched() -> Watched {
        let phases = ["training", "merging_partitions", "weights_uploading"];
        let network = PublicNetwork::of(&swarm(phases, 160), 1_000);
        Watched { server: "http://127.0.0.1:8000".into(), network, trouble: None }
    }

    fn drawn(frame: &Frame, width: u16, height: u16) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        let drawn = |area: &mut ratatui::Frame<'_>| {
            draw::draw(area, frame, &Theme::colourful());
        };
        terminal.draw(drawn).unwrap();
        text_of(terminal.backend().buffer())
    }

    #[test]
    fn a_watched_network_looks_as_kept() {
        let empty = Watched {
            network: PublicNetwork::of(&crate::swarm::SwarmSnapshot::default(), 1_000),
            ..watched()
        };
        let why = "http://127.0.0.1:8000 does not answer (connection refused)".to_owned();
        let silent = Watched { trouble: Some(why), ..watched() };
        let mut large = watched();
        large.network.run = "a-run-with-a-long-name\u{1b}[31m-4.12.16.5".into();
        for _ in 0..5 {
            large.network.stages.extend(watched().network.stages);
        }
        for (name, watched) in
            [("normal", watched()), ("empty", empty), ("silent", silent), ("large", large)]
        {
            let frame = seat().frame(watched, 1_042);
            for (width, height) in [(80, 24), (120, 40)] {
                let text = drawn(&frame, width, height);
                insta::assert_snapshot!(format!("{name}_{width}x{height}"), text);
            }
        }
    }

    #[test]
    fn a_frame_differs_only_where_something_does() {
        let frame = |now| seat().frame(watched(), now);
        assert_eq!(frame(1_000), frame(2_000));
        let mut silent = watched();
        silent.trouble = Some("it is gone".into());
        let old = |now| seat().frame(silent.clone(), now);
        assert!(old(1_000) != old(1_001) && old(1_000) != frame(1_000));
    }

    #[test]
    fn keys_scroll_the_map_to_its_end_and_no_further() {
        let mut seat = seat();
        let mut press = |code| {
            let done = seat.press(KeyEvent::new(code, KeyModifiers::NONE), 4);
            (done, seat.choice.above)
        };
        assert_eq!(press(KeyCode::Down), (Done::Stay, 1));
        assert_eq!(press(KeyCode::PageDown), (Done::Stay, 4));
        assert_eq!(press(KeyCode::Down), (Done::Stay, 4));
        assert_eq!(press(KeyCode::Home), (Done::Stay, 0));
        assert_eq!(press(KeyCode::Up), (Done::Stay, 0));
        assert_eq!(press(KeyCode::Char('p')), (Done::Stay, 0));
        assert_eq!(press(KeyCode::Char('y')).0, Done::Copy);
        assert_eq!(press(KeyCode::Char('q')).0, Done::Leave);
    }

    #[test]
    fn every_size_is_drawn_without_a_panic() {
        let frame = seat().frame(watched(), 1_042);
        for (width, height) in [(1, 1), (2, 80), (79, 24), (80, 5), (80, 24), (400, 200)] {
            drawn(&frame, width, height);
        }
    }
}
