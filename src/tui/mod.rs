//! The screens. Draws what [`crate::control::Control`] offers and sends commands; computes nothing,
//! signs nothing, talks to nobody.

mod draw;
pub mod keymap;
pub mod svg;
mod terminal;
pub mod text;
pub mod theme;
pub mod view;
pub mod wizard;

use std::time::Duration;

use crossterm::event::{self, Event as Input, KeyEventKind};

use crate::clock::Clock;
use crate::control::{Addressee, Control, Order, Playback, Progress};
use crate::miner::{Command, MinerSnapshot, State};
use crate::telemetry::logs::Ring;

pub use draw::draw;
pub use view::View;

use keymap::Action;
use terminal::Screen;

pub(crate) use terminal::{restore, take};
use theme::Theme;

/// Between two looks at the snapshots: at most ten frames a second.
const TICK: Duration = Duration::from_millis(100);

/// The terminal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TuiError {
    /// Reading keys or writing the screen failed.
    #[error("the terminal cannot be used ({0}); run with --headless")]
    Terminal(#[from] std::io::Error),
}

/// Why the screen was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// The user pressed `q`, or the first Ctrl-C.
    Quit,
    /// The second Ctrl-C.
    Interrupted,
    /// The program asked for it (a signal).
    Asked,
}

/// Whether all own miners are on their way out already, whoever asked for it.
fn are_leaving(control: &Control) -> bool {
    let mut miners = control.miners.iter();
    *control.progress.borrow() == Progress::Running
        && miners
            .all(|miner| matches!(miner.borrow().status.state, State::Stopping | State::Stopped))
}

/// Draws until the user leaves. Blocks its thread; call it on one of its own.
///
/// `stop` turns true when the process was asked to end (SIGTERM).
pub fn run(
    control: &Control,
    log: &Ring,
    clock: &Clock,
    stop: &tokio::sync::watch::Receiver<bool>,
) -> Result<Left, TuiError> {
    show(control, None, log, clock, stop)
}

/// The same for a run of the past: `control` has its snapshots, and takes no commands.
pub fn play(
    control: &Control,
    playback: &Playback,
    log: &Ring,
    clock: &Clock,
    stop: &tokio::sync::watch::Receiver<bool>,
) -> Result<Left, TuiError> {
    show(control, Some(playback), log, clock, stop)
}

fn own(control: &Control, shown: usize) -> &tokio::sync::watch::Receiver<MinerSnapshot> {
    control.miners.iter().nth(shown).unwrap_or(control.first())
}

/// Sends a command to the miner that is shown.
fn send(control: &Control, shown: usize, command: Command) {
    let to = Addressee::One(own(control, shown).borrow().name.clone());
    (control.send)(Order { to, command });
}

/// What switches it to the other side.
fn switched(control: &Control, shown: usize) -> Command {
    match own(control, shown).borrow().status.state {
        State::Disabled => Command::Enable,
        _ => Command::Disable,
    }
}

fn show(
    control: &Control,
    playback: Option<&Playback>,
    log: &Ring,
    clock: &Clock,
    stop: &tokio::sync::watch::Receiver<bool>,
) -> Result<Left, TuiError> {
    let mut screen = Screen::open()?;
    let theme = Theme::from_environment();
    let mut help = false;
    let mut quitting = false;
    let mut drawn: Option<View> = None;
    let miners = control.miners.iter().count();
    let bindings =
        if playback.is_some() { keymap::PLAYBACK.to_vec() } else { keymap::living(miners) };
    let mut shown = 0;
    loop {
        if *stop.borrow() {
            return Ok(Left::Asked);
        }
        let mut view = View::collect(control, log, clock, shown, help, quitting);
        if let Some(playback) = playback {
            view = view.played(playback.place.borrow().clone());
        }
        if drawn.as_ref() != Some(&view) {
            screen.terminal.draw(|frame| draw(frame, &view, &theme))?;
            drawn = Some(view);
        }
        if !event::poll(TICK)? {
            continue;
        }
        match event::read()? {
            Input::Key(key) if key.kind != KeyEventKind::Release => {
                match keymap::action(key, &bindings) {
                    Some(Action::Quit) => return Ok(Left::Quit),
                    Some(Action::Interrupt) if quitting || are_leaving(control) => {
                        return Ok(Left::Interrupted);
                    }
                    Some(Action::Interrupt) => {
                        if *control.progress.borrow() != Progress::Running {
                            return Ok(Left::Quit);
                        }
                        quitting = true;
                        control.send_to_all(Command::Stop);
                    }
                    Some(Action::Send(command)) => send(control, shown, command),
                    Some(Action::Next) => shown = (shown + 1) % miners.max(1),
                    Some(Action::Pick(place)) if place < miners => shown = place,
                    Some(Action::Pick(_)) => {}
                    Some(Action::Switch) => send(control, shown, switched(control, shown)),
                    Some(Action::Play(wish)) => {
                        if let Some(playback) = playback {
                            (playback.send)(wish);
                        }
                    }
                    Some(Action::Help) => help = !help,
                    Some(Action::Back) => help = false,
                    None => {}
                }
            }
            Input::Resize(..) => drawn = None,
            _ => {}
        }
    }
}
