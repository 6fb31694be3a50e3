//! The screens. Draws what [`crate::control::Control`] offers and sends commands; computes nothing,
//! signs nothing, talks to nobody.

mod draw;
pub mod keymap;
mod stderr;
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
/// The same while everything is paused: times on screen change once a second. Keys count at once.
const PAUSED_TICK: Duration = Duration::from_millis(500);

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

/// Whether the user has paused it already: then there is nothing to ask.
fn is_paused(miner: &tokio::sync::watch::Receiver<MinerSnapshot>) -> bool {
    let ruling = &miner.borrow().ruling;
    ruling.pauses() && ruling.rule.code() == "user-paused"
}

/// What a screen is in front of.
#[derive(Clone, Copy)]
enum Seat<'a> {
    /// A run of this process: who leaves the screen ends it.
    Own,
    /// A run of the process of this number: it goes on without the screen.
    Other(u32),
    /// A run of the past.
    Past(&'a Playback),
}

/// Between two looks.
fn tick(control: &Control) -> Duration {
    let rests = |state| matches!(state, State::Paused | State::Disabled);
    match control.miners.iter().all(|miner| rests(miner.borrow().status.state)) {
        // The practice swarm around it goes on.
        true if control.swarm.is_none() => PAUSED_TICK,
        _ => TICK,
    }
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
    show(control, Seat::Own, log, clock, stop)
}

/// The same for a run of the process `pid`, which goes on when the screen is left.
pub fn attached(
    control: &Control,
    pid: u32,
    log: &Ring,
    clock: &Clock,
    stop: &tokio::sync::watch::Receiver<bool>,
) -> Result<Left, TuiError> {
    show(control, Seat::Other(pid), log, clock, stop)
}

/// The same for a run of the past: `control` has its snapshots, and takes no commands.
pub fn play(
    control: &Control,
    playback: &Playback,
    log: &Ring,
    clock: &Clock,
    stop: &tokio::sync::watch::Receiver<bool>,
) -> Result<Left, TuiError> {
    show(control, Seat::Past(playback), log, clock, stop)
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
        State::Disabled | State::Fault => Command::Enable,
        _ => Command::Disable,
    }
}

fn show(
    control: &Control,
    seat: Seat<'_>,
    log: &Ring,
    clock: &Clock,
    stop: &tokio::sync::watch::Receiver<bool>,
) -> Result<Left, TuiError> {
    let mut screen = Screen::open()?;
    let theme = Theme::from_environment();
    let mut help = false;
    let mut quitting = false;
    let mut pausing = false;
    let mut asking = false;
    let miners = control.miners.iter().count();
    let bindings = match seat {
        Seat::Own => keymap::living(miners),
        Seat::Other(_) => keymap::elsewhere(miners),
        Seat::Past(_) => keymap::PLAYBACK.to_vec(),
    };
    let mut drawn: Option<View> = None;
    let mut shown = 0;
    loop {
        if *stop.borrow() {
            return Ok(Left::Asked);
        }
        let mut view = View::collect(control, log, clock, shown, help, quitting);
        view.pausing = pausing;
        let view = match seat {
            Seat::Own => view,
            Seat::Other(pid) => view.of_process(pid, asking),
            Seat::Past(playback) => view.played(playback.place.borrow().clone()),
        };
        if drawn.as_ref() != Some(&view) {
            screen.draw(|frame| draw(frame, &view, &theme))?;
            drawn = Some(view);
        }
        if !event::poll(tick(control))? {
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
                    Some(Action::Pause) if pausing => {
                        pausing = false;
                        send(control, shown, Command::Pause { until: None });
                    }
                    Some(Action::Pause) => pausing = !is_paused(own(control, shown)),
                    Some(Action::Send(command)) => {
                        pausing = false;
                        send(control, shown, command);
                    }
                    Some(Action::Next) => {
                        (shown, pausing) = ((shown + 1) % miners.max(1), false);
                    }
                    Some(Action::Pick(place)) if place < miners => {
                        (shown, pausing) = (place, false);
                    }
                    Some(Action::Pick(_)) => {}
                    Some(Action::Switch) => send(control, shown, switched(control, shown)),
                    Some(Action::AskStop) => {
                        asking = *control.progress.borrow() == Progress::Running;
                    }
                    Some(Action::Stop) if asking => {
                        asking = false;
                        control.send_to_all(Command::Stop);
                    }
                    Some(Action::Stop) => {}
                    Some(Action::Play(wish)) => {
                        if let Seat::Past(playback) = seat {
                            (playback.send)(wish);
                        }
                    }
                    Some(Action::Help) => help = !help,
                    Some(Action::Back) => (help, pausing, asking) = (false, false, false),
                    None => {}
                }
            }
            Input::Resize(..) => drawn = None,
            _ => {}
        }
    }
}
