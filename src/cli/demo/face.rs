//! What a person or a script sees of a demo: the screen on its own thread, or lines.

use std::io::{self, IsTerminal as _, Stdout};

use tokio::sync::oneshot;

use crate::cli::print::{Printer, Style};
use crate::cli::{Exit, Failure};
use crate::clock::Clock;
use crate::config::folders::Folders;
use crate::config::keys::Keys;
use crate::config::screen::Mouse;
use crate::config::settings::Settings;
use crate::control::Control;
use crate::telemetry::logs::{self, Ring};
use crate::telemetry::{Event, crash};
use crate::tui::{self, Furniture, Left, Medium, TuiError};

/// Lines in this style, or a screen.
fn style(headless: bool, json: bool) -> Option<Style> {
    match (json, headless || !io::stdout().is_terminal() || !io::stdin().is_terminal()) {
        (true, _) => Some(Style::Json),
        (false, true) => Some(Style::Readable),
        (false, false) => None,
    }
}

/// What was chosen: lines for scripts and pipes, lines that are read out, or a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Lines in this style; none where the dashboard is shown.
    pub style: Option<Style>,
    /// How the dashboard is shown.
    pub medium: Medium,
}

impl Shown {
    /// As the flags say.
    pub fn of(headless: bool, json: bool, plain: bool) -> Self {
        match plain {
            // It needs no terminal.
            true => Self { style: None, medium: Medium::Lines },
            false => Self { style: style(headless, json), medium: Medium::Screen },
        }
    }
}

/// Starts the log: kept for the screen, or on standard error beside lines.
pub fn start_log(style: Option<Style>) -> Option<Ring> {
    if style.is_none() {
        return Some(logs::to_ring());
    }
    logs::to_stderr();
    None
}

/// The keys of the dashboard and whether it hears clicks, as the file of these folders says. Where that
/// cannot be read the usual ones count: nobody must be kept from a screen by a key.
pub fn hands(folders: Option<&Folders>) -> (Keys, Mouse) {
    let Some(folders) = folders else { return (Keys::default(), Mouse::default()) };
    match Settings::read(None, &folders.config, |_| None, Vec::new()) {
        Ok(settings) => (settings.keys().clone(), settings.mouse()),
        Err(error) => {
            tracing::warn!("the dashboard has its usual keys: {error}");
            (Keys::default(), Mouse::default())
        }
    }
}

/// A line for whoever waits, before there is a screen.
pub fn notice(line: &str) {
    eprintln!("{line}");
}

/// Says what was found out before the start: as events where there are lines, in the log of a screen.
pub fn tell(style: Option<Style>, findings: &[Event], clock: &Clock) -> Result<(), Failure> {
    let mut printer = style.map(|style| Printer::new(style, io::stdout(), clock.clone()));
    for event in findings {
        let told = match (&mut printer, event) {
            (Some(printer), _) => printer.event(event),
            (None, Event::Finding { what, fix, .. }) => {
                tracing::warn!("{what} {fix}");
                Ok(())
            }
            (None, _) => Ok(()),
        };
        told.map_err(|error| {
            Failure::new(Exit::Failed, format!("cannot write: {error}")).coded("output-lost")
        })?;
    }
    Ok(())
}

/// One of the two.
pub enum Face {
    /// Lines on standard output.
    Lines(Printer<Stdout>),
    /// The dashboard; the receiver resolves when it is left.
    Screen(oneshot::Receiver<Result<Left, TuiError>>),
}

impl Face {
    /// Lines.
    pub fn lines(style: Style, clock: &Clock) -> Self {
        Self::Lines(Printer::new(style, io::stdout(), clock.clone()))
    }

    /// The same, with every change of state as a line of its own.
    pub fn with_states(self) -> Self {
        match self {
            Self::Lines(printer) => Self::Lines(printer.with_states()),
            screen @ Self::Screen(_) => screen,
        }
    }

    /// The dashboard, on a thread of its own.
    pub fn screen(control: Control, furniture: Furniture) -> io::Result<Self> {
        let (left, when_left) = oneshot::channel();
        std::thread::Builder::new().name("screen".into()).spawn(move || {
            // The receiver is gone only when the program ends anyway.
            let _ = left.send(tui::run(&control, &furniture));
        })?;
        Ok(Self::Screen(when_left))
    }

    /// Shows an event. An error means that nobody reads any more.
    pub fn event(&mut self, event: &Event) -> io::Result<()> {
        match self {
            Self::Lines(printer) => printer.event(event),
            Self::Screen(_) => Ok(()),
        }
    }

    /// Waits until a screen has given the terminal back; not at all for lines.
    pub async fn left_if_screen(&mut self) -> Result<Left, TuiError> {
        match self {
            Self::Lines(_) => Ok(Left::Asked),
            Self::Screen(_) => self.left().await,
        }
    }

    /// Waits until the user leaves the screen; for ever, where there is none.
    pub async fn left(&mut self) -> Result<Left, TuiError> {
        match self {
            Self::Lines(_) => std::future::pending().await,
            // Once it was left it stays so.
            Self::Screen(left) if left.is_terminated() => Ok(Left::Asked),
            Self::Screen(left) => {
                left.await.unwrap_or_else(|_| Err(TuiError::Broke(crash::last_words())))
            }
        }
    }
}
