//! The screens. Draws what [`crate::control::Control`] offers and sends commands; computes nothing,
//! signs nothing, talks to nobody.

mod changes;
mod clipboard;
mod draw;
pub mod keymap;
pub mod look;
mod painter;
mod plain;
mod pointer;
pub mod question;
mod screens;
pub mod seat;
mod shell;
mod stderr;
pub mod still;
pub mod svg;
mod terminal;
pub mod text;
pub mod theme;
pub mod view;
pub mod watched;
pub mod wizard;

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crossterm::event::{self, Event as Input, KeyEventKind};

use crate::clock::Clock;
use crate::config::keys::Keys;
use crate::config::screen::Mouse;
use crate::control::{Control, Playback};
use crate::miner::State;
use crate::telemetry::crash::{self, Part};
use crate::telemetry::logs::Ring;

pub use draw::draw;
pub use view::View;

use seat::Kind;
use shell::{Shell, Turn};
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
    /// Drawing, or what a key does, ended as it never should.
    #[error("the screen broke, and the terminal is yours again; {0}")]
    Broke(String),
}

impl TuiError {
    /// Stable word for it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Terminal(_) => "terminal-lost",
            Self::Broke(_) => "fault-in-hearth",
        }
    }
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

/// Between two looks.
fn tick(control: &Control) -> Duration {
    let rests = |state| matches!(state, State::Paused | State::Disabled);
    match control.miners.iter().all(|miner| rests(miner.borrow().status.state)) {
        // The practice swarm around it goes on.
        true if control.swarm.is_none() => PAUSED_TICK,
        _ => TICK,
    }
}

/// How a run is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Medium {
    /// As a picture that fills the terminal.
    #[default]
    Screen,
    /// In lines, one below the other: for a screen reader.
    Lines,
}

/// What a screen needs besides the run that it shows.
#[derive(Clone, Debug)]
pub struct Furniture {
    /// The recent log lines.
    pub log: Ring,
    /// The time.
    pub clock: Clock,
    /// Which key does what.
    pub keys: Keys,
    /// Whether clicks are heard.
    pub mouse: Mouse,
    /// As a picture, or in lines.
    pub medium: Medium,
    /// Turns true when the process was asked to end (SIGTERM).
    pub stop: tokio::sync::watch::Receiver<bool>,
}

/// Draws until the user leaves. Blocks its thread; call it on one of its own.
pub fn run(control: &Control, furniture: &Furniture) -> Result<Left, TuiError> {
    show(control, (Kind::Own, None), furniture)
}

/// The same for a run of the process `pid`, which goes on when the screen is left.
pub fn attached(control: &Control, pid: u32, furniture: &Furniture) -> Result<Left, TuiError> {
    show(control, (Kind::Other(pid), None), furniture)
}

/// The same for a run of the past: `control` has its snapshots, and takes no commands.
pub fn play(
    control: &Control,
    playback: &Playback,
    furniture: &Furniture,
) -> Result<Left, TuiError> {
    show(control, (Kind::Past, Some(playback)), furniture)
}

/// How fast a run of the past is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As its playback goes.
    Record,
    /// Without waiting.
    AtOnce,
}

/// Tells a run of the past in lines: each look goes on by the time it would have taken then, so that the
/// same lines come at any pace. `advance` moves the playback on.
pub fn tell(
    control: &Control,
    playback: &Playback,
    (pace, advance): (Pace, &mut Advance<'_>),
    furniture: &Furniture,
) -> Result<Left, TuiError> {
    plain::past(control, playback, (pace, advance), furniture)
}

/// Moves a playback on by so much of its own time; breaks off where it cannot be read further.
pub type Advance<'a> = dyn FnMut(Duration) -> ControlFlow<()> + 'a;

/// Draws until the user leaves, or until the screen breaks: that must not take a miner with it.
fn show(
    control: &Control,
    seat: (Kind, Option<&Playback>),
    furniture: &Furniture,
) -> Result<Left, TuiError> {
    if furniture.medium == Medium::Lines {
        return plain::run(control, seat.0, furniture);
    }
    catch_unwind(AssertUnwindSafe(|| turns(control, seat, furniture)))
        .unwrap_or_else(|_| Err(TuiError::Broke(crash::last_words())))
}

fn turns(
    control: &Control,
    seat: (Kind, Option<&Playback>),
    furniture: &Furniture,
) -> Result<Left, TuiError> {
    let Furniture { log, clock, keys, stop, .. } = furniture;
    let mut shell = Shell::new(control, seat, log, clock, keys.clone());
    let mut picture = Picture::open(draw::measured, furniture.mouse)?;
    loop {
        if *stop.borrow() {
            return Ok(Left::Asked);
        }
        picture.show(shell.view())?;
        shell.scrolls_by(picture.beyond);
        crash::break_if_asked(Part::Screen);
        if !event::poll(tick(control))? {
            continue;
        }
        match event::read()? {
            Input::Key(key) if key.kind != KeyEventKind::Release => match shell.press(key) {
                Turn::Stay => {}
                Turn::Leave(left) => return Ok(left),
                Turn::Copy => {
                    picture.copy()?;
                    shell.copied();
                }
                Turn::Suspend => picture.put_aside(clock)?,
            },
            Input::Mouse(mouse) => shell.point(mouse, picture.screen.area()),
            Input::Resize(..) => picture.stretched(),
            _ => {}
        }
    }
}

/// How something is drawn.
/// Returns how many lines the longest list has beyond its room.
type Drawing<V> = fn(&mut ratatui::Frame<'_>, &V, &Theme) -> usize;

/// What stands on the terminal.
struct Picture<V> {
    screen: Screen,
    theme: Theme,
    draw: Drawing<V>,
    /// What it shows; none where it must be drawn whatever it shows.
    shown: Option<V>,
    /// How many lines its longest list has beyond its room.
    beyond: usize,
    /// Whether somebody else has written over it.
    torn: bool,
}

impl<V: PartialEq> Picture<V> {
    fn open(draw: Drawing<V>, mouse: Mouse) -> Result<Self, TuiError> {
        let theme = Theme::from_environment();
        Ok(Self { screen: Screen::open(mouse)?, theme, draw, shown: None, beyond: 0, torn: false })
    }

    /// Draws it, if it is not what stands there.
    fn show(&mut self, view: V) -> Result<(), TuiError> {
        if self.shown.as_ref() == Some(&view) {
            return Ok(());
        }
        let mut beyond = 0;
        let frame = |frame: &mut ratatui::Frame<'_>| {
            beyond = (self.draw)(frame, &view, &self.theme);
        };
        match std::mem::take(&mut self.torn) {
            true => self.screen.repaint(frame)?,
            false => self.screen.draw(frame)?,
        }
        (self.shown, self.beyond) = (Some(view), beyond);
        Ok(())
    }

    /// Sends its text to the clipboard.
    fn copy(&mut self) -> Result<(), TuiError> {
        Ok(clipboard::copy(self.screen.picture())?)
    }

    /// The window has another size.
    fn stretched(&mut self) {
        self.shown = None;
        self.screen.stretched();
    }

    /// Gives the terminal to the shell for a while.
    fn put_aside(&mut self, clock: &Clock) -> Result<(), TuiError> {
        self.screen.suspend(clock)?;
        (self.shown, self.torn) = (None, true);
        Ok(())
    }
}
